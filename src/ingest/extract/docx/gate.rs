//! Whether the text that was read is all that the document shows, and which of two readings is better.
//! The measure is letters and digits: what a reader adds (list markers, signs of formulas) is little of
//! that, what it loses is.

use super::super::xml::{Node, Tag};

/// Less than this share of what is shown means that a part was lost. Readings hold what stands in other
/// parts too (notes, headers), so a good one has more than it all.
const ENOUGH: f64 = 0.9;

/// The second reading must have this many times the letters of the first, which knows more of the
/// format: lists, notes, formulas.
const CLEARLY_MORE: f64 = 1.05;

/// Counts what the main part shows, node by node, without knowing how it is put together.
#[derive(Default)]
pub(super) struct Shown {
    letters: usize,
    /// Elements inside an open one that shows nothing, that one included.
    skipped: usize,
    in_text: bool,
    /// The open run is hidden.
    hidden: bool,
}

impl Shown {
    pub(super) fn node(&mut self, node: &Node<'_>) {
        match node {
            Node::Open(_) if self.skipped > 0 => self.skipped += 1,
            Node::Close(_) if self.skipped > 0 => self.skipped -= 1,
            Node::Text(_) if self.skipped > 0 || self.hidden || !self.in_text => {}
            Node::Open(tag) => self.open(tag),
            Node::Close("t") => self.in_text = false,
            Node::Close(_) => {}
            Node::Text(text) => self.letters += letters(text),
        }
    }

    fn open(&mut self, tag: &Tag<'_>) {
        match tag.name {
            "del" | "moveFrom" | "Fallback" | "rt" | "sdtPr" => self.skipped = 1,
            "r" => self.hidden = false,
            "vanish" => self.hidden = tag.is_on(),
            "t" => self.in_text = true,
            _ => {}
        }
    }

    pub(super) fn letters(&self) -> usize {
        self.letters
    }
}

pub(super) fn letters(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphanumeric()).count()
}

/// Whether a reading with so many letters lost some of those shown.
pub(super) fn has_lost(read: usize, shown: usize) -> bool {
    (read as f64) < shown as f64 * ENOUGH
}

/// Whether the second reading is to be taken.
pub(super) fn is_better(second: usize, first: usize) -> bool {
    second > 0 && second as f64 > first as f64 * CLEARLY_MORE
}

#[cfg(test)]
mod tests {
    use super::{super::super::xml::read, *};

    #[track_caller]
    fn check(body: &str, expected: usize) {
        let mut shown = Shown::default();
        let source = format!("<w:body>{body}</w:body>");
        read(source.as_bytes(), |node| {
            shown.node(&node);
            Ok(())
        })
        .unwrap();
        assert_eq!(shown.letters(), expected, "{body}");
    }

    #[test]
    fn what_is_shown_is_counted() {
        check("<w:p><w:r><w:t>ab, c1 ü</w:t></w:r>between</w:p>", 5);
        check(
            "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>abc</w:t></w:r></w:p></w:tc></w:tr></w:tbl>",
            3,
        );
        check(
            "<w:del><w:r><w:t>gone</w:t></w:r></w:del><w:ins><w:r><w:t>new</w:t></w:r></w:ins>",
            3,
        );
        check(
            "<w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r><w:r><w:t>seen</w:t></w:r>",
            4,
        );
        check(
            "<w:r><w:rPr><w:vanish w:val='0'/></w:rPr><w:t>seen</w:t></w:r>",
            4,
        );
        check(
            "<mc:Choice><w:t>new</w:t></mc:Choice><mc:Fallback><w:t>old</w:t></mc:Fallback>",
            3,
        );
    }

    #[test]
    fn losses_are_noticed() {
        for (read, shown, lost) in [
            (0, 0, false),
            (10, 0, false),
            (100, 100, false),
            (90, 100, false),
            (89, 100, true),
            (0, 1, true),
        ] {
            assert_eq!(has_lost(read, shown), lost, "{read} of {shown}");
        }
        for (second, first, better) in [
            (0, 0, false),
            (1, 0, true),
            (105, 100, false),
            (106, 100, true),
            (50, 100, false),
        ] {
            assert_eq!(is_better(second, first), better, "{second} for {first}");
        }
    }
}
