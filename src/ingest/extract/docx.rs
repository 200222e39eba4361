//! DOCX (WordprocessingML, transitional and strict), read as a stream: the text as Word shows it, with
//! headings as sections, list markers counted out, each table row one line, notes after the paragraph
//! that refers to them, text boxes after the paragraph they hang on, headers and footers first.
//!
//! Left out: what revisions deleted or moved away, hidden text, comments, field codes. Formulas are
//! written in a line with TeX's signs (`r^{2}`).
//!
//! This reads the XML itself instead of through docx-rs, whose reader (0.4.22) knows no footnotes,
//! endnotes or formulas and holds the whole tree in memory; here only the text and one paragraph are.

mod body;
mod numbering;
mod styles;

use crate::domain::{FailureCode, MediaType};

use super::{
    Engine, ExtractError, Extracted, Limits, draft::Draft, inline::one_line, package::Package,
    unpaged, xml,
};
use body::{Body, Notes, Sheet};

/// Reads a Word document.
pub(super) fn extract(bytes: &[u8], limits: &Limits) -> Result<Extracted, ExtractError> {
    let mut package = Package::open(bytes)?;
    let main = main_part(&mut package)?;
    let mut sheet = Sheet::default();
    if let Some(part) = related(&mut package, &main, "/styles")? {
        sheet.styles = styles::read(part)?;
    }
    if let Some(part) = related(&mut package, &main, "/numbering")? {
        sheet.numbering = numbering::read(part)?;
    }
    let mut notes = Notes::default();
    for kind in ["/footnotes", "/endnotes"] {
        if let Some(part) = related(&mut package, &main, kind)? {
            notes.read(part, &sheet, limits)?;
        }
    }
    let mut draft = Draft::new(limits);
    write_margins(&mut draft, &mut package, &main, &sheet, limits)?;
    let Some(part) = package.part(&main)? else {
        return Err(no_document());
    };
    let mut body = Body::new(draft, &sheet, &notes);
    xml::read(part, |node| body.node(node))?;
    let (draft, styled_title) = body.finish()?;
    let title = core_title(&mut package)?.or(styled_title);
    let (text, sections) = draft.finish();
    Ok(unpaged(
        MediaType::Docx,
        Engine::Docx,
        title,
        text,
        sections,
    ))
}

/// The document's part, wherever the package keeps it.
fn main_part(package: &mut Package<'_>) -> Result<String, ExtractError> {
    let named = package.related("", "/officeDocument")?;
    let mut candidates = named.into_iter().chain(["word/document.xml".to_owned()]);
    candidates
        .find(|name| package.contains(name))
        .ok_or_else(no_document)
}

fn no_document() -> ExtractError {
    ExtractError::new(
        FailureCode::Damaged,
        "the Office file has no document in it; save it again in the program that made it",
    )
}

fn related<'p, 'b>(
    package: &'p mut Package<'b>,
    main: &str,
    kind: &str,
) -> Result<Option<impl std::io::BufRead + use<'p, 'b>>, ExtractError> {
    match package.related(main, kind)?.into_iter().next() {
        Some(name) => package.part(&name),
        None => Ok(None),
    }
}

/// Headers and footers, each once: they often hold what the body does not repeat (a reference, a date).
fn write_margins(
    draft: &mut Draft,
    package: &mut Package<'_>,
    main: &str,
    sheet: &Sheet,
    limits: &Limits,
) -> Result<(), ExtractError> {
    let mut parts = package.related(main, "/header")?;
    parts.extend(package.related(main, "/footer")?);
    let mut seen: Vec<String> = Vec::new();
    for name in parts.iter().take(64) {
        let Some(part) = package.part(name)? else {
            continue;
        };
        let notes = Notes::default();
        let mut body = Body::new(Draft::new(limits), sheet, &notes);
        xml::read(part, |node| body.node(node))?;
        let (text, _) = body.finish()?.0.finish();
        // A page number alone says nothing.
        if !text.chars().any(char::is_alphabetic) || seen.contains(&text) {
            continue;
        }
        draft.push(&text)?;
        draft.end_line()?;
        seen.push(text);
    }
    draft.end_block()
}

/// `dc:title` of the core properties.
fn core_title(package: &mut Package<'_>) -> Result<Option<String>, ExtractError> {
    let Some(name) = package.related("", "/core-properties")?.into_iter().next() else {
        return Ok(None);
    };
    let Some(part) = package.part(&name)? else {
        return Ok(None);
    };
    let mut title = String::new();
    let mut inside = false;
    xml::read(part, |node| {
        match node {
            xml::Node::Open(tag) => inside = tag.is("title"),
            xml::Node::Close(_) => inside = false,
            xml::Node::Text(text) if inside => title.push_str(text),
            xml::Node::Text(_) => {}
        }
        Ok(())
    })?;
    let title = one_line(&title);
    Ok((!title.is_empty()).then_some(title))
}
