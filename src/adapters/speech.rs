//! Voices: Piper's, in process, with phonemes from misaki; and those of espeak-ng, as a process, where it is
//! installed, which also says the words that misaki does not know. Nothing is read before it is needed.

mod espeak;
mod phonemes;
mod piper;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    domain::{Component, Pcm},
    ports::{Clause, PortError, Synthesizer, Voice, Work},
};
use espeak::Espeak;
use piper::{Haste, Piper};

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
    /// A clause's place goes with its work, which may outlive whoever wanted it.
    speaking: Arc<Semaphore>,
    /// The one place of whoever does not wait for a turn.
    aside: Arc<Semaphore>,
    /// The one place of what is spoken ahead.
    ahead: Arc<Semaphore>,
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
            speaking: Arc::new(Semaphore::new(AT_ONCE)),
            aside: Arc::new(Semaphore::new(1)),
            ahead: Arc::new(Semaphore::new(1)),
        }
    }

    /// Whether there is any voice.
    #[must_use]
    pub fn can_speak(&self) -> bool {
        self.piper.is_there() || self.espeak.is_some()
    }

    fn speaker(&self, clause: &Clause) -> Result<Speaker, PortError> {
        if clause.text.chars().count() > LONGEST {
            return Err(refused(format!(
                "a clause of more than {LONGEST} characters is not spoken"
            )));
        }
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

    async fn speak_as(
        &self,
        speaker: Speaker,
        clause: Clause,
        haste: Haste,
        place: OwnedSemaphorePermit,
    ) -> Result<Pcm, PortError> {
        let speed = if clause.speed.is_finite() {
            clause.speed
        } else {
            1.0
        };
        let speed = speed.clamp(*SPEEDS.start(), *SPEEDS.end());
        match (speaker, &self.espeak) {
            (Speaker::Espeak(language), Some(espeak)) => {
                let _place = place;
                espeak
                    .speak(&clause.text, &language, speed)
                    .await
                    .map_err(|error| PortError::unavailable(Component::Synthesizer, error))
            }
            _ => {
                let piper = Arc::clone(&self.piper);
                // Gone with this future: then nobody wants the rest.
                let asker = Arc::new(());
                let asked = Arc::downgrade(&asker);
                let work = tokio::task::spawn_blocking(move || {
                    let _place = place;
                    piper.speak(&clause.text, speed, haste, || asked.strong_count() > 0)
                });
                let spoken = work.await;
                drop(asker);
                match spoken {
                    Ok(spoken) => spoken
                        .map_err(|error| PortError::unavailable(Component::Synthesizer, error)),
                    // A damaged model may make its interpreter panic.
                    Err(stopped) => Err(PortError::unavailable(Component::Synthesizer, stopped)),
                }
            }
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
        let speaker = self.speaker(&clause)?;
        let place = place(&self.aside).await;
        self.speak_as(speaker, clause, Haste::Usual, place).await
    }

    async fn ahead(&self, clause: Clause) -> Result<Pcm, PortError> {
        let speaker = self.speaker(&clause)?;
        let place = place(&self.ahead).await;
        self.speak_as(speaker, clause, Haste::None, place).await
    }

    fn in_turn(&self, clause: Clause) -> BoxFuture<'_, Result<Work<'_, Pcm>, PortError>> {
        Box::pin(async move {
            let speaker = self.speaker(&clause)?;
            let place = place(&self.speaking).await;
            let work = self.speak_as(speaker, clause, Haste::Usual, place);
            Ok(Box::pin(work) as Work<'_, Pcm>)
        })
    }
}

async fn place(places: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    (Arc::clone(places).acquire_owned().await).expect("these semaphores are never closed")
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    /// A voice whose files are there and are none. Speaking meets them when it has begun.
    fn damaged() -> (LocalSpeech, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let voice = folder.path().join("piper-en-us-joe");
        std::fs::create_dir(&voice).unwrap();
        for name in ["voice.json", "model.onnx"] {
            std::fs::write(voice.join(name), "no model").unwrap();
        }
        (LocalSpeech::new(folder.path()), folder)
    }

    #[tokio::test]
    async fn a_clause_that_nobody_wants_any_more_keeps_its_place_until_its_work_ends() {
        let (speech, _folder) = damaged();
        let piper = Arc::clone(&speech.piper);
        let reading = piper.reading();
        for _ in 0..AT_ONCE {
            let turn = speech.in_turn(Clause::new("Yes.")).now_or_never();
            // Polled once, which begins the work, and dropped.
            assert!(turn.unwrap().unwrap().now_or_never().is_none());
        }
        let turn = speech.in_turn(Clause::new("No.")).now_or_never();
        assert!(turn.is_none(), "the work goes on");
        drop(reading);
        // The places come back with the end of the work.
        let work = speech.in_turn(Clause::new("No.")).await.unwrap();
        let error = work.await.unwrap_err();
        assert!(error.is_fault(), "the voice is damaged: {error}");
    }

    #[tokio::test]
    async fn whoever_wants_to_know_whether_it_works_waits_for_nobody() {
        let (speech, _folder) = damaged();
        let _all = speech.speaking.acquire_many(AT_ONCE as u32).await.unwrap();
        let error = speech.speak(Clause::new("Yes.")).await.unwrap_err();
        assert!(error.is_fault(), "the voice is damaged: {error}");
    }
}
