//! The Ollama API as types: what requests say, what answers look like on the wire.
//!
//! Pure. Parsing happens here once; past this module a request cannot be malformed. Knows no model
//! and no server.

pub mod ascii;
pub mod keep_alive;
pub mod options;
pub mod reply;
pub mod request;
