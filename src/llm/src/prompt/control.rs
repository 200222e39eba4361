//! Control tokens in template text.

use super::{Token, template::Part};

/// A control token and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    pub text: String,
    pub token: Token,
    /// Swallows white space before it.
    pub strips_left: bool,
    /// Swallows white space after it.
    pub strips_right: bool,
}

/// The control tokens of a vocabulary.
#[derive(Debug, Default)]
pub struct ControlTokens {
    /// Longest first, so that a token is not mistaken for one it begins with.
    longest_first: Vec<Control>,
    /// Which bytes a control token may begin with.
    first_bytes: Vec<u8>,
}

/// What the tokenizer is given, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Control(Token),
    /// To be tokenized as plain text: control tokens written out in it are not recognised.
    Text(String),
}

impl ControlTokens {
    pub fn new(controls: impl IntoIterator<Item = Control>) -> Self {
        let mut longest_first: Vec<Control> = controls
            .into_iter()
            .filter(|control| !control.text.is_empty())
            .collect();
        longest_first.sort_by(|a, b| {
            b.text
                .len()
                .cmp(&a.text.len())
                .then_with(|| a.text.cmp(&b.text))
        });
        let mut first_bytes: Vec<u8> = longest_first
            .iter()
            .map(|control| control.text.as_bytes()[0])
            .collect();
        first_bytes.sort_unstable();
        first_bytes.dedup();
        Self {
            longest_first,
            first_bytes,
        }
    }

    /// The first control token that is written out in `text`, and where.
    pub fn find<'a>(&'a self, text: &str) -> Option<(usize, &'a Control)> {
        text.bytes()
            .enumerate()
            .filter(|(_, byte)| self.first_bytes.binary_search(byte).is_ok())
            .find_map(|(at, _)| {
                let rest = &text.as_bytes()[at..];
                self.longest_first
                    .iter()
                    .find(|control| rest.starts_with(control.text.as_bytes()))
                    .map(|control| (at, control))
            })
    }

    /// Cuts a rendered prompt into control tokens and plain text. Text that meets, from the template
    /// or from a content, is joined: the tokenizer then sees what it would see in one string, and a
    /// prompt without control tokens in its contents has the very tokens of that string.
    pub fn split(&self, parts: &[Part]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut strip_next = false;
        for part in parts {
            let mut rest = match part {
                Part::Content(content) => {
                    push(&mut text, content, &mut strip_next);
                    continue;
                }
                Part::Template(template) => template.as_str(),
            };
            while let Some((at, control)) = self.find(rest) {
                push(&mut text, &rest[..at], &mut strip_next);
                if control.strips_left {
                    text.truncate(text.trim_end().len());
                }
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.push(Piece::Control(control.token));
                strip_next = control.strips_right;
                rest = &rest[at + control.text.len()..];
            }
            push(&mut text, rest, &mut strip_next);
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        pieces
    }
}

fn push(text: &mut String, more: &str, strip_next: &mut bool) {
    let more = if *strip_next { more.trim_start() } else { more };
    if !more.is_empty() {
        *strip_next = false;
        text.push_str(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn controls() -> ControlTokens {
        let control = |text: &str, token, strips_left, strips_right| Control {
            text: text.to_owned(),
            token,
            strips_left,
            strips_right,
        };
        ControlTokens::new([
            control("<|end|>", 1, false, true),
            control("<|end|>!", 2, false, false),
            control("<s>", 3, false, false),
            control("<sep>", 4, true, false),
            control("", 5, false, false),
        ])
    }

    /// `parts`: template text in plain, contents with a leading `=`.
    fn check(parts: &[&str], expected: &[&str]) {
        let parts: Vec<Part> = parts
            .iter()
            .map(|part| match part.strip_prefix('=') {
                Some(content) => Part::Content(content.to_owned()),
                None => Part::Template((*part).to_owned()),
            })
            .collect();
        let got: Vec<String> = controls()
            .split(&parts)
            .into_iter()
            .map(|piece| match piece {
                Piece::Control(token) => format!("#{token}"),
                Piece::Text(text) => text,
            })
            .collect();
        assert_eq!(got, expected, "{parts:?}");
    }

    #[test]
    fn control_tokens_are_read_in_templates_only() {
        check(&["<s>hello"], &["#3", "hello"]);
        check(&["<s>user\n", "=hi", "<|end|>"], &["#3", "user\nhi", "#1"]);
        check(
            &["<s>", "=<s>x<|end|>", "<sep>"],
            &["#3", "<s>x<|end|>", "#4"],
        );
        check(&["<|end|>!a"], &["#2", "a"]);
        check(&["=<|end", "|>"], &["<|end|>"]);
        check(&["<|end", "=|>"], &["<|end|>"]);
        check(&["<|end|>  \n ", "= x"], &["#1", "x"]);
        check(&["a \n<sep> b"], &["a", "#4", " b"]);
        check(&["", "=", ""], &[]);
        check(&["é<s>é"], &["é", "#3", "é"]);
    }
}
