//! Request bodies of `/api/chat`, `/api/generate`, `/api/embed` and `/api/show`, parsed into what
//! was asked. What this server cannot do is refused by name rather than left out in silence.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, value::RawValue};

use super::{
    keep_alive::KeepAlive,
    options::{BadOption, Options},
};

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

/// A chat or generate request.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    pub model: String,
    pub prompt: Prompt,
    pub options: Options,
    pub format: Format,
    pub stream: bool,
    /// `None`: the server's default.
    pub keep_alive: Option<KeepAlive>,
    /// Report each token's log-probability, with this many alternatives.
    pub logprobs: Option<usize>,
}

/// A request for embeddings.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    pub model: String,
    pub input: Vec<String>,
    /// Cut texts that are too long rather than refuse them.
    pub truncate: bool,
    pub num_ctx: Option<usize>,
    /// Keep only this many leading dimensions, normalised again.
    pub dimensions: Option<usize>,
    pub keep_alive: Option<KeepAlive>,
}

#[derive(Deserialize)]
struct CommonBody {
    model: Option<String>,
    /// The older name of `model`.
    name: Option<String>,
    options: Option<Map<String, Value>>,
    stream: Option<bool>,
    keep_alive: Option<KeepAlive>,
    logprobs: Option<bool>,
    top_logprobs: Option<i64>,
    think: Option<Value>,
    template: Option<String>,
}

/// Read by itself: a raw value cannot stand in a flattened struct.
#[derive(Deserialize)]
struct FormatBody<'a> {
    #[serde(borrow)]
    format: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ChatBody {
    #[serde(flatten)]
    common: CommonBody,
    messages: Option<Vec<MessageBody>>,
    tools: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct MessageBody {
    role: String,
    content: Option<String>,
    images: Option<Vec<Value>>,
    tool_calls: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct GenerateBody {
    #[serde(flatten)]
    common: CommonBody,
    prompt: Option<String>,
    suffix: Option<String>,
    system: Option<String>,
    raw: Option<bool>,
    images: Option<Vec<Value>>,
    context: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct EmbedBody {
    model: Option<String>,
    name: Option<String>,
    input: Option<Value>,
    truncate: Option<bool>,
    options: Option<Map<String, Value>>,
    dimensions: Option<usize>,
    keep_alive: Option<KeepAlive>,
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

const IMAGES: (&str, &str) = ("\"images\"", ": the models of this server read text only");

impl Generation {
    /// Parses the body of `/api/chat`.
    pub fn chat(bytes: &[u8]) -> Result<Self, BadRequest> {
        let ChatBody {
            common,
            messages,
            tools,
        } = body(bytes)?;
        refuse(
            tools.is_some_and(|tools| !tools.is_empty()),
            "\"tools\"",
            "; describe them in a message",
        )?;
        let messages = messages
            .unwrap_or_default()
            .into_iter()
            .enumerate()
            .map(|(index, message)| message.parse(index))
            .collect::<Result<_, _>>()?;
        common.parse(Prompt::Messages(messages), format(bytes)?)
    }

    /// Parses the body of `/api/generate`.
    pub fn generate(bytes: &[u8]) -> Result<Self, BadRequest> {
        let GenerateBody {
            common,
            prompt,
            suffix,
            system,
            raw,
            images,
            context,
        } = body(bytes)?;
        refuse(
            filled(suffix.as_ref()),
            "\"suffix\"",
            "; write the fill-in tokens yourself with \"raw\"",
        )?;
        refuse(
            images.is_some_and(|images| !images.is_empty()),
            IMAGES.0,
            IMAGES.1,
        )?;
        refuse(
            context.is_some_and(|context| !context.is_empty()),
            "\"context\"",
            "; send the conversation to /api/chat",
        )?;
        let prompt = prompt.unwrap_or_default();
        if raw == Some(true) {
            refuse(
                filled(system.as_ref()),
                "\"system\" beside \"raw\"",
                "; put it into the prompt",
            )?;
            return common.parse(Prompt::Raw(prompt), format(bytes)?);
        }
        let mut messages = Vec::new();
        if !prompt.is_empty() {
            if let Some(content) = system.filter(|system| !system.is_empty()) {
                messages.push(Message {
                    role: Role::System,
                    content,
                });
            }
            messages.push(Message {
                role: Role::User,
                content: prompt,
            });
        }
        common.parse(Prompt::Messages(messages), format(bytes)?)
    }
}

impl MessageBody {
    fn parse(self, index: usize) -> Result<Message, BadRequest> {
        refuse(
            self.images.is_some_and(|images| !images.is_empty()),
            IMAGES.0,
            IMAGES.1,
        )?;
        refuse(
            self.tool_calls.is_some_and(|calls| !calls.is_empty()),
            "\"tool_calls\"",
            "; write them as content",
        )?;
        let role = match self.role.as_str() {
            "system" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" => Role::Tool,
            other => {
                return Err(BadRequest::Role {
                    index,
                    role: other.chars().take(40).collect(),
                });
            }
        };
        Ok(Message {
            role,
            content: self.content.unwrap_or_default(),
        })
    }
}

impl CommonBody {
    fn parse(self, prompt: Prompt, format: Format) -> Result<Generation, BadRequest> {
        refuse(
            filled(self.template.as_ref()),
            "\"template\"",
            "; with \"raw\" the prompt is yours alone",
        )?;
        let thinks = !matches!(self.think, None | Some(Value::Null | Value::Bool(false)));
        refuse(
            thinks,
            "\"think\"",
            ": the models of this server do not think apart from answering",
        )?;
        let top = match self.top_logprobs {
            None => 0,
            Some(top) => usize::try_from(top)
                .ok()
                .filter(|top| *top <= TOP_LOGPROBS)
                .ok_or(BadRequest::TopLogprobs)?,
        };
        Ok(Generation {
            model: model(self.model, self.name)?,
            prompt,
            options: Options::parse(self.options.as_ref())?,
            format,
            stream: self.stream.unwrap_or(true),
            keep_alive: self.keep_alive,
            logprobs: self.logprobs.unwrap_or(false).then_some(top),
        })
    }
}

impl Embedding {
    /// Parses the body of `/api/embed`.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadRequest> {
        let given: EmbedBody = body(bytes)?;
        let input = match given.input {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(list)) => list
                .into_iter()
                .map(|item| {
                    if let Value::String(text) = item {
                        Some(text)
                    } else {
                        None
                    }
                })
                .collect::<Option<Vec<_>>>()
                .ok_or(BadRequest::Input)?,
            Some(_) => return Err(BadRequest::Input),
        };
        if input.len() > EMBED_INPUTS {
            return Err(BadRequest::ManyInputs { count: input.len() });
        }
        Ok(Self {
            model: model(given.model, given.name)?,
            input,
            truncate: given.truncate.unwrap_or(true),
            num_ctx: Options::parse(given.options.as_ref())?.num_ctx,
            dimensions: given.dimensions.filter(|dimensions| *dimensions > 0),
            keep_alive: given.keep_alive,
        })
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

/// Reads `format` out of the whole body.
fn format(bytes: &[u8]) -> Result<Format, BadRequest> {
    let given = body_of_format(bytes)?
        .format
        .map_or("null", RawValue::get)
        .trim();
    match given {
        "null" | "\"\"" => Ok(Format::Free),
        "\"json\"" => Ok(Format::Json),
        schema if schema.starts_with('{') && schema.len() <= SCHEMA_BYTES => {
            Ok(Format::Schema(schema.to_owned()))
        }
        schema if schema.starts_with('{') => Err(BadRequest::LongSchema {
            bytes: schema.len(),
        }),
        _ => Err(BadRequest::Format),
    }
}

fn body_of_format(bytes: &[u8]) -> Result<FormatBody<'_>, BadRequest> {
    Ok(serde_json::from_slice(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(json: &str) -> Result<Generation, String> {
        Generation::chat(json.as_bytes()).map_err(|error| error.to_string())
    }

    fn generate(json: &str) -> Result<Generation, String> {
        Generation::generate(json.as_bytes()).map_err(|error| error.to_string())
    }

    fn message(role: Role, content: &str) -> Message {
        Message {
            role,
            content: content.to_owned(),
        }
    }

    #[test]
    fn a_chat_as_ollama_rs_sends_it() {
        let got = chat(
            r#"{"model":"m","messages":[{"role":"user","content":"hi","tool_calls":[],"thinking":null}],
                "stream":false,"keep_alive":-1,"options":{"temperature":0},"logprobs":true,"top_logprobs":2}"#,
        )
        .unwrap();
        assert_eq!(got.model, "m");
        assert_eq!(
            got.prompt,
            Prompt::Messages(vec![message(Role::User, "hi")])
        );
        assert!(!got.stream);
        assert_eq!(got.keep_alive, Some(KeepAlive::Forever));
        assert_eq!(got.logprobs, Some(2));
        assert_eq!(got.format, Format::Free);
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_name() {
        let check = |json: &str, word: &str| {
            let error = chat(json).unwrap_err();
            assert!(
                error.contains(word),
                "{json} gave {error:?}, without {word:?}"
            );
        };
        check("", "not the JSON");
        check("[]", "not the JSON");
        check("{}", "names no model");
        check(r#"{"model":" "}"#, "names no model");
        check(
            r#"{"model":"m","messages":[{"role":"wizard","content":""}]}"#,
            "\"wizard\"",
        );
        check(
            r#"{"model":"m","messages":[{"role":"user","content":"x","images":["aaaa"]}]}"#,
            "images",
        );
        check(r#"{"model":"m","tools":[{}]}"#, "tools");
        check(r#"{"model":"m","think":true}"#, "think");
        check(r#"{"model":"m","format":"xml"}"#, "format");
        check(r#"{"model":"m","format":7}"#, "format");
        check(r#"{"model":"m","top_logprobs":21}"#, "top_logprobs");
        check(
            r#"{"model":"m","options":{"temperature":"x"}}"#,
            "temperature",
        );
        check(r#"{"model":"m","options":[]}"#, "not the JSON");
        check(r#"{"model":"m","keep_alive":"soon"}"#, "soon");
        check(r#"{"model":"m","template":"{{ .Prompt }}"}"#, "template");
    }

    #[test]
    fn generate_is_a_chat_of_one_message() {
        let got = generate(r#"{"model":"m","prompt":"hi","system":"be brief"}"#).unwrap();
        assert_eq!(
            got.prompt,
            Prompt::Messages(vec![
                message(Role::System, "be brief"),
                message(Role::User, "hi")
            ])
        );
        assert!(got.stream, "streaming is the default");
        assert!(generate(r#"{"model":"m"}"#).unwrap().prompt.is_empty());
        assert!(
            generate(r#"{"model":"m","system":"be brief"}"#)
                .unwrap()
                .prompt
                .is_empty()
        );
        assert_eq!(
            generate(r#"{"model":"m","prompt":"<|im_start|>","raw":true}"#)
                .unwrap()
                .prompt,
            Prompt::Raw("<|im_start|>".to_owned())
        );
        assert!(
            generate(r#"{"model":"m","prompt":"a","suffix":"b"}"#)
                .unwrap_err()
                .contains("suffix")
        );
        assert!(
            generate(r#"{"model":"m","prompt":"a","context":[1]}"#)
                .unwrap_err()
                .contains("/api/chat")
        );
        assert!(generate(r#"{"model":"m","prompt":"a","context":[]}"#).is_ok());
    }

    #[test]
    fn formats() {
        let of = |json: &str| chat(json).unwrap().format;
        assert_eq!(of(r#"{"model":"m","format":""}"#), Format::Free);
        assert_eq!(of(r#"{"model":"m","format":null}"#), Format::Free);
        assert_eq!(of(r#"{"model":"m","format":"json"}"#), Format::Json);
        let schema = r#"{"properties":{"z":{},"a":{}}}"#;
        assert_eq!(
            of(&format!(r#"{{"model":"m","format": {schema} }}"#)),
            Format::Schema(schema.to_owned()),
            "the order of properties is kept"
        );
        let long = format!(
            r#"{{"model":"m","format":{{"title":"{}"}}}}"#,
            "x".repeat(SCHEMA_BYTES)
        );
        assert!(chat(&long).unwrap_err().contains("bytes long"));
    }

    #[test]
    fn embedding_inputs() {
        let of = |json: &str| Embedding::parse(json.as_bytes()).map_err(|error| error.to_string());
        assert_eq!(of(r#"{"model":"m","input":"a"}"#).unwrap().input, ["a"]);
        assert_eq!(
            of(r#"{"model":"m","input":["a","b"]}"#).unwrap().input,
            ["a", "b"]
        );
        assert!(of(r#"{"model":"m"}"#).unwrap().input.is_empty());
        assert!(
            of(r#"{"model":"m","input":[1]}"#)
                .unwrap_err()
                .contains("input")
        );
        assert!(
            of(r#"{"model":"m","input":1}"#)
                .unwrap_err()
                .contains("input")
        );
        let many: Vec<&str> = vec!["a"; EMBED_INPUTS + 1];
        let json = serde_json::json!({"model": "m", "input": many}).to_string();
        assert!(of(&json).unwrap_err().contains("at most"));
    }
}
