//! One shard in place of another, whatever a kill comes between.
//!
//! The fresh one is written beside the old (`shard.fresh`), the old one steps aside (`shard.old`), the
//! fresh one takes its name. The old one steps aside only when the fresh one is whole and on the disk, so
//! where there is no `shard`, the fresh one is it.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use crate::EdgeError;

/// The folder of the shard in use.
pub(crate) const SHARD: &str = "shard";
const FRESH: &str = "shard.fresh";
const OLD: &str = "shard.old";

/// Says that points were deleted whose vectors are in the files still.
const MARK: &str = "deleted";

/// An empty folder for a fresh shard.
pub(crate) fn begin(folder: &Path) -> Result<PathBuf, EdgeError> {
    let fresh = folder.join(FRESH);
    remove_tree(&fresh)?;
    fs::create_dir(&fresh).map_err(|source| EdgeError::io("create", &fresh, source))?;
    Ok(fresh)
}

/// Removes what there is of a fresh shard that could not be made.
pub(crate) fn abandon(folder: &Path) {
    // Where it stays, the next one begins with removing it.
    let _ = remove_tree(&folder.join(FRESH));
}

/// The fresh shard, whole and synced, becomes the shard. Neither is open. `between`: when there is none.
pub(crate) fn exchange(folder: &Path, between: impl FnOnce()) -> Result<(), EdgeError> {
    let [shard, fresh, old] = [SHARD, FRESH, OLD].map(|name| folder.join(name));
    remove_tree(&old)?;
    fs::rename(&shard, &old).map_err(|source| EdgeError::io("rename", &shard, source))?;
    between();
    if let Err(source) = fs::rename(&fresh, &shard) {
        fs::rename(&old, &shard).map_err(|source| EdgeError::io("rename", &old, source))?;
        return Err(EdgeError::io("rename", &fresh, source));
    }
    sync(folder)
}

/// Ends an exchange that was broken off, and removes what is left of one.
pub(crate) fn finish(folder: &Path) -> Result<(), EdgeError> {
    let [shard, fresh] = [SHARD, FRESH].map(|name| folder.join(name));
    if !shard.exists() && fresh.exists() {
        fs::rename(&fresh, &shard).map_err(|source| EdgeError::io("rename", &fresh, source))?;
        sync(folder)?;
    }
    remove_tree(&fresh)?;
    if shard.exists() {
        remove_tree(&folder.join(OLD))?;
    }
    Ok(())
}

pub(crate) fn is_marked(folder: &Path) -> bool {
    folder.join(MARK).exists()
}

/// On return the mark is on the disk.
pub(crate) fn mark(folder: &Path) -> Result<(), EdgeError> {
    let path = folder.join(MARK);
    if path.exists() {
        return Ok(());
    }
    File::create(&path).map_err(|source| EdgeError::io("create", &path, source))?;
    sync(folder)
}

pub(crate) fn unmark(folder: &Path) -> Result<(), EdgeError> {
    let path = folder.join(MARK);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(EdgeError::io("remove", &path, error))
        }
        _ => Ok(()),
    }
}

/// Brings every file and every name below `folder` to the disk.
pub(crate) fn sync_tree(folder: &Path) -> Result<(), EdgeError> {
    let entries = fs::read_dir(folder).map_err(|source| EdgeError::io("list", folder, source))?;
    for entry in entries {
        let path = entry
            .map_err(|source| EdgeError::io("list", folder, source))?
            .path();
        if path.is_dir() {
            sync_tree(&path)?;
        } else {
            sync(&path)?;
        }
    }
    sync(folder)
}

fn sync(path: &Path) -> Result<(), EdgeError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|source| EdgeError::io("sync", path, source))
}

fn remove_tree(path: &Path) -> Result<(), EdgeError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(EdgeError::io("remove", path, error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What there is after a kill, and what `finish` makes of it: which shard is in use, and nothing else.
    #[test]
    fn a_broken_off_exchange_is_ended() {
        let check = |there: &[&str], in_use: Option<&str>| {
            let folder = tempfile::tempdir().unwrap();
            for name in there {
                fs::create_dir(folder.path().join(name)).unwrap();
                fs::write(folder.path().join(name).join("was"), name).unwrap();
            }
            finish(folder.path()).unwrap();
            let was = fs::read_to_string(folder.path().join(SHARD).join("was")).ok();
            assert_eq!(was.as_deref(), in_use, "{there:?}");
            let left = fs::read_dir(folder.path()).unwrap().count();
            assert_eq!(left, usize::from(in_use.is_some()), "{there:?}");
        };
        check(&[], None);
        check(&["shard"], Some("shard"));
        check(&["shard", "shard.fresh"], Some("shard"));
        check(&["shard.fresh", "shard.old"], Some("shard.fresh"));
        check(&["shard", "shard.old"], Some("shard"));
    }
}
