//! What goes out on `/api/chat` and `/api/generate`: one JSON object a piece, then one that says
//! how it ended. The two routes differ only in where the text stands.

use std::time::Duration;

use serde::Serialize;

/// A token and the natural logarithm of the probability the model gave it: a log-softmax over the
/// raw logits, before grammar, penalties and sampling.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TokenLogprob {
    /// The token's text; U+FFFD where its bytes are only part of a character.
    pub token: String,
    pub logprob: f32,
    /// The token's exact bytes.
    pub bytes: Vec<u8>,
    /// The likeliest tokens here, likeliest first, when they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub top_logprobs: Vec<TopLogprob>,
}

/// One of the likeliest tokens at a place.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopLogprob {
    pub token: String,
    pub logprob: f32,
    pub bytes: Vec<u8>,
}

/// Why a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DoneReason {
    /// The model ended its turn, or a stop text appeared.
    Stop,
    /// `num_predict` tokens were written, or the context is full.
    Length,
    /// There was no prompt: the model was loaded.
    Load,
    /// There was no prompt and `keep_alive` was 0: the model was unloaded.
    Unload,
}

/// Times and counts of a finished request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Loading the model, zero when it was there.
    pub load: Duration,
    /// Tokens of the prompt, those found in the cache included, as Ollama counts.
    pub prompt_tokens: usize,
    /// How many of them were found in the cache and not evaluated again.
    pub cached_tokens: usize,
    pub prompt_eval: Duration,
    /// Tokens written.
    pub tokens: usize,
    pub eval: Duration,
}

/// Where the text stands in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `"message": {"role": "assistant", "content": …}`
    Chat,
    /// `"response": …`
    Generate,
}

#[derive(Debug, Serialize)]
struct AssistantMessage {
    role: &'static str,
    content: String,
}

/// One object of the answer.
#[derive(Debug, Serialize)]
pub struct Reply {
    model: String,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<AssistantMessage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logprobs: Vec<TokenLogprob>,
    done: bool,
    #[serde(flatten)]
    end: Option<End>,
}

/// Durations are nanoseconds.
#[derive(Debug, Serialize)]
struct End {
    done_reason: DoneReason,
    total_duration: u64,
    load_duration: u64,
    prompt_eval_count: usize,
    /// Of this project: see [`Counts::cached_tokens`].
    prompt_cached_count: usize,
    prompt_eval_duration: u64,
    eval_count: usize,
    eval_duration: u64,
}

impl Reply {
    /// A piece of text in the middle.
    pub fn piece(
        shape: Shape,
        model: &str,
        created_at: String,
        text: String,
        logprobs: Vec<TokenLogprob>,
    ) -> Self {
        let (message, response) = match shape {
            Shape::Chat => (
                Some(AssistantMessage {
                    role: "assistant",
                    content: text,
                }),
                None,
            ),
            Shape::Generate => (None, Some(text)),
        };
        Self {
            model: model.to_owned(),
            created_at,
            message,
            response,
            logprobs,
            done: false,
            end: None,
        }
    }

    /// Turns a piece into the last object. `total` is the time since the request came in.
    #[must_use]
    pub fn ended(mut self, reason: DoneReason, counts: &Counts, total: Duration) -> Self {
        self.done = true;
        self.end = Some(End {
            done_reason: reason,
            total_duration: nanoseconds(total),
            load_duration: nanoseconds(counts.load),
            prompt_eval_count: counts.prompt_tokens,
            prompt_cached_count: counts.cached_tokens,
            prompt_eval_duration: nanoseconds(counts.prompt_eval),
            eval_count: counts.tokens,
            eval_duration: nanoseconds(counts.eval),
        });
        self
    }
}

/// Nanoseconds as Ollama counts time; saturates after 584 years.
pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Now, as Ollama writes times: RFC 3339, UTC.
pub fn now() -> String {
    jiff::Timestamp::now().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ascii;

    const AT: &str = "2026-01-01T00:00:00Z";

    fn counts() -> Counts {
        Counts {
            load: Duration::from_millis(1),
            prompt_tokens: 20,
            cached_tokens: 12,
            prompt_eval: Duration::from_millis(2),
            tokens: 3,
            eval: Duration::from_millis(4),
        }
    }

    #[test]
    fn the_objects_of_a_chat() {
        let piece = Reply::piece(Shape::Chat, "m:latest", AT.into(), "né".into(), Vec::new());
        assert_eq!(
            ascii::to_line(&piece),
            r#"{"model":"m:latest","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"n\u00e9"},"done":false}"#
        );
        let last = Reply::piece(
            Shape::Chat,
            "m:latest",
            AT.into(),
            String::new(),
            Vec::new(),
        )
        .ended(DoneReason::Stop, &counts(), Duration::from_millis(9));
        assert_eq!(
            ascii::to_line(&last),
            concat!(
                r#"{"model":"m:latest","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":""},"done":true,"#,
                r#""done_reason":"stop","total_duration":9000000,"load_duration":1000000,"prompt_eval_count":20,"#,
                r#""prompt_cached_count":12,"prompt_eval_duration":2000000,"eval_count":3,"eval_duration":4000000}"#
            )
        );
    }

    #[test]
    fn the_objects_of_generate_with_logprobs() {
        let logprobs = vec![TokenLogprob {
            token: "yes".into(),
            logprob: -0.5,
            bytes: b"yes".to_vec(),
            top_logprobs: vec![TopLogprob {
                token: "no".into(),
                logprob: -1.5,
                bytes: b"no".to_vec(),
            }],
        }];
        let piece = Reply::piece(Shape::Generate, "m", AT.into(), "yes".into(), logprobs);
        assert_eq!(
            ascii::to_line(&piece),
            concat!(
                r#"{"model":"m","created_at":"2026-01-01T00:00:00Z","response":"yes","logprobs":[{"token":"yes","logprob":-0.5,"#,
                r#""bytes":[121,101,115],"top_logprobs":[{"token":"no","logprob":-1.5,"bytes":[110,111]}]}],"done":false}"#
            )
        );
    }
}
