//! The stored text while it is written: the one place that keeps its rules (no control characters, one
//! kind of line end, the size limit) and notes where each heading stands.

use crate::domain::FailureCode;

use super::{ExtractError, Limits, MAX_SECTIONS, PATH_SEPARATOR, Section};

/// Headings longer than this are body text that somebody styled as a heading; the path of a section is
/// shown beside every citation and must stay readable.
const MAX_TITLE_CHARS: usize = 200;

/// Bytes that all section paths of a document may take together. A hostile document with a heading per
/// line under nine long ones would otherwise grow nine times while it is read.
const MAX_PATH_BYTES: usize = 4 * 1024 * 1024;

/// A text that grows.
pub(super) struct Draft {
    text: String,
    max_bytes: u64,
    sections: Vec<Section>,
    /// The headings that the next text stands under.
    open: Vec<(u8, String)>,
    path_bytes: usize,
}

impl Draft {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            text: String::new(),
            max_bytes: limits.max_text_bytes,
            sections: Vec::new(),
            open: Vec::new(),
            path_bytes: 0,
        }
    }

    /// Where the next text goes.
    pub(super) fn position(&self) -> u64 {
        self.text.len() as u64
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Appends, with control characters left out.
    pub(super) fn push(&mut self, piece: &str) -> Result<(), ExtractError> {
        // Checked before the copy, so that one piece cannot outgrow the limit unseen.
        if self.text.len() as u64 + piece.len() as u64 > self.max_bytes {
            return Err(too_much_text(self.max_bytes));
        }
        if piece.bytes().any(|b| b < 0x20 && b != b'\n' && b != b'\t') || !piece.is_ascii() {
            clean_into(piece, &mut self.text);
        } else {
            self.text.push_str(&piece.replace('\u{7f}', ""));
        }
        Ok(())
    }

    /// Ends the line, unless nothing stands on it.
    pub(super) fn end_line(&mut self) -> Result<(), ExtractError> {
        if self.text.is_empty() || self.text.ends_with('\n') {
            return Ok(());
        }
        self.push("\n")
    }

    /// Leaves one blank line, unless there is one or nothing was written.
    pub(super) fn end_block(&mut self) -> Result<(), ExtractError> {
        self.end_line()?;
        if self.text.is_empty() || self.text.ends_with("\n\n") {
            return Ok(());
        }
        self.push("\n")
    }

    /// Says that a heading stands at byte `start`; `level` counts from 1 (outermost).
    pub(super) fn heading_at(&mut self, start: u64, level: u8, title: &str) {
        let words: Vec<&str> = title.split_whitespace().collect();
        let mut clean = String::new();
        clean_into(&words.join(" "), &mut clean);
        if clean.is_empty() || clean.chars().count() > MAX_TITLE_CHARS {
            return;
        }
        let level = level.clamp(1, 9);
        self.open.retain(|(above, _)| *above < level);
        self.open.push((level, clean.clone()));
        let titles: Vec<&str> = self.open.iter().map(|(_, t)| t.as_str()).collect();
        let path = titles.join(PATH_SEPARATOR);
        self.path_bytes += path.len();
        if self.path_bytes > MAX_PATH_BYTES || self.sections.len() == MAX_SECTIONS {
            return;
        }
        self.sections.push(Section {
            start,
            level,
            title: clean,
            path,
        });
    }

    /// The text without white space at its end, and its sections.
    pub(super) fn finish(mut self) -> (String, Vec<Section>) {
        let kept = self.text.trim_end().len();
        self.text.truncate(kept);
        for section in &mut self.sections {
            section.start = section.start.min(kept as u64);
        }
        (self.text, self.sections)
    }
}

/// Appends `piece` by the rules of the stored text: line ends become `\n`, form feeds and line
/// separators too; other control characters and byte order marks are left out.
pub(super) fn clean_into(piece: &str, out: &mut String) {
    out.reserve(piece.len());
    let mut chars = piece.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\t' => out.push(c),
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    out.push('\n');
                }
            }
            '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => out.push('\n'),
            '\u{feff}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
}

/// The error for a text over its limit.
pub(super) fn too_much_text(max_bytes: u64) -> ExtractError {
    ExtractError::new(
        FailureCode::TooLarge,
        format!(
            "the document holds more text than the limit of {} MiB (`ingest.max_text_bytes`); split it or raise the limit",
            max_bytes / (1024 * 1024)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(max_text_bytes: u64) -> Draft {
        Draft::new(&Limits {
            max_text_bytes,
            ..Limits::default()
        })
    }

    #[test]
    fn cleans_what_is_pushed() {
        let mut d = draft(100);
        d.push("a\r\nb\rc\u{0}\u{7f}d\u{feff}\u{c}\te\u{85}ü\u{9c}")
            .unwrap();
        assert_eq!(d.finish().0, "a\nb\ncd\n\te\nü");
    }

    #[test]
    fn ascii_and_other_text_are_cleaned_alike() {
        for (given, kept) in [("x\u{7f}y", "xy"), ("x\u{7f}y\u{fe}", "xyþ"), ("\u{1}", "")] {
            let mut d = draft(100);
            d.push(given).unwrap();
            assert_eq!(d.text(), kept);
        }
    }

    #[test]
    fn keeps_to_the_limit() {
        let mut d = draft(4);
        d.push("abcd").unwrap();
        assert_eq!(d.push("e").unwrap_err().code, FailureCode::TooLarge);
        assert_eq!(d.text(), "abcd");
    }

    #[test]
    fn blocks_are_parted_by_one_blank_line() {
        let mut d = draft(100);
        d.end_block().unwrap();
        d.push("a").unwrap();
        d.end_block().unwrap();
        d.end_block().unwrap();
        d.push("b").unwrap();
        d.end_line().unwrap();
        assert_eq!(d.finish().0, "a\n\nb");
    }

    #[test]
    fn paths_follow_the_levels() {
        let mut d = draft(1000);
        for (level, title) in [(1, "A"), (3, "B"), (2, " C\n c "), (2, ""), (1, "D")] {
            d.heading_at(0, level, title);
        }
        let paths: Vec<String> = d.finish().1.into_iter().map(|s| s.path).collect();
        assert_eq!(paths, ["A", "A › B", "A › C c", "D"]);
    }

    #[test]
    fn paths_stay_bounded() {
        let mut d = draft(1000);
        for level in 1..=9 {
            d.heading_at(0, level, &"long ".repeat(39));
        }
        for _ in 0..10_000 {
            d.heading_at(0, 9, "x");
        }
        let total: usize = d.finish().1.iter().map(|s| s.path.len()).sum();
        assert!(total <= MAX_PATH_BYTES, "{total}");
    }
}
