//! From the format that a source carries to the one that griot loads.

use std::path::Path;

use super::{error::DiskError, manifest::Recipe};

/// Why a conversion failed.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Until `weights::minilm` lands.
    #[error("this build has no converter for {0:?}")]
    NoConverter(Recipe),
}

/// Writes `output` from `input`. Blocks. The same input gives the same bytes.
pub fn run(recipe: Recipe, _input: &Path, _output: &Path) -> Result<(), ConvertError> {
    Err(ConvertError::NoConverter(recipe))
}
