//! The models' files: manifest, sources, verification.

pub mod minilm;
