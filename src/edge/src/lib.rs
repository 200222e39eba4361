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
//! * a shard may be left half made by a kill: one without our identity file is made anew.

mod error;
mod exchange;
mod identity;
mod log;
mod shard;

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
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
        let shard = match identity::read(folder)? {
            Some(recorded) if recorded != *identity => {
                return Err(EdgeError::OtherIdentity {
                    folder: folder.to_owned(),
                    recorded,
                    asked: identity.clone(),
                });
            }
            Some(_) => {
                log::prune(&path)?;
                Shard::load(&path)?
            }
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
        let _turn = self.turn();
        self.with(|shard| shard.upsert(entries))
    }

    /// Returns when everything written so far is on disk. About 3 ms after a small write.
    pub fn flush(&self) -> Result<(), EdgeError> {
        let _turn = self.turn();
        self.with(Shard::flush)?;
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
        let _turn = self.turn();
        let only = Only {
            collection: None,
            document: Some(document),
        };
        self.with(|shard| {
            let before = shard.count(&only)?;
            shard.delete(document, keep)?;
            if shard.count(&only)? < before {
                exchange::mark(&self.folder)?;
            }
            Ok(())
        })
    }

    /// Writes the points there are to a fresh shard and takes it in place of the old one, so that no file
    /// holds anything of those that were deleted. Searches go on but for the exchange (as long as
    /// opening takes); writers wait. The graph of [`Self::optimize`] has to be built again.
    ///
    /// Returns whether there was anything to do: whether points were deleted since the last time.
    pub fn purge(&self) -> Result<bool, EdgeError> {
        let _turn = self.turn();
        if !exchange::is_marked(&self.folder) {
            return Ok(false);
        }
        let fresh = exchange::begin(&self.folder)?;
        let shard = Shard::create(&fresh, self.identity.dimension)?;
        self.with(|old| old.copy_into(&shard))?;
        shard.flush()?;
        drop(shard);
        exchange::sync_tree(&fresh)?;

        let mut guard = self.shard.write().unwrap_or_else(PoisonError::into_inner);
        *guard = None;
        let exchanged = exchange::exchange(&self.folder);
        // Whichever it is now, it is opened; a failure of both is told by every later call.
        *guard = Some(Shard::load(&self.folder.join(exchange::SHARD))?);
        drop(guard);
        exchanged?;
        exchange::finish(&self.folder)?;
        exchange::unmark(&self.folder)?;
        Ok(true)
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
        let _turn = self.turn();
        let changed = self.with(Shard::optimize)?;
        self.with(Shard::flush)?;
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

    /// Closes the shard, drops the log's old parts and opens it again. Searches wait meanwhile (0.4 s
    /// at 100,000 points). When it cannot be opened the index stays closed, and says so to each call.
    fn reopen(&self) -> Result<(), EdgeError> {
        let path = self.folder.join(exchange::SHARD);
        let mut guard = self.shard.write().unwrap_or_else(PoisonError::into_inner);
        *guard = None;
        log::prune(&path)?;
        *guard = Some(Shard::load(&path)?);
        Ok(())
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
