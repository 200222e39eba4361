//! What stands in for the contents of messages while a template is rendered.

use std::hash::{BuildHasher, RandomState};

use super::Part;
use crate::wire::request::Message;

/// Digits in a placeholder after the secret: the number of the message.
const INDEX_DIGITS: usize = 6;

/// Placeholders of one rendering: digits only, which templates neither trim nor fold to another
/// case, and no message can hold one since it is drawn afterwards.
pub struct Placeholders {
    secret: String,
}

impl Placeholders {
    pub fn new(secret: &RandomState) -> Self {
        // Two keyed hashes of the time: 128 bits that cannot be foretold without the key.
        let now = std::time::SystemTime::now();
        let (high, low) = (secret.hash_one((now, 0)), secret.hash_one((now, 1)));
        Self {
            secret: format!("{high:020}{low:020}"),
        }
    }

    /// What stands in for a content. White space around it stays, so that a template that trims
    /// does trim; a content of white space alone has nothing to hide.
    pub fn stand_in(&self, index: usize, content: &str) -> String {
        let core = content.trim();
        if core.is_empty() {
            return content.to_owned();
        }
        let (before, after) = around(content, core);
        format!("{before}{}{index:0INDEX_DIGITS$}{after}", self.secret)
    }

    /// Puts the contents back. `None` when a message's placeholder is nowhere whole.
    pub fn put_back(&self, rendered: &str, messages: &[Message]) -> Option<Vec<Part>> {
        let mut parts = Vec::new();
        let mut met = vec![false; messages.len()];
        let mut rest = rendered;
        while let Some(at) = rest.find(&self.secret) {
            let (template, placeholder) = rest.split_at(at);
            let digits = placeholder.get(self.secret.len()..self.secret.len() + INDEX_DIGITS)?;
            let index: usize = digits.parse().ok()?;
            let core = messages.get(index)?.content.trim();
            *met.get_mut(index)? = true;
            parts.push(Part::Template(template.to_owned()));
            parts.push(Part::Content(core.to_owned()));
            rest = &placeholder[self.secret.len() + INDEX_DIGITS..];
        }
        parts.push(Part::Template(rest.to_owned()));
        let all_met = messages
            .iter()
            .zip(met)
            .all(|(message, met)| met || message.content.trim().is_empty());
        all_met.then_some(parts)
    }
}

/// The white space before and after `core`, which is `content` trimmed.
fn around<'a>(content: &'a str, core: &str) -> (&'a str, &'a str) {
    let before = content.len() - content.trim_start().len();
    (&content[..before], &content[before + core.len()..])
}
