//! What is said, when it is interrupted and in which room: read from `scripts/*.toml`, so that a case is a
//! few lines of data.

use std::{fs, io, path::Path};

use serde::Deserialize;

/// A conversation to be held.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// What is looked at, for the report.
    pub about: String,
    #[serde(default)]
    pub room: Room,
    /// Our own voice, as the microphone hears it.
    pub echo: Option<Echo>,
    /// Whether each turn is a conversation of its own.
    #[serde(default)]
    pub apart: bool,
    /// Turns of a quick run; all of them otherwise.
    pub quick: Option<usize>,
    #[serde(rename = "turn")]
    pub turns: Vec<Turn>,
}

/// What is heard when nobody speaks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Room {
    /// A recording, over and over; without one it is white noise.
    pub play: Option<String>,
    /// dBFS. Speech is played at -23.
    pub level_db: f32,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            play: None,
            level_db: -65.0,
        }
    }
}

/// What of the answer comes back into the microphone.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Echo {
    pub gain_db: f32,
    pub delay_ms: u64,
}

/// One thing said. Exactly one of `say`, `play` and `question` says what.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Turn {
    /// In the daemon's own voice.
    pub say: Option<String>,
    /// A recording, below the folder of recordings.
    pub play: Option<String>,
    /// The question of this name in `data/eval/questions.jsonl`, in the daemon's own voice; its accepted
    /// answers come with it.
    pub question: Option<String>,
    /// Where in the recording its speech ends, where its level does not tell: a loud room, a long echo. Read
    /// off its levels over 50 ms.
    pub ends_ms: Option<u64>,
    /// A pause of so many milliseconds is put into the middle.
    pub pause_ms: Option<u64>,
    /// Louder than usual, dB.
    pub gain_db: f32,
    /// What is said into the answer.
    pub barge: Option<Barge>,
}

/// Somebody speaks into an answer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Barge {
    pub say: Option<String>,
    pub play: Option<String>,
    /// Only so much of it.
    pub for_ms: Option<u64>,
    #[serde(default)]
    pub gain_db: f32,
    /// Counted from the first audible sound of the answer.
    pub after_ms: u64,
    /// Whether the answer has to end; else it has to go on.
    pub stops: bool,
}

/// Why a script cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    #[error("{0} is no script: {1}")]
    Malformed(String, toml::de::Error),
    #[error(
        "{0}: a turn says one of `say`, `play` and `question`, and an interruption one of the first two"
    )]
    Source(String),
    #[error("the scripts cannot be read: {0}")]
    Io(#[from] io::Error),
}

impl Script {
    /// Reads one; `name` is for the error.
    pub fn parse(name: &str, text: &str) -> Result<Self, ScriptError> {
        let script: Self =
            toml::from_str(text).map_err(|error| ScriptError::Malformed(name.to_owned(), error))?;
        let one = |sources: &[bool]| sources.iter().filter(|given| **given).count() == 1;
        let sound = script.turns.iter().all(|turn| {
            let of_turn = [
                turn.say.is_some(),
                turn.play.is_some(),
                turn.question.is_some(),
            ];
            let barge = turn.barge.as_ref();
            one(&of_turn)
                && barge.is_none_or(|barge| one(&[barge.say.is_some(), barge.play.is_some()]))
        });
        if sound {
            Ok(script)
        } else {
            Err(ScriptError::Source(name.to_owned()))
        }
    }
}

/// All scripts of a folder, by name.
pub fn read(folder: &Path) -> Result<Vec<(String, Script)>, ScriptError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if path.extension().is_some_and(|kind| kind == "toml") {
            let script = Script::parse(&name, &fs::read_to_string(&path)?)?;
            found.push((name.into_owned(), script));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}
