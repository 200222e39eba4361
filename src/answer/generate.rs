//! The course of one answer: quote, decide, answer.

use std::{sync::Arc, time::Instant};

use async_stream::try_stream;
use futures::{Stream, StreamExt};
use serde::Deserialize;
use serde_json::json;

use super::{
    AnswerError, AnswerEvent, Answerer, Ask,
    extractive::{self, cite},
    json_text::JsonText,
    quote::locate,
    retrieve::note,
    support::{HOPELESS, SURE, Signals},
    words,
};
use crate::{
    catalog::Turn,
    domain::{
        Answer, AnswerId, Citation, Component, ConversationId, DocumentId, Embedding, Evidence,
        Timings, Usage,
    },
    ports::{
        ChatEvent, ChatRequest, EmbedKind, Embedder as _, LanguageModel, Message, PortError, Role,
        TokenLogprob,
    },
};

/// What is said when the documents do not answer.
pub const NOT_IN_DOCUMENTS: &str = "This is not in your documents.";

/// Tokens of a quotation at most; a sentence is seldom longer.
const QUOTE_TOKENS: u32 = 160;

/// What one answer gathers on its way.
struct Course {
    began: Instant,
    conversation: ConversationId,
    degraded: Vec<Component>,
    usage: Usage,
    retrieve_ms: u64,
    first_token_ms: Option<u64>,
    /// The model that wrote, once it has.
    model: Option<String>,
    /// The estimated probability that the documents support an answer.
    support: Option<f32>,
}

/// The reply of the quoting call.
#[derive(Deserialize)]
struct QuoteReply {
    quote: String,
}

/// A reply read to its end.
pub(super) struct Reply {
    pub text: String,
    pub logprobs: Vec<TokenLogprob>,
}

/// What the evidence gives for a question.
enum Ground {
    /// A proven quotation, the conversation up to it, and what speaks for it.
    Quoted {
        model: Arc<dyn LanguageModel>,
        citation: Citation,
        messages: Vec<Message>,
        signals: Signals,
    },
    /// Nothing in the evidence answers.
    Nothing,
    /// The model is missing.
    NoModel,
}

pub(super) fn stream(
    answerer: Arc<Answerer>,
    ask: Ask,
) -> impl Stream<Item = Result<AnswerEvent, AnswerError>> + Send {
    try_stream! {
        let mut course = Course::begin(&ask);
        let question = answerer.standalone(&ask, &mut course.degraded, &mut course.usage).await?;
        let top_k = answerer.top_k(ask.top_k);
        let retrieved = answerer.retrieve(&question, ask.collection.as_ref(), top_k).await?;
        for part in &retrieved.degraded {
            if !course.degraded.contains(part) {
                course.degraded.push(*part);
            }
        }
        course.retrieve_ms = millis(retrieved.took);
        let evidence = answerer.evidence(&retrieved).await?;
        yield AnswerEvent::Evidence(evidence.clone());

        let mut text = String::new();
        let mut citations = Vec::new();
        let ground = match &answerer.parts.model {
            _ if !super::support::worth_asking(&question, &evidence) => Ground::Nothing,
            Some(model) => answerer.ground(model, &question, &evidence, &mut course).await?,
            None => {
                course.degraded.push(Component::LanguageModel);
                Ground::NoModel
            }
        };
        let threshold = answerer.parts.config.threshold;
        match ground {
            Ground::Quoted { model, mut citation, messages, mut signals } => {
                // The model's verdict is asked for only where it can turn the decision.
                if (HOPELESS..SURE).contains(&signals.probability())
                    && let Some(item) = evidence.iter().find(|item| item.n == citation.n)
                {
                    signals.verdict = answerer.verdict(model.as_ref(), &question, &item.text, &mut course).await?;
                }
                citation.score = course.judged(&signals);
                if citation.score >= threshold {
                    yield AnswerEvent::Citation(citation.clone());
                    let mut deltas = Box::pin(answer_text(&answerer, model.as_ref(), &question, &evidence, &citation, messages, &mut course));
                    let mut first = None;
                    while let Some(delta) = deltas.next().await {
                        let delta = delta?;
                        first.get_or_insert_with(Instant::now);
                        text.push_str(&delta);
                        yield AnswerEvent::Delta(delta);
                    }
                    drop(deltas);
                    course.first_token_ms = first.map(|at| millis(at - course.began));
                    citations.push(citation);
                }
            }
            Ground::Nothing => {}
            Ground::NoModel => {
                citations = extractive::best_sentences(&question, &evidence);
                for citation in &citations {
                    yield AnswerEvent::Citation(citation.clone());
                }
                if !citations.is_empty() {
                    text = extractive::text(&citations);
                    yield AnswerEvent::Delta(course.first(text.clone()));
                }
            }
        }
        let supported = !citations.is_empty();
        if !supported {
            text = NOT_IN_DOCUMENTS.to_owned();
            yield AnswerEvent::Delta(course.first(text.clone()));
        }
        let answer = course.finish(&ask, text, supported, citations, evidence);
        answerer.remember(&answer);
        yield AnswerEvent::Done(Box::new(answer));
    }
}

/// The answer's deltas, after a proven quotation: the model's words as they come, as long as every
/// name and number in them stands in evidence or question; then the citation's marker. A model that
/// fails or strays is replaced by the quotation itself.
fn answer_text<'a>(
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

impl Answerer {
    /// Asks the model for the sentence that answers, finds it in the evidence and judges it.
    async fn ground(
        &self,
        model: &Arc<dyn LanguageModel>,
        question: &str,
        evidence: &[Evidence],
        course: &mut Course,
    ) -> Result<Ground, AnswerError> {
        let mut messages = self.prompts.quote(question, evidence)?;
        let request = ChatRequest {
            messages: messages.clone(),
            format: Some(object_of("quote")),
            max_tokens: QUOTE_TOKENS,
            temperature: 0.0,
            seed: Some(0),
            stop: Vec::new(),
            logprobs: false,
        };
        let reply = match read(model.as_ref(), request, &mut course.usage).await {
            Ok(reply) => reply,
            Err(error) => {
                note(&mut course.degraded, &error);
                return Ok(Ground::NoModel);
            }
        };
        course.model = Some(model.name());
        let Some((item, range)) = quotation(&reply.text).and_then(|quoted| {
            evidence
                .iter()
                .find_map(|item| Some((item, locate(&quoted, &item.text)?)))
        }) else {
            return Ok(Ground::Nothing);
        };
        let citation = cite(item, range, item.score);
        let quoted = json!({ "quote": citation.quote }).to_string();
        messages.push(Message {
            role: Role::Assistant,
            content: quoted,
        });

        let near = self.nearness(question, &citation.quote, item).await;
        let signals = Signals {
            near_quote: near.map(|(quote, _)| quote),
            near_passage: near.map(|(_, passage)| passage),
            ..Signals::of_texts(question, &citation.quote, &item.text)
        };
        let model = Arc::clone(model);
        Ok(Ground::Quoted {
            model,
            citation,
            messages,
            signals,
        })
    }

    /// The verifier's log-odds that the passage answers the question; `None` when the server gives no
    /// probabilities or broke.
    async fn verdict(
        &self,
        model: &dyn LanguageModel,
        question: &str,
        passage: &str,
        course: &mut Course,
    ) -> Result<Option<f32>, AnswerError> {
        let messages = self.prompts.verify(question, passage)?;
        let request = ChatRequest {
            messages,
            format: None,
            max_tokens: 1,
            temperature: 0.0,
            seed: Some(0),
            stop: Vec::new(),
            logprobs: true,
        };
        Ok(match read(model, request, &mut course.usage).await {
            Ok(reply) => yes_log_odds(&reply),
            Err(error) => {
                note(&mut course.degraded, &error);
                None
            }
        })
    }

    /// How near question and quotation, and question and passage, are in meaning (cosines); `None`
    /// when the embedder is missing.
    async fn nearness(&self, question: &str, quote: &str, item: &Evidence) -> Option<(f32, f32)> {
        let mut texts = vec![question.to_owned(), quote.to_owned()];
        if item.scores.dense.is_none() {
            texts.push(item.text.clone());
        }
        let vectors = self.parts.index.embed(texts, EmbedKind::Query).await.ok()?;
        let near_quote = cosine(vectors.first()?, vectors.get(1)?);
        let near_passage = match item.scores.dense {
            Some(cosine) => cosine,
            None => cosine(vectors.first()?, vectors.get(2)?),
        };
        Some((near_quote, near_passage))
    }

    /// Records the turn, after the answer was given: an asker who leaves at once loses nothing.
    fn remember(self: &Arc<Self>, answer: &Answer) {
        let turn = Turn {
            question: answer.question.clone(),
            answer: answer.answer.clone(),
            at: jiff::Timestamp::now(),
        };
        let documents: Vec<DocumentId> = answer
            .evidence
            .iter()
            .map(|item| item.document_id)
            .collect();
        let (catalog, conversation) = (Arc::clone(&self.parts.catalog), answer.conversation_id);
        self.parts.tracker.spawn(async move {
            let recorded =
                catalog.call(move |catalog| catalog.add_turn(conversation, &turn, &documents)).await;
            if let Err(error) = recorded {
                tracing::warn!(%conversation, %error, "a turn of a conversation could not be recorded");
            }
        });
    }
}

/// The schema of an object with one string.
pub(super) fn object_of(name: &str) -> serde_json::Value {
    json!({
        "type": "object",
        "properties": { name: { "type": "string" } },
        "required": [name],
        "additionalProperties": false,
    })
}

/// Reads a reply to its end.
pub(super) async fn read(
    model: &dyn LanguageModel,
    request: ChatRequest,
    usage: &mut Usage,
) -> Result<Reply, PortError> {
    let mut events = model.chat(request).await?;
    let mut reply = Reply {
        text: String::new(),
        logprobs: Vec::new(),
    };
    while let Some(event) = events.next().await {
        match event? {
            ChatEvent::Delta { text, logprobs } => {
                reply.text.push_str(&text);
                reply.logprobs.extend(logprobs);
            }
            ChatEvent::Done {
                prompt_tokens,
                completion_tokens,
                ..
            } => {
                usage.prompt_tokens += prompt_tokens;
                usage.completion_tokens += completion_tokens;
            }
        }
    }
    Ok(reply)
}

/// The quotation in a reply, also in one that was cut at the token limit.
fn quotation(reply: &str) -> Option<String> {
    if let Ok(QuoteReply { quote }) = serde_json::from_str(reply) {
        return Some(quote);
    }
    let (_, rest) = reply.split_once("\"quote\"")?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    // Cut inside the string: closing it makes it JSON again, unless the cut is in an escape.
    (0..8).find_map(|cut| {
        let end = rest.len().checked_sub(cut)?;
        serde_json::from_str(&format!("{}\"", rest.get(..end)?)).ok()
    })
}

/// The log-odds of "yes" against "no" as the verifier's one token gives them, cut to ±5; `None` when it
/// wrote neither word or the server gives no probabilities.
///
/// "Yes", "yes" and " yes" are different tokens that share what the model gives to the word, so the
/// alternatives are added up where the server names them.
fn yes_log_odds(reply: &Reply) -> Option<f32> {
    let token = reply.logprobs.first()?;
    let sum = |word: &str| -> f32 {
        token
            .alternatives
            .iter()
            .filter(|other| other.token.trim().to_lowercase() == word)
            .map(|other| other.logprob.exp())
            .sum()
    };
    let (yes, no) = (sum("yes"), sum("no"));
    if yes + no > 0.0 {
        return Some((yes / no).ln().clamp(-5.0, 5.0));
    }
    let probability = token.logprob.exp().clamp(0.0, 1.0);
    match reply.text.trim().to_lowercase().as_str() {
        "yes" => Some(log_odds(probability)),
        "no" => Some(-log_odds(probability)),
        _ => None,
    }
}

fn log_odds(probability: f32) -> f32 {
    (probability / (1.0 - probability)).ln().clamp(-5.0, 5.0)
}

/// The cosine of two unit vectors.
fn cosine(a: &Embedding, b: &Embedding) -> f32 {
    a.0.iter().zip(&b.0).map(|(a, b)| a * b).sum()
}

impl Course {
    fn begin(ask: &Ask) -> Self {
        Self {
            began: Instant::now(),
            conversation: ask.conversation.unwrap_or_else(ConversationId::new),
            degraded: Vec::new(),
            usage: Usage::default(),
            retrieve_ms: 0,
            first_token_ms: None,
            model: None,
            support: None,
        }
    }

    /// Keeps the probability that was estimated for the answer.
    fn judged(&mut self, signals: &Signals) -> f32 {
        let probability = signals.probability();
        tracing::debug!(?signals, probability, "judged a quotation");
        self.support = Some(probability);
        probability
    }

    /// Marks the time of the first piece of the answer.
    fn first(&mut self, text: String) -> String {
        self.first_token_ms
            .get_or_insert(millis(self.began.elapsed()));
        text
    }

    fn finish(
        self,
        ask: &Ask,
        answer: String,
        supported: bool,
        citations: Vec<Citation>,
        evidence: Vec<Evidence>,
    ) -> Answer {
        let total = millis(self.began.elapsed());
        Answer {
            id: AnswerId::new(),
            question: ask.question.as_str().to_owned(),
            answer,
            supported,
            support: self.support,
            degraded: self.degraded,
            citations,
            evidence,
            conversation_id: self.conversation,
            model: self.model,
            timings_ms: Timings {
                retrieve: self.retrieve_ms,
                first_token: self.first_token_ms.unwrap_or(total),
                total,
            },
            usage: self.usage,
        }
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_quotations_even_when_cut() {
        let check = |reply: &str, expected: Option<&str>| {
            assert_eq!(quotation(reply).as_deref(), expected, "{reply}");
        };
        check(r#"{"quote": "Rent is due."}"#, Some("Rent is due."));
        check(r#"{"quote": "Rent is "#, Some("Rent is "));
        check(r#"{"quote": "Rent \"is\u00"#, Some("Rent \"is"));
        check(r#"{"other": 1}"#, None);
        check("", None);
    }

    #[test]
    fn reads_the_verdict() {
        use crate::ports::Alternative;

        let reply = |text: &str, p: f32| Reply {
            text: text.to_owned(),
            logprobs: vec![TokenLogprob {
                token: text.to_owned(),
                logprob: p.ln(),
                alternatives: Vec::new(),
            }],
        };
        let nine = 9_f32.ln();
        assert!((yes_log_odds(&reply("Yes", 0.9)).unwrap() - nine).abs() < 1e-4);
        assert!((yes_log_odds(&reply(" no", 0.9)).unwrap() + nine).abs() < 1e-4);
        assert_eq!(yes_log_odds(&reply("yes", 1.0)), Some(5.0));
        // Four spellings share the word's probability: the written token alone would say no.
        let mut shared = reply("yes", 0.4);
        shared.logprobs[0].alternatives = [("yes", 0.4), ("Yes", 0.3), (" yes", 0.2), ("No", 0.1)]
            .map(|(token, p)| Alternative {
                token: token.to_owned(),
                logprob: f32::ln(p),
            })
            .into();
        assert!((yes_log_odds(&shared).unwrap() - nine).abs() < 1e-4);
        assert_eq!(yes_log_odds(&reply("maybe", 0.9)), None);
        assert_eq!(
            yes_log_odds(&Reply {
                text: "yes".into(),
                logprobs: vec![]
            }),
            None
        );
    }
}
