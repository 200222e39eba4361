//! Documents in: kept, read, cut, embedded, made searchable, and taken out again.
//!
//! [`Library`] is the service. [`extract`] reads file formats, in the limited child process of [`jail`]
//! only. Not known here: HTTP, who answers questions, and which store and embedder there are.

mod background;
pub mod chunk;
pub mod extract;
mod folder;
mod held;
pub mod jail;
mod library;
pub mod ocr;
mod originals;
pub mod password;
mod patience;
mod pipeline;
pub mod reader;
pub mod reindex;
mod removal;
mod retries;
mod room;
mod shared;
mod suspects;
mod upkeep;
mod upload;
pub mod watch;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;

pub use held::Held;
pub use library::{Library, LibraryParts};
pub use password::Password;
pub use reader::{Reader, Source};
pub use reindex::Reindex;
pub use upload::Upload;

use crate::{
    catalog::CatalogError,
    domain::{Component, DocumentId, MediaType, Status, WatchId},
    ports::PortError,
};

/// A document that is durable: its original is on the disk and its row is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub id: DocumentId,
    pub name: String,
    pub status: Status,
    /// The same bytes were in the collection already; `id` is that document.
    pub duplicate: bool,
}

/// What became of a folder's files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Taken {
    pub accepted: Vec<Accepted>,
    pub skipped: Vec<Skipped>,
}

/// A file that was not taken, and why, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub path: PathBuf,
    pub reason: String,
}

/// What a delete removed from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Receipt {
    pub id: DocumentId,
    pub name: String,
    /// Passages of the catalog and of its index of words.
    pub chunks: u64,
    /// Points of the vector store.
    pub points: u64,
    /// Bytes of stored text.
    pub text_bytes: u64,
    /// `false` when another document (the same file in another collection) still needs it.
    pub original_removed: bool,
    /// Size of the original.
    pub original_bytes: u64,
    /// Turns of conversations whose answers quoted it.
    pub turns: u64,
    /// Parts that could not be reached. Nothing of the document is shown any more; what they hold of it
    /// is removed as soon as they answer.
    pub pending: Vec<Component>,
    /// Parts whose files still hold traces that no search can reach (vectors of removed points, words in
    /// pages of the catalog): they are written anew in the background.
    pub sweeping: Vec<Component>,
}

/// A document's original, opened.
#[derive(Debug)]
pub struct Original {
    pub file: tokio::fs::File,
    pub name: String,
    pub media_type: Option<MediaType>,
    pub bytes: u64,
}

/// Why the library could not do it.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error("there is no document {0}")]
    NotFound(DocumentId),
    #[error("the file is larger than the {limit} bytes that `ingest.max_file_bytes` allows")]
    TooLarge { limit: u64 },
    #[error("as many documents wait as may; try again in {} s", retry_after.as_secs())]
    QueueFull { retry_after: Duration },
    #[error("the disk is full; nothing was kept of the file, free some space and send it again")]
    DiskFull,
    #[error("the file is empty")]
    EmptyFile,
    #[error(
        "{} is outside the folders that may be read; `ingest.allowed_roots` names them",
        path.display()
    )]
    OutsideRoots { path: PathBuf },
    #[error("there is no watch {0}")]
    WatchNotFound(WatchId),
    #[error("{} is watched already", path.display())]
    WatchedAlready { path: PathBuf },
    #[error("{} is watched because the settings say so; take it out of `ingest.watch`", path.display())]
    WatchConfigured { path: PathBuf },
    #[error("the rules of the watch are not right: {reason}")]
    WatchRules { reason: String },
    #[error("{} cannot be read: {source}", path.display())]
    PathUnreadable { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Catalog(CatalogError),
    #[error(transparent)]
    Port(#[from] PortError),
    #[error("{what}: {}: {source}", path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("the daemon is stopping; send it again when it runs")]
    Stopping,
}

impl IngestError {
    /// An error of the home folder's files; a full disk is a case of its own.
    fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::Io {
                what,
                path: path.to_owned(),
                source,
            },
        }
    }
}

/// A full disk is one case, whoever met it.
impl From<CatalogError> for IngestError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::DiskFull => Self::DiskFull,
            other => Self::Catalog(other),
        }
    }
}
