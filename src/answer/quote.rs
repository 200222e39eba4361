//! Finding a quotation in a text: forgiving about case, spaces and punctuation, exact about where.
//!
//! A small model copies a sentence almost always right, but changes a dash, a space or a capital. The
//! search therefore compares letters and digits only, and gives back the byte range of the *text*, so
//! that what is shown as a quotation is the text's own bytes and never the model's.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;

use super::sentence::sentences;
use crate::domain::unseen::is_unseen;

/// Of a quotation that is not found whole, at least this share must stand in one piece.
const MIN_SHARE: f32 = 0.7;
/// … and that piece must have at least this many words.
const MIN_WORDS: usize = 4;

/// A word of a text: its letters and digits, compatibility-composed and in lower case, and the
/// bytes it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    folded: String,
    bytes: Range<usize>,
}

/// Splits into runs of letters and digits. Characters of scripts written without spaces (Han, kana,
/// Thai …) are words of their own, so that a quotation may begin anywhere among them.
fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut joins = false;
    for (at, c) in text.char_indices() {
        // What nobody sees parts no words: the model is not shown it (see `prompt`).
        if is_unseen(c) {
            continue;
        }
        let end = at + c.len_utf8();
        let mut folded = c
            .nfkc()
            .flat_map(char::to_lowercase)
            .filter(|c| c.is_alphanumeric())
            .peekable();
        if folded.peek().is_none() {
            joins = false;
        } else if is_unspaced(c) {
            words.push(Word {
                folded: folded.collect(),
                bytes: at..end,
            });
            joins = false;
        } else {
            match words.last_mut() {
                Some(last) if joins => {
                    last.folded.extend(folded);
                    last.bytes.end = end;
                }
                _ => words.push(Word {
                    folded: folded.collect(),
                    bytes: at..end,
                }),
            }
            joins = true;
        }
    }
    words
}

/// Whether the character belongs to a script that puts no spaces between words.
fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x3040..=0x30FF
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x2FA1F)
}

/// The byte range of `text` that `quotation` quotes, or `None` when it does not stand there.
///
/// A quotation found whole is preferred; otherwise its longest piece that stands in the text, when
/// that is most of it (a model that leaves out a bracket or joins two sentences with "…").
///
/// ```
/// # use griot::answer::quote::locate;
/// let text = "4 Rent\nRent is payable on the first day of each month (in advance).";
/// let range = locate("rent is payable on the FIRST day of each month, in advance", text).unwrap();
/// assert_eq!(&text[range], "Rent is payable on the first day of each month (in advance");
/// assert!(locate("Rent is payable weekly", text).is_none());
/// ```
#[must_use]
pub fn locate(quotation: &str, text: &str) -> Option<Range<usize>> {
    let wanted = words(quotation);
    let there = words(text);
    if wanted.is_empty() || there.is_empty() {
        return None;
    }
    let (at, from, length) = longest_common_run(&wanted, &there);
    let whole = length == wanted.len();
    let most = length >= MIN_WORDS && length as f32 >= MIN_SHARE * wanted.len() as f32;
    (whole || most).then(|| {
        debug_assert!(at + length <= wanted.len());
        there[from].bytes.start..there[from + length - 1].bytes.end
    })
}

/// Words, and letters in them, from which on a beginning points at one place.
const POINTS_WORDS: usize = 5;
const POINTS_LETTERS: usize = 16;

/// Of texts, the one that `beginning` is copied from and where it stands there, when that is beyond
/// doubt: its whole words stand there once and nowhere else. The last word may be cut short, so it does
/// not count.
///
/// ```
/// # use griot::answer::quote::only_place;
/// let texts = ["Rent is due on the first of May.", "Rent is due on the second of May."];
/// assert_eq!(only_place("Rent is due on the fir", texts), None);
/// assert_eq!(only_place("Rent is due on the second o", texts), Some((1, 0..25)));
/// ```
#[must_use]
pub fn only_place<'t>(
    beginning: &str,
    texts: impl IntoIterator<Item = &'t str>,
) -> Option<(usize, Range<usize>)> {
    let mut wanted = words(beginning);
    wanted.pop();
    let letters: usize = wanted.iter().map(|word| word.folded.chars().count()).sum();
    if wanted.len() < POINTS_WORDS || letters < POINTS_LETTERS {
        return None;
    }
    let mut only = None;
    for (index, text) in texts.into_iter().enumerate() {
        let there = words(text);
        for run in there.windows(wanted.len()) {
            if run.iter().zip(&wanted).all(|(a, b)| a.folded == b.folded) {
                let bytes = run[0].bytes.start..run[run.len() - 1].bytes.end;
                if only.replace((index, bytes)).is_some() {
                    return None;
                }
            }
        }
    }
    only
}

/// Bytes of the longest sentence that is quoted whole for the sake of a part of it.
const MAX_SENTENCE: usize = 600;

/// `range` of `text` grown to the sentences it touches; `None` when they are longer than a reader would
/// take for a quotation (a table, a list without full stops).
///
/// ```
/// # use griot::answer::quote::whole_sentences;
/// let text = "It opened in 1932. John Lane, the mayor, opened it. It carries eight lanes.";
/// let range = whole_sentences(30..39, text).unwrap();
/// assert_eq!(&text[range], "John Lane, the mayor, opened it.");
/// ```
#[must_use]
pub fn whole_sentences(range: Range<usize>, text: &str) -> Option<Range<usize>> {
    let sentences = sentences(text);
    let touched =
        |sentence: &&Range<usize>| sentence.end > range.start && sentence.start < range.end;
    let first = sentences.iter().find(touched);
    let last = sentences.iter().rfind(touched);
    let start = first.map_or(range.start, |first| first.start.min(range.start));
    let end = last.map_or(range.end, |last| last.end.max(range.end));
    (end - start <= MAX_SENTENCE).then_some(start..end)
}

/// The longest run of equal words: where it begins in `a`, where in `b`, and its length.
///
/// Dynamic programming over two rows, O(a·b) word comparisons: a quotation of 60 words against an
/// evidence of 600 takes tens of microseconds.
fn longest_common_run(a: &[Word], b: &[Word]) -> (usize, usize, usize) {
    let mut best = (0, 0, 0);
    let mut above = vec![0_usize; b.len() + 1];
    for (i, word) in a.iter().enumerate() {
        let mut diagonal = 0;
        for (j, other) in b.iter().enumerate() {
            let run = if word.folded == other.folded {
                diagonal + 1
            } else {
                0
            };
            diagonal = std::mem::replace(&mut above[j + 1], run);
            if run > best.2 {
                best = (i + 1 - run, j + 1 - run, run);
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(quotation: &str, text: &str, expected: Option<&str>) {
        let found = locate(quotation, text).map(|range| &text[range]);
        assert_eq!(found, expected, "{quotation:?} in {text:?}");
    }

    #[test]
    fn finds_what_stands_there() {
        let text =
            "The Normans (Norman: Nourmands) gave their name to Normandy, a region in France.";
        check(
            "gave their name to Normandy",
            text,
            Some("gave their name to Normandy"),
        );
        check(
            "Gave  their name—to NORMANDY",
            text,
            Some("gave their name to Normandy"),
        );
        check("“a region in France.”", text, Some("a region in France"));
        check(
            "The Normans gave their name to Normandy, a region in France",
            text,
            Some("gave their name to Normandy, a region in France"),
        );
        check("eﬃcient ﬂow", "An efficient flow.", Some("efficient flow"));
        check("ＡＢＣ 12", "x abc 12 y", Some("abc 12"));
    }

    #[test]
    fn does_not_find_what_does_not() {
        let text = "Rent is payable on the first day of each month.";
        check("", text, None);
        check("...", text, None);
        check("payable on the second day of each week", text, None);
        check("rent is due weekly on the first day or so", text, None);
        // A part of a word is not the word.
        check("ent is payab", text, None);
    }

    #[test]
    fn what_is_not_seen_parts_no_words() {
        let text = "The pass\u{200b}word is صفحه\u{200c}کلید.\u{e0049}\u{e0050}";
        check(
            "the password is صفحه\u{200c}کلید",
            text,
            Some("The pass\u{200b}word is صفحه\u{200c}کلید"),
        );
        check(
            "the password is صفحهکلید",
            text,
            Some("The pass\u{200b}word is صفحه\u{200c}کلید"),
        );
    }

    #[test]
    fn scripts_without_spaces() {
        check("首都是北京", "中国的首都是北京。", Some("首都是北京"));
        check("首都是東京", "中国的首都是北京。", None);
    }

    proptest::proptest! {
        #[test]
        fn every_range_is_on_character_boundaries(text in ".{0,60}", quotation in ".{0,20}") {
            if let Some(range) = locate(&quotation, &text) {
                proptest::prop_assert!(text.get(range).is_some());
            }
        }

        #[test]
        fn any_piece_of_words_is_found(words in proptest::collection::vec("[a-zé0-9]{1,6}", 3..20), at in 0usize..3, n in 1usize..10) {
            let text = words.join(" ");
            let piece = words[at..(at + n).min(words.len())].join("  ");
            let range = locate(&piece, &text).expect("it stands there");
            let found: Vec<_> = text[range].split(' ').collect();
            proptest::prop_assert_eq!(found.join("  "), piece);
        }
    }
}
