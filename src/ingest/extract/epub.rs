//! EPUB (2 and 3): the chapters in the order of the spine, each read as HTML, its headings as sections.
//! A chapter without a heading takes the name that the table of contents gives it.
//!
//! Left out: the table of contents itself, pictures, styles, scripts; nothing outside the package is
//! fetched. A book whose chapters are encrypted (DRM) is said to be.

mod opf;
mod xhtml;

use crate::domain::{FailureCode, MediaType};

use super::{
    Engine, ExtractError, Extracted, Limits, decode,
    draft::Draft,
    html,
    package::{self, Package},
    unpaged,
    xml::{self, Node},
};
use opf::Book;

/// Bytes of one chapter. It is parsed as a whole, and trees are ten times as large as their source.
const MAX_CHAPTER: u64 = 16 * 1024 * 1024;

/// Reads an e-book.
pub(super) fn extract(bytes: &[u8], limits: &Limits) -> Result<Extracted, ExtractError> {
    let mut package = Package::open(bytes)?;
    let book = Book::open(&mut package)?;
    let encrypted = encrypted_parts(&mut package)?;
    if book.chapters.iter().any(|part| encrypted.contains(part)) {
        return Err(ExtractError::new(
            FailureCode::Encrypted,
            "the book is protected by its seller (DRM) and opens only in their reader",
        ));
    }
    let mut draft = Draft::new(limits);
    let mut found = 0;
    for part in &book.chapters {
        let Some(source) = package.small_part(part, MAX_CHAPTER)? else {
            continue;
        };
        found += 1;
        let source = decode::decode(&source, html::declared_charset(&source).as_deref());
        let source = xhtml::without_self_closing(&source);
        draft.end_block()?;
        if let Some(label) = book.labels.get(part)
            && !xhtml::has_heading(&source)
        {
            draft.heading_at(draft.position(), 1, label);
        }
        (draft, _) = html::write(&source, draft)?;
    }
    if found == 0 {
        return Err(damaged("none of its chapters is in it"));
    }
    let (text, sections) = draft.finish();
    Ok(unpaged(
        MediaType::Epub,
        Engine::Html,
        book.title,
        text,
        sections,
    ))
}

/// Fonts are often scrambled, which is no matter here; chapters are not, but for DRM.
fn encrypted_parts(package: &mut Package<'_>) -> Result<Vec<String>, ExtractError> {
    let mut parts = Vec::new();
    let Some(part) = package.part("META-INF/encryption.xml")? else {
        return Ok(parts);
    };
    xml::read(part, |node| {
        if let Node::Open(tag) = node
            && tag.is("CipherReference")
            && let Some(uri) = tag.attr("URI")
        {
            parts.push(package::resolve("", &opf::decoded(&uri)));
        }
        Ok(())
    })?;
    Ok(parts)
}

fn damaged(why: &str) -> ExtractError {
    ExtractError::new(
        FailureCode::Damaged,
        format!("the e-book is damaged: {why}"),
    )
}
