//! Named places where this program can be made to die, or an operation to fail: how `tests/crash` tests
//! the very program that ships.
//!
//! Nothing happens at any of them unless `GRIOT_FAILPOINTS` was set when `griot serve` started: it is
//! read once, there, and nothing that comes over the network leads here. A point that is not armed
//! costs one look at a pointer that is null. Not known here: what stands before and after a point.
//!
//! ```text
//! GRIOT_FAILPOINTS="commit.before@3=kill;original.fsync=eio"
//! ```
//!
//! dies before the third commit of the catalog, and has the first fsync of an original's folder fail.

use std::{
    io,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use rustix::{
    io::Errno,
    process::{Signal, getpid, kill_process},
};

/// The variable of the environment that arms points.
pub const VARIABLE: &str = "GRIOT_FAILPOINTS";

macro_rules! points {
    ($($(#[$doc:meta])* $point:ident = $name:literal),+ $(,)?) => {
        /// Every point there is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Point { $($(#[$doc])* $point),+ }

        impl Point {
            /// All of them, in the order in which a document meets them.
            pub const ALL: &'static [Self] = &[$(Self::$point),+];

            /// The name in [`VARIABLE`].
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$point => $name),+ }
            }
        }
    };
}

points! {
    /// The file in `incoming/` is made and empty.
    UploadBegun = "upload.begun",
    UploadBeforeFsync = "upload.before_fsync",
    UploadAfterFsync = "upload.after_fsync",
    /// It is noted that an original is about to take its name.
    OriginalBeforeRename = "original.before_rename",
    OriginalAfterRename = "original.after_rename",
    /// The original's name is durable.
    OriginalAfterFsync = "original.after_fsync",
    UploadBeforeRow = "upload.before_row",
    UploadAfterRow = "upload.after_row",
    /// Any transaction of the catalog that writes.
    CommitBefore = "commit.before",
    CommitAfter = "commit.after",
    /// A document was taken from the queue.
    ReadBefore = "read.before",
    ReadAfter = "read.after",
    EmbedAfter = "embed.after",
    StoreBeforeUpsert = "store.before_upsert",
    StoreAfterUpsert = "store.after_upsert",
    StoreBeforeFlush = "store.before_flush",
    StoreAfterFlush = "store.after_flush",
    /// The points are durable, the row does not say so yet.
    FlipBefore = "flip.before",
    FlipAfter = "flip.after",
    StoreBeforeDelete = "store.before_delete",
    StoreAfterDelete = "store.after_delete",
    DeleteBeforeRow = "delete.before_row",
    /// Nothing of the document is visible; original and points are still there.
    DeleteAfterRow = "delete.after_row",
    DeleteAfterOriginal = "delete.after_original",
    DeleteAfterPoints = "delete.after_points",
    /// Nothing is left but the notes that there may be something.
    DeleteAfterTraces = "delete.after_traces",
    DeleteAfterNote = "delete.after_note",
    SweepBefore = "sweep.before",
    SweepAfter = "sweep.after",
    /// The index is written anew: the fresh shard is durable, the old one has stepped aside, the fresh one
    /// has taken its place.
    IndexWritten = "index.written",
    IndexAside = "index.aside",
    IndexExchanged = "index.exchanged",
}

/// What an armed point does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// The process ends as if by SIGKILL: at once, nothing flushed, nobody told.
    Kill,
    Fail(Errno),
}

#[derive(Debug)]
struct Armed {
    point: Point,
    /// Times to pass before it acts; it acts once.
    left: AtomicU32,
    action: Action,
}

/// Set where something is armed.
static ARMED: OnceLock<Vec<Armed>> = OnceLock::new();

/// Why [`VARIABLE`] cannot be meant so.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{VARIABLE} holds {0:?}, which is not POINT=ACTION or POINT@N=ACTION (actions: kill, enospc, eio, emfile)"
)]
pub struct NotAPlan(String);

/// Arms what [`VARIABLE`] names; what is armed already stays.
///
/// # Errors
/// Where it names a point or an action that does not exist.
pub fn arm() -> Result<(), NotAPlan> {
    let Some(text) = std::env::var_os(VARIABLE) else {
        return Ok(());
    };
    let text = text.to_string_lossy();
    let armed = parse(&text)?;
    tracing::warn!(plan = %text, "failpoints are armed: this daemon is under test");
    ARMED.get_or_init(|| armed);
    Ok(())
}

fn parse(text: &str) -> Result<Vec<Armed>, NotAPlan> {
    let one = |entry: &str| {
        let (point, action) = entry.split_once('=')?;
        let (name, times) = point.split_once('@').unwrap_or((point, "1"));
        let action = match action {
            "kill" => Action::Kill,
            "enospc" => Action::Fail(Errno::NOSPC),
            "eio" => Action::Fail(Errno::IO),
            "emfile" => Action::Fail(Errno::MFILE),
            _ => return None,
        };
        Some(Armed {
            point: *Point::ALL.iter().find(|point| point.name() == name)?,
            left: AtomicU32::new(times.parse().ok().filter(|times| *times > 0)?),
            action,
        })
    };
    let entries = text.split(';').map(str::trim).filter(|e| !e.is_empty());
    entries
        .map(|entry| one(entry).ok_or_else(|| NotAPlan(entry.to_owned())))
        .collect()
}

/// Passes a point that nothing but the end of the process can be injected at.
#[inline]
pub fn reach(point: Point) {
    if let Some(armed) = ARMED.get() {
        // An error has no way out here.
        let _ = act(armed, point);
    }
}

/// Passes a point before an operation that may fail.
///
/// # Errors
/// The one that was asked for.
#[inline]
pub fn pass(point: Point) -> io::Result<()> {
    match ARMED.get() {
        Some(armed) => act(armed, point),
        None => Ok(()),
    }
}

#[cold]
fn act(armed: &[Armed], point: Point) -> io::Result<()> {
    for one in armed.iter().filter(|one| one.point == point) {
        let before = one
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        if before == Ok(1) {
            match one.action {
                Action::Kill => die(),
                Action::Fail(errno) => return Err(errno.into()),
            }
        }
    }
    Ok(())
}

fn die() -> ! {
    let _ = kill_process(getpid(), Signal::KILL);
    // The signal has come before the call returns; where it could not be sent, this ends it too.
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_distinct() {
        let names: HashSet<_> = Point::ALL.iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), Point::ALL.len());
    }

    #[test]
    fn plans_are_read_or_refused() {
        let armed = parse("commit.before@3=kill; upload.before_fsync=eio;").unwrap();
        let read: Vec<_> = armed
            .iter()
            .map(|one| (one.point, one.left.load(Ordering::SeqCst), one.action))
            .collect();
        assert_eq!(
            read,
            [
                (Point::CommitBefore, 3, Action::Kill),
                (Point::UploadBeforeFsync, 1, Action::Fail(Errno::IO)),
            ]
        );
        for wrong in [
            "commit",
            "commit.never=kill",
            "flip.after=no",
            "flip.after@0=kill",
            "flip.after@x=kill",
        ] {
            assert_eq!(parse(wrong).unwrap_err(), NotAPlan(wrong.to_owned()));
        }
    }

    #[test]
    fn an_error_comes_the_nth_time_and_once() {
        let armed = parse("original.before_rename@2=enospc").unwrap();
        let kinds: Vec<_> = (0..4)
            .map(|_| act(&armed, Point::OriginalBeforeRename).map_err(|e| e.kind()))
            .collect();
        assert_eq!(
            kinds,
            [Ok(()), Err(io::ErrorKind::StorageFull), Ok(()), Ok(())]
        );
        assert!(act(&armed, Point::FlipAfter).is_ok());
    }
}
