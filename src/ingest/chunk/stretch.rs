//! Where a long text is cut before it is split into chunks: at paragraphs that their own words choose.
//!
//! A splitter fills one chunk after the other, so a paragraph that is taken out moves every boundary
//! behind it. Cut first at places that depend only on what stands around them, and an edit moves the
//! boundaries up to the next such place: the chunks behind it are the texts that they were, and their
//! vectors are used again. (Bjørner, Blass and Gurevich, "Content-dependent chunking for differential
//! compression, the local maximum approach", Journal of Computer and System Sciences 76, 2010.)

use crate::domain::Fingerprint;

/// Byte offsets at which `text` is cut, each the beginning of a paragraph, or of a line in a text without
/// blank lines. Between two of them, and to both ends, are at least `apart` tokens; `tokens_before` tells
/// how many stand before an offset. `fences`: blank lines within Markdown's code do not count.
pub(super) fn cuts(
    text: &str,
    fences: bool,
    apart: usize,
    tokens_before: impl Fn(usize) -> usize,
) -> Vec<usize> {
    let places = beginnings(text, fences);
    let ends = places.iter().skip(1).copied().chain([text.len()]);
    let weights: Vec<u64> = places
        .iter()
        .zip(ends)
        .map(|(&start, end)| weight(&text[start..end]))
        .collect();
    let tokens: Vec<usize> = places.iter().map(|&place| tokens_before(place)).collect();
    let all = tokens_before(text.len());
    let close = |a: usize, b: usize| tokens[a].abs_diff(tokens[b]) < apart;

    let mut chosen: Vec<bool> = tokens
        .iter()
        .map(|&before| before >= apart && all - before >= apart)
        .collect();
    let mut rule_out = |order: &mut dyn Iterator<Item = usize>| {
        // Of the places passed, those that no later one outweighs, the heaviest first.
        let mut heavier: Vec<usize> = Vec::new();
        for place in order {
            while heavier
                .last()
                .is_some_and(|&last| weights[last] < weights[place])
            {
                heavier.pop();
            }
            if heavier.last().is_some_and(|&last| close(last, place)) {
                chosen[place] = false;
            }
            heavier.push(place);
        }
    };
    rule_out(&mut (0..places.len()));
    rule_out(&mut (0..places.len()).rev());
    let chosen = places.into_iter().zip(chosen);
    chosen
        .filter_map(|(place, is)| is.then_some(place))
        .collect()
}

/// Where paragraphs begin, or lines when there is only one paragraph.
fn beginnings(text: &str, fences: bool) -> Vec<usize> {
    let (mut paragraphs, mut lines) = (Vec::new(), Vec::new());
    let (mut at, mut blank, mut fenced) = (0, true, false);
    for line in text.split_inclusive('\n') {
        let bare = line.trim();
        if !fenced && !bare.is_empty() {
            lines.push(at);
            if blank {
                paragraphs.push(at);
            }
        }
        blank = bare.is_empty();
        fenced ^= fences && (bare.starts_with("```") || bare.starts_with("~~~"));
        at += line.len();
    }
    if paragraphs.len() > 1 {
        paragraphs
    } else {
        lines
    }
}

/// A number that looks like chance and is always the same for the same words.
fn weight(paragraph: &str) -> u64 {
    let Fingerprint(bytes) = Fingerprint::of(paragraph.trim());
    let (half, _) = bytes.split_at(8);
    u64::from_be_bytes(half.try_into().expect("it was cut at 8"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn words_before(text: &str) -> impl Fn(usize) -> usize {
        move |at| text[..at].split_whitespace().count()
    }

    fn cut(text: &str) -> Vec<usize> {
        cuts(text, false, 100, words_before(text))
    }

    fn paragraphs(count: usize) -> Vec<String> {
        (0..count)
            .map(|n| {
                format!(
                    "Paragraph {n} says something {}",
                    "and more ".repeat(n * 7 % 11)
                )
            })
            .collect()
    }

    #[test]
    fn cuts_are_apart_and_at_paragraphs() {
        let text = paragraphs(500).join("\n\n");
        let cuts = cut(&text);
        assert!(cuts.len() > 10, "{cuts:?}");
        let all: Vec<usize> = [0].into_iter().chain(cuts).chain([text.len()]).collect();
        for pair in all.windows(2) {
            let words = text[pair[0]..pair[1]].split_whitespace().count();
            assert!(words >= 100, "{words}");
            assert!(text[pair[0]..].starts_with("Paragraph"));
        }
    }

    #[test]
    fn an_edit_moves_only_the_cuts_around_it() {
        let before = paragraphs(500);
        let pieces = |paragraphs: &[String]| -> BTreeSet<String> {
            let text = paragraphs.join("\n\n");
            let cuts = cut(&text);
            let starts = [0].into_iter().chain(cuts.clone());
            let ends = cuts.into_iter().chain([text.len()]);
            starts
                .zip(ends)
                .map(|(a, b)| text[a..b].trim().to_owned())
                .collect()
        };
        let old = pieces(&before);
        for place in (0..500).step_by(23) {
            let mut after = before.clone();
            after.remove(place);
            let new = pieces(&after);
            let fresh = new.difference(&old).count();
            assert!(fresh <= 3, "{fresh} new pieces without paragraph {place}");
        }
    }

    #[test]
    fn texts_without_a_place_stay_whole() {
        assert_eq!(cut(""), [0; 0]);
        assert_eq!(cut("short"), [0; 0]);
        assert_eq!(cut(&"word ".repeat(1000)), [0; 0]);
        // All alike: none outweighs its neighbours.
        assert_eq!(cut(&"the same\n\n".repeat(1000)), [0; 0]);
        // Lines count where there are no paragraphs.
        let rows: String = (0..1000).map(|n| format!("{n};a;b;c\n")).collect();
        let cuts = cut(&rows);
        assert!(cuts.len() > 3 && cuts.iter().all(|&at| rows[..at].ends_with('\n')));
        let code = format!("```\n{}\n```\n", paragraphs(500).join("\n\n"));
        assert_eq!(cuts_of_markdown(&code), [0; 0]);
    }

    fn cuts_of_markdown(text: &str) -> Vec<usize> {
        cuts(text, true, 100, words_before(text))
    }
}
