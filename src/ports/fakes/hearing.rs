//! Ears that go by loudness, and a judge of turns that says what it was told to.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;

use super::{
    gate::Gate,
    trouble::{Mood, Trouble},
};
use crate::{
    domain::Component,
    ports::{Hearing, PortError, TurnEnd, VoiceActivity, hearing::FRAME},
};

/// Every sound is speech: 0.95 for a frame whose RMS is above -45 dBFS, else 0.02.
#[derive(Debug)]
pub struct LoudnessHearing {
    mood: Mood,
}

/// -45 dBFS.
const LOUD: f32 = 0.005_62;

impl Default for LoudnessHearing {
    fn default() -> Self {
        Self::new()
    }
}

impl LoudnessHearing {
    #[must_use]
    pub fn new() -> Self {
        Self {
            mood: Mood::good(Component::Transcriber),
        }
    }

    /// From now on no ears are to be had.
    pub fn trouble(&self, trouble: Trouble) {
        self.mood.set(Some(trouble));
    }

    /// Ends the trouble.
    pub fn recover(&self) {
        self.mood.set(None);
    }
}

#[async_trait]
impl Hearing for LoudnessHearing {
    async fn ears(&self) -> Result<Box<dyn VoiceActivity>, PortError> {
        self.mood.check().await?;
        Ok(Box::new(Loudness))
    }
}

struct Loudness;

impl VoiceActivity for Loudness {
    fn probability(&mut self, frame: &[f32; FRAME]) -> Result<f32, PortError> {
        let power = frame.iter().map(|sample| sample * sample).sum::<f32>() / FRAME as f32;
        Ok(if power.sqrt() > LOUD { 0.95 } else { 0.02 })
    }

    fn reset(&mut self) {}
}

/// A [`TurnEnd`] that gives the probabilities pushed, in order, and then the usual one.
#[derive(Debug)]
pub struct ScriptedTurnEnd {
    mood: Mood,
    /// Held for a push or a pop only.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    usual: f32,
    next: VecDeque<(Option<Gate>, f32)>,
    heard: Vec<usize>,
}

impl ScriptedTurnEnd {
    /// Says `usual` whenever nothing else was pushed.
    #[must_use]
    pub fn new(usual: f32) -> Self {
        Self {
            mood: Mood::good(Component::Transcriber),
            state: Mutex::new(State {
                usual,
                next: VecDeque::new(),
                heard: Vec::new(),
            }),
        }
    }

    /// The answer to one more call.
    pub fn push(&self, probability: f32) {
        self.state().next.push_back((None, probability));
    }

    /// The answer to one more call, which is not given before `gate` is released.
    pub fn push_behind(&self, gate: &Gate, probability: f32) {
        self.state()
            .next
            .push_back((Some(gate.clone()), probability));
    }

    /// Samples of each call so far.
    #[must_use]
    pub fn heard(&self) -> Vec<usize> {
        self.state().heard.clone()
    }

    /// From now on every call meets this.
    pub fn trouble(&self, trouble: Trouble) {
        self.mood.set(Some(trouble));
    }

    /// Ends the trouble.
    pub fn recover(&self) {
        self.mood.set(None);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

#[async_trait]
impl TurnEnd for ScriptedTurnEnd {
    async fn probability(&self, samples: Arc<[f32]>) -> Result<f32, PortError> {
        self.state().heard.push(samples.len());
        self.mood.check().await?;
        let next = {
            let mut state = self.state();
            let usual = state.usual;
            state.next.pop_front().unwrap_or((None, usual))
        };
        if let (Some(gate), _) = &next {
            gate.pass().await;
        }
        Ok(next.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn loud_frames_are_speech() {
        let hearing = LoudnessHearing::new();
        let mut ears = hearing.ears().await.unwrap();
        assert!(ears.probability(&[0.1; FRAME]).unwrap() > 0.9);
        assert!(ears.probability(&[0.001; FRAME]).unwrap() < 0.1);
        hearing.trouble(Trouble::Unavailable);
        assert!(hearing.ears().await.is_err_and(|error| error.is_fault()));
    }

    #[tokio::test]
    async fn turns_end_as_told() {
        let turns = ScriptedTurnEnd::new(0.9);
        turns.push(0.1);
        let samples: Arc<[f32]> = vec![0.0; 7].into();
        assert_eq!(turns.probability(Arc::clone(&samples)).await.unwrap(), 0.1);
        assert_eq!(turns.probability(samples).await.unwrap(), 0.9);
        assert_eq!(turns.heard(), [7, 7]);
    }
}
