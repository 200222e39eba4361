//! A real answer: the daemon's own program, the sample documents, the real models, over HTTP.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

/// The daemon, killed with the test.
struct Daemon {
    child: Child,
    url: String,
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
    fn start(home: &std::path::Path, models: &std::path::Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_griot"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("GRIOT_HOME", home)
            .env("XDG_CONFIG_HOME", home)
            .env("GRIOT__MODELS__DIR", models)
            // The tests of this tier may share their two cores with others.
            .env("GRIOT__LLM__FIRST_TOKEN_TIMEOUT_S", "600")
            .env("GRIOT__LLM__TOKEN_TIMEOUT_S", "120")
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
        Self {
            child,
            url,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        self.client
            .get(format!("{}{path}", self.url))
            .send()
            .await
            .unwrap()
    }

    async fn ask(&self, question: &str) -> Value {
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

    /// Takes a document in and returns when it is searchable.
    async fn take_in(&self, path: &std::path::Path) {
        let part = reqwest::multipart::Part::bytes(std::fs::read(path).unwrap())
            .file_name(path.file_name().unwrap().to_string_lossy().into_owned());
        let form = reqwest::multipart::Form::new().part("file", part);
        let upload = self
            .client
            .post(format!("{}/api/knowledge/upload", self.url))
            .multipart(form);
        let accepted: Value = upload.send().await.unwrap().json().await.unwrap();
        let id = accepted["documents"][0]["id"]
            .as_str()
            .expect("it was accepted")
            .to_owned();
        loop {
            let status: Value = self
                .get(&format!("/api/knowledge/status/{id}"))
                .await
                .json()
                .await
                .unwrap();
            match status["status"].as_str() {
                Some("searchable") => return,
                Some("failed") => panic!("{status}"),
                _ => tokio::task::yield_now().await,
            }
        }
    }
}

#[tokio::test]
async fn the_sample_documents_answer_with_proven_quotations() {
    let names = ["qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"];
    let (Some(model), Some(_), Some(_)) = (
        super::weights(&names),
        super::weights(&["minilm-l6/model.onnx"]),
        super::program("griot-llm", "GRIOT_LLM_BIN"),
    ) else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(home.path(), model.parent().unwrap());
    let documents = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data/documents");
    for entry in std::fs::read_dir(documents).unwrap() {
        daemon.take_in(&entry.unwrap().path()).await;
    }

    let answer = daemon.ask("When is rent payable?").await;
    assert_eq!(answer["supported"], true, "{answer}");
    assert_eq!(answer["degraded"], json!([]), "{answer}");
    assert!(
        answer["answer"].as_str().unwrap().contains("first day"),
        "{answer}"
    );
    let citation = &answer["citations"][0];
    assert_eq!(citation["document"], "lease-agreement.pdf");
    assert_eq!(citation["page"], 1);
    let stored = format!(
        "/api/knowledge/documents/{}/text?start={}&end={}",
        citation["document_id"].as_str().unwrap(),
        citation["start"],
        citation["end"]
    );
    let bytes = daemon.get(&stored).await.bytes().await.unwrap();
    assert_eq!(bytes, citation["quote"].as_str().unwrap().as_bytes());

    let answer = daemon.ask("Who won the football world cup in 1990?").await;
    assert_eq!(answer["supported"], false, "{answer}");
    assert_eq!(answer["citations"], json!([]), "{answer}");
    assert_eq!(answer["answer"], "This is not in your documents.");
}
