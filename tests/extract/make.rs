//! Documents made in code: PDF through lopdf, DOCX as a ZIP of the XML given.

use std::io::{Cursor, Write};

use lopdf::{Dictionary, Document, Object, Stream, dictionary};
use zip::{ZipWriter, write::SimpleFileOptions};

/// A PDF with one page for each content stream, in Helvetica (`F1`) with WinAnsi encoding.
pub fn pdf(contents: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    document(contents).save_to(&mut bytes).unwrap();
    bytes
}

/// As [`pdf`], before it is written.
pub fn document(contents: &[&str]) -> Document {
    let mut document = Document::with_version("1.5");
    let pages = document.new_object_id();
    let font = document.add_object(dictionary! {
        "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica", "Encoding" => "WinAnsiEncoding",
    });
    let resources = document.add_object(dictionary! {
        "Font" => dictionary! { "F1" => font },
    });
    let kids: Vec<Object> = contents
        .iter()
        .map(|content| {
            let stream = Stream::new(Dictionary::new(), content.as_bytes().to_vec());
            let content = document.add_object(stream);
            let page = dictionary! {
                "Type" => "Page", "Parent" => pages, "Contents" => content, "Resources" => resources,
                "MediaBox" => vec![0.into(), 0.into(), 595.into(), 842.into()],
            };
            document.add_object(page).into()
        })
        .collect();
    let count = kids.len() as i64;
    let tree = dictionary! { "Type" => "Pages", "Kids" => kids, "Count" => count };
    document.objects.insert(pages, tree.into());
    let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => pages });
    document.trailer.set("Root", catalog);
    document
}

/// A PDF of one page, encrypted (RC4, 128 bits) so that `password` opens it.
pub fn encrypted_pdf(password: &str, content: &str) -> Vec<u8> {
    let mut document = document(&[content]);
    // The algorithm mixes in the file's identifier.
    let id = Object::string_literal("0123456789abcdef");
    document.trailer.set("ID", vec![id.clone(), id]);
    let version = lopdf::EncryptionVersion::V2 {
        document: &document,
        owner_password: "owner",
        user_password: password,
        key_length: 128,
        permissions: lopdf::Permissions::all(),
    };
    let state = lopdf::EncryptionState::try_from(version).unwrap();
    document.encrypt(&state).unwrap();
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    bytes
}

/// Lines of text at `x`, from `y` downwards, 14 points apart, in 11 points.
pub fn lines(x: u32, y: u32, lines: &[&str]) -> String {
    let mut content = format!("BT /F1 11 Tf 14 TL {x} {y} Td ");
    for line in lines {
        let escaped = line
            .replace('\\', "\\\\")
            .replace('(', "\\(")
            .replace(')', "\\)");
        content += &format!("({escaped}) Tj T* ");
    }
    content + "ET "
}

/// A ZIP file of the entries given.
pub fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        writer
            .start_file(*name, SimpleFileOptions::default())
            .unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

const CONTENT_TYPES: &str = r#"<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>"#;

const ROOT_RELATIONS: &str = r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>"#;

/// A Word document with this body, and the other parts given (`styles`, `numbering`, `footnotes`, …).
pub fn docx(body: &str, parts: &[(&str, &str)]) -> Vec<u8> {
    let document = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>{body}</w:body></w:document>"#
    );
    let mut relations = String::from(
        r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">"#,
    );
    for (number, (kind, _)) in parts.iter().enumerate() {
        relations += &format!(
            r#"<Relationship Id="p{number}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}" Target="{kind}{number}.xml"/>"#
        );
    }
    relations += "</Relationships>";
    let mut entries = vec![
        ("[Content_Types].xml".to_owned(), CONTENT_TYPES.to_owned()),
        ("_rels/.rels".to_owned(), ROOT_RELATIONS.to_owned()),
        ("word/document.xml".to_owned(), document),
        ("word/_rels/document.xml.rels".to_owned(), relations),
    ];
    for (number, (kind, part)) in parts.iter().enumerate() {
        entries.push((format!("word/{kind}{number}.xml"), (*part).to_owned()));
    }
    let borrowed: Vec<(&str, &[u8])> = entries
        .iter()
        .map(|(name, part)| (name.as_str(), part.as_bytes()))
        .collect();
    zip(&borrowed)
}

/// A paragraph: `p("words")`, or with properties `p_with("<w:pStyle w:val=\"h1\"/>", "words")`.
pub fn p(words: &str) -> String {
    p_with("", words)
}

/// See [`p`].
pub fn p_with(properties: &str, words: &str) -> String {
    format!(
        r#"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t xml:space="preserve">{words}</w:t></w:r></w:p>"#
    )
}
