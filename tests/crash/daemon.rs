//! The daemon's own program as a child, asked over HTTP, and ended in all ways there are.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use reqwest::{
    StatusCode,
    multipart::{Form, Part},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{document::Made, model};

/// How long anything at all may take before the daemon counts as hanging.
pub const PATIENCE: Duration = Duration::from_secs(180);

const SIGKILL: i32 = 9;
/// Its number on Linux for x86-64 and AArch64 (signal(7)).
pub const SIGBUS: i32 = 7;

/// A home folder, the model beside it, and what the daemon said.
pub struct Home {
    _folder: tempfile::TempDir,
    pub path: PathBuf,
    models: PathBuf,
    pub log: PathBuf,
}

/// A test that fails shows what the daemon said.
impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the daemon said at last:\n{}", self.said());
        }
    }
}

impl Home {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        Self::at(folder, home)
    }

    /// With the home folder in a place that is there already.
    pub fn at(folder: tempfile::TempDir, home: PathBuf) -> Self {
        let models = folder.path().join("models");
        model::write(&models);
        Self {
            path: home,
            models,
            log: folder.path().join("log"),
            _folder: folder,
        }
    }

    /// Everything that daemons of this home wrote.
    pub fn log(&self) -> String {
        let all = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&all).into_owned()
    }

    /// The last of it.
    pub fn said(&self) -> String {
        let all = self.log();
        let lines: Vec<_> = all.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    fn command(&self, environment: &[(&str, &str)]) -> Command {
        let log = File::options().create(true).append(true).open(&self.log);
        let mut command = Command::new(env!("CARGO_BIN_EXE_griot"));
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env_clear()
            .env("GRIOT_HOME", &self.path)
            .env("XDG_CONFIG_HOME", self.models.join("none"))
            .env("GRIOT__MODELS__DIR", &self.models)
            .env("GRIOT__LLM__UPSTREAMS", "[]")
            .env("GRIOT__HEALTH__INTERVAL_S", "1")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.unwrap());
        command
    }

    /// Starts the daemon. `Err` with how it ended where it did before it listened.
    pub fn start(&self, environment: &[(&str, &str)]) -> Result<Daemon, ExitStatus> {
        let mut child = self.command(environment).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("listening on ")?.to_owned()));
        let Some(url) = url else {
            return Err(child.wait().unwrap());
        };
        Ok(Daemon {
            child,
            url,
            client: reqwest::Client::builder()
                .no_proxy()
                // A connection that the daemon closed while the test read files would be used once more.
                .pool_max_idle_per_host(0)
                .timeout(PATIENCE)
                .build()
                .unwrap(),
        })
    }

    /// [`Self::start`], where nothing stands in the way.
    pub fn run(&self, environment: &[(&str, &str)]) -> Daemon {
        self.start(environment)
            .unwrap_or_else(|ended| panic!("it did not start ({ended}):\n{}", self.said()))
    }

    /// How the program ends that cannot start, and what it says then.
    pub fn refused(&self, environment: &[(&str, &str)]) -> String {
        let before = self.log().len();
        match self.start(environment) {
            Ok(_) => panic!("it started"),
            Err(ended) => assert_eq!(ended.code(), Some(1), "{ended}:\n{}", self.said()),
        }
        self.log().split_off(before)
    }
}

/// A running daemon, killed with this value.
pub struct Daemon {
    child: Child,
    url: String,
    client: reqwest::Client,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What came of a request: an answer, or no answer because the daemon died.
pub type Reply = Result<(StatusCode, Value), reqwest::Error>;

/// A client of a daemon. Clones ask the same one.
#[derive(Clone)]
pub struct Client {
    url: String,
    client: reqwest::Client,
}

impl Daemon {
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn client(&self) -> Client {
        Client {
            url: self.url.clone(),
            client: self.client.clone(),
        }
    }

    pub fn kill(mut self) {
        self.kill_now();
    }

    pub fn kill_now(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Whether it has died, of SIGKILL alone: anything else is a crash.
    pub fn is_dead(&mut self) -> bool {
        match self.child.try_wait().unwrap() {
            None => false,
            Some(status) if status.signal() == Some(SIGKILL) => true,
            Some(status) => panic!("the daemon ended by itself: {status}"),
        }
    }

    /// Whether this signal has ended it.
    pub fn died_of(&mut self, signal: i32) -> bool {
        let status = self.child.try_wait().unwrap();
        status.is_some_and(|status| {
            assert_eq!(status.signal(), Some(signal), "the daemon ended: {status}");
            true
        })
    }

    /// Whether it has ended, however.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Stops it as a service manager does, and waits for that.
    pub fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "it did not stop in order: {status}");
                return;
            }
            assert!(began.elapsed() < PATIENCE, "it does not stop");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Client {
    async fn reply(&self, request: reqwest::RequestBuilder) -> Reply {
        let answer = request.send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        // What is not JSON (a text, an original) is of no interest here but for being there.
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Ok((status, body))
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.reply(self.client.get(format!("{}{path}", self.url)))
            .await
    }

    pub async fn bytes(&self, path: &str) -> Result<(StatusCode, Vec<u8>), reqwest::Error> {
        let answer = self
            .client
            .get(format!("{}{path}", self.url))
            .send()
            .await?;
        Ok((answer.status(), answer.bytes().await?.to_vec()))
    }

    pub async fn upload(&self, files: &[&Made], collection: &str) -> Reply {
        let mut form = Form::new();
        for file in files {
            let part = Part::bytes(file.bytes.clone()).file_name(file.name.clone());
            form = form.part("file", part);
        }
        // After the files, as the form allows.
        let names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
        form = form
            .text("collection", collection.to_owned())
            .text("metadata", json!({ "sent_with": names }).to_string());
        let request = self
            .client
            .post(format!("{}/api/knowledge/upload", self.url));
        self.reply(request.multipart(form)).await
    }

    pub async fn delete(&self, id: &str) -> Reply {
        let path = format!("{}/api/knowledge/documents/{id}", self.url);
        self.reply(self.client.delete(path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        let request = self.client.post(format!("{}{path}", self.url));
        self.reply(request.json(body)).await
    }

    pub async fn process(&self, id: &str) -> Reply {
        self.post("/api/knowledge/process", &json!({ "id": id }))
            .await
    }

    /// An answer to a question.
    pub async fn ask(&self, question: &str) -> Reply {
        self.post("/api/rag/query", &json!({ "question": question }))
            .await
    }

    /// Passages for some words.
    pub async fn search(&self, words: &str) -> Reply {
        self.get(&format!("/api/rag/context?q={words}&top_k=20"))
            .await
    }

    /// Every document there is.
    pub async fn documents(&self) -> Result<Vec<Value>, reqwest::Error> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let (status, page) = self
                .get(&format!("/api/knowledge/documents?limit=500{cursor}"))
                .await?;
            assert_eq!(status, StatusCode::OK, "{page}");
            all.extend(page["documents"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(all),
            }
        }
    }

    /// Waits until a document is searchable or failed; what its status is then.
    pub async fn wait(&self, id: &str) -> Value {
        let began = Instant::now();
        loop {
            let (_, status) = self
                .get(&format!("/api/knowledge/status/{id}"))
                .await
                .unwrap();
            if matches!(status["status"].as_str(), Some("searchable" | "failed")) {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "it does not end: {status}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Polls until it is so.
pub async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !done().await {
        assert!(began.elapsed() < PATIENCE, "it does not come to be: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The folders and files right inside a folder.
pub fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .map(|entries| {
            entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect()
        })
        .unwrap_or_default();
    names.sort();
    names
}
