//! Which words of an answer are spoken, and in which pieces. Pure: what it is fed is an answer's events.

use super::super::{
    clauses::Clauses,
    words::{fold, likeness},
};
use crate::answer::AnswerEvent;

/// A quotation longer than this is not read out before the answer.
const QUOTE_WORDS: usize = 60;
/// A quotation this likely to answer is said at once.
const SURE: f32 = 0.5;
/// An answer made of the quotation's words to this degree says nothing new.
const REPEATS: f32 = 0.6;

/// What of one answer was told so far.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// Whether a proven quotation is said before the model has written.
    quote_first: bool,
    splitter: Clauses,
    quoted: Option<String>,
    begun: bool,
    text: String,
}

impl Telling {
    pub fn new(quote_first: bool) -> Self {
        Self {
            quote_first,
            ..Self::default()
        }
    }

    /// Takes what comes next of the answer; gives the clauses that are to be spoken now.
    pub fn take(&mut self, event: &AnswerEvent) -> Vec<String> {
        match event {
            AnswerEvent::Evidence(_) => Vec::new(),
            AnswerEvent::Citation(citation) => {
                let short = fold(&citation.quote).len() <= QUOTE_WORDS;
                let sure = citation.score >= SURE && self.quote_first && self.quoted.is_none();
                if !short || !sure || self.begun {
                    return Vec::new();
                }
                self.quoted = Some(citation.quote.clone());
                // Cut by itself: what the model writes is another text.
                let mut splitter = Clauses::default();
                let mut clauses = splitter.feed(&format!("“{}” [{}] ", citation.quote, citation.n));
                clauses.extend(splitter.finish());
                clauses
            }
            AnswerEvent::Delta(delta) => {
                self.begun = true;
                self.text.push_str(delta);
                match self.quoted {
                    Some(_) => Vec::new(),
                    None => self.splitter.feed(delta),
                }
            }
            AnswerEvent::Done(_) => self.rest().into_iter().collect(),
        }
    }

    /// What is to be said yet, when the answer has ended.
    pub fn rest(&mut self) -> Option<String> {
        let Some(quote) = &self.quoted else {
            return self.splitter.finish();
        };
        // The quotation was said; what the model adds is said only if it is more.
        let text = std::mem::take(&mut self.text);
        let says_more = likeness(&fold(&text), &fold(quote)) < REPEATS
            && text.contains(' ')
            && !text.contains(quote.as_str());
        says_more.then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Citation, DocumentId};

    fn citation(quote: &str, score: f32) -> AnswerEvent {
        AnswerEvent::Citation(Citation {
            n: 1,
            document_id: DocumentId::new(),
            document: "lease.pdf".to_owned(),
            page: None,
            section: None,
            start: 0,
            end: quote.len() as u64,
            quote: quote.to_owned(),
            score,
        })
    }

    #[test]
    fn a_sure_quotation_is_told_and_what_repeats_it_is_not() {
        let check = |quote_first: bool, score: f32, written: &str, expected: &[&str]| {
            let mut telling = Telling::new(quote_first);
            let mut told = telling.take(&citation("Rent is due on Monday.", score));
            told.extend(telling.take(&AnswerEvent::Delta(written.to_owned())));
            told.extend(telling.rest());
            let told: Vec<&str> = told.iter().map(|clause| clause.trim()).collect();
            assert_eq!(told, expected, "{quote_first} {score} {written}");
        };
        let quoted = ["“Rent is due", "on Monday.” [1]"];
        check(true, 0.9, "Rent is due on Monday.", &quoted);
        check(true, 0.9, "Monday.", &quoted);
        check(
            true,
            0.9,
            "That depends upon what your landlord wants.",
            &[
                &quoted[..],
                &["That depends upon what your landlord wants."],
            ]
            .concat(),
        );
        check(true, 0.4, "On Monday.", &["On Monday."]);
        check(false, 0.9, "On Monday.", &["On Monday."]);
    }
}
