//! The implementations of the ports. Only `app` names them.

pub mod ollama;
