//! The end of a paragraph: a heading, an item of a list, a cell's text or plain text.

use super::{
    super::super::{ExtractError, inline::one_line},
    Body, Paragraph,
};

/// Deeper lists than this are indented no further.
const MAX_INDENT: usize = 8;

/// Notes and text boxes that one paragraph may bring along.
const MAX_ATTACHED: usize = 10_000;

/// Bytes of each of them.
const MAX_ATTACHED_BYTES: usize = 1024 * 1024;

impl Body<'_> {
    pub(super) fn end_paragraph(&mut self) -> Result<(), ExtractError> {
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
}

/// Something written below a paragraph.
pub(super) fn attach(to: &mut Vec<String>, text: String) {
    if to.len() < MAX_ATTACHED && text.len() <= MAX_ATTACHED_BYTES {
        to.push(text);
    }
}
