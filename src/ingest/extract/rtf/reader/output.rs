//! Where the text goes: decoded, into the paragraph it belongs to, and from there into the draft.

use super::{Charset, Complete, ExtractError, Inline, Purpose, Reader, one_line};

impl Reader {
    /// Bytes of text, decoded when all that belong together are there.
    pub(super) fn byte(&mut self, bytes: &[u8]) {
        if self.purpose() == Purpose::LeftOut || bytes.is_empty() {
            return;
        }
        if self.charset.is_none() {
            let font = self.groups.last().and_then(|g| g.font);
            self.charset = Some(self.fonts.charset(font));
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn decode(&mut self) -> Result<(), ExtractError> {
        let Some(charset) = self.charset.take() else {
            return Ok(());
        };
        let bytes = std::mem::take(&mut self.bytes);
        match charset {
            Charset::Encoded(encoding) => {
                let (text, _) = encoding.decode_without_bom_handling(&bytes);
                self.text(&text)
            }
            Charset::Symbols => {
                // Of the pictures only the bullet is also a character.
                let known = bytes.iter().filter_map(|byte| match byte {
                    0xb7 => Some('•'),
                    byte if byte.is_ascii() => Some(char::from(*byte)),
                    _ => None,
                });
                self.text(&known.collect::<String>())
            }
        }
    }

    pub(super) fn text(&mut self, text: &str) -> Result<(), ExtractError> {
        let hidden = self.groups.last().is_some_and(|g| g.hidden);
        match self.purpose() {
            Purpose::Text if !hidden => self.stories.open().paragraph.line.flow(text),
            Purpose::Marker => self.marker.flow(text),
            Purpose::Styles => self.styles.text(text),
            Purpose::Title if self.title.len() < 1000 => self.title.push_str(text),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn with_line(&mut self, write: impl FnOnce(&mut Inline)) {
        if self.purpose() == Purpose::Text {
            write(&mut self.stories.open().paragraph.line);
        }
    }

    pub(super) fn end_paragraph(&mut self) -> Result<(), ExtractError> {
        match self.stories.end_paragraph()? {
            Some(complete) => self.write(complete),
            None => Ok(()),
        }
    }

    /// A paragraph of the body.
    pub(super) fn write(&mut self, complete: Complete) -> Result<(), ExtractError> {
        let Complete { text, paragraph } = complete;
        if text.is_empty() && paragraph.attached.is_empty() {
            return Ok(());
        }
        self.stories.end_table(&mut self.draft)?;
        let heading = match paragraph.outline {
            Some(level) => (level < 9).then_some(level + 1),
            None => self.styles.heading(paragraph.style),
        };
        if self.styles.is_title(paragraph.style) && self.styled_title.is_none() {
            self.styled_title = Some(one_line(&text)).filter(|t| !t.is_empty());
        }
        let marker = paragraph.indented_marker();
        let in_list = !marker.is_empty() && heading.is_none();
        if in_list {
            self.draft.end_line()?;
        } else {
            self.draft.end_block()?;
        }
        let start = self.draft.position();
        match heading {
            Some(level) => {
                let line = format!("{}{}", marker.trim_start(), one_line(&text));
                self.draft.push(&line)?;
                self.draft.heading_at(start, level, &line);
            }
            None => {
                self.draft.push(&marker)?;
                self.draft.push(&text)?;
            }
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
}
