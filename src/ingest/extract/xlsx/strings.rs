//! The strings that cells share: one long text and where each string ends, because millions of small
//! allocations would cost more than the words.

use std::io::BufRead;

use super::super::{
    ExtractError, Limits,
    draft::too_much_text,
    xml::{self, Node},
};

/// In the order that cells count them.
#[derive(Default)]
pub(super) struct Strings {
    text: String,
    ends: Vec<usize>,
}

impl Strings {
    pub(super) fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.text[start..end])
    }
}

/// Reads `sharedStrings.xml`.
pub(super) fn read(part: impl BufRead, limits: &Limits) -> Result<Strings, ExtractError> {
    let mut strings = Strings::default();
    let mut in_text = false;
    let mut phonetic = false;
    xml::read(part, |node| {
        match node {
            Node::Open(tag) => match tag.name {
                "t" => in_text = !phonetic,
                // How the word is spoken, for sorting.
                "rPh" => phonetic = true,
                _ => {}
            },
            Node::Close("t") => in_text = false,
            Node::Close("rPh") => phonetic = false,
            Node::Close("si") => strings.ends.push(strings.text.len()),
            Node::Text(piece) if in_text => strings.text.push_str(piece),
            Node::Close(_) | Node::Text(_) => {}
        }
        let bytes = strings.text.len() + strings.ends.len() * size_of::<usize>();
        if bytes as u64 > limits.max_text_bytes {
            return Err(too_much_text(limits.max_text_bytes));
        }
        Ok(())
    })?;
    Ok(strings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_found_by_number() {
        let source = "<sst><si><t>one</t></si><si/><si><r><t>t</t></r><r><t>wo</t></r><rPh><t>x</t></rPh></si></sst>";
        let strings = read(source.as_bytes(), &Limits::default()).unwrap();
        let found = [0, 1, 2, 3].map(|i| strings.get(i));
        assert_eq!(found, [Some("one"), Some(""), Some("two"), None]);
    }
}
