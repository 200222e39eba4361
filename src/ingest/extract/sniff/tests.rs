use super::*;

#[track_caller]
fn check(bytes: &[u8], name: &str, expected: MediaType) {
    assert_eq!(media_type(bytes, name), Ok(expected));
}

#[track_caller]
fn check_failure(bytes: &[u8], name: &str, code: FailureCode, word: &str) {
    let error = media_type(bytes, name).unwrap_err();
    assert_eq!(error.code, code);
    assert!(error.message.contains(word), "{}", error.message);
}

#[test]
fn content_beats_the_name() {
    check(b"%PDF-1.4\n", "letter.txt", MediaType::Pdf);
    check(b"junk before\n%PDF-1.7\n", "x", MediaType::Pdf);
    check(b"<!DOCTYPE HTML><p>x", "page.md", MediaType::Html);
    check(
        b"<?xml version='1.0'?>\n<!-- x -->\n<html xmlns='y'>",
        "x.xml",
        MediaType::Html,
    );
    check(
        b"BMI and blood pressure\n\nWe measured",
        "x.txt",
        MediaType::Text,
    );
    check(b"ID3 receptors in mice", "x.txt", MediaType::Text);
    check_failure(
        b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0",
        "x.txt",
        FailureCode::UnsupportedType,
        "BMP",
    );
    check_failure(
        b"\x89PNG\r\n\x1a\n123",
        "scan.pdf",
        FailureCode::UnsupportedType,
        "PNG",
    );
}

#[test]
fn the_name_breaks_ties_between_texts() {
    check(b"a,b\n1,2\n3,4\n", "x.csv", MediaType::Csv);
    check(b"a,b\n1,2\n3,4\n", "x", MediaType::Csv);
    check(b"a,b\n1,2\n3,4\n", "x.txt", MediaType::Text);
    check(b"# A\ntext\n## B\n", "notes", MediaType::Markdown);
    check(b"# A\ntext\n## B\n", "notes.txt", MediaType::Markdown);
    check(b"# A\ntext\n## B\n", "script.py", MediaType::Text);
    check(b"# one comment\nls\n", "run", MediaType::Text);
    check(b"plain", "x.md", MediaType::Markdown);
    check(b"<p>fragment", "x.htm", MediaType::Html);
    check(b"<header>is no head", "x.txt", MediaType::Text);
}

#[test]
fn kinds_of_text_with_signs_of_their_own() {
    check(b"{\\rtf1 x}", "x.doc", MediaType::Rtf);
    check(b"\r\n{\\rtf1 x}", "x", MediaType::Rtf);
    check(b"{\"a\": 1}", "x.txt", MediaType::Json);
    check(b"[1] Smith", "x.txt", MediaType::Text);
    check(b"{ not json", "x.json", MediaType::Text);
    let mail = b"From: a@b\r\nTo: c@d\r\nSubject: x\r\n\r\nHello";
    check(mail, "x.txt", MediaType::Eml);
    check(b"Subject: x\n\nHello", "x.eml", MediaType::Eml);
    check(b"Subject: x\n\nHello", "x.txt", MediaType::Text);
    check(
        b"From: here to there\nWe went on: and on",
        "x.txt",
        MediaType::Text,
    );
    check(b"no headers", "x.eml", MediaType::Text);
    check(b"fn main() {}\n# [x]\n", "x.rs", MediaType::Text);
}

#[test]
fn what_is_not_read_is_named() {
    check_failure(b"", "x.txt", FailureCode::NoText, "empty");
    check_failure(
        &[1, 2, 3, 4, 5, 0xfe].repeat(20),
        "x.txt",
        FailureCode::UnsupportedType,
        "binary",
    );
    let ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
    check_failure(ole, "x.doc", FailureCode::UnsupportedType, "old Office");
    let name: Vec<u8> = "EncryptedPackage"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    check_failure(
        &[ole.as_slice(), &name].concat(),
        "x.docx",
        FailureCode::Encrypted,
        "password",
    );
}
