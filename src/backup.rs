//! The whole library as one file, and back: catalog, originals and settings, with a SHA-256 of each.
//!
//! The file is a tar archive in one zstd frame, so that it can be looked into with the usual tools:
//!
//! ```text
//! griot-backup.json    what it is, and how much follows
//! catalog.sqlite       documents, texts, chunks, words, conversations, incidents
//! griot.toml           the settings, where there is a file of them, without `store.api_key`
//! originals/ab/cdef…   each original under its SHA-256, in ascending order
//! manifest.json        size and SHA-256 of every member before it
//! ```
//!
//! The vector index is not in it. It follows from the catalog, it is bound to a version of its engine
//! (or is on a server), and a copy that does not fit the catalog would be wrong without a sound; so a
//! restored library makes it anew, and is searched by words until then.
//!
//! Not known here: HTTP, the command line, and whether a daemon runs.

mod format;
mod read;
mod restore;
mod settings;
#[cfg(test)]
mod tests;
mod write;

pub use format::{Header, Manifest, Member, Name};
pub use read::{ReadError, Take, Whole, read};
pub use restore::{RestoreError, Restored, Settings, UNFINISHED, restore};
pub use settings::without_secrets;
pub use write::{Summary, write};
