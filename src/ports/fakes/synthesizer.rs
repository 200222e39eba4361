//! A voice that hums: one tone per word.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{
    gate::Gate,
    trouble::{Mood, Trouble},
};
use crate::{
    domain::{Component, Pcm},
    ports::{Clause, PortError, Synthesizer, Voice},
};

/// The rate of every voice, in samples a second.
const RATE: u32 = 16_000;
/// Samples of a word's tone and of the silence after it, at speed 1: 150 ms and 50 ms.
const TONE: usize = 2400;
const GAP: usize = 800;

/// A [`Synthesizer`] without a model. Each word is a tone of 150 ms and 50 ms of silence, so the length of
/// what is spoken tells how many words it had.
#[derive(Debug)]
pub struct ToneVoice {
    mood: Mood,
    /// Held for a look only.
    state: Mutex<State>,
    /// Calls dropped before their end.
    cancelled: Arc<watch::Sender<usize>>,
}

#[derive(Debug, Default)]
struct State {
    gate: Option<(usize, Gate)>,
    clauses: Vec<Clause>,
}

impl Default for ToneVoice {
    fn default() -> Self {
        Self::new()
    }
}

impl ToneVoice {
    /// The voices `hum` (English) and `summ` (German).
    #[must_use]
    pub fn new() -> Self {
        Self {
            mood: Mood::good(Component::Synthesizer),
            state: Mutex::default(),
            cancelled: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Every clause asked for so far, refused ones included.
    #[must_use]
    pub fn clauses(&self) -> Vec<Clause> {
        self.state().clauses.clone()
    }

    /// Calls wait at `gate` once `more` others have passed.
    pub fn hold_after(&self, more: usize, gate: &Gate) {
        self.state().gate = Some((more, gate.clone()));
    }

    /// Calls that were dropped before their end.
    #[must_use]
    pub fn cancelled(&self) -> usize {
        *self.cancelled.borrow()
    }

    /// From now on every call meets this.
    pub fn trouble(&self, trouble: Trouble) {
        self.mood.set(Some(trouble));
    }

    /// Ends the trouble; hanging calls go on.
    pub fn recover(&self) {
        self.mood.set(None);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// The gate, when it is this call's turn to wait.
    fn held(&self) -> Option<Gate> {
        let mut state = self.state();
        match state.gate.as_mut() {
            Some((0, gate)) => Some(gate.clone()),
            Some((more, _)) => {
                *more -= 1;
                None
            }
            None => None,
        }
    }
}

/// Counts a call that ends early.
struct Call {
    cancelled: Arc<watch::Sender<usize>>,
    done: bool,
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.done {
            self.cancelled.send_modify(|count| *count += 1);
        }
    }
}

#[async_trait]
impl Synthesizer for ToneVoice {
    fn voices(&self) -> Vec<Voice> {
        [("hum", "en"), ("summ", "de")]
            .map(|(name, language)| Voice {
                name: name.to_owned(),
                language: language.to_owned(),
                rate: RATE,
            })
            .into()
    }

    async fn speak(&self, clause: Clause) -> Result<Pcm, PortError> {
        let mut call = Call {
            cancelled: Arc::clone(&self.cancelled),
            done: false,
        };
        self.state().clauses.push(clause.clone());
        if let Some(gate) = self.held() {
            gate.pass().await;
        }
        let mood = self.mood.check().await;
        call.done = true;
        mood?;
        let refused = |reason: String| PortError::Refused {
            component: Component::Synthesizer,
            reason,
        };
        let voices = self.voices();
        if let Some(name) = &clause.voice
            && !voices.iter().any(|voice| voice.name == *name)
        {
            return Err(refused(format!("there is no voice {name:?}")));
        }
        if let Some(language) = &clause.language
            && !voices.iter().any(|voice| voice.language == *language)
        {
            return Err(refused(format!("no voice speaks {language:?}")));
        }
        let speed = clause.speed.clamp(0.25, 4.0);
        let scaled = |samples: usize| (samples as f32 / speed) as usize;
        let mut samples = Vec::new();
        for word in clause.text.split_whitespace() {
            let pitch = 200.0 + 10.0 * (word.len() % 20) as f32;
            samples.extend(
                (0..scaled(TONE))
                    .map(|n| 0.3 * (n as f32 * pitch * std::f32::consts::TAU / RATE as f32).sin()),
            );
            samples.resize(samples.len() + scaled(GAP), 0.0);
        }
        Ok(Pcm {
            samples,
            rate: RATE,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn words_are_tones() {
        let voice = ToneVoice::new();
        let said = voice.speak(Clause::new("Rent is due.")).await.unwrap();
        assert_eq!(said.duration().as_millis(), 600);
        let fast = Clause {
            speed: 2.0,
            ..Clause::new("Rent is due.")
        };
        assert_eq!(voice.speak(fast).await.unwrap().duration().as_millis(), 300);
        let strange = Clause {
            voice: Some("nobody".to_owned()),
            ..Clause::new("Hm")
        };
        assert!(matches!(
            voice.speak(strange).await,
            Err(PortError::Refused { .. })
        ));
        assert_eq!((voice.clauses().len(), voice.cancelled()), (3, 0));
    }

    #[tokio::test]
    async fn a_dropped_call_is_noticed() {
        let voice = ToneVoice::new();
        let gate = Gate::new();
        voice.hold_after(0, &gate);
        {
            let call = voice.speak(Clause::new("one"));
            tokio::pin!(call);
            assert!(futures::poll!(&mut call).is_pending());
        }
        assert_eq!(voice.cancelled(), 1);
    }
}
