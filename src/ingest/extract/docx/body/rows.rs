//! The end of a table's row: a line, unless the table lays out a page.

use super::{
    super::super::{ExtractError, table::write_row},
    Body,
};

/// Cells with more paragraphs than this in a row of more than [`LAYOUT_BYTES`] are a page laid out with
/// a table, not data: their paragraphs stay paragraphs.
const LAYOUT_PARAGRAPHS: usize = 4;

/// See [`LAYOUT_PARAGRAPHS`].
const LAYOUT_BYTES: usize = 1_500;

impl Body<'_> {
    pub(super) fn end_row(&mut self) -> Result<(), ExtractError> {
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
}
