//! A file on its way in: hashed and measured as it is written, acknowledged when it is durable.

use std::{path::PathBuf, sync::Arc};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::{fs::File, io::AsyncWriteExt};

use super::{Accepted, IngestError, Password, room::LOOK_EVERY, shared::Shared};
use crate::{
    catalog::{NewDocument, Recorded},
    domain::{Collection, Sha256Hash, Status, document::clean_name},
    failpoints::{Point, pass, reach},
};

/// A file being uploaded. Dropped before [`Self::finish`], nothing remains of it.
pub struct Upload {
    shared: Arc<Shared>,
    part: Part,
    file: File,
    hash: Sha256,
    bytes: u64,
    name: String,
    collection: Collection,
    metadata: Map<String, Value>,
    password: Option<Password>,
}

/// The file in `incoming/`; it goes with this value unless it was given its final name.
pub(super) struct Part(pub(super) PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // Where it fails (it was renamed, or the disk is gone) the next start tries again.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Upload {
    pub(super) async fn begin(
        shared: Arc<Shared>,
        name: &str,
        collection: Collection,
        metadata: Map<String, Value>,
    ) -> Result<Self, IngestError> {
        shared.refuse_when_full().await?;
        shared.room.for_uploads().await?;
        let part = Part(shared.originals.new_part());
        let file = File::create_new(&part.0)
            .await
            .map_err(|e| IngestError::io("the upload could not be begun", &part.0, e))?;
        reach(Point::UploadBegun);
        Ok(Self {
            shared,
            part,
            file,
            hash: Sha256::new(),
            bytes: 0,
            name: clean_name(name),
            collection,
            metadata,
            password: None,
        })
    }

    /// Says where it belongs and what goes with it, once that is known: in a form, these fields may
    /// come after the file.
    pub fn describe(&mut self, collection: Collection, metadata: Map<String, Value>) {
        self.collection = collection;
        self.metadata = metadata;
    }

    /// Says what opens it, should it be encrypted. Kept in memory until it is read, and no longer.
    pub fn unlock_with(&mut self, password: Option<Password>) {
        self.password = password;
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// [`IngestError::TooLarge`] as soon as there are too many, [`IngestError::DiskFull`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), IngestError> {
        let limit = self.shared.config.max_file_bytes;
        let before = self.bytes;
        self.bytes += bytes.len() as u64;
        if self.bytes > limit {
            return Err(IngestError::TooLarge { limit });
        }
        if self.bytes / LOOK_EVERY > before / LOOK_EVERY {
            self.shared.room.for_uploads().await?;
        }
        self.hash.update(bytes);
        let written = self.file.write_all(bytes).await;
        written.map_err(|e| IngestError::io("the upload could not be written", &self.part.0, e))
    }

    /// Makes the document durable, then says so. Once begun it goes on even when the caller stops
    /// waiting: the document is then there without having been acknowledged.
    ///
    /// # Errors
    /// [`IngestError::EmptyFile`], [`IngestError::QueueFull`], [`IngestError::DiskFull`].
    pub async fn finish(self) -> Result<Accepted, IngestError> {
        if self.bytes == 0 {
            return Err(IngestError::EmptyFile);
        }
        let tracker = self.shared.tracker.clone();
        tracker
            .spawn(self.keep())
            .await
            .unwrap_or(Err(IngestError::Stopping))
    }

    async fn keep(self) -> Result<Accepted, IngestError> {
        let Self {
            shared,
            part,
            mut file,
            hash,
            ..
        } = self;
        let synced = async {
            file.flush().await?;
            pass(Point::UploadBeforeFsync)?;
            file.sync_all().await?;
            pass(Point::UploadAfterFsync)
        };
        synced
            .await
            .map_err(|e| IngestError::io("the upload could not be written", &part.0, e))?;
        drop(file);
        let sha256 = Sha256Hash(hash.finalize().into());
        let new = NewDocument {
            name: self.name,
            bytes: self.bytes,
            sha256,
            collection: self.collection,
            metadata: self.metadata,
        };

        if let Some(password) = self.password {
            shared.passwords.keep(sha256, &new.collection, password);
        }
        let collection = new.collection.clone();
        let lock = shared.originals.lock(sha256).await;
        let recorded = keep_locked(&shared, part, new).await;
        drop(lock);
        if !matches!(&recorded, Ok(r) if r.document.status == Status::Queued) {
            // It will not be read.
            drop(shared.passwords.take(sha256, &collection));
        }
        let Recorded {
            document,
            duplicate,
        } = recorded?;
        // It, or another one that it was to become.
        shared.wake.notify_one();
        Ok(Accepted {
            id: document.id,
            name: document.name,
            status: document.status,
            duplicate,
        })
    }
}

/// The original takes its name, then the row is written. The caller holds the original's lock, so no
/// delete of the same bytes comes between.
async fn keep_locked(
    shared: &Arc<Shared>,
    part: Part,
    new: NewDocument,
) -> Result<Recorded, IngestError> {
    let (sha256, bytes) = (new.sha256, new.bytes);
    let collection = new.collection.clone();
    let known = shared
        .catalog
        .call(move |c| c.document_with(sha256, &collection))
        .await?;
    if known.is_none() {
        shared.refuse_when_full().await?;
    }
    let is_new = known.is_none();
    let placed = {
        let shared = Arc::clone(shared);
        blocking(move || {
            // There already, from this or another collection: nothing is written twice. One that no
            // row speaks of was left by an upload that failed, perhaps before its name was durable.
            if shared.originals.has(sha256, bytes)
                && (!is_new || shared.catalog.needs_original(sha256)?)
            {
                return Ok(());
            }
            shared.originals.place(&part.0, sha256)
        })
        .await
    };
    reach(Point::UploadBeforeRow);
    let recorded = match placed {
        Ok(()) => shared
            .catalog
            .call(move |c| c.record(&new))
            .await
            .map_err(IngestError::from),
        Err(error) => Err(error),
    };
    reach(Point::UploadAfterRow);
    let owned = Arc::clone(shared);
    blocking(move || {
        settle(&owned, sha256);
        Ok(())
    })
    .await?;
    recorded
}

/// Ends what [`super::originals::Originals::place`] began: the file stays where a row speaks of it, also
/// when that row's commit came through although it seemed to fail, and goes where none does. The caller
/// holds the original's lock.
pub(super) fn settle(shared: &Shared, sha256: Sha256Hash) {
    let settled = match shared.catalog.needs_original(sha256) {
        Ok(true) => {
            shared.originals.settle(sha256);
            Ok(())
        }
        Ok(false) => shared.originals.withdraw(sha256),
        Err(error) => Err(error.into()),
    };
    if let Err(error) = settled {
        tracing::warn!(%error, "what came in and was not kept leaves a file until the next start");
    }
}

/// Runs `work` where a disk may be waited for.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, IngestError> + Send + 'static,
) -> Result<T, IngestError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(IngestError::Stopping))
}
