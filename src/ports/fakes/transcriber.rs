//! A transcriber that writes what it was told to.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{
    gate::Gate,
    trouble::{Mood, Trouble},
};
use crate::{
    domain::{Component, audio::LISTEN_RATE},
    ports::{PortError, Segment, Transcriber, Transcript, Utterance, Word, transcriber::LONGEST_S},
};

type Respond = dyn Fn(&Utterance) -> Transcript + Send + Sync;

/// A [`Transcriber`] without a model: the transcripts pushed, in order, then the responder's. It knows
/// English and German.
pub struct ScriptedTranscriber {
    mood: Mood,
    responder: Box<Respond>,
    /// Held for a push, a pop or a clone, never across an await.
    state: Mutex<State>,
    /// Calls dropped before their end.
    cancelled: Arc<watch::Sender<usize>>,
}

#[derive(Default)]
struct State {
    next: VecDeque<(Option<Gate>, Transcript)>,
    heard: Vec<Utterance>,
}

impl fmt::Debug for ScriptedTranscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedTranscriber")
            .finish_non_exhaustive()
    }
}

impl Default for ScriptedTranscriber {
    fn default() -> Self {
        Self::new()
    }
}

impl ScriptedTranscriber {
    /// Nobody says anything, unless transcripts are pushed.
    #[must_use]
    pub fn new() -> Self {
        Self::answering(|_| Transcript::default())
    }

    /// Makes up a transcript for each utterance (after those pushed are used up).
    #[must_use]
    pub fn answering(respond: impl Fn(&Utterance) -> Transcript + Send + Sync + 'static) -> Self {
        Self {
            mood: Mood::good(Component::Transcriber),
            responder: Box::new(respond),
            state: Mutex::default(),
            cancelled: Arc::new(watch::Sender::new(0)),
        }
    }

    /// A transcript of one segment, of which the model is sure, its words spread over the time evenly.
    #[must_use]
    pub fn said(text: &str, utterance: &Utterance) -> Transcript {
        let seconds = utterance.samples.len() as f32 / LISTEN_RATE as f32;
        let words: Vec<&str> = text.split_whitespace().collect();
        if words.is_empty() {
            return Transcript::default();
        }
        let each = seconds / words.len() as f32;
        let words: Vec<Word> = words
            .iter()
            .enumerate()
            .map(|(n, word)| Word {
                start: n as f32 * each,
                end: (n + 1) as f32 * each,
                text: (*word).to_owned(),
            })
            .collect();
        Transcript {
            text: text.trim().to_owned(),
            segments: vec![Segment {
                start: 0.0,
                end: seconds,
                text: format!(" {}", text.trim()),
                tokens: (0..words.len() as i32).collect(),
                no_speech: 0.01,
                avg_logprob: -0.2,
                words: if utterance.words { words } else { Vec::new() },
            }],
            language: Some("en".to_owned()),
            no_speech: 0.01,
            avg_logprob: -0.2,
            looped: false,
        }
    }

    /// The transcript of one more call.
    pub fn push(&self, transcript: Transcript) {
        self.state().next.push_back((None, transcript));
    }

    /// The transcript of one more call, which does not come before `gate` is released.
    pub fn push_behind(&self, gate: &Gate, transcript: Transcript) {
        self.state()
            .next
            .push_back((Some(gate.clone()), transcript));
    }

    /// Every utterance so far, refused ones included.
    #[must_use]
    pub fn heard(&self) -> Vec<Utterance> {
        self.state().heard.clone()
    }

    /// Calls that were dropped before their end.
    #[must_use]
    pub fn cancelled(&self) -> usize {
        *self.cancelled.borrow()
    }

    /// Returns when at least `count` calls have been dropped before their end.
    pub async fn until_cancelled(&self, count: usize) {
        self.cancelled
            .subscribe()
            .wait_for(|cancelled| *cancelled >= count)
            .await
            .expect("the sender lives as long as the fake borrowed here");
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
impl Transcriber for ScriptedTranscriber {
    fn name(&self) -> String {
        "scripted".to_owned()
    }

    fn languages(&self) -> Vec<String> {
        vec!["en".to_owned(), "de".to_owned()]
    }

    async fn transcribe(&self, utterance: Utterance) -> Result<Transcript, PortError> {
        let mut call = Call {
            cancelled: Arc::clone(&self.cancelled),
            done: false,
        };
        self.state().heard.push(utterance.clone());
        let mood = self.mood.check().await;
        let refused = |reason: String| PortError::Refused {
            component: Component::Transcriber,
            reason,
        };
        let checked = mood.and_then(|()| match &utterance.language {
            _ if utterance.samples.is_empty() => Err(refused("there is no sound".to_owned())),
            _ if utterance.samples.len() > (LONGEST_S * LISTEN_RATE) as usize => {
                Err(refused(format!("{LONGEST_S} s are heard at once at most")))
            }
            Some(language) if !self.languages().contains(language) => {
                Err(refused(format!("the language {language:?} is not known")))
            }
            _ => Ok(()),
        });
        if let Err(error) = checked {
            call.done = true;
            return Err(error);
        }
        let next = self.state().next.pop_front();
        let transcript = match next {
            Some((gate, transcript)) => {
                if let Some(gate) = gate {
                    gate.pass().await;
                }
                transcript
            }
            None => (self.responder)(&utterance),
        };
        call.done = true;
        Ok(transcript)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pushed_transcripts_come_first() {
        let fake =
            ScriptedTranscriber::answering(|heard| ScriptedTranscriber::said("again", heard));
        let utterance = Utterance::new(vec![0.1; 16_000]);
        fake.push(ScriptedTranscriber::said("hello there", &utterance));
        let first = fake.transcribe(utterance.clone()).await.unwrap();
        assert_eq!(
            (first.text.as_str(), first.segments[0].end),
            ("hello there", 1.0)
        );
        assert_eq!(fake.transcribe(utterance).await.unwrap().text, "again");
        assert_eq!((fake.heard().len(), fake.cancelled()), (2, 0));
    }

    #[tokio::test]
    async fn what_cannot_be_heard_is_refused() {
        let fake = ScriptedTranscriber::new();
        let check = async |utterance: Utterance| {
            assert!(matches!(
                fake.transcribe(utterance).await,
                Err(PortError::Refused { .. })
            ));
        };
        check(Utterance::new(Vec::new())).await;
        check(Utterance::new(vec![0.0; 16_000 * 31])).await;
        check(Utterance {
            language: Some("xx".to_owned()),
            ..Utterance::new(vec![0.0; 16_000])
        })
        .await;
    }

    #[tokio::test]
    async fn a_dropped_call_is_noticed() {
        let fake = ScriptedTranscriber::new();
        let gate = Gate::new();
        fake.push_behind(&gate, Transcript::default());
        {
            let call = fake.transcribe(Utterance::new(vec![0.1; 100]));
            tokio::pin!(call);
            assert!(futures::poll!(&mut call).is_pending());
            gate.reached().await;
        }
        fake.until_cancelled(1).await;
    }
}
