//! Which document the bytes of a file are.
//!
//! | the file's bytes | its document before | what happens |
//! |---|---|---|
//! | a document's of the collection | any | the file is that document |
//! | new | its own alone | the document gets the new bytes: same id, next revision |
//! | new | none, uploaded, or of other files too | a new document |
//!
//! A document that gets new bytes keeps its visible revision until the next one is published. Until then
//! it has both contents: `sha256` is what is visible, `next_sha256` what it will be.

use std::path::Path;

use rusqlite::{OptionalExtension, Transaction, params};

use super::{hidden, key_of};
use crate::{
    catalog::{
        Catalog, CatalogError, NewDocument,
        column::{Key, now},
        documents, traces,
    },
    domain::{Collection, Content, Deleted, DocumentId, FileStamp, Sha256Hash, WatchId},
};

/// A file and the bytes that were found in it. Their original is durable already, unless a document of
/// the collection has them.
#[derive(Debug, Clone)]
pub struct Assignment {
    pub watch: WatchId,
    /// Inside the watch's folder.
    pub path: std::path::PathBuf,
    pub stamp: FileStamp,
    pub content: Content,
    pub collection: Collection,
    pub deleted: Deleted,
}

/// What a file is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assigned {
    /// The document that it was.
    Same(DocumentId),
    /// A document that was there already: nothing is read or embedded.
    Known(DocumentId),
    /// Its own document, which waits to be read anew.
    Replaced(DocumentId),
    /// A new document, which waits to be read.
    New(DocumentId),
    /// None: the document of these bytes was deleted by hand.
    Refused,
    /// None: the watch is gone.
    Unwatched,
}

impl Catalog {
    /// Says that a file has these bytes.
    pub fn assign(&self, a: &Assignment) -> Result<Assigned, CatalogError> {
        let assigned = self.connections.write(|t| assign(t, a))?;
        if let Assigned::Replaced(id) = assigned {
            self.in_work.forget(id);
        }
        Ok(assigned)
    }

    /// Whether [`Self::assign`] would need the original of these bytes: no document of the collection
    /// has them, and they were not deleted by hand.
    pub fn wants_original(&self, a: &Assignment) -> Result<bool, CatalogError> {
        self.connections.read(|t| {
            Ok(!is_refused(t, a)?
                && documents::with_content(t, a.content.sha256, &a.collection)?.is_none())
        })
    }
}

fn assign(t: &Transaction<'_>, a: &Assignment) -> Result<Assigned, CatalogError> {
    let watched: bool = t.query_row(
        "SELECT EXISTS (SELECT 1 FROM watches WHERE id = ?1)",
        [a.watch.key()],
        |row| row.get(0),
    )?;
    if !watched {
        return Ok(Assigned::Unwatched);
    }
    if is_refused(t, a)? {
        return Ok(Assigned::Refused);
    }
    let found = documents::with_content(t, a.content.sha256, &a.collection)?;
    if let Some(found) = found.as_ref().filter(|found| found.next_is_other) {
        let own = document_of(t, a.watch, &a.path)? == Some(found.id);
        if own && is_own(t, found.id, &a.collection)? {
            revert(t, found.id)?;
        } else {
            split(t, found.id)?;
        }
    }
    let found = found.map(|found| found.id);
    let before = document_of(t, a.watch, &a.path)?;
    let assigned = match (found, before) {
        (Some(id), Some(before)) if id == before => Assigned::Same(id),
        (Some(id), _) => Assigned::Known(id),
        (None, Some(own)) if is_own(t, own, &a.collection)? => {
            replace(t, own, a.content)?;
            Assigned::Replaced(own)
        }
        (None, _) => Assigned::New(documents::insert_watched(t, &new_document(a))?),
    };
    let (Assigned::Same(id) | Assigned::Known(id) | Assigned::Replaced(id) | Assigned::New(id)) =
        assigned
    else {
        unreachable!("the other cases have returned")
    };
    t.execute(
        "INSERT INTO watch_files (watch, path, document, size, modified, inode, device, sha256) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (watch, path) DO UPDATE SET \
         document = excluded.document, size = excluded.size, modified = excluded.modified, \
         inode = excluded.inode, device = excluded.device, sha256 = excluded.sha256, error = NULL",
        params![
            a.watch.key(),
            key_of(&a.path),
            id.key(),
            a.stamp.size.cast_signed(),
            a.stamp.modified,
            a.stamp.inode.cast_signed(),
            a.stamp.device.cast_signed(),
            a.content.sha256.0,
        ],
    )?;
    t.execute(
        "DELETE FROM watch_refused WHERE watch = ?1 AND path = ?2",
        params![a.watch.key(), hidden(&key_of(&a.path))],
    )?;
    t.execute("DELETE FROM retirements WHERE document = ?1", [id.key()])?;
    if let Some(before) = before.filter(|before| *before != id) {
        super::retire::release(t, before, Deleted::Retire, Some(id))?;
    }
    name_after_path(t, id)?;
    Ok(assigned)
}

fn new_document(a: &Assignment) -> NewDocument {
    NewDocument {
        name: name_of(&a.path),
        bytes: a.content.bytes,
        sha256: a.content.sha256,
        collection: a.collection.clone(),
        metadata: serde_json::Map::new(),
    }
}

fn name_of(path: &Path) -> String {
    crate::domain::document::clean_name(&path.file_name().unwrap_or_default().to_string_lossy())
}

pub(super) fn document_of(
    t: &Transaction<'_>,
    watch: WatchId,
    path: &Path,
) -> Result<Option<DocumentId>, CatalogError> {
    Ok(t.prepare_cached(
        "SELECT f.document FROM watch_files f JOIN documents d ON d.id = f.document \
         WHERE f.watch = ?1 AND f.path = ?2",
    )?
    .query_row(params![watch.key(), key_of(path)], |row| {
        DocumentId::read(row, 0)
    })
    .optional()?)
}

fn is_refused(t: &Transaction<'_>, a: &Assignment) -> Result<bool, CatalogError> {
    Ok(t.prepare_cached(
        "SELECT 1 FROM watch_refused WHERE watch = ?1 AND path = ?2 AND sha256 = ?3",
    )?
    .exists(params![
        a.watch.key(),
        hidden(&key_of(&a.path)),
        a.content.sha256.0
    ])?)
}

/// Whether a document is this one file's alone, so that it may become something else.
fn is_own(t: &Transaction<'_>, id: DocumentId, wanted: &Collection) -> Result<bool, CatalogError> {
    Ok(t.query_row(
        "SELECT NOT held AND collection = ?2 \
         AND (SELECT count(*) FROM watch_files WHERE document = ?1) = 1 \
         FROM documents WHERE id = ?1",
        params![id.key(), wanted.as_str()],
        |row| row.get(0),
    )?)
}

/// The document becomes this content, once that is read.
fn replace(t: &Transaction<'_>, id: DocumentId, content: Content) -> Result<(), CatalogError> {
    loosen_next(t, id)?;
    t.execute(
        "UPDATE documents SET next_sha256 = ?2, next_bytes = ?3, status = 'queued', \
         error_code = NULL, error_message = NULL, updated_at = ?4, queued_at = ?4, tries = 0 WHERE id = ?1",
        params![
            id.key(),
            content.sha256.0,
            content.bytes.cast_signed(),
            now()
        ],
    )?;
    Ok(())
}

/// The file has the bytes again that the document has still.
fn revert(t: &Transaction<'_>, id: DocumentId) -> Result<(), CatalogError> {
    loosen_next(t, id)?;
    stay(t, id)
}

/// The document keeps the bytes that it has.
fn stay(t: &Transaction<'_>, id: DocumentId) -> Result<(), CatalogError> {
    t.execute(
        "UPDATE documents SET next_sha256 = NULL, next_bytes = NULL, error_code = NULL, \
         error_message = NULL, updated_at = ?2, queued_at = ?2, tries = 0, \
         status = CASE WHEN revision > 0 THEN 'searchable' ELSE 'queued' END WHERE id = ?1",
        params![id.key(), now()],
    )?;
    Ok(())
}

/// Somebody brings the bytes that this document is about to give up: it keeps them, and what it was to
/// become is a document of its own. Files that have the new bytes are that one.
pub(in crate::catalog) fn split(t: &Transaction<'_>, id: DocumentId) -> Result<(), CatalogError> {
    let (name, collection, next, bytes): (String, String, [u8; 32], i64) = t.query_row(
        "SELECT name, collection, next_sha256, next_bytes FROM documents WHERE id = ?1",
        [id.key()],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
    )?;
    stay(t, id)?;
    let other = documents::insert_watched(
        t,
        &NewDocument {
            name,
            bytes: bytes.unsigned_abs(),
            sha256: Sha256Hash(next),
            collection: collection
                .parse()
                .expect("it was a collection's name when it was written"),
            metadata: serde_json::Map::new(),
        },
    )?;
    t.execute(
        "UPDATE watch_files SET document = ?2 WHERE document = ?1 AND sha256 = ?3",
        params![id.key(), other.key(), next],
    )?;
    traces::mark(t)?;
    Ok(())
}

/// The bytes that the document was to become are perhaps nobody's now.
fn loosen_next(t: &Transaction<'_>, id: DocumentId) -> Result<(), CatalogError> {
    t.execute(
        "INSERT INTO loose_originals (sha256) SELECT next_sha256 FROM documents \
         WHERE id = ?1 AND next_sha256 IS NOT NULL ON CONFLICT DO NOTHING",
        [id.key()],
    )?;
    Ok(())
}

/// A document that no person named is called what its first file is called.
pub(super) fn name_after_path(t: &Transaction<'_>, id: DocumentId) -> Result<(), CatalogError> {
    let first: Option<Vec<u8>> = t
        .prepare_cached(
            "SELECT f.path FROM watch_files f JOIN watches w ON w.id = f.watch \
             JOIN documents d ON d.id = f.document \
             WHERE f.document = ?1 AND NOT d.held ORDER BY w.created_at, f.path LIMIT 1",
        )?
        .query_row([id.key()], |row| row.get(0))
        .optional()?;
    if let Some(key) = first {
        let name = name_of(&super::path_of(&key));
        let renamed = t.execute(
            "UPDATE documents SET name = ?2, updated_at = ?3 WHERE id = ?1 AND name <> ?2",
            params![id.key(), name, now()],
        )?;
        if renamed > 0 {
            traces::mark(t)?;
        }
    }
    Ok(())
}
