//! In-memory implementations of every port, for the fast test tier.
//!
//! They keep the promises of the real ones: the contract suite runs against them too. Besides, each
//! can be put in trouble (see [`Trouble`]) and remembers what it was asked. Nothing here sleeps:
//! where a test needs a moment in the middle of something, it holds a [`Gate`].
//!
//! ```
//! # use griot::ports::{LanguageModel, fakes::{Gate, Script, ScriptedModel}};
//! let gate = Gate::new();
//! let model = ScriptedModel::new();
//! model.push(Script::new().delta("Rent is ").wait(&gate).delta("due."));
//! // … start an answer; `gate.reached().await`; look around; `gate.release()` …
//! ```

mod embedder;
mod gate;
mod generations;
mod hearing;
mod language_model;
mod store;
mod synthesizer;
mod transcriber;
mod trouble;

pub use embedder::HashEmbedder;
pub use gate::Gate;
pub use generations::MemoryGenerations;
pub use hearing::{LoudnessHearing, ScriptedTurnEnd};
pub use language_model::{Script, ScriptedModel};
pub use store::MemoryStore;
pub use synthesizer::ToneVoice;
pub use transcriber::ScriptedTranscriber;
pub use trouble::Trouble;
