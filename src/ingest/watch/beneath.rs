//! Files below a root and nowhere else, whatever is exchanged for a link meanwhile.

use std::{
    fs::{self, File, Metadata},
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Component, Path},
};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags},
    io::Errno,
};

use crate::domain::FileStamp;

/// A pipe would keep whoever opens it waiting; `NONBLOCK` makes that return at once.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

const FOLDER: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Opens a plain file below `root` without passing a link.
pub(super) fn open(root: &Path, path: &Path) -> io::Result<File> {
    let plain = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if !plain {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path leads out of its folder",
        ));
    }
    let folder = rustix::fs::open(root, FOLDER, Mode::empty())?;
    let file = File::from(open_at(folder, path)?);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a plain file"))
    }
}

fn open_at(folder: OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    let only_below = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match rustix::fs::openat2(&folder, path, READ, Mode::empty(), only_below) {
        // An old kernel, or a sandbox that does not know the call.
        Err(Errno::NOSYS | Errno::PERM) => step_by_step(folder, path),
        opened => Ok(opened?),
    }
}

/// The same with calls that every kernel has: each folder is opened from the one before.
fn step_by_step(mut folder: OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    let mut parts = path.iter().peekable();
    while let Some(part) = parts.next() {
        let flags = if parts.peek().is_some() { FOLDER } else { READ };
        folder = rustix::fs::openat(&folder, part, flags, Mode::empty())?;
    }
    Ok(folder)
}

/// What a file system says of a file.
pub(super) fn stamp(about: &Metadata) -> FileStamp {
    FileStamp {
        size: about.len(),
        modified: about
            .mtime()
            .saturating_mul(1_000_000_000)
            .saturating_add(about.mtime_nsec()),
        inode: about.ino(),
        device: about.dev(),
    }
}

/// Whether a file that was there is there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Presence {
    There,
    /// It is not. The nearest folder on the way to it that is there lies on this device; where the file
    /// was on another one, its disk is away, and the file perhaps is not gone.
    Gone {
        device: u64,
    },
    /// That cannot be told: a folder on the way cannot be read.
    Unknown,
}

pub(super) fn presence(root: &Path, path: &Path) -> Presence {
    let mut device = match fs::symlink_metadata(root) {
        Ok(about) if about.is_dir() => about.dev(),
        _ => return Presence::Unknown,
    };
    let mut at = root.to_owned();
    let mut parts = path.iter().peekable();
    while let Some(part) = parts.next() {
        at.push(part);
        match fs::symlink_metadata(&at) {
            Ok(about) if parts.peek().is_none() && about.is_file() => return Presence::There,
            Ok(about) if parts.peek().is_some() && about.is_dir() => device = about.dev(),
            // Something else has its name.
            Ok(_) => return Presence::Gone { device },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Presence::Gone { device };
            }
            Err(_) => return Presence::Unknown,
        }
    }
    Presence::Unknown
}

#[cfg(test)]
mod tests {
    use std::{io::Read, os::unix::fs::symlink};

    use super::*;

    type Opener = fn(&Path, &Path) -> io::Result<File>;

    fn by_steps(root: &Path, path: &Path) -> io::Result<File> {
        let folder = rustix::fs::open(root, FOLDER, Mode::empty())?;
        Ok(File::from(step_by_step(folder, path)?))
    }

    #[test]
    fn links_are_not_passed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("root/deep/er")).unwrap();
        fs::create_dir(at("outside")).unwrap();
        fs::write(at("outside/secret.txt"), "secret").unwrap();
        fs::write(at("root/deep/er/a.txt"), "text").unwrap();
        symlink(at("outside"), at("root/link")).unwrap();
        symlink(at("outside/secret.txt"), at("root/link.txt")).unwrap();
        symlink(at("root/deep"), at("root/inside")).unwrap();
        symlink(at("root"), at("root-link")).unwrap();
        let check = |root: &str, path: &str, expected: Option<&str>| {
            for opener in [open as Opener, by_steps] {
                let text = opener(&at(root), Path::new(path)).ok().map(|mut file| {
                    let mut text = String::new();
                    file.read_to_string(&mut text).unwrap();
                    text
                });
                assert_eq!(text.as_deref(), expected, "{root} {path}");
            }
        };
        check("root", "deep/er/a.txt", Some("text"));
        check("root", "link/secret.txt", None);
        check("root", "link.txt", None);
        check("root", "inside/er/a.txt", None);
        check("root-link", "deep/er/a.txt", None);
        check("root", "none.txt", None);
        for path in [
            "../outside/secret.txt",
            "/etc/passwd",
            "deep/../link.txt",
            "deep",
        ] {
            assert!(open(&at("root"), Path::new(path)).is_err(), "{path}");
        }
    }

    #[test]
    fn what_is_gone_and_what_cannot_be_told() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("deep")).unwrap();
        fs::write(root.join("deep/a.txt"), "").unwrap();
        symlink(root.join("deep/a.txt"), root.join("deep/link")).unwrap();
        let device = fs::metadata(root).unwrap().dev();
        let check = |path: &str, expected: Presence| {
            assert_eq!(presence(root, Path::new(path)), expected, "{path}");
        };
        check("deep/a.txt", Presence::There);
        check("deep/b.txt", Presence::Gone { device });
        check("none/b.txt", Presence::Gone { device });
        check("deep/link", Presence::Gone { device });
        check("deep/a.txt/b", Presence::Gone { device });
        check("deep", Presence::Gone { device });
        assert_eq!(
            presence(&root.join("none"), Path::new("a")),
            Presence::Unknown
        );
    }
}
