//! A file on its way: written under `NAME.partial`, hashed while it grows, and given its final name
//! only when size and SHA-256 are right and the disk has it. Every source of a file yields the same
//! bytes, so whatever is there already is a beginning for any of them.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::domain::Sha256Hash;

use super::error::{DiskError, SourceError};

/// Bytes read or written at once.
pub const BLOCK: usize = 1 << 20;

/// See the module.
#[derive(Debug)]
pub struct Partial {
    file: File,
    path: PathBuf,
    hasher: Sha256,
    len: u64,
    wanted: u64,
}

/// Size and SHA-256 did not turn out as wanted.
#[derive(Debug, PartialEq, Eq)]
pub struct Mismatch {
    pub got: Sha256Hash,
}

/// More bytes came than the file may have.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLong;

impl Partial {
    /// Opens what is there of `path`, or begins it. What is there is read once, for its hash.
    pub fn open(path: &Path, wanted: u64) -> Result<Self, DiskError> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(DiskError::at("create", folder))?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(DiskError::at("open", path))?;
        let mut partial = Self {
            file,
            path: path.to_owned(),
            hasher: Sha256::new(),
            len: 0,
            wanted,
        };
        let mut block = vec![0; BLOCK];
        loop {
            let count = partial
                .file
                .read(&mut block)
                .map_err(DiskError::at("read", path))?;
            if count == 0 {
                break;
            }
            partial.hasher.update(&block[..count]);
            partial.len += count as u64;
        }
        if partial.len > wanted {
            partial.restart()?;
        }
        Ok(partial)
    }

    /// Bytes there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Bytes there will be.
    pub fn wanted(&self) -> u64 {
        self.wanted
    }

    /// Adds bytes at the end.
    pub fn append(&mut self, bytes: &[u8]) -> Result<Result<(), TooLong>, DiskError> {
        if self.len + bytes.len() as u64 > self.wanted {
            return Ok(Err(TooLong));
        }
        self.file
            .write_all(bytes)
            .map_err(DiskError::at("write", &self.path))?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(Ok(()))
    }

    /// Takes bytes off the end again. What stays is read once more, for its hash.
    pub fn cut_to(&mut self, len: u64) -> Result<(), DiskError> {
        self.file
            .set_len(len)
            .map_err(DiskError::at("write", &self.path))?;
        *self = Self::open(&self.path, self.wanted)?;
        Ok(())
    }

    /// Forgets everything.
    pub fn restart(&mut self) -> Result<(), DiskError> {
        self.file
            .set_len(0)
            .and_then(|()| std::io::Seek::rewind(&mut self.file))
            .map_err(DiskError::at("write", &self.path))?;
        self.hasher = Sha256::new();
        self.len = 0;
        Ok(())
    }

    /// Whether all bytes are there and are the right ones.
    pub fn check(&self, sha256: Sha256Hash) -> Result<(), Mismatch> {
        let got = Sha256Hash(self.hasher.clone().finalize().into());
        if got == sha256 && self.len == self.wanted {
            Ok(())
        } else {
            Err(Mismatch { got })
        }
    }

    /// Brings the bytes to the disk and gives them their final name, which outlives a power cut.
    pub fn finish(self, sha256: Sha256Hash, target: &Path) -> Result<(), SourceError> {
        self.check(sha256)
            .map_err(|Mismatch { got }| SourceError::WrongDigest {
                wanted: sha256,
                got,
            })?;
        self.file
            .sync_all()
            .map_err(DiskError::at("write", &self.path))?;
        settle(&self.path, target)?;
        Ok(())
    }
}

/// Renames, and syncs the folder so that the new name is on the disk too.
pub fn settle(path: &Path, target: &Path) -> Result<(), DiskError> {
    fs::rename(path, target).map_err(DiskError::at("rename", path))?;
    let folder = target.parent().unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(DiskError::at("sync", folder))
}

/// `NAME.partial` beside `target`.
pub fn partial_path(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

/// SHA-256 of a file.
pub fn hash_file(path: &Path) -> Result<Sha256Hash, DiskError> {
    let mut file = File::open(path).map_err(DiskError::at("open", path))?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block).map_err(DiskError::at("read", path))? {
            0 => return Ok(Sha256Hash(hasher.finalize().into())),
            count => hasher.update(&block[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha256(bytes: &[u8]) -> Sha256Hash {
        Sha256Hash(Sha256::digest(bytes).into())
    }

    #[test]
    fn a_file_goes_on_where_it_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("deep/model.bin");
        let path = partial_path(&target);
        let mut first = Partial::open(&path, 6).unwrap();
        first.append(b"abc").unwrap().unwrap();
        drop(first);
        let mut second = Partial::open(&path, 6).unwrap();
        assert_eq!(second.len(), 3);
        second.append(b"def").unwrap().unwrap();
        second.finish(sha256(b"abcdef"), &target).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"abcdef");
        assert!(!path.exists());
    }

    #[test]
    fn wrong_bytes_never_get_the_final_name() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("model.bin");
        let mut partial = Partial::open(&partial_path(&target), 3).unwrap();
        partial.append(b"abd").unwrap().unwrap();
        let error = partial.finish(sha256(b"abc"), &target).unwrap_err();
        assert!(matches!(error, SourceError::WrongDigest { got, .. } if got == sha256(b"abd")));
        assert!(!target.exists());
        // Too few bytes are wrong even where nobody looks at the hash.
        let mut short = Partial::open(&partial_path(&target), 4).unwrap();
        short.restart().unwrap();
        short.append(b"abc").unwrap().unwrap();
        assert!(short.finish(sha256(b"abc"), &target).is_err());
    }

    #[test]
    fn more_than_wanted_is_refused_and_an_overlong_rest_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bin.partial");
        fs::write(&path, b"much too long").unwrap();
        let mut partial = Partial::open(&path, 3).unwrap();
        assert_eq!(partial.len(), 0);
        assert_eq!(partial.append(b"abcd").unwrap(), Err(TooLong));
        assert_eq!(partial.append(b"abc").unwrap(), Ok(()));
        assert_eq!(fs::read(&path).unwrap(), b"abc");
    }
}
