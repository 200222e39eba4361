//! Whisper from CTranslate2's form to that of whisper.cpp, with 8-bit weights.
//!
//! The packages and repositories within reach carry the former only. The same weights always give the same
//! bytes, so the manifest can name the hash of the result. It reads the English model `tiny.en` and its kin:
//! the sizes are taken from the tensors, the vocabulary from the file beside the weights.

mod ctranslate;
mod ggml;

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use ctranslate::Weights;

/// The file of the vocabulary, beside the model that is written.
const VOCABULARY: &str = "vocabulary.txt";

/// Why a file could not be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// It is not a CTranslate2 model, or it is cut off.
    #[error("the weights are not a whole CTranslate2 model ({0}); fetch them again")]
    NotCTranslate(&'static str),
    /// A tensor of the architecture is missing or has another form.
    #[error("the weights are not those of an English Whisper model: tensor `{name}` {problem}")]
    OtherModel { name: String, problem: &'static str },
    /// The vocabulary has another form than the model's.
    #[error("the vocabulary does not belong to the model ({0}); fetch it again")]
    OtherVocabulary(&'static str),
    /// A file could not be read or written.
    #[error("could not {doing} {}: {source}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

/// Writes the model of `weights` with the words of `vocabulary` (a line each, in the letters that GPT-2
/// writes bytes with).
///
/// # Errors
/// [`ConvertError::Io`] (with an empty path) where writing fails; all others come before anything is written.
pub fn convert(
    weights: &[u8],
    vocabulary: &str,
    output: &mut dyn Write,
) -> Result<(), ConvertError> {
    let weights = Weights::parse(weights)?;
    let model = ggml::build(&weights, vocabulary)?;
    model.write(output).map_err(|source| ConvertError::Io {
        doing: "write the model",
        path: PathBuf::new(),
        source,
    })
}

/// [`convert`] from file to file, with the vocabulary from the folder of `output`. What is left of `output`
/// after an error is not a model; on success it is on disk (fsynced). Reads the weights into memory: 76 MB.
///
/// # Errors
/// As [`convert`], with the paths.
pub fn convert_file(weights: &Path, output: &Path) -> Result<(), ConvertError> {
    let io = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| ConvertError::Io {
            doing,
            path,
            source,
        }
    };
    let vocabulary = output.with_file_name(VOCABULARY);
    let words = fs::read_to_string(&vocabulary).map_err(io("read", &vocabulary))?;
    let input = fs::read(weights).map_err(io("read", weights))?;
    let file = File::create(output).map_err(io("create", output))?;
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    convert(&input, &words, &mut writer).map_err(|error| match error {
        ConvertError::Io { doing, source, .. } => io(doing, output)(source),
        other => other,
    })?;
    writer
        .into_inner()
        .map_err(io::IntoInnerError::into_error)
        .and_then(|file| file.sync_all())
        .map_err(io("write", output))
}

#[cfg(test)]
mod tests;
