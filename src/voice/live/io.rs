//! What comes into a conversation and what goes out, whatever the wire.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{
    super::{
        engine::Options,
        inlet::Sound,
        session::{Dismissal, End, Ms, Refusal, ReplyId, Tuning, TurnId, Word},
    },
    trace::Timings,
};
use crate::domain::{Call, Citation, Component, Offer, Outcome};

/// What comes in.
#[derive(Debug)]
pub enum Input {
    /// Sound, at the rate of the options.
    Sound(Sound<f32>),
    Typed(String),
    Commit,
    Respond {
        question: Option<String>,
        /// The tools for this answer alone; `None`: those of the options.
        offer: Option<Arc<Offer>>,
    },
    /// What a call of a tool has brought. It is said when an answer is asked for.
    Returned(Box<Outcome>),
    Clear,
    Interrupt,
    Truncated {
        reply: ReplyId,
        heard: Ms,
    },
    Tuned(Box<Tuning>),
    /// Voice, language, speed and rates from now on; what belongs to the beginning stays.
    Changed(Box<Options>),
    /// Somebody takes the conversation over, and is told of it.
    TakeOver(mpsc::Sender<Output>),
    /// Their voice, at the rate that the caller hears.
    Operator(Sound<i16>),
    HandBack,
}

/// What goes out.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    State(Word),
    SpeechStarted {
        turn: TurnId,
        at: Ms,
    },
    SpeechStopped {
        turn: TurnId,
        at: Ms,
    },
    Committed {
        turn: TurnId,
    },
    /// Words to append.
    Caption {
        turn: TurnId,
        text: String,
    },
    Transcript {
        turn: TurnId,
        text: String,
        seconds: f32,
    },
    Dismissed {
        turn: TurnId,
        why: Dismissal,
    },
    Began {
        reply: ReplyId,
        turn: TurnId,
    },
    /// Words of the answer, and where in its sound they are spoken.
    Said {
        reply: ReplyId,
        text: String,
        at: Ms,
    },
    Cited {
        reply: ReplyId,
        citation: Box<Citation>,
    },
    /// A tool is to be called instead of an answer; `question` asked for it.
    Called {
        reply: ReplyId,
        question: String,
        call: Box<Call>,
    },
    Sound {
        reply: ReplyId,
        samples: Vec<i16>,
        /// Samples a second: of an answer that was begun before the options changed, those of before.
        rate: u32,
    },
    Duck(bool),
    Flushed {
        reply: ReplyId,
    },
    Ended {
        reply: ReplyId,
        turn: TurnId,
        end: End,
        heard: String,
        heard_ms: Ms,
        timings: Timings,
    },
    Corrected {
        reply: ReplyId,
        heard_ms: Ms,
    },
    Degraded(Vec<Component>),
    Refused(Refusal),
    /// Somebody speaks for us, or does no more.
    Handoff(bool),
    /// For who took over: what was said so far, and out of which documents. `rate`: samples a second of the
    /// voice that is awaited from them.
    SoFar {
        turns: Vec<(String, String)>,
        sources: Vec<Citation>,
        rate: u32,
    },
    /// For them: the caller's voice at 16 kHz; for the caller: theirs.
    Voice(Vec<i16>),
}
