//! Language models over the Ollama HTTP API: a real Ollama, or the `griot-llm` worker.
//!
//! Requests are `ollama-rs`'s types, and its client lists models. Replies are read here, because its
//! streaming (0.3.6, `generation/chat/mod.rs`) loses what must not be lost: a chunk of the body that
//! ends inside a UTF-8 character is dropped whole, a line it cannot parse (as Ollama's
//! `{"error":…}` in the middle of a reply) is skipped, the status code is gone from its errors, and
//! `done_reason` is not read. `tests/health/ollama.rs` sends each of these.

pub mod embed;
mod failure;
mod reply;

use std::time::Duration;

use async_trait::async_trait;
use ollama_rs::{
    generation::{
        chat::{ChatMessage, MessageRole, request::ChatMessageRequest},
        parameters::FormatType,
    },
    models::ModelOptions,
};
use reqwest::{Client, Response, Url};
use serde::Serialize;
use tokio::sync::watch;

use self::failure::Failure;
use crate::{
    domain::Component,
    ports::{ChatRequest, ChatStream, LanguageModel, PortError, Role},
};

/// How long a connection may take. Loopback needs microseconds; a server elsewhere that takes longer
/// is asked again after its rest.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Likeliest tokens asked for beside each written one: the most that the API gives.
const ALTERNATIVES: u32 = 20;

/// Where the API is.
#[derive(Debug, Clone)]
pub enum Source {
    /// A server of somebody else, at this address.
    Server(Url),
    /// A worker that is started by a supervisor, at the address it has now.
    Worker(watch::Receiver<Option<Url>>),
}

impl From<Url> for Source {
    fn from(url: Url) -> Self {
        Self::Server(url)
    }
}

impl From<watch::Receiver<Option<Url>>> for Source {
    fn from(url: watch::Receiver<Option<Url>>) -> Self {
        Self::Worker(url)
    }
}

impl Source {
    /// The address now, ending in `/`.
    fn base(&self) -> Result<Url, Failure> {
        let mut url = match self {
            Self::Server(url) => url.clone(),
            Self::Worker(url) => url.borrow().clone().ok_or(Failure::NotRunning)?,
        };
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Ok(url)
    }

    /// Whether a proxy of the environment may stand between: never before this machine.
    fn is_local(&self) -> bool {
        match self {
            Self::Worker(_) => true,
            Self::Server(url) => url.host_str().is_some_and(|host| {
                host == "localhost"
                    || host
                        .trim_matches(['[', ']'])
                        .parse::<std::net::IpAddr>()
                        .is_ok_and(|ip| ip.is_loopback())
            }),
        }
    }
}

/// The connection to one API, for one component. What of it fails is named after the component.
#[derive(Debug, Clone)]
struct Connection {
    source: Source,
    client: Client,
    component: Component,
}

impl Connection {
    fn new(source: Source, component: Component) -> Result<Self, PortError> {
        let mut builder = Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("griot/", env!("CARGO_PKG_VERSION")));
        if source.is_local() {
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|error| PortError::unavailable(component, error))?;
        Ok(Self {
            source,
            client,
            component,
        })
    }

    fn url(&self, path: &str) -> Result<Url, PortError> {
        let base = self.source.base().map_err(|f| f.at(self.component))?;
        base.join(path)
            .map_err(|error| PortError::unavailable(self.component, error))
    }

    async fn get(&self, path: &str) -> Result<Response, PortError> {
        let url = self.url(path)?;
        self.send(self.client.get(url.clone()), &url).await
    }

    async fn post(&self, path: &str, body: &impl Serialize) -> Result<Response, PortError> {
        let url = self.url(path)?;
        self.send(self.client.post(url.clone()).json(body), &url)
            .await
    }

    /// Sends, and turns every answer but success into the error it is.
    async fn send(
        &self,
        request: reqwest::RequestBuilder,
        url: &Url,
    ) -> Result<Response, PortError> {
        let response = request.send().await.map_err(|error| {
            Failure::Unreachable {
                server: failure::server(url),
                source: error.without_url(),
            }
            .at(self.component)
        })?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(failure::of_response(self.component, url, response).await)
        }
    }

    /// `ollama-rs`'s client, for what is not a stream.
    fn client(&self) -> Result<ollama_rs::Ollama, PortError> {
        let base = self.source.base().map_err(|f| f.at(self.component))?;
        Ok(ollama_rs::Ollama::builder()
            .url(base)
            .reqwest_client(self.client.clone())
            .build())
    }
}

/// A model behind the Ollama API.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use griot::{adapters::ollama::{Ollama, Source}, health::Url, ports::LanguageModel};
///
/// let url: Url = "http://127.0.0.1:11434".parse()?;
/// let model = Ollama::new(Source::Server(url), "qwen2.5:1.5b")?.context(4096);
/// assert_eq!(model.name(), "qwen2.5:1.5b");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Ollama {
    connection: Connection,
    model: String,
    context: Option<u64>,
}

impl Ollama {
    /// `model` as the API at `source` calls it. Nothing is connected yet.
    ///
    /// # Errors
    /// [`PortError::Unavailable`] when no TLS client can be made here.
    pub fn new(source: impl Into<Source>, model: impl Into<String>) -> Result<Self, PortError> {
        Ok(Self {
            connection: Connection::new(source.into(), Component::LanguageModel)?,
            model: model.into(),
            context: None,
        })
    }

    /// Asks for a context of so many tokens. Without it Ollama uses its own default and silently cuts
    /// what does not fit.
    #[must_use]
    pub fn context(mut self, tokens: usize) -> Self {
        self.context = Some(tokens as u64);
        self
    }

    /// Whether the server answers and, for a server of somebody else, has the model. Loads nothing.
    ///
    /// # Errors
    /// [`PortError::Refused`] when the model is not there, with what to do about it.
    pub async fn glance(&self) -> Result<(), PortError> {
        if let Source::Worker(_) = self.connection.source {
            return self.connection.get("api/version").await.map(drop);
        }
        let models = self.models().await?;
        let latest = format!("{}:latest", self.model);
        if models
            .iter()
            .any(|name| *name == self.model || *name == latest)
        {
            Ok(())
        } else {
            Err(PortError::Refused {
                component: Component::LanguageModel,
                reason: format!(
                    "the model {} is not on the server; run `ollama pull {}` there",
                    self.model, self.model
                ),
            })
        }
    }

    /// The names of the models on the server.
    ///
    /// # Errors
    /// As [`PortError`] says.
    pub async fn models(&self) -> Result<Vec<String>, PortError> {
        let models = self.connection.client()?.list_local_models().await;
        models
            .map(|models| models.into_iter().map(|model| model.name).collect())
            .map_err(|error| PortError::unavailable(Component::LanguageModel, error))
    }

    fn body(&self, request: &ChatRequest) -> Result<serde_json::Value, PortError> {
        let refused = |reason: String| PortError::Refused {
            component: Component::LanguageModel,
            reason,
        };
        let messages = request
            .messages
            .iter()
            .map(|message| {
                let role = match message.role {
                    Role::System => MessageRole::System,
                    Role::User => MessageRole::User,
                    Role::Assistant => MessageRole::Assistant,
                };
                ChatMessage::new(role, message.content.clone())
            })
            .collect();
        let mut options = ModelOptions::default()
            .temperature(request.temperature)
            .num_predict(i32::try_from(request.max_tokens).unwrap_or(i32::MAX));
        if let Some(context) = self.context {
            options = options.num_ctx(context);
        }
        if let Some(seed) = request.seed {
            // The typed setter takes an i32, the API any number.
            options = options.extra("seed", seed);
        }
        if !request.stop.is_empty() {
            options = options.stop(request.stop.clone());
        }
        // Models that think aloud would spend `max_tokens` on it.
        let mut body = ChatMessageRequest::new(self.model.clone(), messages)
            .options(options)
            .think(false);
        if let Some(schema) = &request.format {
            let format: FormatType = serde_json::from_value(schema.clone())
                .map_err(|error| refused(format!("the reply's format is not a schema: {error}")))?;
            body = body.format(format);
        }
        if request.logprobs {
            body = body.logprobs(true).top_logprobs(ALTERNATIVES);
        }
        let mut body = serde_json::to_value(body)
            .map_err(|error| refused(format!("the request cannot be written: {error}")))?;
        body["stream"] = true.into();
        Ok(body)
    }
}

#[async_trait]
impl LanguageModel for Ollama {
    fn name(&self) -> String {
        self.model.clone()
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, PortError> {
        let body = self.body(&request)?;
        let response = self.connection.post("api/chat", &body).await?;
        Ok(reply::stream(response, request.max_tokens))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ports::Message;

    fn ollama(url: &str) -> Ollama {
        Ollama::new(url.parse::<Url>().unwrap(), "m").unwrap()
    }

    fn request() -> ChatRequest {
        ChatRequest {
            messages: vec![Message {
                role: Role::User,
                content: "Wann?".to_owned(),
            }],
            format: None,
            max_tokens: 7,
            temperature: 0.0,
            seed: None,
            stop: Vec::new(),
            logprobs: false,
        }
    }

    #[test]
    fn the_body_says_what_the_request_says() {
        let plain = ollama("http://127.0.0.1:1").body(&request()).unwrap();
        assert_eq!(plain["model"], "m");
        assert_eq!(plain["stream"], true);
        assert_eq!(plain["think"], false);
        assert_eq!(plain["messages"][0]["role"], "user");
        assert_eq!(plain["messages"][0]["content"], "Wann?");
        assert_eq!(
            plain["options"],
            json!({"temperature": 0.0, "num_predict": 7})
        );
        for absent in ["format", "logprobs", "top_logprobs"] {
            assert!(plain.get(absent).is_none(), "{absent} was not asked for");
        }

        let full = ollama("http://127.0.0.1:1")
            .context(4096)
            .body(&ChatRequest {
                seed: Some(u32::MAX),
                stop: vec!["\n".to_owned()],
                logprobs: true,
                max_tokens: u32::MAX,
                ..request()
            })
            .unwrap();
        assert_eq!(full["logprobs"], true);
        assert_eq!(full["top_logprobs"], 20);
        assert_eq!(
            full["options"],
            json!({
                "temperature": 0.0, "num_predict": i32::MAX, "num_ctx": 4096,
                "seed": u32::MAX, "stop": ["\n"]
            })
        );
    }

    #[test]
    fn a_schema_keeps_the_order_of_its_properties() {
        // The grammar writes properties in this order: the quotation has to come first.
        let schema = r#"{"type":"object","properties":{"quote":{"type":"string"},"answered":{"type":"boolean"},"answer":{"type":"string"}},"required":["quote","answered","answer"]}"#;
        let body = ollama("http://127.0.0.1:1")
            .body(&ChatRequest {
                format: Some(serde_json::from_str(schema).unwrap()),
                ..request()
            })
            .unwrap();
        assert_eq!(body["format"].to_string(), schema);
    }

    #[test]
    fn the_address_may_have_a_path() {
        for (given, expected) in [
            ("http://127.0.0.1:1", "http://127.0.0.1:1/api/chat"),
            (
                "https://example.org/ollama",
                "https://example.org/ollama/api/chat",
            ),
            (
                "https://example.org/ollama/",
                "https://example.org/ollama/api/chat",
            ),
        ] {
            let url = ollama(given).connection.url("api/chat").unwrap();
            assert_eq!(url.as_str(), expected);
        }
    }
}
