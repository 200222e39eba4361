//! One connection: events are read while what they ask for is done, so that a `ping` is answered in the middle of
//! a long text. What is asked is done in the order in which it was asked. When the client goes, all of it ends.

use std::sync::Arc;

use tokio::{
    io::BufReader,
    net::TcpStream,
    sync::mpsc::{self, error::TrySendError},
};

use super::{
    Parts,
    hear::Wanted,
    info::info,
    recording::Recording,
    speak::Voice,
    wire::{self, Event, Malformed},
    work::{self, Gone, Task},
};
use crate::voice::{clauses::Clauses, recording::Sound};

/// Events that wait to be read by the client. Whoever does not read has nothing more done for them.
const OUTBOX: usize = 64;
/// Tasks that wait to be done.
const WAITING: usize = 256;
/// Characters of a text that comes in pieces.
const LONGEST_TEXT: usize = 64 * 1024;

/// Serves a client until it goes.
pub(super) async fn converse(stream: TcpStream, parts: Arc<Parts>) {
    let (from, mut to) = stream.into_split();
    let mut from = BufReader::new(from);
    let (out, mut outbox) = mpsc::channel::<Event>(OUTBOX);
    let (tasks, todo) = mpsc::channel(WAITING);
    let talk = async {
        let mut client = Client {
            parts: Arc::clone(&parts),
            out: out.clone(),
            tasks,
            wanted: Wanted::default(),
            recording: None,
            text: None,
        };
        let end = tokio::select! {
            end = client.listen(&mut from) => end,
            () = work::work(todo, &parts, &out) => Ok(()),
        };
        if let Err(malformed) = end {
            tracing::debug!(%malformed, "a Wyoming connection ends");
            let told = Event::error("malformed", malformed.to_string());
            let _ = out.send(told).await;
        }
        // The outbox ends once what is in it was sent.
        drop((client, out));
    };
    let send = async {
        while let Some(event) = outbox.recv().await {
            if let Err(error) = wire::write(&mut to, &event).await {
                tracing::debug!(%error, "a Wyoming client has gone");
                return;
            }
        }
    };
    tokio::join!(talk, send);
}

/// A text that comes in pieces, to be spoken as its sentences are complete.
struct Text {
    clauses: Clauses,
    voice: Voice,
    length: usize,
}

/// What is known of a client.
struct Client {
    parts: Arc<Parts>,
    out: mpsc::Sender<Event>,
    tasks: mpsc::Sender<Task>,
    /// How the next recording is wanted.
    wanted: Wanted,
    recording: Option<Recording>,
    text: Option<Text>,
}

impl Client {
    async fn listen(
        &mut self,
        from: &mut BufReader<impl tokio::io::AsyncRead + Unpin>,
    ) -> Result<(), Malformed> {
        while let Some(event) = wire::read(from).await? {
            if self.hear(event).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    async fn hear(&mut self, event: Event) -> Result<(), Gone> {
        match event.kind.as_str() {
            "describe" => self.out.send(info(&self.parts)).await?,
            "ping" => {
                let text = event.data.get("text").cloned().unwrap_or_default();
                self.out.send(Event::new("pong").with("text", text)).await?;
            }
            "transcribe" => match Wanted::of(&event, &self.parts.engines) {
                Ok(wanted) => self.wanted = wanted,
                Err(error) => self.out.send(error).await?,
            },
            "audio-start" => self.begin(&event).await?,
            "audio-chunk" => {
                // Some begin without saying so.
                if self.recording.is_none() && !self.wanted.given_up {
                    self.begin(&event).await?;
                }
                if let Some(recording) = &mut self.recording
                    && let Err(reason) = recording.push(&event).await
                {
                    self.give_up(reason).await?;
                }
            }
            "audio-stop" => {
                let wanted = std::mem::take(&mut self.wanted);
                match self.recording.take() {
                    Some(recording) => self.task(Task::WriteDown(recording.end(), wanted))?,
                    // That was said when it was given up.
                    None if wanted.given_up => {}
                    None => self.task(Task::WriteDown(Sound::default(), wanted))?,
                }
            }
            // In a stream it repeats the text, for those who know no streams.
            "synthesize" if self.text.is_some() => {}
            "synthesize" => match self.voice(&event) {
                Ok(voice) => {
                    let text = event.text("text").to_owned();
                    self.task(Task::Speak { text, voice })?;
                }
                Err(error) => self.out.send(error).await?,
            },
            "synthesize-start" => match self.voice(&event) {
                Ok(voice) => {
                    self.text = Some(Text {
                        clauses: Clauses::default(),
                        voice,
                        length: 0,
                    });
                }
                Err(error) => self.out.send(error).await?,
            },
            "synthesize-chunk" => self.more_text(event.text("text")).await?,
            "synthesize-stop" => {
                if let Some(mut text) = self.text.take() {
                    if let Some(rest) = text.clauses.finish() {
                        let voice = text.voice;
                        self.task(Task::Speak { text: rest, voice })?;
                    }
                    self.task(Task::Tell(Event::new("synthesize-stopped")))?;
                }
            }
            "transcript" | "recognize" => {
                let context = event.data.get("context").cloned().unwrap_or_default();
                let text = event.text("text").to_owned();
                self.task(Task::Answer { text, context })?;
            }
            _ => {}
        }
        Ok(())
    }

    async fn begin(&mut self, event: &Event) -> Result<(), Gone> {
        self.wanted.given_up = false;
        match Recording::begin(event) {
            Ok(recording) => self.recording = Some(recording),
            Err(reason) => self.give_up(reason).await?,
        }
        Ok(())
    }

    async fn give_up(&mut self, reason: String) -> Result<(), Gone> {
        (self.recording, self.wanted.given_up) = (None, true);
        self.out.send(Event::error("audio", reason)).await?;
        Ok(())
    }

    fn voice(&self, event: &Event) -> Result<Voice, Event> {
        if event.text("text_format") == "ssml" {
            let told = "texts are taken as they are; SSML is not understood";
            return Err(Event::error("ssml", told));
        }
        Voice::of(event.data.get("voice"), &self.parts.engines)
    }

    async fn more_text(&mut self, piece: &str) -> Result<(), Gone> {
        let Some(text) = &mut self.text else {
            return Ok(());
        };
        text.length += piece.len();
        if text.length > LONGEST_TEXT {
            self.text = None;
            let told = format!("a text in pieces has {LONGEST_TEXT} bytes at most");
            self.out.send(Event::error("text", told)).await?;
            return self.task(Task::Tell(Event::new("synthesize-stopped")));
        }
        let voice = text.voice.clone();
        for clause in text.clauses.feed(piece) {
            self.task(Task::Speak {
                text: clause,
                voice: voice.clone(),
            })?;
        }
        Ok(())
    }

    /// Has something done after what was asked before.
    fn task(&self, task: Task) -> Result<(), Gone> {
        self.tasks.try_send(task).map_err(|full| {
            if let TrySendError::Full(_) = full {
                let told = format!("{WAITING} requests wait already; the connection ends");
                // The client reads nothing, or nothing of this either.
                let _ = self.out.try_send(Event::error("busy", told));
            }
            Gone
        })
    }
}
