//! `WS /api/voice/stream`: the simple protocol, for microcontrollers, scripts and the microphone command. JSON
//! texts and raw PCM.

mod begin;

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    extract::{Request, State as Shared},
    response::Response,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{Bytes, protocol::frame::coding::CloseCode};
use uuid::Uuid;

use super::socket::{Frame, Gone, Socket};
use crate::{
    domain::{
        Collection, ConversationId,
        audio::{LISTEN_RATE, from_s16le},
    },
    http::{
        State,
        problem::{Code, Problem},
        wire,
    },
    voice::{
        Conversation, Engine, Inlet, Input, Output,
        session::{End, Refusal, ReplyId, TurnId},
    },
};

/// Bytes of one frame that are looked at: half a minute of sound at 16 kHz.
const MAX_FRAME: usize = 1 << 20;
/// Bytes of one frame that are read at all; a larger one ends the socket.
const MAX_READ: usize = 2 << 20;
/// Who connects begins within this time.
const BEGINS_WITHIN: Duration = Duration::from_secs(10);
/// Rates that are understood.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=48_000;

/// Opens the socket.
pub async fn stream(Shared(state): Shared<State>, request: Request) -> Result<Response, Problem> {
    let engine = Arc::clone(state.voice());
    let chars = state.max_question_chars();
    let kept = state.clone();
    let serve = move |socket| async move {
        let mut client = Client {
            socket,
            state: kept,
            engine,
            chars,
            turns: HashMap::new(),
            captions: HashMap::new(),
        };
        match client.begin().await {
            Ok(Some(Begun::Talking(conversation))) => client.talk(*conversation).await,
            Ok(Some(Begun::Operating(inlet, outlet))) => client.operate(inlet, outlet).await,
            Ok(None) => {
                let goodbye = "no conversation began";
                client.socket.close(CloseCode::Normal, goodbye).await;
            }
            Err(Gone) => {}
        }
    };
    state.sockets().upgrade(request, None, MAX_READ, serve)
}

/// What a client says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Said {
    Start(Box<Start>),
    /// The sound ends here: what was said is to be answered.
    Stop,
    Interrupt,
    Text {
        text: String,
    },
    /// Instead of `start`: somebody takes a conversation over.
    Takeover {
        session_id: Uuid,
        token: String,
    },
    HandBack,
}

#[derive(Debug, Deserialize)]
struct Start {
    sample_rate: u32,
    sample_rate_out: Option<u32>,
    collection: Option<Collection>,
    conversation_id: Option<ConversationId>,
    /// Whose profile applies, where nothing else is said here.
    user_id: Option<String>,
    /// The client says when a turn ends (`stop`).
    push_to_talk: Option<bool>,
    voice: Option<String>,
    language: Option<String>,
    speed: Option<f32>,
    /// 1 is usual; larger waits longer.
    patience: Option<f32>,
}

enum Begun {
    Talking(Box<Conversation>),
    Operating(Inlet, mpsc::Receiver<Output>),
}

struct Client {
    socket: Socket,
    state: State,
    engine: Arc<Engine>,
    /// Characters of a question.
    chars: usize,
    turns: HashMap<ReplyId, TurnId>,
    captions: HashMap<TurnId, String>,
}

impl Client {
    async fn talk(mut self, mut conversation: Conversation) {
        loop {
            let went = tokio::select! {
                frame = self.socket.next() => match frame {
                    Some(frame) => self.hear(frame, &conversation.inlet).await,
                    None => Err(Gone),
                },
                output = conversation.outlet.recv() => match output {
                    Some(output) => self.tell(output).await,
                    None => {
                        self.socket.close(CloseCode::Away, "the conversation is over").await;
                        return;
                    }
                },
            };
            if went.is_err() {
                return;
            }
        }
    }

    /// Whoever took over: hears and sees all of it, and speaks through it.
    async fn operate(mut self, inlet: Inlet, mut outlet: mpsc::Receiver<Output>) {
        loop {
            let went = tokio::select! {
                frame = self.socket.next() => match frame {
                    Some(Frame::Binary(bytes)) => match self.is_sound(&bytes).await {
                        Ok(true) => {
                            let samples: Vec<i16> = bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
                            inlet.voice(&samples).await.map_err(|_| Gone)
                        }
                        other => other.map(drop),
                    },
                    Some(Frame::Text(text)) => match serde_json::from_str::<Said>(&text) {
                        Ok(Said::HandBack) => {
                            // What was said before it goes first; then both sides are free.
                            let _ = inlet.send(Input::HandBack).await;
                            self.socket.close(CloseCode::Normal, "handed back").await;
                            return;
                        }
                        Ok(_) => self.problem(Code::InvalidValue, "who took over sends sound and `hand_back`").await,
                        Err(error) => self.problem(Code::Malformed, &format!("this is no message of the protocol: {error}")).await,
                    },
                    None => Err(Gone),
                },
                output = outlet.recv() => match output {
                    Some(output) => self.tell(output).await,
                    None => Err(Gone),
                },
            };
            if went.is_err() {
                return;
            }
        }
    }

    async fn hear(&mut self, frame: Frame, inlet: &Inlet) -> Result<(), Gone> {
        let input = match frame {
            Frame::Binary(bytes) => {
                if !self.is_sound(&bytes).await? {
                    return Ok(());
                }
                let samples: Vec<f32> = from_s16le(&bytes).collect();
                return inlet.sound(&samples).await.map_err(|_| Gone);
            }
            Frame::Text(text) => match serde_json::from_str::<Said>(&text) {
                Ok(Said::Stop) => Input::Commit,
                Ok(Said::Interrupt) => Input::Interrupt,
                Ok(Said::Text { text }) => {
                    let chars = text.chars().count();
                    if text.trim().is_empty() || chars > self.chars {
                        let reason = format!(
                            "a question has 1 to {} characters; this one has {chars}",
                            self.chars
                        );
                        return self.problem(Code::InvalidValue, &reason).await;
                    }
                    Input::Typed(text)
                }
                Ok(Said::Start(_) | Said::Takeover { .. } | Said::HandBack) => {
                    return self
                        .problem(Code::InvalidValue, "the conversation has begun already")
                        .await;
                }
                Err(error) => {
                    return self
                        .problem(
                            Code::Malformed,
                            &format!("this is no message of the protocol: {error}"),
                        )
                        .await;
                }
            },
        };
        inlet.send(input).await.map_err(|_| Gone)
    }

    /// Whether a frame is sound; the client is told why not.
    async fn is_sound(&mut self, bytes: &Bytes) -> Result<bool, Gone> {
        let (code, reason) = if bytes.len() > MAX_FRAME {
            let reason = format!("a frame of sound has {MAX_FRAME} bytes at most; 20 ms are usual");
            (Code::TooLarge, reason)
        } else if !bytes.len().is_multiple_of(2) {
            let reason =
                "a frame of sound holds whole 16-bit samples; this one has an odd number of bytes";
            (Code::InvalidValue, reason.to_owned())
        } else {
            return Ok(true);
        };
        self.problem(code, &reason).await?;
        Ok(false)
    }

    async fn tell(&mut self, output: Output) -> Result<(), Gone> {
        let turn_of = |turns: &HashMap<ReplyId, TurnId>, reply| {
            turns.get(&reply).map_or(0, |turn: &TurnId| turn.0)
        };
        let message = match output {
            Output::State(word) => json!({ "type": "state", "state": word.as_str() }),
            Output::Caption { turn, text } => {
                let shown = self.captions.entry(turn).or_default();
                shown.push_str(&text);
                json!({ "type": "partial", "text": shown, "turn": turn.0 })
            }
            Output::Transcript { turn, text, .. } => {
                self.captions.remove(&turn);
                json!({ "type": "transcript", "text": text, "turn": turn.0 })
            }
            Output::Dismissed { turn, .. } => {
                self.captions.remove(&turn);
                return Ok(());
            }
            Output::Began { reply, turn } => {
                self.turns.insert(reply, turn);
                return Ok(());
            }
            Output::Said { reply, text, at } => json!({
                "type": "answer", "text_delta": text, "turn": turn_of(&self.turns, reply), "at_ms": at,
            }),
            Output::Cited { reply, citation } => {
                let mut message = json!(wire::Citation::from(*citation));
                message["type"] = json!("citation");
                message["turn"] = json!(turn_of(&self.turns, reply));
                message
            }
            Output::Sound { samples, .. } | Output::Voice(samples) => {
                let bytes = samples.into_iter().flat_map(i16::to_le_bytes).collect();
                return self.socket.binary(bytes).await;
            }
            Output::Duck(on) => json!({ "type": "duck", "on": on }),
            Output::Ended {
                reply,
                turn,
                end,
                heard,
                heard_ms,
                timings,
            } => {
                self.turns.remove(&reply);
                if let End::Cancelled(_) = end {
                    self.say(json!({
                        "type": "interrupted", "turn": turn.0, "heard_text": heard, "heard_ms": heard_ms,
                    }))
                    .await?;
                }
                if end == End::Failed {
                    self.problem(Code::Unavailable, "the answer broke off; ask again")
                        .await?;
                }
                json!({ "type": "turn_done", "turn": turn.0, "timings_ms": timings })
            }
            Output::Degraded(components) => json!({ "type": "degraded", "components": components }),
            Output::Handoff(active) => json!({ "type": "handoff", "active": active }),
            Output::SoFar {
                turns,
                sources,
                rate,
            } => {
                let sources: Vec<_> = sources.into_iter().map(wire::Citation::from).collect();
                let summary = summary(&turns);
                let transcript: Vec<Value> = turns
                    .into_iter()
                    .map(|(question, answer)| json!({ "question": question, "answer": answer }))
                    .collect();
                json!({
                    "type": "taken_over", "sample_rate": rate, "sample_rate_out": LISTEN_RATE,
                    "summary": summary, "transcript": transcript, "sources": sources,
                })
            }
            Output::Refused(why) => return self.refused(why).await,
            Output::SpeechStarted { .. }
            | Output::SpeechStopped { .. }
            | Output::Committed { .. }
            // Theirs who made the conversation.
            | Output::Called { .. }
            | Output::Flushed { .. }
            | Output::Corrected { .. } => return Ok(()),
        };
        self.say(message).await
    }

    async fn refused(&mut self, why: Refusal) -> Result<(), Gone> {
        let reason = match why {
            // Both are said in the hope that there is something; there is nothing to be told.
            Refusal::NothingToCancel | Refusal::NothingSaid => return Ok(()),
            Refusal::Busy => "an answer is being given; interrupt it first",
            Refusal::NothingToTruncate => "that answer is gone",
            Refusal::TakenOver => "somebody has taken the conversation over; they answer now",
        };
        self.problem(Code::Conflict, reason).await
    }

    async fn problem(&mut self, code: Code, detail: &str) -> Result<(), Gone> {
        self.tell_problem(&Problem::new(code, detail)).await
    }

    async fn tell_problem(&mut self, problem: &Problem) -> Result<(), Gone> {
        self.say(json!({ "type": "error", "problem": problem.written() }))
            .await
    }

    async fn say(&mut self, message: Value) -> Result<(), Gone> {
        self.socket.text(message.to_string()).await
    }
}

/// The questions so far, in a line: what the caller is after.
fn summary(turns: &[(String, String)]) -> String {
    let asked: Vec<&str> = turns
        .iter()
        .map(|(question, _)| question.as_str())
        .collect();
    match asked.len() {
        0 => "Nothing was asked yet.".to_owned(),
        _ => format!("Asked so far: {}", asked.join(" | ")),
    }
}
