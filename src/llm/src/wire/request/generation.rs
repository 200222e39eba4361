//! `/api/chat` and `/api/generate`.

use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::{
    BadRequest, Format, Message, Prompt, Role, SCHEMA_BYTES, TOP_LOGPROBS, body, filled, model,
    refuse,
};
use crate::wire::{keep_alive::KeepAlive, options::Options};

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
}
