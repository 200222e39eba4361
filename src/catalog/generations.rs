//! The generations of the vector index: which there are, which one answers, and what each of the others
//! holds. Going over from one to another is one row changed in one transaction.
//!
//! Of the generation in use nothing is noted but that it is: it holds every visible revision. Of one that
//! is being built, and of one that is kept, each document that it holds is noted with its revision; so
//! what it lacks can be told at any time, after a kill too.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{
    Catalog, CatalogError,
    column::{Key, collection, count, now, time, word},
};
use crate::domain::{Chunk, ChunkKey, Collection, DocumentId, Generation, GenerationRole, Locator};

/// Some chunks of a document, to be embedded again.
#[derive(Debug, Clone, PartialEq)]
pub struct ChunkRun {
    pub document: DocumentId,
    pub document_name: String,
    pub collection: Collection,
    pub revision: u32,
    pub chunks: Vec<Chunk>,
    /// Whether the document's last chunk is among them.
    pub ends: bool,
}

/// How much of the library a generation holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Coverage {
    /// Visible documents and their chunks.
    pub documents: u64,
    pub chunks: u64,
    /// Those of them that it holds.
    pub documents_held: u64,
    pub chunks_held: u64,
}

const COLUMNS: &str = "number, model, dimension, role, complete, made_at";

impl Catalog {
    /// All of them, oldest first.
    pub fn generations(&self) -> Result<Vec<Generation>, CatalogError> {
        self.connections.read(|t| {
            let generations = t
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM generations ORDER BY number"
                ))?
                .query_map([], read)?
                .collect::<Result<_, _>>()?;
            Ok(generations)
        })
    }

    /// Notes a generation that is begun. `number` is the next one unless it is given.
    pub fn begin_generation(
        &self,
        number: Option<u32>,
        model: &str,
        dimension: usize,
        role: GenerationRole,
        complete: bool,
    ) -> Result<Generation, CatalogError> {
        self.connections
            .write(|t| begin(t, number, model, dimension, role, complete))
    }

    /// What the generation in use holds is not to be believed: it is to be filled again from the
    /// beginning. `false` when it is not in use.
    pub fn doubt_generation(&self, number: u32) -> Result<bool, CatalogError> {
        self.connections.write(|t| {
            let changed = t.execute(
                "UPDATE generations SET complete = 0 WHERE number = ?1 AND role = 'active'",
                [number],
            )?;
            t.execute("DELETE FROM indexed WHERE generation = ?1", [number])?;
            Ok(changed > 0)
        })
    }

    /// The generation in use holds everything.
    pub fn complete_generation(&self, number: u32) -> Result<(), CatalogError> {
        self.connections.write(|t| {
            t.execute(
                "UPDATE generations SET complete = 1 WHERE number = ?1 AND role = 'active'",
                [number],
            )?;
            requeue_cut(t, number)?;
            t.execute("DELETE FROM indexed WHERE generation = ?1", [number])?;
            Ok(())
        })
    }

    /// Lets `number` answer from now on. The one that answered so far is kept, if it was complete, or
    /// else to be removed. The caller sees to it that `number` holds every visible revision, and that
    /// none is published meanwhile.
    pub fn switch_generation(&self, number: u32) -> Result<(), CatalogError> {
        self.connections.write(|t| {
            // One of each role at most, at every step.
            t.execute(
                "UPDATE generations SET role = 'building' WHERE number = ?1",
                [number],
            )?;
            t.execute(
                "INSERT OR REPLACE INTO indexed (generation, document, revision, cut) \
                 SELECT g.number, d.id, d.revision, 0 FROM generations g, documents d \
                 WHERE g.role = 'active' AND g.complete AND d.revision > 0",
                [],
            )?;
            t.execute(
                "UPDATE generations SET role = CASE WHEN complete THEN 'kept' ELSE 'dropped' END \
                 WHERE role = 'active'",
                [],
            )?;
            t.execute(
                "UPDATE generations SET role = 'active', complete = 1 WHERE number = ?1",
                [number],
            )?;
            requeue_cut(t, number)?;
            t.execute("DELETE FROM indexed WHERE generation = ?1", [number])?;
            Ok(())
        })
    }

    /// A generation that is not in use is to be removed. `false` when it is in use, or there is none.
    pub fn drop_generation(&self, number: u32) -> Result<bool, CatalogError> {
        self.connections.write(|t| {
            let changed = t.execute(
                "UPDATE generations SET role = 'dropped' WHERE number = ?1 AND role <> 'active'",
                [number],
            )?;
            t.execute(
                "DELETE FROM indexed WHERE generation = ?1 AND EXISTS \
                 (SELECT 1 FROM generations WHERE number = ?1 AND role = 'dropped')",
                [number],
            )?;
            Ok(changed > 0)
        })
    }

    /// Forgets a generation that is removed.
    pub fn forget_generation(&self, number: u32) -> Result<(), CatalogError> {
        self.connections.write(|t| {
            t.execute(
                "DELETE FROM generations WHERE number = ?1 AND role = 'dropped'",
                [number],
            )?;
            Ok(())
        })
    }

    /// Puts a new generation, empty, in the place of the one in use, which is to be removed.
    pub fn renew_generation(
        &self,
        number: u32,
        model: &str,
        dimension: usize,
    ) -> Result<Generation, CatalogError> {
        self.connections.write(|t| {
            t.execute(
                "UPDATE generations SET role = 'dropped' WHERE number = ?1",
                [number],
            )?;
            t.execute("DELETE FROM indexed WHERE generation = ?1", [number])?;
            begin(t, None, model, dimension, GenerationRole::Active, false)
        })
    }

    /// Visible revisions that a generation lacks, as far as is noted, at most `limit`.
    pub fn unindexed(
        &self,
        number: u32,
        limit: usize,
    ) -> Result<Vec<(DocumentId, u32)>, CatalogError> {
        self.connections.read(|t| {
            let lacking = t
                .prepare_cached(
                    "SELECT d.id, d.revision FROM documents d LEFT JOIN indexed i \
                     ON i.generation = ?1 AND i.document = d.id AND i.revision = d.revision \
                     WHERE d.revision > 0 AND i.document IS NULL ORDER BY d.id LIMIT ?2",
                )?
                .query_map(
                    params![number, i64::try_from(limit).unwrap_or(i64::MAX)],
                    |row| Ok((DocumentId::read(row, 0)?, row.get(1)?)),
                )?
                .collect::<Result<_, _>>()?;
            Ok(lacking)
        })
    }

    /// Notes that a generation holds a revision, durably. `cut`: the model did not read all of each
    /// chunk, so the document is to be processed again once the generation is in use.
    pub fn note_indexed(
        &self,
        number: u32,
        documents: &[(DocumentId, u32, bool)],
    ) -> Result<(), CatalogError> {
        self.connections.write(|t| {
            let mut insert = t.prepare_cached(
                "INSERT OR REPLACE INTO indexed (generation, document, revision, cut) \
                 SELECT ?1, id, ?3, ?4 FROM documents WHERE id = ?2",
            )?;
            for (id, revision, cut) in documents {
                insert.execute(params![number, id.key(), revision, cut])?;
            }
            Ok(())
        })
    }

    /// At most `limit` chunks of a visible revision, from the place `from` on. `None` when it is not
    /// visible any more.
    pub fn chunk_run(
        &self,
        document: DocumentId,
        revision: u32,
        from: u32,
        limit: usize,
    ) -> Result<Option<ChunkRun>, CatalogError> {
        self.connections.read(|t| {
            let about = t
                .prepare_cached(
                    "SELECT name, collection FROM documents WHERE id = ?1 AND revision = ?2",
                )?
                .query_row(params![document.key(), revision], |row| {
                    Ok((row.get(0)?, collection(row, 1)?))
                })
                .optional()?;
            let Some((document_name, collection)) = about else {
                return Ok(None);
            };
            let mut chunks = t
                .prepare_cached(
                    "SELECT ordinal, page, section, \"start\", \"end\", text FROM chunks \
                     WHERE document = ?1 AND revision = ?2 AND ordinal >= ?3 \
                     ORDER BY ordinal LIMIT ?4",
                )?
                // One more than asked for, to know whether it is the last.
                .query_map(
                    params![document.key(), revision, from, limit as i64 + 1],
                    |row| {
                        Ok(Chunk {
                            key: ChunkKey {
                                document,
                                revision,
                                ordinal: row.get(0)?,
                            },
                            locator: Locator {
                                page: row.get(1)?,
                                section: row.get(2)?,
                                start: count(row, 3)?,
                                end: count(row, 4)?,
                            },
                            text: row.get(5)?,
                        })
                    },
                )?
                .collect::<Result<Vec<_>, _>>()?;
            let ends = chunks.len() <= limit;
            chunks.truncate(limit);
            Ok(Some(ChunkRun {
                document,
                document_name,
                collection,
                revision,
                chunks,
                ends,
            }))
        })
    }

    /// How much of the library a generation holds, as far as is noted.
    pub fn coverage(&self, number: u32) -> Result<Coverage, CatalogError> {
        self.connections.read(|t| {
            let coverage = t
                .prepare_cached(
                    "SELECT count(*), coalesce(sum(d.chunks), 0), count(i.document), \
                     coalesce(sum(d.chunks) FILTER (WHERE i.document IS NOT NULL), 0) \
                     FROM documents d LEFT JOIN indexed i \
                     ON i.generation = ?1 AND i.document = d.id AND i.revision = d.revision \
                     WHERE d.revision > 0",
                )?
                .query_row([number], |row| {
                    Ok(Coverage {
                        documents: count(row, 0)?,
                        chunks: count(row, 1)?,
                        documents_held: count(row, 2)?,
                        chunks_held: count(row, 3)?,
                    })
                })?;
            Ok(coverage)
        })
    }
}

fn begin(
    t: &Transaction<'_>,
    number: Option<u32>,
    model: &str,
    dimension: usize,
    role: GenerationRole,
    complete: bool,
) -> Result<Generation, CatalogError> {
    t.execute(
        "INSERT INTO generations (number, model, dimension, role, complete, made_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            number,
            model,
            dimension as i64,
            role.as_str(),
            complete,
            now()
        ],
    )?;
    Ok(t.query_row(
        &format!("SELECT {COLUMNS} FROM generations WHERE number = ?1"),
        [t.last_insert_rowid()],
        read,
    )?)
}

/// Queues the documents whose chunks are too long for the model of a generation: they are cut anew.
fn requeue_cut(t: &Transaction<'_>, number: u32) -> Result<(), CatalogError> {
    t.execute(
        "UPDATE documents SET status = 'queued', error_code = NULL, error_message = NULL, \
         updated_at = ?2, queued_at = ?2 WHERE status <> 'queued' AND id IN \
         (SELECT document FROM indexed WHERE generation = ?1 AND cut)",
        params![number, now()],
    )?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Generation> {
    Ok(Generation {
        number: row.get(0)?,
        model: row.get(1)?,
        dimension: count(row, 2)? as usize,
        role: word(row, 3)?,
        complete: row.get(4)?,
        made_at: time(row, 5)?,
    })
}

/// Forgets every generation in a catalog's file that nobody has open: the indexes are not where it is
/// going.
pub fn forget_index(path: &Path) -> Result<(), CatalogError> {
    let connection = Connection::open(path)?;
    let knows_generations = connection
        .prepare("SELECT 1 FROM sqlite_schema WHERE name = 'generations'")?
        .exists([])?;
    if knows_generations {
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.execute_batch("DELETE FROM indexed; DELETE FROM generations;")?;
    }
    connection.close().map_err(|(_, error)| error.into())
}
