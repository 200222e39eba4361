//! The only way the daemon reads documents: a child process per file, `griot extract`, that has one open
//! file, no environment, no network and little of everything else. Whatever a hostile document does to
//! the parsers ends there, as a [`FailureCode`] and a sentence.
//!
//! This side believes nothing the child says: frames are bounded before they are read, byte ranges are
//! checked against the text, and a child that stops in the middle has failed. It waits for nothing that
//! the child could withhold: whoever has said the last word is killed. The other side is
//! [`child_main`]; what it denies itself is in `confine`.

mod child;
mod confine;
mod frames;
mod picture;
mod pictures;
mod program;
mod recognise;
mod self_test;
mod system_calls;

use std::{
    collections::BTreeSet,
    fs::File,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    pin::pin,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{ChildStdin, Command},
};

pub use child::child_main;
pub use confine::{NICENESS, confine};
pub(super) use pictures::Wanted;
pub use pictures::{NotRecognised, Recognizer};

use super::{
    extract::{Engine, ExtractError, Extracted, Limits, Progress},
    password::Password,
};
use crate::domain::FailureCode;
use frames::{Broken, Heard, Outcome};

/// The clock may run this much longer than the processor: on a busy machine, a child that gives way to
/// questions (see `confine`) waits longer than it works, and that is not the document's fault. A child
/// has nothing else to wait for: its one file is on the disk.
const WALL_PER_CPU: u32 = 4;

/// How many times that long is waited for a child that wants the processor and does not get it: its
/// work is bounded by the kernel, which counts only what it got.
const STARVED_WAITS: u32 = 4;

/// Bytes of the child's standard error that are read, for telling one death from another. Then the pipe
/// is closed.
const MAX_STDERR: u64 = 16 * 1024;

/// Different notes that are logged, over the daemon's life: there are about this many protections.
const MAX_NOTES: usize = 16;

/// Bytes of a document that are sent at once.
const BLOCK: usize = 256 * 1024;

/// How much of the machine one child may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confinement {
    /// CPU time, in whole seconds; the wall-clock deadline is four times as long, and longer for a child
    /// that is kept from working.
    pub timeout: Duration,
    /// Bytes of address space, the program itself included.
    pub memory_bytes: u64,
}

/// The same figures as the defaults of the settings `ingest.extract_*`.
impl Default for Confinement {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(15),
            memory_bytes: 512 * 1024 * 1024,
        }
    }
}

/// Reads documents in child processes. Cheap to clone; any number may run at once, so the caller bounds
/// how many.
#[derive(Debug, Clone)]
pub struct Extractor {
    program: PathBuf,
    limits: Limits,
    confinement: Confinement,
    only: Option<Engine>,
    self_test: Option<String>,
    /// What was logged about missing protections: each once, not once for every document. Never held
    /// across an `.await`.
    noted: Arc<Mutex<BTreeSet<String>>>,
}

impl Extractor {
    /// `program` is the `griot` binary; see [`Extractor::of_this_program`].
    #[must_use]
    pub fn new(program: PathBuf, limits: Limits, confinement: Confinement) -> Self {
        Self {
            program,
            limits,
            confinement,
            only: None,
            self_test: None,
            noted: Arc::default(),
        }
    }

    /// Runs the program that calls this.
    ///
    /// # Errors
    /// When the system does not tell where that is.
    pub fn of_this_program(limits: Limits, confinement: Confinement) -> std::io::Result<Self> {
        Ok(Self::new(std::env::current_exe()?, limits, confinement))
    }

    /// What its documents may hold.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Reads with this engine alone, well or badly, where the format has several: for reports that
    /// compare them.
    #[must_use]
    pub fn with_only(mut self, engine: Engine) -> Self {
        self.only = Some(engine);
        self
    }

    /// Makes the child misbehave in a named way once it is confined, instead of reading: how the tests
    /// know that the walls hold.
    #[doc(hidden)]
    #[must_use]
    pub fn with_self_test(mut self, name: &str) -> Self {
        self.self_test = Some(name.to_owned());
        self
    }

    /// Reads `file` from its current position, with the empty password where it is encrypted. `name` is
    /// the file's name; only its extension reaches the child. `progress` is called after each page.
    ///
    /// A document with pages comes back also when none of them holds text; see
    /// [`Extracted::without_text`].
    ///
    /// Dropping the future kills the child.
    ///
    /// # Errors
    /// See [`FailureCode`]; one that is [`ExtractError::passing`] when the child cannot be started.
    pub async fn extract(
        &self,
        file: File,
        name: &str,
        progress: impl FnMut(Progress) + Send,
    ) -> Result<Extracted, ExtractError> {
        self.extract_locked(file, name, None, progress).await
    }

    /// As [`Self::extract`], with a password for a file that the empty one does not open.
    ///
    /// # Errors
    /// As [`Self::extract`].
    pub async fn extract_locked(
        &self,
        file: File,
        name: &str,
        password: Option<&Password>,
        mut progress: impl FnMut(Progress) + Send,
    ) -> Result<Extracted, ExtractError> {
        let mut command = self.command(name);
        // Without a password the child reads the file itself. With one, both come through a pipe: what
        // stands on a command line or in an environment is there for all to see.
        let locked = match password {
            None => {
                command.stdin(Stdio::from(file));
                None
            }
            Some(password) => {
                command.stdin(Stdio::piped()).arg("--locked");
                Some((file, password))
            }
        };
        let mut child = command.spawn().map_err(|error| could_not_start(&error))?;
        let feeding = child.stdin.take().zip(locked);
        let (Some(mut stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(internal("the reader's output could not be opened"));
        };
        let mut heard = |heard: Heard| match heard {
            Heard::Progress(told) => progress(told),
            Heard::Note(note) => self.note(note),
        };
        let pid = child.id();
        // All of it under one deadline, its end too: a child may close its output and live on.
        let reading = async {
            let frames = async {
                let read = frames::read(&mut stdout, &self.limits, &mut heard).await;
                // Nothing it could still say or do counts any more. If it has ended already there is
                // nothing to kill.
                drop(child.start_kill());
                read
            };
            let (read, stderr, ()) = tokio::join!(frames, collect(stderr), feed(feeding));
            (read, stderr, child.wait().await)
        };
        let Some((outcome, stderr, status)) = self.in_time(pid, reading).await else {
            // `kill` also waits, so that no zombie stays.
            if let Err(error) = child.kill().await {
                tracing::warn!(%error, "a reader that took too long could not be killed");
            }
            return Err(self.timed_out());
        };
        match outcome {
            Ok(Outcome::Read(extracted)) => Ok(*extracted),
            Ok(Outcome::Failed(error)) => Err(error),
            Err(broken) => {
                let status = status.map_err(|e| internal(&format!("the reader was lost: {e}")))?;
                Err(self.died(status, &stderr, &broken))
            }
        }
    }

    /// What `reading` came to, or `None` when the child was given its time and more.
    async fn in_time<T>(&self, pid: Option<u32>, reading: impl Future<Output = T>) -> Option<T> {
        let mut reading = pin!(reading);
        for _ in 0..STARVED_WAITS {
            let wait = self.confinement.timeout * WALL_PER_CPU;
            if let Ok(ended) = tokio::time::timeout(wait, &mut reading).await {
                return Some(ended);
            }
            if !pid.is_some_and(wants_the_processor) {
                break;
            }
        }
        None
    }

    /// Logs, the first time, what the child could not deny itself.
    fn note(&self, note: String) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() < MAX_NOTES && !noted.contains(&note) {
            tracing::warn!(%note, "documents are read with less protection than intended");
            noted.insert(note);
        }
    }

    fn command(&self, name: &str) -> Command {
        let extension = name.rsplit_once('.').map_or("", |(_, e)| e);
        let mut command = Command::new(&self.program);
        command
            .arg("extract")
            .args(child::arguments(&self.limits, &self.confinement, extension))
            .env_clear()
            .current_dir("/")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Its own group: a Ctrl-C at the terminal is the daemon's to handle.
            .process_group(0)
            .kill_on_drop(true);
        if let Some(engine) = self.only {
            command.arg("--only").arg(engine.as_str());
        }
        if let Some(test) = &self.self_test {
            command.arg("--self-test").arg(test);
        }
        command
    }

    /// How it ended, when it did not say so itself.
    fn died(&self, status: ExitStatus, stderr: &str, broken: &Broken) -> ExtractError {
        // The numbers of signals on Linux for x86-64, AArch64 and RISC-V (signal(7)).
        const SIGKILL: i32 = 9;
        const SIGXCPU: i32 = 24;
        if status.signal() == Some(SIGXCPU) {
            return self.timed_out();
        }
        // Rust's allocator says this before it aborts.
        let refused_memory =
            stderr.contains("memory allocation of") || stderr.contains("out of memory");
        // This side kills it only after a broken frame.
        let killed_by_the_kernel =
            status.signal() == Some(SIGKILL) && matches!(broken, Broken::Ended);
        if refused_memory || killed_by_the_kernel {
            return ExtractError::new(
                FailureCode::OutOfMemory,
                format!(
                    "reading the file needs more than {} MiB of memory (`ingest.extract_memory_mib`); split it or raise the limit",
                    self.confinement.memory_bytes / (1024 * 1024)
                ),
            );
        }
        tracing::info!(%status, %broken, "the reader of a document died");
        ExtractError::new(
            FailureCode::Crashed,
            "the file made the reader crash, so it is damaged or made to do harm; open it in the program that made it and save it again",
        )
    }

    fn timed_out(&self) -> ExtractError {
        ExtractError::new(
            FailureCode::TimedOut,
            format!(
                "reading the file took longer than {} s (`ingest.extract_timeout_s`); split it or raise the limit",
                self.confinement.timeout.as_secs()
            ),
        )
    }
}

/// Whether a process works or waits for its turn, rather than for something that may never come
/// (proc(5): the state stands behind the name in parentheses).
fn wants_the_processor(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| rest.trim_start().starts_with('R'))
}

/// Writes a password and the document it opens to the child. One that ends before it has read them says
/// why itself.
async fn feed(feeding: Option<(ChildStdin, (File, &Password))>) {
    let Some((mut stdin, (file, password))) = feeding else {
        return;
    };
    let bytes = file.metadata().map_or(0, |about| about.len());
    let mut file = BufReader::with_capacity(BLOCK, tokio::fs::File::from_std(file));
    if stdin
        .write_all(&child::preface(password, bytes))
        .await
        .is_ok()
    {
        drop(tokio::io::copy_buf(&mut file, &mut stdin).await);
    }
}

/// The beginning of a stream. Then it is closed, so that a writer without end gets an error and not this
/// process's time.
async fn collect(stream: impl AsyncRead + Unpin) -> String {
    let mut kept = Vec::new();
    // What cannot be read is not there; the exit status still tells.
    drop(stream.take(MAX_STDERR).read_to_end(&mut kept).await);
    String::from_utf8_lossy(&kept).into_owned()
}

fn could_not_start(error: &std::io::Error) -> ExtractError {
    ExtractError::passing(format!("the reader could not be started ({error})"))
}

fn internal(message: &str) -> ExtractError {
    ExtractError::new(FailureCode::Internal, message)
}
