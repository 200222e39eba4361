//! Tables as lines: a row is one line, its cells parted by ` | `, so that a row stays whole in a chunk.
//! A cell that spans rows is repeated in each of them, because a row must make sense without the row
//! above. A cell that spans columns stands once. Where the first row names the columns, the rows below
//! can carry the names, so that each can be understood alone.

use std::collections::BTreeMap;

use super::{ExtractError, draft::Draft, inline::one_line};

/// Columns of one row at most; the rest joins the last cell. Word allows 63, spreadsheets 16,384.
const MAX_COLUMNS: usize = 16_384;

/// A cell is repeated downwards at most this often, whatever it claims to span.
const MAX_ROW_SPAN: usize = 1_000;

/// Longer cells are not repeated: what spans rows usefully is a label.
pub(super) const MAX_REPEATED_BYTES: usize = 200;

/// A header of more bytes is not repeated in each row: the row alone would fill a chunk.
const MAX_REPEATED_HEADER: usize = 600;

/// The row being read, and what spans down into it.
#[derive(Default)]
pub(super) struct Row {
    cells: Vec<String>,
    /// By first column: cells that reach down into the rows to come.
    hanging: BTreeMap<usize, Hanging>,
    /// The next free column.
    column: usize,
}

struct Hanging {
    text: String,
    columns: usize,
    /// Rows it covers from the current one on; none for Word, which repeats the cell in each row.
    rows: Option<usize>,
}

impl Row {
    /// The next cell, from the left. Spans below 1 count as 1.
    pub(super) fn push(&mut self, text: &str, columns: usize, rows: usize) {
        self.take_hanging();
        let text = one_line(text);
        if rows > 1 && text.len() <= MAX_REPEATED_BYTES {
            let rows = Some(rows.min(MAX_ROW_SPAN));
            self.hang(&text, columns, rows);
        }
        self.add(text, columns);
    }

    /// A cell that the cells below it may continue (Word's `vMerge="restart"`).
    pub(super) fn push_restart(&mut self, text: &str, columns: usize) {
        let text = one_line(text);
        self.hang(&text, columns, None);
        self.add(text, columns);
    }

    /// A cell that continues the one above (Word's `vMerge`).
    pub(super) fn push_continued(&mut self, columns: usize) {
        let above = self.hanging.get(&self.column);
        let text = above.map(|h| h.text.clone()).unwrap_or_default();
        self.add(text, columns);
    }

    /// The row's cells; begins the next.
    pub(super) fn finish(&mut self) -> Vec<String> {
        self.take_hanging();
        self.hanging.retain(|_, cell| match &mut cell.rows {
            Some(rows) => {
                *rows -= 1;
                *rows > 0
            }
            None => true,
        });
        self.column = 0;
        std::mem::take(&mut self.cells)
    }

    fn hang(&mut self, text: &str, columns: usize, rows: Option<usize>) {
        if text.len() <= MAX_REPEATED_BYTES && self.column < MAX_COLUMNS {
            let text = text.to_owned();
            let columns = columns.clamp(1, MAX_COLUMNS);
            self.hanging.insert(
                self.column,
                Hanging {
                    text,
                    columns,
                    rows,
                },
            );
        }
    }

    fn add(&mut self, text: String, columns: usize) {
        match self.cells.last_mut() {
            Some(last) if self.column >= MAX_COLUMNS => {
                last.push(' ');
                last.push_str(&text);
            }
            _ => self.cells.push(text),
        }
        self.column = self.column.saturating_add(columns.clamp(1, MAX_COLUMNS));
    }

    /// Fills the columns that cells of earlier rows reach down into.
    fn take_hanging(&mut self) {
        while let Some(cell) = self.hanging.get(&self.column) {
            if cell.rows.is_none() {
                return;
            }
            self.cells.push(cell.text.clone());
            self.column += cell.columns;
        }
    }
}

/// Writes a row as a line, unless all its cells are empty. Empty cells at the end are left out.
pub(super) fn write_row(draft: &mut Draft, cells: &[String]) -> Result<(), ExtractError> {
    let filled = cells.iter().rposition(|c| !c.is_empty());
    let Some(last) = filled else {
        return Ok(());
    };
    draft.end_line()?;
    draft.push(&cells[..=last].join(" | "))?;
    draft.end_line()
}

/// Whether the first row names the columns: every cell filled (but the first may be empty, above the
/// names of the rows), none a number, all different, and some row below it. Where each column below holds
/// the same kind of words the first row holds, nobody can tell; then it counts as a header, as it does
/// for spreadsheets.
pub(super) fn is_header(first: &[String], rest: &[Vec<String>]) -> bool {
    let bytes: usize = first.iter().map(String::len).sum();
    let mut names: Vec<&str> = first.iter().map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let named = |(column, cell): (usize, &String)| {
        if cell.is_empty() {
            return column == 0 && first.len() >= 3;
        }
        !is_number(cell) || is_year(cell)
    };
    let some_words = first.iter().any(|c| c.chars().any(char::is_alphabetic));
    !rest.is_empty()
        && first.len() >= 2
        && bytes <= MAX_REPEATED_HEADER
        && names.len() == first.len()
        && some_words
        && first.iter().enumerate().all(named)
        && !years_below(first, rest)
        && rest.iter().all(|row| row.len() <= first.len())
}

fn is_number(cell: &str) -> bool {
    cell.contains(|c: char| c.is_ascii_digit())
        && cell
            .chars()
            .all(|c| !c.is_alphabetic() || matches!(c, 'e' | 'E'))
}

fn is_year(cell: &str) -> bool {
    cell.len() == 4 && cell.parse().is_ok_and(|year| (1500..2200).contains(&year))
}

/// Whether a year in the first row stands above years: then both are data.
fn years_below(first: &[String], rest: &[Vec<String>]) -> bool {
    let years = first.iter().enumerate().filter(|(_, cell)| is_year(cell));
    years.into_iter().any(|(column, _)| {
        rest.iter()
            .any(|row| row.get(column).is_some_and(|cell| is_year(cell)))
    })
}

/// Writes a row as `Name: Ada; Born: 1815`, empty cells left out.
pub(super) fn write_labelled(
    draft: &mut Draft,
    names: &[String],
    row: &[String],
) -> Result<(), ExtractError> {
    let filled = row.iter().enumerate().filter(|(_, cell)| !cell.is_empty());
    let cells: Vec<String> = filled
        .map(|(column, cell)| match names.get(column) {
            Some(name) if !name.is_empty() => format!("{name}: {cell}"),
            _ => cell.clone(),
        })
        .collect();
    draft.end_line()?;
    draft.push(&cells.join("; "))?;
    draft.end_line()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_told_from_data() {
        let check = |first: &str, below: &str, expected: bool| {
            let cells = |row: &str| row.split('|').map(str::to_owned).collect::<Vec<_>>();
            let rest: Vec<Vec<String>> = below.split('/').map(cells).collect();
            assert_eq!(is_header(&cells(first), &rest), expected, "{first}");
        };
        check("Name|Born", "Ada|1815/Charles|1791", true);
        check("Ada|1815", "Charles|1791", false);
        check("|Q1|Q2", "North|1|2", true);
        check("|Q1", "North|1", false);
        check("Region|2023|2024", "North|1|2", true);
        check("2023|2024", "1|2", false);
        check("a|a", "1|2", false);
        check("a|b", "1|2|3", false);
        check("a|7.5", "1|2", false);
    }

    #[test]
    fn spans_repeat_downwards_only() {
        let mut row = Row::default();
        row.push("a", 1, 2);
        row.push("b\n c", 2, 1);
        row.push("d", 1, 0);
        assert_eq!(row.finish(), ["a", "b c", "d"]);
        row.push("e", 1, 1);
        assert_eq!(row.finish(), ["a", "e"]);
        row.push("f", 1, 1);
        assert_eq!(row.finish(), ["f"]);
    }

    #[test]
    fn word_continues_cells() {
        let mut row = Row::default();
        row.push("a", 1, 1);
        row.push_restart("b", 2);
        row.push("c", 1, 1);
        assert_eq!(row.finish(), ["a", "b", "c"]);
        row.push("d", 1, 1);
        row.push_continued(2);
        row.push("e", 1, 1);
        assert_eq!(row.finish(), ["d", "b", "e"]);
        row.push_continued(1);
        assert_eq!(row.finish(), [""]);
    }

    #[test]
    fn impossible_spans_end() {
        let mut row = Row::default();
        row.push("a", usize::MAX, usize::MAX);
        row.push("b", usize::MAX, 1);
        assert_eq!(row.finish(), ["a b"]);
        for _ in 0..MAX_ROW_SPAN {
            row.finish();
        }
        assert!(row.finish().is_empty());
    }
}
