//! The documents' own bytes, as files named by their SHA-256: `originals/ab/cdef…`.
//!
//! A file gets its name only when its bytes are on the disk, and its name is on the disk before anybody
//! is told. What came in part lies in `incoming/` and is thrown away at the next start.
//!
//! An upload that gives a file its name leaves a note of that in `incoming/` until its row is committed:
//! a file with a note and without a row was never acknowledged, and goes at the next start. One without
//! a note is never removed for want of a row: the catalog may be the one that is wrong. Whether a file
//! is still needed is the catalog's to say.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::{Mutex, MutexGuard, OwnedRwLockWriteGuard, RwLock, RwLockReadGuard};

use super::IngestError;
use crate::{
    domain::Sha256Hash,
    failpoints::{Point, pass},
};

/// The ending of the note that an original was placed whose row may not be there.
const NOTE: &str = "placed";

/// Locks that files are spread over by the first byte of their name.
const LOCKS: usize = 64;

/// The folders of a home.
#[derive(Debug)]
pub(super) struct Originals {
    home: PathBuf,
    originals: PathBuf,
    incoming: PathBuf,
    /// Whoever decides whether a file stays (an upload that finds it there, a delete that finds it
    /// superfluous) holds its lock until the catalog says so too.
    locks: [Mutex<()>; LOCKS],
    /// Held for reading with each of `locks`, and for writing by whoever needs all files to stay.
    all: Arc<RwLock<()>>,
    /// Folders of `originals/`, by the first byte of their files' hashes, whose own name is known to be
    /// durable.
    durable: [AtomicBool; 256],
}

/// The right to place or remove one file.
#[derive(Debug)]
pub(super) struct Locked<'a> {
    _one: MutexGuard<'a, ()>,
    _all: RwLockReadGuard<'a, ()>,
}

/// Why an original could not be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unopened {
    /// It is not there, or not what was stored.
    #[error("the original {} is lost: {reason}", path.display())]
    Lost { path: PathBuf, reason: io::Error },
    /// It may be there: the machine could not say.
    #[error("the original {} could not be opened: {source}", path.display())]
    Fault { path: PathBuf, source: io::Error },
}

impl Unopened {
    /// Whether it may be this one file that cannot be read, and not any.
    pub(super) fn is_of_the_file(&self) -> bool {
        let source = match self {
            Self::Lost { .. } => return true,
            Self::Fault { source, .. } => source,
        };
        source.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
            || source.kind() == io::ErrorKind::PermissionDenied
    }
}

impl Originals {
    /// Opens the folders, or makes them, and empties `incoming/`.
    pub(super) fn open(home: &Path) -> Result<Self, IngestError> {
        let originals = home.join("originals");
        let incoming = home.join("incoming");
        for folder in [&originals, &incoming] {
            fs::create_dir_all(folder)
                .map_err(|e| IngestError::io("the folder could not be made", folder, e))?;
        }
        let entries = fs::read_dir(&incoming)
            .map_err(|e| IngestError::io("the folder could not be read", &incoming, e))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if noted(&path).is_none()
                && let Err(error) = fs::remove_file(&path)
            {
                // It takes space and does no harm; the next start tries again.
                tracing::warn!(path = %path.display(), %error, "a leftover upload could not be removed");
            }
        }
        sync_folder(home)?;
        Ok(Self {
            home: home.to_owned(),
            originals,
            incoming,
            locks: std::array::from_fn(|_| Mutex::new(())),
            all: Arc::default(),
            durable: std::array::from_fn(|_| AtomicBool::new(false)),
        })
    }

    /// Where all of it is.
    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// A fresh name for an upload.
    pub(super) fn new_part(&self) -> PathBuf {
        self.incoming
            .join(format!("{}.part", uuid::Uuid::now_v7().simple()))
    }

    /// Where the file with these bytes is, if it is.
    pub(super) fn path(&self, sha256: Sha256Hash) -> PathBuf {
        path_in(&self.originals, sha256)
    }

    /// The right to place or remove the file with these bytes.
    pub(super) async fn lock(&self, sha256: Sha256Hash) -> Locked<'_> {
        // This order, everywhere: whoever waits for one file holds up none that has its own.
        let one = self.locks[usize::from(sha256.0[0]) % LOCKS].lock().await;
        let all = self.all.read().await;
        Locked {
            _one: one,
            _all: all,
        }
    }

    /// While the value lives no file is placed or removed: what the catalog names is there. Uploads and
    /// deletes wait at their last step.
    pub(super) async fn stay(&self) -> OwnedRwLockWriteGuard<()> {
        Arc::clone(&self.all).write_owned().await
    }

    /// Whether the file is there in its full length.
    pub(super) fn has(&self, sha256: Sha256Hash, bytes: u64) -> bool {
        fs::metadata(self.path(sha256)).is_ok_and(|file| file.is_file() && file.len() == bytes)
    }

    /// The file, opened for reading, if it is there in its full length.
    pub(super) fn open_one(&self, sha256: Sha256Hash, bytes: u64) -> Result<fs::File, Unopened> {
        let path = self.path(sha256);
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory => Unopened::Lost {
                path: path.clone(),
                reason: source,
            },
            _ => Unopened::Fault {
                path: path.clone(),
                source,
            },
        };
        let file = fs::File::open(&path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() == bytes {
            Ok(file)
        } else {
            Err(Unopened::Lost {
                path: path.clone(),
                reason: io::Error::other("its length has changed"),
            })
        }
    }

    /// Gives an upload, synced already, its final name, durably, and notes that there may be no row of
    /// it: [`Self::settle`] once there is one, else [`Self::withdraw`]. A file there is replaced: it was
    /// found wanting.
    pub(super) fn place(&self, part: &Path, sha256: Sha256Hash) -> Result<(), IngestError> {
        let path = self.path(sha256);
        let folder = path
            .parent()
            .expect("an original lies in a folder of `originals`");
        let durable = &self.durable[usize::from(sha256.0[0])];
        if !durable.load(Ordering::Relaxed) {
            // Also where it is there: whoever made it may not have come to the second step.
            fs::create_dir_all(folder)
                .map_err(|e| IngestError::io("the folder could not be made", folder, e))?;
            sync_folder(&self.originals)?;
            durable.store(true, Ordering::Relaxed);
        }
        // Not synced: it is for the death of this process. Where the machine dies, the worst is a file
        // that nobody needs.
        let note = self.note(sha256);
        fs::File::create(&note)
            .map_err(|e| IngestError::io("the upload could not be noted", &note, e))?;
        pass(Point::OriginalBeforeRename)
            .and_then(|()| fs::rename(part, &path))
            .map_err(|e| IngestError::io("the upload could not be kept", &path, e))?;
        pass(Point::OriginalAfterRename)
            .map_err(|e| IngestError::io("the upload could not be kept", &path, e))?;
        sync_folder(folder)?;
        pass(Point::OriginalAfterFsync)
            .map_err(|e| IngestError::io("the upload could not be kept", &path, e))
    }

    /// Forgets the note of [`Self::place`]: the row is committed.
    pub(super) fn settle(&self, sha256: Sha256Hash) {
        // Where it stays, the next start finds a row and removes the note alone.
        let _ = fs::remove_file(self.note(sha256));
    }

    /// Takes back what [`Self::place`] did, or did in part: there is no row of it.
    pub(super) fn withdraw(&self, sha256: Sha256Hash) -> Result<(), IngestError> {
        self.remove(sha256)?;
        self.settle(sha256);
        Ok(())
    }

    /// The originals that were noted and neither settled nor withdrawn.
    pub(super) fn unsettled(&self) -> Result<Vec<Sha256Hash>, IngestError> {
        let entries = fs::read_dir(&self.incoming)
            .map_err(|e| IngestError::io("the folder could not be read", &self.incoming, e))?;
        Ok(entries
            .flatten()
            .filter_map(|entry| noted(&entry.path()))
            .collect())
    }

    fn note(&self, sha256: Sha256Hash) -> PathBuf {
        self.incoming.join(sha256.to_string()).with_extension(NOTE)
    }

    /// Removes a file, durably. Whether it was there.
    pub(super) fn remove(&self, sha256: Sha256Hash) -> Result<bool, IngestError> {
        let path = self.path(sha256);
        match fs::remove_file(&path) {
            Ok(()) => {
                sync_folder(
                    path.parent()
                        .expect("an original lies in a folder of `originals`"),
                )?;
                Ok(true)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(IngestError::io(
                "the original could not be removed",
                &path,
                e,
            )),
        }
    }

    /// Every file there is. Those of other names (an editor's, a backup's) are not ours to judge.
    pub(super) fn all(&self) -> Result<Vec<Sha256Hash>, IngestError> {
        let unreadable = |e| IngestError::io("the folder could not be read", &self.originals, e);
        let mut all = Vec::new();
        for folder in fs::read_dir(&self.originals).map_err(unreadable)? {
            let folder = folder.map_err(unreadable)?;
            let Ok(files) = fs::read_dir(folder.path()) else {
                continue;
            };
            for file in files.flatten() {
                let name =
                    [folder.file_name(), file.file_name()].map(std::ffi::OsString::into_string);
                if let [Ok(first), Ok(rest)] = name
                    && let Ok(sha256) = format!("{first}{rest}").parse()
                {
                    all.push(sha256);
                }
            }
        }
        Ok(all)
    }
}

/// Where the file with these bytes stands in a folder of originals.
pub(super) fn path_in(folder: &Path, sha256: Sha256Hash) -> PathBuf {
    let name = sha256.to_string();
    let (first, rest) = name.split_at(2);
    folder.join(first).join(rest)
}

/// What a file in `incoming/` is a note of, if it is one.
fn noted(path: &Path) -> Option<Sha256Hash> {
    let is_note = path.extension().is_some_and(|ending| ending == NOTE);
    path.file_stem().filter(|_| is_note)?.to_str()?.parse().ok()
}

/// Makes names in a folder durable.
fn sync_folder(folder: &Path) -> Result<(), IngestError> {
    fs::File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(|e| IngestError::io("the folder could not be synced", folder, e))
}
