//! A file on its way in: hashed and measured as it is written, acknowledged when it is durable.

use std::{path::PathBuf, sync::Arc};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::{fs::File, io::AsyncWriteExt};

use super::{Accepted, IngestError, Password, shared::Shared};
use crate::{
    catalog::{NewDocument, Recorded},
    domain::{Collection, Sha256Hash, Status, document::clean_name},
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
        let part = Part(shared.originals.new_part());
        let file = File::create_new(&part.0)
            .await
            .map_err(|e| IngestError::io("the upload could not be begun", &part.0, e))?;
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
        self.bytes += bytes.len() as u64;
        if self.bytes > limit {
            return Err(IngestError::TooLarge { limit });
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
            file.sync_all().await
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
    let placed = {
        let shared = Arc::clone(shared);
        blocking(move || {
            // There already, from this or another collection: nothing is written twice.
            if shared.originals.has(sha256, bytes) {
                return Ok(false);
            }
            shared.originals.place(&part.0, sha256).map(|()| true)
        })
        .await?
    };
    match shared.catalog.call(move |c| c.record(&new)).await {
        Ok(recorded) => Ok(recorded),
        Err(error) => {
            if placed && known.is_none() {
                // No row speaks of it (unless the commit came through after all: then it stays).
                let shared = Arc::clone(shared);
                let _ = blocking(move || match shared.catalog.needs_original(sha256) {
                    Ok(false) => shared.originals.remove(sha256),
                    Ok(true) | Err(_) => Ok(false),
                })
                .await;
            }
            Err(error.into())
        }
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
