//! Standard output. Text out of documents may hold anything, so what goes to a terminal is first freed
//! of everything a terminal would obey.

use std::io::{self, Write};

use serde::Serialize;

use crate::domain::unseen::is_bidi_control;

/// Standard output, which may be a terminal.
#[derive(Debug, Clone, Copy)]
pub struct Out {
    terminal: bool,
}

impl Out {
    /// `terminal`: whether a person reads it.
    pub fn new(terminal: bool) -> Self {
        Self { terminal }
    }

    /// One line. Its control characters are shown, not obeyed, wherever it goes: a line is a line.
    pub fn line(self, text: &str) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{}", shown(text, false))
    }

    /// Several lines, or a part of one, at once on the screen.
    pub fn text(self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(shown(text, true).as_bytes())?;
        out.flush()
    }

    /// A document's own text: exact in a file or a pipe, harmless on a terminal.
    pub fn document(self, text: &str) -> io::Result<()> {
        if self.terminal {
            self.text(text)
        } else {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes())?;
            out.flush()
        }
    }

    /// A value for scripts.
    pub fn json(self, value: &impl Serialize) -> io::Result<()> {
        let text = escaped(&serde_json::to_string_pretty(value)?);
        writeln!(io::stdout().lock(), "{text}")
    }

    /// A table: columns padded to their widest cell, the last one as it is.
    pub fn table(self, head: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
        for line in aligned(head, rows) {
            self.line(&line)?;
        }
        Ok(())
    }
}

/// `text` with what a terminal obeys made visible: control characters (C0, C1, DEL), and the marks that
/// reorder text for the eye (bidirectional controls), which could make a quotation look like another.
pub fn shown(text: &str, keep_lines: bool) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' if keep_lines => clean.push(c),
            c if c.is_control() || is_bidi_control(c) => clean.extend(c.escape_default()),
            c => clean.push(c),
        }
    }
    clean
}

/// JSON in which a terminal finds nothing to obey. JSON itself escapes the control characters below
/// U+0020 only; U+009B begins a sequence as ESC does. All of them stand inside strings, where an escape
/// means the same.
fn escaped(json: &str) -> String {
    let mut clean = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\n' => clean.push(c),
            c if c.is_control() || is_bidi_control(c) => {
                clean.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => clean.push(c),
        }
    }
    clean
}

fn aligned(head: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let width = |column: usize| {
        std::iter::once(&head)
            .chain(rows)
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    std::iter::once(&head)
        .chain(rows)
        .map(|row| {
            let padded: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            padded.join("  ").trim_end().to_owned()
        })
        .collect()
}

/// A number with its noun: `1 page`, `2 pages`.
pub fn counted(number: u64, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// A size as people write it, in powers of 1,024.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// A duration in its two largest units.
pub fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through() {
        let check = |given: &str, expected: &str| assert_eq!(shown(given, true), expected);
        check("plain\ttext\n", "plain\ttext\n");
        check("\u{1b}[31mred", "\\u{1b}[31mred");
        check("\u{9b}31m", "\\u{9b}31m");
        check("bell\u{7}", "bell\\u{7}");
        check("over\rwritten", "over\\rwritten");
        check("\u{202e}txt.exe", "\\u{202e}txt.exe");
        check("naïve – 日本", "naïve – 日本");
        assert_eq!(shown("a\nb", false), "a\\nb");
    }

    #[test]
    fn json_for_scripts_is_harmless_on_a_terminal_too() {
        let value = serde_json::json!({ "name": "\u{9b}2J\u{7f}\u{202e}\u{1b}[2J\n\"ä\"" });
        let text = escaped(&serde_json::to_string_pretty(&value).unwrap());
        let harmless = |c: char| c == '\n' || !(c.is_control() || is_bidi_control(c));
        assert!(text.chars().all(harmless), "{text:?}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            value
        );
    }

    #[test]
    fn columns_line_up() {
        let rows = [
            vec!["a".to_owned(), "größer".to_owned()],
            vec!["long".to_owned(), String::new()],
        ];
        assert_eq!(
            aligned(&["id", "name"], &rows),
            ["id    name", "a     größer", "long"]
        );
    }

    #[test]
    fn sizes_and_durations() {
        assert_eq!(counted(1, "page"), "1 page");
        assert_eq!(counted(0, "page"), "0 pages");
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1_117_320_768), "1.0 GiB");
        assert_eq!(duration(59), "59 s");
        assert_eq!(duration(61), "1 min 1 s");
        assert_eq!(duration(90_000), "1 d 1 h");
    }
}
