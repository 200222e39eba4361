//! The library: documents in, looked at, and out.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Map, Value};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Accepted, Held, IngestError, Original, Password, Receipt, Taken, Upload, folder,
    originals::Originals,
    pipeline,
    reader::Reader,
    removal,
    shared::Shared,
    suspects::{self, InWork},
    upkeep,
    upload::blocking,
    watch::{Asker, Condition, WatchReport, Watches},
};
use crate::{
    catalog::{Catalog, Listing},
    config::IngestConfig,
    domain::{Collection, Deleted, Document, DocumentId, Queue, Status, WatchId, WatchRules},
    ports::{Embedder, VectorStore},
    tasks::Tasks,
};

/// What a library is made of.
pub struct LibraryParts {
    pub catalog: Arc<Catalog>,
    pub store: Arc<dyn VectorStore>,
    pub embedder: Arc<dyn Embedder>,
    /// The jail, outside of tests.
    pub reader: Arc<dyn Reader>,
    /// Where `originals/` and `incoming/` are.
    pub home: PathBuf,
    pub config: IngestConfig,
    pub tracker: TaskTracker,
    pub cancel: CancellationToken,
    /// Where its tasks show that they get on.
    pub tasks: Tasks,
}

/// The documents and what is done with them. Made once; shared by all who serve.
pub struct Library {
    pub(super) shared: Arc<Shared>,
    watches: Arc<Watches>,
}

impl Library {
    /// Opens the folders, cleans up what an earlier run left, and begins to work off the queue. Neither
    /// store nor embedder need to work for that.
    pub async fn start(parts: LibraryParts) -> Result<Arc<Self>, IngestError> {
        let LibraryParts {
            catalog,
            store,
            embedder,
            reader,
            home,
            config,
            tracker,
            cancel,
            tasks,
        } = parts;
        let shared = blocking(move || {
            Held::remove_leftovers(&home)?;
            let originals = Originals::open(&home)?;
            let in_work = InWork::open(&home)?;
            let shared = Arc::new(Shared::new(
                catalog, store, embedder, reader, home, originals, in_work, config, tracker,
                cancel, tasks,
            ));
            removal::remove_unacknowledged(&shared)?;
            suspects::judge(&shared)?;
            shared.begun_before(shared.catalog.unfinished()?);
            // A kill in the middle of a delete leaves the deleted words in the log. On a full disk they
            // stay until there is space: reading goes on.
            if let Err(error) = shared.catalog.empty_log() {
                tracing::warn!(%error, "the catalog's log could not be emptied");
            }
            Ok(shared)
        })
        .await?;
        pipeline::start(&shared);
        shared.keep_running("ingest.sweep", removal::sweep);
        shared.keep_running("ingest.upkeep", upkeep::run);
        let watches = Watches::start(&shared).await?;
        Ok(Arc::new(Self { shared, watches }))
    }

    /// Watches a folder: its files are documents from now on.
    ///
    /// # Errors
    /// [`IngestError::OutsideRoots`] unless the owner asks, [`IngestError::PathUnreadable`],
    /// [`IngestError::WatchedAlready`], [`IngestError::WatchRules`].
    pub async fn add_watch(
        &self,
        rules: WatchRules,
        asker: Asker,
    ) -> Result<WatchReport, IngestError> {
        self.watches.add(rules, asker).await
    }

    /// Ends a watch. Its documents are retired, or stay as if they had been uploaded.
    ///
    /// # Errors
    /// [`IngestError::WatchNotFound`], [`IngestError::WatchConfigured`].
    pub async fn remove_watch(
        &self,
        id: WatchId,
        documents: Deleted,
    ) -> Result<WatchReport, IngestError> {
        self.watches.remove(id, documents).await
    }

    /// The watched folders and how they are, the oldest first.
    pub async fn watches(&self) -> Result<Vec<WatchReport>, IngestError> {
        self.watches.all().await
    }

    /// The watched folders that somebody should look at. From memory.
    pub fn troubled_watches(&self) -> Vec<(WatchId, Condition)> {
        self.watches.troubled()
    }

    /// Begins to take a file in. `name` is what its sender calls it; folders in it are dropped.
    ///
    /// # Errors
    /// [`IngestError::QueueFull`], [`IngestError::DiskFull`].
    pub async fn begin_upload(
        &self,
        name: &str,
        collection: Collection,
        metadata: Map<String, Value>,
    ) -> Result<Upload, IngestError> {
        Upload::begin(Arc::clone(&self.shared), name, collection, metadata).await
    }

    /// Takes in a file, or the files of a folder, of this machine; see [`Self::take_path`], whose
    /// `skipped` this leaves out.
    pub async fn process_path(
        &self,
        path: &Path,
        collection: Collection,
    ) -> Result<Vec<Accepted>, IngestError> {
        self.take_path(path, collection)
            .await
            .map(|taken| taken.accepted)
    }

    /// Takes in a file, or the files of a folder and its folders, inside `ingest.allowed_roots`.
    /// `.gitignore` files are heeded, hidden files left out, links not followed. In a folder, a file
    /// that cannot be taken, or read by the look of its first bytes, is told of in `skipped` and the
    /// others go on.
    ///
    /// # Errors
    /// [`IngestError::OutsideRoots`], [`IngestError::PathUnreadable`], and for a single file whatever
    /// its upload would answer.
    pub async fn take_path(
        &self,
        path: &Path,
        collection: Collection,
    ) -> Result<Taken, IngestError> {
        folder::take(&self.shared, path, collection).await
    }

    /// Queues a document again: it is read, cut and embedded anew from its original, and stays visible as
    /// it is until that is done. One that is queued already, or in work, is left as it is.
    pub async fn process_again(&self, id: DocumentId) -> Result<Accepted, IngestError> {
        self.process_with(id, None).await
    }

    /// As [`Self::process_again`], with what opens its original, should that be encrypted: no password
    /// is kept from an earlier time.
    pub async fn process_with(
        &self,
        id: DocumentId,
        password: Option<Password>,
    ) -> Result<Accepted, IngestError> {
        let document = self.document(id).await?;
        if matches!(document.status, Status::Searchable | Status::Failed) {
            if let Some(password) = password {
                self.shared
                    .passwords
                    .keep(document.sha256, &document.collection, password);
            }
            if !self.shared.catalog.call(move |c| c.requeue(id)).await? {
                return Err(IngestError::NotFound(id));
            }
            self.shared.wake.notify_one();
        }
        let document = self.document(id).await?;
        Ok(Accepted {
            id,
            name: document.name,
            status: document.status,
            duplicate: false,
        })
    }

    /// One document.
    ///
    /// # Errors
    /// [`IngestError::NotFound`].
    pub async fn document(&self, id: DocumentId) -> Result<Document, IngestError> {
        let found = self.shared.catalog.call(move |c| c.document(id)).await?;
        found.ok_or(IngestError::NotFound(id))
    }

    /// What waits, what is in work, and how long all of it will take.
    pub async fn queue(&self) -> Result<Queue, IngestError> {
        Ok(self.shared.catalog.call(Catalog::queue).await?)
    }

    /// Documents, newest first.
    pub async fn documents(&self, listing: Listing) -> Result<Vec<Document>, IngestError> {
        Ok(self
            .shared
            .catalog
            .call(move |c| c.documents(&listing))
            .await?)
    }

    /// Removes a document from everywhere. When this returns nothing of it can be found; what could not
    /// be reached just now is named in [`Receipt::pending`] and removed as soon as it can be.
    ///
    /// # Errors
    /// [`IngestError::NotFound`].
    pub async fn delete(&self, id: DocumentId) -> Result<Receipt, IngestError> {
        removal::delete(&self.shared, id).await
    }

    /// Bytes of the stored text; empty while nothing of the document is visible.
    ///
    /// # Errors
    /// [`IngestError::NotFound`].
    pub async fn text(
        &self,
        id: DocumentId,
        start: Option<u64>,
        end: Option<u64>,
    ) -> Result<Vec<u8>, IngestError> {
        match self
            .shared
            .catalog
            .call(move |c| c.text(id, start, end))
            .await?
        {
            Some(text) => Ok(text),
            None => self.document(id).await.map(|_| Vec::new()),
        }
    }

    /// The original, opened.
    ///
    /// # Errors
    /// [`IngestError::NotFound`]; [`IngestError::Io`] when the file was lost.
    pub async fn original(&self, id: DocumentId) -> Result<Original, IngestError> {
        let document = self.document(id).await?;
        let path = self.shared.originals.path(document.sha256);
        let file = tokio::fs::File::open(&path)
            .await
            .map_err(|e| IngestError::io("the original could not be opened", &path, e))?;
        Ok(Original {
            file,
            name: document.name,
            media_type: document.media_type,
            bytes: document.bytes,
        })
    }

    /// Holds this moment of the library for a backup: what was acknowledged before is in it, and what is
    /// deleted while it is read stays until then. Uploads and deletes wait for the blink of it.
    ///
    /// # Errors
    /// [`IngestError::DiskFull`] when there is no room for a second catalog.
    pub async fn hold(&self) -> Result<Held, IngestError> {
        let stay = self.shared.originals.stay().await;
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            let (held, snapshot) = Held::begin(&shared.home, &shared.catalog)?;
            drop(stay);
            held.finish(snapshot)
        })
        .await
    }

    /// Waits until a document is searchable or failed, or the daemon stops.
    ///
    /// # Errors
    /// [`IngestError::NotFound`] when it is deleted meanwhile, [`IngestError::Stopping`].
    pub async fn wait(&self, id: DocumentId) -> Result<Document, IngestError> {
        // First listen, then look: a change in between is not missed.
        let mut changed = self.shared.changed.subscribe();
        loop {
            let document = self.document(id).await?;
            if matches!(document.status, Status::Searchable | Status::Failed) {
                return Ok(document);
            }
            loop {
                let change = tokio::select! {
                    change = changed.recv() => change,
                    () = self.shared.cancel.cancelled() => return Err(IngestError::Stopping),
                };
                match change {
                    Ok(other) if other != id => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => break,
                    Err(RecvError::Closed) => return Err(IngestError::Stopping),
                }
            }
        }
    }
}
