//! A question, parsed: no control characters, not empty.

use std::fmt;

/// What a person asks, trimmed. It is never empty, and its length was checked at the edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question(String);

/// Why a text is not a question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuestion {
    #[error("the question is empty")]
    Empty,
    #[error("the question has {chars} characters; at most {limit} are allowed")]
    TooLong { chars: usize, limit: usize },
}

impl Question {
    /// Trims, replaces control characters by spaces and checks the length (in characters).
    ///
    /// # Errors
    /// When nothing is left, or more than `limit` characters are.
    pub fn parse(given: &str, limit: usize) -> Result<Self, InvalidQuestion> {
        let clean: String = given
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let clean = clean.trim();
        let chars = clean.chars().count();
        if chars == 0 {
            Err(InvalidQuestion::Empty)
        } else if chars > limit {
            Err(InvalidQuestion::TooLong { chars, limit })
        } else {
            Ok(Self(clean.to_owned()))
        }
    }

    /// The question's words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses() {
        assert_eq!(Question::parse(" a\u{0}b\n", 9).unwrap().as_str(), "a b");
        assert_eq!(Question::parse(" \t", 9), Err(InvalidQuestion::Empty));
        let too_long = InvalidQuestion::TooLong { chars: 3, limit: 2 };
        assert_eq!(Question::parse("äöü", 2), Err(too_long));
    }
}
