//! A chunk: the piece of a document that is embedded, found and shown as evidence.

use std::path::Path;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::DocumentId;

/// Where a piece of text stands: the page, the section and the bytes of the stored text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locator {
    /// Counting from 1. `None` for documents that have no pages.
    pub page: Option<u32>,
    /// The headings above it, outermost first, joined by ` › `.
    pub section: Option<String>,
    /// Half-open byte range `[start, end)` of the document's stored UTF-8 text.
    pub start: u64,
    pub end: u64,
}

/// Which chunk: the document, the time it was processed, and the place in that order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChunkKey {
    pub document: DocumentId,
    pub revision: u32,
    /// Counting from 0 in the order of the text.
    pub ordinal: u32,
}

impl ChunkKey {
    /// The identifier of the chunk's point in a vector store.
    ///
    /// UUIDv5 of document, revision and ordinal: replaying an interrupted write writes the same points.
    #[must_use]
    pub fn point_id(&self) -> Uuid {
        let mut name = [0_u8; 8];
        name[..4].copy_from_slice(&self.revision.to_be_bytes());
        name[4..].copy_from_slice(&self.ordinal.to_be_bytes());
        Uuid::new_v5(&self.document.uuid(), &name)
    }
}

/// A chunk with its text: `text` equals the stored text's bytes `locator.start..locator.end`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    pub key: ChunkKey,
    pub locator: Locator,
    pub text: String,
}

impl Chunk {
    /// The text as an index sees it: after the document's name and the section's headings, which often
    /// hold the very words that the text itself takes for granted. Never shown, never quoted.
    ///
    /// A heading that the text begins with is not repeated.
    #[must_use]
    pub fn in_context(&self, document_name: &str) -> String {
        let name = Path::new(document_name)
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or(document_name);
        let name = name.replace(['_', '-', '.'], " ");
        let headings = self
            .locator
            .section
            .iter()
            .flat_map(|path| path.split(" › "));
        let mut context = String::new();
        for part in std::iter::once(name.as_str()).chain(headings) {
            let part = part.trim();
            let says_something = part.chars().filter(|c| c.is_alphabetic()).count() > 1;
            if says_something && !self.text.trim_start_matches(['#', ' ']).starts_with(part) {
                context.push_str(part);
                context.push('\n');
            }
        }
        context.push_str(&self.text);
        context
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn point_ids_are_stable_and_distinct() {
        let document = DocumentId::new();
        let key = |revision, ordinal| ChunkKey {
            document,
            revision,
            ordinal,
        };
        assert_eq!(key(1, 2).point_id(), key(1, 2).point_id());
        assert_ne!(key(1, 2).point_id(), key(2, 1).point_id());
    }
}
