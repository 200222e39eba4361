//! The second reader of Word documents: docx-rs, for those that the first cannot read or reads in part.
//!
//! It gets a package of one part, the document itself, after that was found well-formed and harmless: on
//! others docx-rs may recurse without end or wait for an end that never comes, and a broken style sheet
//! or a missing part is an error to it. So it gives what the body says, without headers, notes and the
//! numbers of lists.

use std::{
    io::{Cursor, Write},
    panic::{AssertUnwindSafe, catch_unwind},
};

use docx_rs::{
    Document, DocumentChild, DrawingData, InsertChild, MoveToChild, Paragraph, ParagraphChild,
    ReadDocxOptions, Run, RunChild, StructuredDataTag, StructuredDataTagChild, Table, TableCell,
    TableCellContent, TableChild, TableRowChild, TextBoxContentChild,
};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::{
    super::{
        Engine, ExtractError, Extracted, Limits,
        draft::Draft,
        inline::{Inline, one_line},
        ooxml,
        package::Package,
        table::{Row, write_row},
        unpaged, xml,
    },
    MAIN, related,
    styles::{self, Styles},
};
use crate::domain::MediaType;

/// Bytes of a document part that is given to it; the tree takes ten times as much.
const MAX_MAIN: u64 = 24 * 1024 * 1024;

const CONTENT_TYPES: &str =
    r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>"#;

const NO_RELATIONS: &str =
    r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"/>"#;

const ROOT_RELATIONS: &str = r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>"#;

/// Reads a Word document; `None` where docx-rs cannot either.
pub(super) fn read(bytes: &[u8], limits: &Limits) -> Option<Extracted> {
    let mut package = Package::open(bytes).ok()?;
    let main = ooxml::main_part(&mut package, MAIN).ok()?;
    let part = package.small_part(&main, MAX_MAIN).ok()??;
    xml::read(part.as_slice(), |_| Ok(())).ok()?;
    let styles = headings(&mut package, &main);
    let alone = alone(&part).ok()?;
    drop(part);
    let options = ReadDocxOptions::default().with_image_previews(false);
    let tree = catch_unwind(AssertUnwindSafe(|| {
        docx_rs::read_docx_with_options(&alone, options)
    }));
    let tree = tree.ok()?.ok()?;
    let mut walk = Walk {
        draft: Draft::new(limits),
        styles: &styles,
    };
    walk.document(&tree.document).ok()?;
    let (text, sections) = walk.draft.finish();
    Some(unpaged(
        MediaType::Docx,
        Engine::DocxRs,
        None,
        text,
        sections,
    ))
}

/// The style sheet, where there is one that can be read.
fn headings(package: &mut Package<'_>, main: &str) -> Styles {
    let part = related(package, main, "/styles").ok().flatten();
    part.and_then(|part| styles::read(part).ok())
        .unwrap_or_default()
}

/// A package with nothing but the document.
fn alone(document: &[u8]) -> zip::result::ZipResult<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, part) in [
        ("[Content_Types].xml", CONTENT_TYPES.as_bytes()),
        ("_rels/.rels", ROOT_RELATIONS.as_bytes()),
        ("word/document.xml", document),
        ("word/_rels/document.xml.rels", NO_RELATIONS.as_bytes()),
    ] {
        writer.start_file(name, stored)?;
        writer.write_all(part)?;
    }
    Ok(writer.finish()?.into_inner())
}

struct Walk<'a> {
    draft: Draft,
    styles: &'a Styles,
}

impl Walk<'_> {
    fn document(&mut self, document: &Document) -> Result<(), ExtractError> {
        for child in &document.children {
            match child {
                DocumentChild::Paragraph(paragraph) => self.paragraph(paragraph)?,
                DocumentChild::Table(table) => self.table(table)?,
                DocumentChild::StructuredDataTag(tag) => self.tag(tag)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn paragraph(&mut self, paragraph: &Paragraph) -> Result<(), ExtractError> {
        let (text, boxes) = paragraph_text(paragraph);
        let style = paragraph.property.style.as_ref().map(|s| s.val.as_str());
        let heading = match &paragraph.property.outline_lvl {
            Some(level) => (level.v < 9).then_some(level.v as u8 + 1),
            None => style.and_then(|id| self.styles.heading(id)),
        };
        if !text.is_empty() {
            self.draft.end_block()?;
            let start = self.draft.position();
            if let Some(level) = heading {
                let line = one_line(&text);
                self.draft.push(&line)?;
                self.draft.heading_at(start, level, &line);
            } else {
                self.draft.push(&text)?;
            }
        }
        for text in boxes {
            self.draft.end_line()?;
            self.draft.push(&text)?;
        }
        self.draft.end_block()
    }

    fn table(&mut self, table: &Table) -> Result<(), ExtractError> {
        self.draft.end_block()?;
        for cells in rows(table) {
            write_row(&mut self.draft, &cells)?;
        }
        self.draft.end_block()
    }

    fn tag(&mut self, tag: &StructuredDataTag) -> Result<(), ExtractError> {
        for child in &tag.children {
            match child {
                StructuredDataTagChild::Paragraph(paragraph) => self.paragraph(paragraph)?,
                StructuredDataTagChild::Table(table) => self.table(table)?,
                StructuredDataTagChild::StructuredDataTag(inner) => self.tag(inner)?,
                StructuredDataTagChild::Run(run) => {
                    let mut line = Inline::default();
                    let mut boxes = Vec::new();
                    read_run(run, &mut line, &mut boxes);
                    self.draft.end_line()?;
                    self.draft.push(line.take().trim())?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The paragraph's text, and those of the boxes that hang on it.
fn paragraph_text(paragraph: &Paragraph) -> (String, Vec<String>) {
    let mut line = Inline::default();
    let mut boxes = Vec::new();
    for child in &paragraph.children {
        read_child(child, &mut line, &mut boxes);
    }
    (line.take().trim().to_owned(), boxes)
}

fn read_child(child: &ParagraphChild, line: &mut Inline, boxes: &mut Vec<String>) {
    match child {
        ParagraphChild::Run(run) => read_run(run, line, boxes),
        ParagraphChild::Hyperlink(link) => {
            for child in &link.children {
                read_child(child, line, boxes);
            }
        }
        ParagraphChild::Insert(insert) => {
            for child in &insert.children {
                if let InsertChild::Run(run) = child {
                    read_run(run, line, boxes);
                }
            }
        }
        ParagraphChild::MoveTo(moved) => {
            for child in &moved.children {
                if let MoveToChild::Run(run) = child {
                    read_run(run, line, boxes);
                }
            }
        }
        ParagraphChild::StructuredDataTag(tag) => read_tag(tag, line, boxes),
        _ => {}
    }
}

fn read_tag(tag: &StructuredDataTag, line: &mut Inline, boxes: &mut Vec<String>) {
    for child in &tag.children {
        match child {
            StructuredDataTagChild::Run(run) => read_run(run, line, boxes),
            StructuredDataTagChild::StructuredDataTag(inner) => read_tag(inner, line, boxes),
            _ => {}
        }
    }
}

fn read_run(run: &Run, line: &mut Inline, boxes: &mut Vec<String>) {
    if run.run_property.vanish.is_some() {
        return;
    }
    for child in &run.children {
        match child {
            RunChild::Text(text) => line.flow(&text.text),
            RunChild::Tab(_) | RunChild::PTab(_) => line.space(),
            RunChild::Break(_) | RunChild::CarriageReturn(_) => line.line_break(),
            RunChild::Drawing(drawing) => {
                if let Some(DrawingData::TextBox(text_box)) = &drawing.data {
                    boxes.extend(text_box.children.iter().flat_map(box_lines));
                }
            }
            _ => {}
        }
    }
}

fn box_lines(child: &TextBoxContentChild) -> Vec<String> {
    match child {
        TextBoxContentChild::Paragraph(paragraph) => {
            let (text, boxes) = paragraph_text(paragraph);
            let lines = std::iter::once(text).chain(boxes);
            lines.filter(|line| !line.is_empty()).collect()
        }
        TextBoxContentChild::Table(table) => {
            rows(table).into_iter().map(|row| row.join(" | ")).collect()
        }
    }
}

fn rows(table: &Table) -> Vec<Vec<String>> {
    let rows = table.rows.iter().map(|TableChild::TableRow(read)| {
        let mut row = Row::default();
        for TableRowChild::TableCell(cell) in &read.cells {
            row.push(&cell_text(cell), 1, 1);
        }
        row.finish()
    });
    rows.collect()
}

fn cell_text(cell: &TableCell) -> String {
    let mut lines = Vec::new();
    for child in &cell.children {
        match child {
            TableCellContent::Paragraph(paragraph) => {
                let (text, boxes) = paragraph_text(paragraph);
                lines.push(text);
                lines.extend(boxes);
            }
            TableCellContent::Table(table) => {
                lines.extend(rows(table).into_iter().map(|row| row.join(" | ")));
            }
            TableCellContent::StructuredDataTag(tag) => {
                let mut line = Inline::default();
                read_tag(tag, &mut line, &mut lines);
                lines.push(line.take());
            }
            TableCellContent::TableOfContents(_) => {}
        }
    }
    lines.retain(|line| !line.is_empty());
    lines.join(" ")
}
