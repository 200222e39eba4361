//! In which encoding a font's bytes are.

use std::collections::HashMap;

use encoding_rs::{
    BIG5, EUC_KR, Encoding, GBK, MACINTOSH, SHIFT_JIS, UTF_8, WINDOWS_874, WINDOWS_1250,
    WINDOWS_1251, WINDOWS_1252, WINDOWS_1253, WINDOWS_1254, WINDOWS_1255, WINDOWS_1256,
    WINDOWS_1257, WINDOWS_1258,
};

/// Fonts of one document.
const MAX_FONTS: usize = 10_000;

/// What bytes of text mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Charset {
    Encoded(&'static Encoding),
    /// Pictures in place of letters.
    Symbols,
}

/// The table of fonts.
#[derive(Default)]
pub(super) struct Fonts {
    by_number: HashMap<i32, Charset>,
    /// The font being described.
    open: i32,
    document: Option<&'static Encoding>,
    /// Used where none is named.
    pub(super) default: i32,
}

impl Fonts {
    /// `\ansicpg` and its relatives: where fonts do not say, the whole document's.
    pub(super) fn set_document(&mut self, code_page: i32) {
        self.document = code_page_encoding(code_page);
    }

    pub(super) fn charset(&self, font: Option<i32>) -> Charset {
        let font = font.unwrap_or(self.default);
        let document = Charset::Encoded(self.document.unwrap_or(WINDOWS_1252));
        self.by_number.get(&font).copied().unwrap_or(document)
    }

    /// A word of the table's description of fonts.
    pub(super) fn word(&mut self, word: &str, number: i32) {
        let charset = match word {
            "f" => {
                self.open = number;
                return;
            }
            "fcharset" => match number {
                2 => Some(Charset::Symbols),
                number => windows_charset(number).map(Charset::Encoded),
            },
            "cpg" => code_page_encoding(number).map(Charset::Encoded),
            _ => return,
        };
        if let Some(charset) = charset
            && self.by_number.len() < MAX_FONTS
        {
            self.by_number.insert(self.open, charset);
        }
    }
}

/// RTF Specification 1.9.1, "Font Table"; `None` for ANSI and default, which are the document's own.
fn windows_charset(number: i32) -> Option<&'static Encoding> {
    Some(match number {
        77 => MACINTOSH,
        128 => SHIFT_JIS,
        129 | 130 => EUC_KR,
        134 => GBK,
        136 => BIG5,
        161 => WINDOWS_1253,
        162 => WINDOWS_1254,
        163 => WINDOWS_1258,
        177 | 181 => WINDOWS_1255,
        178..=180 => WINDOWS_1256,
        186 => WINDOWS_1257,
        204 => WINDOWS_1251,
        222 => WINDOWS_874,
        238 => WINDOWS_1250,
        _ => return None,
    })
}

fn code_page_encoding(number: i32) -> Option<&'static Encoding> {
    Some(match number {
        874 => WINDOWS_874,
        932 => SHIFT_JIS,
        936 => GBK,
        949 | 1361 => EUC_KR,
        950 => BIG5,
        1250 => WINDOWS_1250,
        1251 => WINDOWS_1251,
        1252 => WINDOWS_1252,
        1253 => WINDOWS_1253,
        1254 => WINDOWS_1254,
        1255 => WINDOWS_1255,
        1256 => WINDOWS_1256,
        1257 => WINDOWS_1257,
        1258 => WINDOWS_1258,
        10000 => MACINTOSH,
        65001 => UTF_8,
        _ => return None,
    })
}
