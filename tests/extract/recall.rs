//! How much of the expected text comes out, for each sample document that has one. The table:
//! `cargo test --release --test extract recall -- --nocapture`; the report with each reader alone:
//! `make bench BENCH="--only text"`.

use griot::ingest::{extract::Limits, jail::Confinement};

use crate::{
    extractor, files_below, samples,
    score::{Score, expected, median},
};

/// What was promised: the middle of all documents with text, and each of them.
const MEDIAN: f64 = 0.98;
const LOWEST: f64 = 0.90;

/// Documents whose two columns must be read one after the other, and what was measured here.
const ORDER: [(&str, f64); 2] = [
    ("sample-files--multicolumn.pdf", 0.90),
    ("docling--2305.03393v1-pg9.pdf", 0.85),
];

/// Documents whose expected text is all of it: nothing comes out twice, and nothing that is not there.
const PRECISE: [&str; 8] = [
    "pypdf--crazyones.pdf",
    "pdfbox--PDFBOX-3044-010197-p5-ligatures.pdf",
    "pdfbox--PDFBOX-3110-poems-beads.pdf",
    "pdfbox--rotation.pdf",
    "pdfbox--sample_fonts_solidconvertor.pdf",
    "sample-files--pdflatex-forms.pdf",
    "markitdown--movie-theater-booking-2024.pdf",
    "docling--multi_page.pdf",
];

#[tokio::test]
async fn recall_on_the_samples() {
    let Some(root) = samples("docs-good") else {
        return;
    };
    let reader = extractor(Limits::default(), Confinement::default());
    let mut reached = Vec::new();
    println!(
        "| document | engine | recall | precision | order | bytes |\n|---|---|---|---|---|---|"
    );
    for path in files_below(&root) {
        let Some(expected) = expected(&path).filter(|text| !text.trim().is_empty()) else {
            continue;
        };
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let file = std::fs::File::open(&path).unwrap();
        let folder = path.parent().unwrap().file_name().unwrap();
        let shown = format!("{}/{name}", folder.display());
        let extracted = match reader.extract(file, &name, |_| {}).await {
            Ok(extracted) => extracted,
            Err(error) => {
                println!("| {shown} | {} | | | | |", error.code);
                // A format that is not read yet says so; one that is read has no sample that fails.
                assert_eq!(
                    error.code,
                    griot::domain::FailureCode::UnsupportedType,
                    "{shown}: {error}"
                );
                continue;
            }
        };
        let mut engines: Vec<&str> = extracted.pages.iter().map(|p| p.engine.as_str()).collect();
        engines.sort_unstable();
        engines.dedup();
        let score = Score::of(&extracted.text, &expected);
        println!(
            "| {shown} | {} | {:.3} | {:.3} | {:.3} | {} |",
            engines.join(" "),
            score.recall,
            score.precision,
            score.order,
            extracted.text.len()
        );
        // Scans have an expected text that only OCR can reach.
        if extracted.without_text().is_none() {
            reached.push((name, score));
        }
    }
    let middle = median(reached.iter().map(|(_, score)| score.recall));
    println!("\n{} documents, median recall {middle:.3}", reached.len());
    assert!(reached.len() >= 35, "some documents were not read");
    assert!(middle >= MEDIAN, "the median fell to {middle:.3}");
    for (name, score) in reached {
        assert!(score.recall >= LOWEST, "{name} fell to {:.3}", score.recall);
        if let Some((_, least)) = ORDER.iter().find(|(known, _)| *known == name) {
            assert!(score.order >= *least, "{name}: order {:.3}", score.order);
        }
        if PRECISE.contains(&name.as_str()) {
            assert!(
                score.precision >= 0.95,
                "{name}: precision {:.3}",
                score.precision
            );
        }
    }
}

#[track_caller]
fn check(got: &str, expected: &str, [recall, precision, order]: [f64; 3]) {
    let score = Score::of(got, expected);
    let wanted = Score {
        recall,
        precision,
        order,
    };
    assert_eq!(score, wanted, "{got:?} for {expected:?}");
}

#[test]
fn tokens_count_as_often_as_they_occur() {
    check("a b b", "A b, b b!", [0.75, 1.0, 2.0 / 3.0]);
    check("", "", [0.0, 0.0, 1.0]);
    check("a b c d", "a b", [1.0, 0.5, 1.0]);
    check("eﬃcient", "efficient", [1.0, 1.0, 1.0]);
    check("c d a b", "a b c d", [1.0, 1.0, 2.0 / 3.0]);
    check("漢字 です", "漢字です", [1.0, 1.0, 1.0]);
    check("an example", "an exam-\nple", [1.0, 1.0, 1.0]);
}

#[test]
fn markdown_counts_by_what_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("x.docx");
    let beside = folder.path().join("x.docx.expected.md");
    std::fs::write(beside, "# A [b](http://c)\n\n- [x] d | `e`\n").unwrap();
    check("a b d e", &expected(&document).unwrap(), [1.0, 1.0, 1.0]);
}

#[test]
fn the_middle_of_an_even_number_is_between() {
    assert_eq!(median([3.0, 1.0]), 2.0);
    assert_eq!(median([3.0, 1.0, 9.0]), 3.0);
    assert_eq!(median([]), 0.0);
}
