//! Delete means gone, and folders that are watched: the daemon's own program with its own stores and the
//! real embedder. Every byte of the home folder is looked at, and everything the daemon said.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use reqwest::multipart;
use serde_json::{Value, json};

/// A daemon without a language model. Its log goes to a file.
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

struct World {
    folder: tempfile::TempDir,
    models: PathBuf,
}

impl World {
    /// `None`, and a printed reason, where the embedder's weights are missing.
    fn new() -> Option<Self> {
        let model = super::weights(&["minilm-l6/model.onnx"])?;
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("papers")).unwrap();
        Some(Self {
            folder,
            models: model.parent().unwrap().parent().unwrap().to_owned(),
        })
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn papers(&self) -> PathBuf {
        self.folder.path().join("papers").canonicalize().unwrap()
    }

    fn start(&self) -> Daemon {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_griot"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("GRIOT_HOME", self.home())
            .env("XDG_CONFIG_HOME", self.folder.path())
            .env("GRIOT__MODELS__DIR", &self.models)
            .env("GRIOT__LLM__UPSTREAMS", "[]")
            .env("GRIOT__LOG__LEVEL", "debug")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the daemon starts");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let url = lines
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("listening on ")?.to_owned()))
            .expect("it says where it listens");
        Daemon {
            child,
            url,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// The files of the home folder, and the log, that hold a word in any way in which text is written:
    /// large and small letters, UTF-8 and both forms of UTF-16.
    fn files_with(&self, word: &str) -> Vec<PathBuf> {
        let small = word.to_ascii_lowercase();
        let wide = |first: bool| -> Vec<u8> {
            let pair = |byte| if first { [0, byte] } else { [byte, 0] };
            small.bytes().flat_map(pair).collect()
        };
        let needles = [small.clone().into_bytes(), wide(true), wide(false)];
        let mut found = Vec::new();
        let mut folders = vec![self.home()];
        let mut files = vec![self.folder.path().join("log")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push(path);
                }
            }
        }
        for path in files {
            // A file may go while it is looked for.
            let Ok(mut bytes) = fs::read(&path) else {
                continue;
            };
            bytes.make_ascii_lowercase();
            let holds = |needle: &Vec<u8>| bytes.windows(needle.len()).any(|w| w == needle);
            let named = path.to_string_lossy().to_ascii_lowercase().contains(&small);
            if named || needles.iter().any(holds) {
                found.push(path);
            }
        }
        found
    }
}

impl Daemon {
    async fn get(&self, path: &str) -> Value {
        let request = self.client.get(format!("{}{path}", self.url));
        request.send().await.unwrap().json().await.unwrap()
    }

    async fn delete(&self, id: &str) -> Value {
        let url = format!("{}/api/knowledge/documents/{id}", self.url);
        let response = self.client.delete(url).send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        response.json().await.unwrap()
    }

    async fn searchable(&self, id: &str) -> Value {
        loop {
            let status = self.get(&format!("/api/knowledge/status/{id}")).await;
            match status["status"].as_str() {
                Some("searchable") => return status,
                Some("failed") => panic!("{status}"),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    async fn take_in(&self, name: &str, text: &str) -> String {
        let part = multipart::Part::bytes(text.as_bytes().to_vec()).file_name(name.to_owned());
        let form = multipart::Form::new()
            .text("metadata", json!({ "about": name }).to_string())
            .part("file", part);
        let request = self
            .client
            .post(format!("{}/api/knowledge/upload", self.url))
            .multipart(form);
        let reply: Value = request.send().await.unwrap().json().await.unwrap();
        let id = reply["documents"][0]["id"].as_str().unwrap().to_owned();
        self.searchable(&id).await;
        id
    }

    async fn ask(&self, question: &str) -> Value {
        let request = self.client.post(format!("{}/api/rag/query", self.url));
        let request = request.json(&json!({ "question": question }));
        request.send().await.unwrap().json().await.unwrap()
    }

    /// The texts of passages found.
    async fn passages(&self, words: &str) -> String {
        let reply = self.get(&format!("/api/rag/context/{words}")).await;
        reply["passages"].to_string()
    }

    fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap();
    }
}

/// A text of several passages around a word.
fn text_of(word: &str) -> String {
    (0..60)
        .map(|i| {
            format!(
                "Paragraph {i}. The expedition to {word} set out in spring, and the {word}ings of \
                 that year number {i} were written down by hand.\n\n"
            )
        })
        .collect()
}

#[tokio::test]
async fn no_byte_of_a_deleted_document_is_left() {
    let Some(world) = World::new() else { return };
    let daemon = world.start();
    let kept = daemon.take_in("kept.txt", &text_of("Lisbon")).await;
    let gone = daemon.take_in("Zyxqquarn.txt", &text_of("Zyxqquarn")).await;
    let other = daemon.take_in("other.txt", &text_of("Tromso")).await;
    // A second revision, and an answer that quotes it.
    let again = daemon
        .client
        .post(format!("{}/api/knowledge/process", daemon.url))
        .json(&json!({ "id": gone }));
    again.send().await.unwrap();
    loop {
        if daemon.searchable(&gone).await["revision"] == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let answer = daemon
        .ask("When did the expedition to Zyxqquarn set out?")
        .await;
    let evidence = answer["evidence"].to_string();
    assert!(evidence.contains("Zyxqquarn"), "{answer}");
    // The turn is recorded after the answer was given.
    while world.files_with("When did the expedition").is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = world.files_with("zyxqquarn");
    assert!(before.len() >= 2, "the test looks where it is: {before:?}");

    let receipt = daemon.delete(&gone).await;
    let at_once = world.files_with("zyxqquarn");
    assert_eq!(world.files_with("when did the expedition"), at_once);
    assert_eq!(receipt["pending"], json!([]), "{receipt}");
    assert_eq!(receipt["sweeping"], json!(["vector_store"]), "{receipt}");
    assert_eq!(at_once, Vec::<PathBuf>::new(), "when the receipt came");
    assert_eq!(receipt["name"], "Zyxqquarn.txt");
    assert_eq!(receipt["original_removed"], true);
    assert_eq!(receipt["original_bytes"], text_of("Zyxqquarn").len());
    for (what, least) in [
        ("chunks", 5),
        ("points", 5),
        ("text_bytes", 5000),
        ("turns", 1),
    ] {
        assert!(receipt[what].as_u64().unwrap() >= least, "{receipt}");
    }
    // The index's files are written anew in a quiet moment.
    let mark = world.home().join("index/deleted");
    while mark.exists() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(world.files_with("zyxqquarn"), Vec::<PathBuf>::new());
    assert_eq!(
        world.files_with(&gone[4..]),
        Vec::<PathBuf>::new(),
        "its id"
    );
    assert!(!daemon.passages("Zyxqquarn").await.contains("Zyxqquarn"));
    for (word, id) in [("Lisbon", kept), ("Tromso", other)] {
        let passages = daemon.passages(word).await;
        assert!(
            passages.contains(word) && passages.contains(&id),
            "{passages}"
        );
    }
    daemon.stop();
}

#[tokio::test]
async fn a_delete_while_the_store_is_down_is_finished_after_a_restart() {
    let Some(world) = World::new() else { return };
    let daemon = world.start();
    let kept = daemon.take_in("kept.txt", &text_of("Lisbon")).await;
    let gone = daemon.take_in("gone.txt", &text_of("Zyxqquarn")).await;
    daemon.stop();

    // Somebody else has the index open.
    let lock = File::options()
        .write(true)
        .open(world.home().join("index/lock"))
        .unwrap();
    lock.try_lock().unwrap();
    let daemon = world.start();
    let receipt = daemon.delete(&gone).await;
    assert_eq!(receipt["pending"], json!(["vector_store"]), "{receipt}");
    assert_eq!(receipt["points"], 0);
    assert_eq!(world.files_with("zyxqquarn"), Vec::<PathBuf>::new());
    drop(daemon);

    drop(lock);
    let daemon = world.start();
    let index = world.home().join("index");
    // First marked, then written anew: the id stands in the points.
    while !world.files_with(&gone[4..]).is_empty() || index.join("deleted").exists() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let passages = daemon.passages("Lisbon").await;
    assert!(passages.contains(&kept), "{passages}");
    daemon.stop();
    count_points(&index, &kept, &gone).await;
}

/// Looks into the index itself.
async fn count_points(index: &Path, kept: &str, gone: &str) {
    use griot::{
        adapters::edge::EdgeStore,
        domain::EmbedderIdentity,
        ports::{Filter, VectorStore},
    };
    let identity: Value =
        serde_json::from_slice(&fs::read(index.join("identity.json")).unwrap()).unwrap();
    let store = EdgeStore::new(index.to_owned());
    let identity = EmbedderIdentity {
        model: identity["model"].as_str().unwrap().to_owned(),
        dimension: identity["dimension"].as_u64().unwrap() as usize,
        max_tokens: 256,
    };
    store.open(&identity).await.unwrap();
    let count = async |id: &str| {
        let filter = Filter {
            document: Some(id.parse().unwrap()),
            collection: None,
        };
        store.count(filter).await.unwrap()
    };
    assert!(count(kept).await > 0);
    assert_eq!(count(gone).await, 0);
}

/// Runs a command of the same home.
fn griot(world: &World, daemon: &Daemon, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_griot"))
        .args(arguments)
        .args(["--url", &daemon.url])
        .env("GRIOT_HOME", world.home())
        .env("XDG_CONFIG_HOME", world.folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}{errors}");
    text
}

#[tokio::test]
async fn a_watched_folder_through_the_command_line() {
    let Some(world) = World::new() else { return };
    let daemon = world.start();
    let papers = world.papers();
    fs::write(
        papers.join("lease.txt"),
        "Rent is payable on the first day.",
    )
    .unwrap();
    // No key, no allowed roots: the home folder proves who asks. Somebody else may not.
    let stranger = daemon
        .client
        .post(format!("{}/api/watches", daemon.url))
        .json(&json!({ "path": papers }));
    assert_eq!(stranger.send().await.unwrap().status(), 403);
    griot(&world, &daemon, &["watch", "add", papers.to_str().unwrap()]);
    let listed = async |wanted: &[u64; 3]| loop {
        let watch = daemon.get("/api/watches").await["watches"][0].take();
        let is = ["files", "searchable", "failed"].map(|name| watch[name].as_u64().unwrap());
        if is == *wanted && watch["condition"] == "listening" {
            return watch;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    listed(&[1, 1, 0]).await;
    let table = griot(&world, &daemon, &["watch", "ls"]);
    assert!(
        table.contains("listening") && table.contains(papers.to_str().unwrap()),
        "{table}"
    );

    // From the edit until it is answered from.
    let begun = std::time::Instant::now();
    fs::write(
        papers.join("lease.txt"),
        "Rent is payable on the ninth of Brumaire.",
    )
    .unwrap();
    while !daemon.passages("Brumaire").await.contains("Brumaire") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!(
        "measured: an edit was searchable after {} ms",
        begun.elapsed().as_millis()
    );
    assert!(!daemon.passages("rent").await.contains("first day"));

    fs::rename(papers.join("lease.txt"), papers.join("contract.txt")).unwrap();
    loop {
        let documents = daemon.get("/api/knowledge/documents").await;
        if documents["documents"][0]["name"] == "contract.txt" {
            assert_eq!(documents["documents"][0]["revision"], 2, "not read again");
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The folder goes away: told of, and nothing is lost.
    let aside = world.folder.path().join("aside");
    fs::rename(&papers, &aside).unwrap();
    loop {
        let health = daemon.get("/api/health").await;
        if health["watches"][0]["condition"] == "away" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let status = griot(&world, &daemon, &["status"]);
    assert!(status.contains("away"), "{status}");
    fs::rename(&aside, &papers).unwrap();
    listed(&[1, 1, 0]).await;
    griot(&world, &daemon, &["watch", "rm", papers.to_str().unwrap()]);
    loop {
        let documents = daemon.get("/api/knowledge/documents").await;
        if documents["documents"] == json!([]) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    while !world.files_with("brumaire").is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    daemon.stop();
}
