//! Documents, read as the child reads them.

use std::io::{Cursor, Write};

use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::ingest::extract::{GLANCE, Limits, extract, glance};

/// Smaller than the usual ones, so that a reader which ignores them is noticed.
const LIMITS: Limits = Limits {
    max_file_bytes: 1024 * 1024,
    max_pages: 500,
    max_text_bytes: 8 * 1024 * 1024,
};

/// Reads `bytes` as a document of this name and checks what comes out.
pub fn read(bytes: &[u8], name: &str) {
    let glanced = glance(&bytes[..bytes.len().min(GLANCE)], name);
    // Of an archive a first look sees one name, which may be anything.
    let believed = bytes.starts_with(b"PK") || glanced.is_ok();
    let mut told = 0;
    let read = extract(bytes, name, &LIMITS, &mut |progress| {
        assert!(
            progress.page > told && progress.page <= progress.of,
            "{progress:?} after {told}"
        );
        told = progress.page;
    });
    if std::env::var_os("FUZZ_TELL").is_some() {
        eprintln!("{read:#?}");
    }
    match read {
        Ok(extracted) => {
            assert!(believed, "a first look refused it: {glanced:?}");
            assert!(extracted.text.len() as u64 <= LIMITS.max_text_bytes);
            if let Err(lie) = extracted.check() {
                panic!("the daemon would refuse it: {lie}");
            }
        }
        Err(error) => assert!(!error.message.is_empty()),
    }
}

/// A ZIP file in which each piece of `bytes`, cut at U+001E, is one of `parts`: so that mutations reach
/// what is inside, with the right checksums around it.
pub fn package(bytes: &[u8], parts: &[&str]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, part) in parts.iter().zip(bytes.split(|byte| *byte == 0x1e)) {
        writer
            .start_file(*name, options)
            .expect("the names differ");
        writer.write_all(part).expect("it is memory");
    }
    writer.finish().expect("it is memory").into_inner()
}
