//! Bytes of a text in whatever encoding to UTF-8.
//!
//! In this order: a byte order mark; UTF-16 by its zero bytes; UTF-8 where it is valid; EBCDIC by its
//! letters; what the document declares; what the bytes look like (chardetng). A declaration never
//! overrules a mark or valid UTF-8, because both are right far more often than declarations are.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, ISO_8859_8, UTF_8, UTF_16BE, UTF_16LE};

use super::bidi;

/// Bytes that the guess looks at.
const LOOKED_AT: usize = 256 * 1024;

/// Decodes `bytes`. `declared` is the name that the document itself gives its encoding (HTML `meta`,
/// XML declaration). What cannot be decoded becomes U+FFFD.
pub(super) fn decode(bytes: &[u8], declared: Option<&str>) -> String {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        // UTF-32LE begins with UTF-16LE's mark and two zeros.
        if encoding == UTF_16LE && bytes.get(2..4) == Some(&[0, 0]) && bytes.len().is_multiple_of(4)
        {
            return utf32(&bytes[4..], u32::from_le_bytes);
        }
        return encoding
            .decode_without_bom_handling(&bytes[mark..])
            .0
            .into_owned();
    }
    if bytes.starts_with(&[0, 0, 0xfe, 0xff]) {
        return utf32(&bytes[4..], u32::from_be_bytes);
    }
    if let Some(encoding) = utf16_without_mark(bytes) {
        return encoding.decode_without_bom_handling(bytes).0.into_owned();
    }
    let head = &bytes[..bytes.len().min(LOOKED_AT)];
    let iso_2022 = head.contains(&0x1b);
    match std::str::from_utf8(bytes) {
        Ok(text) if !iso_2022 => return text.to_owned(),
        _ if mostly_utf8(bytes) => return String::from_utf8_lossy(bytes).into_owned(),
        _ => {}
    }
    if looks_like_ebcdic(head) {
        return bytes.iter().map(|b| CP500[usize::from(*b)]).collect();
    }
    let declared = declared
        .and_then(|name| Encoding::for_label(name.trim().as_bytes()))
        .filter(|e| *e != UTF_8 && *e != UTF_16LE && *e != UTF_16BE);
    if let Some(encoding) = declared {
        let (text, _, damaged) = encoding.decode(bytes);
        if !damaged {
            return visual_to_logical(encoding, text.into_owned());
        }
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(head, true);
    let encoding = detector.guess(None, Utf8Detection::Allow);
    visual_to_logical(encoding, encoding.decode(bytes).0.into_owned())
}

/// Whether `bytes` are UTF-16.
pub(super) fn is_utf16(bytes: &[u8]) -> bool {
    let marked = Encoding::for_bom(bytes).map(|(encoding, _)| encoding);
    marked
        .or_else(|| utf16_without_mark(bytes))
        .is_some_and(|e| e != UTF_8)
}

/// ISO-8859-8 without `-I` is Hebrew in the order it is seen; text is kept in the order it is read.
fn visual_to_logical(encoding: &'static Encoding, text: String) -> String {
    if encoding != ISO_8859_8 {
        return text;
    }
    let lines: Vec<String> = text.split('\n').map(bidi::logical_order).collect();
    lines.join("\n")
}

/// Texts of alphabets have a zero in every other byte of UTF-16, always on the same side.
fn utf16_without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(LOOKED_AT) & !1];
    let pairs = head.len() / 2;
    if pairs < 2 {
        return None;
    }
    let high = head.iter().step_by(2).filter(|b| **b == 0).count();
    let low = head.iter().skip(1).step_by(2).filter(|b| **b == 0).count();
    // Both at once is a text full of NULs, or no text.
    if high * 5 > pairs * 2 && low * 20 < pairs {
        Some(UTF_16BE)
    } else if low * 5 > pairs * 2 && high * 20 < pairs {
        Some(UTF_16LE)
    } else {
        None
    }
}

/// UTF-8 in which some bytes were damaged: far more whole sequences than broken ones.
fn mostly_utf8(bytes: &[u8]) -> bool {
    let (mut whole, mut broken) = (0_usize, 0_usize);
    for chunk in bytes.utf8_chunks() {
        whole += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        broken += usize::from(!chunk.invalid().is_empty());
    }
    whole > 0 && whole >= broken * 8
}

fn utf32(bytes: &[u8], unit: fn([u8; 4]) -> u32) -> String {
    bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|four| char::from_u32(unit(*four)).unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// Whether most bytes are letters, digits, spaces and full stops of EBCDIC and hardly any is a space
/// of ASCII. EBCDIC's space is `@` in ASCII, its small letters lie above 0x80.
pub(super) fn looks_like_ebcdic(head: &[u8]) -> bool {
    let count = |test: fn(u8) -> bool| head.iter().filter(|b| test(**b)).count();
    let spaces = count(|b| b == 0x40);
    let letters = count(
        |b| matches!(b, 0x81..=0x89 | 0x91..=0x99 | 0xa2..=0xa9 | 0xc1..=0xc9 | 0xd1..=0xd9 | 0xe2..=0xe9 | 0xf0..=0xf9),
    );
    let ends = count(|b| matches!(b, 0x15 | 0x25 | 0x0d | 0x4b | 0x6b));
    let ascii_spaces = count(|b| b == 0x20);
    head.len() >= 32
        && spaces * 20 > head.len()
        && letters * 2 > head.len()
        && (spaces + letters + ends) * 20 > head.len() * 17
        && ascii_spaces * 50 < head.len()
}

/// IBM code page 500 (International EBCDIC), byte → character, from IBM's CDRA table 00500. The
/// controls that end a line (0x15 NL, 0x25 LF) both give `\n`.
static CP500: [char; 256] = cp500();

const fn cp500() -> [char; 256] {
    let mut table = ['\u{0}'; 256];
    table[0x05] = '\t';
    table[0x0d] = '\r';
    table[0x15] = '\n';
    table[0x25] = '\n';
    let rows: [(usize, [char; 16]); 12] = [
        (
            0x40,
            [
                ' ', '\u{a0}', 'â', 'ä', 'à', 'á', 'ã', 'å', 'ç', 'ñ', '[', '.', '<', '(', '+', '!',
            ],
        ),
        (
            0x50,
            [
                '&', 'é', 'ê', 'ë', 'è', 'í', 'î', 'ï', 'ì', 'ß', ']', '$', '*', ')', ';', '^',
            ],
        ),
        (
            0x60,
            [
                '-', '/', 'Â', 'Ä', 'À', 'Á', 'Ã', 'Å', 'Ç', 'Ñ', '¦', ',', '%', '_', '>', '?',
            ],
        ),
        (
            0x70,
            [
                'ø', 'É', 'Ê', 'Ë', 'È', 'Í', 'Î', 'Ï', 'Ì', '`', ':', '#', '@', '\'', '=', '"',
            ],
        ),
        (
            0x80,
            [
                'Ø', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', '«', '»', 'ð', 'ý', 'þ', '±',
            ],
        ),
        (
            0x90,
            [
                '°', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 'ª', 'º', 'æ', '¸', 'Æ', '¤',
            ],
        ),
        (
            0xa0,
            [
                'µ', '~', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', '¡', '¿', 'Ð', 'Ý', 'Þ', '®',
            ],
        ),
        (
            0xb0,
            [
                '¢', '£', '¥', '·', '©', '§', '¶', '¼', '½', '¾', '¬', '|', '¯', '¨', '´', '×',
            ],
        ),
        (
            0xc0,
            [
                '{', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', '\u{ad}', 'ô', 'ö', 'ò', 'ó', 'õ',
            ],
        ),
        (
            0xd0,
            [
                '}', 'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q', 'R', '¹', 'û', 'ü', 'ù', 'ú', 'ÿ',
            ],
        ),
        (
            0xe0,
            [
                '\\', '÷', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', '²', 'Ô', 'Ö', 'Ò', 'Ó', 'Õ',
            ],
        ),
        (
            0xf0,
            [
                '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '³', 'Û', 'Ü', 'Ù', 'Ú', '\u{0}',
            ],
        ),
    ];
    let mut row = 0;
    while row < rows.len() {
        let mut column = 0;
        while column < 16 {
            table[rows[row].0 + column] = rows[row].1[column];
            column += 1;
        }
        row += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], declared: Option<&str>, expected: &str) {
        assert_eq!(decode(bytes, declared), expected);
    }

    fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    }

    #[test]
    fn marks_decide() {
        check(b"\xef\xbb\xbfna\xc3\xafve", Some("windows-1252"), "naïve");
        check(b"\xff\xfeH\0i\0", None, "Hi");
        check(b"\xfe\xff\0H\0i", None, "Hi");
        check(b"\xff\xfe\0\0H\0\0\0\x0c\xf3\x01\0", None, "H🌌");
        check(b"\0\0\xfe\xff\0\0\0H\0\x11\xff\xff", None, "H\u{fffd}");
    }

    #[test]
    fn utf16_is_seen_without_a_mark() {
        check(
            &utf16("This is a test", u16::to_be_bytes),
            None,
            "This is a test",
        );
        check(&utf16("naïve œuvre", u16::to_le_bytes), None, "naïve œuvre");
        check(
            &utf16("Привет, мир. Это тест.\n", u16::to_le_bytes).repeat(3)[..2],
            None,
            "\u{1f}\u{4}",
        );
    }

    #[test]
    fn utf8_beats_what_is_declared() {
        check("naïve".as_bytes(), Some("iso-8859-1"), "naïve");
        let damaged = [" größer über naïve Straße äöü".as_bytes(), b"\xff end"].concat();
        check(
            &damaged,
            Some("iso-8859-1"),
            " größer über naïve Straße äöü\u{fffd} end",
        );
    }

    #[test]
    fn declared_beats_the_guess() {
        check(b"\xe9t\xe9", Some("windows-1251"), "йtй");
        check(b"\xe9t\xe9", Some("utf-8"), "été");
        check(b"\xe9t\xe9", Some("no such charset"), "été");
    }

    #[test]
    fn legacy_encodings_are_guessed() {
        let (sjis, _, _) =
            encoding_rs::SHIFT_JIS.encode("名前,年齢,住所\n佐藤太郎,30,東京\n三木英子,25,大阪\n");
        check(
            &sjis,
            None,
            "名前,年齢,住所\n佐藤太郎,30,東京\n三木英子,25,大阪\n",
        );
        check(b"the \x93trigger\x94 for it", None, "the “trigger” for it");
        let (arabic, _, _) = encoding_rs::WINDOWS_1256.encode("في قرية من القرى كان هناك رجل حكيم");
        check(&arabic, Some("UTF-8"), "في قرية من القرى كان هناك رجل حكيم");
        let (jis, _, _) = encoding_rs::ISO_2022_JP.encode("こんにちは世界");
        check(&jis, None, "こんにちは世界");
    }

    #[test]
    fn ebcdic_is_seen() {
        let text = "The quick brown fox jumps over the lazy dog. 0123456789\n";
        let bytes: Vec<u8> = text
            .chars()
            .map(|c| CP500.iter().position(|t| *t == c).unwrap() as u8)
            .collect();
        check(&bytes, None, text);
    }

    #[test]
    fn visual_hebrew_is_turned() {
        // "shalom 123" as it is seen from the left.
        let (bytes, _, _) = ISO_8859_8.encode("123 םולש");
        check(&bytes, Some("iso-8859-8"), "שלום 123");
        check(&bytes, Some("iso-8859-8-i"), "123 םולש");
    }
}
