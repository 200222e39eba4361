//! `griot ask`: the answer as it is written, then what it rests on.

use clap::Args;
use futures::StreamExt;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Context, Failure,
    client::ClientError,
    search::{place, warn_degraded},
};
use crate::domain::Answer;

/// Bytes of one event. The largest holds the whole answer with its evidence.
const MAX_EVENT: usize = 4 * 1024 * 1024;

/// Ask a question and see the answer with its sources
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  griot ask \"When is rent due?\"\n  griot ask \"And the deposit?\" --conversation conv_0191…"
)]
pub struct Ask {
    /// The question.
    question: String,
    /// Only documents of this collection.
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
    /// Follow up an earlier answer.
    #[arg(long, value_name = "ID")]
    conversation: Option<String>,
    /// Passages to consider.
    #[arg(short = 'k', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50))]
    top_k: Option<u32>,
}

/// The request's body.
#[derive(Serialize)]
struct Body<'a> {
    question: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    collection: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    stream: bool,
}

impl Ask {
    pub async fn run(self, context: Context) -> Result<(), Failure> {
        let client = context.client()?;
        let body = Body {
            question: &self.question,
            collection: self.collection.as_deref(),
            conversation_id: self.conversation.as_deref(),
            top_k: self.top_k,
            stream: !context.json(),
        };
        let request = client
            .request(Method::POST, &["api", "rag", "query"])
            .json(&body);
        if context.json() {
            let answer: Value = client.json(request).await?;
            context.out.json(&answer)?;
            return Ok(());
        }
        let response = client.send(request).await?;
        let mut bytes = response.bytes_stream();
        let mut events = Events::default();
        while let Some(chunk) = bytes.next().await {
            events.push(&chunk.map_err(ClientError::Broken)?)?;
            while let Some(event) = events.next() {
                if let Some(answer) = show(&event, &context)? {
                    return sources(&answer, &context);
                }
            }
        }
        Err(Failure::told(
            "the answer broke off; ask again, or see the daemon's log",
        ))
    }
}

/// Shows what an event adds. The answer itself when it is whole.
fn show(event: &Event, context: &Context) -> Result<Option<Answer>, Failure> {
    #[derive(Deserialize)]
    struct Delta {
        text: String,
    }
    #[derive(Deserialize)]
    struct Problem {
        detail: String,
    }
    let unexpected = |error: serde_json::Error| {
        Failure::told(format!("the daemon sent what is no answer: {error}"))
    };
    match event.name.as_str() {
        "delta" => {
            let delta: Delta = serde_json::from_str(&event.data).map_err(unexpected)?;
            context.out.text(&delta.text)?;
        }
        "done" => {
            return serde_json::from_str(&event.data)
                .map(Some)
                .map_err(unexpected);
        }
        "error" => {
            let problem: Problem = serde_json::from_str(&event.data).map_err(unexpected)?;
            context.out.text("\n")?;
            return Err(Failure::told(problem.detail));
        }
        _ => {}
    }
    Ok(None)
}

/// What the answer rests on, numbered as in its text.
fn sources(answer: &Answer, context: &Context) -> Result<(), Failure> {
    context.out.text("\n")?;
    if !answer.citations.is_empty() {
        context.out.text("\nSources:\n")?;
    }
    for citation in &answer.citations {
        context.out.line(&format!(
            "[{}] {}: “{}”",
            citation.n,
            place(
                &citation.document,
                citation.page,
                citation.section.as_deref()
            ),
            one_line(&citation.quote)
        ))?;
    }
    if !answer.supported && !answer.evidence.is_empty() {
        context.out.text("\nNearest passages:\n")?;
        for evidence in &answer.evidence {
            context.out.line(&format!(
                "  {}: {}",
                place(
                    &evidence.document,
                    evidence.page,
                    evidence.section.as_deref()
                ),
                clipped(&one_line(&evidence.text))
            ))?;
        }
    }
    warn_degraded(&answer.degraded);
    context
        .out
        .text(&format!("\nconversation: {}\n", answer.conversation_id))?;
    Ok(())
}

/// White space of every kind becomes one space; a quotation out of a PDF has line ends inside.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The beginning, as much as fits on about two lines.
fn clipped(text: &str) -> String {
    match text.char_indices().nth(160) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

/// One server-sent event.
#[derive(Debug, PartialEq)]
struct Event {
    name: String,
    data: String,
}

/// Bytes of a stream cut into events (HTML standard, section 9.2.6). Comments are skipped.
#[derive(Debug, Default)]
struct Events {
    buffer: Vec<u8>,
}

impl Events {
    fn push(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() > MAX_EVENT {
            return Err(Failure::told("the daemon sent an event without an end"));
        }
        Ok(())
    }

    fn next(&mut self) -> Option<Event> {
        loop {
            let end = self.buffer.windows(2).position(|pair| pair == b"\n\n")?;
            let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
            let block = String::from_utf8_lossy(&block);
            let mut event = Event {
                name: String::new(),
                data: String::new(),
            };
            for line in block.lines() {
                let (field, value) = line.split_once(':').unwrap_or((line, ""));
                let value = value.strip_prefix(' ').unwrap_or(value);
                match field {
                    "event" => value.clone_into(&mut event.name),
                    "data" => {
                        if !event.data.is_empty() {
                            event.data.push('\n');
                        }
                        event.data.push_str(value);
                    }
                    _ => {}
                }
            }
            if !event.data.is_empty() {
                return Some(event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_whole_however_the_bytes_are_cut() {
        let stream = ": keep-alive\n\nevent: delta\ndata: {\"text\":\"ä\"}\n\nevent: x\ndata: a\ndata: b\n\n";
        for step in 1..stream.len() {
            let mut events = Events::default();
            let mut seen = Vec::new();
            for chunk in stream.as_bytes().chunks(step) {
                events.push(chunk).unwrap();
                seen.extend(std::iter::from_fn(|| events.next()));
            }
            let expected =
                [("delta", "{\"text\":\"ä\"}"), ("x", "a\nb")].map(|(name, data)| Event {
                    name: name.to_owned(),
                    data: data.to_owned(),
                });
            assert_eq!(seen, expected, "in steps of {step}");
        }
    }

    #[test]
    fn an_event_without_an_end_is_not_kept() {
        let mut events = Events::default();
        assert!(events.push(&vec![b'x'; MAX_EVENT + 1]).is_err());
    }

    #[test]
    fn long_passages_are_clipped_between_characters() {
        assert_eq!(clipped("short"), "short");
        assert_eq!(clipped(&"ä".repeat(161)), format!("{}…", "ä".repeat(160)));
    }
}
