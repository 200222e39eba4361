//! The body of a Word document (also of its headers, footers and notes) as a machine fed with tags and
//! text: paragraphs and tables inside one another are stacks, so depth costs no call stack.

use std::{collections::HashMap, io::BufRead};

use super::{
    super::{
        ExtractError, Limits,
        draft::Draft,
        inline::{Inline, one_line},
        table::{Row, write_row},
        xml::{self, Node, Tag},
    },
    numbering::{Counters, Numbering, roman},
    styles::Styles,
};

/// Cells with more paragraphs than this in a row of more than [`LAYOUT_BYTES`] are a page laid out with
/// a table, not data: their paragraphs stay paragraphs.
const LAYOUT_PARAGRAPHS: usize = 4;

/// See [`LAYOUT_PARAGRAPHS`].
const LAYOUT_BYTES: usize = 1_500;

/// Deeper lists than this are indented no further.
const MAX_INDENT: usize = 8;

/// Notes and text boxes that one paragraph may bring along.
const MAX_ATTACHED: usize = 10_000;

/// Bytes of each of them.
const MAX_ATTACHED_BYTES: usize = 1024 * 1024;

/// What paragraphs refer to.
#[derive(Default)]
pub(super) struct Sheet {
    pub(super) styles: Styles,
    pub(super) numbering: Numbering,
}

/// Footnotes and endnotes by kind and identifier.
#[derive(Default)]
pub(super) struct Notes(HashMap<(bool, String), String>);

impl Notes {
    /// Reads `footnotes.xml` or `endnotes.xml`.
    pub(super) fn read(
        &mut self,
        part: impl BufRead,
        sheet: &Sheet,
        limits: &Limits,
    ) -> Result<(), ExtractError> {
        let none = Self::default();
        let mut open: Option<((bool, String), Body<'_>)> = None;
        let mut found = Vec::new();
        let mut bytes = 0;
        xml::read(part, |node| {
            match &node {
                Node::Open(tag) if tag.is("footnote") || tag.is("endnote") => {
                    // Separators are the lines that Word draws above the notes.
                    let note = tag.attr("type").is_none_or(|t| t == "normal");
                    if let Some(id) = tag.attr("id").filter(|_| note) {
                        let body = Body::new(Draft::new(limits), sheet, &none);
                        open = Some(((tag.is("endnote"), id), body));
                    }
                    return Ok(());
                }
                Node::Close("footnote" | "endnote") => {
                    if let Some((key, body)) = open.take() {
                        let text = one_line(&body.finish()?.0.finish().0);
                        bytes += text.len() as u64;
                        if bytes > limits.max_text_bytes {
                            return Err(super::super::draft::too_much_text(limits.max_text_bytes));
                        }
                        found.push((key, text));
                    }
                    return Ok(());
                }
                _ => {}
            }
            match &mut open {
                Some((_, body)) => body.node(node),
                None => Ok(()),
            }
        })?;
        self.0.extend(found);
        Ok(())
    }
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
            "tab" | "ptab" => self.visible(|line| line.space()),
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
                        paragraph.outline = tag.attr("val").and_then(|v| v.parse().ok())
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

    fn note(&mut self, is_endnote: bool, id: Option<String>) {
        let Some(text) = id.and_then(|id| self.notes.0.get(&(is_endnote, id))) else {
            return;
        };
        let mark = if is_endnote {
            self.endnotes += 1;
            format!("[{}]", roman(self.endnotes))
        } else {
            self.footnotes += 1;
            format!("[{}]", self.footnotes)
        };
        self.visible(|line| line.flow(&mark));
        if let Some(paragraph) = self.paragraphs.last_mut() {
            attach(&mut paragraph.attached, format!("{mark} {text}"));
        }
    }

    fn end_paragraph(&mut self) -> Result<(), ExtractError> {
        let Some(mut paragraph) = self.paragraphs.pop() else {
            return Ok(());
        };
        let text = paragraph.line.take().trim().to_owned();
        let marker = self.marker(&paragraph, &text);
        if let Some(outer) = self.paragraphs.last_mut() {
            // A text box: it follows the paragraph it hangs on.
            if !text.is_empty() {
                attach(&mut outer.attached, format!("{marker}{text}"));
            }
            for attached in paragraph.attached {
                attach(&mut outer.attached, attached);
            }
            return Ok(());
        }
        if let Some(table) = self.tables.last_mut() {
            if !text.is_empty() {
                table.cell.push(format!("{}{text}", marker.trim_start()));
            }
            table.cell.append(&mut paragraph.attached);
            return Ok(());
        }
        self.write_paragraph(&paragraph, &marker, &text)
    }

    fn write_paragraph(
        &mut self,
        paragraph: &Paragraph,
        marker: &str,
        text: &str,
    ) -> Result<(), ExtractError> {
        let styles = &self.sheet.styles;
        let heading = match paragraph.outline {
            Some(level) => (level < 9).then_some(level + 1),
            None => styles.heading(&paragraph.style),
        };
        if styles.is_title(&paragraph.style) && self.title.is_none() && !text.is_empty() {
            self.title = Some(one_line(text));
        }
        let in_list = !marker.is_empty() && heading.is_none();
        if !text.is_empty() {
            if in_list {
                self.draft.end_line()?;
            } else {
                self.draft.end_block()?;
            }
            let start = self.draft.position();
            let line = match heading {
                Some(_) => format!("{}{}", marker.trim_start(), one_line(text)),
                None => format!("{marker}{text}"),
            };
            self.draft.push(&line)?;
            if let Some(level) = heading {
                self.draft.heading_at(start, level, &line);
            }
            self.draft.end_line()?;
        }
        for attached in &paragraph.attached {
            self.draft.end_line()?;
            self.draft.push(attached)?;
        }
        if in_list {
            self.draft.end_line()
        } else {
            self.draft.end_block()
        }
    }

    /// Indentation and marker of a list item, with the space after; empty outside lists.
    fn marker(&mut self, paragraph: &Paragraph, text: &str) -> String {
        // An empty item shows its marker in Word, but says nothing and counts nothing here.
        if text.is_empty() {
            return String::new();
        }
        let styled = self.sheet.styles.list(&paragraph.style);
        let (list, level) = match (&paragraph.list, styled) {
            (Some(own), styled) => {
                let level = styled.map_or(0, |(_, level)| level);
                (own.clone(), paragraph.list_level.unwrap_or(level))
            }
            (None, Some((list, level))) => (list, paragraph.list_level.unwrap_or(level)),
            (None, None) => return String::new(),
        };
        let marker = self
            .sheet
            .numbering
            .marker(&mut self.counters, &list, level);
        match marker {
            Some(marker) => {
                let indent = "  ".repeat(usize::from(level).min(MAX_INDENT));
                format!("{indent}{marker} ")
            }
            None => String::new(),
        }
    }

    fn end_row(&mut self) -> Result<(), ExtractError> {
        let nested = self.tables.len() > 1;
        let Some(table) = self.tables.last_mut() else {
            return Ok(());
        };
        let cells = table.row.finish();
        let paragraphs = std::mem::take(&mut table.paragraphs);
        if std::mem::take(&mut table.deleted) {
            return Ok(());
        }
        if nested {
            let line = cells.join(" | ");
            let outer = self.tables.len() - 2;
            if !line.trim().is_empty() {
                self.tables[outer].cell.push(line);
            }
            return Ok(());
        }
        let bytes: usize = cells.iter().map(String::len).sum();
        let lays_out = paragraphs.iter().any(|cell| cell.len() > LAYOUT_PARAGRAPHS);
        if paragraphs.len() == 1 || (lays_out && bytes > LAYOUT_BYTES) {
            for paragraph in paragraphs.iter().flatten() {
                self.draft.end_line()?;
                self.draft.push(paragraph)?;
            }
            return self.draft.end_line();
        }
        write_row(&mut self.draft, &cells)
    }

    fn open_math(&mut self, tag: &Tag<'_>) {
        match tag.name {
            "r" => {
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    paragraph.runs.push(false);
                }
            }
            "sup" => self.sign("^{"),
            "sub" => self.sign("_{"),
            "f" => self.sign("\\frac"),
            "rad" => self.sign("\\sqrt"),
            "num" | "den" | "deg" => self.sign("{"),
            "d" => self.sign("\\left("),
            "nary" => self.operator = "\\int",
            "chr" => {
                if let Some(sign) = tag.attr("val") {
                    self.operator = operator(&sign);
                }
            }
            _ => {}
        }
    }

    fn close_math(&mut self, name: &str) {
        match name {
            "r" => {
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    paragraph.runs.pop();
                }
            }
            "sup" | "sub" | "num" | "den" | "deg" => self.sign("}"),
            "d" => self.sign("\\right)"),
            "naryPr" => self.sign(self.operator),
            _ => {}
        }
    }

    /// A sign of a formula, which stands between its runs.
    fn sign(&mut self, sign: &str) {
        if let Some(paragraph) = self.paragraphs.last_mut() {
            paragraph.line.flow(sign);
        }
    }
}

/// TeX's name of a large operator; an integral where the formula names none (ECMA-376, 22.1.2.20).
fn operator(sign: &str) -> &'static str {
    match sign {
        "∑" => "\\sum",
        "∏" => "\\prod",
        "∐" => "\\coprod",
        "∬" => "\\iint",
        "∭" => "\\iiint",
        "∮" => "\\oint",
        "⋃" => "\\bigcup",
        "⋂" => "\\bigcap",
        "⋁" => "\\bigvee",
        "⋀" => "\\bigwedge",
        _ => "\\int",
    }
}

fn is_private(c: char) -> bool {
    matches!(c, '\u{e000}'..='\u{f8ff}')
}

fn attach(to: &mut Vec<String>, text: String) {
    if to.len() < MAX_ATTACHED && text.len() <= MAX_ATTACHED_BYTES {
        to.push(text);
    }
}
