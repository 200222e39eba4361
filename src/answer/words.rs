//! The words of a question that carry its meaning, and those that must not be changed: its names and
//! its numbers.

use std::collections::HashSet;

use crate::domain::bm25::{self, Language, Side};

/// Stemmed words without stop words, in order, with repetitions: the same terms as in the index.
#[must_use]
pub fn content_words(text: &str) -> Vec<String> {
    bm25::terms(text, Language::English, Side::Query)
}

/// Whether a word is a number or has one in it.
#[must_use]
pub fn is_number(word: &str) -> bool {
    word.chars().any(char::is_numeric)
}

/// Whether the word at this place of a sentence is a name: capitalised, neither the first word nor a
/// grammar word.
#[must_use]
pub fn is_name(at: usize, word: &str) -> bool {
    at > 0 && word.starts_with(char::is_uppercase) && !content_words(word).is_empty()
}

/// The names and numbers that an answer may use: those of its evidence and of the question.
#[derive(Debug, Default)]
pub struct Vocabulary(HashSet<String>);

impl Vocabulary {
    /// All words of these texts.
    pub fn of<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        Self(texts.flat_map(split).map(str::to_lowercase).collect())
    }

    /// Whether every name and number in a piece of an answer is allowed. The first word of an answer
    /// may be capitalised for its place alone, so it is judged only if it has a digit.
    #[must_use]
    pub fn permits(&self, piece: &str, at_start: bool) -> bool {
        split(piece).enumerate().all(|(at, word)| {
            let number = word.chars().any(char::is_numeric);
            let name =
                word.chars().next().is_some_and(char::is_uppercase) && !(at_start && at == 0);
            let folded = word.to_lowercase();
            !(number || name)
                || self.0.contains(&folded)
                || (name && content_words(word).is_empty())
        })
    }
}

/// The words of a text: runs of letters and digits.
pub fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let names = |text: &str| -> Vec<String> {
            split(text)
                .enumerate()
                .filter(|(at, word)| is_name(*at, word))
                .map(|(_, word)| word.to_owned())
                .collect()
        };
        assert_eq!(
            names("When did Rollo meet King Charles III?"),
            ["Rollo", "King", "Charles", "III"]
        );
        assert!(names("How much is The rent?").is_empty());
        assert!(is_number("A4") && is_number("1066") && !is_number("rent"));
    }

    #[test]
    fn only_known_names_and_numbers_are_permitted() {
        let vocabulary = Vocabulary::of(
            ["Rollo paid 1,200 francs to King Charles III.", "Who paid?"].into_iter(),
        );
        let check = |piece: &str, at_start, expected| {
            assert_eq!(vocabulary.permits(piece, at_start), expected, "{piece}");
        };
        check("Rollo paid 1,200 francs", true, true);
        check("They paid it", true, true);
        check("Yesterday King Louis", true, false);
        check(" 1,300", false, false);
        check(" The", false, true);
        check(" something else", false, true);
    }
}
