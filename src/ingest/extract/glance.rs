//! A first look at a file, to leave out of a folder what cannot be read, before it is copied anywhere.
//! Only for that: what a file is in the end is decided by all of its bytes, in the limited child.

use super::{ExtractError, sniff};
use crate::domain::FailureCode;

/// Bytes that a first look needs.
pub const GLANCE: usize = 64 * 1024;

/// Whether a file that begins with `head` may be a document that is read. In doubt it may.
///
/// # Errors
/// `unsupported_type`, naming what it is.
pub fn glance(head: &[u8], name: &str) -> Result<(), ExtractError> {
    if head.is_empty() {
        // Said when it is taken in, as for any empty file.
        return Ok(());
    }
    if let Some(first) = first_member(head) {
        return if may_be_office(first) {
            Ok(())
        } else {
            Err(ExtractError::new(
                FailureCode::UnsupportedType,
                "the file is an archive (ZIP); unpack it and take in what is in it",
            ))
        };
    }
    // Encrypted documents stand in the container of old Office files, and what tells the two apart may
    // stand at the end.
    if head.starts_with(b"\xd0\xcf\x11\xe0") && is_new_office(name) {
        return Ok(());
    }
    match sniff::media_type(head, name) {
        Err(error) if error.code == FailureCode::UnsupportedType => Err(error),
        Err(_) | Ok(_) => Ok(()),
    }
}

/// The name of a ZIP file's first member (APPNOTE 4.3.7); `None` when it is none.
fn first_member(head: &[u8]) -> Option<&[u8]> {
    if !head.starts_with(b"PK\x03\x04") {
        return None;
    }
    let length = head
        .get(26..28)
        .map_or(0, |two| usize::from(u16::from_le_bytes([two[0], two[1]])));
    let name = head.get(30..).unwrap_or_default();
    Some(&name[..length.min(name.len())])
}

/// Documents that are packages name a part of theirs first: OOXML its content types (or, written by
/// other programs, any of its folders), OpenDocument and EPUB their `mimetype`.
fn may_be_office(first: &[u8]) -> bool {
    [
        "[Content_Types].xml",
        "_rels/",
        "docProps/",
        "customXml/",
        "word/",
        "ppt/",
        "xl/",
        "mimetype",
        "META-INF/",
        "content.xml",
        "OEBPS/",
        "EPUB/",
    ]
    .iter()
    .any(|part| first.starts_with(part.as_bytes()))
}

fn is_new_office(name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    ["docx", "docm", "pptx", "pptm", "xlsx", "xlsm"]
        .iter()
        .any(|known| ending.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zip_beginning_with(name: &str) -> Vec<u8> {
        let mut head = b"PK\x03\x04".to_vec();
        head.extend([0; 22]);
        head.extend((name.len() as u16).to_le_bytes());
        head.extend([0; 2]);
        head.extend(name.as_bytes());
        head.extend(b"compressed");
        head
    }

    #[test]
    fn what_may_be_read_by_its_first_bytes() {
        let taken = |head: &[u8], name: &str| assert_eq!(glance(head, name), Ok(()), "{name}");
        let left = |head: &[u8], name: &str, word: &str| {
            let error = glance(head, name).unwrap_err();
            assert_eq!(error.code, FailureCode::UnsupportedType, "{name}");
            assert!(error.message.contains(word), "{}", error.message);
        };
        taken(b"%PDF-1.7 and so on", "a.bin");
        taken(b"Plain words.", "notes");
        taken("Größe und Maß".as_bytes(), "notes.xyz");
        taken(b"fn main() {}\n", "main.rs");
        taken(b"", "empty.txt");
        taken(&zip_beginning_with("[Content_Types].xml"), "a.docx");
        taken(&zip_beginning_with("word/document.xml"), "a.docx");
        taken(&zip_beginning_with("mimetype"), "a.odt");
        taken(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", "locked.docx");
        // Cut short in the middle of what it is looked at for.
        taken(b"PK", "short.zip");

        left(b"\x89PNG\r\n\x1a\n\0\0", "scan.txt", "PNG");
        left(b"\x7fELF\x02\x01\x01\0", "program", "program");
        left(&[7, 0, 1, 0xfe].repeat(50), "blob", "binary");
        left(&zip_beginning_with("photos/1.jpg"), "photos.zip", "ZIP");
        left(b"PK\x03\x04", "cut.zip", "ZIP");
        left(
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0",
            "old.doc",
            "old Office",
        );
    }
}
