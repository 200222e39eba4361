//! The answer in the model's words, held to what the evidence says.

use async_stream::{stream, try_stream};
use futures::{Stream, StreamExt};

use super::{
    AnswerError, Answerer, generate::Course, json_text::JsonText, reply::object_of, retrieve::note,
    words,
};
use crate::{
    domain::{Citation, Evidence},
    ports::{ChatEvent, ChatRequest, LanguageModel, Message},
};

/// The answer's deltas, after a proven quotation: the model's words as they come, as long as every
/// name and number in them stands in evidence or question; then the citation's marker. A model that
/// fails or strays is replaced by the quotation itself.
pub(super) fn answer_text<'a>(
    answerer: &'a Answerer,
    model: &'a dyn LanguageModel,
    question: &'a str,
    evidence: &'a [Evidence],
    citation: &'a Citation,
    mut messages: Vec<Message>,
    course: &'a mut Course,
) -> impl Stream<Item = Result<String, AnswerError>> + Send + 'a {
    try_stream! {
        messages.push(answerer.prompts.answer(question)?);
        let request = ChatRequest {
            messages,
            format: Some(object_of("answer")),
            max_tokens: answerer.parts.config.max_answer_tokens,
            temperature: 0.0,
            seed: Some(0),
            stop: Vec::new(),
            logprobs: false,
        };
        let allowed = words::Vocabulary::of(evidence.iter().map(|item| item.text.as_str()).chain([question]));
        let mut end = Written::default();
        let mut deltas = Box::pin(held_to(&allowed, model, request, course, &mut end));
        while let Some(delta) = deltas.next().await {
            yield delta;
        }
        drop(deltas);
        if !end.begun {
            yield format!("“{}” [{}]", citation.quote, citation.n);
        } else if end.strayed {
            yield format!(" … In the document's words: “{}” [{}]", citation.quote, citation.n);
        } else {
            yield format!(" [{}]", citation.n);
        }
    }
}

/// How the model's words ended.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// There were some.
    pub begun: bool,
    /// The model broke off or used a name or a number of its own: what it wrote is not to be left alone.
    pub strayed: bool,
}

/// The model's words as they come, as long as every name and number in them is allowed.
pub(super) fn held_to<'a>(
    allowed: &'a words::Vocabulary,
    model: &'a dyn LanguageModel,
    request: ChatRequest,
    course: &'a mut Course,
    end: &'a mut Written,
) -> impl Stream<Item = String> + Send + 'a {
    stream! {
        let mut decoded = JsonText::of("answer");
        let mut pending = String::new();
        let mut reply = match model.chat(request).await {
            Ok(reply) => reply,
            Err(error) => {
                note(&mut course.degraded, &error);
                end.strayed = true;
                return;
            }
        };
        while let Some(event) = reply.next().await {
            match event {
                Ok(ChatEvent::Delta { text, .. }) => pending.push_str(&decoded.feed(&text)),
                Ok(ChatEvent::Done { prompt_tokens, completion_tokens, .. }) => {
                    course.usage.prompt_tokens += prompt_tokens;
                    course.usage.completion_tokens += completion_tokens;
                }
                Err(error) => {
                    note(&mut course.degraded, &error);
                    end.strayed = true;
                    return;
                }
            }
            // Whole words only: a name or a number is judged when it is complete.
            let Some(at) = pending.rfind(char::is_whitespace) else { continue };
            let ready: String = pending.drain(..at).collect();
            if !allowed.permits(&ready, !end.begun) {
                end.strayed = true;
                return;
            }
            if !ready.trim().is_empty() || end.begun {
                let ready = if end.begun { ready } else { ready.trim_start().to_owned() };
                end.begun = true;
                yield ready;
            }
        }
        let rest = pending.trim_end();
        if !rest.is_empty() {
            if allowed.permits(rest, !end.begun) {
                let rest = if end.begun { rest } else { rest.trim_start() };
                end.begun = true;
                yield rest.to_owned();
            } else {
                end.strayed = true;
            }
        }
    }
}
