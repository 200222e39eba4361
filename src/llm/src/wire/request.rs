//! Request bodies of `/api/chat`, `/api/generate`, `/api/embed` and `/api/show`, parsed into what
//! was asked. What this server cannot do is refused by name rather than left out in silence.

mod embedding;
mod generation;

use serde::{Deserialize, de::DeserializeOwned};

use super::options::BadOption;
pub use embedding::Embedding;
pub use generation::Generation;

/// Most alternatives reported for a token; what OpenAI and Ollama allow.
pub const TOP_LOGPROBS: usize = 20;

/// Most texts in one embedding request.
const EMBED_INPUTS: usize = 2048;

/// Most bytes of a JSON schema. Converting one is a few milliseconds per kilobyte, outside of any
/// deadline.
const SCHEMA_BYTES: usize = 64 * 1024;

/// A body that asks for nothing this server can do.
#[derive(Debug, thiserror::Error)]
pub enum BadRequest {
    #[error("the request body is not the JSON this route takes: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the request names no model; send \"model\"")]
    NoModel,
    #[error(transparent)]
    Option(#[from] BadOption),
    #[error("{field} is not supported here{instead}")]
    Unsupported {
        field: &'static str,
        instead: &'static str,
    },
    #[error("\"format\" has to be \"json\" or a JSON schema (an object)")]
    Format,
    #[error("the schema in \"format\" is {bytes} bytes long; at most {SCHEMA_BYTES} are taken")]
    LongSchema { bytes: usize },
    #[error("\"top_logprobs\" has to be from 0 to {TOP_LOGPROBS}")]
    TopLogprobs,
    #[error(
        "message {index} has role {role:?}; roles are \"system\", \"user\", \"assistant\" and \"tool\""
    )]
    Role { index: usize, role: String },
    #[error("\"input\" holds {count} texts; at most {EMBED_INPUTS} are taken at once")]
    ManyInputs { count: usize },
    #[error("\"input\" has to be a text or a list of texts")]
    Input,
}

/// What the reply has to look like.
#[derive(Debug, Clone, PartialEq)]
pub enum Format {
    Free,
    /// Any JSON object.
    Json,
    /// JSON that satisfies this schema: its text exactly as it came, because the grammar writes
    /// properties in the order in which the schema names them, and a parsed map forgets that.
    Schema(String),
}

/// Who says a message. A closed set: templates branch on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    System,
    User,
    Assistant,
    Tool,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// One message. The content is data: nothing in it is ever read as a control token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub role: Role,
    pub content: String,
}

/// What is to be continued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// Put through the model's chat template. Empty: only load the model.
    Messages(Vec<Message>),
    /// The caller's own prompt with control tokens written out (`raw`).
    Raw(String),
}

impl Prompt {
    /// Nothing to say: the request only loads the model, or with `keep_alive` 0 unloads it.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Messages(messages) => messages.is_empty(),
            Self::Raw(text) => text.is_empty(),
        }
    }
}

#[derive(Deserialize)]
struct ShowBody {
    model: Option<String>,
    name: Option<String>,
}

fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BadRequest> {
    Ok(serde_json::from_slice(bytes)?)
}

fn model(model: Option<String>, name: Option<String>) -> Result<String, BadRequest> {
    model
        .or(name)
        .filter(|name| !name.trim().is_empty())
        .ok_or(BadRequest::NoModel)
}

fn refuse(present: bool, field: &'static str, instead: &'static str) -> Result<(), BadRequest> {
    if present {
        Err(BadRequest::Unsupported { field, instead })
    } else {
        Ok(())
    }
}

/// Parses the body of `/api/show`: the name of the model asked about.
pub fn shown_model(bytes: &[u8]) -> Result<String, BadRequest> {
    let given: ShowBody = body(bytes)?;
    model(given.model, given.name)
}

fn filled(text: Option<&String>) -> bool {
    text.is_some_and(|text| !text.is_empty())
}
