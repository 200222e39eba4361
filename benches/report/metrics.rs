//! The figures of merit, as plain arithmetic over what was ranked, decided and timed. Knows no file,
//! no clock and no service, so that `tests/metrics.rs` can check each against values worked out by hand.

use std::{collections::HashSet, hash::Hash};

/// Normalised discounted cumulative gain of the first `k` places, for relevant-or-not judgements
/// (Järvelin and Kekäläinen, ACM TOIS 2002; discount `1 / log2(place + 1)`, as trec_eval's `ndcg_cut`).
/// From 0 to 1. An item that occurs twice counts at its first place only. 0 when nothing is relevant.
#[must_use]
pub fn ndcg<T: Eq + Hash>(ranked: &[T], relevant: &HashSet<T>, k: usize) -> f64 {
    let discount = |place: usize| 1.0 / (place as f64 + 2.0).log2();
    let mut seen = HashSet::new();
    let gained: f64 = ranked
        .iter()
        .filter(|item| seen.insert(*item))
        .take(k)
        .enumerate()
        .filter(|(_, item)| relevant.contains(item))
        .map(|(place, _)| discount(place))
        .sum();
    let ideal: f64 = (0..relevant.len().min(k)).map(discount).sum();
    if ideal > 0.0 { gained / ideal } else { 0.0 }
}

/// The share of the relevant items that stand in the first `k` places. 0 when nothing is relevant.
#[must_use]
pub fn recall<T: Eq + Hash>(ranked: &[T], relevant: &HashSet<T>, k: usize) -> f64 {
    let mut seen = HashSet::new();
    let found = ranked
        .iter()
        .filter(|item| seen.insert(*item))
        .take(k)
        .filter(|item| relevant.contains(item))
        .count();
    if relevant.is_empty() {
        0.0
    } else {
        found as f64 / relevant.len() as f64
    }
}

/// The arithmetic mean; `None` of nothing.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    let count = values.len();
    (count > 0).then(|| values.iter().sum::<f64>() / count as f64)
}

/// The slope of the line that fits points best (least squares); `None` where they have no extent.
#[must_use]
pub fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let count = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| {
        (x + point.0 / count, y + point.1 / count)
    });
    let (xx, xy) = points.iter().fold((0.0, 0.0), |(xx, xy), point| {
        let from = point.0 - x;
        (xx + from * from, xy + from * (point.1 - y))
    });
    (xx > 0.0).then(|| xy / xx)
}

/// The least value that at least `share` (0 to 1) of the values do not exceed: the nearest-rank
/// percentile, always one of the values. `None` of nothing.
#[must_use]
pub fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

/// The probability that a random positive scores above a random negative, ties counting half (the
/// area under the ROC curve, by the Mann-Whitney statistic). `None` when either side is empty.
#[must_use]
pub fn auc(positives: &[f64], negatives: &[f64]) -> Option<f64> {
    let won: f64 = positives
        .iter()
        .flat_map(|positive| negatives.iter().map(move |negative| (positive, negative)))
        .map(|(positive, negative)| match positive.total_cmp(negative) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        })
        .sum();
    let pairs = positives.len() * negatives.len();
    (pairs > 0).then(|| won / pairs as f64)
}

/// A decision as it turned out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// What the decision went by; answered when at least the threshold.
    pub score: f64,
    /// Whether the answer would have been right.
    pub right: bool,
}

/// One point of a risk-coverage curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Covered {
    pub threshold: f64,
    /// Share of all questions that are answered.
    pub coverage: f64,
    /// Share of the answered that are right; `None` when none is answered.
    pub precision: Option<f64>,
}

/// What answering at each of these thresholds would give (El-Yaniv and Wiener, JMLR 2010; the risk is
/// one less the precision).
#[must_use]
pub fn risk_coverage(decisions: &[Decision], thresholds: &[f64]) -> Vec<Covered> {
    thresholds
        .iter()
        .map(|&threshold| {
            let answered = decisions.iter().filter(|made| made.score >= threshold);
            let (count, right) = answered.fold((0_usize, 0_usize), |(count, right), made| {
                (count + 1, right + usize::from(made.right))
            });
            Covered {
                threshold,
                coverage: if decisions.is_empty() {
                    0.0
                } else {
                    count as f64 / decisions.len() as f64
                },
                precision: (count > 0).then(|| right as f64 / count as f64),
            }
        })
        .collect()
}

/// Half the width of the 95 % interval of a share of `count` trials (normal approximation), for saying
/// how far a small sample may be off. `None` of nothing.
#[must_use]
pub fn margin(share: f64, count: usize) -> Option<f64> {
    (count > 0).then(|| 1.96 * (share * (1.0 - share) / count as f64).sqrt())
}

/// A text brought to the form in which answers are compared, after SQuAD's own evaluation script: lower
/// case, punctuation to spaces, the articles dropped, single spaces.
#[must_use]
pub fn normalised(text: &str) -> String {
    let spaced: String = text
        .to_lowercase()
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { ' ' })
        .collect();
    let words = spaced.split_whitespace();
    let kept: Vec<&str> = words
        .filter(|word| !matches!(*word, "a" | "an" | "the"))
        .collect();
    kept.join(" ")
}

/// Whether `text` holds one of `accepted`, whole words compared in [`normalised`] form.
#[must_use]
pub fn holds_answer(text: &str, accepted: &[String]) -> bool {
    let text = format!(" {} ", normalised(text));
    accepted
        .iter()
        .map(|answer| normalised(answer))
        .any(|answer| !answer.is_empty() && text.contains(&format!(" {answer} ")))
}
