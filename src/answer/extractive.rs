//! An answer without a language model: the sentences of the evidence that share most with the
//! question, quoted and cited.

use std::collections::{HashMap, HashSet};

use super::{sentence::sentences, words::content_words};
use crate::domain::{Citation, Evidence};

/// Sentences quoted at most.
const QUOTES: usize = 2;
/// Of the question's content words, at least this share (by weight) must stand in a sentence.
const MIN_COVERAGE: f32 = 0.5;

/// Sentences that answer, best first, as citations numbered as their evidence is. Empty when none
/// shares enough with the question.
///
/// A sentence's worth is the share of the question's content words in it, each weighted by how few
/// of the evidence's sentences have it (as in BM25's inverse document frequency), times a little for
/// the rank of its passage.
#[must_use]
pub fn best_sentences(question: &str, evidence: &[Evidence]) -> Vec<Citation> {
    let wanted: HashSet<String> = content_words(question).into_iter().collect();
    let pool: Vec<(&Evidence, std::ops::Range<usize>, HashSet<String>)> = evidence
        .iter()
        .flat_map(|item| {
            sentences(&item.text).into_iter().map(move |range| {
                let words = content_words(&item.text[range.clone()])
                    .into_iter()
                    .collect();
                (item, range, words)
            })
        })
        .collect();
    let weights = weights(&wanted, pool.iter().map(|(_, _, words)| words));
    let total: f32 = weights.values().sum();
    if total <= 0.0 {
        return Vec::new();
    }
    let mut scored: Vec<(f32, usize)> = pool
        .iter()
        .enumerate()
        .map(|(at, (item, _, words))| {
            let shared: f32 = weights
                .iter()
                .filter(|(word, _)| words.contains(**word))
                .map(|(_, w)| w)
                .sum();
            (shared / total * (0.8 + 0.2 * item.score), at)
        })
        .filter(|(score, _)| *score >= MIN_COVERAGE * 0.8)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    scored.truncate(QUOTES);
    scored
        .into_iter()
        .map(|(score, at)| cite(pool[at].0, pool[at].1.clone(), score))
        .collect()
}

/// A citation of `range` (bytes of the evidence's own text).
pub(super) fn cite(evidence: &Evidence, range: std::ops::Range<usize>, score: f32) -> Citation {
    Citation {
        n: evidence.n,
        document_id: evidence.document_id,
        document: evidence.document.clone(),
        page: evidence.page,
        section: evidence.section.clone(),
        start: evidence.start + range.start as u64,
        end: evidence.start + range.end as u64,
        quote: evidence.text[range].to_owned(),
        score,
    }
}

fn weights<'w>(
    wanted: &'w HashSet<String>,
    sentences: impl Iterator<Item = &'w HashSet<String>>,
) -> HashMap<&'w str, f32> {
    let mut holding: HashMap<&str, usize> = wanted.iter().map(|word| (word.as_str(), 0)).collect();
    let mut count = 0_usize;
    for words in sentences {
        count += 1;
        for (word, n) in &mut holding {
            *n += usize::from(words.contains(*word));
        }
    }
    holding
        .into_iter()
        .map(|(word, n)| {
            (
                word,
                (1.0 + (count as f32 - n as f32 + 0.5) / (n as f32 + 0.5)).ln(),
            )
        })
        .collect()
}

/// The answer's text out of its quotations: `“…” [1]`, a line each.
#[must_use]
pub fn text(citations: &[Citation]) -> String {
    let lines: Vec<String> = citations
        .iter()
        .map(|c| format!("“{}” [{}]", c.quote, c.n))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DocumentId, Scores};

    fn evidence(texts: &[&str]) -> Vec<Evidence> {
        texts
            .iter()
            .enumerate()
            .map(|(at, text)| Evidence {
                n: at as u32 + 1,
                document_id: DocumentId::new(),
                document: format!("{at}.txt"),
                page: None,
                section: None,
                start: 100,
                end: 100 + text.len() as u64,
                text: (*text).to_owned(),
                score: 1.0,
                scores: Scores::default(),
            })
            .collect()
    }

    fn check(question: &str, texts: &[&str], expected: &[&str]) {
        let evidence = evidence(texts);
        let found = best_sentences(question, &evidence);
        let quotes: Vec<&str> = found.iter().map(|c| c.quote.as_str()).collect();
        assert_eq!(quotes, expected, "{question}");
        for citation in &found {
            let item = evidence.iter().find(|item| item.n == citation.n).unwrap();
            let range =
                (citation.start - item.start) as usize..(citation.end - item.start) as usize;
            assert_eq!(item.text[range], citation.quote);
        }
    }

    #[test]
    fn quotes_the_sentence_that_shares_most() {
        let texts = [
            "The flat has two rooms. Rent is payable on the first day of each month. Dogs are allowed.",
            "The boiler is serviced each autumn.",
        ];
        check(
            "When is the rent payable?",
            &texts,
            &["Rent is payable on the first day of each month."],
        );
        check("Are dogs allowed?", &texts, &["Dogs are allowed."]);
        check("Who was the first president of Bolivia?", &texts, &[]);
        check("?!", &texts, &[]);
        check("rent", &[], &[]);
    }

    #[test]
    fn words_it_out() {
        let found = best_sentences("Are dogs allowed?", &evidence(&["Dogs are allowed."]));
        assert_eq!(text(&found), "“Dogs are allowed.” [1]");
    }
}
