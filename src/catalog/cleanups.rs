//! What is still to be removed outside the catalog: points in the vector store, originals, and what the
//! log of the database remembers. Noted in the transaction that made it superfluous, so that a kill in
//! between leaves the note.

use rusqlite::{OptionalExtension, params};

use super::{Catalog, CatalogError, column::Key};
use crate::domain::{DocumentId, Sha256Hash};

/// Leftovers of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cleanup {
    pub document: DocumentId,
    /// The revision whose points stay. `None`: the document is gone, and all its points go.
    pub keep: Option<u32>,
    /// The original, when the document was deleted; it stays while another document has the same
    /// bytes ([`Catalog::needs_original`]).
    pub original: Option<Sha256Hash>,
}

impl Catalog {
    /// All leftovers, as things are now.
    pub fn cleanups(&self) -> Result<Vec<Cleanup>, CatalogError> {
        self.connections.read(|t| {
            let cleanups = t
                .prepare_cached(
                    "SELECT c.document, d.revision, c.sha256 FROM cleanups c \
                     LEFT JOIN documents d ON d.id = c.document ORDER BY c.document",
                )?
                .query_map([], |row| {
                    Ok(Cleanup {
                        document: DocumentId::read(row, 0)?,
                        keep: row.get(1)?,
                        original: row.get::<_, Option<[u8; 32]>>(2)?.map(Sha256Hash),
                    })
                })?
                .collect::<Result<_, _>>()?;
            Ok(cleanups)
        })
    }

    /// The revision of a document that is visible: 0 for none yet, `None` for no such document.
    pub fn visible_revision(&self, id: DocumentId) -> Result<Option<u32>, CatalogError> {
        self.connections.read(|t| {
            Ok(
                t.prepare_cached("SELECT revision FROM documents WHERE id = ?1")?
                    .query_row([id.key()], |row| row.get(0))
                    .optional()?,
            )
        })
    }

    /// Notes that points of a document may be in the store that belong to no visible revision.
    pub fn note_leftovers(&self, id: DocumentId) -> Result<(), CatalogError> {
        self.connections.write(|t| {
            t.execute(
                "INSERT INTO cleanups (document) VALUES (?1) ON CONFLICT DO NOTHING",
                [id.key()],
            )?;
            Ok(())
        })
    }

    /// Forgets a note, if it still says what it said: what it spoke of is gone.
    pub fn cleaned(&self, cleanup: &Cleanup) -> Result<(), CatalogError> {
        self.connections.write(|t| {
            t.execute(
                "DELETE FROM cleanups WHERE document = ?1 AND sha256 IS ?2",
                params![cleanup.document.key(), cleanup.original.map(|s| s.0)],
            )?;
            Ok(())
        })
    }

    /// Whether any document has these bytes, or is to have them.
    pub fn needs_original(&self, sha256: Sha256Hash) -> Result<bool, CatalogError> {
        self.connections.read(|t| {
            Ok(t.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM documents WHERE sha256 = ?1 OR next_sha256 = ?1)",
            )?
            .query_row(params![sha256.0], |row| row.get(0))?)
        })
    }

    /// Originals that documents gave up: each goes unless another document needs it.
    pub fn loose_originals(&self) -> Result<Vec<Sha256Hash>, CatalogError> {
        self.connections.read(|t| {
            let hashes = t
                .prepare_cached("SELECT sha256 FROM loose_originals")?
                .query_map([], |row| row.get(0).map(Sha256Hash))?
                .collect::<Result<_, _>>()?;
            Ok(hashes)
        })
    }

    /// That one was seen to.
    pub fn not_loose(&self, sha256: Sha256Hash) -> Result<(), CatalogError> {
        self.connections.write(|t| {
            t.execute(
                "DELETE FROM loose_originals WHERE sha256 = ?1",
                params![sha256.0],
            )?;
            Ok(())
        })
    }

    /// Empties the database's log, where removed rows may still stand. `false`: a reader was in the way;
    /// try again.
    pub fn empty_log(&self) -> Result<bool, CatalogError> {
        self.connections.empty_log()
    }
}
