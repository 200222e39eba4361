//! Search by words alone, which needs neither embedder nor vector store.
//!
//! Terms are those of [`crate::domain::bm25`], so a word that finds a passage in the vector store finds
//! it here. FTS5 ranks by BM25 with k1 1.2 and b 0.75 (its constants).

use std::collections::HashSet;

use rusqlite::params;

use super::{Catalog, CatalogError, column::Key};
use crate::domain::{
    ChunkKey, Collection, DocumentId,
    bm25::{Language, Side, terms},
};

/// Terms of a query that are looked up; questions have fewer, pasted pages may have thousands.
const MAX_TERMS: usize = 64;

/// What the words' index keeps of a text.
pub(super) fn indexed(text: &str) -> String {
    terms(text, Language::English, Side::Passage).join(" ")
}

impl Catalog {
    /// Chunks of visible revisions that hold words of `query`, best first, with their BM25 score (higher
    /// is better). Any text is safe: none of it is read as query syntax.
    pub fn search_words(
        &self,
        query: &str,
        collection: Option<&Collection>,
        limit: usize,
    ) -> Result<Vec<(ChunkKey, f32)>, CatalogError> {
        let Some(expression) = expression(query) else {
            return Ok(Vec::new());
        };
        self.connections.read(|t| {
            let hits = t
                .prepare_cached(
                    "SELECT c.document, c.revision, c.ordinal, bm25(chunk_words) AS rank \
                     FROM chunk_words JOIN chunks c ON c.id = chunk_words.rowid \
                     JOIN documents d ON d.id = c.document AND d.revision = c.revision \
                     WHERE chunk_words MATCH ?1 AND (?2 IS NULL OR d.collection = ?2) \
                     ORDER BY rank LIMIT ?3",
                )?
                .query_map(
                    params![
                        expression,
                        collection.map(Collection::as_str),
                        i64::try_from(limit).unwrap_or(i64::MAX),
                    ],
                    |row| {
                        let key = ChunkKey {
                            document: DocumentId::read(row, 0)?,
                            revision: row.get(1)?,
                            ordinal: row.get(2)?,
                        };
                        // FTS5 gives better matches smaller (more negative) numbers.
                        Ok((key, -row.get::<_, f64>(3)? as f32))
                    },
                )?
                .collect::<Result<_, _>>()?;
            Ok(hits)
        })
    }
}

/// `"term" OR "term" …`, each term quoted. `None` when the query has no term that is indexed.
fn expression(query: &str) -> Option<String> {
    let mut terms = terms(query, Language::English, Side::Query);
    let mut seen = HashSet::new();
    terms.retain(|term| seen.insert(term.clone()));
    terms.truncate(MAX_TERMS);
    let quoted: Vec<_> = terms.iter().map(|term| quoted(term)).collect();
    (!quoted.is_empty()).then(|| quoted.join(" OR "))
}

/// A term as a string of FTS5's query language.
fn quoted(term: &str) -> String {
    format!("\"{}\"", term.replace('"', "\"\"").replace('\0', ""))
}
