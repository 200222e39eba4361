//! Follow-up questions, made to stand alone.

use serde::Deserialize;

use super::{
    AnswerError, Answerer, Ask,
    reply::{object_of, read},
    retrieve::note,
    words::content_words,
};
use crate::{
    catalog::Turn,
    domain::{Component, Usage},
    ports::ChatRequest,
};

/// Turns of the conversation that the model sees.
const TURNS: usize = 4;
/// Characters of an earlier answer that it sees.
const ANSWER_CHARS: usize = 300;

/// Words that point back at something said before.
const POINTING: &[&str] = &[
    "it", "its", "they", "them", "their", "theirs", "he", "him", "his", "she", "her", "hers",
    "this", "that", "these", "those", "there", "then", "one", "ones", "same", "such", "former",
    "latter", "else", "instead", "also", "too", "again", "more",
];

#[derive(Deserialize)]
struct Rewritten {
    question: String,
}

impl Answerer {
    /// The question as it can be understood without its conversation.
    ///
    /// Questions that point at nothing are left as they are, without a call. When the model is
    /// missing, the content words of the question before are added: worse, but retrieval finds the
    /// subject.
    pub(super) async fn standalone(
        &self,
        ask: &Ask,
        degraded: &mut Vec<Component>,
        usage: &mut Usage,
    ) -> Result<String, AnswerError> {
        let question = ask.question.as_str();
        let Some(conversation) = ask.conversation else {
            return Ok(question.to_owned());
        };
        let mut turns = self
            .parts
            .catalog
            .call(move |catalog| catalog.turns(conversation, TURNS))
            .await?;
        if turns.is_empty() || !points_back(question) {
            return Ok(question.to_owned());
        }
        for turn in &mut turns {
            turn.answer = turn.answer.chars().take(ANSWER_CHARS).collect();
        }
        let Some(model) = &self.parts.model else {
            return Ok(with_subject(question, &turns));
        };
        let request = ChatRequest {
            messages: self.prompts.condense(&turns, question)?,
            format: Some(object_of("question")),
            max_tokens: 96,
            temperature: 0.0,
            seed: Some(0),
            stop: Vec::new(),
            logprobs: false,
        };
        match read(model.as_ref(), request, usage).await {
            Ok(reply) => Ok(serde_json::from_str(&reply.text)
                .ok()
                .map(|Rewritten { question }| question.trim().to_owned())
                .filter(|rewritten| !rewritten.is_empty())
                .unwrap_or_else(|| with_subject(question, &turns))),
            Err(error) => {
                note(degraded, &error);
                Ok(with_subject(question, &turns))
            }
        }
    }
}

/// Whether a question leans on what was said before: it has a pointing word, begins by going on
/// ("And …", "What about …"), or has hardly a word of its own.
pub(super) fn points_back(question: &str) -> bool {
    let lower = question.to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .collect();
    words.iter().any(|word| POINTING.contains(word))
        || [
            "and ",
            "but ",
            "or ",
            "what about",
            "how about",
            "why",
            "so ",
        ]
        .iter()
        .any(|start| lower.starts_with(start))
        || content_words(question).len() < 2
}

/// The question with the words of the one before it that it lacks.
fn with_subject(question: &str, turns: &[Turn]) -> String {
    let before = turns
        .last()
        .map(|turn| turn.question.as_str())
        .unwrap_or_default();
    format!("{before} {question}").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_points_back() {
        for leaning in [
            "When is it due?",
            "And for dogs?",
            "Why?",
            "What about late payment?",
            "how much more",
        ] {
            assert!(points_back(leaning), "{leaning}");
        }
        for standing in [
            "When is the rent for the flat due?",
            "Which parts of the boiler need service?",
        ] {
            assert!(!points_back(standing), "{standing}");
        }
    }

    #[test]
    fn adds_the_subject() {
        let turn = Turn {
            question: "When is rent due?".into(),
            answer: "…".into(),
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        assert_eq!(
            with_subject("And if late?", &[turn]),
            "When is rent due? And if late?"
        );
        assert_eq!(with_subject("And if late?", &[]), "And if late?");
    }
}
