//! What the daemon tells in the simple voice protocol, as far as a person at a microphone wants to know it.

use serde::Deserialize;

/// A message of the daemon. What this program does not know is passed over.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Told {
    Ready {
        /// Samples a second of the sound that follows.
        sample_rate_out: u32,
    },
    State {
        state: String,
    },
    /// The words of the turn so far; they only ever grow.
    Partial {
        text: String,
    },
    Transcript {
        text: String,
    },
    Answer {
        text_delta: String,
    },
    Citation(Source),
    /// The answer was cut short by speech.
    Interrupted,
    TurnDone,
    /// The answer's sound is lowered while somebody speaks into it.
    Duck {
        on: bool,
    },
    Degraded {
        components: Vec<String>,
    },
    Handoff {
        active: bool,
    },
    Error {
        problem: Problem,
    },
    #[serde(other)]
    Other,
}

/// What an answer rests on.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Source {
    pub n: u32,
    pub document: String,
    #[serde(default)]
    pub page: Option<u32>,
    #[serde(default)]
    pub section: Option<String>,
    pub quote: String,
}

/// The part of a problem that a person reads.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Problem {
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read() {
        let check = |text: &str, expected: Told| {
            assert_eq!(serde_json::from_str::<Told>(text).unwrap(), expected);
        };
        check(
            r#"{"type":"ready","sample_rate_out":24000,"session_id":"x","takeover_token":"y"}"#,
            Told::Ready {
                sample_rate_out: 24_000,
            },
        );
        check(
            r#"{"type":"interrupted","turn":1,"heard_text":"Rent","heard_ms":300}"#,
            Told::Interrupted,
        );
        check(
            r#"{"type":"turn_done","turn":1,"timings_ms":{}}"#,
            Told::TurnDone,
        );
        check(r#"{"type":"of_the_future","x":1}"#, Told::Other);
        check(
            r#"{"type":"error","problem":{"type":"urn:griot:problem:conflict","detail":"no"}}"#,
            Told::Error {
                problem: Problem {
                    detail: "no".to_owned(),
                },
            },
        );
        check(
            r#"{"type":"citation","n":1,"document":"lease.pdf","page":3,"section":null,"quote":"q","turn":1}"#,
            Told::Citation(Source {
                n: 1,
                document: "lease.pdf".to_owned(),
                page: Some(3),
                section: None,
                quote: "q".to_owned(),
            }),
        );
    }
}
