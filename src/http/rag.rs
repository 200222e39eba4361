//! Questions over HTTP: the answer as one object or as it is written, and passages alone.

use std::{convert::Infallible, sync::Arc, time::Instant};

use axum::{
    extract::State as Shared,
    http::{HeaderMap, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    State,
    extract::{Json, Path, Query, parsed},
    problem::{Code, Problem},
    wire,
};
use crate::{
    admission::Place,
    answer::{AnswerEvent, AnswerStream, Ask, Search},
    domain::{self, Component, Question},
    health::Board,
};

/// The most passages that may be asked for.
const MAX_TOP_K: u32 = 50;

/// Answers a question from the library.
///
/// With `"stream": true` or `Accept: text/event-stream` the answer comes as server-sent events:
/// `evidence` once, then `delta` and `citation`, then `done` with the whole answer, or `error` with a
/// problem. Concatenated deltas equal `answer`.
#[utoipa::path(post, path = "/api/rag/query", tag = "rag", request_body = wire::Ask,
    responses((status = 200, description = "The answer", content(
        (wire::Answer = "application/json"), (StreamEvent = "text/event-stream")))))]
pub async fn query(
    Shared(state): Shared<State>,
    headers: HeaderMap,
    Json(request): Json<wire::Ask>,
) -> Result<Response, Problem> {
    let ask = Ask {
        question: question(&state, &request.question)?,
        collection: request.collection.as_deref().map(parsed).transpose()?,
        conversation: request.conversation_id.as_deref().map(parsed).transpose()?,
        top_k: request.top_k.map(top_k).transpose()?,
    };
    let streamed = request.stream.unwrap_or_else(|| wants_events(&headers));
    let asked = Asked::begin(&state)?;
    let mut events = state.answerer().ask(ask);
    if streamed {
        // What fails before anything was shown is still an ordinary problem with its status.
        let first = events.next().await.transpose()?;
        return Ok(Sse::new(written(first, events, asked))
            .keep_alive(KeepAlive::default())
            .into_response());
    }
    Ok(axum::Json(wire::Answer::from(whole(events, asked).await?)).into_response())
}

/// Reads the stream to its end. A client that leaves drops this future, and the generation with it.
async fn whole(mut events: AnswerStream, mut asked: Asked) -> Result<domain::Answer, Problem> {
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                asked.saw(&event);
                if let AnswerEvent::Done(answer) = event {
                    return Ok(*answer);
                }
            }
            Err(error) => {
                asked.failed();
                return Err(error.into());
            }
        }
    }
    asked.failed();
    Err(broken_off())
}

/// The events as they are sent. The last one is `done` or `error`, whatever happens.
fn written(
    first: Option<AnswerEvent>,
    events: AnswerStream,
    asked: Asked,
) -> impl Stream<Item = Result<Event, Infallible>> + Send {
    struct Writing {
        first: Option<AnswerEvent>,
        events: AnswerStream,
        /// Held to the end: the stream is the question.
        asked: Asked,
        ended: bool,
    }
    let writing = Writing {
        first,
        events,
        asked,
        ended: false,
    };
    stream::unfold(writing, |mut writing| async move {
        if writing.ended {
            return None;
        }
        let next = match writing.first.take() {
            Some(event) => Some(Ok(event)),
            None => writing.events.next().await,
        };
        let event = match next {
            Some(Ok(event)) => {
                writing.asked.saw(&event);
                writing.ended = matches!(event, AnswerEvent::Done(_));
                sse(event)
            }
            other => {
                writing.ended = true;
                writing.asked.failed();
                let problem = match other {
                    Some(Err(error)) => Problem::from(error),
                    _ => broken_off(),
                };
                named("error", &problem.written())
            }
        };
        Some((Ok(event), writing))
    })
}

/// One event of the answer as it stands in the stream.
fn sse(event: AnswerEvent) -> Event {
    match event {
        AnswerEvent::Evidence(evidence) => {
            let evidence = evidence.into_iter().map(wire::Evidence::from).collect();
            named("evidence", &EvidenceEvent { evidence })
        }
        AnswerEvent::Delta(text) => named("delta", &DeltaEvent { text }),
        AnswerEvent::Citation(citation) => named("citation", &wire::Citation::from(citation)),
        AnswerEvent::Done(answer) => named("done", &wire::Answer::from(*answer)),
    }
}

fn named(name: &str, value: &impl Serialize) -> Event {
    Event::default()
        .event(name)
        .json_data(value)
        .expect("texts, numbers and lists become JSON")
}

/// One server-sent event.
#[derive(Debug, ToSchema)]
#[expect(
    dead_code,
    reason = "describes the stream, which is written event by event"
)]
pub struct StreamEvent {
    /// `evidence`, `delta`, `citation`, `done` or `error`.
    #[schema(pattern = "^(evidence|delta|citation|done|error)$")]
    event: String,
    /// JSON: an `EvidenceEvent`, a `DeltaEvent`, a `Citation`, an `Answer` or a `Problem`.
    data: String,
}

/// `event: evidence`.
#[derive(Debug, Serialize, ToSchema)]
pub struct EvidenceEvent {
    evidence: Vec<wire::Evidence>,
}

/// `event: delta`.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeltaEvent {
    text: String,
}

/// The answer ended without `done`: the daemon stops, or something broke inside.
fn broken_off() -> Problem {
    Problem::new(
        Code::Unavailable,
        "the answer broke off, probably because the daemon is stopping; ask again",
    )
    .retry_after_about(std::time::Duration::from_secs(5))
}

/// What passages are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ContextQuery {
    /// Only documents of this collection.
    collection: Option<String>,
    /// Passages, 1 to 50.
    #[param(minimum = 1, maximum = 50)]
    top_k: Option<u32>,
}

/// The same, with the words in the query string.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ContextSearch {
    /// The words to look for.
    q: String,
    /// Only documents of this collection.
    collection: Option<String>,
    /// Passages, 1 to 50.
    #[param(minimum = 1, maximum = 50)]
    top_k: Option<u32>,
}

/// The passages nearest to a query, without an answer.
#[utoipa::path(get, path = "/api/rag/context/{query}", tag = "rag",
    params(("query" = String, Path, description = "The words to look for"), ContextQuery),
    responses((status = 200, description = "Passages, best first", body = wire::Context)))]
pub async fn context(
    Shared(state): Shared<State>,
    Path(words): Path<String>,
    Query(wanted): Query<ContextQuery>,
) -> Result<axum::Json<wire::Context>, Problem> {
    passages(&state, &words, wanted).await
}

/// The passages nearest to a query, which stands in the query string.
#[utoipa::path(get, path = "/api/rag/context", tag = "rag", params(ContextSearch),
    responses((status = 200, description = "Passages, best first", body = wire::Context)))]
pub async fn context_search(
    Shared(state): Shared<State>,
    Query(wanted): Query<ContextSearch>,
) -> Result<axum::Json<wire::Context>, Problem> {
    let ContextSearch {
        q,
        collection,
        top_k,
    } = wanted;
    passages(&state, &q, ContextQuery { collection, top_k }).await
}

async fn passages(
    state: &State,
    words: &str,
    wanted: ContextQuery,
) -> Result<axum::Json<wire::Context>, Problem> {
    let query = question(state, words)?;
    let search = Search {
        query: query.clone(),
        collection: wanted.collection.as_deref().map(parsed).transpose()?,
        top_k: wanted.top_k.map(top_k).transpose()?,
    };
    let _permit = state.searches().enter().ok_or_else(too_many)?;
    let found = state.answerer().search(search).await?;
    metrics::histogram!("griot_search_duration_seconds").record(found.took);
    Ok(axum::Json(wire::Context {
        query: query.as_str().to_owned(),
        passages: found
            .passages
            .into_iter()
            .map(wire::Evidence::from)
            .collect(),
        degraded: found.degraded,
        took_ms: found.took.as_millis() as u64,
    }))
}

fn question(state: &State, given: &str) -> Result<Question, Problem> {
    Question::parse(given, state.max_question_chars())
        .map_err(|error| Problem::new(Code::InvalidValue, error.to_string()))
}

fn top_k(given: u32) -> Result<usize, Problem> {
    if (1..=MAX_TOP_K).contains(&given) {
        Ok(given as usize)
    } else {
        Err(Problem::new(
            Code::InvalidValue,
            format!("`top_k` is {given}; use 1 to {MAX_TOP_K}"),
        ))
    }
}

/// Whether the client would rather have events than one object.
fn wants_events(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().any(|value| {
        value
            .to_str()
            .is_ok_and(|accepted| accepted.contains("text/event-stream"))
    })
}

fn too_many() -> Problem {
    Problem::new(
        Code::TooManyQuestions,
        "as many questions are being answered as `server.max_questions` allows; ask again shortly",
    )
    .retry_after_about(std::time::Duration::from_secs(2))
}

/// One question in work: it holds its place among the concurrent ones and counts its outcome. Dropped
/// without an outcome it was cancelled.
struct Asked {
    _place: Place,
    board: Arc<Board>,
    begun: Instant,
    written: bool,
    outcome: &'static str,
}

impl Asked {
    fn begin(state: &State) -> Result<Self, Problem> {
        Ok(Self {
            _place: state.questions().enter().ok_or_else(|| {
                metrics::counter!("griot_questions_total", "outcome" => "refused").increment(1);
                too_many()
            })?,
            board: Arc::clone(state.board()),
            begun: Instant::now(),
            written: false,
            outcome: "cancelled",
        })
    }

    fn saw(&mut self, event: &AnswerEvent) {
        match event {
            AnswerEvent::Delta(_) if !self.written => {
                self.written = true;
                metrics::histogram!("griot_first_token_seconds").record(self.begun.elapsed());
            }
            AnswerEvent::Done(answer) => {
                // An incident tells how many answers it cost.
                self.board.answered_without(&answer.degraded);
                metrics::counter!("griot_answers_total", "level" => level(answer)).increment(1);
                self.outcome = match (answer.supported, answer.model.is_some()) {
                    (true, true) => "answered",
                    (true, false) => "extractive",
                    (false, _) => "unsupported",
                };
            }
            AnswerEvent::Evidence(_) | AnswerEvent::Delta(_) | AnswerEvent::Citation(_) => {}
        }
    }

    fn failed(&mut self) {
        self.outcome = "failed";
    }
}

/// The rung of the ladder that an answer came from.
fn level(answer: &domain::Answer) -> &'static str {
    let lacks = |component| answer.degraded.contains(&component);
    let lexical = lacks(Component::VectorStore) || lacks(Component::Embedder);
    match (lexical, lacks(Component::LanguageModel)) {
        (false, false) => "full",
        (false, true) => "extractive",
        (true, false) => "by_words",
        (true, true) => "by_words_extractive",
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if self.outcome != "cancelled" {
            let now = Instant::now();
            let took = now.saturating_duration_since(self.begun);
            self.board
                .traffic()
                .asked(now, took, self.outcome != "failed");
        }
        metrics::counter!("griot_questions_total", "outcome" => self.outcome).increment(1);
        metrics::histogram!("griot_question_duration_seconds").record(self.begun.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_events() {
        let check = |accept: &str, expected: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(wants_events(&headers), expected, "{accept}");
        };
        check("text/event-stream", true);
        check("application/json, text/event-stream;q=0.5", true);
        check("application/json", false);
        check("*/*", false);
        assert!(!wants_events(&HeaderMap::new()));
    }
}
