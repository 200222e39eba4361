//! The truth, in SQLite: documents, their text and chunks with an FTS5 index over the words,
//! conversations and incidents. WAL, `synchronous=FULL`: what a method has returned is durable.
//!
//! Methods block; async callers go through [`Catalog::call`]. What of a document is visible is
//! decided here alone: the row's `revision`, flipped in the same transaction that writes the text,
//! the chunks and the FTS rows.
//!
//! Not known here: files (an original is named by its hash alone), the vector store, and what makes a
//! document fail. What the daemon is working on is kept in memory only ([`Catalog::progress`]).

mod cleanups;
mod column;
mod connection;
mod conversations;
mod documents;
mod embedded;
mod generations;
mod in_work;
mod incidents;
#[cfg(test)]
mod migrations;
mod profiles;
mod publication;
mod schema;
mod snapshot;
#[cfg(test)]
mod tests;
mod traces;
mod watches;
mod words;

use std::{path::Path, sync::Arc};

use jiff::Timestamp;

pub use cleanups::Cleanup;
pub use generations::{ChunkRun, Coverage, forget_index};
pub use snapshot::{Contents, Snapshot, inspect};
pub use watches::{Assigned, Assignment, WatchCounts, WatchedFile, key_of};

use crate::domain::{
    Chunk, ChunkKey, Collection, Document, DocumentId, Fingerprint, Locator, MediaType, PageReport,
    Sha256Hash,
};

/// The catalog's file, opened. Methods block for as long as a disk does.
#[derive(Debug)]
pub struct Catalog {
    connections: connection::Connections,
    in_work: in_work::InWork,
}

impl Catalog {
    /// Opens the catalog's file, or makes it, and brings it to the current schema. The folder must
    /// exist.
    ///
    /// # Errors
    /// [`CatalogError::Newer`] and [`CatalogError::Damaged`] leave the file as it was.
    pub fn open(path: &Path) -> Result<Self, CatalogError> {
        Ok(Self {
            connections: connection::Connections::open(path)?,
            in_work: in_work::InWork::default(),
        })
    }

    /// One unit of real work, which leaves nothing behind: takes the lock of a writer, reads, writes, and
    /// takes it back.
    ///
    /// # Errors
    /// Why the catalog cannot be used.
    pub fn check(&self) -> Result<(), CatalogError> {
        self.connections.try_out()
    }

    #[cfg(test)]
    pub(crate) fn limit_pages(&self, more: i64) {
        self.connections.limit_pages(more);
    }

    /// Runs `work` on a thread that may block. It runs to its end even when the caller is cancelled.
    pub async fn call<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T, CatalogError> {
        let catalog = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&catalog))
            .await
            .map_err(|ended| CatalogError::Stopped(ended.to_string()))?
    }
}

/// Why the catalog could not do it.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// No space on the disk (or a quota): nothing was changed.
    #[error("the disk that holds the catalog is full; nothing was changed, free some space")]
    DiskFull,
    /// Written by a newer program; nothing was touched.
    #[error(
        "the catalog has schema {found}, this program knows up to {known}; use the newer griot"
    )]
    Newer { found: i64, known: i64 },
    /// The file is damaged.
    #[error(
        "the catalog is damaged ({0}); put a backup in its place, or, where there is none, move the \
         home folder away and ingest the files in its `originals` again"
    )]
    Damaged(String),
    #[error("the catalog failed: {0}")]
    Sqlite(#[source] rusqlite::Error),
    #[error("the catalog's thread ended: {0}")]
    Stopped(String),
}

/// A document to be recorded: its original is already durable.
#[derive(Debug, Clone)]
pub struct NewDocument {
    pub name: String,
    pub bytes: u64,
    pub sha256: Sha256Hash,
    pub collection: Collection,
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

/// What recording found.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub document: Document,
    /// The same bytes are in this collection already; `document` is that one.
    pub duplicate: bool,
}

/// Everything that makes a revision visible, in one transaction.
#[derive(Debug, Clone)]
pub struct Publication {
    pub document: DocumentId,
    pub revision: u32,
    pub media_type: MediaType,
    /// The stored text. Chunks' and citations' byte ranges point into it.
    pub text: String,
    pub pages: Vec<PageReport>,
    pub chunks: Vec<Chunk>,
    /// What each chunk's vector was made of, so that it can be used again where the same text comes
    /// again ([`Catalog::embedded`]); empty where that is not wanted.
    pub embedded: Vec<Fingerprint>,
}

/// A chunk of a visible revision, with what an answer shows of its document.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    pub key: ChunkKey,
    pub document_name: String,
    pub collection: Collection,
    pub locator: Locator,
    pub text: String,
}

/// Which documents to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    pub collection: Option<Collection>,
    /// At most this many.
    pub limit: usize,
    /// Those older than this one (the last of the page before).
    pub after: Option<DocumentId>,
}

/// One exchange of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    pub question: String,
    pub answer: String,
    pub at: Timestamp,
}

/// What a delete removed from the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removed {
    pub chunks: u64,
    pub text_bytes: u64,
    /// Whether another document still needs the original's bytes (same file in another collection).
    pub original_shared: bool,
    /// Conversation turns whose answers quoted the document and were removed with it.
    pub turns: u64,
}

/// Totals, for `griot status` and the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    pub documents: u64,
    pub queued: u64,
    pub searchable: u64,
    pub failed: u64,
    pub chunks: u64,
}
