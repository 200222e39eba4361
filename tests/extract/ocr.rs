//! Pages that are pictures of text, read with the real Tesseract; skipped, with a message, where it is
//! not installed. What it may not do is shown with a program in its place.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use griot::{
    domain::{Engine, PageState},
    ingest::{
        Password, Reader, Source,
        extract::{Extracted, Limits},
        jail::{Confinement, Recognizer},
        ocr::WithPictures,
    },
};

use crate::{
    extractor, file_of,
    make::{self, Cipher},
    samples,
    score::Score,
};

/// The one that is installed; `None`, with a message, where none is.
fn tesseract() -> Option<PathBuf> {
    let found = Recognizer::installed();
    if found.is_none() {
        println!("skipped: tesseract is not installed");
    }
    found
}

fn with(tesseract: &Path, languages: &str) -> WithPictures {
    let extractor = extractor(Limits::default(), Confinement::default());
    let recognizer = Recognizer::of(&extractor, tesseract.to_owned(), languages.to_owned());
    WithPictures {
        extractor,
        recognizer,
    }
}

fn read(reader: &WithPictures, file: File, password: Option<&str>) -> Extracted {
    let source = Source {
        name: "scan.pdf".to_owned(),
        password: password.and_then(Password::new),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let extracted = runtime
        .block_on(reader.read(file, &source, &|_| {}))
        .unwrap();
    extracted.check().unwrap();
    extracted
}

fn scan() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/extract/documents/scan.pdf")
}

#[test]
fn every_kind_of_picture_is_read() {
    let Some(tesseract) = tesseract() else { return };
    let extracted = read(&with(&tesseract, "eng"), File::open(scan()).unwrap(), None);
    let expected = fs::read_to_string(scan().with_extension("pdf.expected.txt")).unwrap();
    let score = Score::of(&extracted.text, &expected);
    assert!(
        score.recall > 0.95 && score.precision > 0.95 && score.order > 0.9,
        "{score:?}: {}",
        extracted.text
    );
    let pages: Vec<(PageState, Engine)> = extracted
        .pages
        .iter()
        .map(|p| (p.state, p.engine))
        .collect();
    let read = (PageState::Text, Engine::Tesseract);
    assert_eq!(pages[..4], [read; 4]);
    assert_eq!(
        pages[4].0,
        PageState::Empty,
        "the picture on the last page is blank"
    );
}

#[test]
fn the_sample_scans() {
    let Some(tesseract) = tesseract() else { return };
    let Some(root) = samples("docs-good/pdf-scan") else {
        return;
    };
    let reader = with(&tesseract, "eng");
    let expected = fs::read_to_string(root.join("docling--ocr_test.pdf.expected.md")).unwrap();
    for name in ["docling--ocr_test.pdf", "docling--ocr_test_rotated_180.pdf"] {
        let extracted = read(&reader, File::open(root.join(name)).unwrap(), None);
        let score = Score::of(&extracted.text, &expected);
        println!("{name}: {score:?}");
        assert!(score.recall >= 0.9, "{name}: {}", extracted.text);
    }
    let name = "markitdown--MEDRPT-2024-PAT-3847_medical_report_scan.pdf";
    let extracted = read(&reader, File::open(root.join(name)).unwrap(), None);
    assert_eq!(extracted.pages.len(), 3);
    for page in &extracted.pages {
        assert_eq!(page.engine, Engine::Tesseract, "page {}", page.page);
    }
    for words in [
        "SEATTLE GENERAL HOSPITAL",
        "Date of Birth: March 15, 1978",
        "Blood Pressure 142/88",
    ] {
        assert!(
            extracted.text.contains(words),
            "{words}: {}",
            extracted.text
        );
    }
}

#[test]
fn an_encrypted_scan() {
    let Some(tesseract) = tesseract() else { return };
    let mut document = lopdf::Document::load(scan()).unwrap();
    let bytes = make::locked(&mut document, Cipher::Aes256, "key", "owner's");
    let extracted = read(&with(&tesseract, "eng"), file_of(&bytes), Some("key"));
    assert!(
        extracted.text.contains("chimney sweep"),
        "{}",
        extracted.text
    );
}

/// A page with text is left alone, and the others take their places around it.
#[test]
fn only_pages_without_text_are_recognised() {
    let fake = tempfile::tempdir().unwrap();
    let program = script(fake.path(), &words("Recognised letters stand here."));
    let text = make::lines(72, 700, &["Words of the page itself."]);
    let bytes = make::pictured(&[("", 1), (&text, 1), ("", 0), ("", 2)]);
    let extracted = read(&with(&program, "eng"), file_of(&bytes), None);
    let by: Vec<(PageState, Engine)> = extracted
        .pages
        .iter()
        .map(|p| (p.state, p.engine))
        .collect();
    assert_eq!(
        by,
        [
            (PageState::Text, Engine::Tesseract),
            (PageState::Text, Engine::Unpdf),
            (PageState::Empty, Engine::Unpdf),
            (PageState::Text, Engine::Tesseract),
        ]
    );
    assert_eq!(
        extracted.text,
        "Recognised letters stand here.\n\nWords of the page itself.\n\n\
         Recognised letters stand here.\n\nRecognised letters stand here."
    );
}

#[test]
fn whatever_goes_wrong_leaves_the_page_as_it_was() {
    let fake = tempfile::tempdir().unwrap();
    let told = words("Too late to be believed.");
    for (what, body) in [
        ("it fails", "exit 1".to_owned()),
        ("it says nothing", String::new()),
        ("it says something else", "echo 'no table'".to_owned()),
        ("it dies", format!("{told}\nkill -9 $$; exit 1")),
        ("it is not sure", told.replace("\t95\t", "\t20\t")),
        (
            "it reads nonsense",
            words("xq~zt vbnm qwrtzp sdfgh jklmn bcxy"),
        ),
        (
            "it says too much",
            "while :; do echo 5; done | head -c 100000000; exit 1".to_owned(),
        ),
    ] {
        let program = script(fake.path(), &body);
        let bytes = make::pictured(&[("", 1)]);
        let extracted = read(&with(&program, "eng"), file_of(&bytes), None);
        assert_eq!(extracted.pages[0].state, PageState::Empty, "{what}");
        assert_eq!(extracted.text, "", "{what}");
    }
    let missing = with(Path::new("/nonexistent/tesseract"), "eng");
    let extracted = read(&missing, file_of(&make::pictured(&[("", 1)])), None);
    assert_eq!(extracted.pages[0].state, PageState::Empty);
}

/// What a program in Tesseract's place can see and do. It answers in the words that it recognises.
#[test]
fn the_recogniser_is_confined() {
    let fake = tempfile::tempdir().unwrap();
    let secret = tempfile::NamedTempFile::new().unwrap();
    fs::write(secret.path(), "Somebody's papers.").unwrap();
    let target = fake.path().join("written");
    let body = format!(
        r#"found=""
if read -r line < {secret}; then found="$found read:$line"; fi
if : > {target}; then found="$found wrote"; fi
if (exec 3<>/dev/tcp/127.0.0.1/9) 2>/dev/null; then found="$found network"; fi
for name in HOME PATH_OF_DAEMON GRIOT_HOME USER; do
  if [ -n "${{!name}}" ]; then found="$found $name"; fi
done
if [ -z "$found" ]; then found="Nothing could be reached from here."; fi
printf '5\t1\t1\t1\t1\t1\t0\t0\t9\t9\t95\t%s\n' $found
printf '5\t1\t1\t1\t1\t1\t0\t0\t9\t9\t95\t%s\n' "limit" "of" "files" "$(ulimit -f)" "and" "core" "$(ulimit -c)"
"#,
        secret = secret.path().display(),
        target = target.display(),
    );
    let program = script(fake.path(), &body);
    let bytes = make::pictured(&[("", 1)]);
    let extracted = read(&with(&program, "eng"), file_of(&bytes), None);
    assert_eq!(
        extracted.text,
        "Nothing could be reached from here. limit of files 0 and core 0"
    );
    assert!(!target.exists());
}

/// A line of shell that prints a table of these words.
fn words(text: &str) -> String {
    let row = |word: &str| format!("5\\t1\\t1\\t1\\t1\\t1\\t0\\t0\\t9\\t9\\t95\\t{word}\\n");
    let rows: String = text.split(' ').map(row).collect();
    format!("printf '{}'", rows.replace("\\t", "\t"))
}

/// A program of that body.
fn script(folder: &Path, body: &str) -> PathBuf {
    let path = folder.join("tesseract");
    // It takes the whole picture in first, as Tesseract does: who writes it must not find it gone.
    let takes = "LC_ALL=C; while read -r -N 65536 _; do :; done";
    fs::write(&path, format!("#!/bin/bash\n{takes}\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}
