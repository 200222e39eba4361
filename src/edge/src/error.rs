//! What can go wrong with the index, as far as a caller treats it differently.

use std::{
    io,
    path::{Path, PathBuf},
};

use qdrant_edge::OperationError;

use crate::Identity;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// Another process, or another part of this one, has it open.
    #[error(
        "the index in {} is in use by another griot; stop that one, or use another home folder",
        folder.display()
    )]
    Locked { folder: PathBuf },
    /// Its vectors cannot be compared with those asked for.
    #[error(
        "the index in {} was made with {recorded}, but {asked} is configured; set `embed.model` back, \
         or remove that folder and the documents are embedded again",
        folder.display()
    )]
    OtherIdentity {
        folder: PathBuf,
        recorded: Identity,
        asked: Identity,
    },
    /// A vector of the wrong length was given.
    #[error("a vector of {given} values was given to an index of {dimension}")]
    WrongDimension { given: usize, dimension: usize },
    /// The shard found the request invalid.
    #[error("the index did not take the request: {source}")]
    Invalid { source: OperationError },
    /// An operation of the file system failed.
    #[error("could not {doing} {}: {source}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// The shard failed (a full disk, damaged files, a fault in it).
    #[error("the index failed to {doing}: {reason}")]
    Broken { doing: &'static str, reason: String },
    /// It was closed by an earlier failure and could not be opened again.
    #[error("the index in {} is closed after a failure; it is opened again at the next write", folder.display())]
    Closed { folder: PathBuf },
}

impl EdgeError {
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn operation(doing: &'static str, source: OperationError) -> Self {
        match source {
            OperationError::ServiceError { description, .. } => Self::Broken {
                doing,
                reason: description,
            },
            OperationError::InconsistentStorage { .. }
            | OperationError::OutOfMemory { .. }
            | OperationError::Cancelled { .. }
            | OperationError::Timeout { .. } => Self::Broken {
                doing,
                reason: source.to_string(),
            },
            source => Self::Invalid { source },
        }
    }
}
