//! What is asked for, done: one task after another.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{Parts, wire::Event};
use crate::{
    answer::{AnswerEvent, Ask},
    domain::{
        Answer, Citation, ConversationId, Profile, Question, audio::s16, resample::resampled,
    },
    ports::{Clause, Engines, PortError},
    voice::{
        clauses::{Clauses, breaths},
        engine::voice_of,
        recording::{self, Options, Sound},
        speakable::{speakable, without_citations},
    },
};

/// How long a task waits for its place among those in work.
const PATIENCE: Duration = Duration::from_secs(20);
/// Samples of one event, by the rate: a tenth of a second.
const EVENTS_PER_SECOND: usize = 10;

/// The space of the names that clients give conversations (an UUID drawn once).
const NAMES: Uuid = Uuid::from_u128(0x6c1d_2f0a_4b7e_4c55_9d43_0be8_77a1_52f6);

/// Something to be done.
pub(super) enum Task {
    WriteDown(Sound, Wanted),
    Speak {
        text: String,
        voice: Voice,
    },
    Answer {
        text: String,
        context: Value,
    },
    /// To be told once what was asked before is done.
    Tell(Event),
}

/// The client has gone.
struct Gone;

impl From<mpsc::error::SendError<Event>> for Gone {
    fn from(_: mpsc::error::SendError<Event>) -> Self {
        Self
    }
}

/// How a recording is to be written down.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    options: Options,
    /// There is a reason why nothing comes of it, and it was told.
    pub given_up: bool,
}

impl Wanted {
    /// What a `transcribe` asks for.
    ///
    /// # Errors
    /// For a language that is not known, as the event that says so.
    pub fn of(event: &Event, engines: &Engines) -> Result<Self, Event> {
        let wanted = event.text("language");
        let language = wanted.split(['-', '_']).next().unwrap_or_default();
        let language = language.trim().to_ascii_lowercase();
        let known = engines.transcriber.languages();
        if !language.is_empty() && !known.contains(&language) {
            let wanted: String = wanted.chars().take(40).collect();
            let told = format!(
                "the speech model does not know {wanted:?}; it knows: {}",
                known.join(", ")
            );
            return Err(Event::error("language", told));
        }
        // Names come last: a hint that is too long loses its beginning.
        let expected: Vec<&str> = ["transcript_terms", "transcript_names"]
            .iter()
            .filter_map(|key| event.data.get(*key)?.as_array())
            .flatten()
            .filter_map(Value::as_str)
            .take(100)
            .collect();
        Ok(Self {
            options: Options {
                language: Some(language).filter(|language| !language.is_empty()),
                prompt: Some(expected.join(", ")).filter(|prompt| !prompt.is_empty()),
                words: false,
            },
            given_up: false,
        })
    }
}

/// With which voice something is said; `None`: the usual one.
#[derive(Debug, Clone, Default)]
pub(super) struct Voice {
    name: Option<String>,
    language: Option<String>,
}

impl Voice {
    /// The voice that an event names, by its name or a language.
    ///
    /// # Errors
    /// For a name that no voice has, as the event that says so.
    pub fn of(given: Option<&Value>, engines: &Engines) -> Result<Self, Event> {
        let text = |key: &str| given.and_then(|voice| voice.get(key)?.as_str());
        let voices = engines.synthesizer.voices();
        let name = match text("name") {
            Some(name) if voices.iter().any(|voice| voice.name == name) => Some(name.to_owned()),
            Some(name) => {
                let name: String = name.chars().take(60).collect();
                let some: Vec<&str> = voices.iter().take(12).map(|v| v.name.as_str()).collect();
                let told = format!("there is no voice {name:?}; there are {}", some.join(", "));
                return Err(Event::error("voice", told));
            }
            None => {
                let language = text("language").and_then(|l| l.split(['-', '_']).next());
                let profile = Profile {
                    language: language.map(str::to_lowercase),
                    ..Profile::default()
                };
                voice_of(&profile, &voices)
            }
        };
        let spoken = voices
            .iter()
            .find(|voice| Some(&voice.name) == name.as_ref());
        let language = spoken
            .or(voices.first())
            .map(|voice| voice.language.clone());
        Ok(Self { name, language })
    }
}

/// Does what is asked for, until nothing more can be.
pub(super) async fn work(mut todo: mpsc::Receiver<Task>, parts: &Parts, out: &mpsc::Sender<Event>) {
    while let Some(task) = todo.recv().await {
        let (kind, done) = match task {
            Task::WriteDown(sound, wanted) => {
                ("transcribe", write_down(sound, wanted, parts, out).await)
            }
            Task::Speak { text, voice } => ("synthesize", speak(&text, &voice, parts, out).await),
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

async fn fail(error: &PortError, out: &mpsc::Sender<Event>) -> Result<(), Gone> {
    Ok(out
        .send(Event::error("unavailable", error.to_string()))
        .await?)
}

/// Tells the client that it has to come back later.
async fn busy(what: &str, out: &mpsc::Sender<Event>) -> Result<(), Gone> {
    let told = format!("as many {what} are in work as can be; ask again shortly");
    Ok(out.send(Event::error("busy", told)).await?)
}

async fn write_down(
    sound: Sound,
    wanted: Wanted,
    parts: &Parts,
    out: &mpsc::Sender<Event>,
) -> Result<(), Gone> {
    let Some(_place) = parts.recordings.wait(PATIENCE).await else {
        return busy("recordings", out).await;
    };
    let language = wanted.options.language.clone();
    out.send(Event::new("transcript-start").with("language", language))
        .await?;
    let (sound, mut first) = (Arc::new(sound), true);
    // What is written down is told as it comes, unless the client reads more slowly than that.
    let (pieces, mut come) = mpsc::unbounded_channel();
    let writing = recording::write_down(&parts.engines, &sound, &wanted.options, |segment| {
        let space = if std::mem::take(&mut first) { "" } else { " " };
        pieces
            .send(format!("{space}{}", segment.text.trim()))
            .is_ok()
    });
    let mut writing = std::pin::pin!(writing);
    let written = loop {
        tokio::select! {
            written = writing.as_mut() => break written,
            Some(piece) = come.recv() => {
                out.send(Event::new("transcript-chunk").with("text", piece)).await?;
            }
        }
    };
    while let Ok(piece) = come.try_recv() {
        out.send(Event::new("transcript-chunk").with("text", piece))
            .await?;
    }
    match written {
        Ok(written) => {
            let text = written.text();
            let transcript = Event::new("transcript")
                .with("text", text)
                .with("language", written.language);
            out.send(transcript).await?;
            out.send(Event::new("transcript-stop")).await?;
            Ok(())
        }
        Err(error) => fail(&error, out).await,
    }
}

async fn speak(
    text: &str,
    voice: &Voice,
    parts: &Parts,
    out: &mpsc::Sender<Event>,
) -> Result<(), Gone> {
    let synthesizer = &parts.engines.synthesizer;
    let language = voice.language.as_deref().unwrap_or("en");
    let mut rate = None;
    let mut sent: usize = 0;
    for text in breaths(&speakable(text, language)) {
        let clause = Clause {
            voice: voice.name.clone(),
            ..Clause::new(text)
        };
        let sound = match synthesizer.speak(clause).await {
            Ok(sound) if sound.rate == 0 => continue,
            Ok(sound) => sound,
            Err(error) => {
                if let Some(rate) = rate {
                    out.send(stop(rate, sent)).await?;
                }
                return fail(&error, out).await;
            }
        };
        let rate = match rate {
            Some(rate) => rate,
            None => {
                out.send(start(sound.rate)).await?;
                *rate.insert(sound.rate)
            }
        };
        let samples = match sound.rate == rate {
            true => sound.samples,
            false => resampled(&sound.samples, sound.rate, rate),
        };
        for piece in samples.chunks((rate as usize / EVENTS_PER_SECOND).max(1)) {
            let mut chunk = form("audio-chunk", rate).with("timestamp", millis(sent, rate));
            chunk.payload = s16(piece).flat_map(i16::to_le_bytes).collect();
            sent += piece.len();
            out.send(chunk).await?;
        }
    }
    // Nothing of it could be heard, which is no mistake: an empty sound.
    let rate = match rate {
        Some(rate) => rate,
        None => {
            let voices = synthesizer.voices();
            let rate = voices.first().map_or(22_050, |voice| voice.rate);
            out.send(start(rate)).await?;
            rate
        }
    };
    out.send(stop(rate, sent)).await?;
    Ok(())
}

fn form(kind: &str, rate: u32) -> Event {
    Event::new(kind)
        .with("rate", rate)
        .with("width", 2)
        .with("channels", 1)
}

fn start(rate: u32) -> Event {
    form("audio-start", rate).with("timestamp", 0)
}

fn stop(rate: u32, sent: usize) -> Event {
    Event::new("audio-stop").with("timestamp", millis(sent, rate))
}

fn millis(samples: usize, rate: u32) -> u64 {
    samples as u64 * 1000 / u64::from(rate.max(1))
}

/// Answers from the documents. What is in none of them is not handled, so that another agent may try.
async fn answer(
    text: &str,
    context: Value,
    parts: &Parts,
    out: &mpsc::Sender<Event>,
) -> Result<(), Gone> {
    let question = match Question::parse(text, parts.max_question_chars) {
        Ok(question) => question,
        Err(error) => {
            let told = Event::new("not-handled").with("text", error.to_string());
            return Ok(out.send(told.with("context", context)).await?);
        }
    };
    let Some(_place) = parts.questions.wait(PATIENCE).await else {
        return busy("questions", out).await;
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
                return Ok(out.send(Event::error("answer", error.to_string())).await?);
            }
        }
    }
    Ok(())
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
