//! `/api/embed`.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{BadRequest, EMBED_INPUTS, body, model};
use crate::wire::{keep_alive::KeepAlive, options::Options};

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
struct EmbedBody {
    model: Option<String>,
    name: Option<String>,
    input: Option<Value>,
    truncate: Option<bool>,
    options: Option<Map<String, Value>>,
    dimensions: Option<usize>,
    keep_alive: Option<KeepAlive>,
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

#[cfg(test)]
mod tests {
    use super::*;

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
