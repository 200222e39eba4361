//! What a session is told, and what it wants done.

use std::ops::Range;

use crate::voice::{
    hallucination::{Doubt, Hypothesis},
    turn::Detection,
};

/// Milliseconds of a session's audio: the samples received (and the silence put in where none came),
/// counted from its beginning.
pub type Ms = u64;

/// Milliseconds of one frame of voice activity.
pub const FRAME_MS: Ms = 32;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);
    };
}

number!(
    /// Something a person says, from its first sound to its end.
    TurnId
);
number!(
    /// One answer. Whatever comes late from the work on another one carries another number.
    ReplyId
);
number!(
    /// One call of the transcriber or of the judge of turns.
    JobId
);

/// How a session behaves. May change while it runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuning {
    pub detection: Detection,
    /// The probability of speech from which a frame counts.
    pub threshold: f32,
    /// Sound before the first frame of speech that belongs to it.
    pub preroll: Ms,
    /// Whether a turn is answered without being asked for it.
    pub respond: bool,
    /// Whether speech silences an answer.
    pub interruptible: bool,
    /// How long somebody must speak into an answer before it pauses.
    pub interrupt_after: Ms,
    /// Whether "let me see" is said when an answer takes long.
    pub acknowledge: bool,
    /// Whether there is a transcriber.
    pub hears: bool,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            detection: Detection::Judged(super::super::turn::Patience::default()),
            threshold: 0.5,
            preroll: 300,
            respond: true,
            interruptible: true,
            interrupt_after: INTERRUPT_AFTER,
            acknowledge: true,
            hears: true,
        }
    }
}

/// What [`Tuning::interrupt_after`] is for a usual sensitivity, 0.5.
const INTERRUPT_AFTER: Ms = 224;

impl Tuning {
    /// This tuning for somebody whose speech silences an answer this easily: 0 never, 1 at once.
    #[must_use]
    pub fn with_barge_in(self, sensitivity: Option<f64>) -> Self {
        let Some(sensitivity) = sensitivity else {
            return self;
        };
        let after = 2.0 * (1.0 - sensitivity.clamp(0.0, 1.0)) * INTERRUPT_AFTER as f64;
        Self {
            interruptible: self.interruptible && sensitivity > 0.0,
            interrupt_after: after as Ms,
            ..self
        }
    }
}

/// One frame of sound, as voice activity sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    /// The probability of speech.
    pub speech: f32,
    /// Its loudness, dBFS.
    pub level: f32,
    /// How much of what was heard until its end is our own voice, come back: nothing, or this frame, or more
    /// where that has only just turned out.
    pub own: Ms,
}

/// A piece of an answer, as it becomes ready.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// The citation of this index.
    Citation(u32),
    /// Words and the length of their sound (none where nobody speaks).
    Clause { text: String, sound: Ms },
    /// A phrase that fills the time, said before the answer.
    Acknowledgement { text: String, sound: Ms },
    /// A tool of the client is to be called instead of an answer: there is nothing more.
    Call,
    /// There is nothing more.
    Done,
    /// It broke off.
    Failed,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// [`FRAME_MS`] of sound came.
    Heard(Frame),
    /// Time went by without sound; what is being said goes on.
    Passed(Ms),
    /// The transcriber is done. `cost` is what it took.
    Transcribed {
        job: JobId,
        hypothesis: Hypothesis,
        cost: Ms,
    },
    TranscriptionFailed {
        job: JobId,
    },
    /// The probability that the turn is over.
    Judged {
        job: JobId,
        over: f32,
    },
    Reply {
        reply: ReplyId,
        part: Part,
    },
    /// A question in writing. It takes the place of whatever is going on.
    Typed(String),
    /// The client says that the turn ends here.
    Commit,
    /// The client wants what was said (or this) answered.
    Respond {
        question: Option<String>,
        /// It comes with tools of its own: a guess was made without them.
        own_tools: bool,
    },
    /// What was heard and is not a turn yet is to be forgotten.
    Clear,
    /// The client wants the answer to end.
    Interrupt,
    /// A call of a tool has brought something; it is said when the client asks for an answer.
    Returned,
    /// The client tells how much of an answer was heard.
    Truncated {
        reply: ReplyId,
        heard: Ms,
    },
    TakenOver,
    HandedBack,
    Tuned(Tuning),
}

/// The state in the words of the simple protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Word {
    #[default]
    Listening,
    Hearing,
    Thinking,
    Speaking,
    Handoff,
}

impl Word {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listening => "listening",
            Self::Hearing => "hearing",
            Self::Thinking => "thinking",
            Self::Speaking => "speaking",
            Self::Handoff => "handoff",
        }
    }
}

/// Why a turn came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dismissal {
    /// It was not speech, as far as can be told.
    Doubted(Doubt),
    /// The speaker went on; what was said belongs to the next turn.
    Continued,
    /// It could not be written down.
    Failed,
    /// The client took it back, or wrote something instead.
    Cleared,
}

/// Who ended an answer before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Speech,
    Client,
    Operator,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Completed,
    Failed,
    Cancelled(By),
}

/// Why work on an answer is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The speaker went on: there was no turn to answer.
    WentOn,
    /// Other words were said than those it was begun for.
    OtherWords,
    /// It is over, for whoever hears it.
    Ended,
}

/// What a request could not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// An answer is being given.
    Busy,
    /// No answer is being given.
    NothingToCancel,
    /// Nothing was said.
    NothingSaid,
    /// That answer is gone, or shorter.
    NothingToTruncate,
    /// Somebody else speaks for us.
    TakenOver,
}

/// What is to be done, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    State(Word),
    /// Speech began at `at`, the sound before it included.
    SpeechStarted {
        turn: TurnId,
        at: Ms,
    },
    /// The turn is over; its speech ended at `at`.
    SpeechStopped {
        turn: TurnId,
        at: Ms,
    },
    /// What was heard is a turn now; its words may follow.
    Committed {
        turn: TurnId,
    },
    /// Words to show beside those that are shown.
    Caption {
        turn: TurnId,
        text: String,
    },
    /// The words of a turn.
    Transcript {
        turn: TurnId,
        text: String,
    },
    Dismissed {
        turn: TurnId,
        why: Dismissal,
    },
    /// This stretch is to be written down. A job for the whole counts, one for a look does not.
    Transcribe {
        job: JobId,
        whole: bool,
        stretch: Range<Ms>,
    },
    /// The result is not wanted any more.
    ForgetJob(JobId),
    /// These may be the words of the turn: the beginning of an answer may be made ready, and is never heard of.
    Foresee {
        question: String,
    },
    /// Is the turn over? The stretch is its sound.
    Judge {
        job: JobId,
        stretch: Range<Ms>,
    },
    /// An answer is to be made. `guess`: nothing of it may be known before the turn is decided.
    Ask {
        reply: ReplyId,
        turn: TurnId,
        question: String,
        guess: bool,
    },
    /// What calls have brought is to be said; `question` is what was asked besides, if anything was.
    Relay {
        reply: ReplyId,
        turn: TurnId,
        question: String,
    },
    /// All work on an answer ends, and its sound is forgotten.
    Drop {
        reply: ReplyId,
        why: Why,
    },
    /// Something to fill the time is wanted, if it is there.
    Acknowledge {
        reply: ReplyId,
    },
    /// The answer begins, for whoever hears it. `guessed`: it was begun before the turn was over.
    Began {
        reply: ReplyId,
        turn: TurnId,
        guessed: bool,
    },
    /// Its words; `at` is where in the answer's sound they are spoken.
    Say {
        reply: ReplyId,
        text: String,
        at: Ms,
    },
    Cite {
        reply: ReplyId,
        citation: u32,
    },
    /// Instead of an answer a tool is called. Of this answer nothing comes after it but its end.
    Call {
        reply: ReplyId,
    },
    /// This stretch of the answer's sound is to be sent.
    Send {
        reply: ReplyId,
        sound: Range<Ms>,
    },
    /// Lower, or as usual again.
    Duck(bool),
    /// What was sent and not heard is void.
    Flush {
        reply: ReplyId,
    },
    /// The answer is over; `heard` is what of it was heard.
    Ended {
        reply: ReplyId,
        turn: TurnId,
        end: End,
        heard: String,
        heard_ms: Ms,
    },
    /// Less of an answer was heard than was thought.
    Corrected {
        reply: ReplyId,
        heard: String,
        heard_ms: Ms,
    },
    /// For the books: a sound that was no interruption.
    Resumed {
        echo: bool,
    },
    Refused(Refusal),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_easily_an_answer_is_silenced() {
        let check = |sensitivity: Option<f64>, interruptible: bool, after: Ms| {
            let tuning = Tuning::default().with_barge_in(sensitivity);
            assert_eq!(
                (tuning.interruptible, tuning.interrupt_after),
                (interruptible, after),
                "{sensitivity:?}"
            );
        };
        check(None, true, INTERRUPT_AFTER);
        check(Some(0.5), true, INTERRUPT_AFTER);
        check(Some(1.0), true, 0);
        check(Some(0.25), true, 336);
        check(Some(0.0), false, 448);
    }
}
