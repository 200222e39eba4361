//! What is asked for, done: one task after another.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{
    Parts,
    answer::answer,
    hear::{Wanted, write_down},
    speak::{Voice, speak},
    wire::Event,
};
use crate::{ports::PortError, voice::recording::Sound};

/// How long a task waits for its place among those in work.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Something to be done.
pub(super) enum Task {
    /// The last holds its place among the recordings that wait.
    WriteDown(Sound, Wanted, OwnedSemaphorePermit),
    Speak {
        text: String,
        voice: Voice,
        /// A piece of a text: of what cannot be heard nothing is told.
        piece: bool,
    },
    Answer {
        text: String,
        context: Value,
    },
    /// To be told once what was asked before is done.
    Tell(Event),
}

/// The client has gone, or is not served any longer.
pub(super) struct Gone;

impl From<mpsc::error::SendError<Event>> for Gone {
    fn from(_: mpsc::error::SendError<Event>) -> Self {
        Self
    }
}

/// Does what is asked for, until nothing more can be.
pub(super) async fn work(mut todo: mpsc::Receiver<Task>, parts: &Parts, out: &mpsc::Sender<Event>) {
    while let Some(task) = todo.recv().await {
        let (kind, done) = match task {
            Task::WriteDown(sound, wanted, _place) => {
                ("transcribe", write_down(sound, wanted, parts, out).await)
            }
            Task::Speak { text, voice, piece } => {
                ("synthesize", speak(&text, &voice, piece, parts, out).await)
            }
            Task::Answer { text, context } => ("handle", answer(&text, context, parts, out).await),
            Task::Tell(event) => {
                if out.send(event).await.is_err() {
                    return;
                }
                continue;
            }
        };
        metrics::counter!("griot_wyoming_requests_total", "kind" => kind).increment(1);
        if done.is_err() {
            return;
        }
    }
}

/// Tells why it could not be done.
pub(super) async fn fail(error: &PortError, out: &mpsc::Sender<Event>) -> Result<(), Gone> {
    Ok(out
        .send(Event::error("unavailable", error.to_string()))
        .await?)
}

/// Tells the client that it has to come back later.
pub(super) async fn busy(what: &str, out: &mpsc::Sender<Event>) -> Result<(), Gone> {
    let told = format!("as many {what} are in work as can be; ask again shortly");
    Ok(out.send(Event::error("busy", told)).await?)
}
