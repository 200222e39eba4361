//! One sheet's cells as rows of text.

use std::{collections::HashMap, io::BufRead};

use super::{
    super::{
        ExtractError, Limits,
        draft::{Draft, too_much_text},
        inline::one_line,
        table::MAX_REPEATED_BYTES,
        xml::{self, Node, Tag},
    },
    Sources,
    grid::Grid,
};

/// Columns of a sheet (ECMA-376, 18.3.1.13, and Excel: XFD).
const MAX_COLUMNS: usize = 16_384;

/// Merged areas of one sheet that are looked at.
const MAX_MERGED: usize = 100_000;

/// Cells that are shown as one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Merged {
    row: u32,
    column: usize,
    last_row: u32,
}

/// The areas that reach over several rows. They stand behind the cells in the file, so it is read twice.
pub(super) fn merged(part: impl BufRead) -> Result<Vec<Merged>, ExtractError> {
    let mut found = Vec::new();
    xml::read(part, |node| {
        if let Node::Open(tag) = node
            && tag.is("mergeCell")
            && found.len() < MAX_MERGED
            && let Some(area) = tag.attr("ref")
            && let Some((first, last)) = area.split_once(':')
            && let (Some((row, column)), Some((last_row, _))) = (place(first), place(last))
            && last_row > row
        {
            found.push(Merged {
                row,
                column,
                last_row,
            });
        }
        Ok(())
    })?;
    Ok(found)
}

/// Row (from 1) and column (from 0) of `B12`.
fn place(reference: &str) -> Option<(u32, usize)> {
    let letters = reference.bytes().take_while(u8::is_ascii_alphabetic);
    let mut column = 0_usize;
    let mut digits_from = 0;
    for letter in letters {
        column = column * 26 + usize::from(letter.to_ascii_uppercase() - b'A') + 1;
        digits_from += 1;
        if column > MAX_COLUMNS {
            return None;
        }
    }
    let row = reference[digits_from..].parse().ok()?;
    Some((row, column.checked_sub(1)?))
}

/// Writes the sheet's rows.
pub(super) fn read(
    part: impl BufRead,
    sources: &Sources,
    merged: &[Merged],
    limits: &Limits,
    draft: &mut Draft,
) -> Result<(), ExtractError> {
    let mut reading = Reading {
        sources,
        merged: merged.iter().map(|m| ((m.row, m.column), m)).collect(),
        hanging: Vec::new(),
        grid: Grid::default(),
        row: 0,
        column: 0,
        cells: Vec::new(),
        bytes: 0,
        limit: limits.max_text_bytes,
        kind: Kind::Number,
        style: 0,
        text: String::new(),
        in_value: false,
        phonetic: false,
    };
    xml::read(part, |node| reading.node(node, draft))?;
    reading.grid.finish(draft)
}

/// What a cell's value means (ECMA-376, 18.18.11).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Shared,
    Boolean,
    /// As it stands: text in the cell, results of formulas, errors, dates of ISO 8601.
    Text,
}

struct Reading<'a> {
    sources: &'a Sources,
    merged: HashMap<(u32, usize), &'a Merged>,
    /// Texts of merged cells that reach down: column, last row, text.
    hanging: Vec<(usize, u32, String)>,
    grid: Grid,
    /// From 1.
    row: u32,
    /// Of the next cell that does not say where it stands.
    column: usize,
    /// The open row's cells that are not empty.
    cells: Vec<(usize, String)>,
    /// In them.
    bytes: u64,
    limit: u64,
    kind: Kind,
    style: usize,
    text: String,
    in_value: bool,
    phonetic: bool,
}

impl Reading<'_> {
    fn node(&mut self, node: Node<'_>, draft: &mut Draft) -> Result<(), ExtractError> {
        match node {
            Node::Open(tag) => self.open(tag),
            Node::Close(name) => match name {
                "v" | "t" => self.in_value = false,
                "rPh" => self.phonetic = false,
                "c" => self.end_cell()?,
                "row" => self.end_row(draft)?,
                _ => {}
            },
            Node::Text(piece) if self.in_value => {
                if (self.text.len() + piece.len()) as u64 > self.limit {
                    return Err(too_much_text(self.limit));
                }
                self.text.push_str(piece);
            }
            Node::Text(_) => {}
        }
        Ok(())
    }

    fn open(&mut self, tag: &Tag<'_>) {
        match tag.name {
            "row" => {
                self.row = tag
                    .number("r")
                    .unwrap_or_else(|| self.row.saturating_add(1));
                self.column = 0;
                self.cells.clear();
                self.bytes = 0;
            }
            "c" => {
                if let Some((_, column)) = tag.attr("r").and_then(|r| place(&r)) {
                    self.column = column;
                }
                self.kind = match tag.attr("t").as_deref() {
                    Some("s") => Kind::Shared,
                    Some("b") => Kind::Boolean,
                    Some("str" | "inlineStr" | "e" | "d") => Kind::Text,
                    _ => Kind::Number,
                };
                self.style = tag.number("s").unwrap_or(0);
                self.text.clear();
            }
            "v" | "t" => self.in_value = !self.phonetic,
            "rPh" => self.phonetic = true,
            _ => {}
        }
    }

    fn end_cell(&mut self) -> Result<(), ExtractError> {
        let column = self.column;
        self.column += 1;
        let value = self.text.trim();
        if value.is_empty() || column >= MAX_COLUMNS {
            return Ok(());
        }
        let shown = match self.kind {
            Kind::Number => self.sources.formats.show(value, self.style),
            Kind::Shared => {
                let index = value.parse().ok();
                let text = index.and_then(|i| self.sources.strings.get(i));
                one_line(text.unwrap_or_default())
            }
            Kind::Boolean if value == "1" => "TRUE".to_owned(),
            Kind::Boolean if value == "0" => "FALSE".to_owned(),
            Kind::Boolean | Kind::Text => one_line(value),
        };
        if shown.is_empty() {
            return Ok(());
        }
        self.bytes += shown.len() as u64;
        if self.bytes > self.limit {
            return Err(too_much_text(self.limit));
        }
        if shown.len() <= MAX_REPEATED_BYTES
            && let Some(area) = self.merged.get(&(self.row, column))
        {
            self.hanging.push((column, area.last_row, shown.clone()));
        }
        self.cells.push((column, shown));
        Ok(())
    }

    fn end_row(&mut self, draft: &mut Draft) -> Result<(), ExtractError> {
        let mut cells = std::mem::take(&mut self.cells);
        // Only beside something of the row's own.
        if !cells.is_empty() && !self.hanging.is_empty() {
            let row = self.row;
            self.hanging.retain(|(_, last, _)| *last >= row);
            for (column, _, text) in &self.hanging {
                if !cells.iter().any(|(filled, _)| filled == column) {
                    cells.push((*column, text.clone()));
                }
            }
        }
        cells.sort_by_key(|(column, _)| *column);
        if !cells.is_empty() {
            self.grid.push(self.row, cells, draft)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_places() {
        for (reference, expected) in [
            ("A1", Some((1, 0))),
            ("b12", Some((12, 1))),
            ("AA3", Some((3, 26))),
            ("XFD1048576", Some((1_048_576, 16_383))),
            ("XFE1", None),
            ("ZZZZZZZZZZZZZZZZ1", None),
            ("1", None),
            ("A", None),
            ("Aü1", None),
        ] {
            assert_eq!(place(reference), expected, "{reference}");
        }
    }

    #[track_caller]
    fn check(sheet: &str, expected: &str) {
        let source = format!("<worksheet>{sheet}</worksheet>");
        let limits = Limits::default();
        let mut draft = Draft::new(&limits);
        let areas = merged(source.as_bytes()).unwrap();
        let sources = Sources::default();
        read(source.as_bytes(), &sources, &areas, &limits, &mut draft).unwrap();
        assert_eq!(draft.finish().0, expected);
    }

    #[test]
    fn cells_of_all_kinds() {
        check(
            r#"<sheetData><row r="1"><c t="inlineStr"><is><t>a  b</t></is></c><c r="C1" t="b"><v>1</v></c><c><v>7</v></c></row>
               <row><c t="str"><f>"x"</f><v>x</v></c><c r="D2" t="e"><v>#N/A</v></c><c t="s"><v>9</v></c></row></sheetData>"#,
            "a b |  | TRUE | 7\nx |  |  | #N/A",
        );
    }

    #[test]
    fn merged_cells_reach_down() {
        check(
            r#"<sheetData><row r="2"><c r="A2"><v>1</v></c><c r="B2"><v>2</v></c></row><row r="3"><c r="B3"><v>3</v></c></row>
               <row r="4"><c r="A4"/></row><row r="5"><c r="B5"><v>5</v></c></row></sheetData>
               <mergeCells><mergeCell ref="A2:A4"/></mergeCells>"#,
            "1 | 2\n1 | 3\n\n5",
        );
    }
}
