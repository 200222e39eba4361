//! The body of a Word document (also of its headers, footers and notes) as a machine fed with tags and
//! text: paragraphs and tables inside one another are stacks, so depth costs no call stack.

mod formula;
mod notes;
mod paragraphs;
mod rows;

pub(super) use notes::Notes;

use super::{
    super::{
        ExtractError,
        draft::Draft,
        inline::Inline,
        table::Row,
        xml::{Node, Tag},
    },
    numbering::{Counters, Numbering},
    styles::Styles,
};

/// What paragraphs refer to.
#[derive(Default)]
pub(super) struct Sheet {
    pub(super) styles: Styles,
    pub(super) numbering: Numbering,
}

/// A paragraph while it is open.
#[derive(Default)]
struct Paragraph {
    line: Inline,
    style: String,
    /// Its own list; `0` takes it out of its style's.
    list: Option<String>,
    list_level: Option<u8>,
    outline: Option<u8>,
    /// Written below it: its notes, its text boxes.
    attached: Vec<String>,
    /// Runs of it that are open, and whether each is hidden.
    runs: Vec<bool>,
}

/// A table while it is open.
#[derive(Default)]
struct Table {
    row: Row,
    /// The open cell's paragraphs.
    cell: Vec<String>,
    columns: usize,
    merge: Merge,
    /// The open row's cells as paragraphs, for rows that lay out a page.
    paragraphs: Vec<Vec<String>>,
    deleted: bool,
}

#[derive(Default, PartialEq, Eq, Clone, Copy)]
enum Merge {
    #[default]
    Alone,
    Begins,
    Continues,
}

/// Where the properties being read belong.
#[derive(PartialEq, Eq, Clone, Copy)]
enum Properties {
    Paragraph,
    Run,
    Cell,
    Row,
}

/// The machine.
pub(super) struct Body<'a> {
    draft: Draft,
    sheet: &'a Sheet,
    notes: &'a Notes,
    counters: Counters,
    title: Option<String>,
    /// Elements inside an open one that is left out, that one included.
    skipped: usize,
    /// Open elements inside the open properties, those included.
    properties: Option<(Properties, usize)>,
    paragraphs: Vec<Paragraph>,
    tables: Vec<Table>,
    /// Open formulas.
    math: usize,
    /// The sign of the sum or integral that is open.
    operator: &'static str,
    /// Inside an element of text. Drawings hold numbers between tags that are no text.
    in_text: bool,
    footnotes: u32,
    endnotes: u32,
}

impl<'a> Body<'a> {
    pub(super) fn new(draft: Draft, sheet: &'a Sheet, notes: &'a Notes) -> Self {
        Self {
            draft,
            sheet,
            notes,
            counters: Counters::default(),
            title: None,
            skipped: 0,
            properties: None,
            paragraphs: Vec::new(),
            tables: Vec::new(),
            math: 0,
            operator: "",
            in_text: false,
            footnotes: 0,
            endnotes: 0,
        }
    }

    /// The text and the title that a paragraph is styled as.
    pub(super) fn finish(mut self) -> Result<(Draft, Option<String>), ExtractError> {
        while !self.paragraphs.is_empty() {
            self.end_paragraph()?;
        }
        Ok((self.draft, self.title))
    }

    /// Takes the next node.
    pub(super) fn node(&mut self, node: Node<'_>) -> Result<(), ExtractError> {
        match node {
            Node::Open(_) if self.skipped > 0 => {
                self.skipped += 1;
                Ok(())
            }
            Node::Close(_) if self.skipped > 0 => {
                self.skipped -= 1;
                Ok(())
            }
            Node::Open(tag) => {
                if let Some((of, depth)) = &mut self.properties {
                    *depth += 1;
                    let of = *of;
                    self.property(of, tag);
                    Ok(())
                } else {
                    self.open(tag)
                }
            }
            Node::Close(name) => {
                if let Some((_, depth)) = &mut self.properties {
                    *depth -= 1;
                    if *depth == 0 {
                        self.properties = None;
                    }
                    Ok(())
                } else {
                    self.close(name)
                }
            }
            Node::Text(text) => {
                self.text(text);
                Ok(())
            }
        }
    }

    fn open(&mut self, tag: &Tag<'_>) -> Result<(), ExtractError> {
        match tag.name {
            // Deleted or moved away; what older programs see instead; fields' codes; ruby's readings.
            "del" | "moveFrom" | "Fallback" | "instrText" | "delText" | "delInstrText"
            | "sectPr" | "tblPr" | "tblGrid" | "tblPrEx" | "sdtPr" | "sdtEndPr" | "rt"
            | "binData" | "ctrlPr" | "annotationRef" | "footnoteRef" | "endnoteRef" | "docPr"
            | "cNvPr" => self.skipped = 1,
            "pPr" => self.properties = Some((Properties::Paragraph, 1)),
            "rPr" => self.properties = Some((Properties::Run, 1)),
            "tcPr" => self.properties = Some((Properties::Cell, 1)),
            "trPr" => self.properties = Some((Properties::Row, 1)),
            "p" => self.paragraphs.push(Paragraph::default()),
            "tbl" => {
                if self.tables.is_empty() {
                    self.draft.end_block()?;
                }
                self.tables.push(Table::default());
            }
            "tc" => {
                if let Some(table) = self.tables.last_mut() {
                    table.cell.clear();
                    table.columns = 1;
                    table.merge = Merge::Alone;
                }
            }
            "r" => {
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    paragraph.runs.push(false);
                }
            }
            "t" => self.in_text = true,
            "oMath" => self.math += 1,
            _ if self.math > 0 => self.open_math(tag),
            "tab" | "ptab" => self.visible(Inline::space),
            "br" | "cr" => self.visible(Inline::line_break),
            "noBreakHyphen" => self.visible(|line| line.flow("-")),
            "sym" => {
                let code = tag
                    .attr("char")
                    .and_then(|c| u32::from_str_radix(&c, 16).ok());
                // Codes of symbol fonts (U+F000 on) name no character.
                if let Some(c) = code.and_then(char::from_u32).filter(|c| !is_private(*c)) {
                    self.visible(|line| line.flow(c.encode_utf8(&mut [0; 4])));
                }
            }
            "footnoteReference" => self.note(false, tag.attr("id")),
            "endnoteReference" => self.note(true, tag.attr("id")),
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &str) -> Result<(), ExtractError> {
        match name {
            "t" => self.in_text = false,
            "p" => self.end_paragraph()?,
            "r" => {
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    paragraph.runs.pop();
                }
            }
            "tc" => {
                if let Some(table) = self.tables.last_mut() {
                    let paragraphs = std::mem::take(&mut table.cell);
                    let text = paragraphs.join(" ");
                    match table.merge {
                        Merge::Alone => table.row.push(&text, table.columns, 1),
                        Merge::Begins => table.row.push_restart(&text, table.columns),
                        Merge::Continues => table.row.push_continued(table.columns),
                    }
                    table.paragraphs.push(paragraphs);
                }
            }
            "tr" => self.end_row()?,
            "tbl" => {
                self.tables.pop();
                if self.tables.is_empty() {
                    self.draft.end_block()?;
                }
            }
            "oMath" => {
                self.math = self.math.saturating_sub(1);
            }
            _ if self.math > 0 => self.close_math(name),
            _ => {}
        }
        Ok(())
    }

    fn property(&mut self, of: Properties, tag: &Tag<'_>) {
        match (of, tag.name) {
            // What it was before a revision.
            (_, "pPrChange" | "rPrChange" | "tcPrChange" | "trPrChange") => {
                self.skip_property();
            }
            (Properties::Paragraph, name) => {
                let Some(paragraph) = self.paragraphs.last_mut() else {
                    return;
                };
                match name {
                    "pStyle" => paragraph.style = tag.attr("val").unwrap_or_default(),
                    "numId" => paragraph.list = tag.attr("val"),
                    "ilvl" => paragraph.list_level = tag.attr("val").and_then(|v| v.parse().ok()),
                    "outlineLvl" => {
                        paragraph.outline = tag.attr("val").and_then(|v| v.parse().ok());
                    }
                    _ => {}
                }
            }
            (Properties::Run, "vanish") if tag.is_on() => {
                let run = self.paragraphs.last_mut().and_then(|p| p.runs.last_mut());
                if let Some(hidden) = run {
                    *hidden = true;
                }
            }
            (Properties::Cell, "gridSpan") => {
                if let Some(table) = self.tables.last_mut() {
                    table.columns = tag.attr("val").and_then(|v| v.parse().ok()).unwrap_or(1);
                }
            }
            (Properties::Cell, "vMerge") => {
                if let Some(table) = self.tables.last_mut() {
                    let begins = tag.attr("val").is_some_and(|v| v == "restart");
                    table.merge = if begins {
                        Merge::Begins
                    } else {
                        Merge::Continues
                    };
                }
            }
            (Properties::Row, "del") => {
                if let Some(table) = self.tables.last_mut() {
                    table.deleted = true;
                }
            }
            _ => {}
        }
    }

    /// The property just opened is left out with all it holds.
    fn skip_property(&mut self) {
        if let Some((_, depth)) = &mut self.properties {
            *depth -= 1;
        }
        self.skipped = 1;
    }

    fn text(&mut self, text: &str) {
        if self.skipped == 0 && self.in_text {
            // Checkboxes, as everybody types them; fonts and models seldom know the signs.
            if text.contains(['☐', '☑', '☒']) {
                let typed = text.replace('☐', "[ ]").replace(['☑', '☒'], "[x]");
                self.visible(|line| line.verbatim(&typed));
            } else {
                self.visible(|line| line.flow(text));
            }
        }
    }

    /// Writes to the open run, unless it is hidden.
    fn visible(&mut self, write: impl FnOnce(&mut Inline)) {
        let math = self.math > 0;
        if let Some(paragraph) = self.paragraphs.last_mut() {
            let shown = match paragraph.runs.last() {
                Some(hidden) => !hidden,
                None => math,
            };
            if shown {
                write(&mut paragraph.line);
            }
        }
    }
}

fn is_private(c: char) -> bool {
    matches!(c, '\u{e000}'..='\u{f8ff}')
}
