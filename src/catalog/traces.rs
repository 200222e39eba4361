//! Traces: what the files still hold of rows that were removed, and how that goes too.
//!
//! `secure_delete` overwrites what is removed, but two kinds of copies escape it (both seen with SQLite
//! 3.54 after some hundred publications and deletes in random order):
//! * the words' index keeps keys between its pages, which are removed words or their beginnings;
//! * where SQLite moves rows between neighbouring pages, the bytes they leave behind stay in the gap of the
//!   old page, and a later removal overwrites the moved row alone.
//!
//! So after a removal the index is built anew, the file is written anew, and the log is emptied. That
//! takes time (here 15 ms for 1,000 chunks and 5 ms for 1 MB), so it is not part of the removal: a mark is
//! set in the same transaction, and whoever has the time calls [`Catalog::remove_traces`].

use rusqlite::Transaction;

use super::{Catalog, CatalogError};

impl Catalog {
    /// Whether something was removed since the traces of removals were.
    pub fn has_traces(&self) -> Result<bool, CatalogError> {
        Ok(self.connections.read(marks)? > 0)
    }

    /// Removes every trace of what was removed so far. Writers wait meanwhile, readers do not. `false`:
    /// a reader kept the log from being emptied, or something was removed meanwhile; call it again.
    pub fn remove_traces(&self) -> Result<bool, CatalogError> {
        let marks = self.connections.write(|t| {
            t.execute(
                "INSERT INTO chunk_words (chunk_words) VALUES ('rebuild')",
                [],
            )?;
            marks(t)
        })?;
        self.connections.write_anew()?;
        if !self.connections.empty_log()? {
            return Ok(false);
        }
        let none_since = self.connections.write(|t| {
            let changed = t.execute("UPDATE traces SET marks = 0 WHERE marks = ?1", [marks])?;
            Ok(changed > 0)
        })?;
        Ok(none_since)
    }
}

/// Says, in the transaction that removes something, that there will be traces of it.
pub(super) fn mark(t: &Transaction<'_>) -> Result<(), CatalogError> {
    t.execute("UPDATE traces SET marks = marks + 1", [])?;
    Ok(())
}

fn marks(t: &Transaction<'_>) -> Result<i64, CatalogError> {
    Ok(t.query_row("SELECT marks FROM traces", [], |row| row.get(0))?)
}
