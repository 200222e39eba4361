//! What of a document is visible: published whole, read back, and removed.

use rusqlite::{CachedStatement, OptionalExtension, Row, Transaction, params};

use super::{
    Catalog, CatalogError, Passage, Publication, Removed,
    column::{Key, collection, count, now},
    documents::replace_pages,
    traces, watches, words,
};
use crate::domain::{Chunk, ChunkKey, DocumentId, Fingerprint, Locator, Sha256Hash};

/// Bytes of a part of a stored text. A quotation reads one or two of them. A part may end within a
/// character: only bytes are read back.
const PART_BYTES: usize = 64 * 1024;

/// What a chunk's row holds of a [`Passage`].
const PASSAGE: &str = "SELECT c.document, c.revision, c.ordinal, d.name, d.collection, c.page, \
     c.section, c.\"start\", c.\"end\", c.text \
     FROM chunks c JOIN documents d ON d.id = c.document AND d.revision = c.revision";

impl Catalog {
    /// Makes a revision visible in place of the one before: text, pages, chunks, the words' index and
    /// the document's row change in one transaction.
    ///
    /// `false`, and nothing changed, when the document was deleted meanwhile or a later revision is
    /// visible already.
    pub fn publish(&self, publication: &Publication) -> Result<bool, CatalogError> {
        self.publish_of(publication, None)
    }

    /// The same for a revision that was made of the bytes `read`. `false` also when the document is to
    /// have others by now: it waits in the queue then.
    pub fn publish_read(
        &self,
        publication: &Publication,
        read: Sha256Hash,
    ) -> Result<bool, CatalogError> {
        self.publish_of(publication, Some(read))
    }

    fn publish_of(
        &self,
        publication: &Publication,
        read: Option<Sha256Hash>,
    ) -> Result<bool, CatalogError> {
        let published = self.connections.write(|t| publish(t, publication, read))?;
        self.in_work.forget(publication.document);
        Ok(published)
    }

    /// Bytes of the stored text of the visible revision, the range brought into bounds. `None` when
    /// nothing of the document is visible.
    pub fn text(
        &self,
        id: DocumentId,
        start: Option<u64>,
        end: Option<u64>,
    ) -> Result<Option<Vec<u8>>, CatalogError> {
        self.connections.read(|t| {
            let bytes = t
                .prepare_cached("SELECT text_bytes FROM documents WHERE id = ?1 AND revision > 0")?
                .query_row([id.key()], |row| count(row, 0))
                .optional()?;
            let Some(bytes) = bytes else {
                return Ok(None);
            };
            let end = end.unwrap_or(bytes).min(bytes);
            let start = start.unwrap_or(0).min(end);
            read_text(t, id, start, end).map(Some)
        })
    }

    /// The chunks of visible revisions among `keys`, in their order.
    pub fn passages(&self, keys: &[ChunkKey]) -> Result<Vec<Passage>, CatalogError> {
        self.connections.read(|t| {
            let mut statement = t.prepare_cached(&format!(
                "{PASSAGE} WHERE c.document = ?1 AND c.revision = ?2 AND c.ordinal = ?3"
            ))?;
            let mut passages = Vec::with_capacity(keys.len());
            for key in keys {
                let of_key = params![key.document.key(), key.revision, key.ordinal];
                passages.extend(statement.query_row(of_key, read_passage).optional()?);
            }
            Ok(passages)
        })
    }

    /// The chunks around a visible one, in the order of the text, without itself.
    pub fn neighbours(
        &self,
        key: ChunkKey,
        before: u32,
        after: u32,
    ) -> Result<Vec<Passage>, CatalogError> {
        self.connections.read(|t| {
            let passages = t
                .prepare_cached(&format!(
                    "{PASSAGE} WHERE c.document = ?1 AND c.revision = ?2 \
                     AND c.ordinal BETWEEN ?3 AND ?4 AND c.ordinal <> ?5 ORDER BY c.ordinal"
                ))?
                .query_map(
                    params![
                        key.document.key(),
                        key.revision,
                        key.ordinal.saturating_sub(before),
                        key.ordinal.saturating_add(after),
                        key.ordinal,
                    ],
                    read_passage,
                )?
                .collect::<Result<_, _>>()?;
            Ok(passages)
        })
    }

    /// Removes everything the catalog holds of a document, the conversation turns that quoted it
    /// included, and notes that its points and its original are still to go
    /// ([`Self::cleanups`]). `None` when there is no such document.
    pub fn remove(&self, id: DocumentId) -> Result<Option<Removed>, CatalogError> {
        let removed = self.connections.write(|t| remove(t, id))?;
        self.in_work.forget(id);
        Ok(removed)
    }
}

fn publish(
    t: &Transaction<'_>,
    publication: &Publication,
    read: Option<Sha256Hash>,
) -> Result<bool, CatalogError> {
    let id = publication.document;
    let before: Option<(u32, String, [u8; 32])> = t
        .query_row(
            "SELECT revision, name, coalesce(next_sha256, sha256) FROM documents WHERE id = ?1",
            [id.key()],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    let Some((visible, name, wanted)) = before else {
        return Ok(false);
    };
    if visible >= publication.revision || read.is_some_and(|read| read.0 != wanted) {
        return Ok(false);
    }
    become_next(t, id)?;
    t.execute("DELETE FROM chunks WHERE document = ?1", [id.key()])?;
    t.execute("DELETE FROM text_parts WHERE document = ?1", [id.key()])?;
    write_text(t, id, &publication.text)?;
    let mut insert = t.prepare_cached(
        "INSERT INTO chunks (document, revision, ordinal, page, section, \"start\", \"end\", text, \
         terms, embedded) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    for (place, chunk) in publication.chunks.iter().enumerate() {
        write_chunk(&mut insert, chunk, &name, publication.embedded.get(place))?;
    }
    replace_pages(t, id, &publication.pages)?;
    t.execute(
        "UPDATE documents SET status = 'searchable', revision = ?2, media_type = ?3, chunks = ?4, \
         text_bytes = ?5, error_code = NULL, error_message = NULL, updated_at = ?6, tries = 0 WHERE id = ?1",
        params![
            id.key(),
            publication.revision,
            publication.media_type.as_str(),
            publication.chunks.len() as i64,
            publication.text.len() as i64,
            now(),
        ],
    )?;
    if visible > 0 {
        note_cleanup(t, id, None)?;
        traces::mark(t)?;
    }
    Ok(true)
}

/// Where the document was to have other bytes, it has them from now on.
fn become_next(t: &Transaction<'_>, id: DocumentId) -> Result<(), CatalogError> {
    t.execute(
        "INSERT INTO loose_originals (sha256) SELECT sha256 FROM documents \
         WHERE id = ?1 AND next_sha256 IS NOT NULL ON CONFLICT DO NOTHING",
        [id.key()],
    )?;
    t.execute(
        "UPDATE documents SET sha256 = next_sha256, bytes = next_bytes, next_sha256 = NULL, \
         next_bytes = NULL WHERE id = ?1 AND next_sha256 IS NOT NULL",
        [id.key()],
    )?;
    Ok(())
}

fn write_chunk(
    insert: &mut CachedStatement<'_>,
    chunk: &Chunk,
    document_name: &str,
    embedded: Option<&Fingerprint>,
) -> Result<(), CatalogError> {
    insert.execute(params![
        chunk.key.document.key(),
        chunk.key.revision,
        chunk.key.ordinal,
        chunk.locator.page,
        chunk.locator.section,
        chunk.locator.start.cast_signed(),
        chunk.locator.end.cast_signed(),
        chunk.text,
        words::indexed(&chunk.in_context(document_name)),
        embedded.map(|fingerprint| fingerprint.0),
    ])?;
    Ok(())
}

fn write_text(t: &Transaction<'_>, id: DocumentId, text: &str) -> Result<(), CatalogError> {
    let mut insert =
        t.prepare_cached("INSERT INTO text_parts (document, part, bytes) VALUES (?1, ?2, ?3)")?;
    for (part, bytes) in (0_i64..).zip(text.as_bytes().chunks(PART_BYTES)) {
        insert.execute(params![id.key(), part, bytes])?;
    }
    Ok(())
}

/// `start..end` lies within the text.
fn read_text(
    t: &Transaction<'_>,
    id: DocumentId,
    start: u64,
    end: u64,
) -> Result<Vec<u8>, CatalogError> {
    let part_bytes = PART_BYTES as u64;
    let mut text = Vec::with_capacity((end - start) as usize);
    let mut statement = t.prepare_cached(
        "SELECT part, bytes FROM text_parts WHERE document = ?1 AND part BETWEEN ?2 AND ?3 \
         ORDER BY part",
    )?;
    let mut rows = statement.query(params![
        id.key(),
        (start / part_bytes).cast_signed(),
        (end / part_bytes).cast_signed(),
    ])?;
    while let Some(row) = rows.next()? {
        let offset = count(row, 0)? * part_bytes;
        let bytes = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        let from = start.saturating_sub(offset).min(bytes.len() as u64) as usize;
        let to = end.saturating_sub(offset).min(bytes.len() as u64) as usize;
        text.extend_from_slice(&bytes[from..to]);
    }
    Ok(text)
}

fn read_passage(row: &Row<'_>) -> rusqlite::Result<Passage> {
    Ok(Passage {
        key: ChunkKey {
            document: DocumentId::read(row, 0)?,
            revision: row.get(1)?,
            ordinal: row.get(2)?,
        },
        document_name: row.get(3)?,
        collection: collection(row, 4)?,
        locator: Locator {
            page: row.get(5)?,
            section: row.get(6)?,
            start: count(row, 7)?,
            end: count(row, 8)?,
        },
        text: row.get(9)?,
    })
}

pub(super) fn remove(t: &Transaction<'_>, id: DocumentId) -> Result<Option<Removed>, CatalogError> {
    let found = t
        .query_row(
            "SELECT sha256, chunks, text_bytes, EXISTS (SELECT 1 FROM documents o \
             WHERE (o.sha256 = d.sha256 OR o.next_sha256 = d.sha256) AND o.id <> d.id) \
             FROM documents d WHERE id = ?1",
            [id.key()],
            |row| {
                let removed = Removed {
                    chunks: count(row, 1)?,
                    text_bytes: count(row, 2)?,
                    original_shared: row.get(3)?,
                    turns: 0,
                };
                Ok((Sha256Hash(row.get(0)?), removed))
            },
        )
        .optional()?;
    let Some((sha256, mut removed)) = found else {
        return Ok(None);
    };
    removed.turns = t.execute(
        "DELETE FROM turns WHERE id IN (SELECT turn FROM turn_documents WHERE document = ?1)",
        [id.key()],
    )? as u64;
    // Chunks, pages and parts go with the row; the trigger takes the chunks out of the words' index.
    t.execute("DELETE FROM chunks WHERE document = ?1", [id.key()])?;
    t.execute(
        "INSERT INTO loose_originals (sha256) SELECT next_sha256 FROM documents \
         WHERE id = ?1 AND next_sha256 IS NOT NULL ON CONFLICT DO NOTHING",
        [id.key()],
    )?;
    watches::refuse_files_of(t, id)?;
    t.execute("DELETE FROM documents WHERE id = ?1", [id.key()])?;
    traces::mark(t)?;
    note_cleanup(t, id, Some(sha256))?;
    Ok(Some(removed))
}

/// Remembers that something outside the catalog is left over of a document.
fn note_cleanup(
    t: &Transaction<'_>,
    id: DocumentId,
    sha256: Option<Sha256Hash>,
) -> Result<(), CatalogError> {
    t.execute(
        "INSERT INTO cleanups (document, sha256) VALUES (?1, ?2) \
         ON CONFLICT (document) DO UPDATE SET sha256 = coalesce(excluded.sha256, sha256)",
        params![id.key(), sha256.map(|s| s.0)],
    )?;
    Ok(())
}
