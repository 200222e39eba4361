//! The answer in the model's words, held to what the evidence says.

use async_stream::try_stream;
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
        let mut decoded = JsonText::of("answer");
        let allowed = words::Vocabulary::of(evidence.iter().map(|item| item.text.as_str()).chain([question]));
        let mut written = String::new();
        let mut pending = String::new();
        let mut strayed = false;
        match model.chat(request).await {
            Ok(mut reply) => {
                while let Some(event) = reply.next().await {
                    match event {
                        Ok(ChatEvent::Delta { text, .. }) => pending.push_str(&decoded.feed(&text)),
                        Ok(ChatEvent::Done { prompt_tokens, completion_tokens, .. }) => {
                            course.usage.prompt_tokens += prompt_tokens;
                            course.usage.completion_tokens += completion_tokens;
                        }
                        Err(error) => {
                            note(&mut course.degraded, &error);
                            strayed = true;
                            break;
                        }
                    }
                    // Whole words only: a name or a number is judged when it is complete.
                    let Some(end) = pending.rfind(char::is_whitespace) else { continue };
                    let ready: String = pending.drain(..end).collect();
                    if !allowed.permits(&ready, written.is_empty()) {
                        strayed = true;
                        break;
                    }
                    if !ready.trim().is_empty() || !written.is_empty() {
                        let ready = if written.is_empty() { ready.trim_start().to_owned() } else { ready };
                        written.push_str(&ready);
                        yield ready;
                    }
                }
                let rest = pending.trim_end();
                if !strayed && !rest.is_empty() {
                    if allowed.permits(rest, written.is_empty()) {
                        let rest = if written.is_empty() { rest.trim_start() } else { rest };
                        written.push_str(rest);
                        yield rest.to_owned();
                    } else {
                        strayed = true;
                    }
                }
            }
            Err(error) => {
                note(&mut course.degraded, &error);
                strayed = true;
            }
        }
        if written.is_empty() {
            yield format!("“{}” [{}]", citation.quote, citation.n);
        } else if strayed {
            yield format!(" … In the document's words: “{}” [{}]", citation.quote, citation.n);
        } else {
            yield format!(" [{}]", citation.n);
        }
    }
}
