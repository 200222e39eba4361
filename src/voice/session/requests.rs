//! What a client asks of the session: to answer, to stop, to note what was heard, to be silent while somebody else
//! speaks.

use super::{
    By, Dismissal, Effect, End, Ms, Refusal, ReplyId, Session, State, Why,
    think::{Awaited, Thought},
};
use crate::voice::turn::Detection;

impl Session {
    /// Ends whatever is being answered, for the client.
    pub(super) fn stop_answering(&mut self, state: State) {
        match state {
            State::Thinking(thought) => match thought.awaited {
                Awaited::Answer(reply) => self.end(reply, End::Cancelled(By::Client)),
                Awaited::Words(utterance, _) => {
                    self.dismiss(utterance, Dismissal::Cleared);
                }
            },
            State::Speaking(reply) => self.end(reply, End::Cancelled(By::Client)),
            State::Ducked(reply, barge) => {
                self.unduck(&barge);
                self.end(reply, End::Cancelled(By::Client));
            }
            State::Listening(utterance) | State::MaybeEnd(utterance) => {
                self.run.speech = 0;
                self.dismiss(utterance, Dismissal::Cleared);
            }
            State::Idle => {}
        }
    }

    pub(super) fn typed(&mut self, state: State, text: String) -> State {
        if self.operator {
            self.out.push(Effect::Refused(Refusal::TakenOver));
            return state;
        }
        self.stop_answering(state);
        self.unanswered.clear();
        self.returned = false;
        let turn = self.turn();
        let reply = self.reply(turn, text, false);
        self.give(reply, false)
    }

    /// A client that was quick to run the tool need not wait until what filled the time was heard.
    fn over_with_its_call(&mut self, state: State) -> State {
        let reply = match state {
            State::Speaking(reply) if reply.calls() => reply,
            State::Ducked(reply, barge) if reply.calls() => {
                self.unduck(&barge);
                reply
            }
            other => return other,
        };
        self.end(reply, End::Completed);
        State::Idle
    }

    pub(super) fn respond(
        &mut self,
        state: State,
        question: Option<String>,
        own_tools: bool,
    ) -> State {
        let state = self.over_with_its_call(state);
        let refused = match &state {
            _ if self.operator => Some(Refusal::TakenOver),
            State::Speaking(_) | State::Ducked(..) => Some(Refusal::Busy),
            State::Thinking(thought) if matches!(thought.awaited, Awaited::Answer(_)) => {
                Some(Refusal::Busy)
            }
            State::Thinking(_) => None,
            _ if question.is_none() && self.unanswered.is_empty() && !self.returned => {
                Some(Refusal::NothingSaid)
            }
            _ => None,
        };
        if let Some(refusal) = refused {
            self.out.push(Effect::Refused(refusal));
            return state;
        }
        self.unanswered.extend(question);
        match state {
            State::Thinking(Thought {
                since,
                filling,
                awaited: Awaited::Words(mut utterance, _),
            }) => {
                if own_tools {
                    self.withdraw(&mut utterance, Why::OtherWords);
                }
                State::Thinking(Thought {
                    since,
                    filling,
                    awaited: Awaited::Words(utterance, true),
                })
            }
            other => {
                match other {
                    State::Listening(mut utterance)
                        if self.tuning.detection == Detection::Manual =>
                    {
                        if let Some(job) = utterance.look.take() {
                            self.out.push(Effect::ForgetJob(job));
                        }
                        self.withdraw(&mut utterance, Why::OtherWords);
                        // It goes on being recorded.
                        self.buffered = Some(utterance);
                    }
                    other => self.stop_answering(other),
                }
                let question = std::mem::take(&mut self.unanswered).join(" ");
                let turn = self.turn();
                let reply = match std::mem::take(&mut self.returned) {
                    true => self.relay(turn, question),
                    false => self.reply(turn, question, false),
                };
                self.give(reply, false)
            }
        }
    }

    pub(super) fn interrupt(&mut self, state: State) -> State {
        match state {
            State::Thinking(Thought {
                since,
                filling,
                awaited: Awaited::Words(mut utterance, true),
            }) => {
                self.withdraw(&mut utterance, Why::OtherWords);
                let awaited = Awaited::Words(utterance, false);
                State::Thinking(Thought {
                    since,
                    filling,
                    awaited,
                })
            }
            State::Thinking(Thought {
                awaited: Awaited::Answer(_),
                ..
            })
            | State::Speaking(_)
            | State::Ducked(..) => {
                self.stop_answering(state);
                State::Idle
            }
            other => {
                self.out.push(Effect::Refused(Refusal::NothingToCancel));
                other
            }
        }
    }

    pub(super) fn truncated(&mut self, state: State, id: ReplyId, heard: Ms) -> State {
        let state = match state {
            // Who says how much was heard has stopped listening.
            State::Speaking(ref reply) | State::Ducked(ref reply, _) if reply.id == id => {
                self.stop_answering(state);
                State::Idle
            }
            other => other,
        };
        let text = self
            .last
            .as_ref()
            .filter(|last| last.id == id)
            .and_then(|last| last.heard_until(heard));
        self.out.push(match text {
            Some(text) => Effect::Corrected {
                reply: id,
                heard: text,
                heard_ms: heard,
            },
            None => Effect::Refused(Refusal::NothingToTruncate),
        });
        state
    }

    pub(super) fn taken_over(&mut self, mut state: State) -> State {
        self.operator = true;
        match &mut state {
            State::Listening(utterance) | State::MaybeEnd(utterance) => {
                self.withdraw(utterance, Why::WentOn);
                state
            }
            State::Thinking(Thought {
                awaited: Awaited::Words(utterance, _),
                ..
            }) => {
                self.withdraw(utterance, Why::WentOn);
                state
            }
            State::Idle => state,
            State::Thinking(_) | State::Speaking(_) | State::Ducked(..) => {
                match state {
                    State::Thinking(Thought {
                        awaited: Awaited::Answer(reply),
                        ..
                    })
                    | State::Speaking(reply) => self.end(reply, End::Cancelled(By::Operator)),
                    State::Ducked(reply, barge) => {
                        self.unduck(&barge);
                        self.end(reply, End::Cancelled(By::Operator));
                    }
                    _ => {}
                }
                State::Idle
            }
        }
    }
}
