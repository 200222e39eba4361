//! The embedded vector index: points with a dense and a sparse vector, in one folder.
//!
//! A thin wrapper without generics around one `qdrant-edge` shard. It stands in a package of its own
//! so that the shard's code (one crate of 300,000 lines) is instantiated here, once, and not again in
//! each crate that calls it. It knows nothing of documents beyond the key that a point carries, and
//! nothing of async: every call blocks, some for long.
//!
//! What the shard leaves to its host and this wrapper does (all seen in version 0.7.2):
//! * nothing is durable before [`EdgeIndex::flush`]; the shard's log is not replayed when it is opened;
//! * its `flush` panics when another call holds its log, and when the disk is full: writers take turns
//!   here, and a panic becomes an [`EdgeError`];
//! * deleted points stay in its segments and its log: [`EdgeIndex::purge`] writes the others to a fresh
//!   shard;
//! * its log only grows: [`EdgeIndex::flush`] drops the parts that are no longer of use;
//! * a shard may be left half made by a kill: one without our identity file is made anew;
//! * after a write or a flush that failed, what it holds in memory is not what it has on disk: it is
//!   opened anew before the next write, which its caller repeats from the beginning;
//! * damaged files may end the program: attempts to open them are counted;
//! * so may a full disk: nothing is begun without some room.

mod attempt;
mod error;
mod exchange;
mod identity;
mod log;
mod room;
mod shard;

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, Ordering},
    },
};

pub use error::EdgeError;
pub use identity::Identity;
pub use qdrant_edge::external::uuid::Uuid;
use shard::Shard;

/// Which chunk a point stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    pub document: Uuid,
    pub revision: u32,
    pub ordinal: u32,
}

/// A point to write.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Writing the same id again replaces the point.
    pub id: Uuid,
    pub key: Key,
    pub collection: String,
    /// `[dimension]`; only its direction counts.
    pub dense: Vec<f32>,
    /// Sorted, each once; `values[i]` belongs to `indices[i]`.
    pub indices: Vec<u32>,
    pub values: Vec<f32>,
}

/// Which points count; all of them by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Only {
    pub collection: Option<String>,
    pub document: Option<Uuid>,
}

/// A hit: cosine similarity for dense searches, the dot product with IDF for sparse ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    pub key: Key,
    pub score: f32,
}

/// How far [`EdgeIndex::purge`] has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchange {
    /// The fresh shard is whole and on the disk.
    Written,
    /// The old one has stepped aside: there is none in its place.
    Aside,
    /// The fresh one is in its place.
    Done,
}

/// What the index in `folder` was made for, if there is one. Opens nothing.
///
/// # Errors
/// [`EdgeError::Io`] when what is recorded there cannot be read.
pub fn recorded(folder: &Path) -> Result<Option<Identity>, EdgeError> {
    identity::read(folder)
}

/// An open index. Searches run side by side; writers take turns.
#[derive(Debug)]
pub struct EdgeIndex {
    folder: PathBuf,
    identity: Identity,
    /// Taken for writing only to exchange the shard for a freshly opened one.
    shard: RwLock<Option<Shard>>,
    /// One writer at a time: the shard's own `flush` panics when it meets another.
    turn: Mutex<()>,
    /// A write failed since the shard was opened.
    torn: AtomicBool,
    /// Held locked as long as the index is open.
    _lock: File,
}

impl EdgeIndex {
    /// Opens the index in `folder`, or makes it there, for vectors of `identity`.
    ///
    /// # Errors
    /// [`EdgeError::Locked`] when it is open already, [`EdgeError::OtherIdentity`] when it was made for
    /// other vectors, [`EdgeError::Broken`] when its files cannot be read.
    pub fn open(folder: &Path, identity: &Identity) -> Result<Self, EdgeError> {
        fs::create_dir_all(folder).map_err(|source| EdgeError::io("create", folder, source))?;
        let lock = lock(folder)?;
        let path = folder.join(exchange::SHARD);
        exchange::finish(folder)?;
        room::at_least(room::LEAST, folder)?;
        let shard = match identity::read(folder)? {
            Some(recorded) if recorded != *identity => {
                return Err(EdgeError::OtherIdentity {
                    folder: folder.to_owned(),
                    recorded,
                    asked: identity.clone(),
                });
            }
            Some(_) => attempt::counted(folder, "open", || {
                log::prune(&path)?;
                let shard = Shard::load(&path)?;
                shard.try_out(identity.dimension)?;
                Ok(shard)
            })?,
            None => {
                // Whatever is there is what an interrupted creation left.
                if path.exists() {
                    fs::remove_dir_all(&path)
                        .map_err(|source| EdgeError::io("remove", &path, source))?;
                }
                fs::create_dir(&path).map_err(|source| EdgeError::io("create", &path, source))?;
                let shard = Shard::create(&path, identity.dimension)?;
                shard.flush()?;
                identity::write(folder, identity)?;
                shard
            }
        };
        Ok(Self {
            folder: folder.to_owned(),
            identity: identity.clone(),
            shard: RwLock::new(Some(shard)),
            turn: Mutex::new(()),
            torn: AtomicBool::new(false),
            _lock: lock,
        })
    }

    /// What the index was made for.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Writes points, replacing those with the same id. Not durable before [`Self::flush`].
    pub fn upsert(&self, entries: Vec<Entry>) -> Result<(), EdgeError> {
        for entry in &entries {
            self.check_dimension(entry.dense.len())?;
        }
        let turn = self.turn();
        self.prepare(&turn)?;
        self.written(|shard| shard.upsert(entries))
    }

    /// Returns when everything written so far is on disk. About 3 ms after a small write.
    ///
    /// # Errors
    /// Also when a write before it failed: whoever promised something writes all of it again first.
    pub fn flush(&self) -> Result<(), EdgeError> {
        let _turn = self.turn();
        if self.torn.load(Ordering::SeqCst) {
            return Err(EdgeError::Broken {
                doing: "write to disk",
                reason: "a write before it failed".to_owned(),
            });
        }
        self.written(Shard::flush)?;
        if log::is_long(&self.folder.join(exchange::SHARD))? {
            self.reopen()?;
        }
        Ok(())
    }

    /// The `limit` points of the greatest cosine similarity, best first.
    pub fn search_dense(
        &self,
        vector: Vec<f32>,
        only: &Only,
        limit: usize,
    ) -> Result<Vec<Hit>, EdgeError> {
        self.check_dimension(vector.len())?;
        if limit == 0 {
            return Ok(Vec::new());
        }
        self.with(|shard| shard.search_dense(vector, only, limit))
    }

    /// The `limit` points of the greatest dot product with IDF, best first; only points that share an
    /// index with the query.
    pub fn search_sparse(
        &self,
        indices: Vec<u32>,
        values: Vec<f32>,
        only: &Only,
        limit: usize,
    ) -> Result<Vec<Hit>, EdgeError> {
        if limit == 0 || indices.is_empty() {
            return Ok(Vec::new());
        }
        self.with(|shard| shard.search_sparse(indices, values, only, limit))
    }

    /// Removes a document's points, those of revision `keep` excepted.
    pub fn delete(&self, document: Uuid, keep: Option<u32>) -> Result<(), EdgeError> {
        let turn = self.turn();
        self.prepare(&turn)?;
        self.written(|shard| {
            if shard.count_doomed(document, keep)? == 0 {
                return Ok(());
            }
            // The mark first: whatever comes between, no file keeps what nobody is to find there.
            exchange::mark(&self.folder)?;
            shard.delete(document, keep)
        })
    }

    /// Writes the points there are to a fresh shard and takes it in place of the old one, so that no file
    /// holds anything of those that were deleted. Searches go on but for the exchange (as long as
    /// opening takes); writers wait. The graph of [`Self::optimize`] has to be built again.
    ///
    /// `passing` is told of each step, so that tests can end the program there. Returns whether there was
    /// anything to do: whether points were deleted since the last time.
    pub fn purge(&self, passing: impl Fn(Exchange)) -> Result<bool, EdgeError> {
        let turn = self.turn();
        if !exchange::is_marked(&self.folder) {
            return Ok(false);
        }
        self.prepare(&turn)?;
        if let Err(error) = self.make_fresh() {
            // On a full disk the room it takes is what is missing.
            exchange::abandon(&self.folder);
            return Err(error);
        }
        passing(Exchange::Written);

        let mut guard = self.shard.write().unwrap_or_else(PoisonError::into_inner);
        *guard = None;
        self.torn.store(true, Ordering::SeqCst);
        let exchanged = exchange::exchange(&self.folder, || passing(Exchange::Aside));
        passing(Exchange::Done);
        // Whichever it is now, it is opened; where neither can be, the next write tries again.
        *guard = Some(self.load()?);
        self.torn.store(false, Ordering::SeqCst);
        drop(guard);
        exchanged?;
        exchange::finish(&self.folder)?;
        exchange::unmark(&self.folder)?;
        Ok(true)
    }

    /// Writes the points there are to a shard beside this one, whole and synced.
    fn make_fresh(&self) -> Result<(), EdgeError> {
        self.room_for_another()?;
        let fresh = exchange::begin(&self.folder)?;
        let shard = Shard::create(&fresh, self.identity.dimension)?;
        self.with(|old| old.copy_into(&shard))?;
        shard.flush()?;
        drop(shard);
        exchange::sync_tree(&fresh)
    }

    /// The dense vectors of points, in the order of `ids`; `None` where there is no such point.
    pub fn vectors(&self, ids: &[Uuid]) -> Result<Vec<Option<Vec<f32>>>, EdgeError> {
        self.with(|shard| shard.vectors(ids))
    }

    /// Number of points that match.
    pub fn count(&self, only: &Only) -> Result<u64, EdgeError> {
        self.with(|shard| shard.count(only))
    }

    /// Builds the graph that makes dense searches fast (HNSW), merges segments, drops what was deleted.
    /// Heavy: about 3 CPU minutes for 100,000 points of 384 values. Searches go on; writers wait.
    ///
    /// Returns whether there was anything to do.
    pub fn optimize(&self) -> Result<bool, EdgeError> {
        let turn = self.turn();
        self.prepare(&turn)?;
        self.room_for_another()?;
        let changed = self.written(Shard::optimize)?;
        self.written(Shard::flush)?;
        Ok(changed)
    }

    /// [`Self::optimize`], where it is worth its cost: when at least `threshold` points are searched one
    /// by one. Returns whether it was.
    pub fn optimize_if_worth(&self, threshold: u64) -> Result<bool, EdgeError> {
        if self.with(|shard| Ok(shard.unindexed()))? < threshold {
            return Ok(false);
        }
        self.optimize()
    }

    fn check_dimension(&self, given: usize) -> Result<(), EdgeError> {
        if given == self.identity.dimension {
            Ok(())
        } else {
            Err(EdgeError::WrongDimension {
                given,
                dimension: self.identity.dimension,
            })
        }
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, work: impl FnOnce(&Shard) -> Result<T, EdgeError>) -> Result<T, EdgeError> {
        let guard: RwLockReadGuard<'_, Option<Shard>> =
            self.shard.read().unwrap_or_else(PoisonError::into_inner);
        let shard = guard.as_ref().ok_or_else(|| EdgeError::Closed {
            folder: self.folder.clone(),
        })?;
        work(shard)
    }

    /// Runs a write; after one that failed nothing is taken for written.
    fn written<T>(
        &self,
        work: impl FnOnce(&Shard) -> Result<T, EdgeError>,
    ) -> Result<T, EdgeError> {
        let result = self.with(work);
        // A request that was refused changed nothing.
        if matches!(
            result,
            Err(EdgeError::Broken { .. } | EdgeError::Io { .. } | EdgeError::Closed { .. })
        ) {
            self.torn.store(true, Ordering::SeqCst);
        }
        result
    }

    /// For as much again as the shard takes.
    fn room_for_another(&self) -> Result<(), EdgeError> {
        let taken = room::taken_by(&self.folder.join(exchange::SHARD));
        room::at_least(taken + room::LEAST, &self.folder)
    }

    /// Comes before each write.
    fn prepare(&self, _turn: &MutexGuard<'_, ()>) -> Result<(), EdgeError> {
        room::at_least(room::LEAST, &self.folder)?;
        if self.torn.load(Ordering::SeqCst) {
            self.reopen()?;
        }
        Ok(())
    }

    /// Closes the shard, drops the log's old parts and opens it again. Searches wait meanwhile (0.4 s
    /// at 100,000 points). When it cannot be opened the index stays closed, and says so to each
    /// search; the next write tries again.
    fn reopen(&self) -> Result<(), EdgeError> {
        let mut guard = self.shard.write().unwrap_or_else(PoisonError::into_inner);
        *guard = None;
        self.torn.store(true, Ordering::SeqCst);
        *guard = Some(self.load()?);
        self.torn.store(false, Ordering::SeqCst);
        Ok(())
    }

    fn load(&self) -> Result<Shard, EdgeError> {
        let path = self.folder.join(exchange::SHARD);
        attempt::counted(&self.folder, "open", || {
            log::prune(&path)?;
            Shard::load(&path)
        })
    }
}

fn lock(folder: &Path) -> Result<File, EdgeError> {
    let path = folder.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|source| EdgeError::io("open", &path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(EdgeError::Locked {
            folder: folder.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(EdgeError::io("lock", &path, source)),
    }
}
