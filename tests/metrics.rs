//! The benchmark's arithmetic, against values worked out by hand.

#[path = "../benches/report/metrics.rs"]
mod metrics;

use std::collections::HashSet;

use metrics::{
    Covered, Decision, auc, holds_answer, margin, mean, ndcg, normalised, percentile, recall,
    risk_coverage, slope,
};

fn near(got: f64, expected: f64) {
    assert!((got - expected).abs() < 5e-5, "{got} is not {expected}");
}

#[test]
fn ranks() {
    // Columns: ranking, relevant, nDCG@10, recall@10. With L = log2: 1/L(2) = 1, 1/L(3) = 0.63093,
    // 1/L(4) = 0.5, 1/L(5) = 0.43068.
    let check = |ranked: &str, relevant: &str, expected: (f64, f64)| {
        let ranked: Vec<char> = ranked.chars().collect();
        let relevant: HashSet<char> = relevant.chars().collect();
        near(ndcg(&ranked, &relevant, 10), expected.0);
        near(recall(&ranked, &relevant, 10), expected.1);
    };
    check("abc", "a", (1.0, 1.0));
    check("abc", "b", (0.63093, 1.0));
    check("abc", "c", (0.5, 1.0));
    check("abc", "x", (0.0, 0.0));
    // (1 + 0.5) / (1 + 0.63093)
    check("axb", "ab", (0.91972, 1.0));
    // 0.63093 / (1 + 0.63093 + 0.5)
    check("xay", "abc", (0.29608, 1.0 / 3.0));
    // The second `a` is not a second find, nor does it take a place: b stands second.
    check("aab", "ab", (1.0, 1.0));
    // The eleventh place is not looked at.
    check("0123456789a", "a", (0.0, 0.0));
    // Twelve relevant, ten places, all right: as good as it can be, and ten of twelve found.
    check("abcdefghijkl", "abcdefghijkl", (1.0, 10.0 / 12.0));
    check("", "a", (0.0, 0.0));
    check("a", "", (0.0, 0.0));
}

#[test]
fn averages() {
    assert_eq!(mean(&[]), None);
    near(mean(&[1.0, 2.0, 6.0]).unwrap(), 3.0);
    let ten: Vec<f64> = (1..=10).rev().map(f64::from).collect();
    near(percentile(&ten, 0.5).unwrap(), 5.0);
    near(percentile(&ten, 0.99).unwrap(), 10.0);
    near(percentile(&ten, 0.0).unwrap(), 1.0);
    near(percentile(&[7.0], 0.5).unwrap(), 7.0);
    assert_eq!(percentile(&[], 0.5), None);
    // 1.96 · √(0.5 · 0.5 / 100)
    near(margin(0.5, 100).unwrap(), 0.098);
    assert_eq!(margin(0.5, 0), None);
}

#[test]
fn area_under_the_curve() {
    let check = |positives: &[f64], negatives: &[f64], expected: f64| {
        near(auc(positives, negatives).unwrap(), expected);
    };
    check(&[0.9, 0.8], &[0.1, 0.2], 1.0);
    check(&[0.1], &[0.9], 0.0);
    check(&[0.5], &[0.5], 0.5);
    // Of 6 pairs: 0.9 beats three, 0.4 beats one and ties one.
    check(&[0.9, 0.4], &[0.5, 0.4, 0.1], 4.5 / 6.0);
    assert_eq!(auc(&[], &[0.1]), None);
    assert_eq!(auc(&[0.1], &[]), None);
}

#[test]
fn risk_and_coverage() {
    let made = |score, right| Decision { score, right };
    let decisions = [
        made(0.9, true),
        made(0.7, true),
        made(0.5, false),
        made(0.0, false),
    ];
    let curve = risk_coverage(&decisions, &[0.0, 0.5, 0.6, 0.95]);
    let point = |threshold, coverage, precision| Covered {
        threshold,
        coverage,
        precision,
    };
    assert_eq!(
        curve,
        [
            point(0.0, 1.0, Some(0.5)),
            point(0.5, 0.75, Some(2.0 / 3.0)),
            point(0.6, 0.5, Some(1.0)),
            point(0.95, 0.0, None),
        ]
    );
    assert_eq!(risk_coverage(&[], &[0.5]), [point(0.5, 0.0, None)]);
}

#[test]
fn answers_are_compared_as_squad_does() {
    assert_eq!(
        normalised("The  10th, and a 11th—centuries!"),
        "10th and 11th centuries"
    );
    let check = |text: &str, accepted: &[&str], expected: bool| {
        let accepted: Vec<String> = accepted.iter().map(|&answer| answer.to_owned()).collect();
        assert_eq!(
            holds_answer(text, &accepted),
            expected,
            "{text} {accepted:?}"
        );
    };
    check("Normandy is in France. [1]", &["france"], true);
    check("It was (the) Rollo", &["Rollo", "Rolf"], true);
    check("In 1066, William won.", &["1066"], true);
    check("In 10667, William won.", &["1066"], false);
    check("partly", &["art"], false);
    check("U.S. forces", &["the U.S."], true);
    check("anything", &["the"], false);
    check("anything", &[], false);
}

#[test]
fn lines() {
    assert_eq!(slope(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]), Some(2.0));
    assert_eq!(slope(&[(0.0, 0.0), (1.0, 1.0), (2.0, 0.0)]), Some(0.0));
    assert_eq!(slope(&[(1.0, 1.0), (1.0, 2.0)]), None);
    assert_eq!(slope(&[]), None);
}
