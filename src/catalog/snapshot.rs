//! One unchanging view of the catalog, copied into a file of its own while others go on writing; and
//! the look at such a file before it is trusted.

use std::path::Path;

use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};

use super::{Catalog, CatalogError, Totals, column::count, documents::totals, schema};
use crate::domain::Sha256Hash;

/// Pages copied in one step (4 MiB).
const PAGES: i32 = 1024;

/// The catalog as it was at one moment. While it lives the log cannot be emptied, so it should not
/// live long.
#[derive(Debug)]
pub struct Snapshot {
    /// In a read transaction since the moment.
    connection: Connection,
}

/// What a catalog's file holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// The version of its tables.
    pub schema: i64,
    pub totals: Totals,
    /// The originals that its documents name, each once, in ascending order, with their sizes.
    pub originals: Vec<(Sha256Hash, u64)>,
}

impl Catalog {
    /// This moment, to be copied.
    pub fn snapshot(&self) -> Result<Snapshot, CatalogError> {
        let connection = self.connections.another()?;
        connection.execute_batch("BEGIN")?;
        // The view is that of the first read, not of `BEGIN`.
        connection.query_row("SELECT count(*) FROM documents", [], |_| Ok(()))?;
        Ok(Snapshot { connection })
    }
}

impl Snapshot {
    /// What it holds.
    pub fn contents(&self) -> Result<Contents, CatalogError> {
        contents(&self.connection)
    }

    /// Writes it to the new file `path`, which needs no other file beside it. Not synced.
    pub fn copy_to(self, path: &Path) -> Result<(), CatalogError> {
        let mut copy = Connection::open(path)?;
        // Nobody reads it before it is whole, and whoever wants it durable syncs it.
        copy.pragma_update(None, "synchronous", "OFF")?;
        {
            let backup = Backup::new(&self.connection, &mut copy)?;
            // The source is in its read transaction already, so every step sees the same moment.
            while backup.step(PAGES)? != StepResult::Done {}
        }
        // The pages say "with a log"; this file has none.
        copy.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
        copy.close().map_err(|(_, error)| error.into())
    }
}

/// Looks at a catalog's file that nobody has open and changes nothing in it. Its pages are checked, and
/// that no code came with it that this program did not write (triggers, views).
///
/// # Errors
/// [`CatalogError::Newer`], and [`CatalogError::Damaged`] for what is no catalog or a broken one.
pub fn inspect(path: &Path) -> Result<Contents, CatalogError> {
    let damaged = |what: String| CatalogError::Damaged(what);
    if std::fs::metadata(path).map_or(true, |file| file.len() == 0) {
        return Err(damaged("the file is empty or missing".to_owned()));
    }
    schema::refuse_foreign(path)?;
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(damaged(verdict));
    }
    if schema::version(&connection)? < 1 {
        return Err(damaged("the file is no catalog".to_owned()));
    }
    schema::refuse_strange_code(&connection)?;
    contents(&connection)
}

fn contents(connection: &Connection) -> Result<Contents, CatalogError> {
    let originals = connection
        .prepare("SELECT sha256, max(bytes) FROM documents GROUP BY sha256 ORDER BY sha256")?
        .query_map([], |row| Ok((Sha256Hash(row.get(0)?), count(row, 1)?)))?
        .collect::<Result<_, _>>()?;
    Ok(Contents {
        schema: schema::version(connection)?,
        totals: totals(connection)?,
        originals,
    })
}
