//! What the fuzz targets share: the readers, compiled from the main sources without the rest of the
//! daemon, and what must hold for whatever they are given.
//!
//! A panic is a finding, except one that a reader catches itself. So is more memory or time than the
//! child process may have, and a result that the daemon would refuse.

/// The sources as they stand; `crate::domain` and its like mean here what they mean there.
#[path = "../../src"]
#[allow(dead_code, unused_imports, reason = "only a part of each module is reached from here")]
mod griot {
    pub mod domain;
    pub mod ingest {
        pub mod extract;
        pub mod jail {
            mod frames;

            /// Reads a stream of frames, as the daemon does.
            pub async fn read_frames(mut stream: &[u8]) -> bool {
                let limits = super::extract::Limits::default();
                frames::read(&mut stream, &limits, &mut |_| {}).await.is_ok()
            }
        }
    }
    pub mod answer {
        pub mod json_text;
        pub mod quote;
        pub mod sentence;
    }
}

pub use griot::{answer, domain, ingest};

use domain::MediaType;
use ingest::extract::{Limits, extract};

/// Called once before the first input: says nothing about panics that are caught.
pub fn begin() {
    std::panic::set_hook(Box::new(|_| {}));
}

/// Reads `bytes` as a document of this name and checks what comes out.
pub fn read(bytes: &[u8], name: &str) -> Option<MediaType> {
    let limits = Limits {
        max_file_bytes: 1024 * 1024,
        max_pages: 500,
        max_text_bytes: 8 * 1024 * 1024,
    };
    let mut told = 0;
    let read = extract(bytes, name, &limits, &mut |progress| {
        assert!(progress.page > told && progress.page <= progress.of, "{progress:?} after {told}");
        told = progress.page;
    });
    match read {
        Ok(extracted) => {
            extracted.check().expect("the daemon believes it");
            assert!(extracted.text.len() as u64 <= limits.max_text_bytes);
            Some(extracted.media_type)
        }
        Err(error) => {
            assert!(!error.message.is_empty());
            None
        }
    }
}

/// A ZIP file in which each piece of `bytes`, cut at U+001E, is one of `parts`: so that mutations reach
/// what is inside, with the right checksums around it.
pub fn package(bytes: &[u8], parts: &[&str]) -> Vec<u8> {
    use std::io::Write;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, part) in parts.iter().zip(bytes.split(|byte| *byte == 0x1e)) {
        writer.start_file(*name, options).expect("the names differ");
        writer.write_all(part).expect("it is memory");
    }
    writer.finish().expect("it is memory").into_inner()
}
