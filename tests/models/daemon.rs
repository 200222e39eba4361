//! The daemon's own program in a home of its own, and a client for it.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

/// Between two looks at a document that is in work.
const LOOK: Duration = Duration::from_millis(50);

/// A running daemon, killed with the test.
pub struct Daemon {
    child: Child,
    url: String,
    /// Where it listens for Wyoming clients; empty where it does not.
    wyoming: String,
    client: reqwest::Client,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Already gone is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Daemon {
    /// Starts it; `settings` are more variables of its environment.
    pub fn start(home: &Path, models: &Path, settings: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_griot"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("GRIOT_HOME", home)
            .env("XDG_CONFIG_HOME", home)
            .env("GRIOT__MODELS__DIR", models)
            // The tests of this tier may share their two cores with others.
            .env("GRIOT__LLM__FIRST_TOKEN_TIMEOUT_S", "600")
            .env("GRIOT__LLM__TOKEN_TIMEOUT_S", "120")
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the daemon starts");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("listening on ")?.to_owned()))
            .expect("it says where it listens");
        let wyoming = match settings
            .iter()
            .any(|(key, _)| *key == "GRIOT__WYOMING__LISTEN")
        {
            true => lines
                .next()
                .and_then(Result::ok)
                .and_then(|line| Some(line.split_once("clients on ")?.1.to_owned()))
                .expect("it says where it listens for Wyoming clients"),
            false => String::new(),
        };
        Self {
            child,
            url,
            wyoming,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens for Wyoming clients.
    pub fn wyoming(&self) -> &str {
        &self.wyoming
    }

    /// Returns when nothing is starting any more.
    pub async fn ready(&self) {
        while !self.get("/readyz").await.status().is_success() {
            tokio::time::sleep(LOOK).await;
        }
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        self.client
            .get(format!("{}{path}", self.url))
            .send()
            .await
            .unwrap()
    }

    pub async fn post(&self, path: &str, body: &Value) -> reqwest::Response {
        let request = self.client.post(format!("{}{path}", self.url));
        request.json(body).send().await.unwrap()
    }

    pub async fn delete(&self, path: &str) -> reqwest::Response {
        let request = self.client.delete(format!("{}{path}", self.url));
        request.send().await.unwrap()
    }

    pub async fn ask(&self, question: &str) -> Value {
        let request = self.client.post(format!("{}/api/rag/query", self.url));
        request
            .json(&json!({ "question": question }))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    /// Takes a document in and gives its status when it is searchable or failed.
    pub async fn take_in(&self, path: &Path) -> Value {
        let id = self.upload(path).await;
        self.ended(&id).await
    }

    /// Uploads a file; gives the document's id.
    pub async fn upload(&self, path: &Path) -> String {
        let part = reqwest::multipart::Part::bytes(std::fs::read(path).unwrap())
            .file_name(path.file_name().unwrap().to_string_lossy().into_owned());
        let form = reqwest::multipart::Form::new().part("file", part);
        let upload = self
            .client
            .post(format!("{}/api/knowledge/upload", self.url))
            .multipart(form);
        let accepted: Value = upload.send().await.unwrap().json().await.unwrap();
        let id = accepted["documents"][0]["id"].as_str();
        id.unwrap_or_else(|| panic!("{} was not accepted: {accepted}", path.display()))
            .to_owned()
    }

    /// The document's status when it is searchable or failed.
    pub async fn ended(&self, id: &str) -> Value {
        loop {
            let status = self.get(&format!("/api/knowledge/status/{id}")).await;
            let status: Value = status.json().await.unwrap();
            if ["searchable", "failed"]
                .map(Value::from)
                .contains(&status["status"])
            {
                return status;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether the stored bytes at a citation's place are its quotation.
    pub async fn proves(&self, citation: &Value) -> bool {
        let place = format!(
            "/api/knowledge/documents/{}/text?start={}&end={}",
            citation["document_id"].as_str().unwrap(),
            citation["start"],
            citation["end"]
        );
        let stored = self.get(&place).await.bytes().await.unwrap();
        let quote = citation["quote"].as_str().unwrap();
        !quote.is_empty() && stored == quote.as_bytes()
    }
}
