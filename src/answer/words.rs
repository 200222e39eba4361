//! The words of a question that carry its meaning, and those that must not be changed: its names and
//! its numbers.

use std::collections::HashSet;

use crate::domain::bm25::{self, Language, Side};

/// Stemmed words without stop words, in order, with repetitions: the same terms as in the index.
#[must_use]
pub fn content_words(text: &str) -> Vec<String> {
    bm25::terms(text, Language::English, Side::Query)
}

/// Names and numbers of a question, folded to lower case: words with a digit, and capitalised words
/// that neither begin the question nor are among its grammar words.
#[must_use]
pub fn anchors(question: &str) -> Vec<String> {
    let mut anchors = Vec::new();
    for (at, word) in split(question).enumerate() {
        let number = word.chars().any(char::is_numeric);
        let name = at > 0
            && word.chars().next().is_some_and(char::is_uppercase)
            && !content_words(word).is_empty();
        if number || name {
            anchors.push(word.to_lowercase());
        }
    }
    anchors
}

/// The share of a question's content words that stand in `text`; 1 when the question has none.
#[must_use]
pub fn coverage(question: &str, text: &str) -> f32 {
    share(&content_words(question), &content_words(text))
}

/// The share of a question's names and numbers that stand in `text`; 1 when it has none.
#[must_use]
pub fn anchors_kept(question: &str, text: &str) -> f32 {
    let there: Vec<String> = split(text).map(str::to_lowercase).collect();
    share(&anchors(question), &there)
}

fn share(wanted: &[String], there: &[String]) -> f32 {
    if wanted.is_empty() {
        return 1.0;
    }
    let found = wanted.iter().filter(|word| there.contains(word)).count();
    found as f32 / wanted.len() as f32
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

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let check = |question: &str, expected: &[&str]| {
            assert_eq!(anchors(question), expected, "{question}")
        };
        check(
            "When did Rollo meet King Charles III?",
            &["rollo", "king", "charles", "iii"],
        );
        check("What happened in 1066?", &["1066"]);
        check("How much is the rent?", &[]);
        check("Is the A4 form free?", &["a4"]);
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

    #[test]
    fn shares() {
        assert!(
            (coverage("When is the rent payable?", "Rents are payable monthly") - 1.0).abs() < 1e-6
        );
        assert!(coverage("Who sank the ship?", "The rent is due") < 1e-6);
        assert!((anchors_kept("Did Anna pay 300 euros?", "anna paid 30 euros") - 0.5).abs() < 1e-6);
    }
}
