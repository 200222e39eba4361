//! Plain types and pure rules, known to every other module.
//!
//! Nothing here knows an async runtime, HTTP, a file format or a vendor.

pub mod answer;
pub mod audio;
pub mod bm25;
pub mod chunk;
pub mod component;
pub mod document;
pub mod embedding;
pub mod generation;
pub mod ids;
pub mod incident;
pub mod mel;
pub mod profile;
pub mod question;
pub mod resample;
pub mod shape;
pub mod spread;
pub mod tool;
pub mod unseen;
pub mod watch;

pub use answer::{Answer, Citation, Evidence, Scores, Timings, Usage};
pub use audio::Pcm;
pub use chunk::{Chunk, ChunkKey, Locator};
pub use component::Component;
pub use document::{
    Document, Engine, Failure, FailureCode, MediaType, PageReport, PageState, Queue, Sha256Hash,
    Stage, Status, Work,
};
pub use embedding::{EmbedderIdentity, Embedding, Fingerprint, SparseVector};
pub use generation::{Generation, GenerationRole};
pub use ids::{AnswerId, Collection, ConversationId, DocumentId, IncidentId, WatchId};
pub use incident::{Incident, IncidentEvent, IncidentEventKind};
pub use profile::{InvalidProfile, Profile, UserId};
pub use question::Question;
pub use shape::Shape;
pub use tool::{BadTools, Call, Choice, Offer, Outcome, Tool};
pub use watch::{Content, Deleted, FileStamp, Watch, WatchRules};
