//! all-MiniLM-L6-v2 from safetensors to ONNX.
//!
//! The package that carries the model holds weights only; this writes the graph around them. The same
//! weights always give the same bytes, so the manifest can name the hash of the result. It knows this
//! one architecture (BERT, 6 layers, 384 values, 12 heads) and refuses any other.
//!
//! Inputs `input_ids`, `attention_mask`, `token_type_ids`: `[batch, tokens]`. Output
//! `last_hidden_state`: `[batch, tokens, 384]`. Pooling is left to who runs the model.

mod graph;
mod proto;
mod safetensors;

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use safetensors::Weights;

/// SHA-256 of what [`convert`] makes of the published weights (`model.safetensors` of
/// `53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db`): 90,302,398 bytes.
pub const ONNX_SHA256: &str = "ce9421555dbfb77514fd2721905c51522c94cf6dcc570bcd30bfb407dc636f56";

/// Why a file could not be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// It is not a safetensors file, or it is cut off.
    #[error("the weights are not a whole safetensors file ({0}); fetch them again")]
    NotSafetensors(&'static str),
    /// A tensor of the architecture is missing or has another shape.
    #[error(
        "the weights are not those of all-MiniLM-L6-v2: tensor `{name}` should be 32-bit floats of \
         shape {expected:?}, {found}"
    )]
    OtherModel {
        name: String,
        expected: Vec<usize>,
        found: String,
    },
    /// A file could not be read or written.
    #[error("could not {doing} {}: {source}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

/// Writes the ONNX model for the weights in `safetensors` to `onnx`. Needs no memory beside its
/// argument worth mentioning: weights go straight from one to the other.
///
/// # Errors
/// [`ConvertError::NotSafetensors`] and [`ConvertError::OtherModel`] come before anything is written;
/// [`ConvertError::Io`] (with an empty path) where writing fails.
pub fn convert(safetensors: &[u8], onnx: &mut dyn Write) -> Result<(), ConvertError> {
    let weights = Weights::parse(safetensors)?;
    let model = graph::build(&weights)?;
    model.write(onnx).map_err(|source| ConvertError::Io {
        doing: "write the model",
        path: PathBuf::new(),
        source,
    })
}

/// [`convert`] from file to file. What is left of `onnx` after an error is not a model; on success it
/// is on disk (fsynced). Reads the weights into memory: 91 MB.
///
/// # Errors
/// As [`convert`], with the paths.
pub fn convert_file(safetensors: &Path, onnx: &Path) -> Result<(), ConvertError> {
    let io = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| ConvertError::Io {
            doing,
            path,
            source,
        }
    };
    let weights = fs::read(safetensors).map_err(io("read", safetensors))?;
    let file = File::create(onnx).map_err(io("create", onnx))?;
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    convert(&weights, &mut writer).map_err(|error| match error {
        ConvertError::Io { doing, source, .. } => io(doing, onnx)(source),
        other => other,
    })?;
    writer
        .into_inner()
        .map_err(io::IntoInnerError::into_error)
        .and_then(|file| file.sync_all())
        .map_err(io("write", onnx))
}

#[cfg(test)]
mod tests;
