//! The real daemon with an empty home, asked over HTTP, and watched through `/proc`.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A running daemon; it and its home go with this value.
pub struct Daemon {
    child: Child,
    pub asker: Asker,
    home: TempDir,
}

/// What asks it; cheap to clone.
#[derive(Clone)]
pub struct Asker {
    url: String,
    client: reqwest::Client,
}

/// A document's fate.
#[derive(Debug, Clone)]
pub struct Fate {
    pub status: String,
    /// Of a failed one.
    pub code: Option<String>,
    pub message: Option<String>,
}

impl Daemon {
    /// Starts it without a language model, with the weights in `models`.
    pub fn start(models: &Path) -> Self {
        let home = tempfile::tempdir().unwrap();
        let log = fs::File::create(home.path().join("log")).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_griot"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("GRIOT_HOME", home.path().join("home"))
            .env("XDG_CONFIG_HOME", home.path())
            .env("GRIOT__MODELS__DIR", models)
            .env("GRIOT__LLM__UPSTREAMS", "[]")
            .env("GRIOT__LOG__LEVEL", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the daemon starts");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("listening on ")?.to_owned()))
            .unwrap_or_else(|| panic!("{}", fs::read_to_string(home.path().join("log")).unwrap()));
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(120))
            .build()
            .unwrap();
        Self {
            child,
            asker: Asker { url, client },
            home,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }

    /// Memory of its own in bytes: resident, less the pages of mapped files (the index, the weights), which
    /// are the kernel's cache and given back whenever somebody needs them.
    pub fn memory(&self) -> u64 {
        let bytes = |name| status_bytes(&proc(self.pid()), name).unwrap_or(0);
        bytes("RssAnon") + bytes("RssShmem")
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> u64 {
        status_bytes(&proc(self.pid()), "VmRSS").unwrap_or(0)
    }

    /// The most it has been.
    pub fn resident_peak(&self) -> u64 {
        status_bytes(&proc(self.pid()), "VmHWM").unwrap_or(0)
    }

    /// Its readers at this moment: for each its process, address space at most so far in bytes, resident
    /// memory at most so far, and CPU seconds.
    pub fn readers(&self) -> Vec<(u32, u64, u64, f64)> {
        let children = fs::read_dir(proc(self.pid()).join("task"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        let pids: Vec<u32> = children
            .flat_map(|list| {
                list.split_whitespace()
                    .filter_map(|pid| pid.parse().ok())
                    .collect::<Vec<_>>()
            })
            .collect();
        pids.into_iter()
            .filter_map(|pid| {
                let folder = proc(pid);
                // Between its start and its confinement it is a copy of the daemon.
                let status = fs::read_to_string(folder.join("status")).ok()?;
                if !status.contains("Seccomp:\t2") {
                    return None;
                }
                Some((
                    pid,
                    status_bytes(&folder, "VmPeak")?,
                    status_bytes(&folder, "VmHWM")?,
                    cpu_seconds(&folder)?,
                ))
            })
            .collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Already gone is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn proc(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

fn status_bytes(process: &Path, key: &str) -> Option<u64> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix(key)?.strip_prefix(':'))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// User and system time; proc(5) counts them in ticks of 10 ms, fields 14 and 15.
fn cpu_seconds(process: &Path) -> Option<f64> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    let after_name = stat.rsplit_once(") ")?.1;
    let fields: Vec<&str> = after_name.split(' ').collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some((ticks(11)? + ticks(12)?) as f64 / 100.0)
}

impl Asker {
    /// Uploads a file, again when the daemon asks to wait. Gives its id.
    pub async fn upload(
        &self,
        name: &str,
        bytes: Vec<u8>,
        collection: &str,
    ) -> Result<String, String> {
        loop {
            let part = Part::bytes(bytes.clone()).file_name(name.to_owned());
            let form = Form::new()
                .text("collection", collection.to_owned())
                .part("file", part);
            let request = self
                .client
                .post(format!("{}/api/knowledge/upload", self.url))
                .multipart(form);
            let reply = request
                .send()
                .await
                .map_err(|e| format!("upload of {name}: {e}"))?;
            let status = reply.status().as_u16();
            let body: Value = reply
                .json()
                .await
                .map_err(|e| format!("upload of {name}: {e}"))?;
            match status {
                202 => return Ok(body["documents"][0]["id"].as_str().unwrap().to_owned()),
                503 | 429 => tokio::time::sleep(Duration::from_millis(500)).await,
                _ => return Err(format!("upload of {name}: {status} {body}")),
            }
        }
    }

    /// The fates of all documents there are.
    pub async fn fates(&self) -> Result<BTreeMap<String, Fate>, String> {
        let mut fates = BTreeMap::new();
        let mut cursor = String::new();
        loop {
            let page = self
                .get(&format!("/api/knowledge/documents?limit=500{cursor}"))
                .await?;
            for document in page["documents"].as_array().into_iter().flatten() {
                let text = |value: &Value| value.as_str().map(str::to_owned);
                let fate = Fate {
                    status: text(&document["status"]).unwrap(),
                    code: text(&document["error"]["code"]),
                    message: text(&document["error"]["message"]),
                };
                fates.insert(text(&document["id"]).unwrap(), fate);
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(fates),
            }
        }
    }

    pub async fn search(&self, words: &str) -> Result<Value, String> {
        let words = words.replace(' ', "%20");
        self.get(&format!("/api/rag/context?q={words}&top_k=5"))
            .await
    }

    pub async fn ask(&self, question: &str, collection: &str) -> Result<Value, String> {
        let request = self
            .client
            .post(format!("{}/api/rag/query", self.url))
            .json(&json!({ "question": question, "collection": collection }));
        json_of(request, "a question").await
    }

    pub async fn get(&self, path: &str) -> Result<Value, String> {
        json_of(self.client.get(format!("{}{path}", self.url)), path).await
    }

    pub async fn lives(&self) -> bool {
        let reply = self.client.get(format!("{}/livez", self.url)).send().await;
        reply.is_ok_and(|reply| reply.status().is_success())
    }
}

async fn json_of(request: reqwest::RequestBuilder, what: &str) -> Result<Value, String> {
    let reply = request.send().await.map_err(|e| format!("{what}: {e}"))?;
    let status = reply.status();
    let body = reply.text().await.map_err(|e| format!("{what}: {e}"))?;
    if !status.is_success() {
        return Err(format!("{what}: {status} {body}"));
    }
    serde_json::from_str(&body).map_err(|e| format!("{what}: {e}"))
}
