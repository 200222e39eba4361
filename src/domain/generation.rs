//! A generation of the vector index: all documents' vectors, made with one embedding model.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{EmbedderIdentity, document::UnknownName};

/// What a generation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GenerationRole {
    /// It will answer once it holds everything.
    Building,
    /// It answers.
    Active,
    /// It answered before, and can again.
    Kept,
    /// It is to be removed.
    Dropped,
}

impl GenerationRole {
    /// The word used in JSON and in the catalog.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Active => "active",
            Self::Kept => "kept",
            Self::Dropped => "dropped",
        }
    }
}

impl fmt::Display for GenerationRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for GenerationRole {
    type Err = UnknownName;
    fn from_str(given: &str) -> Result<Self, UnknownName> {
        [Self::Building, Self::Active, Self::Kept, Self::Dropped]
            .into_iter()
            .find(|role| role.as_str() == given)
            .ok_or_else(|| UnknownName(given.to_owned()))
    }
}

/// One generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Generations are numbered in the order in which they were begun.
    pub number: u32,
    /// The embedding model.
    pub model: String,
    /// Length of each vector.
    pub dimension: usize,
    pub role: GenerationRole,
    /// Whether it holds every document, as far as it answers.
    pub complete: bool,
    pub made_at: Timestamp,
}

impl Generation {
    /// What a store was made for, as it is compared: by model and dimension.
    #[must_use]
    pub fn identity(&self) -> EmbedderIdentity {
        EmbedderIdentity {
            model: self.model.clone(),
            dimension: self.dimension,
            max_tokens: 0,
        }
    }
}
