//! How much of an expected text came out, and how much else: shared by the report and the tests.
//!
//! A token is a run of letters and digits in lower case, in compatibility form, so that `ﬁ` and `fi` are
//! one; characters of scripts without spaces are tokens of their own, and a word divided at the end of a
//! line is one word. Expected Markdown counts by the text it shows, not by its markup and link targets.

use std::{collections::HashMap, path::Path};

use pulldown_cmark::{Event, Options, Parser};
use unicode_normalization::UnicodeNormalization;

/// Shares from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Expected tokens that came out, each counted as often as it is expected.
    pub recall: f64,
    /// Tokens that came out and were expected. Low where the expected text leaves parts of the document
    /// out, or where text came out twice.
    pub precision: f64,
    /// Neighbouring pairs of expected tokens that are neighbours in what came out: the reading order.
    pub order: f64,
}

impl Score {
    /// Compares what came out with what was expected.
    pub fn of(got: &str, expected: &str) -> Self {
        let (got, expected) = (tokens(got), tokens(expected));
        let found = common(&got, &expected) as f64;
        let pairs = |tokens: &[String]| -> Vec<(String, String)> {
            tokens
                .windows(2)
                .map(|pair| (pair[0].clone(), pair[1].clone()))
                .collect()
        };
        let (got_pairs, expected_pairs) = (pairs(&got), pairs(&expected));
        let in_order = common(&got_pairs, &expected_pairs) as f64;
        Self {
            recall: found / expected.len().max(1) as f64,
            precision: found / got.len().max(1) as f64,
            order: if expected_pairs.is_empty() {
                1.0
            } else {
                in_order / expected_pairs.len() as f64
            },
        }
    }
}

/// How many items two lists share, each counted as often as both have it.
fn common<T: std::hash::Hash + Eq>(got: &[T], expected: &[T]) -> usize {
    let mut left: HashMap<&T, usize> = HashMap::new();
    for item in got {
        *left.entry(item).or_default() += 1;
    }
    let found = expected.iter().filter(|item| {
        left.get_mut(item).is_some_and(|n| {
            let some = *n > 0;
            *n = n.saturating_sub(1);
            some
        })
    });
    found.count()
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens = vec![String::new()];
    for c in undivided(text).nfkc().flat_map(char::to_lowercase) {
        let last = tokens.last_mut().expect("there is always one");
        if is_ideographic(c) {
            tokens.push(c.to_string());
            tokens.push(String::new());
        } else if c.is_alphanumeric() {
            last.push(c);
        } else if !last.is_empty() {
            tokens.push(String::new());
        }
    }
    tokens.retain(|token| !token.is_empty());
    tokens
}

/// `exam-`, end of line, `ple` as `example`.
fn undivided(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let line = line.trim();
        if out.ends_with(['-', '\u{ad}']) && line.starts_with(char::is_lowercase) {
            out.pop();
        } else {
            out.push('\n');
        }
        out.push_str(line);
    }
    out
}

/// Han, Hiragana and Katakana, which are written without spaces.
fn is_ideographic(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
        && c.is_alphanumeric()
}

/// The text that Markdown shows.
fn shown(markdown: &str) -> String {
    let mut out = String::new();
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS) {
        match event {
            Event::Text(text) | Event::Code(text) => out.push_str(&text),
            Event::SoftBreak | Event::HardBreak | Event::End(_) => out.push(' '),
            _ => {}
        }
    }
    out
}

/// What is expected of a document, from the file beside it; `None` where there is none.
pub fn expected(document: &Path) -> Option<String> {
    let beside = |suffix: &str| {
        let name = format!("{}.{suffix}", document.file_name()?.to_str()?);
        std::fs::read_to_string(document.with_file_name(name)).ok()
    };
    beside("expected.txt").or_else(|| beside("expected.md").map(|text| shown(&text)))
}

/// The middle of some figures; 0 of none.
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}
