//! The implementations of the ports. Only `app` names them.

pub mod edge;
pub mod embed_local;
pub mod hearing;
pub mod ollama;
pub mod qdrant;
pub mod speech;
pub mod whisper;
