//! Files and folders of this machine, as far as the settings allow.
//!
//! What counts is where an opened file really is, not what its path says: links are resolved first,
//! and the file is asked again after it was opened.

use std::{
    fs::File,
    io::Read,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use ignore::WalkBuilder;
use serde_json::Map;

use super::{
    Accepted, IngestError, Skipped, Taken, Upload,
    extract::{GLANCE, glance},
    shared::Shared,
    upload::blocking,
};
use crate::domain::Collection;

/// Bytes read at once.
const BLOCK: usize = 256 * 1024;

/// A path that was found to lie inside an allowed root.
pub(super) struct Allowed {
    pub(super) path: PathBuf,
    root: PathBuf,
}

pub(super) async fn take(
    shared: &Arc<Shared>,
    path: &Path,
    collection: Collection,
) -> Result<Taken, IngestError> {
    let given = path.to_owned();
    let roots = shared.config.allowed_roots.clone();
    let allowed = blocking(move || allow(&given, &roots)).await?;
    let mut taken = Taken::default();
    let is_folder = tokio::fs::metadata(&allowed.path)
        .await
        .is_ok_and(|m| m.is_dir());
    if !is_folder {
        let accepted = take_file(shared, &allowed.path, &allowed.root, &collection).await?;
        taken.accepted.push(accepted);
        return Ok(taken);
    }
    let Allowed { path: folder, root } = allowed;
    let files = blocking(move || Ok(list(&folder))).await?;
    for file in files {
        let file = match file {
            Ok(file) => file,
            Err(skipped) => {
                taken.skipped.push(skipped);
                continue;
            }
        };
        let (looked_at, inside) = (file.clone(), root.clone());
        let looked = blocking(move || look_at(&looked_at, &inside)).await?;
        if let Err(skipped) = looked {
            taken.skipped.push(skipped);
            continue;
        }
        match take_file(shared, &file, &root, &collection).await {
            Ok(accepted) => taken.accepted.push(accepted),
            // These will meet the next file too.
            Err(
                error @ (IngestError::DiskFull | IngestError::Catalog(_) | IngestError::Stopping),
            ) => {
                return Err(error);
            }
            Err(error) => taken.skipped.push(Skipped {
                path: file,
                reason: error.to_string(),
            }),
        }
    }
    if !taken.skipped.is_empty() {
        tracing::info!(
            taken = taken.accepted.len(),
            skipped = taken.skipped.len(),
            "a folder was taken in part"
        );
    }
    Ok(taken)
}

/// Where `given` really is, if that is inside a root.
pub(super) fn allow(given: &Path, roots: &[PathBuf]) -> Result<Allowed, IngestError> {
    let outside = || IngestError::OutsideRoots {
        path: given.to_owned(),
    };
    let roots: Vec<_> = roots.iter().filter_map(|r| r.canonicalize().ok()).collect();
    // Paths outside are refused alike whether there is something or not.
    let real = match given.canonicalize() {
        Ok(real) => real,
        Err(source) if roots.iter().any(|root| given.starts_with(root)) => {
            return Err(IngestError::PathUnreadable {
                path: given.to_owned(),
                source,
            });
        }
        Err(_) => return Err(outside()),
    };
    let root = roots.into_iter().find(|root| real.starts_with(root));
    root.map(|root| Allowed { path: real, root })
        .ok_or_else(outside)
}

/// The files of a folder in the order of their names.
fn list(folder: &Path) -> Vec<Result<PathBuf, Skipped>> {
    let walk = WalkBuilder::new(folder)
        .follow_links(false)
        .require_git(false)
        .git_global(false)
        .sort_by_file_name(Ord::cmp)
        .build();
    let mut files = Vec::new();
    for entry in walk {
        match entry {
            Ok(entry) if entry.file_type().is_some_and(|t| t.is_file()) => {
                files.push(Ok(entry.into_path()));
            }
            Ok(_) => {}
            Err(error) => files.push(Err(Skipped {
                path: folder.to_owned(),
                reason: error.to_string(),
            })),
        }
    }
    files
}

/// Leaves out what cannot be read, by its first bytes. What cannot be opened is told of when it is
/// taken.
fn look_at(path: &Path, root: &Path) -> Result<Result<(), Skipped>, IngestError> {
    let mut head = Vec::with_capacity(GLANCE);
    let read = open_inside(path, root)
        .is_ok_and(|file| file.take(GLANCE as u64).read_to_end(&mut head).is_ok());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(match glance(&head, &name) {
        Err(error) if read => Err(Skipped {
            path: path.to_owned(),
            reason: error.message,
        }),
        Err(_) | Ok(()) => Ok(()),
    })
}

async fn take_file(
    shared: &Arc<Shared>,
    path: &Path,
    root: &Path,
    collection: &Collection,
) -> Result<Accepted, IngestError> {
    let (path_, root) = (path.to_owned(), root.to_owned());
    let mut file = blocking(move || open_inside(&path_, &root)).await?;
    let unreadable = |source| IngestError::PathUnreadable {
        path: path.to_owned(),
        source,
    };
    let limit = shared.config.max_file_bytes;
    if file.metadata().map_err(unreadable)?.len() > limit {
        return Err(IngestError::TooLarge { limit });
    }
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
    let mut upload = Upload::begin(
        Arc::clone(shared),
        name.as_deref().unwrap_or_default(),
        collection.clone(),
        Map::new(),
    )
    .await?;
    loop {
        let (back, block) = blocking(move || {
            let mut block = Vec::with_capacity(BLOCK);
            let read = Read::by_ref(&mut file)
                .take(BLOCK as u64)
                .read_to_end(&mut block);
            Ok((file, read.map(|_| block)))
        })
        .await?;
        file = back;
        let block = block.map_err(unreadable)?;
        if block.is_empty() {
            return upload.finish().await;
        }
        upload.write(&block).await?;
    }
}

/// Opens a plain file and makes sure that it lies inside `root`, whatever happened to the folders on
/// the way since the path was resolved.
fn open_inside(path: &Path, root: &Path) -> Result<File, IngestError> {
    let unreadable = |source| IngestError::PathUnreadable {
        path: path.to_owned(),
        source,
    };
    // A pipe would keep whoever opens it waiting; the flag makes that return at once.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        let what = std::io::Error::other("it is not a plain file");
        return Err(unreadable(what));
    }
    let really = really_at(&file).unwrap_or_else(|| path.to_owned());
    if really.starts_with(root) {
        Ok(file)
    } else {
        Err(IngestError::OutsideRoots {
            path: path.to_owned(),
        })
    }
}

/// The path of an opened file as the kernel knows it; `None` where there is no `/proc`.
fn really_at(file: &File) -> Option<PathBuf> {
    use std::os::fd::AsRawFd;
    std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()
}
