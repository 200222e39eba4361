//! `/v1/realtime`: OpenAI's Realtime API over WebSocket (GA names, beta names on request), answered from the
//! library. Events of the client become what the engine takes, what it gives becomes events; the
//! conversation itself is the engine's.
//!
//! A client's tools are not run here: a turn that calls for one is answered with a `function_call` item, and what the
//! client says it brought (`function_call_output`, then `response.create`) is said in an answer of its own.
//!
//! Clients that ask (`x_events=1`) are also told what an answer rests on (`x_griot.citation`) and when it is
//! lowered (`x_griot.duck`).

mod beta;
mod giving;
mod items;
pub mod secrets;
mod settings;
mod telling;
mod told;
mod tools;

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{Query, Request, State as Shared},
    http::HeaderMap,
    response::Response,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use uuid::Uuid;

use super::socket::{Frame, Gone, Socket, offered};
use crate::{
    http::{
        State, guard,
        problem::{Code, Problem},
    },
    voice::{
        Conversation, Engine,
        session::{ReplyId, TurnId},
    },
};
use giving::Giving;
use items::Items;
use settings::Settings;
use tools::Calls;

/// Bytes of one message; a larger one ends the socket. A minute of PCM in base64 is somewhat less.
const MAX_READ: usize = 4 << 20;

/// What the address may say.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    model: Option<String>,
    intent: Option<String>,
    call_id: Option<String>,
    x_events: Option<String>,
    /// Whose voice profile applies, where the client sets nothing else.
    x_user: Option<String>,
}

/// Opens the socket.
pub async fn stream(
    Shared(state): Shared<State>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    if wanted.call_id.is_some() {
        return Err(Problem::new(
            Code::RouteNotFound,
            "there are no telephone calls here; connect with `?model=NAME`",
        ));
    }
    let offered = offered(&headers);
    let named = |name: &str| offered.iter().any(|other| other == name);
    let beta = named("openai-beta.realtime-v1")
        || headers
            .get("openai-beta")
            .is_some_and(|value| value.as_bytes() == b"realtime=v1");
    let protocol = named("realtime").then_some("realtime");
    let engine = Arc::clone(state.voice());
    let model = wanted.model.unwrap_or_else(|| "griot".to_owned());
    let mut settings = Settings::new(&model, engine.voices().first().cloned());
    if let Some(user) = &wanted.x_user {
        let profile = super::profile::of(&state, user).await?;
        settings = settings.with_profile(&profile, engine.voice_of(&profile));
    }
    settings.transcribe_only = wanted.intent.as_deref() == Some("transcription");
    let secret =
        guard::shown_key(&headers).and_then(|key| state.secrets().session(key, secrets::now()));
    if let Some(session) = secret {
        settings = settings
            .updated(&session, &engine.voices(), false)
            .and_then(|settings| settings.heard_by(&engine))
            .map_err(|refused| Problem::new(Code::InvalidValue, refused.message))?;
    }
    let extensions = wanted.x_events.as_deref() == Some("1");
    let chars = state.max_question_chars();
    let serve = move |socket| async move {
        let client = Client {
            wire: Wire {
                socket,
                beta,
                events: 0,
                session: Uuid::new_v4().simple().to_string(),
            },
            engine,
            settings,
            extensions,
            chars,
            items: Items::default(),
            turns: HashMap::new(),
            replies: HashMap::new(),
            answered: HashMap::new(),
            typed: Vec::new(),
            calls: Calls::default(),
            appended_ms: 0,
            heard_ms: 0,
            idle_since: None,
            spoke: false,
            asked: Asked::default(),
        };
        client.serve().await;
    };
    state.sockets().upgrade(request, protocol, MAX_READ, serve)
}

/// The socket with the protocol's envelope.
struct Wire {
    socket: Socket,
    beta: bool,
    events: u64,
    session: String,
}

impl Wire {
    async fn send(&mut self, mut event: Value) -> Result<(), Gone> {
        self.events += 1;
        event["event_id"] = json!(format!("event_{}_{}", &self.session[..8], self.events));
        let events = if self.beta {
            beta::named(event)
        } else {
            vec![event]
        };
        for event in events {
            self.socket.text(event.to_string()).await?;
        }
        Ok(())
    }

    async fn error(&mut self, code: &str, message: &str, of: Option<&str>) -> Result<(), Gone> {
        let kind = match code {
            "session_limit_reached" | "overloaded" => "server_error",
            _ => "invalid_request_error",
        };
        self.send(json!({
            "type": "error",
            "error": { "type": kind, "code": code, "message": message, "param": null, "event_id": of },
        }))
        .await
    }
}

/// The client's last events of each kind, for the errors that answer them.
#[derive(Default)]
struct Asked {
    create: Option<String>,
    cancel: Option<String>,
    truncate: Option<(Option<String>, String)>,
    commit: Option<String>,
}

struct Client {
    wire: Wire,
    engine: Arc<Engine>,
    settings: Settings,
    extensions: bool,
    chars: usize,
    items: Items,
    /// The items of turns.
    turns: HashMap<TurnId, String>,
    replies: HashMap<ReplyId, Giving>,
    /// The items of answers that are over.
    answered: HashMap<String, ReplyId>,
    /// Questions in writing that no answer was asked for yet.
    typed: Vec<String>,
    /// Calls of tools that it was told of.
    calls: Calls,
    /// Sound since the last commit.
    appended_ms: u64,
    /// Sound since the session began.
    heard_ms: u64,
    /// Since when (in that sound) nobody speaks, after an answer; once it has lasted long enough the client is told.
    idle_since: Option<u64>,
    /// Whether a voice was heard: from then on it stays.
    spoke: bool,
    asked: Asked,
}

impl Client {
    async fn serve(mut self) {
        let options = self.settings.options();
        let conversation = match self.engine.open(options).await {
            Ok(conversation) => conversation,
            Err(error) => {
                let _ = self
                    .wire
                    .error("session_limit_reached", &error.to_string(), None)
                    .await;
                self.wire
                    .socket
                    .close(CloseCode::Again, "too many sessions")
                    .await;
                return;
            }
        };
        // Whichever way it ends, the engine's side ends with the inlet.
        let _ = self.talk(conversation).await;
    }

    async fn talk(mut self, mut conversation: Conversation) -> Result<(), Gone> {
        let created = json!({ "type": "session.created", "session": self.settings.written(&self.wire.session) });
        self.wire.send(created).await?;
        if !conversation.missing.is_empty() && self.extensions {
            self.wire
                .send(json!({ "type": "x_griot.degraded", "components": conversation.missing }))
                .await?;
        }
        loop {
            tokio::select! {
                frame = self.wire.socket.next() => match frame {
                    Some(Frame::Text(text)) => self.event(&text, &conversation).await?,
                    Some(Frame::Binary(_)) => {
                        self.wire.error("invalid_value", "events are text frames; sound goes as base64 in input_audio_buffer.append", None).await?;
                    }
                    None => return Ok(()),
                },
                output = conversation.outlet.recv() => match output {
                    Some(output) => self.tell(output).await?,
                    None => {
                        self.wire.socket.close(CloseCode::Away, "the conversation is over").await;
                        return Ok(());
                    }
                },
            }
        }
    }
}
