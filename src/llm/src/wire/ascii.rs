//! JSON in pure ASCII.
//!
//! ollama-rs turns each network chunk into a string by itself and drops one that ends inside a
//! character. Where every character beyond ASCII is written as an escape there is no such chunk.

use std::io;

use serde::Serialize;
use serde_json::{
    Serializer,
    ser::{CompactFormatter, Formatter},
};

/// Writes a value as one line of ASCII JSON, without the newline.
///
/// # Panics
/// Never for the types of this crate: their maps have string keys and their `Serialize` is derived.
pub fn to_line(value: &impl Serialize) -> String {
    let mut line = Vec::with_capacity(256);
    value
        .serialize(&mut Serializer::with_formatter(&mut line, AsciiFormatter))
        .expect("writing to memory, with string keys only, cannot fail");
    String::from_utf8(line).expect("the formatter writes ASCII only")
}

struct AsciiFormatter;

impl Formatter for AsciiFormatter {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        let mut plain_from = 0;
        for (at, character) in fragment.char_indices().filter(|(_, c)| !c.is_ascii()) {
            CompactFormatter.write_string_fragment(writer, &fragment[plain_from..at])?;
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                write!(writer, "\\u{unit:04x}")?;
            }
            plain_from = at + character.len_utf8();
        }
        CompactFormatter.write_string_fragment(writer, &fragment[plain_from..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let line = to_line(&text);
        assert_eq!(line, expected);
        assert!(line.is_ascii());
        let back: String = serde_json::from_str(&line).unwrap();
        assert_eq!(back, text);
    }

    #[test]
    fn everything_beyond_ascii_is_escaped() {
        check("plain", r#""plain""#);
        check("é", r#""\u00e9""#);
        check("a\u{1F600}b", r#""a\ud83d\ude00b""#);
        check(
            "quote \" and \\ and\nline",
            r#""quote \" and \\ and\nline""#,
        );
        check("\u{0} \u{1f} \u{7f}", "\"\\u0000 \\u001f \u{7f}\"");
        check("日本", r#""\u65e5\u672c""#);
    }

    #[test]
    fn keys_are_escaped_too() {
        let map = std::collections::BTreeMap::from([("ключ", 1)]);
        assert_eq!(to_line(&map), r#"{"\u043a\u043b\u044e\u0447":1}"#);
    }
}
