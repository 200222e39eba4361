//! The course of one answer: quote, decide, answer.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use async_stream::try_stream;
use futures::{Stream, StreamExt};
use serde_json::json;
use tracing::{Instrument, debug};

use super::{
    AnswerError, AnswerEvent, Answerer, Ask, Beginning,
    choose::Candidate,
    extractive::{self, cite},
    reply::{object_of, pointed_at, read, yes_log_odds},
    retrieve::note,
    support::{HOPELESS, SURE, Signals},
    write::answer_text,
};
use crate::{
    catalog::{Catalog, Turn},
    domain::{
        Answer, AnswerId, Citation, Component, ConversationId, DocumentId, Evidence, Timings, Usage,
    },
    ports::{ChatRequest, LanguageModel, Message, Role},
};

/// What is said when the documents do not answer.
pub const NOT_IN_DOCUMENTS: &str = "This is not in your documents.";

/// Tokens of a quotation at most; a sentence is seldom longer.
const QUOTE_TOKENS: u32 = 160;

/// Turns that wait to be recorded at most. Each takes a thread of those that block, of which there are 512
/// for everything: while another program holds the catalog for writing, those that read must find one.
pub(super) const TURNS: usize = 32;

/// How an answer is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// It becomes part of its conversation once it is given.
    Written,
    /// What of it was heard is told afterwards.
    Aloud(Beginning),
}

/// What one answer gathers on its way.
pub(super) struct Course {
    began: Instant,
    conversation: ConversationId,
    pub degraded: Vec<Component>,
    pub usage: Usage,
    retrieve_ms: u64,
    first_token_ms: Option<u64>,
    /// The model that wrote, once it has.
    pub model: Option<String>,
    /// The estimated probability that the documents support an answer.
    support: Option<f32>,
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
    manner: Manner,
) -> impl Stream<Item = Result<AnswerEvent, AnswerError>> + Send {
    try_stream! {
        let mut course = Course::begin(ask.conversation);
        let question = answerer.standalone(&ask, &mut course.degraded, &mut course.usage).await?;
        let top_k = answerer.top_k(ask.top_k);
        let retrieved = answerer
            .retrieve(&question, ask.collection.as_ref(), top_k)
            .instrument(tracing::info_span!(target: "griot::trace", "retrieve"))
            .await?;
        for part in &retrieved.degraded {
            if !course.degraded.contains(part) {
                course.degraded.push(*part);
            }
        }
        course.retrieve_ms = millis(retrieved.took);
        let evidence = answerer
            .evidence(&retrieved)
            .instrument(tracing::info_span!(target: "griot::trace", "evidence"))
            .await?;
        yield AnswerEvent::Evidence(evidence.clone());

        let mut text = String::new();
        let mut citations = Vec::new();
        let ground = match &answerer.parts.model {
            _ if !super::support::worth_asking(&question, &evidence) => Ground::Nothing,
            Some(model) => {
                let plain = match manner {
                    Manner::Aloud(Beginning::Plain) => answerer.plain(&question, &evidence).await,
                    Manner::Aloud(Beginning::Pointed) | Manner::Written => None,
                };
                match plain {
                    Some(plain) => answerer.quoted(model, &question, &evidence, plain)?,
                    None => answerer.ground(model, &question, &evidence, &mut course).await?,
                }
            }
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
        let answer = course.finish(ask.question.as_str(), text, supported, citations, evidence);
        if manner == Manner::Written {
            answerer.remember(&answer);
        }
        yield AnswerEvent::Done(Box::new(answer));
    }
}

impl Answerer {
    /// Asks the model for the sentence that answers, finds it in the evidence and measures it.
    async fn ground(
        &self,
        model: &Arc<dyn LanguageModel>,
        question: &str,
        evidence: &[Evidence],
        course: &mut Course,
    ) -> Result<Ground, AnswerError> {
        let request = ChatRequest {
            messages: self.prompts.quote(question, evidence)?,
            format: Some(object_of("quote")),
            max_tokens: QUOTE_TOKENS,
            temperature: 0.0,
            seed: Some(0),
            stop: Vec::new(),
            logprobs: false,
        };
        let pointed = pointed_at(model.as_ref(), request, evidence, &mut course.usage).await;
        if let Err(error) = &pointed {
            note(&mut course.degraded, error);
            return Ok(Ground::NoModel);
        }
        course.model = Some(model.name());
        let pointed = pointed.unwrap_or_default();
        let Some(chosen) = self.choose_sentence(question, evidence, pointed).await else {
            return Ok(Ground::Nothing);
        };
        self.quoted(model, question, evidence, chosen)
    }

    /// A chosen sentence, and the conversation in which the model has chosen it.
    fn quoted(
        &self,
        model: &Arc<dyn LanguageModel>,
        question: &str,
        evidence: &[Evidence],
        chosen: Candidate<'_>,
    ) -> Result<Ground, AnswerError> {
        let mut messages = self.prompts.quote(question, evidence)?;
        let citation = cite(chosen.item, chosen.range, chosen.item.score);
        messages.push(Message {
            role: Role::Assistant,
            content: json!({ "quote": citation.quote }).to_string(),
        });
        let signals = chosen.signals;
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

    /// Records the turn, after the answer was given: an asker who leaves at once loses nothing.
    fn remember(self: &Arc<Self>, answer: &Answer) {
        let documents: Vec<DocumentId> = answer
            .evidence
            .iter()
            .map(|item| item.document_id)
            .collect();
        let (catalog, conversation) = (Arc::clone(&self.parts.catalog), answer.conversation_id);
        let (question, text) = (answer.question.clone(), answer.answer.clone());
        let Ok(place) = Arc::clone(&self.turns).try_acquire_owned() else {
            metrics::counter!("griot_turns_lost_total").increment(1);
            tracing::warn!(
                %conversation,
                "a turn of a conversation is not recorded: too many wait for the catalog already"
            );
            return;
        };
        self.parts.tracker.spawn(async move {
            record(&catalog, conversation, question, text, documents).await;
            drop(place);
        });
    }
}

/// Adds a turn to its conversation.
pub(super) async fn record(
    catalog: &Arc<Catalog>,
    conversation: ConversationId,
    question: String,
    answer: String,
    documents: Vec<DocumentId>,
) {
    let turn = Turn {
        question,
        answer,
        at: jiff::Timestamp::now(),
    };
    let recorded = catalog
        .call(move |catalog| catalog.add_turn(conversation, &turn, &documents))
        .await;
    if let Err(error) = recorded {
        tracing::warn!(%conversation, %error, "a turn of a conversation could not be recorded");
    }
}

impl Course {
    pub fn begin(conversation: Option<ConversationId>) -> Self {
        Self {
            began: Instant::now(),
            conversation: conversation.unwrap_or_else(ConversationId::new),
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
        // Numbers only: neither question nor document is written to the log.
        debug!(
            signals = %json!(signals.named().into_iter().collect::<BTreeMap<_, _>>()),
            probability,
            "the quotation was judged"
        );
        self.support = Some(probability);
        probability
    }

    /// Marks the time of the first piece of the answer.
    pub fn first(&mut self, text: String) -> String {
        self.first_token_ms
            .get_or_insert(millis(self.began.elapsed()));
        text
    }

    pub fn finish(
        self,
        question: &str,
        answer: String,
        supported: bool,
        citations: Vec<Citation>,
        evidence: Vec<Evidence>,
    ) -> Answer {
        let total = millis(self.began.elapsed());
        Answer {
            id: AnswerId::new(),
            question: question.to_owned(),
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
