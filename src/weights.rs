//! The models' files: manifest, sources, verification.
