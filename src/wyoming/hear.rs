//! Recordings, written down.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::mpsc;

use super::{
    Parts,
    wire::Event,
    work::{Gone, PATIENCE, busy, fail},
};
use crate::{
    ports::Engines,
    voice::{
        engine::language_of,
        recording::{self, Options, Sound},
    },
};

/// Stretches of a recording that are written down and not told yet.
const PIECES: usize = 64;

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
        let language = match event.text("language") {
            "" => None,
            wanted => Some(
                language_of(engines, wanted)
                    .map_err(|error| Event::error("language", error.to_string()))?,
            ),
        };
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
                language,
                prompt: Some(expected.join(", ")).filter(|prompt| !prompt.is_empty()),
                words: false,
            },
            given_up: false,
        })
    }
}

/// Writes a recording down and tells it, piece by piece and as a whole.
pub(super) async fn write_down(
    sound: Sound,
    wanted: Wanted,
    parts: &Parts,
    out: &mpsc::Sender<Event>,
) -> Result<(), Gone> {
    let Some(_place) = parts.recordings.wait(PATIENCE).await else {
        busy("recordings", out).await?;
        return nothing(out).await;
    };
    let language = wanted.options.language.clone();
    out.send(Event::new("transcript-start").with("language", language))
        .await?;
    let (sound, mut first, mut behind) = (Arc::new(sound), true, false);
    // What is written down is told as it comes. To a client who reads more slowly the rest is told at the end.
    let (pieces, mut come) = mpsc::channel(PIECES);
    let writing = recording::write_down(&parts.engines, &sound, &wanted.options, |segment| {
        let space = if std::mem::take(&mut first) { "" } else { " " };
        let piece = format!("{space}{}", segment.text.trim());
        behind = behind || pieces.try_send(piece).is_err();
        true
    });
    let mut writing = std::pin::pin!(writing);
    let mut told = String::new();
    let written = loop {
        tokio::select! {
            written = writing.as_mut() => break written,
            Some(piece) = come.recv() => {
                told.push_str(&piece);
                out.send(Event::new("transcript-chunk").with("text", piece)).await?;
            }
        }
    };
    match written {
        Ok(written) => {
            let text = written.text();
            if let Some(rest) = text.strip_prefix(&told).filter(|rest| !rest.is_empty()) {
                let rest = Event::new("transcript-chunk").with("text", rest);
                out.send(rest).await?;
            }
            let transcript = Event::new("transcript")
                .with("text", text)
                .with("language", written.language);
            out.send(transcript).await?;
            out.send(Event::new("transcript-stop")).await?;
            Ok(())
        }
        Err(error) => {
            fail(&error, out).await?;
            nothing(out).await
        }
    }
}

/// Nothing comes of a recording. Some wait for its text, whatever errors they are told of.
pub(super) async fn nothing(out: &mpsc::Sender<Event>) -> Result<(), Gone> {
    out.send(Event::new("transcript").with("text", "")).await?;
    out.send(Event::new("transcript-stop")).await?;
    Ok(())
}
