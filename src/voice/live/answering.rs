//! The work on one answer: what the answer engine writes, cut into clauses, each spoken while the next is
//! written. Dropping it ends all of it, down to the workers.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use tokio::sync::mpsc;

use super::super::{
    engine::Engine,
    session::ReplyId,
    speakable::{can_be_heard, speakable},
};
use super::{
    foreseen::Drawer,
    telling::Telling,
    trace::{AUDIBLE, Mark},
};
use crate::{
    answer::{AnswerError, AnswerEvent, AnswerStream, Ask, Beginning},
    domain::{
        Call, Citation, Collection, Component, ConversationId, DocumentId, Offer, Outcome, Pcm,
        Question, audio::s16, resample::resampled,
    },
    ports::{Clause, PortError, Synthesizer},
};

/// Clauses written and not spoken yet, at most: the model does not run ahead of the voice.
const AHEAD: usize = 2;
/// Milliseconds of silence before the first sound of an answer.
const LEAD_MS: usize = 8;
/// How long a question waits for its place among those in work.
const PATIENCE: Duration = Duration::from_secs(20);
/// Characters of a question; longer ones are cut by their askers.
const QUESTION_CHARS: usize = 4000;

/// What the work tells.
pub(super) enum News {
    Mark(Mark),
    Citation(Citation),
    Clause {
        text: String,
        sound: Vec<i16>,
    },
    /// A tool of the client is called instead of an answer.
    Call(Call),
    /// A part that speaking needs is missing; the answer goes on in writing.
    Lacking(PortError),
    Done {
        documents: Vec<DocumentId>,
        degraded: Vec<Component>,
    },
    Failed(AnswerError),
}

/// How clauses are spoken.
#[derive(Clone)]
pub(super) struct Speaking {
    pub synthesizer: Arc<dyn Synthesizer>,
    pub voice: Option<String>,
    pub language: Option<String>,
    pub speed: f32,
    pub rate: u32,
    /// First words that may be ready.
    pub drawer: Arc<Drawer>,
}

impl Speaking {
    /// A text as it is spoken; `None` where nothing of it can be heard.
    pub fn clause(&self, text: &str) -> Option<Clause> {
        let text = speakable(text, self.language.as_deref().unwrap_or("en"));
        can_be_heard(&text).then(|| Clause {
            text,
            voice: self.voice.clone(),
            language: self.language.clone(),
            speed: self.speed,
        })
    }

    /// The sound of a text at the client's rate, whole milliseconds of it.
    pub async fn say(&self, text: &str) -> Result<Vec<i16>, PortError> {
        match self.clause(text) {
            Some(clause) => self.speak(clause).await,
            None => Ok(Vec::new()),
        }
    }

    /// The sound of the first words of an answer, and whether they were foreseen.
    async fn begin(&self, text: &str) -> Result<(Vec<i16>, bool), PortError> {
        let Some(clause) = self.clause(text) else {
            return Ok((Vec::new(), false));
        };
        // What is still on its way in the drawer gives way to everything, and this does not.
        tokio::select! {
            biased;
            Some(sound) = self.drawer.take(&clause, self.rate) => Ok((sound, true)),
            sound = self.speak(clause.clone()) => Ok((sound?, false)),
        }
    }

    pub(super) async fn speak(&self, clause: Clause) -> Result<Vec<i16>, PortError> {
        Ok(self.as_sent(&self.synthesizer.speak(clause).await?))
    }

    /// As [`Self::speak`], when there is nothing else to do.
    pub(super) async fn speak_ahead(&self, clause: Clause) -> Result<Vec<i16>, PortError> {
        Ok(self.as_sent(&self.synthesizer.ahead(clause).await?))
    }

    fn as_sent(&self, pcm: &Pcm) -> Vec<i16> {
        if pcm.rate == 0 {
            return Vec::new();
        }
        let samples = resampled(&pcm.samples, pcm.rate, self.rate);
        let mut samples: Vec<i16> = s16(&samples).collect();
        let per_ms = self.rate as usize / 1000;
        samples.resize(samples.len().next_multiple_of(per_ms), 0);
        samples
    }
}

/// What was heard, as a question to the documents; `None` where nothing was asked.
pub(super) fn ask_of(
    text: &str,
    collection: Option<Collection>,
    conversation: ConversationId,
) -> Option<Ask> {
    let text: String = text.chars().take(QUESTION_CHARS).collect();
    Some(Ask {
        question: Question::parse(&text, QUESTION_CHARS).ok()?,
        collection,
        conversation: Some(conversation),
        top_k: None,
    })
}

/// Leaves out what a voice is silent before its first sound, but for a moment: nobody waits for that. Whole
/// milliseconds are left.
fn without_lead(sound: &mut Vec<i16>, per_ms: usize) {
    let heard = |sample: &i16| sample.unsigned_abs() > AUDIBLE;
    if let Some(at) = sound.iter().position(heard) {
        let silent = (at / per_ms).saturating_sub(LEAD_MS);
        sound.drain(..silent * per_ms);
    }
}

/// Out of what an answer is made.
pub(super) enum Subject {
    /// The documents, unless the words call for one of these tools.
    Documents(Arc<Offer>),
    /// What calls of tools have brought.
    Outcomes(Vec<Outcome>),
}

/// An answer to be made.
pub(super) struct Asked {
    pub engine: Arc<Engine>,
    pub reply: ReplyId,
    pub question: String,
    pub subject: Subject,
    pub collection: Option<Collection>,
    pub conversation: ConversationId,
    /// `None`: in writing.
    pub speaking: Option<Speaking>,
    pub news: mpsc::Sender<super::News>,
}

impl Asked {
    pub async fn run(self) {
        let (clauses, mut written) = mpsc::channel::<String>(AHEAD);
        let writing = self.write(clauses);
        let saying = async {
            let mut first = true;
            while let Some(text) = written.recv().await {
                let first = std::mem::take(&mut first);
                let sound = match &self.speaking {
                    None => Vec::new(),
                    Some(speaking) => self.sound(speaking, &text, first).await,
                };
                self.tell(News::Clause { text, sound }).await;
            }
        };
        let (end, ()) = tokio::join!(writing, saying);
        self.tell(match end {
            Ok((documents, degraded)) => News::Done {
                documents,
                degraded,
            },
            Err(error) => News::Failed(error),
        })
        .await;
    }

    async fn sound(&self, speaking: &Speaking, text: &str, first: bool) -> Vec<i16> {
        let spoken = match first {
            true => speaking.begin(text).await,
            false => speaking.say(text).await.map(|sound| (sound, false)),
        };
        let (mut sound, foreseen) = match spoken {
            Ok(spoken) => spoken,
            Err(error) => {
                self.tell(News::Lacking(error)).await;
                (Vec::new(), false)
            }
        };
        if foreseen {
            self.tell(News::Mark(Mark::Foreseen)).await;
        }
        if first {
            self.tell(News::Mark(Mark::Spoken)).await;
            without_lead(&mut sound, speaking.rate as usize / 1000);
        }
        sound
    }

    async fn write(
        &self,
        clauses: mpsc::Sender<String>,
    ) -> Result<(Vec<DocumentId>, Vec<Component>), AnswerError> {
        let parts = &self.engine.parts;
        let Some(_place) = parts.questions.wait(PATIENCE).await else {
            let component = Component::LanguageModel;
            return Err(PortError::Busy { component }.into());
        };
        let Some(mut events) = self.events().await else {
            return Ok((Vec::new(), Vec::new()));
        };
        let mut telling = Telling::new(parts.quote_first);
        let mut begun = false;
        while let Some(event) = events.next().await {
            let event = event?;
            match &event {
                AnswerEvent::Evidence(_) => self.tell(News::Mark(Mark::Evidence)).await,
                AnswerEvent::Citation(citation) => {
                    self.tell(News::Citation(citation.clone())).await;
                }
                AnswerEvent::Delta(_) if !std::mem::replace(&mut begun, true) => {
                    self.tell(News::Mark(Mark::Token)).await;
                }
                AnswerEvent::Delta(_) | AnswerEvent::Done(_) => {}
            }
            for clause in telling.take(&event) {
                self.tell(News::Mark(Mark::Clause)).await;
                // Whoever is not there to hear it has ended the work already.
                let _ = clauses.send(clause).await;
            }
            if let AnswerEvent::Done(answer) = event {
                let documents = answer
                    .evidence
                    .iter()
                    .map(|item| item.document_id)
                    .collect();
                return Ok((documents, answer.degraded));
            }
        }
        Err(AnswerError::Stopping)
    }

    /// The answer as it is written; `None` where there is nothing to be answered: a tool is called, or nothing was
    /// asked.
    async fn events(&self) -> Option<AnswerStream> {
        let parts = &self.engine.parts;
        let offer = match &self.subject {
            Subject::Documents(offer) => offer,
            Subject::Outcomes(outcomes) => {
                let (outcomes, conversation) = (outcomes.clone(), self.conversation);
                let question = self.question.chars().take(QUESTION_CHARS).collect();
                return Some(parts.answerer.relay(question, outcomes, conversation));
            }
        };
        let ask = ask_of(&self.question, self.collection.clone(), self.conversation)?;
        // Where there are no tools nothing is decided, and no time is lost.
        if !offer.is_empty() {
            let words = ask.question.as_str();
            let call = parts.answerer.call(offer, words, self.conversation);
            if let Some(call) = call.await {
                self.tell(News::Call(call)).await;
                return None;
            }
        }
        let beginning = Beginning::of(parts.quote_first);
        Some(parts.answerer.ask_aloud(ask, beginning))
    }

    async fn tell(&self, news: News) {
        let reply = self.reply;
        let _ = self.news.send(super::News::Reply { reply, news }).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::fakes::ToneVoice;

    #[tokio::test(start_paused = true)]
    async fn first_words_that_are_ready_are_taken_and_others_not_waited_for() {
        let voice = Arc::new(ToneVoice::new());
        let speaking = Speaking {
            synthesizer: Arc::clone(&voice) as Arc<dyn Synthesizer>,
            voice: None,
            language: None,
            speed: 1.0,
            rate: 24_000,
            drawer: Arc::default(),
        };
        let begin = async |text| {
            let begun = tokio::time::timeout(Duration::from_secs(60), speaking.begin(text));
            begun.await.expect("nothing is waited for").unwrap()
        };
        let clause = speaking.clause("Rent is due").unwrap();
        let mut room = None;
        speaking.drawer.put(clause, 24_000, |given| {
            room = Some(given);
            None
        });
        // Being spoken, with all the time in the world.
        let (sound, foreseen) = begin("Rent is due").await;
        assert!(!foreseen && sound.len() > 2);
        room.unwrap().send(Some([1, 2].into())).unwrap();
        assert_eq!(begin("Rent is due").await, (vec![1, 2], true));
        let (_, foreseen) = begin("Dogs are").await;
        assert!(!foreseen);
        let said: Vec<String> = voice.clauses().into_iter().map(|c| c.text).collect();
        assert_eq!(said, ["Rent is due", "Dogs are"]);
    }

    #[test]
    fn answers_begin_with_their_first_sound() {
        let check = |silent: usize, left: usize| {
            let mut sound = vec![3_i16; silent];
            sound.extend([9000; 240]);
            without_lead(&mut sound, 24);
            assert_eq!(sound.len(), left, "{silent}");
            assert!(sound.len().is_multiple_of(24));
        };
        check(0, 240);
        check(24 * LEAD_MS, 24 * LEAD_MS + 240);
        check(24 * 100, 24 * LEAD_MS + 240);
        let mut silence = vec![0_i16; 2400];
        without_lead(&mut silence, 24);
        assert_eq!(silence.len(), 2400);
    }
}
