//! How good the text of a page is, from the text alone: whether the next reader should be tried, and
//! which of two texts is the better one.
//!
//! It knows no language. What it looks for is what goes wrong: characters that stand for nothing,
//! letters that another alphabet was mistaken for, words without vowels (a cipher of glyph numbers;
//! one that happens to keep as many vowels passes), spaces that were lost or put between all letters,
//! lines that read backwards.

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
    /// Punctuation and symbols, of all characters; what fills lines (dots, rules, bars) aside.
    symbols: f32,
    /// Vowels, of all Latin letters; 1 where there are few.
    vowels: f32,
    /// Latin words of one letter, of all Latin words; 0 where there are few.
    single: f32,
    /// Words of right-to-left scripts that begin as no word does, less those that end as words do.
    backwards: isize,
}

/// Undecoded characters that a good page may have: one stray bullet in a hundred.
const MAX_UNDECODED: f32 = 0.01;

/// The tests below hold texts of both sides of it. To fall below costs nothing but the second reader's
/// time: a page of part numbers is read twice and kept.
const MIN_WORDLIKE: f32 = 0.6;

/// A page of formulas has about a third; glyph numbers taken for ASCII have more than half.
const MAX_SYMBOLS: f32 = 0.5;

/// Tables and formulas have up to half; text with a space after every letter has nothing else.
const MAX_SINGLE: f32 = 0.8;

/// Texts have 0.33 and more (the samples of ten languages and of tables were counted here); letters in
/// another order have 0.25 on average.
const MIN_VOWELS: f32 = 0.3;

/// Letters below which the share of vowels tells nothing.
const FEW_LETTERS: usize = 100;

/// Words up to this many letters tell nothing.
const SHORT_WORD: usize = 3;

/// Longer Latin words are words that lost their spaces.
const LONGEST_WORD: usize = 28;

/// So many letters have all words together, on average, only where many lost their spaces; German and
/// Finnish have eight or nine.
const LONG_WORDS: f32 = 12.0;

/// Latin words, and characters, below which shares of them tell nothing.
const FEW: usize = 20;

impl Quality {
    pub(super) fn of(text: &str) -> Self {
        let mut quality = Self::default();
        let (mut letters, mut good) = (0_usize, 0_usize);
        let (mut symbols, mut swapped) = (0_usize, 0_usize);
        let (mut latin_words, mut latin_letters, mut single) = (0_usize, 0_usize, 0_usize);
        let mut vowels = 0_usize;
        for word in text.split_whitespace() {
            let mut shape = Shape::default();
            for c in word.chars() {
                quality.chars += 1;
                quality.undecoded += usize::from(is_undecoded(c));
                quality.rtl += usize::from(is_rtl(c));
                symbols += usize::from(is_symbol(c));
                swapped += usize::from(is_swapped(c));
                shape.add(c);
            }
            quality.backwards += backwards(word);
            if shape.latin > 0 && shape.foreign == 0 {
                latin_words += 1;
                latin_letters += shape.latin;
                vowels += shape.vowels;
                single += usize::from(shape.latin == 1);
            }
            // Short ones are words in every cipher.
            if shape.letters > SHORT_WORD {
                letters += shape.letters;
                good += if shape.is_word() { shape.letters } else { 0 };
            }
        }
        let share = |part: usize, whole: usize| part as f32 / whole.max(1) as f32;
        quality.wordlike = if letters == 0 {
            1.0
        } else {
            share(good, letters)
        };
        if latin_words >= FEW / 2 && share(latin_letters, latin_words) > LONG_WORDS {
            quality.wordlike *= 0.5;
        }
        if quality.chars >= FEW {
            quality.symbols = share(symbols, quality.chars);
            // One in 256 ideographs would be by chance.
            if share(swapped, quality.chars) > 0.5 {
                quality.undecoded += swapped;
            }
        }
        quality.vowels = if latin_letters < FEW_LETTERS {
            1.0
        } else {
            share(vowels, latin_letters)
        };
        if latin_words >= FEW {
            quality.single = share(single, latin_words);
        }
        quality
    }

    /// Whether the text can stand. `drawn` is how many operators of the page show text.
    pub(super) fn passes(&self, drawn: usize) -> bool {
        self.is_clean() && (self.chars > 0 || drawn == 0)
    }

    fn is_clean(&self) -> bool {
        self.undecoded as f32 <= MAX_UNDECODED * self.chars as f32
            && self.wordlike >= MIN_WORDLIKE
            && self.symbols <= MAX_SYMBOLS
            && self.single <= MAX_SINGLE
            && self.vowels >= MIN_VOWELS
            && !self.reads_backwards()
    }

    /// Whether its right-to-left words stand in the order they are seen.
    pub(super) fn reads_backwards(&self) -> bool {
        self.backwards > 0
    }

    /// Characters that are worth something.
    pub(super) fn worth(&self) -> f32 {
        let decoded = self.chars.saturating_sub(self.undecoded) as f32;
        let share = decoded / self.chars.max(1) as f32;
        let mut worth = decoded * share * share * self.wordlike;
        for broken in [
            self.symbols > MAX_SYMBOLS,
            self.single > MAX_SINGLE,
            self.vowels < MIN_VOWELS,
            self.reads_backwards(),
        ] {
            if broken {
                worth *= 0.5;
            }
        }
        worth
    }
}

/// Private use, U+FFFD, controls and noncharacters: what a font without a Unicode table leaves behind.
fn is_undecoded(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{fffd}' | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' | '\u{fff0}'..='\u{fff8}')
        || (u32::from(c) & 0xfffe) == 0xfffe
}

/// ASCII letters and digits whose two bytes changed places: `A` becomes U+4100.
fn is_swapped(c: char) -> bool {
    let code = u32::from(c);
    code.trailing_zeros() >= 8 && u8::try_from(code >> 8).is_ok_and(|b| b.is_ascii_alphanumeric())
}

/// What is neither letter nor digit nor a mark on one, and does not fill lines of tables and contents.
fn is_symbol(c: char) -> bool {
    let fills = matches!(
        c,
        '.' | '_' | '-' | '=' | '|' | '*' | '·' | '…' | '–' | '—' | '•' | '\u{2500}'
            ..='\u{257f}' | '☐' | '□'
    );
    // Marks of Indic, Thai and Hebrew scripts are not alphanumeric, and letters all the same.
    !c.is_alphanumeric() && !fills && !is_undecoded(c) && (c.is_ascii() || !is_mark(c))
}

/// Combining marks, as far as they occur in running text.
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

/// 1 for a word whose first letter ends words and never begins them, −1 for one where it stands at its
/// end: final forms of Hebrew, ta marbuta and alef maqsura of Arabic. The Arabic article would tell more,
/// but what it is backwards ends many words of Persian.
fn backwards(word: &str) -> isize {
    let mut letters = word.chars().filter(|c| is_rtl(*c));
    let Some(first) = letters.next() else {
        return 0;
    };
    let Some(last) = letters.next_back() else {
        return 0;
    };
    let ends = |c: char| matches!(c, 'ם' | 'ן' | 'ץ' | 'ף' | 'ך' | 'ة' | 'ى');
    isize::from(ends(first)) - isize::from(ends(last))
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
        if is_latin(c) {
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

/// Latin letters, those of Vietnamese (U+1E00 on) included.
fn is_latin(c: char) -> bool {
    matches!(c, '\0'..='\u{24f}' | '\u{1e00}'..='\u{1eff}')
}

#[cfg(test)]
mod tests;
