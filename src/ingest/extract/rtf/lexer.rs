//! RTF's signs: groups, control words, bytes of text (RTF Specification 1.9.1, "RTF Syntax").

/// Letters of a control word.
const MAX_WORD: usize = 32;

/// Digits of its number.
const MAX_DIGITS: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Open,
    Close,
    /// `\word12`, without the backslash, and its number.
    Word(&'a str, Option<i32>),
    /// A backslash and a sign that is no letter.
    Symbol(u8),
    /// One byte of text, written as `\'hh`.
    Byte(u8),
    /// Bytes of text as they stand.
    Text(&'a [u8]),
}

pub(super) struct Lexer<'a> {
    rest: &'a [u8],
}

impl<'a> Lexer<'a> {
    pub(super) fn new(source: &'a [u8]) -> Self {
        Self { rest: source }
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// What a backslash begins; `None` where that says nothing and is passed over.
    fn control(&mut self, first: u8) -> Option<Token<'a>> {
        if first == b'\'' {
            let digit = |at: usize| char::from(*self.rest.get(at)?).to_digit(16);
            let byte = match (digit(2), digit(3)) {
                (Some(high), Some(low)) => (high * 16 + low) as u8,
                // No byte at all; the sign is passed over.
                _ => {
                    self.skip(2);
                    return None;
                }
            };
            self.skip(4);
            return Some(Token::Byte(byte));
        }
        if !first.is_ascii_alphabetic() {
            self.skip(2);
            return Some(Token::Symbol(first));
        }
        let body = &self.rest[1..];
        let letters = body
            .iter()
            .take(MAX_WORD)
            .take_while(|b| b.is_ascii_alphabetic())
            .count();
        let word = std::str::from_utf8(&body[..letters]).unwrap_or_default();
        let mut end = letters;
        let negative =
            body.get(end) == Some(&b'-') && body.get(end + 1).is_some_and(u8::is_ascii_digit);
        end += usize::from(negative);
        let digits = body[end..]
            .iter()
            .take(MAX_DIGITS)
            .take_while(|b| b.is_ascii_digit())
            .count();
        let number = std::str::from_utf8(&body[end..end + digits])
            .ok()
            .and_then(|digits| digits.parse::<i64>().ok())
            .map(|number| if negative { -number } else { number })
            .map(|number| number.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32);
        end += digits;
        // One space ends the word and is no text.
        end += usize::from(body.get(end) == Some(&b' '));
        self.skip(1 + end);
        if word == "bin" {
            // Raw bytes, in which braces mean nothing.
            self.skip(usize::try_from(number.unwrap_or(0)).unwrap_or(0));
            return None;
        }
        Some(Token::Word(word, number))
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            match self.rest.first()? {
                b'{' => {
                    self.skip(1);
                    return Some(Token::Open);
                }
                b'}' => {
                    self.skip(1);
                    return Some(Token::Close);
                }
                // Lines of the file are not lines of the text.
                b'\r' | b'\n' | 0 => self.skip(1),
                b'\\' if self.rest.len() > 1 && self.rest[1] == b'\'' && self.rest.len() < 4 => {
                    self.rest = &[];
                }
                b'\\' => {
                    let first = *self.rest.get(1)?;
                    // A loop, because a file may hold nothing else than what says nothing.
                    if let Some(token) = self.control(first) {
                        return Some(token);
                    }
                }
                _ => {
                    let ends = |b: &u8| matches!(b, b'{' | b'}' | b'\\' | b'\r' | b'\n' | 0);
                    let length = self.rest.iter().position(ends).unwrap_or(self.rest.len());
                    let text = &self.rest[..length];
                    self.skip(length);
                    return Some(Token::Text(text));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &[u8], expected: &[Token<'_>]) {
        let tokens: Vec<Token<'_>> = Lexer::new(source).collect();
        assert_eq!(tokens, expected);
    }

    #[test]
    fn signs_are_told_apart() {
        use Token::{Byte, Close, Open, Symbol, Text, Word};
        check(
            b"{\\rtf1\\ansi a\r\nb\\'e9c\\~\\u-10?\\par}",
            &[
                Open,
                Word("rtf", Some(1)),
                Word("ansi", None),
                Text(b"a"),
                Text(b"b"),
                Byte(0xe9),
                Text(b"c"),
                Symbol(b'~'),
                Word("u", Some(-10)),
                Text(b"?"),
                Word("par", None),
                Close,
            ],
        );
        check(b"\\bin3 }}}x", &[Text(b"x")]);
        check(b"\\bin99999 }", &[]);
        check(
            b"\\b-x\\li99999999999",
            &[
                Word("b", None),
                Text(b"-x"),
                Word("li", Some(i32::MAX)),
                Text(b"9"),
            ],
        );
        check(b"\\'4", &[]);
        check(b"\\'zzq", &[Text(b"zzq")]);
        check(b"\\", &[]);
    }

    #[test]
    fn what_says_nothing_costs_no_stack() {
        check("\\'".repeat(1 << 20).as_bytes(), &[]);
        check("\\bin0 ".repeat(1 << 20).as_bytes(), &[]);
    }
}
