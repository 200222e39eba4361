//! The real daemon, started on a free port with an empty home of its own and asked over HTTP, as any
//! client would.

use std::{
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use griot::domain::{Answer, Document, DocumentId, Status};
use reqwest::multipart::{Form, Part};
use serde::Deserialize;
use serde_json::json;

use super::machine;

/// Why the daemon could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error("{} could not be started: {source}", program.display())]
    NotStarted { program: PathBuf, source: io::Error },
    #[error("the daemon ended before it listened; its log is {}", .0.display())]
    Ended(PathBuf),
    #[error("the daemon could not be asked: {0}")]
    Http(#[from] reqwest::Error),
    #[error("the daemon refused {what}: {status} {detail}")]
    Refused {
        what: String,
        status: u16,
        detail: String,
    },
    #[error("{name} is not searchable: {reason}")]
    NotSearchable { name: String, reason: String },
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A running daemon. Dropping it stops it and removes its home.
pub struct Daemon {
    child: Child,
    url: String,
    client: reqwest::Client,
    /// Where it is its own.
    home: Option<tempfile::TempDir>,
}

/// A file to upload.
pub struct File {
    pub name: String,
    pub bytes: Vec<u8>,
}

#[derive(Deserialize)]
struct Uploaded {
    documents: Vec<UploadedDocument>,
}

#[derive(Deserialize)]
struct UploadedDocument {
    id: DocumentId,
}

impl Daemon {
    /// Starts the daemon with these settings (`GRIOT__SECTION__KEY` and value) over the defaults. Its
    /// log goes to `log`.
    pub fn start(
        models: Option<&Path>,
        settings: &[(&str, String)],
        log: &Path,
    ) -> Result<Self, DaemonError> {
        let home = tempfile::tempdir()?;
        let mut daemon = Self::start_in(home.path(), models, settings, log)?;
        daemon.home = Some(home);
        Ok(daemon)
    }

    /// [`Self::start`] in a home that is there already, and stays.
    pub fn start_in(
        home: &Path,
        models: Option<&Path>,
        settings: &[(&str, String)],
        log: &Path,
    ) -> Result<Self, DaemonError> {
        let program = Path::new(env!("CARGO_BIN_EXE_griot"));
        let mut command = Command::new(program);
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("GRIOT_HOME", home)
            .env("XDG_CONFIG_HOME", home)
            .envs(settings.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(log)?);
        if let Some(models) = models {
            command.env("GRIOT__MODELS__DIR", models);
        }
        let mut child = command.spawn().map_err(|source| DaemonError::NotStarted {
            program: program.to_owned(),
            source,
        })?;
        let output = child.stdout.take().expect("standard output is piped");
        let said = BufReader::new(output).lines().map_while(Result::ok);
        let mut addresses = said.filter_map(|line| {
            let (_, address) = line.split_once("http://")?;
            Some(format!("http://{}", address.trim().trim_end_matches('/')))
        });
        let Some(url) = addresses.next() else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(DaemonError::Ended(log.to_owned()));
        };
        // The rest is read and thrown away, so that the daemon never waits for a full pipe.
        std::thread::spawn(move || addresses.for_each(drop));
        Ok(Self {
            child,
            url,
            client: reqwest::Client::new(),
            home: None,
        })
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Whether it says that it takes questions.
    pub async fn is_ready(&self) -> Result<bool, DaemonError> {
        let answer = self.client.get(self.at("/readyz")).send().await?;
        Ok(answer.status().is_success())
    }

    /// The daemon's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The language model's worker, while it runs.
    pub fn worker(&self) -> Option<u32> {
        machine::children_named(self.pid(), "griot-llm")
            .first()
            .copied()
    }

    /// Processor seconds so far of the daemon and of the language model's worker.
    pub fn cpu_seconds(&self) -> (f64, f64) {
        let of = |pid| machine::cpu_seconds(pid).unwrap_or_default();
        (of(self.pid()), self.worker().map(of).unwrap_or_default())
    }

    /// Uploads files to a collection, in requests of a few files.
    pub async fn upload(
        &self,
        files: Vec<File>,
        collection: &str,
    ) -> Result<Vec<DocumentId>, DaemonError> {
        const PER_REQUEST: usize = 50;
        let mut ids = Vec::with_capacity(files.len());
        let mut files = files.into_iter().peekable();
        while files.peek().is_some() {
            let mut form = Form::new().text("collection", collection.to_owned());
            for file in files.by_ref().take(PER_REQUEST) {
                form = form.part("file", Part::bytes(file.bytes).file_name(file.name));
            }
            let request = self
                .client
                .post(self.at("/api/knowledge/upload"))
                .multipart(form);
            let reply = accepted(request.send().await?, "an upload").await?;
            let uploaded: Uploaded = reply.json().await?;
            ids.extend(uploaded.documents.into_iter().map(|document| document.id));
        }
        Ok(ids)
    }

    /// Waits until each of these is searchable.
    pub async fn wait(&self, ids: &[DocumentId]) -> Result<(), DaemonError> {
        for id in ids {
            loop {
                let request = self
                    .client
                    .get(self.at(&format!("/api/knowledge/status/{id}")));
                let document: Document = accepted(request.send().await?, "a status")
                    .await?
                    .json()
                    .await?;
                match document.status {
                    Status::Searchable => break,
                    Status::Failed => {
                        return Err(DaemonError::NotSearchable {
                            name: document.name,
                            reason: document
                                .error
                                .map_or_else(String::new, |error| error.message),
                        });
                    }
                    Status::Queued | Status::Processing => {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                }
            }
        }
        Ok(())
    }

    /// Asks a question and waits for the whole answer.
    pub async fn ask(&self, question: &str, collection: &str) -> Result<Answer, DaemonError> {
        let body = json!({ "question": question, "collection": collection });
        let request = self.client.post(self.at("/api/rag/query")).json(&body);
        Ok(accepted(request.send().await?, "a question")
            .await?
            .json()
            .await?)
    }

    /// A text in the daemon's own voice, as a WAV file.
    pub async fn speak(&self, text: &str) -> Result<Vec<u8>, DaemonError> {
        let body = json!({ "input": text, "response_format": "wav" });
        let request = self.client.post(self.at("/v1/audio/speech")).json(&body);
        let reply = accepted(request.send().await?, "to speak").await?;
        Ok(reply.bytes().await?.to_vec())
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Bytes of a document's stored text.
    pub async fn text(&self, id: DocumentId, start: u64, end: u64) -> Result<Vec<u8>, DaemonError> {
        let path = format!("/api/knowledge/documents/{id}/text?start={start}&end={end}");
        let reply = accepted(self.client.get(self.at(&path)).send().await?, "a text").await?;
        Ok(reply.bytes().await?.to_vec())
    }

    /// What stands at a path, as JSON.
    pub async fn json(&self, path: &str) -> Result<serde_json::Value, DaemonError> {
        let reply = self.client.get(self.at(path)).send().await?;
        Ok(accepted(reply, path).await?.json().await?)
    }

    /// What stands at a path, as text.
    pub async fn page(&self, path: &str) -> Result<String, DaemonError> {
        let reply = self.client.get(self.at(path)).send().await?;
        Ok(accepted(reply, path).await?.text().await?)
    }

    /// What it says aloud (WAV).
    pub async fn say(&self, text: &str) -> Result<Vec<u8>, DaemonError> {
        let body = json!({ "input": text, "model": "tts-1", "voice": "alloy" });
        let request = self.client.post(self.at("/v1/audio/speech")).json(&body);
        let reply = accepted(request.send().await?, "a speech").await?;
        Ok(reply.bytes().await?.to_vec())
    }

    /// What it hears in a recording.
    pub async fn transcribe(&self, wav: Vec<u8>) -> Result<String, DaemonError> {
        let form = Form::new().part("file", Part::bytes(wav).file_name("said.wav"));
        let request = self
            .client
            .post(self.at("/api/voice/transcribe"))
            .multipart(form);
        let reply = accepted(request.send().await?, "a recording").await?;
        let heard: serde_json::Value = reply.json().await?;
        Ok(heard["text"].as_str().unwrap_or_default().to_owned())
    }

    /// Whether it says that it is alive.
    pub async fn lives(&self) -> Result<(), DaemonError> {
        accepted(self.client.get(self.at("/livez")).send().await?, "a look").await?;
        Ok(())
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Politely, so that it takes its worker along; then not.
        let pid = rustix::process::Pid::from_child(&self.child);
        let asked = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        for _ in 0..150 {
            if asked.is_err() || !matches!(self.child.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn accepted(reply: reqwest::Response, what: &str) -> Result<reqwest::Response, DaemonError> {
    let status = reply.status();
    if status.is_success() {
        return Ok(reply);
    }
    Err(DaemonError::Refused {
        what: what.to_owned(),
        status: status.as_u16(),
        detail: reply.text().await.unwrap_or_default(),
    })
}
