//! One connection: events are read while what they ask for is done, so that a `ping` is answered in the middle of
//! a long text. What is asked is done in the order in which it was asked. When the client goes, all of it ends.

use std::{sync::Arc, time::Duration};

use futures::future::Either;
use serde_json::{Value, json};
use tokio::{
    io::BufReader,
    net::TcpStream,
    sync::{
        Semaphore,
        mpsc::{self, error::TrySendError},
    },
};

use super::{
    Parts,
    hear::{Wanted, nothing},
    info::info,
    recording::Recording,
    speak::{Voice, stop},
    wire::{self, Event, Malformed},
    work::{self, Gone, Task},
};
use crate::voice::{clauses::Clauses, recording::Sound};

/// Events that wait to be read by the client. Whoever does not read has nothing more done for them.
const OUTBOX: usize = 64;
/// Tasks that wait to be done.
const WAITING: usize = 256;
/// Recordings among them.
const RECORDINGS: usize = 2;
/// Bytes of a text, in pieces or as a whole.
const LONGEST_TEXT: usize = 64 * 1024;
/// Bytes of what a client wants to be given back with an answer.
const LONGEST_CONTEXT: usize = 4096;
/// How long an event may take to be sent. Who reads more slowly than that keeps others from being served.
const UNREAD: Duration = Duration::from_secs(60);

/// Serves a client until it goes.
pub(super) async fn converse(stream: TcpStream, parts: Arc<Parts>) {
    let (from, mut to) = stream.into_split();
    let mut from = BufReader::new(from);
    let (out, outbox) = mpsc::channel::<Event>(OUTBOX);
    let (tasks, todo) = mpsc::channel(WAITING);
    let talk = async {
        let mut client = Client {
            parts: Arc::clone(&parts),
            out: out.clone(),
            tasks,
            wanted: Wanted::default(),
            recording: None,
            recordings: Arc::new(Semaphore::new(RECORDINGS)),
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
        let mut outbox = outbox;
        while let Some(event) = outbox.recv().await {
            let sent = tokio::time::timeout(UNREAD, wire::write(&mut to, &event)).await;
            if !matches!(sent, Ok(Ok(()))) {
                tracing::debug!("a Wyoming client has gone, or reads nothing");
                break;
            }
        }
    };
    // Once nothing can be sent, nothing is to be done either.
    let talk = std::pin::pin!(talk);
    let send = std::pin::pin!(send);
    if let Either::Left(((), rest)) = futures::future::select(talk, send).await {
        rest.await;
    }
}

/// A text that comes in pieces, to be spoken as its sentences are complete.
struct Text {
    clauses: Clauses,
    /// `None`: there is a reason why it is not spoken, and it was told.
    voice: Option<Voice>,
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
    recordings: Arc<Semaphore>,
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
            "audio-stop" => self.recorded().await?,
            // In a stream it repeats the text, for those who know no streams.
            "synthesize" if self.text.is_some() => {}
            "synthesize" => match self
                .voice(&event)
                .and_then(|voice| Ok((text(&event)?, voice)))
            {
                Ok((text, voice)) => self.task(Task::Speak {
                    text,
                    voice,
                    piece: false,
                })?,
                Err(error) => {
                    self.out.send(error).await?;
                    self.out.send(stop(1, 0)).await?;
                }
            },
            "synthesize-start" => {
                let voice = match self.voice(&event) {
                    Ok(voice) => Some(voice),
                    Err(error) => {
                        self.out.send(error).await?;
                        None
                    }
                };
                self.text = Some(Text {
                    clauses: Clauses::default(),
                    voice,
                    length: 0,
                });
            }
            "synthesize-chunk" => self.more_text(event.text("text")).await?,
            "synthesize-stop" => {
                if let Some(mut text) = self.text.take() {
                    if let (Some(rest), Some(voice)) = (text.clauses.finish(), text.voice) {
                        self.piece(rest, voice).await?;
                    }
                    let stopped = Task::Tell(Event::new("synthesize-stopped"));
                    self.tasks.send(stopped).await.map_err(|_| Gone)?;
                }
            }
            "transcript" | "recognize" => match text(&event) {
                Ok(text) => {
                    let context = context(&event);
                    self.task(Task::Answer { text, context })?;
                }
                Err(error) => {
                    self.out.send(error).await?;
                    self.out.send(Event::new("not-handled")).await?;
                }
            },
            _ => {}
        }
        Ok(())
    }

    /// A recording has ended.
    async fn recorded(&mut self) -> Result<(), Gone> {
        let wanted = std::mem::take(&mut self.wanted);
        let sound = match self.recording.take() {
            Some(recording) => recording.end(),
            None if wanted.given_up => return nothing(&self.out).await,
            None => Sound::default(),
        };
        match Arc::clone(&self.recordings).try_acquire_owned() {
            Ok(place) => self.task(Task::WriteDown(sound, wanted, place)),
            Err(_) => {
                let told = format!("{RECORDINGS} recordings wait already");
                self.out.send(Event::error("busy", told)).await?;
                nothing(&self.out).await
            }
        }
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
        let Some(voice) = text.voice.clone() else {
            return Ok(());
        };
        text.length += piece.len();
        if text.length > LONGEST_TEXT {
            text.voice = None;
            text.clauses = Clauses::default();
            let told = format!("a text in pieces has {LONGEST_TEXT} bytes at most");
            self.out.send(Event::error("text", told)).await?;
            return Ok(());
        }
        for clause in text.clauses.feed(piece) {
            self.piece(clause, voice.clone()).await?;
        }
        Ok(())
    }

    /// Has a piece of a text spoken. While too many wait nothing is read: they become fewer by themselves.
    async fn piece(&self, text: String, voice: Voice) -> Result<(), Gone> {
        let task = Task::Speak {
            text,
            voice,
            piece: true,
        };
        self.tasks.send(task).await.map_err(|_| Gone)
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

/// The text of an event, if it is not too long.
fn text(event: &Event) -> Result<String, Event> {
    let text = event.text("text");
    if text.len() > LONGEST_TEXT {
        let told = format!("a text has {LONGEST_TEXT} bytes at most");
        return Err(Event::error("text", told));
    }
    Ok(text.to_owned())
}

/// What a client wants to be given back, without what is too long for that.
fn context(event: &Event) -> Value {
    let Some(Value::Object(given)) = event.data.get("context") else {
        return Value::Null;
    };
    let is_short = |value: &Value| value.to_string().len() <= LONGEST_CONTEXT;
    if given.len() <= 32 && is_short(&Value::Object(given.clone())) {
        return Value::Object(given.clone());
    }
    let name = given.get("conversation_id").filter(|name| is_short(name));
    json!({ "conversation_id": name })
}
