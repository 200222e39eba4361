//! Words to sparse vectors for BM25.
//!
//! A passage's weights are its term frequencies, saturated and brought to a common length; a query's
//! weights are 1. The store multiplies each term by its [`idf`] over all points, so the dot product of
//! the two is the BM25 score (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009,
//! equation 3.15, with the IDF that cannot be negative, as in Lucene and Qdrant). No statistics of the
//! corpus are needed to make a vector, and none are kept here.
//!
//! Both stores and the lexical fallback see terms through [`terms`]; a change to it needs a rebuild
//! of every index.

use std::collections::BTreeMap;

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::{UnicodeNormalization, char::decompose_canonical};
use unicode_segmentation::UnicodeSegmentation;

use super::SparseVector;

mod stop_words;

/// The language whose stop words are dropped and whose endings are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English. Words of other languages come through it whole or with an ending cut, the same way in
    /// passages and in queries, so they are still found.
    #[default]
    English,
    /// No stop words and no endings: words as they are, in lower case.
    Neutral,
}

/// The weighting of terms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bm25 {
    /// How soon more occurrences of a term stop counting.
    pub k1: f32,
    /// From 0 (length does not matter) to 1 (weights are divided by the relative length).
    pub b: f32,
    /// Terms in a passage of usual length, stop words not counted.
    pub average_terms: f32,
    pub language: Language,
}

/// The usual `k1` 1.2 and `b` 0.75. The average length is a constant, because a store cannot reweight
/// what it holds as the corpus grows; a wrong one scales all scores nearly alike.
impl Default for Bm25 {
    fn default() -> Self {
        Self {
            k1: 1.2,
            b: 0.75,
            average_terms: 100.0,
            language: Language::English,
        }
    }
}

impl Bm25 {
    /// The vector to store for a passage.
    #[must_use]
    pub fn passage(&self, text: &str) -> SparseVector {
        let terms = terms(text, self.language, Side::Passage);
        let length = terms.len() as f32 / self.average_terms;
        let mut counts = BTreeMap::<u32, f32>::new();
        for term in &terms {
            *counts.entry(term_id(term)).or_default() += 1.0;
        }
        let half_saturation = self.k1 * (1.0 - self.b + self.b * length);
        SparseVector {
            values: counts
                .values()
                .map(|count| count * (self.k1 + 1.0) / (count + half_saturation))
                .collect(),
            indices: counts.into_keys().collect(),
        }
    }

    /// The vector to look with. A term that the query repeats counts once: questions are short, and a
    /// repetition in them is grammar.
    #[must_use]
    pub fn query(&self, text: &str) -> SparseVector {
        let mut indices: Vec<u32> = terms(text, self.language, Side::Query)
            .iter()
            .map(|term| term_id(term))
            .collect();
        indices.sort_unstable();
        indices.dedup();
        SparseVector {
            values: vec![1.0; indices.len()],
            indices,
        }
    }
}

/// How much a term tells that `holding` of `total` passages contain: `ln(1 + (N - n + ½) / (n + ½))`,
/// above 0 for every term.
#[must_use]
pub fn idf(total: u64, holding: u64) -> f32 {
    let (total, holding) = (total as f32, holding as f32);
    (1.0 + (total - holding + 0.5) / (holding + 0.5)).ln()
}

/// Which side of the comparison a text is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Passage,
    Query,
}

/// Letters of a term that are looked at; what is longer (a URL, a key) is cut.
const MAX_TERM_CHARS: usize = 64;

/// The terms of a text, in its order, repetitions included.
///
/// Compatibility forms are unified (NFKC), letters lowered, accents taken off Latin letters. Words
/// follow Unicode's rules (UAX #29), split further at `_`, and at `.` and `:` between letters, so that
/// parts of names are found; `u.s.` becomes `us` and `1,000` becomes `1000`. Scripts written without
/// spaces give each pair of neighbouring characters; on a passage's side each single one too, so that
/// a query of one character finds it.
#[must_use]
pub fn terms(text: &str, language: Language, side: Side) -> Vec<String> {
    let folded: String = text.nfkc().flat_map(char::to_lowercase).map(fold).collect();
    let stemmer = match language {
        Language::English => Some(Stemmer::create(Algorithm::English)),
        Language::Neutral => None,
    };
    let mut terms = Vec::new();
    for run in runs(&folded) {
        match run {
            Run::Spaced(run) => {
                for word in run.unicode_words() {
                    split_word(word, |part| {
                        if let Some(stemmer) = &stemmer {
                            if !stop_words::is_english(part) {
                                terms.push(stemmer.stem(part).into_owned());
                            }
                        } else {
                            terms.push(part.to_owned());
                        }
                    });
                }
            }
            Run::Unspaced(run) => push_characters(run, side, &mut terms),
        }
    }
    terms
}

/// The accent taken off a Latin letter, the typographic apostrophe straightened, all else as it is.
fn fold(letter: char) -> char {
    if letter == '’' {
        return '\'';
    }
    if letter.is_ascii() || !letter.is_alphabetic() {
        return letter;
    }
    let mut base = None;
    decompose_canonical(letter, |part| {
        base.get_or_insert(part);
    });
    base.filter(char::is_ascii).unwrap_or(letter)
}

/// A stretch of text that is written with spaces between words, or without.
enum Run<'a> {
    Spaced(&'a str),
    Unspaced(&'a str),
}

fn runs(text: &str) -> impl Iterator<Item = Run<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let unspaced = is_unspaced(rest.chars().next()?);
        let end = rest
            .find(|c| is_unspaced(c) != unspaced)
            .unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        Some(if unspaced {
            Run::Unspaced(run)
        } else {
            Run::Spaced(run)
        })
    })
}

/// Whether a character belongs to a script without spaces between words (Korean has spaces, but its
/// particles hang on the words; pairs of syllables serve it better).
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0e01}'..='\u{0e3a}' | '\u{0e40}'..='\u{0e4e}'      // Thai
        | '\u{0e81}'..='\u{0ece}'                              // Lao
        | '\u{1000}'..='\u{103f}'                              // Myanmar
        | '\u{1780}'..='\u{17d3}'                              // Khmer
        | '\u{3005}' | '\u{3007}'                              // 々 〇
        | '\u{3041}'..='\u{309f}'                              // Hiragana
        | '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30ff}'    // Katakana
        | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'    // Han
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}'
        | '\u{ac00}'..='\u{d7a3}'                              // Hangul
    )
}

fn push_characters(run: &str, side: Side, terms: &mut Vec<String>) {
    let starts: Vec<usize> = run.char_indices().map(|(at, _)| at).collect();
    let end_of = |n: usize| starts.get(n + 1).copied().unwrap_or(run.len());
    for (n, &start) in starts.iter().enumerate() {
        if side == Side::Passage || starts.len() == 1 {
            terms.push(run[start..end_of(n)].to_owned());
        }
        if n + 1 < starts.len() {
            terms.push(run[start..end_of(n + 1)].to_owned());
        }
    }
}

/// Gives the parts of one word that are looked for on their own.
fn split_word(word: &str, mut give: impl FnMut(&str)) {
    let cut = match word.char_indices().nth(MAX_TERM_CHARS) {
        Some((end, _)) => &word[..end],
        None => word,
    };
    if cut.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return give(cut); // by far the most
    }
    if cut.contains('.') && cut.split('.').all(|part| part.chars().count() == 1) {
        let letters: String = cut.split('.').collect();
        if letters.chars().all(char::is_alphabetic) {
            return give(&letters); // an abbreviation
        }
    }
    for piece in cut.split(['_', ':']) {
        let mut part = String::new();
        let mut before = None;
        let mut rest = piece.chars().peekable();
        while let Some(c) = rest.next() {
            let after = rest.peek().copied();
            let between =
                |test: fn(char) -> bool| before.is_some_and(test) && after.is_some_and(test);
            match c {
                '.' if between(char::is_alphabetic) => {
                    give(&part);
                    part.clear();
                }
                ',' if between(char::is_numeric) => {}
                _ => part.push(c),
            }
            before = Some(c);
        }
        if !part.is_empty() {
            give(&part);
        }
    }
}

/// The index of a term: MurmurHash3 (x86, 32 bits, seed 0) of its UTF-8 bytes. Two of a million
/// different terms share an index about a hundred times; that adds a little noise to those few.
#[must_use]
pub fn term_id(term: &str) -> u32 {
    const C1: u32 = 0xcc9e_2d51;
    const C2: u32 = 0x1b87_3593;
    let scramble = |k: u32| k.wrapping_mul(C1).rotate_left(15).wrapping_mul(C2);

    let bytes = term.as_bytes();
    let (words, tail) = bytes.as_chunks::<4>();
    let mut hash = 0_u32;
    for word in words {
        hash = (hash ^ scramble(u32::from_le_bytes(*word)))
            .rotate_left(13)
            .wrapping_mul(5)
            .wrapping_add(0xe654_6b64);
    }
    if !tail.is_empty() {
        let mut last = [0; 4];
        last[..tail.len()].copy_from_slice(tail);
        hash ^= scramble(u32::from_le_bytes(last));
    }
    hash ^= bytes.len() as u32;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests;
