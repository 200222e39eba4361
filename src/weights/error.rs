//! What can go wrong while weights are fetched or checked, in words for the person who asked.

use std::{io, path::PathBuf};

use crate::domain::Sha256Hash;

use super::{convert::ConvertError, size};

/// Why weights could not be put in place. What was fetched until then is kept, so that running the
/// same command again goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    #[error("there is no model `{name}`{}", suggestion(nearest.as_deref()))]
    UnknownModel {
        name: String,
        nearest: Option<String>,
    },
    #[error(
        "another `griot models pull` is working in {}: wait until it is done, or stop it",
        dir.display()
    )]
    Busy { dir: PathBuf },
    #[error(
        "{} are needed in {}, but only {} are free: free some space, or set `models.dir` to a folder on \
         another disk",
        size(*needed), dir.display(), size(*free)
    )]
    NoRoom {
        dir: PathBuf,
        needed: u64,
        free: u64,
    },
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("stopped; what was fetched is kept, and the same command goes on from there")]
    Interrupted,
    #[error("{path}: no source worked\n{}", attempts_shown(attempts))]
    NoSource {
        path: String,
        attempts: Vec<Attempt>,
    },
    #[error("{path}: cannot convert what was fetched: {source}")]
    Convert { path: String, source: ConvertError },
    #[error(
        "{path}: the conversion gave other bytes than expected (SHA-256 {got}, wanted {wanted}); this is a \
         fault of griot, please report it"
    )]
    ConvertedWrong {
        path: String,
        wanted: Sha256Hash,
        got: Sha256Hash,
    },
}

/// One source that did not work.
#[derive(Debug)]
pub struct Attempt {
    /// The source as [`super::manifest::Source`] displays it.
    pub source: String,
    pub error: SourceError,
}

/// Why one source did not yield a file. The next source is tried, except after [`Self::ends_all`].
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("cannot reach {address}: {reason}; check the network, or set HF_ENDPOINT to a mirror")]
    Unreachable { address: String, reason: String },
    #[error("HF_HUB_OFFLINE is set")]
    Offline,
    #[error("{address} answered {status}{}", status_hint(*status))]
    Status { address: String, status: u16 },
    #[error(
        "{address} would send {got} bytes where {wanted} are wanted: a proxy or a login page may have answered \
         instead"
    )]
    WrongSize {
        address: String,
        got: u64,
        wanted: u64,
    },
    #[error("the connection to {address} broke {times} times in a row ({reason})")]
    CutOff {
        address: String,
        times: u32,
        reason: String,
    },
    #[error(
        "SHA-256 {got} where {wanted} is wanted: the file there is another one, or damaged on its way"
    )]
    WrongDigest { wanted: Sha256Hash, got: Sha256Hash },
    #[error(
        "`{program}` is not installed: install Python 3 with pip (Debian: apt install python3-pip)"
    )]
    NoPython { program: String },
    #[error("`{program}` has no pip: install it (Debian: apt install python3-pip)")]
    NoPip { program: String },
    #[error(
        "the package index has no {package}: it was taken down, or your index (pip config list) does not carry it"
    )]
    NoPackage { package: String },
    #[error("pip cannot reach the package index: {reason}")]
    IndexUnreachable { reason: String },
    #[error("pip could not fetch {package}: {reason}")]
    PipFailed { package: String, reason: String },
    #[error("{package} is not what the manifest describes: {reason}")]
    BadPackage { package: String, reason: String },
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("stopped")]
    Interrupted,
}

impl SourceError {
    /// Another source would meet the same.
    pub fn ends_all(&self) -> bool {
        matches!(self, Self::Disk(_) | Self::Interrupted)
    }
}

/// The disk refused.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    #[error(
        "the disk is full while writing {}: free some space and run the same command again, it goes on from \
         there",
        path.display()
    )]
    Full { path: PathBuf },
    #[error("cannot {doing} {}: {source}", path.display())]
    Failed {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

impl DiskError {
    /// For `map_err`: what was being done, to which file.
    pub fn at(doing: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            _ => Self::Failed {
                doing,
                path,
                source,
            },
        }
    }
}

fn suggestion(nearest: Option<&str>) -> String {
    match nearest {
        Some(name) => format!("; did you mean `{name}`?"),
        None => "; `griot models ls` lists all".to_owned(),
    }
}

fn status_hint(status: u16) -> &'static str {
    match status {
        401 | 403 => ": it wants a token, set HF_TOKEN",
        404 => ": the file is not there any more",
        429 => ": too many requests, try again later",
        500.. => ": the server is in trouble, try again later",
        _ => "",
    }
}

fn attempts_shown(attempts: &[Attempt]) -> String {
    let lines: Vec<String> = attempts
        .iter()
        .map(|attempt| format!("  {}: {}", attempt.source, attempt.error))
        .collect();
    lines.join("\n")
}
