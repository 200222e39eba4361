//! One moment of the library, held while a backup reads it, in a folder of the home that goes with this
//! value: a copy of the catalog, and a second name (a hard link) for each original that it speaks of. So
//! a delete meanwhile removes what the library shows, and the backup still reads what it began with.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{IngestError, originals::path_in};
use crate::{
    catalog::{Catalog, Contents, Snapshot},
    domain::Sha256Hash,
};

/// The folder of the home that moments are held in.
const FOLDER: &str = "held";

/// See the module.
#[derive(Debug)]
pub struct Held {
    folder: PathBuf,
    at: Timestamp,
    contents: Contents,
    missing: Vec<Sha256Hash>,
}

impl Held {
    /// Holds the library of a home that no daemon uses.
    ///
    /// # Errors
    /// [`IngestError::DiskFull`] when there is no room for a second catalog.
    pub fn of_stopped(home: &Path, catalog: &Catalog) -> Result<Self, IngestError> {
        Self::remove_leftovers(home)?;
        let (held, snapshot) = Self::begin(home, catalog)?;
        held.finish(snapshot)
    }

    /// The part during which no original may be placed or removed: fixes the view and links the files.
    pub(super) fn begin(home: &Path, catalog: &Catalog) -> Result<(Self, Snapshot), IngestError> {
        let folder = home
            .join(FOLDER)
            .join(uuid::Uuid::now_v7().simple().to_string());
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|e| IngestError::io("the folder could not be made", &folder, e))?;
        let mut held = Self {
            folder,
            at: Timestamp::now(),
            contents: Contents::default(),
            missing: Vec::new(),
        };
        let snapshot = catalog.snapshot()?;
        held.contents = snapshot.contents()?;
        for (sha256, _) in &held.contents.originals {
            let from = path_in(&home.join("originals"), *sha256);
            match link(&from, &held.original(*sha256)) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => held.missing.push(*sha256),
                Err(e) => {
                    return Err(IngestError::io("the original could not be held", &from, e));
                }
            }
        }
        Ok((held, snapshot))
    }

    /// The part that takes its time: copies the catalog.
    pub(super) fn finish(self, snapshot: Snapshot) -> Result<Self, IngestError> {
        snapshot.copy_to(&self.catalog())?;
        Ok(self)
    }

    /// Removes what a kill in the middle of a backup left.
    pub(super) fn remove_leftovers(home: &Path) -> Result<(), IngestError> {
        let folder = home.join(FOLDER);
        match fs::remove_dir_all(&folder) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(IngestError::io(
                "what an earlier backup left could not be removed",
                &folder,
                e,
            )),
            _ => Ok(()),
        }
    }

    /// When it was.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// What the catalog holds.
    #[must_use]
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Originals that the catalog names and that were not there.
    #[must_use]
    pub fn missing(&self) -> &[Sha256Hash] {
        &self.missing
    }

    /// The catalog's copy.
    #[must_use]
    pub fn catalog(&self) -> PathBuf {
        self.folder.join("catalog.sqlite")
    }

    /// An original, unless it is [`Self::missing`].
    #[must_use]
    pub fn original(&self, sha256: Sha256Hash) -> PathBuf {
        path_in(&self.folder.join("originals"), sha256)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "what was held for a backup stays until the next start");
        }
    }
}

/// A second name for a file; a copy where the file system has no second names, or no more of them.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    let folder = to.parent().expect("an original lies in a folder");
    fs::create_dir_all(folder)?;
    match fs::hard_link(from, to) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(e),
        Err(_) => fs::copy(from, to).map(drop),
        Ok(()) => Ok(()),
    }
}
