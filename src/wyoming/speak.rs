//! Texts, spoken.

use serde_json::Value;
use tokio::sync::mpsc;

use super::{
    Parts,
    wire::Event,
    work::{Gone, fail},
};
use crate::{
    domain::{Profile, audio::s16, resample::resampled},
    ports::{Clause, Engines},
    voice::{clauses::breaths, engine::voice_of, speakable::speakable},
};

/// Samples of one event, by the rate: a tenth of a second.
const EVENTS_PER_SECOND: usize = 10;

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

/// Speaks a text and tells its sound as one stretch.
pub(super) async fn speak(
    text: &str,
    voice: &Voice,
    piece: bool,
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
            // Some wait for the end of the sound, whatever errors they are told of.
            Err(error) => {
                fail(&error, out).await?;
                out.send(stop(rate.unwrap_or(1), sent)).await?;
                return Ok(());
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
    let rate = match rate {
        Some(rate) => rate,
        None if piece => return Ok(()),
        // Nothing of it could be heard, which is no mistake: an empty sound.
        None => {
            let voices = synthesizer.voices();
            let named = voices
                .iter()
                .find(|one| Some(&one.name) == voice.name.as_ref());
            let rate = named.or(voices.first()).map_or(22_050, |voice| voice.rate);
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

/// The end of a sound.
pub(super) fn stop(rate: u32, sent: usize) -> Event {
    Event::new("audio-stop").with("timestamp", millis(sent, rate))
}

fn millis(samples: usize, rate: u32) -> u64 {
    samples as u64 * 1000 / u64::from(rate.max(1))
}
