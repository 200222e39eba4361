//! A child process that is kept running: started, watched, restarted, and stopped with the daemon.
//!
//! The child says on its standard output, in a line of its own, where it listens:
//! `listening http://127.0.0.1:PORT`, or `listening unix:///PATH`. It holds the reading end of a pipe as
//! standard input and ends when that closes, so it never outlives the daemon, however the daemon ends. Its environment is
//! reduced to what programs need to run; keys of the daemon are not in it. What it writes to standard
//! error goes to the log at debug level; its last line is named as the cause when it ends, and its last lines
//! go to the incident. One that gives no sign of life, or takes more memory than it may, is ended and started
//! anew.

mod spec;

use std::{
    collections::VecDeque,
    env,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::Url;
use tokio::{
    io::BufReader,
    process::{Child, ChildStderr, ChildStdout, Command},
    sync::watch,
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use spec::{ChildSpec, find_program};

use super::{
    board::Slot,
    lines::next_line,
    machine::{is_stopped, resident_bytes},
    restarts::{Next, Restarts},
};
use crate::domain::spread::jitter;

/// Longest line of a child's output that is kept, in bytes.
const LINE: usize = 500;

/// Lines of a child's standard error that an incident shows.
const LAST_WORDS: usize = 8;

/// Variables handed on to a child, where they are set.
const HANDED_ON: &[&str] = &[
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "RUST_LOG",
    "RUST_BACKTRACE",
    "LD_LIBRARY_PATH",
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "CUDA_VISIBLE_DEVICES",
];

/// Keeps a child running. See the module.
#[derive(Debug)]
pub struct Supervisor {
    spec: ChildSpec,
    slot: Slot,
    url: watch::Sender<Option<Url>>,
    cancel: CancellationToken,
}

/// How one run of the child ended.
enum End {
    /// The daemon stops.
    Cancelled,
    /// By itself, or because it never said where it listens.
    Ended(String),
}

impl Supervisor {
    /// Starts the child and a task on `tracker` that keeps it running until `cancel`. The channel
    /// holds where the child listens now: none before it is ready, between two runs, and while it
    /// cannot be started; `slot` says why.
    pub fn start(
        spec: ChildSpec,
        slot: Slot,
        tracker: &TaskTracker,
        cancel: CancellationToken,
    ) -> watch::Receiver<Option<Url>> {
        let (url, receiver) = watch::channel(None);
        // Before the task runs: readiness must not be seen without it.
        if spec.optional
            && let Err(what_to_do) = spec.program()
        {
            slot.unwanted(&what_to_do);
        } else {
            slot.starting();
        }
        let supervisor = Self {
            spec,
            slot,
            url,
            cancel,
        };
        tracker.spawn(supervisor.keep_running());
        receiver
    }

    async fn keep_running(self) {
        let mut restarts = Restarts::new(self.spec.patience);
        let name = &self.spec.name;
        loop {
            let wait = match self.spec.program() {
                Err(what_to_do) => {
                    if self.spec.optional {
                        self.slot.unwanted(&what_to_do);
                    } else {
                        self.slot.missing(&what_to_do);
                    }
                    self.spec.look_again
                }
                Ok(program) => {
                    self.slot.starting();
                    let began = Instant::now();
                    let end = self.run_once(&program).await;
                    self.url.send_replace(None);
                    let End::Ended(cause) = end else {
                        return;
                    };
                    // Said before what it wrote last, where it ran at all.
                    self.slot.ended(&cause);
                    match restarts.ended(Instant::now().into_std(), began.elapsed(), jitter()) {
                        Next::Restart(wait) => {
                            tracing::info!(
                                worker = name,
                                cause,
                                wait_ms = wait.as_millis(),
                                "{cause}; it is started again in {wait:.1?}"
                            );
                            wait
                        }
                        Next::GiveUp(wait) => {
                            self.slot.ended(&format!(
                                "{name} failed: it ended more than {} times within {:?}; it gets \
                                 another chance every {wait:?}. Last: {cause}",
                                self.spec.patience.most, self.spec.patience.within
                            ));
                            tracing::error!(
                                worker = name,
                                cause,
                                wait_ms = wait.as_millis(),
                                "{name} keeps ending; it is left alone for {wait:.1?}. Last: {cause}"
                            );
                            wait
                        }
                    }
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.cancel.cancelled() => return,
            }
        }
    }

    /// One run of the child, from its start to its end.
    async fn run_once(&self, program: &Path) -> End {
        let mut child = match self.spawn(program) {
            Ok(child) => child,
            Err(error) => {
                return End::Ended(format!("{} cannot be started: {error}", program.display()));
            }
        };
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return End::Ended(format!("the pipes of {} are missing", self.spec.name));
        };
        tracing::debug!(worker = self.spec.name, pid = child.id(), "started");
        let last_words = LastWords::default();
        // Ends by itself when the child's end of the pipe closes, at the latest with the child's
        // last descendant; aborted with the run, so that a descendant cannot hold it for ever.
        let mut errors = Reading(tokio::spawn(read_errors(
            stderr,
            self.spec.name.clone(),
            last_words.clone(),
        )));
        let end = self.watch(&mut child, stdout).await;
        let end = match end {
            RunEnd::Exited(status) => {
                // Its last line may still be in the pipe.
                let _ = tokio::time::timeout(Duration::from_millis(200), errors.finished()).await;
                End::Ended(last_words.explain(&self.spec.name, status))
            }
            RunEnd::Unfit(why) => {
                // It does not listen to being asked.
                if let Err(error) = child.kill().await {
                    tracing::warn!(worker = self.spec.name, %error, "a worker cannot be killed");
                }
                End::Ended(format!("{} was ended: {why}", self.spec.name))
            }
            RunEnd::NotReady(why) => {
                drop(stdin);
                self.stop(&mut child).await;
                End::Ended(why)
            }
            RunEnd::Cancelled => {
                drop(stdin);
                self.stop(&mut child).await;
                End::Cancelled
            }
        };
        drop(child);
        if let End::Ended(cause) = &end {
            self.slot.ended(cause);
            self.slot.said(&last_words.lines());
        }
        end
    }

    fn spawn(&self, program: &Path) -> std::io::Result<Child> {
        let handed_on = HANDED_ON
            .iter()
            .filter_map(|name| Some((*name, env::var_os(name)?)));
        Command::new(program)
            .args(&self.spec.args)
            .env_clear()
            .envs(handed_on)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A keyboard's Ctrl-C goes to the whole group; the daemon decides when the child stops.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }

    /// Publishes where the child listens and waits for the end.
    async fn watch(&self, child: &mut Child, stdout: ChildStdout) -> RunEnd {
        self.slot.is_fresh();
        let mut stdout = BufReader::new(stdout);
        let limit = self.spec.start_limit;
        let name = &self.spec.name;
        let url = tokio::select! {
            url = tokio::time::timeout(limit, read_url(&mut stdout)) => url,
            () = self.cancel.cancelled() => return RunEnd::Cancelled,
        };
        match url {
            Ok(Some(url)) => {
                self.slot.running();
                self.url.send_replace(Some(url));
            }
            // It closed its output: it is about to end, and its status says more. If it does not
            // end, it is of no use.
            Ok(None) => {
                return match tokio::time::timeout(limit, child.wait()).await {
                    Ok(status) => RunEnd::Exited(status),
                    Err(_) => RunEnd::NotReady(format!(
                        "{name} closed its output without saying where it listens"
                    )),
                };
            }
            Err(_) => {
                return RunEnd::NotReady(format!(
                    "{name} did not say within {limit:?} where it listens"
                ));
            }
        }
        // Its output is read on, or it would block once the pipe is full.
        let drain = async {
            while next_line(&mut stdout, LINE).await.is_some() {}
            std::future::pending().await
        };
        let pid = child.id();
        tokio::select! {
            status = child.wait() => RunEnd::Exited(status),
            end = drain => end,
            why = self.slot.restart_asked() => RunEnd::Unfit(why),
            why = self.unfit(pid) => RunEnd::Unfit(why),
            () = self.cancel.cancelled() => RunEnd::Cancelled,
        }
    }

    /// Until the child has more memory resident than it may, or was seen to be stopped twice in a row.
    async fn unfit(&self, pid: Option<u32>) -> String {
        let Some(pid) = pid else {
            return std::future::pending().await;
        };
        let mut stopped = false;
        loop {
            tokio::time::sleep(self.spec.look_at_it).await;
            let most = self.spec.memory.unwrap_or(u64::MAX);
            if let Some(bytes) = resident_bytes(pid).filter(|bytes| *bytes > most) {
                return format!("it took {bytes} bytes of memory, {most} are allowed");
            }
            let was_stopped = std::mem::replace(&mut stopped, is_stopped(pid));
            if stopped && was_stopped {
                return "something stopped it (SIGSTOP)".to_owned();
            }
        }
    }

    /// Waits for the child to end now that its standard input is closed, then kills it.
    async fn stop(&self, child: &mut Child) {
        if tokio::time::timeout(self.spec.stop_limit, child.wait())
            .await
            .is_err()
        {
            let name = &self.spec.name;
            tracing::warn!(
                worker = name,
                "{name} did not end when asked to; it is killed"
            );
            if let Err(error) = child.kill().await {
                tracing::warn!(worker = name, %error, "{name} cannot be killed: {error}");
            }
        }
    }
}

enum RunEnd {
    Exited(std::io::Result<ExitStatus>),
    NotReady(String),
    /// It runs and is of no use.
    Unfit(String),
    Cancelled,
}

/// Reads up to the line that says where the child listens. Only a loopback address and a path are
/// believed. None when the output ends before.
async fn read_url(stdout: &mut BufReader<ChildStdout>) -> Option<Url> {
    while let Some(line) = next_line(stdout, LINE).await {
        if let Some(url) = listening(&line) {
            return Some(url);
        }
    }
    None
}

fn listening(line: &str) -> Option<Url> {
    let url = Url::parse(line.strip_prefix("listening ")?.trim()).ok()?;
    if url.scheme() == "unix" {
        return (!url.has_host() && url.path().len() > 1).then_some(url);
    }
    let host: std::net::IpAddr = url.host_str()?.trim_matches(['[', ']']).parse().ok()?;
    (url.scheme() == "http" && host.is_loopback() && url.port().is_some()).then_some(url)
}

/// The last lines of standard error that were not empty.
#[derive(Debug, Clone, Default)]
struct LastWords(Arc<Mutex<VecDeque<String>>>);

impl LastWords {
    fn add(&self, line: &str) {
        if line.is_empty() {
            return;
        }
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LAST_WORDS {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }

    fn lines(&self) -> Vec<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().cloned().collect()
    }

    /// Why it ended, as far as can be told.
    fn explain(&self, name: &str, status: std::io::Result<ExitStatus>) -> String {
        let ended = match status {
            Ok(status) => format!("{name} ended ({status})"),
            Err(error) => format!("{name} cannot be watched: {error}"),
        };
        match self.lines().last() {
            Some(last) => format!("{ended}: {last}"),
            None => ended,
        }
    }
}

async fn read_errors(stderr: ChildStderr, name: String, last_words: LastWords) {
    let mut stderr = BufReader::new(stderr);
    while let Some(line) = next_line(&mut stderr, LINE).await {
        tracing::debug!(worker = name, "{line}");
        last_words.add(&line);
    }
}

/// A task that ends with its owner.
struct Reading(tokio::task::JoinHandle<()>);

impl Reading {
    /// Waits for its end. Whether it panicked is of no concern here: it only reads lines.
    async fn finished(&mut self) {
        let _ = (&mut self.0).await;
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::Component, health::Board};

    #[tokio::test]
    async fn a_wish_that_came_too_late_for_one_child_does_not_end_the_next() {
        let board = Board::new();
        let slot = board.slot(Component::Transcriber, "fake");
        slot.ask_for_restart("the one before gave no sign of life");
        // It says where it listens and, when that was heard, ends by itself.
        let folder = tempfile::tempdir().unwrap();
        let heard = folder.path().join("heard");
        let script = format!(
            "echo listening http://127.0.0.1:1; until [ -e '{}' ]; do sleep 0.01; done; \
             echo of its own accord >&2; exit 3",
            heard.display()
        );
        let spec = ChildSpec::new("sh", "GRIOT_TEST_NO_SUCH_VARIABLE").args(["-c", &script]);
        let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
        let mut changes = board.changes();
        let mut url = Supervisor::start(spec, slot, &tracker, cancel.clone());
        url.wait_for(Option::is_some).await.unwrap();
        std::fs::write(heard, "").unwrap();
        let error = loop {
            if let Some(error) = board.report().components[0].last_error.clone() {
                break error;
            }
            changes.changed().await.unwrap();
        };
        assert!(error.contains("of its own accord"), "{error}");
        cancel.cancel();
        tracker.close();
        tracker.wait().await;
    }
}
