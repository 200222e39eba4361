//! The calls of the models beside the machine. Each ends by being dropped.

use std::{ops::Range, sync::Arc, time::Instant};

use super::{
    super::{
        hallucination::Hypothesis,
        session::{Event, JobId, Ms, Part, ReplyId},
    },
    Answering, Live, News,
    answering::{Asked, Speaking, Subject},
    foreseen::Foreseeing,
};
use crate::ports::{Purpose, Utterance};

/// What fills the time while an answer takes long.
const FILLING: &str = "Let me see.";

impl Live {
    pub(super) fn transcribe(&mut self, job: JobId, whole: bool, stretch: Range<Ms>) {
        let transcriber = Arc::clone(&self.engine.parts.engines.transcriber);
        let purpose = if whole {
            Purpose::Final
        } else {
            Purpose::Partial
        };
        let utterance = Utterance {
            purpose,
            language: self.options.language.clone(),
            ..Utterance::new(self.ring.stretch(stretch))
        };
        let news = self.news.clone();
        let begun = Instant::now();
        let call = self.spawn(async move {
            let result = transcriber.transcribe(utterance).await;
            let cost = begun.elapsed();
            let name = if whole {
                "griot_voice_final_seconds"
            } else {
                "griot_voice_partial_seconds"
            };
            metrics::histogram!(name).record(cost);
            let result = result.map(|transcript| Hypothesis {
                text: transcript.text,
                no_speech: transcript.no_speech,
                avg_logprob: transcript.avg_logprob,
                looped: transcript.looped,
            });
            let _ = news.send(News::Words { job, result, cost }).await;
        });
        self.jobs.insert(job, call);
    }

    pub(super) fn judge(&mut self, job: JobId, stretch: Range<Ms>) {
        let judge = Arc::clone(&self.engine.parts.engines.turn_end);
        let samples = self.ring.stretch(stretch);
        let news = self.news.clone();
        let call = self.spawn(async move {
            let result = judge.probability(samples).await;
            let _ = news.send(News::Judged { job, result }).await;
        });
        self.jobs.insert(job, call);
    }

    pub(super) fn ask(&mut self, reply: ReplyId, question: String) {
        let own = self.offer.take();
        let offer = own.unwrap_or_else(|| Arc::clone(&self.options.offer));
        self.begin(reply, question, Subject::Documents(offer));
    }

    /// What calls have brought is said, and whatever was asked besides.
    pub(super) fn relay(&mut self, reply: ReplyId, question: String) {
        self.offer = None;
        let outcomes = std::mem::take(&mut self.outcomes);
        let mut asked: Vec<&str> = outcomes.iter().map(|o| o.question.as_str()).collect();
        asked.push(&question);
        asked.retain(|question| !question.is_empty());
        asked.dedup();
        let question = asked.join(" ");
        self.begin(reply, question, Subject::Outcomes(outcomes));
    }

    fn begin(&mut self, reply: ReplyId, question: String, subject: Subject) {
        let before = self.settle();
        let asked = Asked {
            engine: Arc::clone(&self.engine),
            reply,
            question: question.clone(),
            subject,
            collection: self.options.collection.clone(),
            conversation: self.conversation,
            speaking: self.speaking(),
            news: self.news.clone(),
        };
        // Not a part of the call: what was heard is recorded even if this question is taken back.
        let before = before.map(|before| self.engine.parts.tracker.spawn(before));
        let call = self.spawn(async move {
            if let Some(before) = before {
                let _ = before.await;
            }
            asked.run().await;
        });
        self.answers.insert(
            reply,
            Answering {
                _call: call,
                question,
                sound: Vec::new(),
                rate: self.options.rate_out,
                citations: Vec::new(),
                documents: Vec::new(),
                degraded: Vec::new(),
                calls: None,
            },
        );
    }

    pub(super) fn speaking(&self) -> Option<Speaking> {
        let synthesizer = Arc::clone(&self.engine.parts.engines.synthesizer);
        self.options.aloud.then(|| Speaking {
            synthesizer,
            voice: self.options.voice.clone(),
            language: None,
            speed: self.options.speed,
            rate: self.options.rate_out,
            drawer: Arc::clone(&self.drawer),
        })
    }

    /// Has the first words of an answer ready, in case that this is the question. Words of before are given up.
    pub(super) fn foresee(&mut self, question: String) {
        let Some(speaking) = self.speaking() else {
            return;
        };
        let work = Foreseeing {
            engine: Arc::clone(&self.engine),
            question,
            collection: self.options.collection.clone(),
            conversation: self.conversation,
            speaking,
        };
        self.foreseeing = Some(self.spawn(work.run()));
    }

    pub(super) fn prepare_filling(&mut self) {
        // What was being prepared was for another voice, or for one.
        (self.filling, self.filler) = (None, None);
        let Some(speaking) = self.speaking() else {
            return;
        };
        let news = self.news.clone();
        self.filler = Some(self.spawn(async move {
            if let Ok(sound) = speaking.say(FILLING).await {
                let _ = news.send(News::Filling(sound, speaking.rate)).await;
            }
        }));
    }

    pub(super) fn prepare_tools(&mut self) {
        let (answerer, offer) = (
            Arc::clone(&self.engine.parts.answerer),
            Arc::clone(&self.options.offer),
        );
        self.reader =
            (!offer.is_empty()).then(|| self.spawn(async move { answerer.prepare(&offer).await }));
    }

    pub(super) fn fill_time(&mut self, reply: ReplyId) {
        if let (Some((sound, rate)), Some(answering)) =
            (&self.filling, self.answers.get_mut(&reply))
            && answering.sound.is_empty()
            && answering.rate == *rate
        {
            answering.sound.extend(sound);
            let sound = sound.len() as u64 * 1000 / u64::from(*rate);
            let part = Part::Acknowledgement {
                text: format!("{FILLING} "),
                sound,
            };
            self.trace.filled(reply, sound);
            self.tell(Event::Reply { reply, part });
        }
    }
}
