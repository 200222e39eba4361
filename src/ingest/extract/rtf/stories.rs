//! Where text goes: the body, and the headers, notes and boxes that interrupt it. Each has a paragraph
//! that is open; the body alone has tables.

use super::super::{
    ExtractError,
    draft::{Draft, too_much_text},
    inline::{Inline, one_line},
    table::{Row, write_row},
};

/// Deeper lists than this are indented no further.
const MAX_INDENT: usize = 8;

/// Headers and footers that are looked at.
const MAX_MARGINS: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Body,
    /// A header or footer.
    Margin,
    Note,
    Box,
}

/// The open paragraph of a story.
#[derive(Default)]
pub(super) struct Paragraph {
    pub(super) line: Inline,
    pub(super) marker: String,
    pub(super) style: i32,
    pub(super) outline: Option<u8>,
    pub(super) list_level: usize,
    pub(super) in_table: bool,
    /// Written below it: its notes, its boxes.
    pub(super) attached: Vec<String>,
}

pub(super) struct Story {
    pub(super) kind: Kind,
    pub(super) paragraph: Paragraph,
    /// What was written; the body writes elsewhere.
    lines: Vec<String>,
}

/// How a cell of the row being defined joins its neighbours.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Join {
    #[default]
    Alone,
    /// Cells below continue it.
    Begins,
    Continues,
    /// Part of the cell to its left.
    Covered,
}

/// A paragraph that is complete, for whoever knows about styles.
pub(super) struct Complete {
    pub(super) text: String,
    pub(super) paragraph: Paragraph,
}

/// All stories that are open, the body first.
pub(super) struct Stories {
    stack: Vec<Story>,
    margins: Vec<String>,
    notes: u32,
    /// The open cell's paragraphs, and the open row's cells.
    cell: Vec<String>,
    cells: Vec<String>,
    row: Row,
    pub(super) joins: Vec<Join>,
    in_rows: bool,
    /// Bytes outside the body.
    held: u64,
    limit: u64,
}

impl Stories {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            stack: vec![Story::new(Kind::Body)],
            margins: Vec::new(),
            notes: 0,
            cell: Vec::new(),
            cells: Vec::new(),
            row: Row::default(),
            joins: Vec::new(),
            in_rows: false,
            held: 0,
            limit,
        }
    }

    pub(super) fn open(&mut self) -> &mut Story {
        self.stack.last_mut().expect("the body is never closed")
    }

    pub(super) fn begin(&mut self, kind: Kind) {
        self.stack.push(Story::new(kind));
    }

    /// The innermost story, which is not the body, ends.
    pub(super) fn end(&mut self) -> Result<(), ExtractError> {
        if self.stack.len() < 2 {
            return Ok(());
        }
        self.end_paragraph()?;
        let story = self.stack.pop().expect("there are two");
        let says_something = |text: &str| text.chars().any(char::is_alphabetic);
        match story.kind {
            Kind::Margin => {
                let text = one_line(&story.lines.join(" "));
                let known = self.margins.len() >= MAX_MARGINS || self.margins.contains(&text);
                if says_something(&text) && !known {
                    self.margins.push(text);
                }
            }
            Kind::Note => {
                let text = one_line(&story.lines.join(" "));
                if !text.is_empty() {
                    self.notes += 1;
                    let mark = format!("[{}]", self.notes);
                    let paragraph = &mut self.open().paragraph;
                    paragraph.line.flow(&mark);
                    paragraph.attached.push(format!("{mark} {text}"));
                }
            }
            Kind::Box | Kind::Body => self.open().paragraph.attached.extend(story.lines),
        }
        Ok(())
    }

    /// The open paragraph ends. In the body outside tables it comes back, to be written.
    pub(super) fn end_paragraph(&mut self) -> Result<Option<Complete>, ExtractError> {
        let story = self.open();
        let kind = story.kind;
        let paragraph = std::mem::take(&mut story.paragraph);
        // These hold until they are taken back.
        story.paragraph.style = paragraph.style;
        story.paragraph.outline = paragraph.outline;
        story.paragraph.in_table = paragraph.in_table;
        story.paragraph.list_level = paragraph.list_level;
        let mut paragraph = paragraph;
        let text = paragraph.line.take().trim().to_owned();
        if kind == Kind::Body && !paragraph.in_table {
            return Ok(Some(Complete { text, paragraph }));
        }
        let mut lines = Vec::new();
        if !text.is_empty() {
            let marker = &paragraph.marker;
            lines.push(if marker.is_empty() {
                text
            } else {
                format!("{marker} {text}")
            });
        }
        lines.append(&mut paragraph.attached);
        let bytes: usize = lines.iter().map(|line| line.len() + 32).sum();
        self.held += bytes as u64;
        if self.held > self.limit {
            return Err(too_much_text(self.limit));
        }
        if kind == Kind::Body {
            self.cell.append(&mut lines);
        } else {
            self.open().lines.append(&mut lines);
        }
        Ok(None)
    }

    /// The open cell ends with what its last paragraph holds.
    pub(super) fn end_cell(&mut self) -> Result<(), ExtractError> {
        if self.open().kind != Kind::Body {
            self.open().paragraph.line.flow(" | ");
            return Ok(());
        }
        self.open().paragraph.in_table = true;
        self.end_paragraph()?;
        let text = std::mem::take(&mut self.cell).join(" ");
        self.cells.push(text);
        Ok(())
    }

    /// The row ends: a line.
    pub(super) fn end_row(&mut self, draft: &mut Draft) -> Result<(), ExtractError> {
        if self.open().kind != Kind::Body {
            self.end_paragraph()?;
            return Ok(());
        }
        if !self.cell.is_empty() {
            self.end_cell()?;
        }
        for (at, text) in std::mem::take(&mut self.cells).into_iter().enumerate() {
            self.held = self.held.saturating_sub(text.len() as u64);
            match self.joins.get(at).copied().unwrap_or_default() {
                Join::Alone => self.row.push(&text, 1, 1),
                Join::Begins => self.row.push_restart(&text, 1),
                Join::Continues => self.row.push_continued(1),
                Join::Covered => {}
            }
        }
        if !self.in_rows {
            draft.end_block()?;
            self.in_rows = true;
        }
        write_row(draft, &self.row.finish())
    }

    /// Rows that were never ended become one; what follows is no table.
    pub(super) fn end_table(&mut self, draft: &mut Draft) -> Result<(), ExtractError> {
        if !self.cell.is_empty() || !self.cells.is_empty() {
            self.end_row(draft)?;
        }
        if self.in_rows {
            self.in_rows = false;
            self.row = Row::default();
            draft.end_block()?;
        }
        Ok(())
    }

    pub(super) fn take_margins(&mut self) -> Vec<String> {
        std::mem::take(&mut self.margins)
    }
}

impl Story {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            paragraph: Paragraph::default(),
            lines: Vec::new(),
        }
    }
}

impl Paragraph {
    /// `\pard`: as if it had no properties.
    pub(super) fn reset(&mut self) {
        self.style = 0;
        self.outline = None;
        self.list_level = 0;
        self.in_table = false;
    }

    /// Indentation and marker of a list item.
    pub(super) fn indented_marker(&self) -> String {
        if self.marker.is_empty() {
            return String::new();
        }
        let indent = "  ".repeat(self.list_level.min(MAX_INDENT));
        format!("{indent}{} ", self.marker)
    }
}
