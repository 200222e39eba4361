//! Conversations: what was asked and answered, and out of which documents, so that a deleted document's
//! words do not live on in an old answer.

use rusqlite::params;

use super::{
    Catalog, CatalogError, Turn,
    column::{Key, micros, time},
};
use crate::domain::{ConversationId, DocumentId};

impl Catalog {
    /// Adds a turn whose answer quoted `documents`. When one of them was deleted while the answer was
    /// written, the turn is not kept: it would hold words that are gone.
    pub fn add_turn(
        &self,
        conversation: ConversationId,
        turn: &Turn,
        documents: &[DocumentId],
    ) -> Result<(), CatalogError> {
        self.connections.write(|t| {
            let mut exists = t.prepare_cached("SELECT 1 FROM documents WHERE id = ?1")?;
            for document in documents {
                if !exists.exists([document.key()])? {
                    return Ok(());
                }
            }
            t.execute(
                "INSERT INTO turns (conversation, question, answer, at) VALUES (?1, ?2, ?3, ?4)",
                params![conversation.key(), turn.question, turn.answer, micros(turn.at)],
            )?;
            let row = t.last_insert_rowid();
            let mut quoted = t.prepare_cached(
                "INSERT INTO turn_documents (document, turn) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            )?;
            for document in documents {
                quoted.execute(params![document.key(), row])?;
            }
            Ok(())
        })
    }

    /// The last turns of a conversation, oldest first.
    pub fn turns(
        &self,
        conversation: ConversationId,
        last: usize,
    ) -> Result<Vec<Turn>, CatalogError> {
        self.connections.read(|t| {
            let mut turns = t
                .prepare_cached(
                    "SELECT question, answer, at FROM turns WHERE conversation = ?1 \
                     ORDER BY id DESC LIMIT ?2",
                )?
                .query_map(
                    params![conversation.key(), i64::try_from(last).unwrap_or(i64::MAX)],
                    |row| {
                        Ok(Turn {
                            question: row.get(0)?,
                            answer: row.get(1)?,
                            at: time(row, 2)?,
                        })
                    },
                )?
                .collect::<Result<Vec<_>, _>>()?;
            turns.reverse();
            Ok(turns)
        })
    }
}
