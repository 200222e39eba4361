//! Documents made in code: PDF through lopdf, the others as ZIP files of the XML given.

use std::{
    collections::BTreeMap,
    io::{Cursor, Write},
    sync::Arc,
};

use lopdf::{
    Dictionary, Document, EncryptionState, EncryptionVersion, Object, Permissions, Stream,
    dictionary,
    encryption::crypt_filters::{Aes128CryptFilter, Aes256CryptFilter, CryptFilter},
};
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

/// A PDF with one page for each content stream, which paints so many pictures besides: grey noise of 64
/// by 64 pixels.
pub fn pictured(pages: &[(&str, usize)]) -> Vec<u8> {
    let contents: Vec<&str> = pages.iter().map(|(content, _)| *content).collect();
    let mut document = document(&contents);
    let ids: Vec<lopdf::ObjectId> = document.get_pages().into_values().collect();
    for (id, (_, pictures)) in ids.into_iter().zip(pages) {
        let mut names = Dictionary::new();
        for number in 0..*pictures {
            let grey = (0..64_u32 * 64).map(|n| (n * n / 7 + number as u32) as u8);
            let picture = dictionary! {
                "Type" => "XObject", "Subtype" => "Image", "Width" => 64, "Height" => 64,
                "ColorSpace" => "DeviceGray", "BitsPerComponent" => 8,
            };
            let picture = document.add_object(Stream::new(picture, grey.collect()));
            names.set(format!("P{number}"), picture);
        }
        let font = dictionary! {
            "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica", "Encoding" => "WinAnsiEncoding",
        };
        let font = document.add_object(font);
        let fonts = dictionary! { "F1" => font };
        let page = document.get_dictionary_mut(id).unwrap();
        page.set(
            "Resources",
            dictionary! { "Font" => fonts, "XObject" => names },
        );
    }
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    bytes
}

/// How a PDF may be encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    Rc4_40,
    Rc4_128,
    Aes128,
    Aes256,
}

impl Cipher {
    pub const ALL: [Self; 4] = [Self::Rc4_40, Self::Rc4_128, Self::Aes128, Self::Aes256];
}

/// A PDF of one page that either password opens.
pub fn encrypted(cipher: Cipher, user: &str, owner: &str, content: &str) -> Vec<u8> {
    locked(&mut document(&[content]), cipher, user, owner)
}

/// A PDF of one page that `password` opens.
pub fn encrypted_pdf(password: &str, content: &str) -> Vec<u8> {
    encrypted(Cipher::Rc4_128, password, "owner", content)
}

/// A document, encrypted and written.
pub fn locked(document: &mut Document, cipher: Cipher, user: &str, owner: &str) -> Vec<u8> {
    // The algorithms mix in the file's identifier.
    let id = Object::string_literal("0123456789abcdef");
    document.trailer.set("ID", vec![id.clone(), id]);
    let filters = |filter: Arc<dyn CryptFilter>| BTreeMap::from([(b"StdCF".to_vec(), filter)]);
    let key = [7; 32];
    let permissions = Permissions::all();
    let version = match cipher {
        Cipher::Rc4_40 => EncryptionVersion::V1 {
            document,
            owner_password: owner,
            user_password: user,
            permissions,
        },
        Cipher::Rc4_128 => EncryptionVersion::V2 {
            document,
            owner_password: owner,
            user_password: user,
            key_length: 128,
            permissions,
        },
        Cipher::Aes128 => EncryptionVersion::V4 {
            document,
            encrypt_metadata: true,
            crypt_filters: filters(Arc::new(Aes128CryptFilter)),
            stream_filter: b"StdCF".to_vec(),
            string_filter: b"StdCF".to_vec(),
            owner_password: owner,
            user_password: user,
            permissions,
        },
        Cipher::Aes256 => EncryptionVersion::V5 {
            encrypt_metadata: true,
            crypt_filters: filters(Arc::new(Aes256CryptFilter)),
            file_encryption_key: &key,
            stream_filter: b"StdCF".to_vec(),
            string_filter: b"StdCF".to_vec(),
            owner_password: owner,
            user_password: user,
            permissions,
        },
    };
    let state = EncryptionState::try_from(version).unwrap();
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

/// A ZIP file of parts of text.
pub fn package(parts: &[(String, String)]) -> Vec<u8> {
    let borrowed: Vec<(&str, &[u8])> = parts
        .iter()
        .map(|(name, part)| (name.as_str(), part.as_bytes()))
        .collect();
    zip(&borrowed)
}

const RELATIONS_OPEN: &str =
    r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">"#;

/// Relationships to parts: identifier, kind, target.
pub fn relations(of: &[(&str, &str, &str)]) -> String {
    let mut out = RELATIONS_OPEN.to_owned();
    for (id, kind, target) in of {
        out += &format!(
            r#"<Relationship Id="{id}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}" Target="{target}"/>"#
        );
    }
    out + "</Relationships>"
}

/// The parts of a presentation with a slide for each tree of shapes, and notes to the first.
pub fn pptx_parts(slides: &[&str], notes: &str) -> Vec<(String, String)> {
    let ids: String = (0..slides.len())
        .map(|n| format!(r#"<p:sldId id="{}" r:id="rId{n}"/>"#, 256 + n))
        .collect();
    let mut parts = vec![
        ("[Content_Types].xml".to_owned(), CONTENT_TYPES.to_owned()),
        (
            "_rels/.rels".to_owned(),
            relations(&[("r1", "officeDocument", "ppt/presentation.xml")]),
        ),
        (
            "ppt/presentation.xml".to_owned(),
            format!(
                "<p:presentation xmlns:p='p' xmlns:r='r'><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>"
            ),
        ),
    ];
    let mut of_show = RELATIONS_OPEN.to_owned();
    for (n, slide) in slides.iter().enumerate() {
        of_show +=
            &format!(r#"<Relationship Id="rId{n}" Type="x/slide" Target="slides/slide{n}.xml"/>"#);
        parts.push((
            format!("ppt/slides/slide{n}.xml"),
            format!("<p:sld xmlns:p='p' xmlns:a='a' xmlns:r='r'><p:cSld><p:spTree>{slide}</p:spTree></p:cSld></p:sld>"),
        ));
    }
    of_show += "</Relationships>";
    parts.push(("ppt/_rels/presentation.xml.rels".to_owned(), of_show));
    if !notes.is_empty() {
        parts.push((
            "ppt/slides/_rels/slide0.xml.rels".to_owned(),
            relations(&[("n", "notesSlide", "../notesSlides/notes0.xml")]),
        ));
        parts.push((
            "ppt/notesSlides/notes0.xml".to_owned(),
            format!(
                "<p:notes xmlns:p='p' xmlns:a='a'>{}</p:notes>",
                shape("body", &[notes])
            ),
        ));
    }
    parts
}

/// A shape of a slide with paragraphs.
pub fn shape(placeholder: &str, paragraphs: &[&str]) -> String {
    let paragraphs: String = paragraphs
        .iter()
        .map(|words| format!("<a:p><a:r><a:t>{words}</a:t></a:r></a:p>"))
        .collect();
    format!(
        r#"<p:sp><p:nvSpPr><p:nvPr><p:ph type="{placeholder}"/></p:nvPr></p:nvSpPr><p:txBody>{paragraphs}</p:txBody></p:sp>"#
    )
}

/// The parts of a workbook: of each sheet its name, its state and its XML.
pub fn xlsx_parts(
    sheets: &[(&str, &str, &str)],
    strings: &[&str],
    styles: &str,
) -> Vec<(String, String)> {
    let mut list = String::new();
    let mut of_book = String::from(RELATIONS_OPEN);
    let mut parts = Vec::new();
    for (n, (name, state, sheet)) in sheets.iter().enumerate() {
        list += &format!(r#"<sheet name="{name}" sheetId="{n}" state="{state}" r:id="rId{n}"/>"#);
        of_book += &format!(
            r#"<Relationship Id="rId{n}" Type="x/worksheet" Target="worksheets/sheet{n}.xml"/>"#
        );
        parts.push((
            format!("xl/worksheets/sheet{n}.xml"),
            format!("<worksheet>{sheet}</worksheet>"),
        ));
    }
    of_book += r#"<Relationship Id="a" Type="x/sharedStrings" Target="sharedStrings.xml"/><Relationship Id="b" Type="x/styles" Target="styles.xml"/></Relationships>"#;
    let strings: String = strings
        .iter()
        .map(|text| format!("<si><t>{text}</t></si>"))
        .collect();
    parts.extend([
        ("[Content_Types].xml".to_owned(), CONTENT_TYPES.to_owned()),
        (
            "_rels/.rels".to_owned(),
            relations(&[("r1", "officeDocument", "xl/workbook.xml")]),
        ),
        (
            "xl/workbook.xml".to_owned(),
            format!("<workbook xmlns:r='r'><sheets>{list}</sheets></workbook>"),
        ),
        ("xl/_rels/workbook.xml.rels".to_owned(), of_book),
        (
            "xl/sharedStrings.xml".to_owned(),
            format!("<sst>{strings}</sst>"),
        ),
        (
            "xl/styles.xml".to_owned(),
            format!("<styleSheet>{styles}</styleSheet>"),
        ),
    ]);
    parts
}

/// The parts of a text document: styles, automatic styles, body.
pub fn odt_parts(styles: &str, automatic: &str, body: &str) -> Vec<(String, String)> {
    let namespaces = "xmlns:office='o' xmlns:text='t' xmlns:table='b' xmlns:style='s' xmlns:draw='d' xmlns:dc='dc'";
    [
        ("mimetype", "application/vnd.oasis.opendocument.text".to_owned()),
        (
            "content.xml",
            format!("<office:document-content {namespaces}><office:automatic-styles>{automatic}</office:automatic-styles><office:body><office:text>{body}</office:text></office:body></office:document-content>"),
        ),
        (
            "styles.xml",
            format!("<office:document-styles {namespaces}>{styles}</office:document-styles>"),
        ),
        (
            "meta.xml",
            format!("<office:document-meta {namespaces}><dc:title>A letter</dc:title></office:document-meta>"),
        ),
    ]
    .map(|(name, part)| (name.to_owned(), part))
    .to_vec()
}

/// The parts of an e-book with these chapters.
pub fn epub_parts(chapters: &[&str], contents: &str) -> Vec<(String, String)> {
    let mut items = String::new();
    let mut spine = String::new();
    let mut parts = vec![
        ("mimetype".to_owned(), "application/epub+zip".to_owned()),
        (
            "META-INF/container.xml".to_owned(),
            r#"<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>"#
                .to_owned(),
        ),
        ("OPS/nav.xhtml".to_owned(), contents.to_owned()),
    ];
    // The spine decides about the order.
    for (n, chapter) in chapters.iter().enumerate().rev() {
        items += &format!(
            r#"<item id="c{n}" href="text/chapter%20{n}.xhtml" media-type="application/xhtml+xml"/>"#
        );
        spine = format!(r#"<itemref idref="c{n}"/>{spine}"#);
        parts.push((format!("OPS/text/chapter {n}.xhtml"), (*chapter).to_owned()));
    }
    parts.push((
        "OPS/book.opf".to_owned(),
        format!(
            r#"<package><metadata xmlns:dc="dc"><dc:title>A Book</dc:title></metadata><manifest>{items}<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/></manifest><spine><itemref idref="nav"/>{spine}</spine></package>"#
        ),
    ));
    parts
}
