//! The body of a text document as a machine fed with tags and text: paragraphs, lists and tables inside
//! one another are stacks, so depth costs no call stack.

use std::collections::HashMap;

use super::{
    super::{
        ExtractError,
        draft::Draft,
        inline::{Inline, one_line},
        numbers::{letters, roman},
        table::{Row, write_row},
        xml::{Node, Tag},
    },
    styles::{Level, Styles},
};

/// Deeper lists than this are indented no further.
const MAX_INDENT: usize = 8;

/// Notes and text boxes that one paragraph may bring along.
const MAX_ATTACHED: usize = 10_000;

/// Bytes of each of them.
const MAX_ATTACHED_BYTES: usize = 1024 * 1024;

/// Empty cells that one element may stand for.
const MAX_REPEATED: usize = 64;

/// A paragraph while it is open.
#[derive(Default)]
struct Paragraph {
    line: Inline,
    heading: Option<u8>,
    is_title: bool,
    /// Written below it: its notes, its text boxes.
    attached: Vec<String>,
    /// Hidden as a whole.
    hidden: bool,
    /// Spans of it that are open, and whether each is hidden.
    spans: Vec<bool>,
}

/// A footnote or endnote while it is open.
struct Note {
    mark: String,
    in_mark: bool,
    text: Vec<String>,
    /// Paragraphs that were open around it.
    outside: usize,
}

struct List {
    style: Option<String>,
    /// The number of the item before; none before the first.
    reached: Option<u32>,
    /// The open item has not been marked yet.
    due: bool,
    start: Option<u32>,
}

#[derive(Default)]
struct Table {
    row: Row,
    /// The open cell's paragraphs.
    cell: Vec<String>,
    columns: usize,
    rows: usize,
    repeated: usize,
    /// Of the open row.
    cells: usize,
    paragraphs: Vec<String>,
}

/// The machine.
pub(super) struct Body<'a> {
    draft: Draft,
    styles: &'a Styles,
    title: Option<String>,
    /// Elements inside an open one that is left out, that one included.
    skipped: usize,
    paragraphs: Vec<Paragraph>,
    notes: Vec<Note>,
    lists: Vec<List>,
    /// What lists reached that are closed, by style and depth, for lists that go on.
    reached: HashMap<(String, usize), u32>,
    tables: Vec<Table>,
}

impl<'a> Body<'a> {
    pub(super) fn new(draft: Draft, styles: &'a Styles) -> Self {
        Self {
            draft,
            styles,
            title: None,
            skipped: 0,
            paragraphs: Vec::new(),
            notes: Vec::new(),
            lists: Vec::new(),
            reached: HashMap::new(),
            tables: Vec::new(),
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
            Node::Open(_) if self.skipped > 0 => self.skipped += 1,
            Node::Close(_) if self.skipped > 0 => self.skipped -= 1,
            Node::Text(_) if self.skipped > 0 => {}
            Node::Open(tag) => self.open(tag)?,
            Node::Close(name) => self.close(name)?,
            Node::Text(text) => self.visible(|line| line.flow(text)),
        }
        Ok(())
    }

    fn open(&mut self, tag: &Tag<'_>) -> Result<(), ExtractError> {
        match tag.name {
            // Deleted text, remarks, forms, readings of ruby, descriptions of drawings.
            "tracked-changes"
            | "annotation"
            | "forms"
            | "ruby-text"
            | "title"
            | "desc"
            | "binary-data"
            | "sequence-decls"
            | "variable-decls"
            | "user-field-decls"
            | "dde-connection-decls"
            | "event-listeners"
            | "hidden-text" => self.skipped = 1,
            // Templates of indexes.
            name if name.ends_with("-source") => self.skipped = 1,
            // A list's own number is counted here.
            "number" if !self.lists.is_empty() => self.skipped = 1,
            "p" | "h" => {
                let style = tag.attr("style-name").unwrap_or_default();
                let level = tag.number("outline-level").unwrap_or(1);
                self.paragraphs.push(Paragraph {
                    heading: tag.is("h").then_some(level),
                    is_title: self.styles.is_title(&style),
                    hidden: self.styles.is_hidden(&style),
                    ..Paragraph::default()
                });
            }
            "hidden-paragraph" => {
                let on = tag.attr("is-hidden").is_some_and(|v| v == "true");
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    paragraph.hidden |= on;
                }
            }
            "span" => {
                let style = tag.attr("style-name").unwrap_or_default();
                let hidden = self.styles.is_hidden(&style);
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    paragraph.spans.push(hidden);
                }
            }
            "s" | "tab" => self.visible(Inline::space),
            "line-break" => self.visible(Inline::line_break),
            "note" => self.notes.push(Note {
                mark: String::new(),
                in_mark: false,
                text: Vec::new(),
                outside: self.paragraphs.len(),
            }),
            "note-citation" => self.mark(true),
            "list" => self.open_list(tag),
            "list-item" => {
                if let Some(list) = self.lists.last_mut() {
                    list.due = true;
                    list.start = tag.number("start-value");
                }
            }
            "table" => {
                if self.tables.is_empty() && self.paragraphs.is_empty() {
                    self.draft.end_block()?;
                }
                self.tables.push(Table::default());
            }
            "table-cell" | "covered-table-cell" => {
                if let Some(table) = self.tables.last_mut() {
                    table.cell.clear();
                    table.columns = tag.number("number-columns-spanned").unwrap_or(1);
                    table.rows = tag.number("number-rows-spanned").unwrap_or(1);
                    table.repeated = tag.number("number-columns-repeated").unwrap_or(1);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &str) -> Result<(), ExtractError> {
        match name {
            "p" | "h" => self.end_paragraph()?,
            "span" => {
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    paragraph.spans.pop();
                }
            }
            "note-citation" => self.mark(false),
            "note" => self.end_note(),
            "list" => self.end_list()?,
            "table-cell" => {
                if let Some(table) = self.tables.last_mut() {
                    let paragraphs = std::mem::take(&mut table.cell);
                    let text = paragraphs.join(" ");
                    let times = if text.is_empty() { table.repeated } else { 1 };
                    for _ in 0..times.clamp(1, MAX_REPEATED) {
                        table.row.push(&text, table.columns, table.rows);
                    }
                    table.cells += 1;
                    table.paragraphs.extend(paragraphs);
                }
            }
            "table-row" => self.end_row()?,
            "table" => {
                self.tables.pop();
                if self.tables.is_empty() && self.paragraphs.is_empty() {
                    self.draft.end_block()?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn mark(&mut self, open: bool) {
        if let Some(note) = self.notes.last_mut() {
            note.in_mark = open;
        }
    }

    /// Writes to the open paragraph, or to the mark of the open note, unless it is hidden.
    fn visible(&mut self, write: impl FnOnce(&mut Inline)) {
        if let Some(note) = self.notes.last_mut().filter(|n| n.in_mark) {
            let mut line = Inline::default();
            write(&mut line);
            note.mark.push_str(&line.take());
            return;
        }
        // Between a note's mark and its first paragraph there is only white space.
        let inside_note = self
            .notes
            .last()
            .is_some_and(|n| n.outside == self.paragraphs.len());
        if inside_note {
            return;
        }
        if let Some(paragraph) = self.paragraphs.last_mut()
            && !paragraph.hidden
            && !paragraph.spans.contains(&true)
        {
            write(&mut paragraph.line);
        }
    }

    fn end_note(&mut self) {
        let Some(note) = self.notes.pop() else {
            return;
        };
        let text = one_line(&note.text.join(" "));
        if text.is_empty() {
            return;
        }
        let mark = format!("[{}]", note.mark.trim());
        self.visible(|line| line.flow(&mark));
        if let Some(paragraph) = self.paragraphs.last_mut().filter(|p| !p.hidden) {
            attach(&mut paragraph.attached, format!("{mark} {text}"));
        }
    }

    fn end_paragraph(&mut self) -> Result<(), ExtractError> {
        let Some(mut paragraph) = self.paragraphs.pop() else {
            return Ok(());
        };
        let text = paragraph.line.take().trim().to_owned();
        let marker = if text.is_empty() || paragraph.heading.is_some() {
            String::new()
        } else {
            self.marker()
        };
        if let Some(note) = self.notes.last_mut()
            && self.paragraphs.len() >= note.outside
        {
            note.text.push(text);
            note.text.append(&mut paragraph.attached);
            return Ok(());
        }
        if let Some(outer) = self.paragraphs.last_mut() {
            // A text box: it follows the paragraph it hangs on.
            if !text.is_empty() && !outer.hidden {
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
        if paragraph.is_title && self.title.is_none() && !text.is_empty() {
            self.title = Some(one_line(text));
        }
        let in_list = !marker.is_empty();
        if !text.is_empty() {
            if in_list {
                self.draft.end_line()?;
            } else {
                self.draft.end_block()?;
            }
            let start = self.draft.position();
            match paragraph.heading {
                Some(level) => {
                    let line = one_line(text);
                    self.draft.push(&line)?;
                    self.draft.heading_at(start, level, &line);
                }
                None => {
                    self.draft.push(marker)?;
                    self.draft.push(text)?;
                }
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

    fn open_list(&mut self, tag: &Tag<'_>) {
        let outer = self.lists.last().and_then(|list| list.style.clone());
        let style = tag.attr("style-name").or(outer);
        let goes_on = tag.attr("continue-numbering").is_some_and(|v| v == "true")
            || tag.attr("continue-list").is_some();
        let key = (style.clone().unwrap_or_default(), self.lists.len());
        let reached = goes_on.then(|| self.reached.get(&key).copied()).flatten();
        self.lists.push(List {
            style,
            reached,
            due: false,
            start: None,
        });
    }

    fn end_list(&mut self) -> Result<(), ExtractError> {
        let Some(list) = self.lists.pop() else {
            return Ok(());
        };
        if let (Some(reached), Some(style)) = (list.reached, list.style) {
            let known = self.reached.len();
            if known < MAX_ATTACHED {
                self.reached.insert((style, self.lists.len()), reached);
            }
        }
        if self.lists.is_empty() && self.tables.is_empty() && self.paragraphs.is_empty() {
            self.draft.end_block()?;
        }
        Ok(())
    }

    /// Indentation and marker of the open item, with the space after; empty where it was marked already
    /// and outside lists. An item that says nothing itself (it holds an inner list) counts nothing.
    fn marker(&mut self) -> String {
        let depth = self.lists.len().saturating_sub(1);
        let Some(list) = self.lists.last_mut().filter(|list| list.due) else {
            return String::new();
        };
        list.due = false;
        let level = list
            .style
            .as_deref()
            .and_then(|s| self.styles.level(s, depth));
        let indent = "  ".repeat(depth.min(MAX_INDENT));
        match level.unwrap_or(&Level::Bullet) {
            Level::Bullet => format!("{indent}- "),
            Level::Number {
                format,
                prefix,
                suffix,
                start,
            } => {
                let next = list.reached.map_or(*start, |n| n.saturating_add(1));
                let number = list.start.take().unwrap_or(next);
                list.reached = Some(number);
                let digits = match format.as_str() {
                    "" => return indent,
                    "a" => letters(number),
                    "A" => letters(number).to_uppercase(),
                    "i" => roman(number),
                    "I" => roman(number).to_uppercase(),
                    _ => number.to_string(),
                };
                format!("{indent}{prefix}{digits}{suffix} ")
            }
        }
    }

    fn end_row(&mut self) -> Result<(), ExtractError> {
        let nested = self.tables.len() > 1;
        let Some(table) = self.tables.last_mut() else {
            return Ok(());
        };
        let cells = table.row.finish();
        let paragraphs = std::mem::take(&mut table.paragraphs);
        let count = std::mem::take(&mut table.cells);
        if nested {
            let line = cells.join(" | ");
            let outer = self.tables.len() - 2;
            if !line.trim().is_empty() {
                self.tables[outer].cell.push(line);
            }
            return Ok(());
        }
        if count == 1 && cells.len() == 1 {
            // A frame around text.
            for paragraph in paragraphs {
                self.draft.end_line()?;
                self.draft.push(&paragraph)?;
            }
            return self.draft.end_line();
        }
        write_row(&mut self.draft, &cells)
    }
}

fn attach(to: &mut Vec<String>, text: String) {
    if to.len() < MAX_ATTACHED && text.len() <= MAX_ATTACHED_BYTES {
        to.push(text);
    }
}
