//! Files that are gone, and the documents that go with them.
//!
//! A document is retired when its last file is gone and no person uploaded it. That is noted first and
//! done later, because a file that was renamed is gone under its old name before it is there under the
//! new one; and because a document that stands for the file's old bytes goes only when the one with the
//! new ones is searchable.

use std::path::Path;

use rusqlite::{Transaction, params};

use super::key_of;
use crate::{
    catalog::{
        Catalog, CatalogError, Removed,
        column::{Key, now},
        publication, traces,
    },
    domain::{Deleted, DocumentId, WatchId},
};

impl Catalog {
    /// A file is gone, or does not fit the rules any more.
    pub fn file_gone(
        &self,
        watch: WatchId,
        path: &Path,
        deleted: Deleted,
    ) -> Result<(), CatalogError> {
        self.connections.write(|t| {
            let document = super::assign::document_of(t, watch, path)?;
            t.execute(
                "DELETE FROM watch_files WHERE watch = ?1 AND path = ?2",
                params![watch.key(), key_of(path)],
            )?;
            traces::mark(t)?;
            match document {
                Some(document) => release(t, document, deleted, None),
                None => Ok(()),
            }
        })
    }

    /// Forgets a watch and its files. Their documents stay, as if they had been uploaded, or are noted to
    /// be retired.
    pub fn remove_watch(&self, watch: WatchId, deleted: Deleted) -> Result<bool, CatalogError> {
        self.connections.write(|t| {
            let documents = t
                .prepare_cached(
                    "SELECT DISTINCT document FROM watch_files \
                     WHERE watch = ?1 AND document IS NOT NULL",
                )?
                .query_map([watch.key()], |row| DocumentId::read(row, 0))?
                .collect::<Result<Vec<_>, _>>()?;
            t.execute("DELETE FROM watch_files WHERE watch = ?1", [watch.key()])?;
            t.execute("DELETE FROM watch_refused WHERE watch = ?1", [watch.key()])?;
            for document in documents {
                release(t, document, deleted, None)?;
            }
            traces::mark(t)?;
            Ok(t.execute("DELETE FROM watches WHERE id = ?1", [watch.key()])? > 0)
        })
    }

    /// Documents that may be retired now, of those noted `settled_s` seconds ago or longer.
    pub fn to_retire(&self, settled_s: i64) -> Result<Vec<DocumentId>, CatalogError> {
        self.connections.read(|t| {
            let ids = t
                .prepare_cached(
                    "SELECT r.document FROM retirements r LEFT JOIN documents a ON a.id = r.after \
                     WHERE r.noted_at <= ?1 AND (a.id IS NULL OR a.status = 'searchable') \
                     ORDER BY r.document",
                )?
                .query_map([now() - settled_s * 1_000_000], |row| {
                    DocumentId::read(row, 0)
                })?
                .collect::<Result<_, _>>()?;
            Ok(ids)
        })
    }

    /// Whether documents are noted to be retired, sooner or later.
    pub fn retires(&self) -> Result<bool, CatalogError> {
        self.connections.read(|t| {
            Ok(
                t.prepare_cached("SELECT EXISTS (SELECT 1 FROM retirements)")?
                    .query_row([], |row| row.get(0))?,
            )
        })
    }

    /// Removes a document that is noted to be retired, as [`Self::remove`] does, unless it has a file or
    /// was uploaded meanwhile: then only the note goes. `None` when nothing was removed.
    pub fn retire(&self, id: DocumentId) -> Result<Option<Removed>, CatalogError> {
        let removed = self.connections.write(|t| {
            let noted = t.execute("DELETE FROM retirements WHERE document = ?1", [id.key()])? > 0;
            if noted && is_superfluous(t, id)? {
                publication::remove(t, id)
            } else {
                Ok(None)
            }
        })?;
        if removed.is_some() {
            self.in_work.forget(id);
        }
        Ok(removed)
    }
}

/// A document lost a file.
pub(super) fn release(
    t: &Transaction<'_>,
    id: DocumentId,
    deleted: Deleted,
    after: Option<DocumentId>,
) -> Result<(), CatalogError> {
    if !is_superfluous(t, id)? {
        return super::assign::name_after_path(t, id);
    }
    match deleted {
        Deleted::Keep => {
            t.execute("UPDATE documents SET held = 1 WHERE id = ?1", [id.key()])?;
        }
        Deleted::Retire => {
            t.execute(
                "INSERT INTO retirements (document, after, noted_at) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (document) DO UPDATE SET after = excluded.after",
                params![id.key(), after.map(Key::key), now()],
            )?;
        }
    }
    Ok(())
}

/// Whether it has no file and no person uploaded it.
fn is_superfluous(t: &Transaction<'_>, id: DocumentId) -> Result<bool, CatalogError> {
    Ok(t.prepare_cached(
        "SELECT 1 FROM documents d WHERE d.id = ?1 AND NOT d.held \
         AND NOT EXISTS (SELECT 1 FROM watch_files f WHERE f.document = d.id)",
    )?
    .exists([id.key()])?)
}
