//! Words on the screen while somebody speaks. What is shown stays: a word appears once two hypotheses in a
//! row agree on it and another one after it (LocalAgreement-2, the newest agreed word held back).

use super::words::fold_word;

/// The captions of one turn.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Captions {
    /// How many words are shown.
    shown: usize,
    /// The words of the hypothesis before, folded.
    before: Vec<String>,
    text: String,
}

impl Captions {
    /// Takes the next hypothesis of the whole turn; gives the text to append, with the space that
    /// separates it from what is shown.
    pub fn hear(&mut self, hypothesis: &str) -> Option<String> {
        let words: Vec<&str> = hypothesis.split_whitespace().collect();
        let folded: Vec<String> = words.iter().map(|word| fold_word(word)).collect();
        let agreed = self
            .before
            .iter()
            .zip(&folded)
            .take_while(|(before, now)| before == now)
            .count();
        self.before = folded;
        let until = agreed.saturating_sub(1);
        if until <= self.shown {
            return None;
        }
        let mut text = words[self.shown..until].join(" ");
        if !self.text.is_empty() {
            text.insert(0, ' ');
        }
        self.shown = until;
        self.text.push_str(&text);
        Some(text)
    }

    /// From now on hypotheses are of what follows: a long turn is written down in pieces.
    pub fn turn_over(&mut self) {
        self.shown = 0;
        self.before.clear();
    }

    /// Everything shown so far.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_shown_when_two_hypotheses_agree_on_it_and_the_next() {
        let mut captions = Captions::default();
        let mut check = |hypothesis: &str, expected: Option<&str>| {
            assert_eq!(
                captions.hear(hypothesis).as_deref(),
                expected,
                "{hypothesis}"
            );
        };
        check("When", None);
        check("when is", None);
        check("When is the", Some("When"));
        check("When is the rent", Some(" is"));
        check("When's the rent due", None);
        check("When is the rent due?", None);
        check("When is the rent due?", Some(" the rent"));
        check("", None);
        assert_eq!(captions.text(), "When is the rent");
        captions.turn_over();
        assert_eq!(captions.hear("and the deposit"), None);
        assert_eq!(
            captions.hear("and the deposit"),
            Some(" and the".to_owned())
        );
    }
}
