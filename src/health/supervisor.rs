//! A child process that is kept running: started, watched, restarted, and stopped with the daemon.
//!
//! The child says on its standard output, in a line of its own, where it listens:
//! `listening http://127.0.0.1:PORT`, or `listening unix:///PATH`. It holds the reading end of a pipe as standard input and ends
//! when that closes, so it never outlives the daemon, however the daemon ends. Its environment is
//! reduced to what programs need to run; keys of the daemon are not in it. What it writes to standard
//! error goes to the log at debug level, and its last line is named as the cause when it ends.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
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

use super::{
    board::Slot,
    jitter,
    lines::next_line,
    restarts::{Next, Patience, Restarts},
};

/// Longest line of a child's output that is kept, in bytes.
const LINE: usize = 500;

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

/// A file that the child cannot do without.
#[derive(Debug, Clone)]
struct Needed {
    path: PathBuf,
    otherwise: String,
}

/// What to start, and how.
#[derive(Debug, Clone)]
pub struct ChildSpec {
    name: String,
    /// Where to look first; else beside this program, else in `PATH`.
    path_variable: String,
    /// Where it is, when that is known.
    path: Option<PathBuf>,
    args: Vec<OsString>,
    needs: Vec<Needed>,
    patience: Patience,
    start_limit: Duration,
    stop_limit: Duration,
    look_again: Duration,
    optional: bool,
}

impl ChildSpec {
    /// The program `name`, looked for at the path in the environment variable `path_variable`, then
    /// beside this program, then in `PATH`.
    pub fn new(name: impl Into<String>, path_variable: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            path_variable: path_variable.into(),
            path: None,
            args: Vec::new(),
            needs: Vec::new(),
            patience: Patience::default(),
            start_limit: Duration::from_secs(20),
            stop_limit: Duration::from_secs(3),
            look_again: Duration::from_secs(10),
            optional: false,
        }
    }

    /// The program at this path, looked for nowhere else.
    #[must_use]
    pub fn at(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Its arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// A file without which it is not started; `otherwise` says to a person what to do about it. The
    /// file is looked for again and again, so a download while the daemon runs is enough.
    #[must_use]
    pub fn needs(mut self, path: impl Into<PathBuf>, otherwise: impl Into<String>) -> Self {
        self.needs.push(Needed {
            path: path.into(),
            otherwise: otherwise.into(),
        });
        self
    }

    /// When it is started again after it ended.
    #[must_use]
    pub fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// How long it may take to say where it listens (20 s unless said otherwise).
    #[must_use]
    pub fn start_limit(mut self, limit: Duration) -> Self {
        self.start_limit = limit;
        self
    }

    /// How long it may take to end after its standard input closed, before it is killed (3 s).
    #[must_use]
    pub fn stop_limit(mut self, limit: Duration) -> Self {
        self.stop_limit = limit;
        self
    }

    /// How often missing files are looked for (10 s).
    #[must_use]
    pub fn look_again(mut self, every: Duration) -> Self {
        self.look_again = every;
        self
    }

    /// What it needs may be missing without anybody minding: the board then shows it as off.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The program's path and that of every needed file checked, or what to do about what is missing.
    fn program(&self) -> Result<PathBuf, String> {
        let program = match &self.path {
            Some(path) if path.is_file() => path.clone(),
            Some(path) => return Err(format!("the program {} is missing", path.display())),
            None => find_program(&self.name, &self.path_variable)?,
        };
        match self.needs.iter().find(|needed| !needed.path.is_file()) {
            Some(needed) => Err(format!(
                "{} is missing; {}",
                needed.path.display(),
                needed.otherwise
            )),
            None => Ok(program),
        }
    }
}

/// Finds a program as [`ChildSpec::new`] says.
///
/// # Errors
/// What was looked for and where, for the person who reads it.
pub fn find_program(name: &str, path_variable: &str) -> Result<PathBuf, String> {
    if let Some(path) = env::var_os(path_variable).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(format!(
                "{path_variable} names {}, which is not a file",
                path.display()
            ))
        };
    }
    let beside = env::current_exe()
        .ok()
        .and_then(|exe| exe.parent().map(Path::to_owned));
    let in_path = env::var_os("PATH").unwrap_or_default();
    beside
        .into_iter()
        .chain(env::split_paths(&in_path))
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            format!(
                "the program {name} was found neither beside griot nor in PATH; install it there \
                 or name it in {path_variable}"
            )
        })
}

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
        tokio::select! {
            status = child.wait() => RunEnd::Exited(status),
            end = drain => end,
            () = self.cancel.cancelled() => RunEnd::Cancelled,
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
    Cancelled,
}

/// Reads up to the line that says where the child listens. Only a loopback address and a path are believed. None
/// when the output ends before.
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

/// The last line of standard error that was not empty.
#[derive(Debug, Clone, Default)]
struct LastWords(Arc<Mutex<String>>);

impl LastWords {
    fn set(&self, line: &str) {
        if !line.is_empty() {
            line.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Why it ended, as far as can be told.
    fn explain(&self, name: &str, status: std::io::Result<ExitStatus>) -> String {
        let ended = match status {
            Ok(status) => format!("{name} ended ({status})"),
            Err(error) => format!("{name} cannot be watched: {error}"),
        };
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_empty() {
            ended
        } else {
            format!("{ended}: {last}")
        }
    }
}

async fn read_errors(stderr: ChildStderr, name: String, last_words: LastWords) {
    let mut stderr = BufReader::new(stderr);
    while let Some(line) = next_line(&mut stderr, LINE).await {
        tracing::debug!(worker = name, "{line}");
        last_words.set(&line);
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
