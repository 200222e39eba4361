//! How good the text of a page is, from the text alone: whether the next reader should be tried, and
//! which of two texts is the better one.

use super::super::bidi::is_rtl;

/// What a page's text looks like.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Quality {
    /// Characters other than white space.
    pub(super) chars: usize,
    /// Those among them that stand for no character: U+FFFD, controls, private use, unassigned.
    pub(super) undecoded: usize,
    /// Letters in words that look like words, of all letters in words that are long enough to tell;
    /// 1 where there are none.
    pub(super) wordlike: f32,
    /// Characters of scripts written from right to left.
    pub(super) rtl: usize,
}

/// Undecoded characters that a good page may have: one stray bullet in a hundred.
const MAX_UNDECODED: f32 = 0.01;

/// The tests below hold texts of both sides of it. To fall below costs nothing but the second reader's
/// time: a page of part numbers is read twice and kept.
const MIN_WORDLIKE: f32 = 0.6;

/// Words up to this many letters tell nothing.
const SHORT_WORD: usize = 3;

/// Longer Latin words are words that lost their spaces.
const LONGEST_WORD: usize = 28;

impl Quality {
    pub(super) fn of(text: &str) -> Self {
        let mut quality = Self::default();
        let (mut letters, mut good) = (0_usize, 0_usize);
        for word in text.split_whitespace() {
            let mut shape = Shape::default();
            for c in word.chars() {
                quality.chars += 1;
                quality.undecoded += usize::from(is_undecoded(c));
                quality.rtl += usize::from(is_rtl(c));
                shape.add(c);
            }
            // Short ones are words in every cipher.
            if shape.letters > SHORT_WORD {
                letters += shape.letters;
                good += if shape.is_word() { shape.letters } else { 0 };
            }
        }
        quality.wordlike = if letters == 0 {
            1.0
        } else {
            good as f32 / letters as f32
        };
        quality
    }

    /// Whether the text can stand. `drawn` is how many operators of the page show text.
    pub(super) fn passes(&self, drawn: usize) -> bool {
        let chars = self.chars as f32;
        self.undecoded as f32 <= MAX_UNDECODED * chars
            && self.wordlike >= MIN_WORDLIKE
            && (self.chars > 0 || drawn == 0)
    }

    /// Characters that are worth something.
    pub(super) fn worth(&self) -> f32 {
        let decoded = self.chars.saturating_sub(self.undecoded) as f32;
        let share = decoded / self.chars.max(1) as f32;
        decoded * share * share * self.wordlike
    }
}

/// Private use, U+FFFD, controls and noncharacters: what a font without a Unicode table leaves behind.
fn is_undecoded(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{fffd}' | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' | '\u{fff0}'..='\u{fff8}')
        || (u32::from(c) & 0xfffe) == 0xfffe
}

/// What one word is made of.
#[derive(Default)]
struct Shape {
    letters: usize,
    latin: usize,
    vowels: usize,
    /// Small letter followed by a capital.
    humps: usize,
    /// Latin letters with marks or from the far ends of the tables: common as mistakes.
    unusual: usize,
    foreign: usize,
    after_small: bool,
}

impl Shape {
    fn add(&mut self, c: char) {
        if !c.is_alphabetic() {
            self.after_small = false;
            return;
        }
        self.letters += 1;
        if c < '\u{250}' {
            self.latin += 1;
            let base = c.to_ascii_lowercase();
            self.vowels +=
                usize::from(matches!(base, 'a' | 'e' | 'i' | 'o' | 'u' | 'y') || !c.is_ascii());
            self.unusual += usize::from(!c.is_ascii());
        } else {
            self.foreign += 1;
        }
        self.humps += usize::from(self.after_small && c.is_uppercase());
        self.after_small = c.is_lowercase();
    }

    /// Latin words have vowels and not too many unusual letters; other scripts are taken as they are,
    /// but not mixed with Latin in one word.
    fn is_word(&self) -> bool {
        if self.foreign > 0 {
            return self.latin * 3 <= self.letters;
        }
        self.vowels > 0
            && self.latin <= LONGEST_WORD
            && self.humps * 4 <= self.latin
            && self.unusual * 2 <= self.latin.max(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, drawn: usize, passes: bool) {
        let quality = Quality::of(text);
        assert_eq!(quality.passes(drawn), passes, "{quality:?}");
    }

    #[test]
    fn good_pages_pass() {
        check("", 0, true);
        check("The quick brown fox jumps over the lazy dog.", 9, true);
        check("Größenordnungen, naïveté, Čeština, œuvre", 9, true);
        check("名前と年齢 Привет мир שלום עולם", 9, true);
        check("PN 4711-XK 12/2024 $1,234.00 RFC-2119 XML", 9, true);
        check("1 2 3 4.5 %", 9, true);
    }

    #[test]
    fn bad_pages_do_not() {
        check("", 3, false);
        check("\u{fffd}\u{fffd}xt of \u{fffd}ages", 9, false);
        check("\u{e012}\u{e013} \u{e014}", 9, false);
        check("7KH TXLFN EURZQ IRA MXPSV RYHU WKH ODCB GRJV", 9, false);
        check("ÐÑÒÓ ÕÖØÙ ÛÜÝ ßàáâ", 9, false);
        check(
            "Thequickbrownfoxjumpsoverthelazydogandthenitsleeps",
            9,
            false,
        );
    }

    #[test]
    fn the_fuller_and_cleaner_text_is_worth_more() {
        let worth = |text| Quality::of(text).worth();
        assert!(worth("some words here") > worth("some words"));
        assert!(worth("some words") > worth("s\u{fffd}me w\u{fffd}rds h\u{fffd}re"));
        assert!(worth("7KH TXLFN EURZQ IRA MXPSV") < worth("The quick brown fox jumps"));
    }
}
