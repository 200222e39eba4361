//! What chunks promise, whatever the text.

use proptest::prelude::*;

use super::*;
use crate::{
    domain::PageState,
    ingest::extract::{Engine, ExtractedPage},
    ports::fakes::HashEmbedder,
};

/// Pages joined by a line feed; headings are lines that begin with `#`, as deep as there are of them.
fn extracted(pages: &[&str], media_type: MediaType) -> Extracted {
    let mut text = String::new();
    let mut ranges = Vec::new();
    for (page, number) in pages.iter().zip(1..) {
        let start = text.len() as u64;
        text.push_str(page);
        ranges.push(ExtractedPage {
            page: number,
            start,
            end: text.len() as u64,
            state: PageState::Text,
            chars: page.chars().count() as u64,
            engine: Engine::Text,
        });
        text.push('\n');
    }
    let mut sections: Vec<Section> = Vec::new();
    let mut path: Vec<&str> = Vec::new();
    let mut start = 0;
    for line in text.split('\n') {
        let level = line.chars().take_while(|c| *c == '#').count();
        if level > 0 && level < 7 {
            let title = line[level..].trim();
            path.truncate(level - 1);
            path.push(title);
            sections.push(Section {
                start,
                level: level as u8,
                title: title.to_owned(),
                path: path.join(" › "),
            });
        }
        start += line.len() as u64 + 1;
    }
    Extracted {
        media_type,
        title: None,
        text,
        paged: pages.len() > 1,
        pages: ranges,
        sections,
    }
}

fn cut_with(extracted: &Extracted, tokens: usize, overlap: usize) -> Vec<Chunk> {
    let mut chunker = Chunker::new(Arc::new(HashEmbedder::new()), ChunkSize { tokens, overlap });
    chunker.chunks(DocumentId::new(), 3, "n.txt", extracted)
}

fn texts(chunks: &[Chunk]) -> Vec<&str> {
    chunks.iter().map(|c| c.text.as_str()).collect()
}

/// Everything that holds for every document.
fn check(extracted: &Extracted, tokens: usize) -> Vec<Chunk> {
    let chunks = cut_with(extracted, tokens, 0);
    let embedder = HashEmbedder::new();
    let text = &extracted.text;
    let mut covered = vec![false; text.len()];
    let mut end = 0;
    for (chunk, ordinal) in chunks.iter().zip(0..) {
        let Locator {
            page,
            start,
            end: to,
            section,
        } = &chunk.locator;
        let range = *start as usize..*to as usize;
        assert_eq!((chunk.key.ordinal, chunk.key.revision), (ordinal, 3));
        assert_eq!(
            chunk.text,
            text[range.clone()],
            "the text is the stored bytes"
        );
        assert_eq!(chunk.text.trim(), chunk.text);
        assert!(chunk.text.contains(char::is_alphanumeric));
        assert!(*start >= end, "in order, without overlap");
        end = *to;
        let on = extracted
            .pages
            .iter()
            .find(|p| p.start <= *start && *to <= p.end);
        let on = on.expect("it lies within one page");
        assert_eq!(*page, extracted.paged.then_some(on.page));
        if let Some(path) = section {
            let heads = extracted.sections.iter();
            let ends = heads.clone().skip(1).map(|s| s.start).chain([u64::MAX]);
            let mut touched = heads
                .zip(ends)
                .filter(|(s, end)| s.start < *to && end > start);
            assert!(
                touched.any(|(s, _)| s.path == *path),
                "it touches its section"
            );
        }
        // Long headings may take half of a chunk's tokens, not more.
        let limit = tokens.max(LEAST_TOKENS);
        let limit = if section.is_none() {
            limit
        } else {
            limit * 3 / 2
        };
        let count = embedder.count_tokens(&chunk.in_context("n.txt"));
        assert!(count <= limit, "{count} tokens");
        covered[range].fill(true);
    }
    for (at, c) in text.char_indices() {
        assert!(
            covered[at] || !c.is_alphanumeric(),
            "{c:?} at {at} is in no chunk"
        );
    }
    chunks
}

fn arbitrary_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-zA-Zäöü]{1,12}",
        2 => Just(" ".to_owned()),
        1 => Just("\n".to_owned()),
        1 => Just("\n\n".to_owned()),
        1 => "[.,;:!?()\\-|`*_>]{1,3}",
        1 => "\n#{1,4} [a-z ]{0,9}\n",
        1 => "[一-龥]{1,20}",
        1 => "\\PC{0,12}",
        1 => "[0-9a-f]{60,300}",
        1 => Just("e\u{301}👩‍👩‍👧\u{200b}\u{a0}กำ".to_owned()),
    ];
    proptest::collection::vec(piece, 0..120).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn chunks_of_any_text(
        pages in proptest::collection::vec(arbitrary_text(), 1..4),
        markdown: bool,
        tokens in 10_usize..80,
    ) {
        let kind = if markdown { MediaType::Markdown } else { MediaType::Text };
        let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
        check(&extracted(&pages, kind), tokens);
    }

    #[test]
    fn a_ruler_measures_every_range_alike(text in arbitrary_text(), cuts: (prop::sample::Index, prop::sample::Index)) {
        let boundaries: Vec<usize> =
            text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let (a, b) = (boundaries[cuts.0.index(boundaries.len())], boundaries[cuts.1.index(boundaries.len())]);
        let range = a.min(b)..a.max(b);
        let mut counts = TokenCounts::new(Arc::new(HashEmbedder::new()));
        let ruler = Ruler::new(&text, &mut counts);
        // A word that is cut in two counts for each part.
        let apart = ruler.measure(&text[..range.start]) + ruler.measure(&text[range.clone()]) + ruler.measure(&text[range.end..]);
        let whole = ruler.range(0..text.len());
        prop_assert_eq!(whole, ruler.measure(&text));
        let measured = ruler.range(range.clone());
        let alone = ruler.measure(&text[range]);
        prop_assert!(measured >= alone.saturating_sub(0) && measured <= apart, "{} {} {}", measured, alone, apart);
    }
}

#[test]
fn nothing_to_cut() {
    for text in ["", " \n\t ", "--- … ---", "\u{200b}"] {
        assert_eq!(check(&extracted(&[text], MediaType::Text), 64), []);
    }
}

#[test]
fn a_small_document_is_one_chunk() {
    let chunks = check(
        &extracted(&["  Rent is due.\n\nOn the first.\n"], MediaType::Text),
        64,
    );
    assert_eq!(texts(&chunks), ["Rent is due.\n\nOn the first."]);
    assert_eq!(
        chunks[0].locator,
        Locator {
            page: None,
            section: None,
            start: 2,
            end: 29
        }
    );
}

#[test]
fn pages_are_never_joined() {
    let chunks = check(&extracted(&["one", "two", "", "four"], MediaType::Pdf), 64);
    assert_eq!(texts(&chunks), ["one", "two", "four"]);
    let pages: Vec<_> = chunks.iter().map(|c| c.locator.page).collect();
    assert_eq!(pages, [Some(1), Some(2), Some(4)]);
}

#[test]
fn sections_begin_chunks_and_small_ones_are_joined() {
    let words = |n| "word ".repeat(n).trim().to_owned();
    let text = format!(
        "# Lease\n\n## Rent\n\n{}\n\n## Deposit\n\nNone.\n\n## Pets\n\n{}\n\n# End\n\nYes.",
        words(30),
        words(30)
    );
    let chunks = check(&extracted(&[&text], MediaType::Markdown), 64);
    let sections: Vec<_> = chunks
        .iter()
        .map(|c| c.locator.section.as_deref().unwrap())
        .collect();
    // The bare title goes with what follows, the small section with what comes before. `End` is small
    // too, but begins something of a higher rank.
    assert_eq!(sections, ["Lease › Rent", "Lease › Pets", "End"]);
    assert!(chunks[0].text.starts_with("# Lease\n\n## Rent") && chunks[0].text.ends_with("None."));
}

#[test]
fn long_sections_become_pieces_of_about_equal_size() {
    let sentences: String = (0..40)
        .map(|i| format!("Sentence number {i} says little. "))
        .collect();
    let chunks = check(&extracted(&[&sentences], MediaType::Text), 100);
    let embedder = HashEmbedder::new();
    let sizes: Vec<_> = chunks
        .iter()
        .map(|c| embedder.count_tokens(&c.text))
        .collect();
    assert_eq!(sizes.iter().sum::<usize>(), 240);
    assert!(sizes.iter().all(|s| (60..=100).contains(s)), "{sizes:?}");
    assert!(
        chunks.iter().all(|c| c.text.ends_with('.')),
        "at the ends of sentences"
    );
}

#[test]
fn text_without_spaces_is_cut_too() {
    let chinese = "租金应在每月第一天支付。".repeat(50);
    assert!(check(&extracted(&[&chinese], MediaType::Text), 64).len() > 8);
    let encoded = "QUJD".repeat(5000);
    assert!(check(&extracted(&[&encoded], MediaType::Text), 64).len() > 4);
}

#[test]
fn pieces_share_tokens_when_asked_to() {
    let sentences: String = (0..40)
        .map(|i| format!("Sentence number {i} says little. "))
        .collect();
    let document = extracted(&[&sentences], MediaType::Text);
    let chunks = cut_with(&document, 64, 16);
    assert!(
        chunks
            .windows(2)
            .all(|two| two[1].locator.start < two[0].locator.end)
    );
    for chunk in &chunks {
        assert_eq!(
            chunk.text,
            document.text[chunk.locator.start as usize..chunk.locator.end as usize]
        );
    }
}

#[test]
fn the_embedder_reads_what_is_embedded_whole() {
    let words = "many words in a row ".repeat(400);
    let chunks = cut_with(&extracted(&[&words], MediaType::Text), 10_000, 0);
    let embedder = HashEmbedder::new();
    let read = embedder.identity().max_tokens - SPECIAL_TOKENS;
    assert!(
        chunks
            .iter()
            .all(|c| embedder.count_tokens(&c.in_context("n.txt")) <= read)
    );
    assert!(chunks.len() > 6);
}
