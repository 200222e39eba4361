//! Documents made to do harm, each with the code it must end with.

use griot::{domain::FailureCode, ingest::extract::Extracted};

use crate::{
    make::{self, docx, lines, p},
    read,
};

fn outcome(bytes: &[u8], name: &str) -> Result<Extracted, FailureCode> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(read(bytes, name)).map_err(|e| e.code)
}

#[track_caller]
fn check(bytes: &[u8], name: &str, code: FailureCode) {
    assert_eq!(outcome(bytes, name).map(|e| e.text.len()), Err(code));
}

#[test]
fn what_is_no_document() {
    check(b"", "x.pdf", FailureCode::NoText);
    check(b" \n\t ", "x.txt", FailureCode::NoText);
    check(
        b"\x89PNG\r\n\x1a\n0000",
        "x.pdf",
        FailureCode::UnsupportedType,
    );
    check(b"%PDF-1.7\n", "x.pdf", FailureCode::Damaged);
    check(
        &make::zip(&[("a.txt", b"x")]),
        "x.docx",
        FailureCode::UnsupportedType,
    );
    for (name, code) in [
        ("xl/workbook.xml", FailureCode::Damaged),
        ("xl/workbook.bin", FailureCode::UnsupportedType),
        ("ppt/presentation.xml", FailureCode::Damaged),
        ("META-INF/container.xml", FailureCode::Damaged),
        ("content.xml", FailureCode::Damaged),
    ] {
        check(&make::zip(&[(name, b"<x")]), "x.docx", code);
    }
    check(
        &make::zip(&[
            (
                "mimetype",
                b"application/vnd.oasis.opendocument.spreadsheet",
            ),
            ("content.xml", b"<x/>"),
        ]),
        "x.odt",
        FailureCode::UnsupportedType,
    );
    check(
        &make::zip(&[("[Content_Types].xml", b"<Types/>")]),
        "x.docx",
        FailureCode::Damaged,
    );
    check(b"PK\x03\x04 and no more", "x.docx", FailureCode::Damaged);
}

#[test]
fn truncated_files() {
    let whole = docx(&p("Some words of a document.").repeat(500), &[]);
    check(&whole[..whole.len() / 2], "x.docx", FailureCode::Damaged);
    // A PDF's objects are found again without its table of them.
    let whole = make::pdf(&[&lines(72, 700, &["Some words."])]);
    let cut = &whole[..whole.len() - 60];
    assert_eq!(
        outcome(cut, "x.pdf").map(|e| e.text),
        Ok("Some words.".to_owned())
    );
}

#[test]
fn xml_that_explodes() {
    let entities = r#"<!DOCTYPE w [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><w:document xmlns:w="w"><w:body><w:p><w:r><w:t>&b;</w:t></w:r></w:p></w:body></w:document>"#;
    let bytes = make::zip(&[("word/document.xml", entities.as_bytes())]);
    check(&bytes, "x.docx", FailureCode::Damaged);
    let deep = format!(
        "{}{}",
        "<w:sdt>".repeat(100_000),
        "</w:sdt>".repeat(100_000)
    );
    check(&docx(&deep, &[]), "x.docx", FailureCode::Damaged);
}

#[test]
fn a_zip_that_inflates() {
    // 600 MiB of spaces in 600 KiB.
    let mut document = b"<w:document><w:body><w:p><w:r><w:t>".to_vec();
    document.resize(600 * 1024 * 1024, b' ');
    let bytes = make::zip(&[("word/document.xml", &document)]);
    drop(document);
    let code = outcome(&bytes, "x.docx").map(|e| e.text.len()).unwrap_err();
    let honest = [
        FailureCode::TooLarge,
        FailureCode::OutOfMemory,
        FailureCode::TimedOut,
    ];
    assert!(honest.contains(&code), "{code}");
}

#[test]
fn a_pdf_that_inflates() {
    use lopdf::{Stream, dictionary};
    let mut document = make::document(&["placeholder"]);
    let mut stream = Stream::new(dictionary! {}, vec![b' '; 300 * 1024 * 1024]);
    stream.compress().unwrap();
    let bomb = document.add_object(stream);
    let page = *document.get_pages().get(&1).unwrap();
    document
        .get_dictionary_mut(page)
        .unwrap()
        .set("Contents", bomb);
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    let code = outcome(&bytes, "x.pdf").map(|e| e.text.len()).unwrap_err();
    let honest = [
        FailureCode::Damaged,
        FailureCode::NoText,
        FailureCode::OutOfMemory,
        FailureCode::TimedOut,
    ];
    assert!(honest.contains(&code), "{code}");
}

#[test]
fn markup_nested_for_ever() {
    let html = format!(
        "<html>{}words{}",
        "<div>".repeat(5_000),
        "</div>".repeat(5_000)
    );
    assert_eq!(
        outcome(html.as_bytes(), "x.html").map(|e| e.text),
        Ok("words".to_owned())
    );
    let quotes = format!("{}words", "> ".repeat(50_000));
    assert_eq!(
        outcome(quotes.as_bytes(), "x.md").map(|e| e.text.len()),
        Ok(100_005)
    );
}

#[test]
fn a_page_tree_that_bites_its_tail() {
    let mut document = make::document(&["x"]);
    let root = document
        .catalog()
        .unwrap()
        .get(b"Pages")
        .unwrap()
        .as_reference()
        .unwrap();
    document
        .get_dictionary_mut(root)
        .unwrap()
        .set("Kids", vec![root.into(), root.into()]);
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    check(&bytes, "x.pdf", FailureCode::Damaged);
}

#[test]
fn more_than_the_limits_allow() {
    // A gigabyte of text from shared strings that each cell repeats.
    let long = "x".repeat(30_000);
    let cells = r#"<c t="s"><v>0</v></c>"#.repeat(35_000);
    let sheet = format!("<sheetData><row>{cells}</row></sheetData>");
    let parts = make::xlsx_parts(&[("S", "visible", &sheet)], &[&long], "");
    check(&make::package(&parts), "x.xlsx", FailureCode::TooLarge);
    // More slides than pages may be.
    let slides = vec![""; 5001];
    let parts = make::pptx_parts(&slides, "");
    check(&make::package(&parts), "x.pptx", FailureCode::TooLarge);
}

#[test]
fn parts_that_lead_in_circles() {
    let mut parts = make::pptx_parts(&[&make::shape("title", &["Words"])], "");
    let to_itself = make::relations(&[("n", "notesSlide", "slide0.xml")]);
    parts.push(("ppt/slides/_rels/slide0.xml.rels".to_owned(), to_itself));
    let read = outcome(&make::package(&parts), "x.pptx");
    assert_eq!(read.map(|e| e.text), Ok("Words".to_owned()));
    let styles: String = (0..100)
        .map(|n| {
            format!(
                "<style:style style:name='a{n}' style:parent-style-name='a{}'/>",
                (n + 1) % 100
            )
        })
        .collect();
    let body = "<text:p text:style-name='a7'>Words</text:p>";
    let read = outcome(&make::package(&make::odt_parts("", &styles, body)), "x.odt");
    assert_eq!(read.map(|e| e.text), Ok("Words".to_owned()));
}
