//! Where sentences begin and end in a text.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// Words before a full stop that do not end a sentence. English, German, French and Latin usage.
const ABBREVIATIONS: &[&str] = &[
    "mr", "mrs", "ms", "dr", "prof", "st", "vs", "etc", "e.g", "i.e", "cf", "al", "fig", "no",
    "nos", "vol", "pp", "p", "ca", "approx", "inc", "ltd", "co", "jr", "sr", "bzw", "z.b", "nr",
    "art", "sec",
];

/// The byte ranges of a text's sentences, trimmed, in order; a line break ends one too.
///
/// Boundaries are those of Unicode Standard Annex 29, joined again after an abbreviation or a
/// single initial ("J. Smith").
///
/// ```
/// # use griot::answer::sentence::sentences;
/// let text = "Dr. Ada wrote it. It ran!\n\nThen?";
/// let parts: Vec<_> = sentences(text).into_iter().map(|range| &text[range]).collect();
/// assert_eq!(parts, ["Dr. Ada wrote it.", "It ran!", "Then?"]);
/// ```
#[must_use]
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (line_at, line) in lines(text) {
        let mut start: Option<usize> = None;
        for (at, part) in line.split_sentence_bound_indices() {
            let from = *start.get_or_insert(line_at + at);
            let end = line_at + at + part.len();
            if !ends_in_abbreviation(part) {
                push_trimmed(text, from..end, &mut found);
                start = None;
            }
        }
        if let Some(from) = start {
            push_trimmed(text, from..line_at + line.len(), &mut found);
        }
    }
    found
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        let here = at;
        at += line.len();
        (here, line)
    })
}

fn ends_in_abbreviation(part: &str) -> bool {
    let Some(before) = part.trim_end().strip_suffix('.') else {
        return false;
    };
    let word = before.rsplit([' ', '(', '\u{a0}']).next().unwrap_or(before);
    let initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase);
    initial || ABBREVIATIONS.contains(&word.to_lowercase().as_str())
}

fn push_trimmed(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    let end = start + part.trim().len();
    if end > start {
        found.push(start..end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let parts: Vec<_> = sentences(text)
            .into_iter()
            .map(|range| &text[range])
            .collect();
        assert_eq!(parts, expected, "{text:?}");
    }

    #[test]
    fn splits() {
        check("", &[]);
        check(" \n ", &[]);
        check("One. Two? Three", &["One.", "Two?", "Three"]);
        check(
            "It costs 3.50 euros. Pay.",
            &["It costs 3.50 euros.", "Pay."],
        );
        check(
            "By J. Smith et al. in vol. 3. End.",
            &["By J. Smith et al. in vol. 3.", "End."],
        );
        check("北京是首都。上海不是。", &["北京是首都。", "上海不是。"]);
        check("Title\nBody text.", &["Title", "Body text."]);
    }

    proptest::proptest! {
        #[test]
        fn sentences_are_ordered_and_lose_only_white_space(text in "[a-zA-Z .!?\n。é]{0,80}") {
            let parts = sentences(&text);
            let kept: String = parts.iter().map(|range| &text[range.clone()]).collect();
            let strip = |s: &str| s.split_whitespace().collect::<String>();
            proptest::prop_assert_eq!(strip(&kept), strip(&text));
            proptest::prop_assert!(parts.windows(2).all(|pair| pair[0].end <= pair[1].start));
        }
    }
}
