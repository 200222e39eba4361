//! Parts that fail, hang, lie and come back, and what the daemon makes of it. No weights, no network
//! but loopback. Time is paused wherever no process and no socket is involved.

mod alerts;
mod board;
mod dashboards;
mod fallback;
mod gate;
mod incidents;
mod matrix;
mod ollama;
mod probes;
mod proxy;
mod supervisor;

use std::{future::Future, pin::Pin};

use futures::StreamExt;
use griot::{
    health::{Board, HealthReport},
    ports::{ChatEvent, ChatRequest, ChatStream, Message, PortError, Role},
};

/// A small request.
fn request() -> ChatRequest {
    ChatRequest {
        messages: vec![Message {
            role: Role::User,
            content: "When is rent due?".to_owned(),
        }],
        format: None,
        max_tokens: 16,
        temperature: 0.0,
        seed: None,
        stop: Vec::new(),
        logprobs: false,
    }
}

/// A reply in short: its text, `|`, and `done` or the error.
async fn read(reply: Result<ChatStream, PortError>) -> String {
    let mut reply = match reply {
        Ok(reply) => reply,
        Err(error) => return format!("|{error}"),
    };
    let mut said = String::new();
    while let Some(event) = reply.next().await {
        match event {
            Ok(ChatEvent::Delta { text, .. }) => said += &text,
            Ok(ChatEvent::Done { .. }) => said += "|done",
            Err(error) => said += &format!("|{error}"),
        }
    }
    said
}

/// Waits until the board says what is asked for.
async fn until(board: &Board, mut wanted: impl FnMut(&HealthReport) -> bool) -> HealthReport {
    let mut changes = board.changes();
    loop {
        let report = board.report();
        if wanted(&report) {
            return report;
        }
        changes.changed().await.expect("the board is still there");
    }
}

/// A boxed call, as probes want it.
fn check(
    result: impl Fn() -> Result<(), PortError> + Send + Sync + 'static,
) -> griot::health::probes::Check {
    Box::new(move || {
        let result = result();
        Box::pin(async move { result }) as Pin<Box<dyn Future<Output = _> + Send>>
    })
}
