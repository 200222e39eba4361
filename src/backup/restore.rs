//! An archive back into a home folder. Everything is written beside its place and checked first; the
//! last step is the catalog's name, and before it the home is no library yet.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{
    format::{Header, Name},
    read::{ReadError, Take, Whole, read},
};
use crate::{
    catalog::{CatalogError, forget_index, inspect},
    domain::Sha256Hash,
};

/// The folder of a home that a restore works in. While it is there the restore was not finished.
pub const UNFINISHED: &str = "restore.part";

/// What a home folder may hold and still be called empty: its lock, and the weights that lie in the
/// default home.
const NOT_THE_LIBRARYS: [&str; 3] = ["lock", "models", UNFINISHED];

/// Space that stays free beside what is restored.
const SPARE: u64 = 16 * 1024 * 1024;

/// Why a restore did not happen. The home is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(
        "{} holds a library already ({found}); a restore wants an empty home: name another folder in \
         GRIOT_HOME, or move that one away",
        home.display()
    )]
    NotEmpty { home: PathBuf, found: String },
    #[error("the backup cannot be restored: {0}")]
    Archive(#[from] ReadError),
    #[error("the backup's catalog cannot be used: {0}")]
    Catalog(CatalogError),
    #[error(
        "the backup's catalog names originals that are not in it, such as {0}; take another one"
    )]
    Incomplete(Sha256Hash),
    #[error(
        "the disk that holds {} has too little space: {needed} bytes are needed, {free} are free",
        home.display()
    )]
    NoSpace {
        home: PathBuf,
        needed: u64,
        free: u64,
    },
    #[error("{} cannot be written: {source}; nothing was restored", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// What became of the settings' file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settings {
    /// The backup has none.
    None,
    /// There was none, so the backup's is in its place.
    Placed(PathBuf),
    /// There is one already, or the backup's names another home; the backup's lies here.
    Beside(PathBuf),
}

/// A library that is in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    pub whole: Whole,
    pub settings: Settings,
}

/// Restores `input` into `home`, whose lock the caller holds. `settings_file` is where the settings are
/// read from.
///
/// # Errors
/// As [`RestoreError`] says; nothing of the archive is left in the home then.
pub fn restore(
    input: impl Read,
    home: &Path,
    settings_file: &Path,
) -> Result<Restored, RestoreError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| RestoreError::Io { path, source }
    };
    refuse_library(home)?;
    let mut staged = Staged::new(home)?;
    let whole = match read(input, &mut staged) {
        Ok(whole) => whole,
        Err(ReadError::Taking(source)) => return Err(staged.failure(source)),
        Err(error) => return Err(error.into()),
    };
    check(&staged, &whole)?;
    // The index is made anew from the catalog, wherever there was one.
    forget_index(&staged.folder.join("catalog.sqlite")).map_err(RestoreError::Catalog)?;

    let home_folder = File::open(home).map_err(failed(home))?;
    // One call for all files instead of one for each.
    rustix::fs::syncfs(&home_folder).map_err(|errno| failed(home)(errno.into()))?;
    let originals = home.join("originals");
    fs::rename(staged.folder.join("originals"), &originals).map_err(failed(&originals))?;
    staged.placed = Some(originals);
    let catalog = home.join("catalog.sqlite");
    fs::rename(staged.folder.join("catalog.sqlite"), &catalog).map_err(failed(&catalog))?;
    staged.placed = None;
    home_folder.sync_all().map_err(failed(home))?;
    let settings = place_settings(&staged.folder.join("griot.toml"), home, settings_file)?;
    drop(staged);
    home_folder.sync_all().map_err(failed(home))?;
    Ok(Restored { whole, settings })
}

/// Refuses a home that is somebody's library. What an unfinished restore left is nobody's.
fn refuse_library(home: &Path) -> Result<(), RestoreError> {
    let failed = |source| RestoreError::Io {
        path: home.to_owned(),
        source,
    };
    let unfinished = home.join(UNFINISHED).exists() && !home.join("catalog.sqlite").exists();
    let mut found = Vec::new();
    for entry in fs::read_dir(home).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let name = name.to_string_lossy().into_owned();
        let left_over = unfinished && name == "originals";
        if !left_over && !NOT_THE_LIBRARYS.contains(&name.as_str()) {
            found.push(name);
        }
    }
    found.sort();
    if found.is_empty() {
        return Ok(());
    }
    found.truncate(3);
    Err(RestoreError::NotEmpty {
        home: home.to_owned(),
        found: found.join(", "),
    })
}

/// Whether catalog, originals and manifest speak of the same library.
fn check(staged: &Staged, whole: &Whole) -> Result<(), RestoreError> {
    let contents = inspect(&staged.folder.join("catalog.sqlite")).map_err(RestoreError::Catalog)?;
    let absent = contents.originals.iter().find(|(sha256, _)| {
        staged
            .originals
            .binary_search_by(|there| there.0.cmp(&sha256.0))
            .is_err()
            && !whole.manifest.missing.contains(sha256)
    });
    match absent {
        Some((sha256, _)) => Err(RestoreError::Incomplete(*sha256)),
        None => Ok(()),
    }
}

/// Puts the settings' file in its place, unless one is there or it is of another home.
fn place_settings(
    staged: &Path,
    home: &Path,
    settings_file: &Path,
) -> Result<Settings, RestoreError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| RestoreError::Io { path, source }
    };
    let text = match fs::read_to_string(staged) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Settings::None),
        Err(error) => return Err(failed(staged)(error)),
    };
    let table: Option<toml::Table> = toml::from_str(&text).ok();
    let names_home = table.is_none_or(|table| table.contains_key("home"));
    if !names_home && place(&text, settings_file).is_ok() {
        return Ok(Settings::Placed(settings_file.to_owned()));
    }
    let beside = home.join("griot.toml.from-backup");
    fs::rename(staged, &beside).map_err(failed(&beside))?;
    Ok(Settings::Beside(beside))
}

/// Writes a file that is not there yet.
fn place(text: &str, path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = new_file(path)?;
    io::copy(&mut text.as_bytes(), &mut file)?;
    file.sync_all()
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// What came of an archive so far. Dropped, nothing of it remains.
struct Staged {
    home: PathBuf,
    folder: PathBuf,
    /// Ascending.
    originals: Vec<Sha256Hash>,
    /// A folder that has its final name, but belongs to no library yet.
    placed: Option<PathBuf>,
    /// Bytes that are wanted and bytes that are there, when the second are too few.
    too_little: Option<(u64, u64)>,
}

impl Staged {
    fn new(home: &Path) -> Result<Self, RestoreError> {
        let folder = home.join(UNFINISHED);
        let begun = || -> io::Result<()> {
            if folder.exists() {
                // In this order: the folder says that `originals` is nobody's.
                let originals = home.join("originals");
                if originals.exists() {
                    fs::remove_dir_all(&originals)?;
                }
                fs::remove_dir_all(&folder)?;
            }
            DirBuilder::new().mode(0o700).create(&folder)?;
            fs::create_dir(folder.join("originals"))
        };
        begun().map_err(|source| RestoreError::Io {
            path: folder.clone(),
            source,
        })?;
        Ok(Self {
            home: home.to_owned(),
            folder,
            originals: Vec::new(),
            placed: None,
            too_little: None,
        })
    }

    fn failure(&self, source: io::Error) -> RestoreError {
        match self.too_little {
            Some((needed, free)) => RestoreError::NoSpace {
                home: self.home.clone(),
                needed,
                free,
            },
            None => RestoreError::Io {
                path: self.home.clone(),
                source,
            },
        }
    }
}

impl Take for Staged {
    fn begin(&mut self, header: &Header) -> io::Result<()> {
        let disk = rustix::fs::statvfs(&self.folder)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let needed = header.bytes.saturating_add(SPARE);
        if needed > free {
            self.too_little = Some((needed, free));
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn take(&mut self, name: Name, _bytes: u64, content: &mut dyn Read) -> io::Result<()> {
        // A name is one of a few and a hash, so it stays in the folder.
        let path = self.folder.join(name.path());
        if let Name::Original(sha256) = name {
            self.originals.push(sha256);
            fs::create_dir_all(path.parent().expect("an original lies in a folder"))?;
        }
        io::copy(content, &mut new_file(&path)?).map(drop)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // As when a restore begins: the folder goes last.
        if let Some(placed) = &self.placed {
            let _ = fs::remove_dir_all(placed);
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}
