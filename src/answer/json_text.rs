//! The text of one string field of a JSON object, decoded while it arrives.

/// Decodes `{"name": "text"}` piece by piece. What is not such an object gives no text.
#[derive(Debug)]
pub struct JsonText {
    /// `"name"`, quoted, as it stands before its value.
    key: String,
    /// What has arrived and was not decoded yet.
    rest: String,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the value's opening quote.
    Before,
    Inside,
    /// After its closing quote.
    After,
}

impl JsonText {
    /// A decoder for the field `name`.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self {
            key: format!("\"{name}\""),
            rest: String::new(),
            state: State::Before,
        }
    }

    /// Takes the next piece and gives the text that it completes.
    ///
    /// ```
    /// # use griot::answer::json_text::JsonText;
    /// let mut text = JsonText::of("answer");
    /// assert_eq!(text.feed(r#"{"answer": "On the "#), "On the ");
    /// assert_eq!(text.feed(r#"1st\u2"#), "1st");
    /// assert_eq!(text.feed(r#"026"}"#), "…");
    /// ```
    pub fn feed(&mut self, piece: &str) -> String {
        self.rest.push_str(piece);
        if self.state == State::Before {
            let value = self
                .rest
                .find(&self.key)
                .map(|at| at + self.key.len())
                .and_then(|at| {
                    let opening = self.rest[at..].find('"')?;
                    Some(at + opening + 1)
                });
            let Some(value) = value else {
                return String::new();
            };
            self.rest.drain(..value);
            self.state = State::Inside;
        }
        let mut text = String::new();
        while self.state == State::Inside {
            let Some((decoded, used)) = self.next() else {
                break;
            };
            match decoded {
                Some(decoded) => text.push(decoded),
                None => self.state = State::After,
            }
            self.rest.drain(..used);
        }
        text
    }

    /// The next character (`None`: the closing quote) and the bytes it took; nothing when it is not
    /// complete yet. An escape that is wrong becomes U+FFFD.
    fn next(&self) -> Option<(Option<char>, usize)> {
        let mut chars = self.rest.chars();
        match chars.next()? {
            '"' => Some((None, 1)),
            '\\' => match chars.next()? {
                'n' => Some((Some('\n'), 2)),
                't' => Some((Some('\t'), 2)),
                'r' => Some((Some('\r'), 2)),
                'b' | 'f' => Some((Some(' '), 2)),
                'u' => self.unicode(),
                other => Some((Some(other), 1 + other.len_utf8())),
            },
            plain => Some((Some(plain), plain.len_utf8())),
        }
    }

    /// `\uXXXX`, or two of them that are a surrogate pair.
    fn unicode(&self) -> Option<(Option<char>, usize)> {
        let unit = |at: usize| -> Option<Option<u16>> {
            if self.rest.len() < at + 4 {
                return None;
            }
            // Four bytes that are there and end inside a character are no digits.
            let digits = self.rest.get(at..at + 4);
            Some(digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()))
        };
        let Some(first) = unit(2)? else {
            return Some((Some('\u{fffd}'), 2));
        };
        if !(0xD800..0xDC00).contains(&first) {
            return Some((
                Some(char::from_u32(u32::from(first)).unwrap_or('\u{fffd}')),
                6,
            ));
        }
        let after = &self.rest.as_bytes()[6..self.rest.len().min(8)];
        if self.rest.len() < 12 && b"\\u".starts_with(after) {
            return None;
        }
        let second = if self.rest.get(6..8) == Some("\\u") {
            unit(8)?.unwrap_or(0)
        } else {
            0
        };
        match char::decode_utf16([first, second]).next() {
            Some(Ok(decoded)) => Some((Some(decoded), 12)),
            _ => Some((Some('\u{fffd}'), 6)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_nothing_of_what_it_is_not() {
        assert_eq!(JsonText::of("answer").feed("Rent is due."), "");
        assert_eq!(JsonText::of("answer").feed(r#"{"other": "x"}"#), "");
        let mut text = JsonText::of("answer");
        assert_eq!(text.feed(r#"{"answer":"a\"b\\"} tail"#), "a\"b\\");
        assert_eq!(text.feed("more"), "");
    }

    #[test]
    fn half_a_pair_holds_nothing_up() {
        let check = |json: &str, expected: &str| {
            assert_eq!(JsonText::of("answer").feed(json), expected, "{json}");
        };
        // Found by fuzzing: what follows begins inside a character.
        check("{\"answer\": \"\\ud83drä\"}", "\u{fffd}rä");
        check(
            "{\"answer\": \"\\ud83d\\u00ää tail\"}",
            "\u{fffd}\u{fffd}00ää tail",
        );
        check("{\"answer\": \"\\u12ä4 tail\"}", "\u{fffd}12ä4 tail");
    }

    proptest::proptest! {
        #[test]
        fn any_cut_gives_the_same_text(value in ".{0,24}", cuts in proptest::collection::vec(0usize..60, 0..6), ascii: bool) {
            let mut json = serde_json::json!({ "answer": value }).to_string();
            if ascii {
                let mut escaped = String::new();
                for unit in json.chars() {
                    if unit.is_ascii() { escaped.push(unit); } else {
                        for code in unit.encode_utf16(&mut [0; 2]) {
                            escaped.push_str(&format!("\\u{code:04x}"));
                        }
                    }
                }
                json = escaped;
            }
            let mut at: Vec<usize> = cuts.into_iter().filter(|cut| json.is_char_boundary(*cut) && *cut <= json.len()).collect();
            at.extend([0, json.len()]);
            at.sort_unstable();
            let mut text = JsonText::of("answer");
            let got: String = at.windows(2).map(|pair| text.feed(&json[pair[0]..pair[1]])).collect();
            let expected: String = value.chars().map(|c| if matches!(c, '\u{8}' | '\u{c}') { ' ' } else { c }).collect();
            proptest::prop_assert_eq!(got, expected);
        }
    }
}
