//! Keeps the shard's log short.
//!
//! The shard appends every update to files of [`SEGMENT_BYTES`] and never drops one, though it does not
//! read them again (version 0.7.2 does not replay). Only the number of the last update matters: later
//! updates must have greater ones, or the shard takes them for old. That number follows from the name
//! of the last closed file (`closed-N`, N being its first update) and the files after it, so all closed
//! files but the last can go while the shard is closed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{EdgeError, room};

/// Size of one file of the log. The default of the shard is 32 MiB, of which two are always there.
pub(crate) const SEGMENT_BYTES: usize = 8 * 1024 * 1024;

/// Closed files that are let lie before the shard is reopened to drop them: 128 MiB.
const MANY: usize = 16;

/// Whether it is time to reopen the shard: there are many files, or what could go takes
/// more than is free. Opening reads the whole index, so that is not for every flush.
pub(crate) fn is_long(shard: &Path) -> Result<bool, EdgeError> {
    let could_go = closed_files(shard)?.len().saturating_sub(1);
    let scarce = || room::free(shard).is_some_and(|free| is_scarce(could_go, free));
    Ok(could_go >= MANY || (could_go > 0 && scarce()))
}

fn is_scarce(could_go: usize, free: u64) -> bool {
    free < (could_go * SEGMENT_BYTES) as u64
}

/// Removes the closed files but the last. The shard must not be open.
pub(crate) fn prune(shard: &Path) -> Result<(), EdgeError> {
    let mut files = closed_files(shard)?;
    files.pop();
    // From the oldest on: after a kill in between, those left still follow one another.
    for (_, path) in files {
        fs::remove_file(&path).map_err(|source| EdgeError::io("remove", &path, source))?;
    }
    Ok(())
}

/// The closed files by their first update, ascending.
fn closed_files(shard: &Path) -> Result<Vec<(u64, PathBuf)>, EdgeError> {
    let folder = shard.join("wal");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(EdgeError::io("list", &folder, source)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| EdgeError::io("list", &folder, source))?;
        let name = entry.file_name();
        let first = name
            .to_str()
            .and_then(|name| name.strip_prefix("closed-")?.parse().ok());
        if let Some(first) = first {
            files.push((first, entry.path()));
        }
    }
    files.sort_unstable();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_closed_files_but_the_last_go() {
        let folder = std::env::temp_dir().join(format!("griot-edge-log-{}", std::process::id()));
        let wal = folder.join("wal");
        fs::create_dir_all(&wal).unwrap();
        for name in [
            "closed-0",
            "closed-900",
            "closed-1000",
            "open-4",
            "first-index",
        ] {
            fs::write(wal.join(name), "").unwrap();
        }
        prune(&folder).unwrap();
        let mut left: Vec<_> = fs::read_dir(&wal)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(left, ["closed-1000", "first-index", "open-4"]);
    }

    #[test]
    fn the_log_is_shorter_where_room_is_scarce() {
        let mib = |n: u64| n << 20;
        assert!(!is_scarce(1, mib(8)));
        assert!(is_scarce(1, mib(8) - 1));
        assert!(is_scarce(10, mib(50)));
        assert!(!is_scarce(15, mib(1000)));
        assert!(!is_scarce(0, 0));
    }
}
