//! Voices: Piper's, in process, with phonemes from misaki; and those of espeak-ng, as a process, where it is
//! installed, which also says the words that misaki does not know. Nothing is read before it is needed.

mod espeak;
mod phonemes;
mod piper;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::{
    domain::{Component, Pcm},
    ports::{Clause, PortError, Synthesizer, Voice},
};
use espeak::Espeak;
use piper::Piper;

/// Clauses at once. One takes a tenth of the time that it lasts, on one core.
const AT_ONCE: usize = 2;
/// Characters of a clause at most; nobody has breath for more.
const LONGEST: usize = 4096;
/// How fast a voice can be made.
const SPEEDS: std::ops::RangeInclusive<f32> = 0.25..=4.0;

/// A [`Synthesizer`] on this machine's processor.
pub struct LocalSpeech {
    piper: Arc<Piper>,
    espeak: Option<Espeak>,
    speaking: Semaphore,
}

/// Who says a clause.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Speaker {
    Piper,
    /// A language of espeak-ng.
    Espeak(String),
}

impl LocalSpeech {
    /// The voices of a weights folder (`DIR/piper-en-us-joe`), and those of espeak-ng, which is asked once
    /// what it can. Blocks for that.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        let espeak = Espeak::installed();
        Self {
            piper: Arc::new(Piper::new(dir, espeak.clone())),
            espeak,
            speaking: Semaphore::new(AT_ONCE),
        }
    }

    /// Whether there is any voice.
    #[must_use]
    pub fn can_speak(&self) -> bool {
        self.piper.is_there() || self.espeak.is_some()
    }

    fn speaker(&self, clause: &Clause) -> Result<Speaker, PortError> {
        let speaks = |language: &str| {
            let espeak = self.espeak.as_ref()?;
            espeak.speaks(language).map(Speaker::Espeak)
        };
        let is_english = |language: &str| language == "en" || language.starts_with("en-");
        let missing = || refused(piper::MISSING.to_owned());
        match (&clause.voice, &clause.language) {
            (Some(voice), _) if voice == piper::NAME => {
                if self.piper.is_there() {
                    Ok(Speaker::Piper)
                } else {
                    Err(missing())
                }
            }
            (Some(voice), _) => (voice.strip_prefix(espeak::PREFIX))
                .and_then(speaks)
                .ok_or_else(|| refused(self.unknown("voice", voice))),
            (None, Some(language)) if !is_english(language) => speaks(language)
                .ok_or_else(|| refused(self.unknown("voice for the language", language))),
            (None, _) if self.piper.is_there() => Ok(Speaker::Piper),
            (None, _) => speaks("en").ok_or_else(missing),
        }
    }

    fn unknown(&self, what: &str, given: &str) -> String {
        let names: Vec<String> = self
            .voices()
            .into_iter()
            .map(|voice| voice.name)
            .take(12)
            .collect();
        let given: String = given.chars().take(60).collect();
        if self.espeak.is_none() {
            format!(
                "there is no {what} {given:?}; there are: {}. Install espeak-ng for more languages",
                names.join(", ")
            )
        } else {
            format!(
                "there is no {what} {given:?}; some there are: {}",
                names.join(", ")
            )
        }
    }
}

fn refused(reason: String) -> PortError {
    PortError::Refused {
        component: Component::Synthesizer,
        reason,
    }
}

#[async_trait]
impl Synthesizer for LocalSpeech {
    fn voices(&self) -> Vec<Voice> {
        let piper = self.piper.is_there().then(|| Voice {
            name: piper::NAME.to_owned(),
            language: "en-us".to_owned(),
            rate: piper::RATE,
        });
        let espeak = self.espeak.iter().flat_map(Espeak::voices);
        piper.into_iter().chain(espeak).collect()
    }

    async fn speak(&self, clause: Clause) -> Result<Pcm, PortError> {
        if clause.text.chars().count() > LONGEST {
            return Err(refused(format!(
                "a clause of more than {LONGEST} characters is not spoken"
            )));
        }
        let speaker = self.speaker(&clause)?;
        let speed = if clause.speed.is_finite() {
            clause.speed
        } else {
            1.0
        };
        let speed = speed.clamp(*SPEEDS.start(), *SPEEDS.end());
        let _place = (self.speaking.acquire().await).expect("this semaphore is never closed");
        match (speaker, &self.espeak) {
            (Speaker::Espeak(language), Some(espeak)) => espeak
                .speak(&clause.text, &language, speed)
                .await
                .map_err(|error| PortError::unavailable(Component::Synthesizer, error)),
            _ => {
                let piper = Arc::clone(&self.piper);
                match tokio::task::spawn_blocking(move || piper.speak(&clause.text, speed)).await {
                    Ok(spoken) => spoken
                        .map_err(|error| PortError::unavailable(Component::Synthesizer, error)),
                    // A damaged model may make its interpreter panic.
                    Err(stopped) => Err(PortError::unavailable(Component::Synthesizer, stopped)),
                }
            }
        }
    }
}
