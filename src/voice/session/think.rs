//! The turn is over: its words, then the answer's first clause, are awaited.

use super::{
    By, Dismissal, Effect, End, Frame, Ms, Part, ReplyId, Session, State, Why,
    reply::Reply,
    utterance::{Finale, Utterance},
};
use crate::voice::words::{fold, says_stop};

/// Speech after which a speaker goes on whom we took to be done.
const GOES_ON: Ms = 96;
/// An answer that takes longer is announced by a phrase.
const FILL_AFTER: Ms = 700;
/// A transcriber that takes longer has lost the turn.
const WORDS_WITHIN: Ms = 15_000;

/// What is awaited.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Awaited {
    /// The words of the turn; with `true` they are to be answered.
    Words(Utterance, bool),
    Answer(Reply),
}

/// Since when what is awaited.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Thought {
    pub since: Ms,
    pub filling: bool,
    pub awaited: Awaited,
}

impl Thought {
    pub fn new(since: Ms, awaited: Awaited) -> Self {
        Self {
            since,
            filling: false,
            awaited,
        }
    }
}

impl Session {
    pub(super) fn while_thinking(&mut self, state: State) -> State {
        let State::Thinking(mut thought) = state else {
            return state;
        };
        let waited = self.now - thought.since;
        match thought.awaited {
            Awaited::Words(utterance, _) if waited > WORDS_WITHIN => {
                self.dismiss(utterance, Dismissal::Failed)
            }
            Awaited::Answer(ref reply)
                if waited >= FILL_AFTER
                    && !thought.filling
                    && !self.filled
                    && self.tuning.acknowledge =>
            {
                self.out.push(Effect::Acknowledge { reply: reply.id });
                thought.filling = true;
                State::Thinking(thought)
            }
            _ => State::Thinking(thought),
        }
    }

    /// Speech after the turn was taken to be over, and before anything was said: it goes on.
    pub(super) fn heard_while_thinking(&mut self, thought: Thought, frame: Frame) -> State {
        if self.run.speech < GOES_ON || !self.tuning.hears {
            return State::Thinking(thought);
        }
        match thought.awaited {
            Awaited::Answer(reply) => {
                // What calls have brought is not asked for anew.
                let question = Some(reply.question.clone()).filter(|question| !question.is_empty());
                let state = self.begin_turn(frame, question);
                self.end(reply, End::Cancelled(By::Speech));
                state
            }
            Awaited::Words(mut utterance, _) => {
                let before = utterance.turn;
                utterance.turn = self.turn();
                self.out.push(Effect::SpeechStarted {
                    turn: utterance.turn,
                    at: utterance.began,
                });
                if let Finale::Asked(job) = std::mem::take(&mut utterance.finale) {
                    self.out.push(Effect::ForgetJob(job));
                }
                self.withdraw(&mut utterance, Why::WentOn);
                self.out.push(Effect::Dismissed {
                    turn: before,
                    why: Dismissal::Continued,
                });
                utterance.last_voice = self.now;
                utterance.over = None;
                State::Listening(utterance)
            }
        }
    }

    /// Something is known of the awaited words.
    pub(super) fn words_while_thinking(&mut self, thought: Thought) -> State {
        let Awaited::Words(utterance, respond) = thought.awaited else {
            return State::Thinking(thought);
        };
        if utterance.pieces.iter().any(|piece| piece.text.is_none()) {
            let awaited = Awaited::Words(utterance, respond);
            return State::Thinking(Thought { awaited, ..thought });
        }
        match utterance.finale.clone() {
            Finale::Text(text) => self.answer(utterance, &text, respond),
            Finale::Doubted(doubt) => self.dismiss(utterance, Dismissal::Doubted(doubt)),
            Finale::Failed | Finale::None => self.dismiss(utterance, Dismissal::Failed),
            Finale::Asked(_) => {
                let awaited = Awaited::Words(utterance, respond);
                State::Thinking(Thought { awaited, ..thought })
            }
        }
    }

    /// The words of a turn that is over are known.
    pub(super) fn answer(&mut self, mut utterance: Utterance, text: &str, respond: bool) -> State {
        let turn = utterance.turn;
        self.out.push(Effect::Transcript {
            turn,
            text: text.to_owned(),
        });
        if self.operator || !respond || says_stop(text) {
            self.withdraw(&mut utterance, Why::OtherWords);
            if !self.operator && !says_stop(text) {
                self.unanswered.push(utterance.question(text));
            }
            return State::Idle;
        }
        // What a call brought before that nobody wanted to hear is not the answer to the next thing either.
        self.returned = false;
        let mut question = std::mem::take(&mut self.unanswered);
        question.push(utterance.question(text));
        let question = question.join(" ");
        match utterance.guess.take() {
            Some(guess) if fold(&guess.question) == fold(&question) => self.give(guess, true),
            other => {
                utterance.guess = other;
                self.withdraw(&mut utterance, Why::OtherWords);
                let reply = self.reply(turn, question, false);
                self.give(reply, false)
            }
        }
    }

    /// The turn is decided, and this is its answer.
    pub(super) fn give(&mut self, mut reply: Reply, guessed: bool) -> State {
        reply.release(guessed, &mut self.out);
        if reply.has_begun() {
            return State::Speaking(reply);
        }
        let since = self.now;
        self.unless_over(reply, |reply| {
            State::Thinking(Thought::new(since, Awaited::Answer(reply)))
        })
    }

    pub(super) fn part_while_thinking(&mut self, state: State, id: ReplyId, part: Part) -> State {
        let State::Thinking(thought) = state else {
            return state;
        };
        match thought.awaited {
            Awaited::Answer(mut reply) if reply.id == id => {
                reply.take(part, &mut self.out);
                if reply.has_begun() {
                    return State::Speaking(reply);
                }
                let (since, filling) = (thought.since, thought.filling);
                self.unless_over(reply, |reply| {
                    State::Thinking(Thought {
                        since,
                        filling,
                        awaited: Awaited::Answer(reply),
                    })
                })
            }
            Awaited::Words(mut utterance, respond) => {
                if let Some(guess) = utterance.guess.as_mut().filter(|guess| guess.id == id) {
                    guess.take(part, &mut self.out);
                }
                let awaited = Awaited::Words(utterance, respond);
                State::Thinking(Thought { awaited, ..thought })
            }
            awaited @ Awaited::Answer(_) => State::Thinking(Thought { awaited, ..thought }),
        }
    }

    pub(super) fn unless_over(
        &mut self,
        reply: Reply,
        state: impl FnOnce(Reply) -> State,
    ) -> State {
        match reply.over() {
            Some(end) => {
                self.end(reply, end);
                State::Idle
            }
            None => state(reply),
        }
    }

    /// The end of an answer that had begun.
    pub(super) fn end(&mut self, reply: Reply, end: End) {
        if let End::Cancelled(_) = end {
            self.out.push(Effect::Flush { reply: reply.id });
            self.out.push(Effect::Drop {
                reply: reply.id,
                why: Why::Ended,
            });
        }
        let (heard, heard_ms) = reply.heard();
        self.out.push(Effect::Ended {
            reply: reply.id,
            turn: reply.turn,
            end,
            heard,
            heard_ms,
        });
        self.last_said = (reply.last_words(), self.now);
        self.asked_back = end == End::Completed && reply.asks();
        self.filled = reply.is_filled();
        self.last = Some(reply);
    }
}
