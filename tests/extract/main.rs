//! Documents read through the real child process, `griot extract`: formats, damage, and the walls.
//!
//! The documents are made in code beside what is expected of them. `recall` and `zoo` also read the
//! sample documents of `../shared/data`, where those are.

mod damage;
mod formats;
mod hostile;
#[path = "../hostile"]
mod documents {
    pub mod mutate;
    #[expect(
        dead_code,
        reason = "shared with the tests of the whole daemon, which use all of it"
    )]
    pub mod samples;
}
mod make;
mod mutants;
mod ocr;
mod passwords;
mod recall;
#[path = "../../benches/report/text/score.rs"]
mod score;
mod walls;
mod zoo;

use std::{
    fmt::Write as _,
    fs::File,
    io::{Seek, Write},
    path::{Path, PathBuf},
};

use griot::ingest::{
    Password,
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
    read_locked(bytes, name, None).await
}

/// As [`read`], with a password. A document without text has failed, as the library says it.
async fn read_locked(
    bytes: &[u8],
    name: &str,
    password: Option<&str>,
) -> Result<Extracted, ExtractError> {
    let reader = extractor(Limits::default(), Confinement::default());
    let password = password.and_then(Password::new);
    let read = reader.extract_locked(file_of(bytes), name, password.as_ref(), |_| {});
    with_text(read.await)
}

/// What the library makes of a document none of whose pages holds text.
fn with_text(read: Result<Extracted, ExtractError>) -> Result<Extracted, ExtractError> {
    let extracted = read?;
    match extracted.without_text() {
        Some(error) => Err(error),
        None => Ok(extracted),
    }
}

/// An unnamed file, at its beginning.
fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

/// The whole outcome as text: what it is, its pages and sections, then the stored text.
fn show(outcome: &Result<Extracted, ExtractError>) -> String {
    let extracted = match outcome {
        Ok(extracted) => extracted,
        Err(error) => return format!("{}: {}", error.code, error.message),
    };
    let mut out = format!("{}", extracted.media_type);
    if let Some(title) = &extracted.title {
        write!(out, " “{title}”").unwrap();
    }
    out.push('\n');
    if extracted.paged {
        for page in &extracted.pages {
            let (start, end) = (page.start, page.end);
            writeln!(
                out,
                "page {} {} {start}..{end} by {:?}",
                page.page, page.state, page.engine
            )
            .unwrap();
        }
    }
    for section in &extracted.sections {
        let words: String = extracted.text[section.start as usize..]
            .chars()
            .take(12)
            .collect();
        writeln!(out, "{} {} at {words:?}", section.level, section.path).unwrap();
    }
    write!(out, "---\n{}", extracted.text).unwrap();
    out
}

/// A folder of the shared sample documents; `None`, with a message, where there is none.
fn samples(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data")
        .join(folder);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: {} is not there", path.display());
    None
}

/// Every file below a folder, in order.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
