//! What the kernel tells of folders (inotify). Each folder is watched by itself, as the walk that heeds
//! `.gitignore` comes by it: so what is ignored costs no watch, and no link is followed.
//!
//! Nothing here is relied upon: whatever is lost (a queue that overflowed, a limit of the system, a file
//! system that tells nothing) is found by the next scan.

use std::{
    collections::HashMap,
    io,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    io::Errno,
};
use tokio::io::unix::AsyncFd;

/// Bytes of events read at once.
const BUFFER: usize = 16 * 1024;

/// What to hear of a folder. Not every write: a file that is written to is looked at when its writer
/// closes it.
const WANTED: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR)
    .union(WatchFlags::DONT_FOLLOW)
    .union(WatchFlags::EXCL_UNLINK);

/// Something happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// At this path: look there.
    At(PathBuf),
    /// Nobody knows where: look everywhere.
    Somewhere,
}

/// The folders that are listened to.
#[derive(Debug)]
pub(super) struct Events {
    descriptor: AsyncFd<OwnedFd>,
    /// By the kernel's number. A folder that is renamed keeps its number.
    folders: HashMap<i32, PathBuf>,
}

/// Why a folder cannot be listened to.
#[derive(Debug)]
pub(super) enum Unheard {
    /// As many folders are watched as the system allows.
    Limit,
    /// It went away, or is no folder: the next scan knows.
    Gone,
}

impl Events {
    pub(super) fn new() -> io::Result<Self> {
        let descriptor = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types whose descriptor may change; an `OwnedFd`'s does not"
        )]
        let descriptor = AsyncFd::new(descriptor)?;
        Ok(Self {
            descriptor,
            folders: HashMap::new(),
        })
    }

    /// Listens to a folder from now on. Whether it did not before.
    pub(super) fn listen(&mut self, folder: &Path) -> Result<bool, Unheard> {
        match inotify::add_watch(self.descriptor.get_ref(), folder, WANTED) {
            Ok(number) => Ok(self.folders.insert(number, folder.to_owned()).is_none()),
            Err(Errno::NOSPC | Errno::NOMEM) => Err(Unheard::Limit),
            Err(_) => Err(Unheard::Gone),
        }
    }

    /// Stops listening to a folder and all below it: they are gone from there.
    pub(super) fn forget(&mut self, folder: &Path) {
        let descriptor = self.descriptor.get_ref();
        self.folders.retain(|number, path| {
            let gone = path.starts_with(folder);
            if gone {
                // Where the folder was deleted the kernel has done that already.
                let _ = inotify::remove_watch(descriptor, *number);
            }
            !gone
        });
    }

    /// Waits for what happens next.
    pub(super) async fn next(&mut self) -> io::Result<Vec<Event>> {
        loop {
            let mut guard = self.descriptor.readable().await?;
            let read = guard.try_io(|descriptor| read(descriptor.get_ref()));
            if let Ok(raw) = read {
                return Ok(self.events(raw?));
            }
        }
    }

    fn events(&mut self, raw: Vec<Raw>) -> Vec<Event> {
        let mut events = Vec::with_capacity(raw.len());
        for Raw {
            number,
            flags,
            name,
        } in raw
        {
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                events.push(Event::Somewhere);
                continue;
            }
            if flags.contains(ReadFlags::IGNORED) {
                self.folders.remove(&number);
                continue;
            }
            let Some(folder) = self.folders.get(&number) else {
                continue;
            };
            events.push(Event::At(match name {
                Some(name) => folder.join(name),
                None => folder.clone(),
            }));
        }
        events
    }
}

struct Raw {
    number: i32,
    flags: ReadFlags,
    name: Option<std::ffi::OsString>,
}

fn read(descriptor: &OwnedFd) -> io::Result<Vec<Raw>> {
    use std::os::unix::ffi::OsStringExt;
    let mut buffer = [MaybeUninit::uninit(); BUFFER];
    let mut reader = inotify::Reader::new(descriptor, &mut buffer);
    let mut events = Vec::new();
    loop {
        match reader.next() {
            Ok(event) => events.push(Raw {
                number: event.wd(),
                flags: event.events(),
                name: event
                    .file_name()
                    .map(|name| std::ffi::OsString::from_vec(name.to_bytes().to_vec())),
            }),
            // What was read so far is not lost.
            Err(_) if !events.is_empty() => return Ok(events),
            Err(error) => return Err(error.into()),
        }
        if reader.is_buffer_empty() {
            return Ok(events);
        }
    }
}

/// File systems of other machines, whose changes there nobody tells here.
pub(super) fn tells_nothing(root: &Path) -> Option<String> {
    const OTHERS: [(u32, &str); 9] = [
        (0x6969, "NFS"),
        (0x517b, "SMB"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB"),
        (0x6573_5546, "FUSE"),
        (0x0102_1997, "9p"),
        (0x786f_4256, "a folder shared with a virtual machine"),
        (0x5346_414f, "AFS"),
        (0x00c3_6400, "Ceph"),
    ];
    let about = rustix::fs::statfs(root).ok()?;
    let kind = about.f_type as u32;
    let (_, name) = OTHERS.iter().find(|(known, _)| *known == kind)?;
    Some(format!(
        "the folder is on another machine or behind a program ({name}), which may not tell of changes"
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    async fn heard_until(events: &mut Events, wanted: &Path) -> Vec<Event> {
        let mut all = Vec::new();
        while !all.contains(&Event::At(wanted.to_owned())) {
            all.extend(events.next().await.unwrap());
        }
        all
    }

    #[tokio::test]
    async fn folders_are_heard_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("heard/below")).unwrap();
        std::os::unix::fs::symlink(root.join("heard/below"), root.join("link")).unwrap();
        let mut events = Events::new().unwrap();
        events.listen(root).unwrap();
        events.listen(&root.join("heard")).unwrap();
        assert!(matches!(
            events.listen(&root.join("link")),
            Err(Unheard::Gone)
        ));
        assert!(matches!(
            events.listen(&root.join("none")),
            Err(Unheard::Gone)
        ));

        fs::write(root.join("heard/below/deep.txt"), "x").unwrap();
        fs::write(root.join("heard/a.txt"), "x").unwrap();
        let all = heard_until(&mut events, &root.join("heard/a.txt")).await;
        assert!(!all.contains(&Event::At(root.join("heard/below/deep.txt"))));

        // Renamed, it is heard under its new name once somebody came by.
        fs::rename(root.join("heard"), root.join("new")).unwrap();
        heard_until(&mut events, &root.join("new")).await;
        events.forget(&root.join("heard"));
        events.listen(&root.join("new")).unwrap();
        fs::remove_file(root.join("new/a.txt")).unwrap();
        heard_until(&mut events, &root.join("new/a.txt")).await;
    }
}
