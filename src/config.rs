//! Every setting, typed. [`load`] merges defaults < file < environment < flags and remembers where
//! each value came from. A new field also wants its row in [`keys`], which a test demands.

mod api_key;
mod check;
pub mod keys;
mod layers;
mod load;
mod paths;
mod problem;
#[cfg(test)]
mod tests;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::domain::{Collection, Deleted};

pub use api_key::{ApiKeyHash, NotAKeyHash, new_api_key};
pub use load::{Loaded, Overrides, Setting, load};
pub use paths::{Env, Paths};
pub use problem::{ConfigError, Origin, Problem};

/// All settings. Unknown keys are refused with the nearest spelling.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where documents, catalog and index live. Default: `griot` in the XDG data folder; `GRIOT_HOME`.
    pub home: Option<PathBuf>,
    pub server: ServerConfig,
    pub models: ModelsConfig,
    pub store: StoreConfig,
    pub llm: LlmConfig,
    pub embed: EmbedConfig,
    pub ingest: IngestConfig,
    pub answer: AnswerConfig,
    pub voice: VoiceConfig,
    pub wyoming: WyomingConfig,
    pub health: HealthConfig,
    pub alerts: AlertsConfig,
    pub log: LogConfig,
    pub telemetry: TelemetryConfig,
}

/// The HTTP edge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    pub listen: SocketAddr,
    /// SHA-256 of each accepted key, as `sha256:` and 64 hexadecimal digits. Without any, only
    /// loopback addresses may be listened on.
    pub api_keys: Vec<String>,
    /// Host names accepted in `Host` and `Origin` beside the loopback names.
    pub allowed_hosts: Vec<String>,
    /// Bytes of one upload request, all files together.
    pub max_upload_bytes: u64,
    /// Bytes of any other request body.
    pub max_body_bytes: u64,
    /// Questions answered at once; one more is told to wait (429).
    pub max_questions: usize,
    /// Uploads taken in at once; one more is told to wait (429).
    pub max_uploads: usize,
    /// Characters of a question.
    pub max_question_chars: usize,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7470)),
            api_keys: Vec::new(),
            allowed_hosts: Vec::new(),
            max_upload_bytes: 256 * 1024 * 1024,
            max_body_bytes: 1024 * 1024,
            max_questions: 8,
            max_uploads: 16,
            max_question_chars: 4000,
        }
    }
}

/// Which weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Qwen2.5-Coder 1.5B.
    #[default]
    Default,
    /// Qwen2.5-Coder 0.5B, for machines with little memory.
    Small,
}

/// The models' files.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelsConfig {
    /// Default: `griot/models` in the XDG data folder, shared by all homes.
    pub dir: Option<PathBuf>,
    pub profile: Profile,
}

/// Which vector store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// In process, in the home folder.
    #[default]
    Edge,
    /// A Qdrant server or cluster at `store.url`.
    Qdrant,
}

/// The vector store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    pub kind: StoreKind,
    /// The gRPC address of a Qdrant server.
    pub url: String,
    pub api_key: Option<String>,
    /// Seconds that one search may take; a write may take six times as long.
    pub timeout_s: u64,
    /// The name of the Qdrant collection that holds all points.
    pub collection: String,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            kind: StoreKind::Edge,
            url: "http://127.0.0.1:6334".to_owned(),
            api_key: None,
            timeout_s: 10,
            collection: "griot".to_owned(),
        }
    }
}

/// What serves the language model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamKind {
    /// The `griot-llm` worker beside the daemon, started and watched by it.
    Embedded,
    /// An Ollama server at `url`.
    Ollama,
}

/// One place where text is generated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    pub kind: UpstreamKind,
    #[serde(default)]
    pub url: Option<String>,
    #[serde(default)]
    pub model: Option<String>,
}

/// The language model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LlmConfig {
    /// In order; the first that works is asked.
    pub upstreams: Vec<Upstream>,
    /// Threads that write tokens in the embedded worker. 0: one per core, two at most.
    pub threads: usize,
    /// Threads that read the prompt. 0: one per core.
    pub threads_batch: usize,
    /// Context of the embedded worker, in tokens.
    pub context: usize,
    /// Seconds until the first token, model load included.
    pub first_token_timeout_s: u64,
    /// Seconds between two tokens.
    pub token_timeout_s: u64,
}

impl Default for LlmConfig {
    fn default() -> Self {
        Self {
            upstreams: vec![Upstream {
                kind: UpstreamKind::Embedded,
                url: None,
                model: None,
            }],
            threads: 0,
            threads_batch: 0,
            context: 4096,
            first_token_timeout_s: 120,
            token_timeout_s: 30,
        }
    }
}

/// The embedding model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbedConfig {
    /// A name of the manifest (`minilm-l6`, `minilm-l6-int8`).
    pub model: String,
    /// Threads. 0: one per core.
    pub threads: usize,
    /// Texts per run of the model.
    pub batch: usize,
}

impl Default for EmbedConfig {
    fn default() -> Self {
        Self {
            model: "minilm-l6".to_owned(),
            threads: 0,
            batch: 8,
        }
    }
}

/// A folder whose files are documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchConfig {
    pub path: PathBuf,
    /// `ingest.default_collection` unless given.
    #[serde(default)]
    pub collection: Option<Collection>,
    /// Patterns as in `.gitignore`; without any, whatever is of a kind that can be read.
    #[serde(default)]
    pub include: Vec<String>,
    #[serde(default)]
    pub exclude: Vec<String>,
    /// What becomes of the document when its file is deleted.
    #[serde(default)]
    pub deleted: Deleted,
}

/// Taking documents in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestConfig {
    /// Folders that `POST /api/knowledge/process` may read. None by default.
    pub allowed_roots: Vec<PathBuf>,
    /// Folders whose files are documents as long as they are there.
    pub watch: Vec<WatchConfig>,
    pub default_collection: Collection,
    /// Tokens of a chunk at most, as the embedder counts them.
    pub chunk_tokens: usize,
    /// Tokens that two neighbouring chunks share.
    pub chunk_overlap_tokens: usize,
    pub max_file_bytes: u64,
    pub max_pages: u32,
    /// Bytes of extracted text.
    pub max_text_bytes: u64,
    /// Wall-clock and CPU seconds that reading one file may take.
    pub extract_timeout_s: u64,
    /// MiB of address space that reading one file may use.
    pub extract_memory_mib: u64,
    /// Documents waiting at most; one more upload is told to wait (503).
    pub max_queue: usize,
    /// Whether pages without text are read from their pictures, where Tesseract is installed.
    pub ocr: bool,
    /// The languages of those pictures, as Tesseract names them: `eng+deu`.
    pub ocr_languages: String,
    /// How often a document is begun that its reader, or the daemon itself, dies on.
    pub max_tries: u32,
    /// MiB of the disk that uploads leave free, for deletes and for what works on the library.
    pub keep_free_mib: u64,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            allowed_roots: Vec::new(),
            watch: Vec::new(),
            default_collection: Collection::default(),
            chunk_tokens: 256,
            chunk_overlap_tokens: 0,
            max_file_bytes: 256 * 1024 * 1024,
            max_pages: 5000,
            max_text_bytes: 64 * 1024 * 1024,
            extract_timeout_s: 15,
            extract_memory_mib: 512,
            max_queue: 10_000,
            ocr: false,
            ocr_languages: "eng".to_owned(),
            max_tries: 3,
            keep_free_mib: 64,
        }
    }
}

/// Answering.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnswerConfig {
    /// Passages returned and considered, unless the request says otherwise.
    pub top_k: usize,
    /// Tokens of evidence given to the language model.
    pub evidence_tokens: usize,
    /// Tokens that the language model may write.
    pub max_answer_tokens: u32,
    /// Answer when the estimated probability of a right answer is at least this; see the
    /// risk-coverage curve in the README.
    pub threshold: f32,
}

impl Default for AnswerConfig {
    fn default() -> Self {
        Self {
            top_k: 8,
            evidence_tokens: 520,
            max_answer_tokens: 256,
            threshold: 0.1,
        }
    }
}

/// Conversations aloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VoiceConfig {
    /// Conversations at once; one more is told to wait.
    pub sessions: usize,
    /// Whether a proven quotation that is likely to answer is said before the model has written.
    pub quote_first: bool,
}

impl Default for VoiceConfig {
    fn default() -> Self {
        Self {
            sessions: 50,
            quote_first: true,
        }
    }
}

/// Home Assistant's voice services over TCP. The protocol knows no keys.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WyomingConfig {
    /// Where it is listened for it; nowhere without.
    pub listen: Option<SocketAddr>,
    /// Addresses and networks (`192.168.1.5`, `172.30.32.0/23`) that may connect beside this machine.
    pub allowed_peers: Vec<String>,
    /// Answers come from this collection; without, from all documents.
    pub collection: Option<Collection>,
}

/// An address, or a network of them: `192.168.1.5`, `172.30.32.0/23`.
#[must_use]
pub fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(address)
}

/// Watching the parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthConfig {
    /// Seconds between two probes of a part that works.
    pub interval_s: u64,
    /// MiB that have to be free on the disk of the library.
    pub min_disk_mib: u64,
    /// Percent of the memory (of the container, where that has less than the machine) that may be used.
    pub max_memory_percent: u64,
    /// MiB that the language model's worker may have resident; with more it is started anew. 0: nine tenths
    /// of the machine's memory.
    pub worker_memory_mib: u64,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            interval_s: 30,
            min_disk_mib: 256,
            max_memory_percent: 97,
            worker_memory_mib: 0,
        }
    }
}

/// What people are told of, and where. A limit of 0 switches its rule off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertsConfig {
    /// Gets each alert as JSON, signed with `webhook_secret`.
    pub webhook: Option<String>,
    pub webhook_secret: Option<String>,
    /// An incoming webhook of Slack, or of something that understands the same.
    pub slack: Option<String>,
    /// `smtps://user:password@host`, or `smtp://host:port` for a server on this machine.
    pub smtp: Option<String>,
    pub mail_from: Option<String>,
    pub mail_to: Vec<String>,
    /// Seconds that a component may be down.
    pub down_s: u64,
    /// Percent of a minute's questions that may get no answer.
    pub error_percent: u64,
    /// Seconds that nineteen of twenty questions may take.
    pub slow_s: u64,
    /// Calls of parts that may fail in a minute.
    pub failed_calls: u64,
    /// Percent of the processor that may be busy, over a minute.
    pub cpu_percent: u64,
    /// Percent of the memory that may be used, over a minute.
    pub memory_percent: u64,
    /// MiB that should be free where the library is.
    pub disk_mib: u64,
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self {
            webhook: None,
            webhook_secret: None,
            slack: None,
            smtp: None,
            mail_from: None,
            mail_to: Vec::new(),
            down_s: 60,
            error_percent: 20,
            slow_s: 60,
            failed_calls: 30,
            cpu_percent: 80,
            memory_percent: 90,
            disk_mib: 1024,
        }
    }
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// A `tracing` filter, such as `info` or `griot=debug`.
    pub level: String,
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

/// What is told to an OpenTelemetry collector: nothing, unless an address is given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Where it takes OTLP over HTTP, as `http://127.0.0.1:4318`. Gets traces: times and outcomes, no text of
    /// a document, a question or an answer.
    pub otlp_endpoint: Option<String>,
    /// Headers that it wants, each as `name: value`.
    pub otlp_headers: Vec<String>,
}
