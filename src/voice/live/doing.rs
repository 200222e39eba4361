//! What the machine wants done, done.

use super::{
    super::session::{Dismissal, Effect, End, Ms, ReplyId, TurnId, Why},
    Heard, Live, Output,
};
use std::sync::Arc;

/// The voice while somebody speaks into it: -12 dB.
const DUCKED: f32 = 0.25;

impl Live {
    pub(super) fn act(&mut self, effect: Effect) {
        match effect {
            Effect::State(word) => self.send(Output::State(word)),
            Effect::SpeechStarted { turn, at } => {
                self.trace.started(turn, at, self.session.now());
                self.send(Output::SpeechStarted { turn, at });
            }
            Effect::SpeechStopped { turn, at } => {
                self.trace.stopped(turn, self.session.now() - at);
                self.send(Output::SpeechStopped { turn, at });
            }
            Effect::Committed { turn } => self.send(Output::Committed { turn }),
            Effect::Caption { turn, text } => self.send(Output::Caption { turn, text }),
            Effect::Transcript { turn, text } => {
                let seconds = self.trace.seconds(turn);
                self.send(Output::Transcript {
                    turn,
                    text,
                    seconds,
                });
            }
            Effect::Dismissed { turn, why } => {
                // Tools that came with it were for what nobody said; a wish that takes its place brings its own.
                if why != Dismissal::Cleared {
                    self.offer = None;
                }
                if let Dismissal::Doubted(doubt) = why {
                    metrics::counter!("griot_voice_dismissed_total", "rule" => doubt.as_str())
                        .increment(1);
                }
                self.send(Output::Dismissed { turn, why });
            }
            Effect::Transcribe {
                job,
                whole,
                stretch,
            } => self.transcribe(job, whole, stretch),
            Effect::Judge { job, stretch } => self.judge(job, stretch),
            Effect::ForgetJob(job) => {
                self.jobs.remove(&job);
            }
            Effect::Foresee { question } => self.foresee(question),
            Effect::Ask {
                reply,
                question,
                guess,
                ..
            } => {
                self.trace.asked(reply, guess);
                if !guess {
                    self.outcomes.clear();
                }
                self.ask(reply, question);
            }
            Effect::Relay {
                reply, question, ..
            } => {
                self.trace.asked(reply, false);
                self.relay(reply, question);
            }
            Effect::Drop { reply, why } => {
                self.trace.dropped(why);
                // Whoever hears it is told of its end next, which wants what is known of it.
                if why != Why::Ended {
                    self.answers.remove(&reply);
                }
            }
            Effect::Acknowledge { reply } => self.fill_time(reply),
            Effect::Began {
                reply,
                turn,
                guessed,
            } => {
                self.trace.began(reply, guessed);
                self.send(Output::Began { reply, turn });
            }
            Effect::Say { reply, text, at } => self.send(Output::Said { reply, text, at }),
            Effect::Cite { reply, citation } => {
                let citation = self
                    .answers
                    .get(&reply)
                    .and_then(|answering| answering.citations.get(citation as usize));
                if let Some(citation) = citation.cloned() {
                    self.sources.push(citation.clone());
                    let citation = Box::new(citation);
                    self.send(Output::Cited { reply, citation });
                }
            }
            Effect::Call { reply } => {
                let called = self.answers.get(&reply).and_then(|answering| {
                    let call = answering.calls.clone()?;
                    Some((answering.question.clone(), call))
                });
                if let Some((question, call)) = called {
                    let call = Box::new(call);
                    self.send(Output::Called {
                        reply,
                        question,
                        call,
                    });
                }
            }
            Effect::Send { reply, sound } => {
                let Some(answering) = self.answers.get(&reply) else {
                    return;
                };
                let rate = answering.rate;
                let per_ms = rate as usize / 1000;
                let from = sound.start;
                let stretch = sound.start as usize * per_ms..sound.end as usize * per_ms;
                let gain = if self.ducked { DUCKED } else { 1.0 };
                let samples: Vec<i16> = answering
                    .sound
                    .get(stretch)
                    .map(|samples| {
                        samples
                            .iter()
                            .map(|s| (f32::from(*s) * gain) as i16)
                            .collect()
                    })
                    .unwrap_or_default();
                self.trace.sent(reply, from, &samples, rate);
                self.own.says(self.session.now(), &samples, rate);
                self.send(Output::Sound {
                    reply,
                    samples,
                    rate,
                });
            }
            Effect::Duck(on) => {
                self.ducked = on;
                self.send(Output::Duck(on));
            }
            Effect::Flush { reply } => {
                self.own.hushes(self.session.now());
                self.send(Output::Flushed { reply });
            }
            Effect::Ended {
                reply,
                turn,
                end,
                heard,
                heard_ms,
            } => {
                self.ended(reply, turn, end, heard, heard_ms);
            }
            Effect::Corrected {
                reply,
                heard,
                heard_ms,
            } => {
                if let Some(last) = self.last.as_mut().filter(|last| last.reply == reply) {
                    last.heard = heard;
                }
                self.send(Output::Corrected { reply, heard_ms });
            }
            Effect::Resumed { echo } => {
                let kind = if echo { "echo" } else { "no_words" };
                metrics::counter!("griot_voice_resumed_total", "kind" => kind).increment(1);
            }
            Effect::Refused(why) => {
                self.offer = None;
                self.send(Output::Refused(why));
            }
        }
    }

    pub(super) fn ended(
        &mut self,
        reply: ReplyId,
        turn: TurnId,
        end: End,
        heard: String,
        heard_ms: Ms,
    ) {
        let timings = self.trace.ended(reply, turn, end);
        if let Some(answering) = self.answers.remove(&reply) {
            if !answering.degraded.is_empty() {
                self.send(Output::Degraded(answering.degraded));
            }
            if let Some(work) = self.settle() {
                self.engine.parts.tracker.spawn(work);
            }
            // The turn of a call is answered once it has brought something.
            if answering.calls.is_none() {
                self.last = Some(Heard {
                    reply,
                    question: answering.question,
                    heard: heard.clone(),
                    documents: answering.documents,
                });
            }
        }
        self.send(Output::Ended {
            reply,
            turn,
            end,
            heard,
            heard_ms,
            timings,
        });
    }

    /// The turn before cannot change any more: it becomes part of the conversation that prompts see. The
    /// work that is given back comes before any question is asked.
    pub(super) fn settle(&mut self) -> Option<impl Future<Output = ()> + Send + 'static> {
        let last = self.last.take()?;
        self.said.push((last.question.clone(), last.heard.clone()));
        let (answerer, conversation) = (Arc::clone(&self.engine.parts.answerer), self.conversation);
        (!last.heard.is_empty()).then_some(async move {
            answerer
                .heard(conversation, last.question, last.heard, last.documents)
                .await;
        })
    }
}
