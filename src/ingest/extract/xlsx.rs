//! XLSX (SpreadsheetML, transitional and strict): a sheet is a page and a section of its name. Each row
//! becomes one line that can be understood alone, as in CSV: under a header it reads `Name: Ada; Born:
//! 1815`. Numbers are written as their cells show them, dates unambiguously (`2024-03-05`); merged cells
//! are repeated in each row that they reach down into.
//!
//! Sheets that are hidden are left out, as hidden text is elsewhere: what is quoted can be seen in the
//! file. Rows and columns that a filter or a fold hides are read. Formulas, comments, charts and pictures
//! are left out; the values that the formulas gave when the file was saved are there.
//!
//! This reads the XML itself instead of through calamine (0.38), which tells dates from numbers but gives
//! no other number format (a cell that shows 12 % comes out as 0.12), and holds a sheet as a rectangle of
//! all the cells it spans; here a row is held, and the strings that cells share.

mod dates;
mod formats;
mod grid;
mod sheet;
mod strings;

use crate::domain::{MediaType, PageState};

use super::{
    Engine, ExtractError, Extracted, Limits, Progress, draft::Draft, ooxml, package::Package,
    pages::Pages, xml,
};
use formats::Formats;
use strings::Strings;

/// Reads a workbook.
pub(super) fn extract(
    bytes: &[u8],
    limits: &Limits,
    progress: &mut dyn FnMut(Progress),
) -> Result<Extracted, ExtractError> {
    let mut package = Package::open(bytes)?;
    let main = ooxml::main_part(&mut package, "xl/workbook.xml")?;
    let workbook = workbook(&mut package, &main)?;
    let mut sources = Sources::default();
    if let Some(name) = package.related(&main, "/styles")?.into_iter().next()
        && let Some(part) = package.part(&name)?
    {
        sources.formats = formats::read(part, workbook.from_1904)?;
    }
    if let Some(name) = package.related(&main, "/sharedStrings")?.into_iter().next()
        && let Some(part) = package.part(&name)?
    {
        sources.strings = strings::read(part, limits)?;
    }
    let count = workbook.sheets.len();
    let mut pages = Pages::new(count, "sheets", Engine::Xlsx, limits, progress)?;
    let mut draft = Draft::new(limits);
    for sheet in &workbook.sheets {
        pages.begin(&mut draft)?;
        draft.heading_at(draft.position(), 1, &sheet.name);
        let mut without_text = PageState::Unreadable;
        if let Some(part) = &sheet.part
            && package.contains(part)
        {
            without_text = PageState::Empty;
            let mut merged = Vec::new();
            if let Some(source) = package.part(part)? {
                merged = sheet::merged(source)?;
            }
            if let Some(source) = package.part(part)? {
                sheet::read(source, &sources, &merged, limits, &mut draft)?;
            }
        }
        pages.end(&draft, without_text);
    }
    let title = ooxml::title(&mut package)?;
    let pages = pages.finish();
    let (text, sections) = draft.finish();
    Ok(Extracted {
        media_type: MediaType::Xlsx,
        title,
        text,
        paged: true,
        pages,
        sections,
    })
}

/// What cells refer to.
#[derive(Default)]
struct Sources {
    formats: Formats,
    strings: Strings,
}

#[derive(Default)]
struct Workbook {
    /// Those that are shown.
    sheets: Vec<Sheet>,
    /// Days count from 1904 instead of 1900.
    from_1904: bool,
}

struct Sheet {
    name: String,
    part: Option<String>,
}

fn workbook(package: &mut Package<'_>, main: &str) -> Result<Workbook, ExtractError> {
    let relations = package.relations(main)?;
    let mut workbook = Workbook::default();
    let Some(part) = package.part(main)? else {
        return Err(ooxml::no_document());
    };
    xml::read(part, |node| {
        let xml::Node::Open(tag) = node else {
            return Ok(());
        };
        match tag.name {
            "workbookPr" => {
                let on = tag.attr("date1904");
                workbook.from_1904 = matches!(on.as_deref(), Some("1" | "true"));
            }
            "sheet" if !matches!(tag.attr("state").as_deref(), Some("hidden" | "veryHidden")) => {
                let id = tag.relation().unwrap_or_default();
                let relation = relations.iter().find(|r| r.id == id);
                workbook.sheets.push(Sheet {
                    name: tag.attr("name").unwrap_or_default(),
                    part: relation.map(|r| r.target.clone()),
                });
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(workbook)
}
