//! Which texts have a vector already.
//!
//! A vector depends on the embedded text alone, so a chunk whose text is in the library already, in an
//! earlier revision of its document or anywhere else, takes that vector. What is kept for it is a
//! fingerprint in the chunk's own row: it goes when the chunk goes, and there is no cache to clear.

use rusqlite::OptionalExtension;

use super::{Catalog, CatalogError, column::Key};
use crate::domain::{ChunkKey, DocumentId, Fingerprint};

impl Catalog {
    /// For each text a visible chunk that was embedded as exactly that, if there is any. Its point is
    /// durable in the store of the model it was published with.
    pub fn embedded(&self, texts: &[Fingerprint]) -> Result<Vec<Option<ChunkKey>>, CatalogError> {
        self.connections.read(|t| {
            let mut statement = t.prepare_cached(
                "SELECT c.document, c.revision, c.ordinal FROM chunks c \
                 JOIN documents d ON d.id = c.document AND d.revision = c.revision \
                 WHERE c.embedded = ?1 LIMIT 1",
            )?;
            let mut found = Vec::with_capacity(texts.len());
            for text in texts {
                let key = statement.query_row([text.0], |row| {
                    Ok(ChunkKey {
                        document: DocumentId::read(row, 0)?,
                        revision: row.get(1)?,
                        ordinal: row.get(2)?,
                    })
                });
                found.push(key.optional()?);
            }
            Ok(found)
        })
    }
}
