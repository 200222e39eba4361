//! One file of a watched folder becomes a document.
//!
//! The bytes are read from one checked descriptor, kept as an original when no document has them, and then
//! the catalog says which document they are ([`crate::catalog::Catalog::assign`]). A kill at any point
//! leaves either nothing or all of it: the next scan begins again.

use std::{
    fs::File,
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sha2::{Digest, Sha256};

use super::{
    beneath::{self, stamp},
    debounce::QUIET,
};
use crate::{
    catalog::{Assigned, Assignment, Catalog},
    domain::{Content, FileStamp, Sha256Hash, Watch},
    ingest::{
        IngestError,
        extract::{GLANCE, glance},
        shared::Shared,
        upload::{Part, blocking, settle},
    },
};

/// Documents that wait at most before a watch adds one. Uploads wait behind no more than these.
const QUEUED: u64 = 64;

/// When to look again whether fewer wait.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Bytes read at once.
const BLOCK: usize = 256 * 1024;

/// What became of a file.
#[derive(Debug)]
pub(super) enum Taken {
    /// The catalog knows what it is.
    Done,
    /// It is still being written, or changed while it was read.
    Later,
    /// It is not there any more.
    Gone,
    /// It is of no kind that is read, and nobody asked for it by a pattern; what it is, for people.
    NoDocument(String),
    /// It cannot be a document, for a reason that people read.
    Failed(String),
}

/// Why it was not read to its end.
#[derive(Debug)]
enum Trouble {
    Later,
    Gone,
    NoDocument(String),
    Failed(String),
    Stopped(IngestError),
}

/// A file as it was read.
struct Bytes {
    file: File,
    stamp: FileStamp,
    content: Content,
    /// Nanoseconds since 1970.
    read_at: i64,
}

pub(super) async fn take(
    shared: &Arc<Shared>,
    watch: &Watch,
    path: &Path,
) -> Result<Taken, IngestError> {
    match taken(shared, watch, path).await {
        Ok(_) => Ok(Taken::Done),
        Err(Trouble::Later) => Ok(Taken::Later),
        Err(Trouble::Gone) => Ok(Taken::Gone),
        Err(Trouble::NoDocument(what)) => Ok(Taken::NoDocument(what)),
        Err(Trouble::Failed(why)) => Ok(Taken::Failed(why)),
        Err(Trouble::Stopped(error)) => Err(error),
    }
}

async fn taken(shared: &Arc<Shared>, watch: &Watch, path: &Path) -> Result<Assigned, Trouble> {
    let root = watch.rules.root.clone();
    let (at, limit) = (path.to_owned(), shared.config.max_file_bytes);
    let any_kind = !watch.rules.include.is_empty();
    let mut bytes = on_disk(move || read(&root, &at, limit, any_kind)).await?;
    let assignment = Assignment {
        watch: watch.id,
        path: path.to_owned(),
        stamp: bytes.stamp.read_at(bytes.read_at),
        content: bytes.content,
        collection: watch.rules.collection.clone(),
        deleted: watch.rules.deleted,
    };
    let mut copy = None;
    loop {
        if copy.is_none() && wants_original(shared, &assignment).await? {
            room(shared).await?;
            let part = Part(shared.originals.new_part());
            let owned = Arc::clone(shared);
            let (back, part) = on_disk(move || copy_to(&owned, bytes, part)).await?;
            (bytes, copy) = (back, Some(part));
        }
        // An upload or a delete of the same bytes comes before this or after it.
        let _lock = shared.originals.lock(assignment.content.sha256).await;
        let wanted = wants_original(shared, &assignment).await?;
        let placed = if wanted {
            let Some(part) = copy.take() else { continue };
            let (owned, content) = (Arc::clone(shared), assignment.content);
            on_disk(move || place(&owned, &part, content)).await
        } else {
            Ok(())
        };
        let assigned = match placed {
            Ok(()) => {
                let given = assignment.clone();
                let assigned = shared.catalog.call(move |c| c.assign(&given)).await;
                assigned.map_err(|error| Trouble::Stopped(error.into()))
            }
            Err(error) => Err(error),
        };
        if wanted {
            let (owned, sha256) = (Arc::clone(shared), assignment.content.sha256);
            on_disk(move || {
                settle(&owned, sha256);
                Ok(())
            })
            .await?;
        }
        if let Ok(assigned) = &assigned {
            follow(shared, *assigned);
        }
        return assigned;
    }
}

/// The pipeline learns of what there is to do.
pub(super) fn follow(shared: &Arc<Shared>, assigned: Assigned) {
    match assigned {
        Assigned::Replaced(id) => {
            // Whatever is made of the bytes of before does not count any more.
            shared.begun_before([id]);
            shared.stop(id);
            shared.wake.notify_one();
            shared.sweep.notify_one();
        }
        Assigned::New(_) | Assigned::Known(_) | Assigned::Same(_) => {
            shared.wake.notify_one();
            // The document that the file was before is perhaps nobody's now.
            shared.retire.notify_one();
        }
        Assigned::Refused | Assigned::Unwatched => {}
    }
}

async fn wants_original(shared: &Shared, assignment: &Assignment) -> Result<bool, Trouble> {
    let given = assignment.clone();
    shared
        .catalog
        .call(move |c| c.wants_original(&given))
        .await
        .map_err(|error| Trouble::Stopped(error.into()))
}

/// Waits until few enough documents wait.
async fn room(shared: &Shared) -> Result<(), Trouble> {
    loop {
        let queued = shared
            .catalog
            .call(Catalog::queued)
            .await
            .map_err(|error| Trouble::Stopped(error.into()))?;
        if queued < QUEUED.min(shared.config.max_queue as u64) {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_AGAIN) => {}
            () = shared.cancel.cancelled() => return Err(Trouble::Stopped(IngestError::Stopping)),
        }
    }
}

async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Trouble> {
    blocking(move || Ok(work()))
        .await
        .unwrap_or_else(|error| Err(Trouble::Stopped(error)))
}

/// Reads a file that nobody writes to, for its hash.
fn read(root: &Path, path: &Path, limit: u64, any_kind: bool) -> Result<Bytes, Trouble> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Trouble::Gone,
        _ => Trouble::Failed(format!("it cannot be read: {error}")),
    };
    let mut file = beneath::open(root, path).map_err(failed)?;
    let before = stamp(&file.metadata().map_err(failed)?);
    let now = nanoseconds(SystemTime::now());
    if (0..QUIET.as_nanos() as i64).contains(&now.saturating_sub(before.modified)) {
        return Err(Trouble::Later);
    }
    if before.size == 0 {
        return Err(Trouble::Failed("it is empty".to_owned()));
    }
    if before.size > limit {
        return Err(Trouble::Failed(format!(
            "it is larger than the {limit} bytes that `ingest.max_file_bytes` allows"
        )));
    }
    if !any_kind {
        let mut head = Vec::new();
        Read::by_ref(&mut file)
            .take(GLANCE as u64)
            .read_to_end(&mut head)
            .map_err(failed)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        glance(&head, &name).map_err(|error| Trouble::NoDocument(error.message))?;
        file.rewind().map_err(failed)?;
    }
    let (sha256, bytes) = hash(&mut file, |_| Ok(())).map_err(failed)?;
    let after = stamp(&file.metadata().map_err(failed)?);
    if after != before || bytes != before.size {
        return Err(Trouble::Later);
    }
    Ok(Bytes {
        file,
        stamp: before,
        content: Content { sha256, bytes },
        read_at: now,
    })
}

/// Copies the bytes beside the originals. What was hashed is what is copied, or it is done again.
fn copy_to(shared: &Shared, mut bytes: Bytes, part: Part) -> Result<(Bytes, Part), Trouble> {
    let kept = |error| {
        Trouble::Stopped(IngestError::io(
            "a watched file could not be kept",
            &part.0,
            error,
        ))
    };
    let mut copy = File::create_new(&part.0).map_err(kept)?;
    bytes.file.rewind().map_err(kept)?;
    let mut written = Ok(());
    let read = hash(&mut bytes.file, |block| {
        written = shared
            .room
            .for_uploads_blocking()
            .map_err(Trouble::Stopped)
            .and_then(|()| copy.write_all(block).map_err(kept));
        match &written {
            Ok(()) => Ok(()),
            Err(_) => Err(std::io::ErrorKind::Other.into()),
        }
    });
    written?;
    let Ok((sha256, _)) = read else {
        return Err(Trouble::Later);
    };
    if sha256 != bytes.content.sha256 {
        return Err(Trouble::Later);
    }
    copy.sync_all().map_err(kept)?;
    Ok((bytes, part))
}

fn place(shared: &Shared, part: &Part, content: Content) -> Result<(), Trouble> {
    // One that no row speaks of was left by a taking in that failed, perhaps before its name was durable.
    if shared.originals.has(content.sha256, content.bytes)
        && shared
            .catalog
            .needs_original(content.sha256)
            .map_err(|error| Trouble::Stopped(error.into()))?
    {
        return Ok(());
    }
    shared
        .originals
        .place(&part.0, content.sha256)
        .map_err(Trouble::Stopped)
}

fn hash(
    file: &mut File,
    mut each: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<(Sha256Hash, u64)> {
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            return Ok((Sha256Hash(hasher.finalize().into()), bytes));
        }
        hasher.update(&block[..read]);
        each(&block[..read])?;
        bytes += read as u64;
    }
}

fn nanoseconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_nanos()).ok())
        .unwrap_or(0)
}

/// A file that was renamed: its bytes are known without reading it.
pub(super) async fn take_renamed(
    shared: &Arc<Shared>,
    watch: &Watch,
    path: PathBuf,
    now: FileStamp,
) -> Result<Option<Assigned>, IngestError> {
    let id = watch.id;
    let before = shared
        .catalog
        .call(move |c| c.watched_file_with(id, &now))
        .await?;
    let Some(sha256) = before.and_then(|file| file.sha256) else {
        return Ok(None);
    };
    let assignment = Assignment {
        watch: watch.id,
        path,
        stamp: now,
        content: Content {
            sha256,
            bytes: now.size,
        },
        collection: watch.rules.collection.clone(),
        deleted: watch.rules.deleted,
    };
    let _lock = shared.originals.lock(sha256).await;
    let given = assignment.clone();
    let assigned = shared
        .catalog
        .call(move |c| {
            // Deleted by hand, or of another collection: it has to be read after all.
            if c.wants_original(&given)? {
                return Ok(None);
            }
            c.assign(&given).map(Some)
        })
        .await?;
    if let Some(assigned) = assigned {
        follow(shared, assigned);
    }
    Ok(assigned)
}
