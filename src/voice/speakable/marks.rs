//! Marks of writing that nobody reads out, and addresses.

use std::borrow::Cow;

/// Leaves out citations and what Markdown is written with.
pub(super) fn without_marks(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['[', '*', '_', '`', '#', '|', '<', '>', '~']) {
        kept.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(length) = citation(rest) {
            // The space before it goes with it: "rent [1]." is "rent.".
            if kept.ends_with(' ') {
                kept.pop();
            }
            rest = &rest[length..];
        } else if let Some((name, length)) = link(rest) {
            kept.push_str(name);
            rest = &rest[length..];
        } else {
            let inside = |kept: &str| {
                kept.ends_with(char::is_alphanumeric)
                    && rest[1..].starts_with(char::is_alphanumeric)
            };
            match rest.as_bytes()[0] {
                // snake_case and a<b: a mark inside a word parts it.
                b'_' | b'<' | b'>' | b'|' if inside(&kept) => kept.push(' '),
                b'[' => kept.push('['),
                b'|' => kept.push(','),
                b'#' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                    kept.push_str("number ")
                }
                _ => {}
            }
            rest = &rest[1..];
        }
    }
    kept.push_str(rest);
    kept
}

/// Leaves out citations only: for those who show a text and have nowhere to put what it rests on.
#[must_use]
pub fn without_citations(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('[') {
        kept.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = match citation(rest) {
            Some(length) => {
                let until = kept.trim_end_matches(' ').len();
                kept.truncate(until);
                length
            }
            None => {
                kept.push('[');
                1
            }
        };
        rest = &rest[length..];
    }
    kept.push_str(rest);
    kept
}

/// The length of `[1]`, `[2, 3]` or `[4-6]` at the beginning.
fn citation(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('[')?;
    let end = inside.find(']')?;
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, ',' | ' ' | '-' | '–' | ';');
    let marks = &inside[..end];
    (marks.starts_with(|c: char| c.is_ascii_digit()) && marks.chars().all(is_number))
        .then_some(end + 2)
}

/// The name and the length of `[name](address)` at the beginning.
fn link(text: &str) -> Option<(&str, usize)> {
    let inside = text.strip_prefix('[')?;
    let (name, rest) = inside.split_once("](")?;
    let end = rest.find(')')?;
    (!name.contains(['[', '\n'])).then_some((name, 1 + name.len() + 2 + end + 1))
}

/// Web and mail addresses, without what nobody reads out: the protocol, the path and its arguments.
pub(super) fn address(word: &str) -> Cow<'_, str> {
    let bare = word.trim_start_matches(['(', '"', '\'']);
    let end = bare.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '"', '\'']);
    let after = &bare[end.len()..];
    let spelled = |text: &str| {
        text.replace('.', " dot ")
            .replace('-', " dash ")
            .replace('_', " underscore ")
    };
    let protocol = ["https://", "http://", "ftp://"]
        .iter()
        .find_map(|p| end.strip_prefix(p));
    if let Some(rest) = protocol.or_else(|| end.starts_with("www.").then_some(end)) {
        let host = rest.split(['/', '?', '#', ':']).next().unwrap_or(rest);
        let host = host.strip_prefix("www.").unwrap_or(host);
        return Cow::Owned(spelled(host) + after);
    }
    match end.split_once('@') {
        Some((name, host)) if !name.is_empty() && host.contains('.') && !host.contains('@') => {
            Cow::Owned(format!("{} at {}{after}", spelled(name), spelled(host)))
        }
        _ => Cow::Borrowed(word),
    }
}
