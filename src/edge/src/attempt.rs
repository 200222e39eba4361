//! Damaged files may end the whole program: a mapped file that was cut short is a SIGBUS, an absurd
//! length an abort. What may do that is counted on disk while it is tried, so that it is not tried for
//! ever.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
};

use crate::EdgeError;

const FILE: &str = "attempt";

/// How often the program may end in an attempt before the files count as damaged.
const ATTEMPTS: u64 = 3;

/// Runs `work`, unless the program ended in the last attempts at such work in this folder.
pub(crate) fn counted<T>(
    folder: &Path,
    doing: &'static str,
    work: impl FnOnce() -> Result<T, EdgeError>,
) -> Result<T, EdgeError> {
    let path = folder.join(FILE);
    // One byte an attempt.
    let before = fs::metadata(&path).map_or(0, |file| file.len());
    if before >= ATTEMPTS {
        return Err(EdgeError::Broken {
            doing,
            reason: format!("the program ended in each of the last {before} attempts"),
        });
    }
    // Uncounted where the disk is full: the count is for damage, which is rare.
    let _ = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(b"."));
    let result = work();
    let _ = fs::remove_file(&path);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fourth_attempt_is_not_made_when_three_did_not_end() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..3 {
            let end = std::panic::AssertUnwindSafe(|| {
                counted::<()>(folder.path(), "open", || panic!("as if by a signal"))
            });
            assert!(std::panic::catch_unwind(end).is_err());
        }
        let refused = counted(folder.path(), "open", || Ok(())).unwrap_err();
        assert!(refused.to_string().contains("last 3 attempts"), "{refused}");
    }

    #[test]
    fn an_attempt_that_ends_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..9 {
            counted(folder.path(), "open", || Ok(())).unwrap();
        }
        let failed = || EdgeError::Closed {
            folder: folder.path().to_owned(),
        };
        for _ in 0..9 {
            let result = counted::<()>(folder.path(), "open", || Err(failed()));
            assert!(matches!(result, Err(EdgeError::Closed { .. })));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
