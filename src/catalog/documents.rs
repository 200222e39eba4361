//! The documents' rows: recorded, listed, queued, failed. What is in work is told from memory, by
//! `in_work`.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params, types::ValueRef};

use super::{
    Catalog, CatalogError, Listing, NewDocument, Recorded, Totals,
    column::{Key, collection, count, now, time, unreadable, word},
    watches,
};
use crate::domain::{
    Collection, Document, DocumentId, Engine, Failure, FailureCode, PageReport, Sha256Hash, Stage,
    Status,
};

const COLUMNS: &str = "id, name, media_type, bytes, sha256, collection, metadata, status, chunks, \
     revision, error_code, error_message, created_at, updated_at";

impl Catalog {
    /// Records a document whose original is durable already, and queues it. The same bytes in the same
    /// collection are the document that is there; where that one failed, it is queued again.
    pub fn record(&self, new: &NewDocument) -> Result<Recorded, CatalogError> {
        let recorded = self.connections.write(|t| {
            let before = with_content(t, new.sha256, &new.collection)?;
            let id = match &before {
                Some(found) => {
                    if found.next_is_other {
                        watches::split(t, found.id)?;
                    }
                    t.execute(
                        "UPDATE documents SET status = 'queued', error_code = NULL, \
                         error_message = NULL, updated_at = ?2, queued_at = ?2, tries = 0 \
                         WHERE id = ?1 AND status = 'failed'",
                        params![found.id.key(), now()],
                    )?;
                    // Whatever watch found it first: a person has brought it now.
                    t.execute(
                        "UPDATE documents SET held = 1 WHERE id = ?1",
                        [found.id.key()],
                    )?;
                    found.id
                }
                None => insert(t, new, true)?,
            };
            let document = select(t, id)?.expect("the row was found or written just above");
            Ok(Recorded {
                document,
                duplicate: before.is_some(),
            })
        })?;
        Ok(Recorded {
            document: self.shown(recorded.document),
            ..recorded
        })
    }

    /// The document with these bytes in this collection.
    pub fn document_with(
        &self,
        sha256: Sha256Hash,
        collection: &Collection,
    ) -> Result<Option<Document>, CatalogError> {
        let found = self
            .connections
            .read(|t| match with_content(t, sha256, collection)? {
                Some(found) => select(t, found.id),
                None => Ok(None),
            })?;
        Ok(found.map(|document| self.shown(document)))
    }

    /// One document, with how far it has come.
    pub fn document(&self, id: DocumentId) -> Result<Option<Document>, CatalogError> {
        let found = self.connections.read(|t| select(t, id))?;
        Ok(found.map(|document| self.shown(document)))
    }

    /// One document with the bytes that are to be read: those that it will have, where it is to have
    /// others.
    pub fn document_to_read(&self, id: DocumentId) -> Result<Option<Document>, CatalogError> {
        let found = self.connections.read(|t| {
            let Some(mut document) = select(t, id)? else {
                return Ok(None);
            };
            let next = t
                .prepare_cached(
                    "SELECT next_sha256, next_bytes FROM documents \
                     WHERE id = ?1 AND next_sha256 IS NOT NULL",
                )?
                .query_row([id.key()], |row| {
                    Ok((Sha256Hash(row.get(0)?), count(row, 1)?))
                })
                .optional()?;
            if let Some((sha256, bytes)) = next {
                document.sha256 = sha256;
                document.bytes = bytes;
            }
            Ok(Some(document))
        })?;
        Ok(found.map(|document| self.shown(document)))
    }

    /// Documents, newest first.
    pub fn documents(&self, listing: &Listing) -> Result<Vec<Document>, CatalogError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM documents \
             WHERE (?1 IS NULL OR collection = ?1) AND (?2 IS NULL OR id < ?2) \
             ORDER BY id DESC LIMIT ?3"
        );
        let found = self.connections.read(|t| {
            let collection = listing
                .collection
                .as_ref()
                .map(super::super::domain::ids::Collection::as_str);
            let after = listing.after.map(Key::key);
            let limit = i64::try_from(listing.limit).unwrap_or(i64::MAX);
            let mut documents = t
                .prepare_cached(&sql)?
                .query_map(params![collection, after, limit], read_row)?
                .collect::<Result<Vec<_>, _>>()?;
            for document in &mut documents {
                document.pages = select_pages(t, document.id)?;
            }
            Ok(documents)
        })?;
        Ok(found
            .into_iter()
            .map(|document| self.shown(document))
            .collect())
    }

    /// Queues a document again; its visible revision stays visible until the next one is. `false` when
    /// there is no such document.
    pub fn requeue(&self, id: DocumentId) -> Result<bool, CatalogError> {
        let changed = self.connections.write(|t| {
            Ok(t.execute(
                "UPDATE documents SET status = 'queued', error_code = NULL, error_message = NULL, \
                 updated_at = ?2, queued_at = ?2, tries = 0 WHERE id = ?1",
                params![id.key(), now()],
            )?)
        })?;
        Ok(changed > 0)
    }

    /// Documents that are neither searchable nor failed, those that wait longest first.
    pub fn unfinished(&self) -> Result<Vec<DocumentId>, CatalogError> {
        self.waiting(usize::MAX)
    }

    /// At most `limit` of [`Self::unfinished`].
    pub fn waiting(&self, limit: usize) -> Result<Vec<DocumentId>, CatalogError> {
        self.connections.read(|t| {
            let ids = t
                .prepare_cached(
                    "SELECT id FROM documents WHERE status = 'queued' ORDER BY queued_at, id LIMIT ?1",
                )?
                .query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| DocumentId::read(row, 0))?
                .collect::<Result<_, _>>()?;
            Ok(ids)
        })
    }

    /// How many documents wait or are in work.
    pub fn queued(&self) -> Result<u64, CatalogError> {
        self.connections.read(queued)
    }

    /// Ends a document's processing with a reason. What was visible of it stays visible. Nothing
    /// happens when it was deleted meanwhile.
    pub fn fail(
        &self,
        id: DocumentId,
        failure: &Failure,
        pages: &[PageReport],
    ) -> Result<(), CatalogError> {
        self.fail_of(id, None, failure, pages)
    }

    /// The same after the bytes `read` were read; nothing happens when the document is to have others by
    /// now.
    pub fn fail_reading(
        &self,
        id: DocumentId,
        read: Sha256Hash,
        failure: &Failure,
        pages: &[PageReport],
    ) -> Result<(), CatalogError> {
        self.fail_of(id, Some(read), failure, pages)
    }

    fn fail_of(
        &self,
        id: DocumentId,
        read: Option<Sha256Hash>,
        failure: &Failure,
        pages: &[PageReport],
    ) -> Result<(), CatalogError> {
        self.connections.write(|t| {
            let changed = set_failed(t, id, read, failure)?;
            if changed > 0 && !pages.is_empty() {
                replace_pages(t, id, pages)?;
            }
            Ok(())
        })?;
        self.in_work.forget(id);
        Ok(())
    }

    /// Puts a queued document behind the others and counts that as a try. How many there were; `None`
    /// when it is not in the queue.
    pub fn postpone(&self, id: DocumentId) -> Result<Option<u32>, CatalogError> {
        let tries = self.connections.write(|t| tried_once_more(t, id, true))?;
        self.in_work.forget(id);
        Ok(tries)
    }

    /// Counts it against documents that a run died with them in work: for one alone as a try, of several
    /// each is under suspicion. They wait behind the others. Who comes to `max_tries` fails; which those
    /// were.
    pub fn blame(
        &self,
        ids: &[DocumentId],
        max_tries: u32,
    ) -> Result<Vec<DocumentId>, CatalogError> {
        let alone = ids.len() == 1;
        self.connections.write(|t| {
            let mut quarantined = Vec::new();
            for id in ids {
                let tries = tried_once_more(t, *id, alone)?;
                if let Some(tries) = tries.filter(|tries| *tries >= max_tries) {
                    let failure = Failure {
                        code: FailureCode::Quarantined,
                        message: format!(
                            "the daemon died {tries} times while this was in work, so it is set aside \
                             and the others go on; process it again if those deaths had another cause"
                        ),
                    };
                    set_failed(t, *id, None, &failure)?;
                    quarantined.push(*id);
                }
            }
            Ok(quarantined)
        })
    }

    /// Documents in the queue that were tried before.
    pub fn tried(&self) -> Result<Vec<DocumentId>, CatalogError> {
        self.connections.read(|t| {
            let ids = t
                .prepare_cached("SELECT id FROM documents WHERE status = 'queued' AND tries > 0")?
                .query_map([], |row| DocumentId::read(row, 0))?
                .collect::<Result<_, _>>()?;
            Ok(ids)
        })
    }

    /// Counts over all documents. Those in work count as queued.
    pub fn totals(&self) -> Result<Totals, CatalogError> {
        self.connections.read(|t| totals(t))
    }

    fn shown(&self, mut document: Document) -> Document {
        self.in_work.show_in(&mut document);
        document
    }
}

pub(super) fn totals(connection: &Connection) -> Result<Totals, CatalogError> {
    let totals = connection
        .prepare_cached(
            "SELECT count(*), count(*) FILTER (WHERE status = 'queued'), \
             count(*) FILTER (WHERE status = 'searchable'), \
             count(*) FILTER (WHERE status = 'failed'), coalesce(sum(chunks), 0) FROM documents",
        )?
        .query_row([], |row| {
            Ok(Totals {
                documents: count(row, 0)?,
                queued: count(row, 1)?,
                searchable: count(row, 2)?,
                failed: count(row, 3)?,
                chunks: count(row, 4)?,
            })
        })?;
    Ok(totals)
}

/// A document of a collection with certain bytes.
pub(super) struct WithContent {
    pub(super) id: DocumentId,
    /// It has them now and is to have others ([`watches::split`]).
    pub(super) next_is_other: bool,
}

/// The document that is to have these bytes, or else the one that has them still.
pub(super) fn with_content(
    t: &Transaction<'_>,
    sha256: Sha256Hash,
    collection: &Collection,
) -> Result<Option<WithContent>, CatalogError> {
    Ok(t.prepare_cached(
        "SELECT id, next_sha256 IS NOT NULL AND next_sha256 <> ?1 FROM documents \
         WHERE collection = ?2 AND (sha256 = ?1 OR next_sha256 = ?1) ORDER BY 2 LIMIT 1",
    )?
    .query_row(params![sha256.0, collection.as_str()], |row| {
        Ok(WithContent {
            id: DocumentId::read(row, 0)?,
            next_is_other: row.get(1)?,
        })
    })
    .optional()?)
}

/// A document that a watch found.
pub(super) fn insert_watched(
    t: &Transaction<'_>,
    new: &NewDocument,
) -> Result<DocumentId, CatalogError> {
    insert(t, new, false)
}

/// Ends a document's processing; where `read` says which bytes that was found in, only if the document is
/// to have no others by now.
fn set_failed(
    t: &Transaction<'_>,
    id: DocumentId,
    read: Option<Sha256Hash>,
    failure: &Failure,
) -> Result<usize, CatalogError> {
    Ok(t.execute(
        "UPDATE documents SET status = 'failed', error_code = ?2, error_message = ?3, \
         updated_at = ?4, tries = 0 WHERE id = ?1 \
         AND (?5 IS NULL OR coalesce(next_sha256, sha256) = ?5)",
        params![
            id.key(),
            failure.code.as_str(),
            failure.message,
            now(),
            read.map(|sha256| sha256.0),
        ],
    )?)
}

/// Puts a queued document behind the others. `counts`: as a try more; else as one if there was none.
fn tried_once_more(
    t: &Transaction<'_>,
    id: DocumentId,
    counts: bool,
) -> Result<Option<u32>, CatalogError> {
    Ok(t.prepare_cached(
        "UPDATE documents SET tries = CASE WHEN ?2 THEN tries + 1 ELSE max(tries, 1) END, \
         queued_at = ?3 WHERE id = ?1 AND status = 'queued' RETURNING tries",
    )?
    .query_row(params![id.key(), counts, now()], |row| row.get(0))
    .optional()?)
}

fn insert(t: &Transaction<'_>, new: &NewDocument, held: bool) -> Result<DocumentId, CatalogError> {
    let id = DocumentId::new();
    let metadata = serde_json::to_string(&new.metadata).expect("a JSON object is written as JSON");
    t.execute(
        "INSERT INTO documents (id, name, bytes, sha256, collection, metadata, status, \
         created_at, updated_at, queued_at, held) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'queued', ?7, ?7, ?7, ?8)",
        params![
            id.key(),
            new.name,
            new.bytes.cast_signed(),
            new.sha256.0,
            new.collection.as_str(),
            metadata,
            now(),
            held,
        ],
    )?;
    Ok(id)
}

pub(super) fn queued(t: &Transaction<'_>) -> Result<u64, CatalogError> {
    Ok(
        t.prepare_cached("SELECT count(*) FROM documents WHERE status = 'queued'")?
            .query_row([], |row| count(row, 0))?,
    )
}

pub(super) fn select(
    t: &Transaction<'_>,
    id: DocumentId,
) -> Result<Option<Document>, CatalogError> {
    let found = t
        .prepare_cached(&format!("SELECT {COLUMNS} FROM documents WHERE id = ?1"))?
        .query_row([id.key()], read_row)
        .optional()?;
    let Some(mut document) = found else {
        return Ok(None);
    };
    document.pages = select_pages(t, id)?;
    Ok(Some(document))
}

fn select_pages(t: &Transaction<'_>, id: DocumentId) -> Result<Vec<PageReport>, CatalogError> {
    let pages = t
        .prepare_cached(
            "SELECT page, chars, state, engine FROM pages WHERE document = ?1 ORDER BY page",
        )?
        .query_map([id.key()], |row| {
            Ok(PageReport {
                page: row.get(0)?,
                chars: count(row, 1)?,
                state: word(row, 2)?,
                engine: match row.get_ref(3)? {
                    ValueRef::Null => None,
                    _ => Some(word(row, 3)?),
                },
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(pages)
}

pub(super) fn replace_pages(
    t: &Transaction<'_>,
    id: DocumentId,
    pages: &[PageReport],
) -> Result<(), CatalogError> {
    t.execute("DELETE FROM pages WHERE document = ?1", [id.key()])?;
    let mut insert = t.prepare_cached(
        "INSERT INTO pages (document, page, chars, state, engine) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for page in pages {
        insert.execute(params![
            id.key(),
            page.page,
            page.chars.cast_signed(),
            page.state.as_str(),
            page.engine.map(Engine::as_str),
        ])?;
    }
    Ok(())
}

/// A row of [`COLUMNS`], without its pages.
fn read_row(row: &Row<'_>) -> rusqlite::Result<Document> {
    let status: Status = word(row, 7)?;
    let code: Option<String> = row.get(10)?;
    let error = match code {
        Some(_) => Some(Failure {
            code: word(row, 10)?,
            message: row.get(11)?,
        }),
        None => None,
    };
    let metadata: String = row.get(6)?;
    let (stage, progress) = match status {
        Status::Queued | Status::Processing => (Stage::Waiting, 0.0),
        Status::Searchable | Status::Failed => (Stage::Done, 1.0),
    };
    Ok(Document {
        id: DocumentId::read(row, 0)?,
        name: row.get(1)?,
        media_type: match row.get_ref(2)? {
            ValueRef::Null => None,
            _ => Some(word(row, 2)?),
        },
        bytes: count(row, 3)?,
        sha256: Sha256Hash(row.get(4)?),
        collection: collection(row, 5)?,
        metadata: serde_json::from_str(&metadata).map_err(|e| unreadable(6, e))?,
        status,
        stage,
        progress,
        pages: Vec::new(),
        chunks: count(row, 8)?,
        revision: row.get(9)?,
        error,
        work: None,
        created_at: time(row, 12)?,
        updated_at: time(row, 13)?,
    })
}
