//! The frames of `griot-stt`, as `src/stt/src/wire.rs` says them: lengths, JSON, samples, the lower byte
//! first. Written twice, because the daemon must not link the worker.

use serde::{Deserialize, Serialize};

use crate::ports::{Purpose, Utterance};

/// What to do with the sound.
#[derive(Debug, Serialize)]
pub(super) struct Header<'a> {
    partial: bool,
    language: Option<&'a str>,
    prompt: Option<&'a str>,
    max_tokens: Option<u32>,
    words: bool,
}

impl<'a> Header<'a> {
    pub(super) fn of(utterance: &'a Utterance) -> Self {
        Self {
            partial: utterance.purpose == Purpose::Partial,
            language: utterance.language.as_deref(),
            prompt: utterance.prompt.as_deref().map(last_words),
            max_tokens: utterance.max_tokens,
            words: utterance.words,
        }
    }
}

/// Bytes of a prompt that are of use: Whisper reads the last 223 tokens.
const PROMPT: usize = 4000;

fn last_words(prompt: &str) -> &str {
    let mut from = prompt.len().saturating_sub(PROMPT);
    while !prompt.is_char_boundary(from) {
        from += 1;
    }
    &prompt[from..]
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    Done(Transcript),
    Refused(String),
    Failed(String),
}

#[derive(Debug, Deserialize)]
pub(super) struct Transcript {
    pub(super) segments: Vec<Segment>,
    pub(super) language: Option<String>,
    pub(super) looped: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Segment {
    pub(super) start: f32,
    pub(super) end: f32,
    pub(super) text: String,
    pub(super) tokens: Vec<i32>,
    pub(super) no_speech: f32,
    pub(super) avg_logprob: f32,
    pub(super) words: Vec<Word>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Word {
    pub(super) start: f32,
    pub(super) end: f32,
    pub(super) text: String,
}

/// The whole request.
pub(super) fn request(header: &Header, samples: &[f32]) -> Vec<u8> {
    let header = serde_json::to_vec(header).expect("a header has nothing that JSON cannot say");
    let mut bytes = Vec::with_capacity(8 + header.len() + 4 * samples.len());
    bytes.extend(((4 + header.len() + 4 * samples.len()) as u32).to_le_bytes());
    bytes.extend((header.len() as u32).to_le_bytes());
    bytes.extend(header);
    samples
        .iter()
        .for_each(|sample| bytes.extend(sample.to_le_bytes()));
    bytes
}

/// What the models of many languages know, as far as their own tests found the result of use.
pub(super) const LANGUAGES: [&str; 20] = [
    "en", "de", "es", "fr", "it", "pt", "nl", "pl", "ru", "uk", "cs", "sv", "da", "no", "fi", "tr",
    "el", "ja", "ko", "zh",
];
