//! The conversation itself, as a machine: it is told what happened and says what is to be done. It holds no
//! clock, no socket, no task and no sound; all its times are milliseconds of audio, so that a recording
//! played a hundred times faster gives the same conversation.
//!
//! ```text
//! idle ─speech─► listening ─silence─► maybe-end ─decided─► thinking ─first clause─► speaking ─heard─► idle
//!                    ▲                    │                    │                     │    ▲
//!                    └──────speech────────┴───────speech───────┘           speech    ▼    │ a nod, an echo,
//!                    ▲                                                             ducked ┘ a cough
//!                    └───────────────────────interrupted───────────────────────────┘
//! ```
//!
//! While somebody else speaks for us (a handoff) turns are written down and not answered. Where a tool is called
//! instead of an answer there is nothing to be heard: the answer is over with its call.

mod event;
mod learn;
mod listen;
mod reply;
mod requests;
#[cfg(test)]
mod search;
mod speak;
#[cfg(test)]
mod tests;
mod think;
mod utterance;

pub use event::{
    By, Dismissal, Effect, End, Event, FRAME_MS, Frame, JobId, Ms, Part, Refusal, ReplyId, Tuning,
    TurnId, Why, Word,
};

use super::turn::Detection;
use reply::Reply;
use speak::{Barge, EchoFloor};
use think::Thought;
use utterance::Utterance;

/// Where the conversation is. An interruption is a step, not a place.
#[derive(Debug, Clone, Default, PartialEq)]
enum State {
    #[default]
    Idle,
    /// Somebody speaks.
    Listening(Utterance),
    /// They paused; perhaps that was all.
    MaybeEnd(Utterance),
    /// The turn is over; its words or the answer's are awaited.
    Thinking(Thought),
    Speaking(Reply),
    /// Somebody speaks into the answer; perhaps they mean it.
    Ducked(Reply, Barge),
}

/// Frames in a row, in milliseconds: of speech, or of what is not.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Run {
    speech: Ms,
    silence: Ms,
}

/// One conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    tuning: Tuning,
    now: Ms,
    state: State,
    run: Run,
    /// Somebody else speaks for us.
    operator: bool,
    echo: EchoFloor,
    /// What was said into an answer since the last commit, where only the client knows where turns end.
    buffered: Option<Utterance>,
    /// Turns that nobody asked to be answered yet.
    unanswered: Vec<String>,
    /// Calls have brought something that nobody asked to hear of yet.
    returned: bool,
    /// The last answer, for corrections of what was heard of it.
    last: Option<Reply>,
    /// What it said at its end, and when that was.
    last_said: (String, Ms),
    asked_back: bool,
    /// The last answer began with a phrase to fill the time.
    filled: bool,
    told: Word,
    next: Numbers,
    out: Vec<Effect>,
}

/// The numbers given last.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Numbers {
    turn: u32,
    reply: u32,
    job: u32,
}

impl Session {
    /// A conversation in which nobody has said anything.
    #[must_use]
    pub fn new(tuning: Tuning) -> Self {
        Self {
            tuning,
            now: 0,
            state: State::Idle,
            run: Run::default(),
            operator: false,
            echo: EchoFloor::default(),
            buffered: None,
            unanswered: Vec::new(),
            returned: false,
            last: None,
            last_said: (String::new(), 0),
            asked_back: false,
            filled: false,
            told: Word::Listening,
            next: Numbers::default(),
            out: Vec::new(),
        }
    }

    /// Milliseconds since the session began.
    #[must_use]
    pub fn now(&self) -> Ms {
        self.now
    }

    /// How the session behaves.
    #[must_use]
    pub fn tuning(&self) -> &Tuning {
        &self.tuning
    }

    /// Whether time matters although no sound comes: an answer is being given or awaited.
    #[must_use]
    pub fn is_at_work(&self) -> bool {
        matches!(
            self.state,
            State::Thinking(_) | State::Speaking(_) | State::Ducked(..)
        )
    }

    /// Whether somebody is in the middle of saying something.
    #[must_use]
    pub fn is_hearing(&self) -> bool {
        matches!(self.state, State::Listening(_) | State::MaybeEnd(_))
    }

    /// The state in the words of the simple protocol.
    #[must_use]
    pub fn word(&self) -> Word {
        match &self.state {
            _ if self.operator => Word::Handoff,
            State::Idle => Word::Listening,
            // Where the client says when a turn ends, silence is recorded too.
            State::Listening(utterance) if utterance.voiced.length == 0 => Word::Listening,
            State::Listening(_) | State::MaybeEnd(_) => Word::Hearing,
            State::Thinking(_) => Word::Thinking,
            State::Speaking(_) | State::Ducked(..) => Word::Speaking,
        }
    }

    /// Takes what happened; gives what is to be done, in order.
    pub fn on(&mut self, event: Event) -> Vec<Effect> {
        let state = std::mem::take(&mut self.state);
        self.state = match event {
            Event::Heard(frame) => {
                let state = self.pass(state, FRAME_MS);
                self.heard(state, frame)
            }
            Event::Passed(by) => self.pass(state, by),
            Event::Transcribed {
                job,
                hypothesis,
                cost,
            } => self.transcribed(state, job, &hypothesis, cost),
            Event::TranscriptionFailed { job } => self.not_transcribed(state, job),
            Event::Judged { job, over } => self.judged(state, job, over),
            Event::Reply { reply, part } => self.part(state, reply, part),
            Event::Typed(text) => self.typed(state, text),
            Event::Commit => self.commit(state),
            Event::Respond {
                question,
                own_tools,
            } => self.respond(state, question, own_tools),
            Event::Clear => self.clear(state),
            Event::Interrupt => self.interrupt(state),
            Event::Returned => {
                self.returned = true;
                state
            }
            Event::Truncated { reply, heard } => self.truncated(state, reply, heard),
            Event::TakenOver => self.taken_over(state),
            Event::HandedBack => {
                self.operator = false;
                state
            }
            Event::Tuned(tuning) => self.tuned(state, tuning),
        };
        self.state = match std::mem::take(&mut self.state) {
            State::Speaking(mut reply) => {
                reply.pace(&mut self.out);
                self.unless_over(reply, State::Speaking)
            }
            State::Ducked(mut reply, barge) => {
                if !barge.paused {
                    reply.pace(&mut self.out);
                }
                State::Ducked(reply, barge)
            }
            other => other,
        };
        let word = self.word();
        if word != self.told {
            self.told = word;
            self.out.push(Effect::State(word));
        }
        std::mem::take(&mut self.out)
    }

    /// Time goes by, with sound or without.
    fn pass(&mut self, mut state: State, by: Ms) -> State {
        self.now += by;
        match &mut state {
            State::Speaking(reply) | State::Ducked(reply, _) => reply.advance(by),
            State::Thinking(_) => return self.while_thinking(state),
            State::Idle | State::Listening(_) | State::MaybeEnd(_) => {}
        }
        state
    }

    fn heard(&mut self, state: State, frame: Frame) -> State {
        let manual = self.tuning.detection == Detection::Manual;
        let speaking = matches!(state, State::Speaking(_) | State::Ducked(..));
        let threshold = if speaking {
            self.tuning.threshold.max(0.6)
        } else if self.run.speech > 0 {
            // Once begun, speech may be a little less certain: not much, or its end is found a frame later.
            self.tuning.threshold - 0.05
        } else {
            self.tuning.threshold
        };
        let covered = frame.own > 0 || (speaking && self.echo.covers(frame.level));
        let speech = frame.speech >= threshold && !covered;
        if speaking {
            self.echo.learn(frame.level);
        }
        if speech {
            self.run = Run {
                speech: self.run.speech + FRAME_MS,
                silence: 0,
            };
        } else {
            self.run = Run {
                speech: 0,
                silence: self.run.silence + FRAME_MS,
            };
        }
        if manual {
            return self.recorded(state, frame, speech);
        }
        match state {
            State::Idle => self.while_idle(frame),
            State::Listening(utterance) => self.while_listening(utterance, frame, speech),
            State::MaybeEnd(utterance) => self.while_paused(utterance, frame, speech),
            State::Thinking(thought) => self.heard_while_thinking(thought, frame),
            State::Speaking(reply) => self.heard_while_speaking(reply, frame),
            State::Ducked(reply, barge) => self.heard_while_ducked(reply, barge, frame, speech),
        }
    }

    fn part(&mut self, mut state: State, id: ReplyId, part: Part) -> State {
        match &mut state {
            State::Listening(utterance) | State::MaybeEnd(utterance) => {
                if let Some(guess) = utterance.guess.as_mut().filter(|guess| guess.id == id) {
                    guess.take(part, &mut self.out);
                }
                state
            }
            State::Thinking(_) => self.part_while_thinking(state, id, part),
            State::Speaking(reply) | State::Ducked(reply, _) if reply.id == id => {
                reply.take(part, &mut self.out);
                state
            }
            State::Idle | State::Speaking(_) | State::Ducked(..) => state,
        }
    }

    fn tuned(&mut self, state: State, tuning: Tuning) -> State {
        let was_manual = self.tuning.detection == Detection::Manual;
        self.tuning = tuning;
        let manual = tuning.detection == Detection::Manual;
        if was_manual == manual {
            return state;
        }
        self.forget_buffered();
        match state {
            // Its beginning was never told, or its end never would be.
            State::Listening(utterance) | State::MaybeEnd(utterance) => {
                self.dismiss(utterance, Dismissal::Cleared)
            }
            // Nobody would find out whether they mean it, and a paused answer would wait for ever.
            State::Ducked(reply, barge) => {
                self.unduck(&barge);
                State::Speaking(reply)
            }
            other => other,
        }
    }

    fn turn(&mut self) -> TurnId {
        self.next.turn += 1;
        TurnId(self.next.turn)
    }

    fn job(&mut self) -> JobId {
        self.next.job += 1;
        JobId(self.next.job)
    }

    fn reply(&mut self, turn: TurnId, question: String, guess: bool) -> Reply {
        self.next.reply += 1;
        let reply = ReplyId(self.next.reply);
        self.out.push(Effect::Ask {
            reply,
            turn,
            question: question.clone(),
            guess,
        });
        Reply::new(reply, turn, question)
    }

    fn relay(&mut self, turn: TurnId, question: String) -> Reply {
        self.next.reply += 1;
        let reply = ReplyId(self.next.reply);
        self.out.push(Effect::Relay {
            reply,
            turn,
            question: question.clone(),
        });
        Reply::new(reply, turn, question)
    }
}
