//! A conversation aloud: when somebody speaks, when they are done, what may be said and when to be silent.
//!
//! [`session`] is the machine, pure and on audio time; [`turn`], [`captions`], [`clauses`], [`playhead`],
//! [`hallucination`] and [`words`] are what it decides by, each a piece of arithmetic of its own. None of
//! them knows a clock, a socket, a task or a sample of sound. [`echo`] tells our own voice, come back, from others'. [`engine`] opens conversations, [`live`] is the
//! task that runs one: sound in (through its [`inlet`]), the models beside it, sound and words out. [`recording`]
//! writes files of sound down. [`speakable`] makes written text what a voice says.

pub mod captions;
pub mod clauses;
pub mod echo;
pub mod engine;
pub mod hallucination;
pub mod inlet;
pub mod live;
pub mod playhead;
pub mod recording;
pub mod ring;
pub mod session;
pub mod speakable;
pub mod turn;
pub mod words;

pub use engine::{Conversation, Engine, EngineParts, OpenError, Options};
pub use inlet::Inlet;
pub use live::{Input, Output, Timings};
