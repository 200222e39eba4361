//! What kind of document the bytes are. The bytes decide; the name breaks ties between kinds of text,
//! which are told apart by habit only.

use crate::domain::{FailureCode, MediaType};

use super::{ExtractError, decode, json, package::Package};

/// A PDF's header may stand anywhere in the first 1,024 bytes (ISO 32000-1, Annex H.3.4.1).
const PDF_HEADER_WITHIN: usize = 1024;

/// Bytes of a text that are looked at.
const LOOKED_AT: usize = 64 * 1024;

/// The kind of `bytes`.
///
/// # Errors
/// `unsupported_type`, naming what it seems to be; `encrypted` for Office files with a password;
/// `no_text` for an empty file.
pub(super) fn media_type(bytes: &[u8], name: &str) -> Result<MediaType, ExtractError> {
    if bytes.is_empty() {
        return Err(ExtractError::new(FailureCode::NoText, "the file is empty"));
    }
    let head = &bytes[..bytes.len().min(PDF_HEADER_WITHIN)];
    if head.windows(5).any(|w| w == b"%PDF-") {
        return Ok(MediaType::Pdf);
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return zipped(bytes);
    }
    if bytes.trim_ascii_start().starts_with(b"{\\rtf") {
        return Ok(MediaType::Rtf);
    }
    if bytes.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return Err(compound_file(bytes));
    }
    if let Some((_, what)) = SIGNATURES
        .iter()
        .find(|(magic, _)| bytes.starts_with(magic) && (!is_a_word(magic) || !reads_as_text(bytes)))
    {
        return Err(unsupported(what));
    }
    let extension = extension(name);
    // A PDF that lost its beginning is still recognised by name, so that the message is about it.
    if extension == "pdf" {
        return Ok(MediaType::Pdf);
    }
    let looked_at = &bytes[..bytes.len().min(LOOKED_AT)];
    let text = decode::decode(looked_at, None);
    if is_binary(&text) {
        return Err(unsupported("binary data of an unknown kind"));
    }
    let is_cut = bytes.len() > LOOKED_AT;
    Ok(kind_of_text(&text, is_cut, &extension))
}

/// Whether the beginning of a kind of file could also begin a text: "BM" is a picture's, and "BMI"'s.
fn is_a_word(magic: &[u8]) -> bool {
    magic.iter().all(u8::is_ascii_alphanumeric)
}

/// Whether the first bytes are text, as those of a picture, a sound or an archive never are: their
/// headers hold zeros.
fn reads_as_text(bytes: &[u8]) -> bool {
    !bytes[..bytes.len().min(LOOKED_AT)].contains(&0)
}

/// The beginnings of common files that hold no text this program reads.
const SIGNATURES: [(&[u8], &str); 21] = [
    (b"\x89PNG\r\n\x1a\n", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"GIF8", "a picture (GIF)"),
    (b"II*\0", "a picture (TIFF)"),
    (b"MM\0*", "a picture (TIFF)"),
    (b"BM", "a picture (BMP)"),
    (b"RIFF", "a sound, film or picture (RIFF)"),
    (b"ID3", "a sound (MP3)"),
    (b"OggS", "a sound (Ogg)"),
    (b"fLaC", "a sound (FLAC)"),
    (b"\x1f\x8b", "a compressed file (gzip)"),
    (b"BZh", "a compressed file (bzip2)"),
    (b"\xfd7zXZ\0", "a compressed file (xz)"),
    (b"\x28\xb5\x2f\xfd", "a compressed file (zstd)"),
    (b"7z\xbc\xaf\x27\x1c", "an archive (7-Zip)"),
    (b"Rar!\x1a\x07", "an archive (RAR)"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90\0", "a program"),
    (b"SQLite format 3\0", "a database (SQLite)"),
    (b"ITSF", "a compiled help file (CHM)"),
    (b"%!PS", "a PostScript document"),
];

/// ZIP files are told apart by the parts they hold.
fn zipped(bytes: &[u8]) -> Result<MediaType, ExtractError> {
    let mut package = Package::open(bytes)?;
    if package.contains("word/document.xml") || package.main_part_is("wordprocessingml") {
        return Ok(MediaType::Docx);
    }
    if package.contains("ppt/presentation.xml") || package.main_part_is("presentationml") {
        return Ok(MediaType::Pptx);
    }
    if package.contains("xl/workbook.xml") || package.main_part_is("spreadsheetml") {
        return Ok(MediaType::Xlsx);
    }
    if package.contains("META-INF/container.xml") {
        return Ok(MediaType::Epub);
    }
    if package.contains("content.xml") {
        return open_document(&mut package);
    }
    if package.contains("xl/workbook.bin") {
        return Err(unsupported("a binary Excel workbook (XLSB)"));
    }
    if package.contains("[Content_Types].xml") {
        return Err(ExtractError::new(
            FailureCode::Damaged,
            "the Office file has no document in it; save it again in the program that made it",
        ));
    }
    Err(unsupported("an archive (ZIP)"))
}

/// The first part of an OpenDocument file says what it is; where it is missing, it counts as text.
fn open_document(package: &mut Package<'_>) -> Result<MediaType, ExtractError> {
    let stated = package.small_part("mimetype", 256)?.unwrap_or_default();
    let stated = String::from_utf8_lossy(&stated);
    let Some(kind) = stated
        .trim()
        .strip_prefix("application/vnd.oasis.opendocument.")
    else {
        return Ok(MediaType::Odt);
    };
    let what = match kind.split('-').next().unwrap_or_default() {
        "text" => return Ok(MediaType::Odt),
        "spreadsheet" => "an OpenDocument spreadsheet (ODS)",
        "presentation" => "an OpenDocument presentation (ODP)",
        _ => "an OpenDocument drawing or formula",
    };
    Err(unsupported(what))
}

/// Old Office files and encrypted new ones share one container (MS-CFB).
fn compound_file(bytes: &[u8]) -> ExtractError {
    // A directory entry's name is UTF-16 (MS-OFFCRYPTO 2.3.4).
    let name: Vec<u8> = "EncryptedPackage"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let head = &bytes[..bytes.len().min(8 * 1024 * 1024)];
    if head.windows(name.len()).any(|w| w == name) {
        return ExtractError::new(
            FailureCode::Encrypted,
            "the file is encrypted and opens only with a password; save a copy without one",
        );
    }
    unsupported("an old Office file (DOC, XLS, PPT or MSG); save it as DOCX, XLSX, PPTX or PDF")
}

fn unsupported(what: &str) -> ExtractError {
    ExtractError::new(
        FailureCode::UnsupportedType,
        format!(
            "the file is {what}, which is not read; PDF, DOCX, PPTX, XLSX, ODT, RTF, EPUB, EML, Markdown, HTML, CSV, JSON and plain text are"
        ),
    )
}

/// In lower case, without the dot.
fn extension(name: &str) -> String {
    name.rsplit_once('.')
        .map(|(_, e)| e.trim().to_lowercase())
        .unwrap_or_default()
}

/// Text has next to no control characters and decodes.
fn is_binary(text: &str) -> bool {
    let mut all = 0_usize;
    let mut odd = 0_usize;
    for c in text.chars() {
        all += 1;
        let control =
            c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}' | '\u{1b}' | '\u{1a}');
        odd += usize::from(control || c == char::REPLACEMENT_CHARACTER);
    }
    odd * 10 > all
}

fn kind_of_text(text: &str, is_cut: bool, extension: &str) -> MediaType {
    let start = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if opens_as_html(start) {
        return MediaType::Html;
    }
    if json::is_json(start, is_cut) {
        return MediaType::Json;
    }
    if is_mail(start, extension) {
        return MediaType::Eml;
    }
    match extension {
        "html" | "htm" | "xhtml" | "shtml" if start.contains('<') => MediaType::Html,
        "md" | "markdown" | "mdown" | "mkd" | "mdx" => MediaType::Markdown,
        "csv" | "tsv" | "tab" => MediaType::Csv,
        "" | "txt" | "text" if has_markdown_headings(text) => MediaType::Markdown,
        "" | "dat" if is_delimited(text) => MediaType::Csv,
        _ => MediaType::Text,
    }
}

/// HTML by what it begins with; comments, a declaration and white space may come first.
fn opens_as_html(start: &str) -> bool {
    let mut rest = start;
    for _ in 0..16 {
        let skipped = if let Some(comment) = rest.strip_prefix("<!--") {
            comment.split_once("-->").map(|(_, after)| after)
        } else if rest.starts_with("<?") {
            rest.split_once("?>").map(|(_, after)| after)
        } else {
            None
        };
        match skipped {
            Some(after) => rest = after.trim_start(),
            None => break,
        }
    }
    let tag: String = rest
        .chars()
        .take(15)
        .collect::<String>()
        .to_ascii_lowercase();
    let after_name = |name: &str| {
        tag.strip_prefix(name)
            .is_some_and(|after| after.starts_with(|c: char| c == '>' || c.is_whitespace()))
    };
    tag.starts_with("<!doctype html") || ["<html", "<head", "<body"].into_iter().any(after_name)
}

/// Lines of headers that are looked at.
const MAX_HEADERS: usize = 300;

/// A mail begins with headers (RFC 5322, 2.2), among them the sender and two more that every mail has;
/// by its name alone it is one with any of them.
fn is_mail(start: &str, extension: &str) -> bool {
    let (mut sender, mut others) = (false, 0);
    for line in start.lines().take(MAX_HEADERS) {
        if line.is_empty() {
            break;
        }
        // The rest of the header above.
        if line.starts_with([' ', '\t']) {
            continue;
        }
        let Some((name, _)) = line.split_once(':') else {
            return false;
        };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return false;
        }
        match name.to_ascii_lowercase().as_str() {
            "from" | "received" | "return-path" | "delivered-to" => sender = true,
            "to" | "subject" | "date" | "message-id" | "mime-version" | "content-type" => {
                others += 1;
            }
            _ => {}
        }
    }
    if extension == "eml" {
        return sender || others > 0;
    }
    sender && others >= 2
}

/// Two headings at least, one of them below the first level: one `# line` is a comment of a script.
fn has_markdown_headings(text: &str) -> bool {
    let mut fenced = false;
    let (mut headings, mut inner) = (0, 0);
    for line in text.lines().take(2000) {
        if line.starts_with("```") {
            fenced = !fenced;
        }
        let hashes = line.bytes().take_while(|b| *b == b'#').count();
        if !fenced && (1..=6).contains(&hashes) && line[hashes..].starts_with(' ') {
            headings += 1;
            inner += usize::from(hashes > 1);
        }
    }
    headings >= 2 && inner >= 1
}

/// At least three lines that all have the same number, two or more, of cells.
fn is_delimited(text: &str) -> bool {
    let lines: Vec<&str> = text
        .lines()
        .filter(|l| !l.trim().is_empty())
        .take(50)
        .collect();
    lines.len() >= 3
        && [',', ';', '\t'].into_iter().any(|delimiter| {
            let first = lines[0].matches(delimiter).count();
            first >= 1 && lines.iter().all(|l| l.matches(delimiter).count() == first)
        })
}

#[cfg(test)]
mod tests;
