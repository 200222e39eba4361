//! Room on the disk. The shard writes through mapped files, where a full disk is a signal that ends the
//! program and not an error; in memory file systems reading a part that was never written is too. So
//! nothing of that is begun where there may be too little.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use crate::EdgeError;

/// Bytes that are free when a write is begun, or a shard is opened.
pub(crate) const LEAST: u64 = 4 * 1024 * 1024;

/// # Errors
/// [`EdgeError::Io`] of the kind `StorageFull` when less than `bytes` are free.
pub(crate) fn at_least(bytes: u64, folder: &Path) -> Result<(), EdgeError> {
    match free(folder) {
        Some(free) if free < bytes => Err(EdgeError::io(
            "write to",
            folder,
            io::ErrorKind::StorageFull.into(),
        )),
        // A file system that does not tell says so when it is full.
        _ => Ok(()),
    }
}

/// Bytes that are free where the folder is, if the file system tells.
pub(crate) fn free(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Bytes of the disk that a folder takes, about: what goes while it is counted does not count.
pub(crate) fn taken_by(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(what) if what.is_dir() => taken_by(&entry.path()),
            Ok(what) => what.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_had_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        at_least(1, folder.path()).unwrap();
        let refused = at_least(u64::MAX, folder.path()).unwrap_err();
        assert!(
            matches!(&refused, EdgeError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull),
            "{refused}"
        );
        assert!(
            refused.to_string().contains("no storage space"),
            "{refused}"
        );
    }

    #[test]
    fn what_is_taken_is_counted_with_folders_and_without_holes() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("full"), vec![1; 100_000]).unwrap();
        let sparse = fs::File::create(folder.path().join("sparse")).unwrap();
        sparse.set_len(1 << 30).unwrap();
        let taken = taken_by(folder.path());
        assert!((100_000..1_000_000).contains(&taken), "{taken}");
    }
}
