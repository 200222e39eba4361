//! Rows of a sheet as lines. A sheet holds tables, and around them titles and remarks; blank rows part
//! them. The header of a table is looked for in its first rows, and its names stand in every row below.

use super::super::{
    ExtractError,
    draft::Draft,
    table::{is_header, write_labelled, write_row},
};

/// Rows of a table that the header is judged by.
const LOOKED_AT_ROWS: usize = 50;

/// A row that reaches over more columns is written without its empty cells.
const MAX_WIDTH: usize = 256;

/// Writes rows as they come.
#[derive(Default)]
pub(super) struct Grid {
    /// Rows of the open table until its header is known.
    pending: Vec<Row>,
    header_known: bool,
    header: Option<Header>,
    last_row: u32,
}

/// Filled cells by column, in order.
type Row = Vec<(usize, String)>;

struct Header {
    first_column: usize,
    names: Vec<String>,
}

impl Grid {
    /// The next row, which has at least one cell.
    pub(super) fn push(
        &mut self,
        number: u32,
        row: Row,
        draft: &mut Draft,
    ) -> Result<(), ExtractError> {
        if number != self.last_row.saturating_add(1) {
            self.finish(draft)?;
        }
        self.last_row = number;
        if self.header_known {
            return self.write(&row, draft);
        }
        self.pending.push(row);
        if self.pending.len() > LOOKED_AT_ROWS {
            self.decide(draft)?;
        }
        Ok(())
    }

    /// The table ends. What comes next may be its continuation below a blank row.
    pub(super) fn finish(&mut self, draft: &mut Draft) -> Result<(), ExtractError> {
        if !self.header_known {
            self.decide(draft)?;
        }
        self.header_known = false;
        draft.end_block()
    }

    fn decide(&mut self, draft: &mut Draft) -> Result<(), ExtractError> {
        let rows = std::mem::take(&mut self.pending);
        self.header_known = true;
        // Titles stand alone in their rows.
        let titles = rows.iter().take_while(|row| row.len() == 1).count();
        let found = rows.get(titles).and_then(|first| {
            let below = &rows[titles + 1..];
            let from = rows[titles..].iter().map(|row| row[0].0).min()?;
            let names = dense(first, from)?;
            let below: Option<Vec<_>> = below.iter().map(|row| dense(row, from)).collect();
            is_header(&names, &below?).then_some(Header {
                first_column: from,
                names,
            })
        });
        if found.is_some() {
            self.header = found;
            for row in &rows[..=titles] {
                write_plain(row, draft)?;
            }
            for row in &rows[titles + 1..] {
                self.write(row, draft)?;
            }
            return Ok(());
        }
        if !rows.iter().all(|row| self.continues(row)) {
            self.header = None;
        }
        for row in &rows {
            self.write(row, draft)?;
        }
        Ok(())
    }

    /// Whether a row below a blank one can belong to the table above: it fills at least half of the
    /// columns that the header names, and no others.
    fn continues(&self, row: &Row) -> bool {
        self.header.as_ref().is_some_and(|header| {
            let columns = header.first_column..header.first_column + header.names.len();
            row.iter().all(|(column, _)| columns.contains(column))
                && row.len() * 2 >= header.names.len()
        })
    }

    fn write(&self, row: &Row, draft: &mut Draft) -> Result<(), ExtractError> {
        let Some(header) = &self.header else {
            return write_plain(row, draft);
        };
        match dense(row, header.first_column) {
            Some(cells) => write_labelled(draft, &header.names, &cells),
            None => write_plain(row, draft),
        }
    }
}

/// The cells from column `from` on, empty ones included; `None` when they begin before it or reach too
/// far.
fn dense(row: &Row, from: usize) -> Option<Vec<String>> {
    let (first, last) = (row.first()?.0, row.last()?.0);
    if first < from || last - from >= MAX_WIDTH {
        return None;
    }
    let mut cells = vec![String::new(); last - from + 1];
    for (column, text) in row {
        cells[column - from].clone_from(text);
    }
    Some(cells)
}

fn write_plain(row: &Row, draft: &mut Draft) -> Result<(), ExtractError> {
    let first = row.first().map_or(0, |(column, _)| *column);
    match dense(row, first) {
        Some(cells) => write_row(draft, &cells),
        None => {
            let cells: Vec<String> = row.iter().map(|(_, text)| text.clone()).collect();
            write_row(draft, &cells)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::extract::Limits;

    /// Rows of cells by number: `3: a | | b`.
    #[track_caller]
    fn check(rows: &[&str], expected: &str) {
        let mut grid = Grid::default();
        let mut draft = Draft::new(&Limits::default());
        for row in rows {
            let (number, cells) = row.split_once(": ").unwrap();
            let cells = cells.split('|').map(str::trim).enumerate();
            let filled = cells.filter(|(_, c)| !c.is_empty());
            let row = filled.map(|(column, c)| (column, c.to_owned())).collect();
            grid.push(number.parse().unwrap(), row, &mut draft).unwrap();
        }
        grid.finish(&mut draft).unwrap();
        assert_eq!(draft.finish().0, expected);
    }

    #[test]
    fn titles_headers_and_rows() {
        check(
            &["1: Budget", "3: |Item|Cost", "4: |Rent|800", "5: |Food|300"],
            "Budget\n\nItem | Cost\nItem: Rent; Cost: 800\nItem: Food; Cost: 300",
        );
        check(
            &["1: Budget", "2: Item|Cost", "3: Rent|800"],
            "Budget\nItem | Cost\nItem: Rent; Cost: 800",
        );
    }

    #[test]
    fn a_blank_row_ends_a_table_or_not() {
        check(
            &["1: Item|Cost", "2: Rent|800", "4: Food|300", "6: Done"],
            "Item | Cost\nItem: Rent; Cost: 800\n\nItem: Food; Cost: 300\n\nItem: Done",
        );
        check(
            &[
                "1: Item|Cost|Paid",
                "2: Rent|800|yes",
                "4: Remarks",
                "6: A|B",
                "7: 1|2",
            ],
            "Item | Cost | Paid\nItem: Rent; Cost: 800; Paid: yes\n\nRemarks\n\nA | B\nA: 1; B: 2",
        );
    }

    #[test]
    fn long_tables_keep_their_header() {
        let rows: Vec<String> = (2..=200).map(|n| format!("{n}: x|{n}")).collect();
        let mut all = vec!["1: Item|Cost"];
        all.extend(rows.iter().map(String::as_str));
        let labelled: Vec<String> = (2..=200).map(|n| format!("Item: x; Cost: {n}")).collect();
        check(&all, &format!("Item | Cost\n{}", labelled.join("\n")));
    }

    #[test]
    fn cells_far_apart() {
        let far = format!("1: a{}b", "|".repeat(1000));
        check(&[&far], "a | b");
    }
}
