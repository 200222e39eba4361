//! Questions, answered from the documents.

use futures::StreamExt;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    Parts,
    wire::Event,
    work::{Gone, PATIENCE, busy},
};
use crate::{
    answer::{AnswerEvent, Ask},
    domain::{Answer, Citation, ConversationId, Question},
    voice::{clauses::Clauses, speakable::without_citations},
};

/// The space of the names that clients give conversations (an UUID drawn once).
const NAMES: Uuid = Uuid::from_u128(0x6c1d_2f0a_4b7e_4c55_9d43_0be8_77a1_52f6);

/// Answers from the documents. What is in none of them is not handled, so that another agent may try.
pub(super) async fn answer(
    text: &str,
    context: Value,
    parts: &Parts,
    out: &mpsc::Sender<Event>,
) -> Result<(), Gone> {
    let question = match Question::parse(text, parts.max_question_chars) {
        Ok(question) => question,
        Err(error) => return not_handled(error.to_string(), context, out).await,
    };
    let Some(_place) = parts.questions.wait(PATIENCE).await else {
        busy("questions", out).await?;
        return not_handled(String::new(), context, out).await;
    };
    let mut events = parts.answerer.ask(Ask {
        question,
        collection: parts.collection.clone(),
        conversation: conversation(&context),
        top_k: None,
    });
    // Only an answer that proves something is told as it is written.
    let (mut clauses, mut begun) = (Clauses::default(), false);
    let mut held: Vec<String> = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(AnswerEvent::Evidence(_)) => {}
            Ok(AnswerEvent::Citation(_)) if begun => {}
            Ok(AnswerEvent::Citation(_)) => {
                begun = true;
                let start = Event::new("handled-start").with("context", context.clone());
                out.send(start).await?;
                for clause in held.drain(..) {
                    out.send(piece(&clause)).await?;
                }
            }
            Ok(AnswerEvent::Delta(delta)) => {
                for clause in clauses.feed(&delta) {
                    match begun {
                        true => out.send(piece(&clause)).await?,
                        false => held.push(clause),
                    }
                }
            }
            Ok(AnswerEvent::Done(answer)) => {
                if let Some(rest) = clauses.finish().filter(|_| begun) {
                    out.send(piece(&rest)).await?;
                }
                out.send(handled(&answer, context)).await?;
                if begun {
                    out.send(Event::new("handled-stop")).await?;
                }
                return Ok(());
            }
            Err(error) => {
                let told = error.to_string();
                out.send(Event::error("answer", told.clone())).await?;
                return not_handled(told, context, out).await;
            }
        }
    }
    not_handled(String::new(), context, out).await
}

/// Some wait for this, whatever errors they are told of.
async fn not_handled(text: String, context: Value, out: &mpsc::Sender<Event>) -> Result<(), Gone> {
    let told = Event::new("not-handled").with("text", text);
    Ok(out.send(told.with("context", context)).await?)
}

fn piece(clause: &str) -> Event {
    Event::new("handled-chunk").with("text", without_citations(clause))
}

fn handled(answer: &Answer, context: Value) -> Event {
    let kind = match answer.supported {
        true => "handled",
        false => "not-handled",
    };
    let citations: Vec<Value> = answer.citations.iter().map(cited).collect();
    Event::new(kind)
        .with("text", without_citations(&answer.answer))
        .with("context", context)
        .with("citations", citations)
        .with("degraded", json!(answer.degraded))
}

/// A citation, for those who read more of an answer than its text.
fn cited(citation: &Citation) -> Value {
    json!({
        "n": citation.n,
        "document_id": citation.document_id,
        "document": citation.document,
        "page": citation.page,
        "start": citation.start,
        "end": citation.end,
        "quote": citation.quote,
    })
}

/// The conversation that a client's own name of it stands for; none without a name.
fn conversation(context: &Value) -> Option<ConversationId> {
    let name = context.get("conversation_id")?.as_str()?;
    if let Ok(id) = name.parse() {
        return Some(id);
    }
    // Names of others have forms of their own. The same name is the same conversation, after a restart too.
    Some(ConversationId::from_uuid(Uuid::new_v5(
        &NAMES,
        name.as_bytes(),
    )))
}
