//! A reply as it comes: lines of JSON out of chunks of bytes that end anywhere.

use std::{collections::VecDeque, time::Duration};

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use reqwest::Response;
use serde::Deserialize;

use super::failure::{Failure, shown};
use crate::{
    domain::Component,
    ports::{Alternative, ChatEvent, ChatStream, Finish, TokenLogprob},
};

/// Longest line that is read. A delta is some hundred bytes, a final line without its old `context`
/// field too.
const LINE: usize = 1 << 20;

/// The events of a streamed `/api/chat`. Dropping the stream drops the connection.
pub(super) fn stream(response: Response, max_tokens: u32) -> ChatStream {
    let body = response
        .bytes_stream()
        .map(|chunk| match chunk {
            Ok(bytes) => Ok(bytes.to_vec()),
            Err(error) => Err(Failure::Broken(error.without_url())),
        })
        .boxed();
    let reply = Reply {
        body,
        lines: Lines::default(),
        max_tokens,
        ready: VecDeque::new(),
        ended: false,
    };
    Box::pin(stream::unfold(reply, async |mut reply| {
        let event = reply.next().await?;
        Some((
            event.map_err(|failure| failure.at(Component::LanguageModel)),
            reply,
        ))
    }))
}

struct Reply {
    body: BoxStream<'static, Result<Vec<u8>, Failure>>,
    lines: Lines,
    max_tokens: u32,
    /// Events of lines that were read.
    ready: VecDeque<ChatEvent>,
    /// `Done` or an error was given out: nothing follows.
    ended: bool,
}

impl Reply {
    async fn next(&mut self) -> Option<Result<ChatEvent, Failure>> {
        if self.ended {
            return None;
        }
        let event = self.read().await;
        self.ended = !matches!(event, Ok(ChatEvent::Delta { .. }));
        Some(event)
    }

    async fn read(&mut self) -> Result<ChatEvent, Failure> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            if let Some(line) = self.lines.next() {
                self.take(&line)?;
            } else if let Some(chunk) = self.body.next().await {
                self.lines.push(&chunk?)?;
            } else if let Some(line) = self.lines.rest() {
                self.take(&line)?;
            } else {
                return Err(Failure::Cut);
            }
        }
    }

    /// Turns a line into its events.
    fn take(&mut self, line: &[u8]) -> Result<(), Failure> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let line: Line = serde_json::from_slice(line).map_err(Failure::Garbled)?;
        if let Some(error) = line.error {
            return Err(Failure::GaveUp(shown(&error)));
        }
        let text = line.message.map(|message| message.content);
        let text = text.unwrap_or_default();
        let logprobs: Vec<TokenLogprob> = line
            .logprobs
            .unwrap_or_default()
            .into_iter()
            .map(|token| TokenLogprob {
                token: token.token,
                logprob: token.logprob,
                alternatives: token
                    .top_logprobs
                    .into_iter()
                    .map(|other| Alternative {
                        token: other.token,
                        logprob: other.logprob,
                    })
                    .collect(),
            })
            .collect();
        if !text.is_empty() || !logprobs.is_empty() {
            self.ready.push_back(ChatEvent::Delta { text, logprobs });
        }
        if line.done {
            let completion_tokens = line.eval_count.unwrap_or_default();
            let finish = match line.done_reason.as_deref() {
                Some("length") => Finish::Length,
                // Servers older than the field.
                None if completion_tokens >= u64::from(self.max_tokens) => Finish::Length,
                _ => Finish::Stop,
            };
            self.ready.push_back(ChatEvent::Done {
                finish,
                prompt_tokens: line.prompt_eval_count.unwrap_or_default(),
                completion_tokens,
                prompt_eval: Duration::from_nanos(line.prompt_eval_duration.unwrap_or_default()),
                eval: Duration::from_nanos(line.eval_duration.unwrap_or_default()),
            });
        }
        Ok(())
    }
}

/// One line of the reply. Ollama leaves counts out that are zero.
#[derive(Deserialize)]
struct Line {
    error: Option<String>,
    message: Option<LineMessage>,
    logprobs: Option<Vec<LineLogprob>>,
    #[serde(default)]
    done: bool,
    done_reason: Option<String>,
    prompt_eval_count: Option<u64>,
    eval_count: Option<u64>,
    /// Nanoseconds, as the next.
    prompt_eval_duration: Option<u64>,
    eval_duration: Option<u64>,
}

#[derive(Deserialize)]
struct LineMessage {
    #[serde(default)]
    content: String,
}

#[derive(Deserialize)]
struct LineLogprob {
    token: String,
    logprob: f32,
    #[serde(default)]
    top_logprobs: Vec<LineAlternative>,
}

#[derive(Deserialize)]
struct LineAlternative {
    token: String,
    logprob: f32,
}

/// Bytes to lines.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    /// Before it, no byte is the end of a line.
    searched: usize,
}

impl Lines {
    fn push(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        self.bytes.extend_from_slice(chunk);
        let unfinished = self.bytes.iter().rev().take_while(|byte| **byte != b'\n');
        if unfinished.take(LINE + 1).count() > LINE {
            return Err(Failure::TooLong { limit: LINE });
        }
        Ok(())
    }

    /// The next complete line.
    fn next(&mut self) -> Option<Vec<u8>> {
        let unsearched = &self.bytes[self.searched..];
        let Some(end) = unsearched.iter().position(|byte| *byte == b'\n') else {
            self.searched = self.bytes.len();
            return None;
        };
        let rest = self.bytes.split_off(self.searched + end + 1);
        self.searched = 0;
        Some(std::mem::replace(&mut self.bytes, rest))
    }

    /// What follows the last complete line, at the end of the body.
    fn rest(&mut self) -> Option<Vec<u8>> {
        self.searched = 0;
        (!self.bytes.is_empty()).then(|| std::mem::take(&mut self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The events of a body that comes in the given pieces, in short: `"text"` a delta, `stop 5/2` the end with prompt and completion tokens,
    /// `! …` an error.
    async fn short(pieces: Vec<Vec<u8>>) -> Vec<String> {
        let mut reply = Reply {
            body: stream::iter(pieces.into_iter().map(Ok)).boxed(),
            lines: Lines::default(),
            max_tokens: 3,
            ready: VecDeque::new(),
            ended: false,
        };
        let mut events = Vec::new();
        while let Some(event) = reply.next().await {
            events.push(match event {
                Ok(ChatEvent::Delta { text, logprobs }) if logprobs.is_empty() => {
                    format!("{text:?}")
                }
                Ok(ChatEvent::Delta { text, logprobs }) => format!("{text:?} {logprobs:?}"),
                Ok(ChatEvent::Done {
                    finish,
                    prompt_tokens,
                    completion_tokens,
                    ..
                }) => format!("{finish:?} {prompt_tokens}/{completion_tokens}").to_lowercase(),
                Err(failure) => format!("! {failure}"),
            });
        }
        events
    }

    async fn check(body: &str, expected: &[&str]) {
        assert_eq!(short(vec![body.as_bytes().to_vec()]).await, expected);
    }

    #[tokio::test]
    async fn replies_are_read() {
        check(
            concat!(
                r#"{"model":"m","message":{"role":"assistant","content":"Mo"},"done":false}"#,
                "\n\r\n",
                r#"{"message":{"content":"ntag"}}"#,
                "\n",
                r#"{"message":{"content":""},"done":true,"done_reason":"stop","prompt_eval_count":5,"eval_count":2}"#,
                "\n",
            ),
            &[r#""Mo""#, r#""ntag""#, "stop 5/2"],
        )
        .await;
        // The last line holds text and has no end; counts are missing.
        check(
            r#"{"message":{"content":"all"},"done":true}"#,
            &[r#""all""#, "stop 0/0"],
        )
        .await;
        check(r#"{"done":true,"eval_count":3}"#, &["length 0/3"]).await;
        check(
            r#"{"done":true,"done_reason":"stop","eval_count":3}"#,
            &["stop 0/3"],
        )
        .await;
        check(
            r#"{"done":true,"done_reason":"length","eval_count":2}"#,
            &["length 0/2"],
        )
        .await;
        check(
            concat!(
                r#"{"message":{"content":"y"},"logprobs":[{"token":"y","logprob":-0.5,"bytes":[121],"top_logprobs":[{"token":"Y","logprob":-1.5,"bytes":[89]}]}]}"#,
                "\n",
                r#"{"done":true}"#
            ),
            &[
                concat!(
                    r#""y" [TokenLogprob { token: "y", logprob: -0.5, "#,
                    r#"alternatives: [Alternative { token: "Y", logprob: -1.5 }] }]"#
                ),
                "stop 0/0",
            ],
        )
        .await;
        // What comes after the end is not read.
        check("{\"done\":true}\n{\"error\":\"late\"}\n", &["stop 0/0"]).await;
    }

    #[tokio::test]
    async fn broken_replies_end_with_one_error() {
        check(
            "{\"message\":{\"content\":\"Mo\"}}\n",
            &[r#""Mo""#, "! the reply ended before it was finished"],
        )
        .await;
        check("", &["! the reply ended before it was finished"]).await;
        check(
            "{\"message\":{\"content\":\"Mo\"}}\n{\"error\":\"runner\\nended\"}\n{\"done\":true}\n",
            &[
                r#""Mo""#,
                "! it gave up in the middle of the reply: runner ended",
            ],
        )
        .await;
        for garbled in [
            "<html>\n",
            "{\"message\":{\"content\":\"M",
            "[1]\n",
            "\u{0}\n",
        ] {
            let events = short(vec![garbled.as_bytes().to_vec()]).await;
            assert_eq!(events.len(), 1, "{garbled:?}: {events:?}");
            assert!(
                events[0].contains("not what the Ollama API describes"),
                "{events:?}"
            );
        }
        let endless = short(vec![vec![b' '; LINE / 2]; 3]).await;
        assert_eq!(
            endless,
            ["! a line of the reply is longer than 1048576 bytes"]
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

        /// Wherever the network cuts the body, inside characters too, the text is the same.
        #[test]
        fn pieces_do_not_matter(
            texts in prop::collection::vec("\\PC{1,12}", 0..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let mut body = String::new();
            for text in &texts {
                body += &serde_json::json!({"message": {"content": text}}).to_string();
                body.push('\n');
            }
            body += "{\"done\":true}\n";
            let bytes = body.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect();
            let mut expected: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
            expected.push("stop 0/0".to_owned());
            prop_assert_eq!(futures::executor::block_on(short(pieces)), expected);
        }
    }
}
