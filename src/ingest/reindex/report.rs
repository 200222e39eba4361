//! How it stands with the index, and why nothing can be done about it.

use super::super::IngestError;
use crate::{catalog::Coverage, domain::Generation, ports::PortError};

/// What is done about the index just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Nothing: it answers.
    Idle,
    /// Nothing can be: the reason says why.
    Closed,
    /// Another generation is built beside the one that answers.
    Building,
    /// The kept one is brought up to date, to answer again.
    RollingBack,
    /// The one in use is filled from the catalog; questions are answered by words.
    Filling,
}

impl Activity {
    /// The word used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Closed => "closed",
            Self::Building => "building",
            Self::RollingBack => "rolling_back",
            Self::Filling => "filling",
        }
    }
}

/// How the index is, and how far what is done about it.
#[derive(Debug, Clone)]
pub struct Report {
    pub activity: Activity,
    /// The model that the settings name.
    pub configured: String,
    pub active: Option<Generation>,
    pub building: Option<Generation>,
    pub kept: Option<Generation>,
    /// Of the generation that something is done about.
    pub coverage: Coverage,
    pub chunks_per_s: Option<f32>,
    pub time_left_s: Option<u64>,
    /// What it waits for, or why nothing can be done.
    pub trouble: Option<String>,
}

/// How the index is, as far as is known without looking anything up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub activity: Activity,
    /// The model that answers.
    pub model: String,
    /// The model that the settings name.
    pub configured: String,
    /// What a person should know and do, if anything.
    pub notice: Option<String>,
}

/// Why it could not be begun.
#[derive(Debug, thiserror::Error)]
pub enum ReindexError {
    #[error("the index is being {0} already; `griot reindex --status` says how far it is")]
    Busy(&'static str),
    #[error(
        "the index was made with {model} already; set `embed.model` to another one and restart griot, \
         or give --force to make it anew"
    )]
    NothingToDo { model: String },
    #[error("no earlier index is kept to go back to")]
    NothingKept,
    #[error("the embedding model {model} cannot be used: {source}")]
    Model { model: String, source: PortError },
    #[error(transparent)]
    Ingest(#[from] IngestError),
}

impl From<crate::catalog::CatalogError> for ReindexError {
    fn from(error: crate::catalog::CatalogError) -> Self {
        Self::Ingest(error.into())
    }
}

impl From<PortError> for ReindexError {
    fn from(error: PortError) -> Self {
        Self::Ingest(error.into())
    }
}
