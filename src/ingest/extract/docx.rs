//! DOCX (WordprocessingML, transitional and strict), read as a stream: the text as Word shows it, with
//! headings as sections, list markers counted out, each table row one line, notes after the paragraph
//! that refers to them, text boxes after the paragraph they hang on, headers and footers first.
//!
//! Left out: what revisions deleted or moved away, hidden text, comments, field codes. Formulas are
//! written in a line with TeX's signs (`r^{2}`).
//!
//! This reads the XML itself instead of through docx-rs, whose reader (0.4.22) knows no footnotes,
//! endnotes or formulas and holds the whole tree in memory; here only the text and one paragraph are.
//! docx-rs is the second reader: where a part beside the document is damaged, or the gate finds that text
//! was lost, it is asked too.

mod body;
mod by_docx_rs;
mod gate;
mod numbering;
mod styles;

use crate::domain::{FailureCode, MediaType};

use super::{
    Engine, ExtractError, Extracted, Limits, draft::Draft, ooxml, package::Package, unpaged, xml,
};
use body::{Body, Notes, Sheet};

/// Where the document is, in packages that do not say.
const MAIN: &str = "word/document.xml";

/// Reads a Word document.
pub(super) fn extract(bytes: &[u8], limits: &Limits) -> Result<Extracted, ExtractError> {
    match read(bytes, limits) {
        Ok((first, shown)) => {
            let letters = gate::letters(&first.text);
            if !gate::has_lost(letters, shown) {
                return Ok(first);
            }
            let second = by_docx_rs::read(bytes, limits);
            let better = second.filter(|s| gate::is_better(gate::letters(&s.text), letters));
            Ok(better.unwrap_or(first))
        }
        Err(error) if error.code == FailureCode::Damaged => {
            let second = by_docx_rs::read(bytes, limits);
            let says_something = second.filter(|s| gate::letters(&s.text) > 0);
            says_something.ok_or(error)
        }
        Err(error) => Err(error),
    }
}

/// The first reading, and how many letters the document shows.
fn read(bytes: &[u8], limits: &Limits) -> Result<(Extracted, usize), ExtractError> {
    let mut package = Package::open(bytes)?;
    let main = ooxml::main_part(&mut package, MAIN)?;
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
        return Err(ooxml::no_document());
    };
    let mut body = Body::new(draft, &sheet, &notes);
    let mut shown = gate::Shown::default();
    xml::read(part, |node| {
        shown.node(&node);
        body.node(node)
    })?;
    let (draft, styled_title) = body.finish()?;
    let title = ooxml::title(&mut package)?.or(styled_title);
    let (text, sections) = draft.finish();
    let extracted = unpaged(MediaType::Docx, Engine::Docx, title, text, sections);
    Ok((extracted, shown.letters()))
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
