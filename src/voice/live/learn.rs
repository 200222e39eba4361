//! What the work beside the machine has brought.

use super::{
    super::session::{Event, Ms, Part, ReplyId},
    Live, News, Output, answering,
};
use crate::ports::PortError;

impl Live {
    /// What the work beside us has brought.
    pub(super) fn learn(&mut self, news: News) {
        match news {
            News::Words { job, result, cost } => {
                self.jobs.remove(&job);
                match result {
                    Ok(hypothesis) => {
                        self.trace.words();
                        self.tell(Event::Transcribed {
                            job,
                            hypothesis,
                            cost: cost.as_millis() as Ms,
                        });
                    }
                    Err(error) => {
                        self.lacking(&error);
                        self.tell(Event::TranscriptionFailed { job });
                    }
                }
            }
            News::Judged { job, result } => {
                let wanted = self.jobs.remove(&job).is_some();
                match result {
                    Ok(over) => {
                        if wanted {
                            self.trace.judged(over);
                        }
                        self.tell(Event::Judged { job, over });
                    }
                    Err(error) => tracing::debug!(%error, "nobody judges whether the turn is over"),
                }
            }
            News::Reply { reply, news } => self.reply(reply, news),
            News::Filling(sound, rate) => {
                // It may have been on its way when the voice was switched off: in writing nothing fills time.
                self.filling = self.options.aloud.then_some((sound, rate));
            }
        }
    }

    fn reply(&mut self, reply: ReplyId, news: answering::News) {
        let Some(answering) = self.answers.get_mut(&reply) else {
            return;
        };
        let rate = answering.rate;
        let part = match news {
            answering::News::Mark(mark) => {
                self.trace.mark(reply, mark);
                return;
            }
            answering::News::Citation(citation) => {
                answering.citations.push(citation);
                Part::Citation(answering.citations.len() as u32 - 1)
            }
            answering::News::Clause { text, sound } => {
                let length = sound.len() as u64 * 1000 / u64::from(rate);
                answering.sound.extend(sound);
                Part::Clause {
                    text,
                    sound: length,
                }
            }
            answering::News::Call(call) => {
                answering.calls = Some(call);
                Part::Call
            }
            answering::News::Lacking(error) => {
                self.lacking(&error);
                return;
            }
            answering::News::Done {
                documents,
                degraded,
            } => {
                answering.documents = documents;
                answering.degraded = degraded;
                Part::Done
            }
            answering::News::Failed(error) => {
                tracing::warn!(%error, "an answer broke off");
                Part::Failed
            }
        };
        self.tell(Event::Reply { reply, part });
    }

    /// A part is missing: told once.
    pub(super) fn lacking(&mut self, error: &PortError) {
        let component = error.component();
        tracing::debug!(%component, %error, "a conversation goes on without a part");
        if matches!(error, PortError::Refused { .. }) || self.told.contains(&component) {
            return;
        }
        self.told.push(component);
        self.send(Output::Degraded(vec![component]));
    }
}
