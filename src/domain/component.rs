//! The parts that can fail apart from one another, by the names that answers, metrics and people use.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A part of the system whose absence lowers the level of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    Catalog,
    VectorStore,
    Embedder,
    LanguageModel,
    Transcriber,
    Synthesizer,
    /// The child processes that read documents.
    Extractor,
    /// Room on the disk that holds the library.
    Disk,
    /// Memory of the machine, or of the container.
    Memory,
    /// The daemon's own tasks.
    Tasks,
}

impl Component {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Catalog,
        Self::VectorStore,
        Self::Embedder,
        Self::LanguageModel,
        Self::Transcriber,
        Self::Synthesizer,
        Self::Extractor,
        Self::Disk,
        Self::Memory,
        Self::Tasks,
    ];

    /// The name in JSON and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Catalog => "catalog",
            Self::VectorStore => "vector_store",
            Self::Embedder => "embedder",
            Self::LanguageModel => "language_model",
            Self::Transcriber => "transcriber",
            Self::Synthesizer => "synthesizer",
            Self::Extractor => "extractor",
            Self::Disk => "disk",
            Self::Memory => "memory",
            Self::Tasks => "tasks",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
