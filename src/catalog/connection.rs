//! Connections to the catalog's file: how they are opened and set up, and what SQLite's errors mean here.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use super::{CatalogError, schema};
use crate::failpoints::{Point, reach};

/// Questions read at the same time without waiting for each other. Two cores answer few at once.
const READERS: usize = 4;

/// Bytes of a catalog that is copied in memory when it is written anew; a larger one takes the disk.
const COPY_IN_MEMORY: i64 = 64 * 1024 * 1024;

/// How long one connection waits for another's lock. All writers share one connection, so this is
/// met only when a second program (a backup) holds the file.
const BUSY: Duration = Duration::from_secs(10);

/// One connection that writes and a few that read. In WAL mode neither side waits for the other.
#[derive(Debug)]
pub(super) struct Connections {
    path: PathBuf,
    /// Never held across an `.await`: catalog methods block and run on blocking threads.
    writer: Mutex<Connection>,
    readers: [Mutex<Connection>; READERS],
    next: AtomicUsize,
    /// Where the file is.
    folder: PathBuf,
}

impl Connections {
    pub(super) fn open(path: &Path) -> Result<Self, CatalogError> {
        schema::refuse_foreign(path)?;
        let mut writer = connect(path)?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        // FULL: in WAL mode NORMAL may lose the last commits at a power cut, and an upload is
        // acknowledged on the strength of its commit.
        writer.pragma_update(None, "synchronous", "FULL")?;
        writer.pragma_update(None, "foreign_keys", true)?;
        // What is deleted is overwritten, not only unlinked: delete means gone.
        writer.pragma_update(None, "secure_delete", true)?;
        // A large publication leaves a large log behind; give the space back at the next checkpoint.
        writer.pragma_update(None, "journal_size_limit", 16 * 1024 * 1024)?;
        schema::migrate(&mut writer)?;
        // The name of a fresh file is durable only when its folder is.
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            File::open(folder)
                .and_then(|f| f.sync_all())
                .map_err(|e| CatalogError::Damaged(format!("its folder cannot be synced: {e}")))?;
        }
        let reader = || -> Result<_, CatalogError> {
            let connection = connect(path)?;
            connection.pragma_update(None, "query_only", true)?;
            Ok(Mutex::new(connection))
        };
        Ok(Self {
            path: path.to_owned(),
            writer: Mutex::new(writer),
            readers: [reader()?, reader()?, reader()?, reader()?],
            next: AtomicUsize::new(0),
            folder: path.parent().map_or_else(PathBuf::new, Path::to_owned),
        })
    }

    /// Runs `work` in a transaction that holds the write lock from its beginning. It is durable when
    /// this returns `Ok`; on any error nothing of it remains.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, CatalogError>,
    ) -> Result<T, CatalogError> {
        let mut writer = self.writer();
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = work(&transaction)?;
        reach(Point::CommitBefore);
        transaction.commit()?;
        reach(Point::CommitAfter);
        Ok(result)
    }

    /// Reads a row and writes one, in a transaction that is rolled back. While somebody here writes, which may
    /// take long (a catalog written anew), that is proof enough, and it only reads.
    pub(super) fn try_out(&self) -> Result<(), CatalogError> {
        let mut writer = match self.writer.try_lock() {
            Ok(writer) => writer,
            Err(TryLockError::Poisoned(writer)) => writer.into_inner(),
            Err(TryLockError::WouldBlock) => return self.read(|view| count_one(view).map(drop)),
        };
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let rows = count_one(&transaction)?;
        transaction.execute(
            "UPDATE documents SET name = name WHERE id = (SELECT id FROM documents LIMIT ?1)",
            [rows],
        )?;
        transaction.rollback()?;
        Ok(())
    }

    /// Runs `work` on one unchanging view of the catalog.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, CatalogError>,
    ) -> Result<T, CatalogError> {
        let mut reader = self.reader();
        let transaction = reader.transaction()?;
        work(&transaction)
    }

    /// Moves the log into the main file and empties it, so that nothing deleted remains in it.
    /// Whether it worked: a reader in the middle of something may prevent it.
    pub(super) fn empty_log(&self) -> Result<bool, CatalogError> {
        let busy: i64 = self
            .writer()
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        Ok(busy == 0)
    }

    /// A connection of its own for what takes long, so that no reader is missing meanwhile.
    pub(super) fn another(&self) -> Result<Connection, CatalogError> {
        connect(&self.path)
    }

    /// Writes the whole file anew, so that nothing but rows is in it: bytes of removed rows that SQLite
    /// left beside those it moved go with the old pages. Takes as much space again while it runs.
    pub(super) fn write_anew(&self) -> Result<(), CatalogError> {
        let writer = self.writer();
        let number = |pragma: &str| -> Result<i64, rusqlite::Error> {
            writer.pragma_query_value(None, pragma, |row| row.get(0))
        };
        let bytes = number("page_count")? * number("page_size")?;
        if bytes <= COPY_IN_MEMORY {
            writer.execute_batch("VACUUM")?;
            return Ok(());
        }
        // The copy of a large catalog is a file without a name, in the home and not in some `/tmp`.
        writer.pragma_update(None, "temp_store_directory", self.folder.to_string_lossy())?;
        writer.pragma_update(None, "temp_store", "FILE")?;
        let copied = writer.execute_batch("VACUUM");
        writer.pragma_update(None, "temp_store", "MEMORY")?;
        Ok(copied?)
    }

    /// Makes the file full once it has grown by `more` pages.
    #[cfg(test)]
    pub(super) fn limit_pages(&self, more: i64) {
        let writer = self.writer();
        let pages: i64 = writer
            .pragma_query_value(None, "page_count", |r| r.get(0))
            .unwrap();
        writer
            .pragma_update_and_check(None, "max_page_count", pages + more, |_| Ok(()))
            .unwrap();
    }

    /// A panic while the lock was held rolled its transaction back, so the connection is sound.
    fn writer(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A free reader, or the wait for one of them.
    fn reader(&self) -> MutexGuard<'_, Connection> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        (0..READERS)
            .find_map(|i| self.readers[(first + i) % READERS].try_lock().ok())
            .unwrap_or_else(|| {
                self.readers[first % READERS]
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
            })
    }
}

/// Whether there is a document: 1 or 0.
fn count_one(view: &Transaction<'_>) -> Result<i64, CatalogError> {
    let rows = view.query_row(
        "SELECT count(*) FROM (SELECT 1 FROM documents LIMIT 1)",
        [],
        |row| row.get(0),
    );
    Ok(rows?)
}

fn connect(path: &Path) -> Result<Connection, CatalogError> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY)?;
    // Sorting and statement journals spill to memory: no document text in files outside the home.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

impl From<rusqlite::Error> for CatalogError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Sqlite(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_does_not_wait_for_who_writes() {
        let folder = tempfile::tempdir().unwrap();
        let connections = Connections::open(&folder.path().join("catalog.db")).unwrap();
        connections.try_out().unwrap();
        let writes = connections.writer();
        let (sender, done) = std::sync::mpsc::sync_channel(1);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                connections.try_out().unwrap();
                // The writer is let go of when this was said; without it, never.
                sender.send(()).unwrap();
            });
            done.recv().unwrap();
            drop(writes);
        });
        // Who panicked while they wrote left a sound connection.
        let panicked = std::thread::scope(|scope| {
            let work = scope.spawn(|| {
                let _writes = connections.writer();
                panic!("as the test wants it");
            });
            work.join().is_err()
        });
        assert!(panicked);
        connections.try_out().unwrap();
    }
}
