//! What the fuzz targets share: the readers, compiled from the main sources without the rest of the
//! daemon, and what must hold for whatever they are given.
//!
//! The modules stand where they stand in `griot`, so that `crate::domain` and its like mean the same. A module
//! that begins to name something that is not here has to bring it along.
//!
//! A panic is a finding, except one that a reader catches itself. So is more memory or time than the
//! child process may have, and a result that the daemon would refuse.

mod finding;
mod read;

pub use finding::{begin, guard};
pub use read::{package, read};

// A file that `#[path]` names would look for its modules beside itself, so the folder is named.
#[path = "../../src"]
#[allow(dead_code, reason = "only a part is reached from here")]
mod sources {
    pub mod domain;
}
pub use sources::domain;

#[path = "../../src/ingest"]
#[allow(
    dead_code,
    unused_imports,
    reason = "only a part is reached from here"
)]
pub mod ingest {
    pub mod extract;
    mod password;

    /// The pictures on a page of a PDF, as the child takes them out for reading letters in them.
    pub fn pictures(bytes: &[u8], page: u32) -> Option<Vec<Vec<u8>>> {
        extract::pictures(bytes, &extract::Options::default(), page).ok()
    }

    pub mod jail {
        mod frames;

        /// Reads a stream of frames, as the daemon does.
        pub async fn read_frames(mut stream: &[u8]) -> bool {
            let limits = super::extract::Limits::default();
            let read = frames::read(&mut stream, &limits, &mut |_| {}).await;
            matches!(read, Ok(frames::Outcome::Read(_)))
        }
    }
}

#[path = "../../src/answer"]
#[allow(dead_code, reason = "only a part is reached from here")]
pub mod answer {
    pub mod json_text;
    pub mod quotation;
    pub mod quote;
    pub mod sentence;
}

#[path = "../../src/wyoming"]
#[allow(dead_code, reason = "only a part is reached from here")]
pub mod wyoming {
    pub mod wire;
}
