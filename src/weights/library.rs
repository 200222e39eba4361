//! The models' folder as it is on the disk.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::domain::Sha256Hash;

use super::{
    error::DiskError,
    manifest::{Model, ModelFile},
    partial::{hash_file, partial_path},
};

/// A folder of models' files.
#[derive(Debug, Clone)]
pub struct Library {
    dir: PathBuf,
}

/// What a look at a file's name and size tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There, with the right size. Files get their name only after their SHA-256 was right.
    There,
    /// Begun: so many bytes.
    Begun(u64),
    Missing,
}

/// What reading a whole file tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Whole,
    Damaged { got: Sha256Hash },
    WrongSize { got: u64 },
    Missing,
}

/// A model that is wanted and is not on the disk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is not in {}: run `griot models pull {model}`", file, dir.display())]
pub struct NotThere {
    pub model: String,
    pub file: String,
    pub dir: PathBuf,
}

impl Library {
    /// The folder need not exist.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the file is, or would be.
    #[must_use]
    pub fn path(&self, file: &ModelFile) -> PathBuf {
        self.dir.join(&file.path)
    }

    /// The model's file with that ending (such as `.gguf` or `/tokenizer.json`), if it is there.
    pub fn find(&self, model: &Model, ending: &str) -> Result<PathBuf, NotThere> {
        let missing = |file: &str| NotThere {
            model: model.name.clone(),
            file: file.to_owned(),
            dir: self.dir.clone(),
        };
        let file = model.file(ending).ok_or_else(|| missing(ending))?;
        match self.state(file) {
            State::There => Ok(self.path(file)),
            _ => Err(missing(&file.path)),
        }
    }

    /// What is there of a file, without reading it.
    #[must_use]
    pub fn state(&self, file: &ModelFile) -> State {
        let len = |path: &Path| fs::metadata(path).ok().map(|data| data.len());
        let path = self.path(file);
        match len(&path) {
            Some(bytes) if bytes == file.bytes => State::There,
            _ => len(&partial_path(&path)).map_or(State::Missing, State::Begun),
        }
    }

    /// Reads the whole file. Blocks.
    pub fn verify(&self, file: &ModelFile) -> Result<Verdict, DiskError> {
        let path = self.path(file);
        let bytes = match fs::metadata(&path) {
            Ok(data) => data.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Verdict::Missing),
            Err(error) => return Err(DiskError::at("read", &path)(error)),
        };
        if bytes != file.bytes {
            return Ok(Verdict::WrongSize { got: bytes });
        }
        let got = hash_file(&path)?;
        Ok(if got == file.sha256 {
            Verdict::Whole
        } else {
            Verdict::Damaged { got }
        })
    }
}
