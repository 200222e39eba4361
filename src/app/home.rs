//! The home folder: one daemon at a time.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    os::unix::fs::DirBuilderExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::AppError;

/// How long the lock of a daemon that was killed may outlive it. A child that was forked when it died holds
/// the lock, too, until it has put on its limits and becomes another program, which takes some milliseconds,
/// or more on a machine that is loaded.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long to wait before the lock is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// Makes the home folder, for its owner only, and takes it for this process, until the file is dropped.
/// Blocks for three seconds where another holds it, see [`PATIENCE`].
///
/// # Errors
/// [`AppError::InUse`] where a daemon runs in it.
pub fn lock(home: &Path) -> Result<File, AppError> {
    lock_within(home, PATIENCE)
}

fn lock_within(home: &Path, patience: Duration) -> Result<File, AppError> {
    let failed = |source| AppError::Home {
        path: home.to_owned(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(home)
        .map_err(failed)?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(home.join("lock"))
        .map_err(failed)?;
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if started.elapsed() < patience => thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {
                return Err(AppError::InUse {
                    path: home.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
    }
}

/// Whether there is a file in one of a folder's folders.
pub(super) fn holds_files(folder: &Path) -> bool {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries(folder).any(|inner| entries(&inner.path()).next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_use_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let _held = lock(home.path()).unwrap();
        let refused = lock_within(home.path(), PAUSE);
        assert!(
            matches!(refused, Err(AppError::InUse { .. })),
            "{refused:?}"
        );
    }

    #[test]
    fn what_is_let_go_soon_is_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let held = lock(home.path()).unwrap();
        let letting_go = thread::spawn(move || {
            thread::sleep(PAUSE * 3);
            drop(held);
        });
        lock_within(home.path(), Duration::from_secs(600)).unwrap();
        letting_go.join().unwrap();
    }
}
