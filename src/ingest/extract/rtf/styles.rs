//! The style sheet, as far as it tells headings and titles.

use std::collections::HashMap;

/// Styles of one document.
const MAX_STYLES: usize = 10_000;

/// Bytes of a style's name that are looked at.
const MAX_NAME: usize = 200;

#[derive(Default)]
pub(super) struct Styles {
    by_number: HashMap<i32, Style>,
    open: Style,
    /// `None` while a style of characters or tables is described.
    number: Option<i32>,
}

#[derive(Default)]
struct Style {
    name: String,
    /// 0 is the outermost, 9 is body text.
    outline: Option<u8>,
}

impl Styles {
    /// The heading level (from 1) of paragraphs of that style.
    pub(super) fn heading(&self, number: i32) -> Option<u8> {
        let style = self.by_number.get(&number)?;
        match style.outline {
            Some(level) => (level < 9).then_some(level + 1),
            None => {
                let lower = style.name.to_ascii_lowercase();
                let level = lower.strip_prefix("heading ")?.trim().parse().ok()?;
                (1..=9).contains(&level).then_some(level)
            }
        }
    }

    pub(super) fn is_title(&self, number: i32) -> bool {
        let style = self.by_number.get(&number);
        style.is_some_and(|s| s.name.eq_ignore_ascii_case("title"))
    }

    /// A style's description begins; without a number it is the one of plain paragraphs.
    pub(super) fn begin(&mut self) {
        self.number = Some(0);
        self.open = Style::default();
    }

    /// A word of it.
    pub(super) fn word(&mut self, word: &str, number: Option<i32>) {
        match word {
            "s" => self.number = number,
            "cs" | "ds" | "ts" => self.number = None,
            "outlinelevel" => self.open.outline = number.and_then(|n| u8::try_from(n).ok()),
            _ => {}
        }
    }

    /// A piece of its name, which a semicolon ends.
    pub(super) fn text(&mut self, text: &str) {
        let (name, ended) = match text.split_once(';') {
            Some((name, _)) => (name, true),
            None => (text, false),
        };
        if self.open.name.len() + name.len() <= MAX_NAME {
            self.open.name.push_str(name);
        }
        if ended {
            let mut style = std::mem::take(&mut self.open);
            style.name = style.name.trim().to_owned();
            if let Some(number) = self.number
                && self.by_number.len() < MAX_STYLES
            {
                self.by_number.insert(number, style);
            }
        }
    }
}
