//! Tokens are bytes, and a character may be spread over several of them. This holds the beginning
//! of a character back until the rest has come.

/// Collects bytes and gives whole characters.
#[derive(Debug, Default)]
pub struct Utf8Assembler {
    /// The first bytes of a character that is not complete yet; at most 3.
    pending: Vec<u8>,
}

impl Utf8Assembler {
    /// Takes the bytes of one token and returns every character that is complete now. Bytes that
    /// can never become a character turn into U+FFFD, one for each maximal invalid sequence, as
    /// [`String::from_utf8_lossy`] does.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        let mut rest = self.pending.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(whole) => {
                    text.push_str(whole);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (good, bad) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(good));
                    let Some(length) = error.error_len() else {
                        rest = bad;
                        break;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &bad[length..];
                }
            }
        }
        self.pending = rest.to_vec();
        text
    }

    /// What is left when no more bytes come: nothing, or U+FFFD for a character that broke off.
    pub fn finish(&mut self) -> String {
        let left = std::mem::take(&mut self.pending);
        String::from_utf8_lossy(&left).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each push's output, then what `finish` gave.
    fn check(pushes: &[&[u8]], expected: &[&str]) {
        let mut assembler = Utf8Assembler::default();
        let mut got: Vec<String> = pushes.iter().map(|bytes| assembler.push(bytes)).collect();
        got.push(assembler.finish());
        assert_eq!(got, expected, "for {pushes:?}");
    }

    #[test]
    fn gives_whole_characters_only() {
        check(&[b"abc"], &["abc", ""]);
        check(&[b"\xc3", b"\xa9t\xc3\xa9"], &["", "été", ""]);
        check(&[b"\xf0\x9f", b"\x98", b"\x80!"], &["", "", "😀!", ""]);
        check(&[b"a\xe2\x82"], &["a", "\u{fffd}"]);
        check(&[b"a\xff", b"b"], &["a\u{fffd}", "b", ""]);
        check(&[b"\xe2\x82", b"x"], &["", "\u{fffd}x", ""]);
        check(&[b"", b""], &["", "", ""]);
        check(&[b"\xf0\x9f\x98\x80\xf0\x9f"], &["😀", "\u{fffd}"]);
    }
}
