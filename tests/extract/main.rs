//! Documents read through the real child process, `griot extract`: formats, damage, and the walls.

mod walls;

use std::{fs::File, io::Write, path::PathBuf};

use griot::ingest::{
    extract::{ExtractError, Extracted, Limits},
    jail::{Confinement, Extractor},
};

/// The child is this build's own binary.
fn extractor(limits: Limits, confinement: Confinement) -> Extractor {
    Extractor::new(
        PathBuf::from(env!("CARGO_BIN_EXE_griot")),
        limits,
        confinement,
    )
}

/// Reads bytes under a name, with the default limits.
async fn read(bytes: &[u8], name: &str) -> Result<Extracted, ExtractError> {
    let reader = extractor(Limits::default(), Confinement::default());
    reader.extract(file_of(bytes), name, |_| {}).await
}

/// An unnamed file, at its beginning.
fn file_of(bytes: &[u8]) -> File {
    use std::io::Seek;
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}
