use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn check(text: &str, expected: &[&str]) {
    assert_eq!(
        terms(text, Language::English, Side::Query),
        expected,
        "{text:?}"
    );
}

#[test]
fn english() {
    check("The rent is due on the first.", &["rent", "due", "first"]);
    check("connection connected connecting", &["connect"; 3]);
    check("Tenant’s and tenants'", &["tenant", "tenant"]);
    check("they don't", &[]);
    check("naïve Café", &["naiv", "cafe"]);
    check("e\u{301}tat ﬁles", &["etat", "file"]);
    check("", &[]);
    check("— … !", &[]);
}

#[test]
fn names_and_numbers() {
    check("1,000.50 and 3.14", &["1000.50", "3.14"]);
    check("U.S. law", &["us", "law"]);
    check(
        "snake_case example.com",
        &["snake", "case", "exampl", "com"],
    );
    check(
        "state-of-the-art IPv6 v1.2.3",
        &["state", "art", "ipv6", "v1.2.3"],
    );
    check("ab:cd 10:30", &["ab", "cd", "10", "30"]);
    check(&"x".repeat(100), &[&"x".repeat(64)]);
}

#[test]
fn scripts_without_spaces() {
    check("東京都へ行く", &["東京", "京都", "都へ", "へ行", "行く"]);
    check("猫", &["猫"]);
    check("Rust言語 2024", &["rust", "言語", "2024"]);
    check("ｶﾀｶﾅ", &["カタ", "タカ", "カナ"]);
    check("집을 사다", &["집을", "사다"]);
    assert_eq!(
        terms("東京都", Language::Neutral, Side::Passage),
        ["東", "東京", "京", "京都", "都"]
    );
}

#[test]
fn neutral_keeps_every_word() {
    assert_eq!(
        terms("The Häuser are", Language::Neutral, Side::Query),
        ["the", "hauser", "are"]
    );
}

/// Published values of MurmurHash3 x86_32 with seed 0 (SMHasher and its ports).
#[test]
fn term_ids_are_murmur3() {
    for (term, id) in [
        ("", 0),
        ("a", 0x3c25_69b2),
        ("abc", 0xb3dd_93fa),
        ("test", 0xba6b_d213),
        ("Hello, world!", 0xc036_3e43),
        ("The quick brown fox jumps over the lazy dog", 0x2e4f_f723),
    ] {
        assert_eq!(term_id(term), id, "{term}");
    }
}

/// BM25 as the textbook has it, over strings, with the corpus's own statistics.
fn reference(corpus: &[Vec<String>], query: &[String], document: usize) -> f64 {
    let (k1, b) = (1.2, 0.75);
    let n = corpus.len() as f64;
    let average = corpus.iter().map(Vec::len).sum::<usize>() as f64 / n;
    let length = corpus[document].len() as f64;
    let mut seen = Vec::new();
    let mut score = 0.0;
    for term in query {
        if seen.contains(term) {
            continue;
        }
        seen.push(term.clone());
        let holding = corpus.iter().filter(|doc| doc.contains(term)).count() as f64;
        let idf = ((n - holding + 0.5) / (holding + 0.5) + 1.0).ln();
        let tf = corpus[document].iter().filter(|t| *t == term).count() as f64;
        score += idf * tf * (k1 + 1.0) / (tf + k1 * (1.0 - b + b * length / average));
    }
    score
}

fn dot(query: &SparseVector, passage: &SparseVector, idf: impl Fn(u32) -> f32) -> f32 {
    let weights: HashMap<_, _> = passage.indices.iter().zip(&passage.values).collect();
    query
        .indices
        .iter()
        .zip(&query.values)
        .filter_map(|(term, weight)| Some(weight * *weights.get(term)? * idf(*term)))
        .sum()
}

const WORDS: [&str; 12] = [
    "rent", "lease", "tenant", "deposit", "garden", "heating", "water", "window", "notice",
    "month", "landlord", "key",
];

proptest! {
    #[test]
    fn the_dot_product_is_bm25(
        corpus in prop::collection::vec(prop::collection::vec(0..WORDS.len(), 1..30), 1..12),
        query in prop::collection::vec(0..WORDS.len(), 1..6),
    ) {
        let text = |words: &[usize]| words.iter().map(|&w| WORDS[w]).collect::<Vec<_>>().join(" ");
        let as_terms = |words: &[usize]| terms(&text(words), Language::English, Side::Query);
        let documents: Vec<Vec<String>> = corpus.iter().map(|d| as_terms(d)).collect();
        let bm25 = Bm25 {
            average_terms: corpus.iter().map(Vec::len).sum::<usize>() as f32 / corpus.len() as f32,
            ..Bm25::default()
        };
        let passages: Vec<_> = corpus.iter().map(|d| bm25.passage(&text(d))).collect();
        let with = bm25.query(&text(&query));
        let holding = |term| passages.iter().filter(|p| p.indices.contains(&term)).count() as u64;
        for (n, passage) in passages.iter().enumerate() {
            let ours = dot(&with, passage, |term| idf(passages.len() as u64, holding(term)));
            let exact = reference(&documents, &as_terms(&query), n) as f32;
            prop_assert!((ours - exact).abs() <= 1e-4 * exact.max(1.0), "{ours} {exact}");
        }
    }

    #[test]
    fn any_text_gives_a_sound_vector(text in "\\PC{0,200}") {
        for vector in [Bm25::default().passage(&text), Bm25::default().query(&text)] {
            prop_assert_eq!(vector.indices.len(), vector.values.len());
            prop_assert!(vector.indices.is_sorted_by(|a, b| a < b));
            prop_assert!(vector.values.iter().all(|v| v.is_finite() && *v > 0.0));
        }
    }

    #[test]
    fn a_passage_is_found_by_its_own_text(text in "\\PC{0,100}") {
        let bm25 = Bm25::default();
        let passage = bm25.passage(&text);
        for term in bm25.query(&text).indices {
            prop_assert!(passage.indices.contains(&term));
        }
    }

    #[test]
    fn more_occurrences_weigh_more_but_never_above_the_limit(times in 1..200_usize) {
        // Length does not matter at b 0; k1 + 1 is then the limit.
        let bm25 = Bm25 { b: 0.0, ..Bm25::default() };
        let weight = |n| bm25.passage(&"rent ".repeat(n)).values[0];
        prop_assert!(weight(times) < weight(times + 1));
        prop_assert!(weight(times) < 2.2);
    }
}
