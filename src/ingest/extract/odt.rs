//! ODT (OpenDocument text): paragraphs and headings in order, list markers counted out, each table row
//! one line, notes after the paragraph that refers to them, text boxes after the paragraph they hang on,
//! headers and footers first.
//!
//! Left out, as in DOCX: what tracked changes deleted, hidden text, comments; and embedded objects
//! (formulas, sheets, charts), which are documents of their own inside the package.

mod body;
mod styles;

use crate::domain::{FailureCode, MediaType};

use super::{
    Engine, ExtractError, Extracted, Limits,
    draft::Draft,
    ooxml::element_text,
    package::{self, Package},
    unpaged,
    xml::{self, Node},
};
use body::Body;
use styles::Styles;

/// Headers and footers that are looked at.
const MAX_MARGINS: usize = 64;

/// Reads a text document.
pub(super) fn extract(bytes: &[u8], limits: &Limits) -> Result<Extracted, ExtractError> {
    let mut package = Package::open(bytes)?;
    refuse_encrypted(&mut package)?;
    let mut styles = Styles::default();
    if let Some(part) = package.part("styles.xml")? {
        styles.read(part)?;
    }
    if let Some(part) = package.part("content.xml")? {
        styles.read(part)?;
    }
    let mut draft = Draft::new(limits);
    write_margins(&mut draft, &mut package, &styles, limits)?;
    let Some(part) = package.part("content.xml")? else {
        return Err(ExtractError::new(
            FailureCode::Damaged,
            "the OpenDocument file has no content in it; save it again in the program that made it",
        ));
    };
    let mut body = Body::new(draft, &styles);
    let mut inside = false;
    xml::read(part, |node| {
        match &node {
            Node::Open(tag) if tag.is("body") => inside = true,
            Node::Close("body") => inside = false,
            _ => {}
        }
        if inside { body.node(node) } else { Ok(()) }
    })?;
    let (draft, styled_title) = body.finish()?;
    let mut title = None;
    if let Some(part) = package.part("meta.xml")? {
        title = element_text(part, "title")?;
    }
    let (text, sections) = draft.finish();
    Ok(unpaged(
        MediaType::Odt,
        Engine::Odt,
        title.or(styled_title),
        text,
        sections,
    ))
}

/// Parts are encrypted one by one; the manifest says which.
fn refuse_encrypted(package: &mut Package<'_>) -> Result<(), ExtractError> {
    let Some(part) = package.part("META-INF/manifest.xml")? else {
        return Ok(());
    };
    let mut is_encrypted = false;
    xml::read(part, |node| {
        if let Node::Open(tag) = node {
            is_encrypted |= tag.is("encryption-data");
        }
        Ok(())
    })?;
    if is_encrypted {
        return Err(package::encrypted());
    }
    Ok(())
}

/// Headers and footers, each once.
fn write_margins(
    draft: &mut Draft,
    package: &mut Package<'_>,
    styles: &Styles,
    limits: &Limits,
) -> Result<(), ExtractError> {
    let Some(part) = package.part("styles.xml")? else {
        return Ok(());
    };
    let mut open: Option<Body<'_>> = None;
    let mut found: Vec<String> = Vec::new();
    xml::read(part, |node| {
        match &node {
            Node::Open(tag) if is_margin(tag.name) => {
                open = Some(Body::new(Draft::new(limits), styles));
                return Ok(());
            }
            Node::Close(name) if is_margin(name) => {
                if let Some(body) = open.take() {
                    let (text, _) = body.finish()?.0.finish();
                    // A page number alone says nothing.
                    let says_something = text.chars().any(char::is_alphabetic);
                    if says_something && found.len() < MAX_MARGINS && !found.contains(&text) {
                        found.push(text);
                    }
                }
                return Ok(());
            }
            _ => {}
        }
        match &mut open {
            Some(body) => body.node(node),
            None => Ok(()),
        }
    })?;
    for text in found {
        draft.push(&text)?;
        draft.end_line()?;
    }
    draft.end_block()
}

fn is_margin(element: &str) -> bool {
    matches!(
        element,
        "header" | "footer" | "header-left" | "footer-left" | "header-first" | "footer-first"
    )
}
