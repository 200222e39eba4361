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

/// Characters of a name or a heading that go before a chunk in an index: they shall help the chunk's
/// own words, not drown them.
const CONTEXT_CHARS: usize = 60;

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
    /// The text as an index sees it: after the document's name and the two innermost headings, which
    /// often hold the very words that the text itself takes for granted. Never shown, never quoted.
    ///
    /// A heading that the text begins with is not repeated, and a name without words (`2024-01`) left
    /// out.
    #[must_use]
    pub fn in_context(&self, document_name: &str) -> String {
        let stem = Path::new(document_name).file_stem();
        let name = stem.and_then(|stem| stem.to_str()).unwrap_or(document_name);
        let name = name.replace(['_', '-', '.'], " ");
        let path = self.locator.section.as_deref().unwrap_or_default();
        let headings: Vec<_> = path.split(" › ").collect();
        let innermost = &headings[headings.len().saturating_sub(2)..];

        let own = self.text.trim_start_matches(['#', ' ']);
        let mut context = String::new();
        for part in std::iter::once(name.as_str()).chain(innermost.iter().copied()) {
            let says_something = part.chars().filter(|c| c.is_alphabetic()).count() > 1;
            if says_something && !own.starts_with(part.trim()) {
                context.extend(part.trim().chars().take(CONTEXT_CHARS));
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
    fn context_goes_before_the_text() {
        let check = |name: &str, section: Option<&str>, text: &str, expected: &str| {
            let chunk = Chunk {
                key: ChunkKey {
                    document: DocumentId::new(),
                    revision: 1,
                    ordinal: 0,
                },
                locator: Locator {
                    page: None,
                    section: section.map(str::to_owned),
                    start: 0,
                    end: text.len() as u64,
                },
                text: text.to_owned(),
            };
            assert_eq!(chunk.in_context(name), expected);
        };
        check("my-lease_2024.pdf", None, "Rent", "my lease 2024\nRent");
        check("2024-01.pdf", None, "Rent", "Rent");
        check("", None, "", "");
        check(
            "a.md",
            Some("One › Two › Three"),
            "Text",
            "Two\nThree\nText",
        );
        check(
            "a.md",
            Some("Lease › Rent"),
            "## Rent\n\nDue",
            "Lease\n## Rent\n\nDue",
        );
        let (long, cut) = ("x".repeat(200), "x".repeat(60));
        check(&long, None, "Rent", &format!("{cut}\nRent"));
    }

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
