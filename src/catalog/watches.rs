//! Watched folders: which file of theirs is which document.
//!
//! A file is known by its path inside the folder ([`key_of`]); a document is known by its bytes. Several
//! paths may be one document, and a document that a person uploaded may have paths too: it is `held`, and
//! no watch retires it. Every step from "this file has these bytes" to "that document is superfluous" is
//! one transaction, and the next one follows from the rows alone.

mod assign;
mod retire;

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};
use sha2::{Digest, Sha256};

use super::{
    Catalog, CatalogError,
    column::{Key, collection, count, now, time, unreadable, word},
};
use crate::domain::{DocumentId, FileStamp, Sha256Hash, Watch, WatchId, WatchRules};

pub(super) use assign::split;
pub use assign::{Assigned, Assignment};

/// A file of a watched folder, as it was when it was last looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedFile {
    /// Inside the folder.
    pub path: PathBuf,
    pub stamp: FileStamp,
    /// `None`: it was never read.
    pub sha256: Option<Sha256Hash>,
    pub document: Option<DocumentId>,
    /// Why it could not be read the last time.
    pub error: Option<String>,
}

/// How many files a watch has, and how far they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WatchCounts {
    pub files: u64,
    /// Files whose document is searchable with the bytes they have now.
    pub searchable: u64,
    /// Files that could not be read, or whose document failed.
    pub failed: u64,
}

/// A path's components with a zero between them, which no component can hold: keys sort as a walk does
/// that reads each folder in the order of its names.
#[must_use]
pub fn key_of(path: &Path) -> Vec<u8> {
    let mut key = Vec::new();
    for part in path {
        if !key.is_empty() {
            key.push(0);
        }
        key.extend_from_slice(part.as_bytes());
    }
    key
}

fn path_of(key: &[u8]) -> PathBuf {
    key.split(|byte| *byte == 0)
        .map(OsStr::from_bytes)
        .collect()
}

const WATCH: &str =
    "SELECT id, root, collection, include, exclude, deleted, configured FROM watches";

const FILE: &str = "SELECT path, size, modified, inode, device, sha256, document, error \
     FROM watch_files";

impl Catalog {
    /// Remembers a watch. `false`, and nothing changed, when its folder has one.
    pub fn add_watch(&self, watch: &Watch) -> Result<bool, CatalogError> {
        self.connections.write(|t| {
            let rules = &watch.rules;
            let added = t.execute(
                "INSERT INTO watches (id, root, collection, include, exclude, deleted, configured, \
                 created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
                params![
                    watch.id.key(),
                    rules.root.as_os_str().as_bytes(),
                    rules.collection.as_str(),
                    patterns(&rules.include),
                    patterns(&rules.exclude),
                    rules.deleted.as_str(),
                    watch.configured,
                    now(),
                ],
            )?;
            Ok(added > 0)
        })
    }

    /// Exchanges the rules of a watch; which files fit them is for its next scan to find.
    pub fn change_watch(&self, watch: &Watch) -> Result<(), CatalogError> {
        self.connections.write(|t| {
            let rules = &watch.rules;
            // In another collection they are other documents.
            t.execute(
                "UPDATE watch_files SET modified = 0 WHERE watch = ?1 AND NOT EXISTS \
                 (SELECT 1 FROM watches WHERE id = ?1 AND collection = ?2)",
                params![watch.id.key(), rules.collection.as_str()],
            )?;
            t.execute(
                "UPDATE watches SET collection = ?2, include = ?3, exclude = ?4, deleted = ?5, \
                 configured = ?6 WHERE id = ?1",
                params![
                    watch.id.key(),
                    rules.collection.as_str(),
                    patterns(&rules.include),
                    patterns(&rules.exclude),
                    rules.deleted.as_str(),
                    watch.configured,
                ],
            )?;
            Ok(())
        })
    }

    /// All watches, the oldest first.
    pub fn watches(&self) -> Result<Vec<Watch>, CatalogError> {
        self.connections.read(|t| {
            let watches = t
                .prepare_cached(&format!("{WATCH} ORDER BY created_at, id"))?
                .query_map([], read_watch)?
                .collect::<Result<_, _>>()?;
            Ok(watches)
        })
    }

    /// How many files it has, and when they were last all looked at.
    pub fn watch_counts(
        &self,
        id: WatchId,
    ) -> Result<(WatchCounts, Option<Timestamp>), CatalogError> {
        self.connections.read(|t| {
            let counts = t
                .prepare_cached(
                    "SELECT count(*), \
                     count(*) FILTER (WHERE f.error IS NULL AND d.status = 'searchable' \
                     AND d.sha256 = f.sha256), \
                     count(*) FILTER (WHERE f.error IS NOT NULL OR d.status = 'failed') \
                     FROM watch_files f LEFT JOIN documents d ON d.id = f.document \
                     WHERE f.watch = ?1",
                )?
                .query_row([id.key()], |row| {
                    Ok(WatchCounts {
                        files: count(row, 0)?,
                        searchable: count(row, 1)?,
                        failed: count(row, 2)?,
                    })
                })?;
            let scanned = t
                .prepare_cached(
                    "SELECT scanned_at FROM watches WHERE id = ?1 AND scanned_at IS NOT NULL",
                )?
                .query_row([id.key()], |row| time(row, 0))
                .optional()?;
            Ok((counts, scanned))
        })
    }

    /// Says that every file of it was looked at just now.
    pub fn scanned(&self, id: WatchId) -> Result<(), CatalogError> {
        self.connections.write(|t| {
            t.execute(
                "UPDATE watches SET scanned_at = ?2 WHERE id = ?1",
                params![id.key(), now()],
            )?;
            Ok(())
        })
    }

    /// At most `limit` files from the key `from` on and before the key `before`, in the order of their
    /// keys.
    pub fn watched_files(
        &self,
        id: WatchId,
        from: &[u8],
        before: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<WatchedFile>, CatalogError> {
        self.connections.read(|t| {
            let files = t
                .prepare_cached(&format!(
                    "{FILE} WHERE watch = ?1 AND path >= ?2 AND (?3 IS NULL OR path < ?3) \
                     ORDER BY path LIMIT ?4"
                ))?
                .query_map(
                    params![
                        id.key(),
                        from,
                        before,
                        i64::try_from(limit).unwrap_or(i64::MAX)
                    ],
                    read_file,
                )?
                .collect::<Result<_, _>>()?;
            Ok(files)
        })
    }

    /// One file.
    pub fn watched_file(
        &self,
        id: WatchId,
        path: &Path,
    ) -> Result<Option<WatchedFile>, CatalogError> {
        self.connections.read(|t| {
            Ok(
                t.prepare_cached(&format!("{FILE} WHERE watch = ?1 AND path = ?2"))?
                    .query_row(params![id.key(), key_of(path)], read_file)
                    .optional()?,
            )
        })
    }

    /// A file, wherever it was, whose stamp proves that it has the bytes of the one that has this stamp
    /// now: a file that was renamed.
    pub fn watched_file_with(
        &self,
        id: WatchId,
        stamp: &FileStamp,
    ) -> Result<Option<WatchedFile>, CatalogError> {
        self.connections.read(|t| {
            let files = t
                .prepare_cached(&format!("{FILE} WHERE watch = ?1 AND inode = ?2"))?
                .query_map(params![id.key(), stamp.inode.cast_signed()], read_file)?
                .collect::<Result<Vec<_>, _>>()?;
            Ok(files.into_iter().find(|file| {
                file.sha256.is_some() && file.error.is_none() && file.stamp.proves_same(stamp)
            }))
        })
    }

    /// Remembers why a file could not be read. Its document, if it has one, stays as it is.
    pub fn file_failed(
        &self,
        id: WatchId,
        path: &Path,
        stamp: &FileStamp,
        error: &str,
    ) -> Result<(), CatalogError> {
        self.connections.write(|t| {
            t.execute(
                "INSERT INTO watch_files (watch, path, size, modified, inode, device, error) \
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 \
                 WHERE EXISTS (SELECT 1 FROM watches WHERE id = ?1) \
                 ON CONFLICT (watch, path) DO UPDATE SET error = excluded.error",
                params![
                    id.key(),
                    key_of(path),
                    stamp.size.cast_signed(),
                    stamp.modified,
                    stamp.inode.cast_signed(),
                    stamp.device.cast_signed(),
                    error,
                ],
            )?;
            Ok(())
        })
    }

    /// A file system that was mounted again may have another number: files of `before` are now those
    /// of `now`.
    pub fn remounted(&self, id: WatchId, before: u64, now: u64) -> Result<(), CatalogError> {
        self.connections.write(|t| {
            t.execute(
                "UPDATE watch_files SET device = ?3 WHERE watch = ?1 AND device = ?2",
                params![id.key(), before.cast_signed(), now.cast_signed()],
            )?;
            Ok(())
        })
    }

    /// The document's paths, as a person finds them.
    pub fn paths_of(&self, document: DocumentId) -> Result<Vec<PathBuf>, CatalogError> {
        self.connections.read(|t| {
            let paths = t
                .prepare_cached(
                    "SELECT w.root, f.path FROM watch_files f JOIN watches w ON w.id = f.watch \
                     WHERE f.document = ?1 ORDER BY w.created_at, f.path",
                )?
                .query_map([document.key()], |row| {
                    let root: Vec<u8> = row.get(0)?;
                    let key: Vec<u8> = row.get(1)?;
                    Ok(Path::new(OsStr::from_bytes(&root)).join(path_of(&key)))
                })?
                .collect::<Result<_, _>>()?;
            Ok(paths)
        })
    }
}

fn patterns(list: &[String]) -> String {
    serde_json::to_string(list).expect("texts become JSON")
}

fn read_patterns(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<String>> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| unreadable(column, error))
}

fn read_watch(row: &Row<'_>) -> rusqlite::Result<Watch> {
    let root: Vec<u8> = row.get(1)?;
    Ok(Watch {
        id: WatchId::read(row, 0)?,
        rules: WatchRules {
            root: PathBuf::from(OsStr::from_bytes(&root)),
            collection: collection(row, 2)?,
            include: read_patterns(row, 3)?,
            exclude: read_patterns(row, 4)?,
            deleted: word(row, 5)?,
        },
        configured: row.get(6)?,
    })
}

fn read_file(row: &Row<'_>) -> rusqlite::Result<WatchedFile> {
    let key: Vec<u8> = row.get(0)?;
    let document: Option<[u8; 16]> = row.get(6)?;
    Ok(WatchedFile {
        path: path_of(&key),
        stamp: FileStamp {
            size: count(row, 1)?,
            modified: row.get(2)?,
            inode: row.get::<_, i64>(3)?.cast_unsigned(),
            device: row.get::<_, i64>(4)?.cast_unsigned(),
        },
        sha256: row.get::<_, Option<[u8; 32]>>(5)?.map(Sha256Hash),
        document: document.map(|bits| DocumentId::from_uuid(uuid::Uuid::from_bytes(bits))),
        error: row.get(7)?,
    })
}

/// A path of a deleted document, remembered without its words.
fn hidden(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// A document was deleted by hand: its files stay out until they change. Their paths go too, since a
/// name may hold the very words that had to go.
pub(super) fn refuse_files_of(t: &Transaction<'_>, id: DocumentId) -> Result<(), CatalogError> {
    let files = t
        .prepare_cached(
            "SELECT watch, path, sha256 FROM watch_files WHERE document = ?1 AND sha256 IS NOT NULL",
        )?
        .query_map([id.key()], |row| {
            let path: Vec<u8> = row.get(1)?;
            Ok((row.get::<_, [u8; 16]>(0)?, hidden(&path), row.get::<_, [u8; 32]>(2)?))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    for (watch, path, sha256) in files {
        t.execute(
            "INSERT INTO watch_refused (watch, path, sha256) VALUES (?1, ?2, ?3) \
             ON CONFLICT (watch, path) DO UPDATE SET sha256 = excluded.sha256",
            params![watch, path, sha256],
        )?;
    }
    t.execute("DELETE FROM watch_files WHERE document = ?1", [id.key()])?;
    t.execute("DELETE FROM retirements WHERE document = ?1", [id.key()])?;
    Ok(())
}

#[cfg(test)]
mod tests;
