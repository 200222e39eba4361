//! A watched folder: its files are documents, and stay so as long as they are there.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Collection, Sha256Hash, WatchId, document::UnknownName};

/// What becomes of a document whose file was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deleted {
    /// It goes too.
    #[default]
    Retire,
    /// It stays, as if it had been uploaded.
    Keep,
}

impl Deleted {
    /// The word used in JSON, in settings and in the catalog.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retire => "retire",
            Self::Keep => "keep",
        }
    }
}

impl fmt::Display for Deleted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Deleted {
    type Err = UnknownName;
    fn from_str(given: &str) -> Result<Self, UnknownName> {
        match given {
            "retire" => Ok(Self::Retire),
            "keep" => Ok(Self::Keep),
            other => Err(UnknownName(other.to_owned())),
        }
    }
}

/// Which files of a folder are documents of which collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchRules {
    /// The folder, absolute and without links.
    pub root: PathBuf,
    pub collection: Collection,
    /// Patterns as in `.gitignore`; a file fits one of them, where there are any.
    pub include: Vec<String>,
    /// Patterns as in `.gitignore`; a file that fits one is left out, whatever `include` says.
    pub exclude: Vec<String>,
    pub deleted: Deleted,
}

/// A watched folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    pub id: WatchId,
    pub rules: WatchRules,
    /// It stands in the settings, and only there can it be changed.
    pub configured: bool,
}

/// What a file system says of a file: as long as that is the same, so are the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    pub size: u64,
    /// Nanoseconds since 1970. 0 says that the file changed so shortly before it was read that it may
    /// have changed again without a trace: the stamp proves nothing.
    pub modified: i64,
    pub inode: u64,
    pub device: u64,
}

impl FileStamp {
    /// Whether a file of stamp `now` has the bytes that the file of this stamp had.
    #[must_use]
    pub fn proves_same(&self, now: &Self) -> bool {
        self.modified != 0 && self == now
    }

    /// The stamp to remember of a file that was read at `read` (nanoseconds since 1970). Some file
    /// systems count in steps of two seconds.
    #[must_use]
    pub fn read_at(self, read: i64) -> Self {
        const STEP: i64 = 2_000_000_000;
        let settled = read.saturating_sub(self.modified) > STEP;
        Self {
            modified: if settled { self.modified } else { 0 },
            ..self
        }
    }
}

/// The bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    pub sha256: Sha256Hash,
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_proves_what_it_can() {
        let stamp = FileStamp {
            size: 1,
            modified: 10_000_000_000,
            inode: 3,
            device: 4,
        };
        let check = |read: i64, now: FileStamp, expected: bool| {
            assert_eq!(
                stamp.read_at(read).proves_same(&now),
                expected,
                "{read} {now:?}"
            );
        };
        check(20_000_000_000, stamp, true);
        check(11_999_999_999, stamp, false);
        // A clock that was set back proves nothing either.
        check(5_000_000_000, stamp, false);
        for other in [
            FileStamp { size: 2, ..stamp },
            FileStamp {
                modified: 10_000_000_001,
                ..stamp
            },
            FileStamp { inode: 5, ..stamp },
            FileStamp { device: 5, ..stamp },
        ] {
            check(20_000_000_000, other, false);
        }
    }
}
