//! Every sample document, good and bad, through the child: none hangs, none takes this process along,
//! and each ends with text or with a reason.

use std::collections::BTreeMap;

use griot::{
    domain::FailureCode,
    ingest::{extract::Limits, jail::Confinement},
};

use crate::{extractor, files_below, samples, with_text};

async fn outcomes(folder: &str) -> Option<BTreeMap<String, Result<usize, FailureCode>>> {
    let root = samples(folder)?;
    let reader = extractor(Limits::default(), Confinement::default());
    let mut outcomes = BTreeMap::new();
    for path in files_below(&root) {
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        if name.contains(".expected") {
            continue;
        }
        let file = std::fs::File::open(&path).unwrap();
        let read = with_text(reader.extract(file, &name, |_| {}).await);
        let outcome = match read {
            // What comes through was checked; this only asks that there is something.
            Ok(extracted) => Ok(extracted.text.len()),
            Err(error) => {
                assert!(
                    !error.message.is_empty() && !error.message.contains('\n'),
                    "{name}"
                );
                Err(error.code)
            }
        };
        println!("{name}: {outcome:?}");
        outcomes.insert(name, outcome);
    }
    Some(outcomes)
}

/// Good documents that hold no text, or none that is told.
const WITHOUT_TEXT: [(&str, FailureCode); 8] = [
    (
        "pdf-cjk-cid/pdfjs--arial_unicode_ab_cidfont.pdf",
        FailureCode::Damaged,
    ),
    ("pdf-cjk-cid/pdfjs--noembed-eucjp.pdf", FailureCode::Damaged),
    (
        "pdf-encrypted/pdfminersix--aes-256.pdf",
        FailureCode::Encrypted,
    ),
    (
        "pdf-encrypted/pypdf--r4-aes-user-password.pdf",
        FailureCode::Encrypted,
    ),
    (
        "pdf-misc/sample-files--unreadablemetadata.pdf",
        FailureCode::Damaged,
    ),
    ("pdf-scan/docling--ocr_test.pdf", FailureCode::NoText),
    (
        "pdf-scan/docling--ocr_test_rotated_180.pdf",
        FailureCode::NoText,
    ),
    (
        "pdf-scan/markitdown--MEDRPT-2024-PAT-3847_medical_report_scan.pdf",
        FailureCode::NoText,
    ),
];

#[tokio::test]
async fn good_documents_end_with_text() {
    let Some(outcomes) = outcomes("docs-good").await else {
        return;
    };
    for (name, outcome) in outcomes {
        let known = WITHOUT_TEXT.iter().find(|(known, _)| *known == name);
        match (outcome, known) {
            (Ok(bytes), None) => assert!(bytes > 0, "{name}"),
            (Err(code), Some((_, expected))) => assert_eq!(code, *expected, "{name}"),
            (outcome, known) => panic!("{name}: {outcome:?}, expected {known:?}"),
        }
    }
}

#[tokio::test]
async fn bad_documents_end_honestly() {
    let Some(outcomes) = outcomes("docs-bad").await else {
        return;
    };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (name, outcome) in &outcomes {
        assert_ne!(*outcome, Err(FailureCode::Internal), "{name}");
        let word = outcome.map_or_else(|code| code.to_string(), |_| "text".to_owned());
        *counts.entry(word).or_default() += 1;
    }
    println!("{counts:?}");
    assert!(counts.get("text").is_some_and(|n| *n > 50), "{counts:?}");
}
