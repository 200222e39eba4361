//! RTF: a stream of groups and control words, read with a stack of groups so that depth costs no call
//! stack. Headings (by style or outline level) are sections, list items keep the markers that the writer
//! put beside them for older readers, table rows are lines, notes and text boxes follow the paragraph they
//! belong to, headers and footers come last.
//!
//! Left out: hidden and deleted text, pictures, embedded objects (but what they show is read), field
//! codes, comments, index entries.

mod fonts;
mod lexer;
mod reader;
mod stories;
mod styles;

use crate::domain::MediaType;

use super::{Engine, ExtractError, Extracted, Limits, unpaged};
use lexer::Lexer;
use reader::Reader;

/// Reads a Rich Text document.
pub(super) fn extract(bytes: &[u8], limits: &Limits) -> Result<Extracted, ExtractError> {
    let start = bytes.iter().position(|b| *b == b'{').unwrap_or(0);
    let mut reader = Reader::new(limits);
    for token in Lexer::new(&bytes[start..]) {
        reader.token(token)?;
        if reader.is_done() {
            break;
        }
    }
    let (draft, title) = reader.finish()?;
    let (text, sections) = draft.finish();
    Ok(unpaged(MediaType::Rtf, Engine::Rtf, title, text, sections))
}

#[cfg(test)]
mod tests;
