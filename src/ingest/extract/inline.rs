//! One block's text while its pieces come in: white space collapses to single spaces, as HTML and Word
//! show it.

/// A line of text that grows.
#[derive(Default)]
pub(super) struct Inline {
    text: String,
    /// A space is due before the next word.
    gap: bool,
}

impl Inline {
    /// Appends text in which any run of white space means one space.
    pub(super) fn flow(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                // Invisible: a place where a line may break, a joiner of lines, a mark.
                '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}' => {}
                c if c.is_whitespace() => self.gap = true,
                c => self.visible(c),
            }
        }
    }

    /// Appends text as it stands, spaces and line ends included.
    pub(super) fn verbatim(&mut self, text: &str) {
        for c in text.chars() {
            if c == '\u{a0}' {
                self.visible(' ');
            } else {
                self.visible(c);
            }
        }
    }

    /// The rest stands on a new line of the same block.
    pub(super) fn line_break(&mut self) {
        self.gap = false;
        self.text.push('\n');
    }

    /// The next piece is another word.
    pub(super) fn space(&mut self) {
        self.gap = true;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// What was gathered; begins anew.
    pub(super) fn take(&mut self) -> String {
        self.gap = false;
        std::mem::take(&mut self.text)
    }

    fn visible(&mut self, c: char) {
        if self.gap && !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push(' ');
        }
        self.gap = false;
        self.text.push(c);
    }
}

/// All of `text` on one line, words parted by one space.
pub(super) fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collapses_white_space() {
        let mut line = Inline::default();
        for piece in ["  a ", "\n", "b", "c\u{a0}\td", "e\u{ad}f\u{200b}g "] {
            line.flow(piece);
        }
        line.line_break();
        line.flow(" h");
        assert_eq!(line.take(), "a bc defg\nh");
        assert!(line.is_empty());
    }
}
