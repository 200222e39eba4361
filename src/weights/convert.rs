//! From the format that a source carries to the one that griot loads.

use std::path::Path;

use super::{error::DiskError, manifest::Recipe, minilm, whisper};

/// Why a conversion failed.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Minilm(#[from] minilm::ConvertError),
    #[error(transparent)]
    Whisper(#[from] whisper::ConvertError),
}

/// Writes `output` from `input`, down to the disk. Blocks. The same input gives the same bytes.
pub fn run(recipe: Recipe, input: &Path, output: &Path) -> Result<(), ConvertError> {
    match recipe {
        Recipe::MinilmOnnx => Ok(minilm::convert_file(input, output)?),
        Recipe::WhisperGgml => Ok(whisper::convert_file(input, output)?),
    }
}
