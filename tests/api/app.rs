//! The daemon's services with fakes behind the ports, listening on a port of its own, and a client
//! that holds every response against `/openapi.json`.

use std::{fs::File, io::Read, sync::Arc};

use async_trait::async_trait;
use griot::{
    admission::Admission,
    answer::{Answerer, AnswererParts},
    catalog::Catalog,
    config::{AnswerConfig, IngestConfig, ServerConfig},
    domain::{Document, DocumentId, MediaType, PageState},
    health::Board,
    http,
    ingest::{
        Library, LibraryParts, Password, Reader, Reindex, Source,
        extract::{Engine, ExtractError, Extracted, ExtractedPage, Progress},
        reindex,
    },
    ports::{
        Engines,
        fakes::{
            Gate, HashEmbedder, LoudnessHearing, MemoryGenerations, Script, ScriptedModel,
            ScriptedTranscriber, ScriptedTurnEnd, ToneVoice, Trouble,
        },
    },
    shutdown::{DRAIN, Shutdown},
    telemetry,
    voice::{Engine as Conversations, EngineParts, recording::child::Decoder},
    wyoming,
};
use reqwest::{Method, StatusCode, header::HeaderMap, multipart};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What the sample document says, and what the scripted model quotes from it.
pub const LEASE: &str = "The flat has two rooms and a kitchen. Rent is payable on the first day of each calendar month. Dogs are allowed in the garden.";
pub const QUOTE: &str = "Rent is payable on the first day of each calendar month.";
pub const QUESTION: &str = "When is rent payable?";
pub const ANSWER: &str = "Rent is payable on the first day of each month.";

/// What is heard in any sound.
#[allow(dead_code, reason = "read by tests/api, not by tests/cli")]
pub const SAID: &str = "When is rent due?";

/// Settings of one test's daemon.
pub struct Settings {
    pub server: ServerConfig,
    pub ingest: IngestConfig,
    /// The model waits here before its answer's last word.
    pub gate: Option<Gate>,
    /// A home that is there already.
    pub home: Option<Arc<tempfile::TempDir>>,
    /// The indexes, where they shall outlive this daemon.
    pub generations: Option<Arc<MemoryGenerations>>,
    /// `embed.model`.
    pub model: String,
    /// Conversations aloud at once.
    pub conversations: usize,
    /// There is no model that hears.
    pub deaf: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server: ServerConfig::default(),
            ingest: IngestConfig::default(),
            gate: None,
            home: None,
            generations: None,
            model: "hash-of-words".to_owned(),
            conversations: 50,
            deaf: false,
        }
    }
}

/// A running daemon. Dropped, it stops.
pub struct TestApp {
    pub address: std::net::SocketAddr,
    /// Where Wyoming clients are listened for.
    #[allow(dead_code, reason = "read by tests/api, not by tests/cli")]
    pub wyoming: std::net::SocketAddr,
    pub library: Arc<Library>,
    pub model: Arc<ScriptedModel>,
    pub embedder: Arc<HashEmbedder>,
    #[allow(dead_code, reason = "read by tests/api, not by tests/cli")]
    pub transcriber: Arc<ScriptedTranscriber>,
    #[allow(dead_code, reason = "read by tests/api, not by tests/cli")]
    pub voice: Arc<ToneVoice>,
    #[allow(dead_code, reason = "read by tests/api, not by tests/cli")]
    pub conversations: Arc<Conversations>,
    #[allow(dead_code, reason = "read by tests/api, not by tests/cli")]
    pub generations: Arc<MemoryGenerations>,
    #[allow(dead_code, reason = "read by tests/cli, which shares this file")]
    pub board: Arc<Board>,
    pub home: Arc<tempfile::TempDir>,
    client: reqwest::Client,
    key: Option<String>,
    openapi: Value,
    shutdown: Shutdown,
    serving: JoinHandle<()>,
}

/// A response, read to its end.
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("headers here are ASCII"))
    }

    /// `422 invalid-value`, or only the status of what is no problem.
    pub fn verdict(&self) -> String {
        if self.header("content-type") != "application/problem+json" {
            return self.status.as_u16().to_string();
        }
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        let kind = problem["type"].as_str().expect("a problem has a type");
        let name = kind
            .strip_prefix("urn:griot:problem:")
            .expect("types are ours");
        format!("{} {name}", self.status.as_u16())
    }
}

impl TestApp {
    pub async fn start() -> Self {
        Self::with(Settings::default()).await
    }

    pub async fn with(settings: Settings) -> Self {
        let home = settings
            .home
            .unwrap_or_else(|| Arc::new(tempfile::tempdir().unwrap()));
        let shutdown = Shutdown::new();
        let catalog = Arc::new(Catalog::open(&home.path().join("catalog.sqlite")).unwrap());
        let generations = settings.generations.unwrap_or_else(|| {
            let models = [("hash-of-words", 64), ("other-words", 48)];
            MemoryGenerations::new(&models)
        });
        let opened = reindex::open(&catalog, &*generations, &settings.model)
            .await
            .unwrap();
        let index = Arc::clone(&opened.index);
        let embedder = generations.hash_embedder(&settings.model).unwrap();
        let gate = settings.gate.clone();
        let model = Arc::new(ScriptedModel::answering(move |request| {
            let Some(format) = &request.format else {
                return Script::new().token("yes", -0.1);
            };
            if format["properties"].get("quote").is_some() {
                return Script::new().token(&json!({ "quote": QUOTE }).to_string(), -0.1);
            }
            let asked = request
                .messages
                .last()
                .map_or("", |message| message.content.as_str());
            if format.get("anyOf").is_some() {
                let decision = match asked.contains("lamp") {
                    true => r#"{"tool": "set_lamp", "arguments": {"room": "kitchen", "on": true}}"#,
                    false => r#"{"tool": "none"}"#,
                };
                return Script::text(decision);
            }
            if asked.contains("<result>") {
                return Script::text(r#"{"answer": "The lamp in the kitchen is on."}"#);
            }
            let (most, last) = ANSWER.rsplit_once(' ').expect("it has words");
            let script = Script::text(&format!("{{\"answer\": \"{most}"));
            let script = match &gate {
                Some(gate) => script.wait(gate),
                None => script,
            };
            script.delta(&format!(" {last}\"}}"))
        }));
        let library = Library::start(LibraryParts {
            catalog: Arc::clone(&catalog),
            store: Arc::clone(&index) as _,
            embedder: Arc::clone(&index) as _,
            reader: Arc::new(PlainText),
            home: home.path().to_owned(),
            config: settings.ingest.clone(),
            tracker: shutdown.tracker.clone(),
            cancel: shutdown.token.clone(),
            tasks: shutdown.tasks.clone(),
        })
        .await
        .unwrap();
        let reindex = Reindex::start(
            &library,
            Arc::clone(&generations) as _,
            &settings.model,
            opened,
        )
        .await
        .unwrap();
        let answerer = Answerer::new(AnswererParts {
            catalog: Arc::clone(&catalog),
            index: Arc::clone(&index),
            model: Some(Arc::clone(&model) as _),
            config: AnswerConfig {
                threshold: 0.0,
                ..AnswerConfig::default()
            },
            cancel: shutdown.token.clone(),
            tracker: shutdown.tracker.clone(),
        })
        .unwrap();
        let board = Board::new();
        let transcriber = Arc::new(ScriptedTranscriber::answering(|heard| {
            ScriptedTranscriber::said(SAID, heard)
        }));
        let voice = Arc::new(ToneVoice::new());
        let hearing = Arc::new(LoudnessHearing::new());
        if settings.deaf {
            hearing.trouble(Trouble::Unavailable);
        }
        let engines = Engines {
            transcriber: Arc::clone(&transcriber) as _,
            synthesizer: Arc::clone(&voice) as _,
            hearing,
            turn_end: Arc::new(ScriptedTurnEnd::new(0.9)),
        };
        let conversations = Conversations::new(EngineParts {
            answerer: Arc::clone(&answerer),
            engines: engines.clone(),
            sessions: settings.conversations,
            questions: Admission::new("questions", settings.server.max_questions),
            quote_first: false,
            cancel: shutdown.token.clone(),
            tracker: shutdown.tracker.clone(),
        });
        let wyoming_parts = wyoming::Parts {
            engines: engines.clone(),
            answerer: Arc::clone(&answerer),
            recordings: Admission::new("recordings", 4),
            questions: Arc::clone(conversations.questions()),
            max_question_chars: settings.server.max_question_chars,
            collection: None,
            allowed_peers: Vec::new(),
        };
        let state = http::State::new(http::Parts {
            library: Arc::clone(&library),
            reindex,
            answerer,
            engines,
            voice: Arc::clone(&conversations),
            tracker: shutdown.tracker.clone(),
            decoder: Arc::new(Decoder::new(env!("CARGO_BIN_EXE_griot").into())),
            board: Arc::clone(&board),
            catalog,
            server: settings.server,
            default_collection: settings.ingest.default_collection,
            settings_file: Some(home.path().join("griot.toml")),
            metrics: telemetry::metrics(),
        })
        .unwrap();
        let router = http::router(state);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { http::serve(listener, router, &shutdown).await }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wyoming = listener.local_addr().unwrap();
        shutdown.tracker.spawn({
            let shutdown = shutdown.clone();
            async move { wyoming::serve(listener, wyoming_parts, &shutdown).await }
        });
        let mut app = Self {
            address,
            wyoming,
            library,
            model,
            embedder,
            transcriber,
            voice,
            conversations,
            generations,
            board,
            home,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            key: None,
            openapi: Value::Null,
            shutdown,
            serving,
        };
        let reply = app.get("/openapi.json").await;
        if reply.status == StatusCode::OK {
            app.openapi = reply.json();
        }
        app
    }

    /// Shows this key with every request from now on.
    pub fn show_key(&mut self, key: &str) {
        self.key = Some(key.to_owned());
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        let request = self.client.request(method, url);
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// Sends it, and checks that the description of the API knows such a response.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let request = request.build().unwrap();
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = self.client.execute(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        self.assert_described(&method, &path, status, &headers);
        let body = response.bytes().await.unwrap().to_vec();
        Reply {
            status,
            headers,
            body,
        }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub async fn upload(&self, form: multipart::Form) -> Reply {
        let request = self.request(Method::POST, "/api/knowledge/upload");
        self.send(request.multipart(form)).await
    }

    /// Takes a text in and waits until it is searchable or failed.
    pub async fn ingest(&self, name: &str, text: &str) -> Document {
        let reply = self
            .upload(multipart::Form::new().part("file", file(name, text)))
            .await;
        assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.text());
        let id: DocumentId =
            serde_json::from_value(reply.json()["documents"][0]["id"].clone()).unwrap();
        self.library.wait(id).await.unwrap()
    }

    /// Sends bytes as they are and reads what comes back until the daemon closes the connection.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Begins to stop, as a signal does.
    pub fn begin_to_stop(&self) {
        self.shutdown.token.cancel();
    }

    /// Waits until every connection and every task has ended.
    pub async fn stopped(&mut self) {
        self.begin_to_stop();
        (&mut self.serving).await.unwrap();
        assert!(self.shutdown.drain(DRAIN).await, "a task did not end");
    }

    fn assert_described(
        &self,
        method: &Method,
        path: &str,
        status: StatusCode,
        headers: &HeaderMap,
    ) {
        let Some(paths) = self.openapi["paths"].as_object() else {
            return;
        };
        // A fixed path goes before one with a variable part.
        let mut matching: Vec<_> = paths
            .iter()
            .filter(|(template, _)| fits(template, path))
            .collect();
        matching.sort_by_key(|(template, _)| template.matches('{').count());
        let Some((template, item)) = matching.first() else {
            let nowhere = [StatusCode::NOT_FOUND, StatusCode::URI_TOO_LONG];
            assert!(nowhere.contains(&status), "{status} is not described");
            return;
        };
        let operation = &item[method.as_str().to_ascii_lowercase()];
        if operation.is_null() {
            return;
        }
        let response = &operation["responses"][status.as_str()];
        assert!(
            !response.is_null(),
            "{method} {template} answered {status}, which is not described"
        );
        let media_type = headers
            .get("content-type")
            .map_or("", |value| value.to_str().unwrap())
            .split(';')
            .next()
            .unwrap();
        assert!(
            !response["content"][media_type].is_null(),
            "{method} {template} {status} is described without {media_type}"
        );
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.shutdown.token.cancel();
        self.serving.abort();
    }
}

pub fn file(name: &str, text: &str) -> multipart::Part {
    multipart::Part::bytes(text.as_bytes().to_vec()).file_name(name.to_owned())
}

/// Whether a path is of a template such as `/a/{id}`.
fn fits(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    loop {
        match (template.next(), path.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if wanted == given => {}
            (Some(wanted), Some(given)) if wanted.starts_with('{') && !given.is_empty() => {}
            _ => return false,
        }
    }
}

/// Reads every original as plain text, in this process: what is tested here is not how formats are
/// read. An original that begins with `!` is damaged; one that begins with `LOCKED` opens with the word
/// after it, read backwards.
struct PlainText;

#[async_trait]
impl Reader for PlainText {
    async fn read(
        &self,
        mut original: File,
        source: &Source,
        _progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Extracted, ExtractError> {
        let mut text = String::new();
        let read = original.read_to_string(&mut text);
        if read.is_err() || text.starts_with('!') {
            return Err(ExtractError::new(
                griot::domain::FailureCode::Damaged,
                "the file is damaged",
            ));
        }
        if let Some(locked) = text.strip_prefix("LOCKED ") {
            let backwards = locked.lines().next().unwrap_or_default().chars().rev();
            let wanted = Password::new(backwards.collect::<String>());
            if source.password != wanted {
                return Err(ExtractError::new(
                    griot::domain::FailureCode::Encrypted,
                    "the file is encrypted",
                ));
            }
        }
        Ok(Extracted {
            media_type: MediaType::Text,
            title: None,
            paged: false,
            pages: vec![ExtractedPage {
                page: 1,
                start: 0,
                end: text.len() as u64,
                state: PageState::Text,
                chars: text.chars().count() as u64,
                engine: Engine::Text,
            }],
            sections: Vec::new(),
            text,
        })
    }
}
