//! The implementations of the ports. Only `app` names them.

pub mod edge;
pub mod embed_local;
pub mod ollama;
pub mod qdrant;
