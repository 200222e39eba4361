//! The session object: what a client may set, what it is told, and what the engine makes of it.

mod format;
mod written;

use std::sync::Arc;

use serde_json::{Value, json};

pub use format::Format;

use super::tools;
use crate::{
    domain::{Offer, Profile},
    voice::{
        Engine, Options,
        session::Tuning,
        turn::{Detection, Patience},
    },
};

/// Why an update is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub code: &'static str,
    pub message: String,
}

impl Refused {
    fn value(message: String) -> Self {
        Self {
            code: "invalid_value",
            message,
        }
    }
}

/// A session's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    model: String,
    instructions: String,
    /// As they were given.
    tools: Value,
    tool_choice: Value,
    /// What they come to.
    offer: Arc<Offer>,
    max_output_tokens: Value,
    /// How much of a long conversation a prompt sees; ours see its last turns whatever is said here.
    truncation: Value,
    pub aloud: bool,
    pub format_in: Format,
    pub format_out: Format,
    /// As it was given; `null`: off.
    transcription: Value,
    noise_reduction: Value,
    turn_detection: Value,
    voice: Option<String>,
    /// Speaks where a client asks for a voice that is not here.
    usual_voice: Option<String>,
    speed: f64,
    /// Of the profile: how long pauses may be (1 is usual), and how easily speech silences an answer.
    patience: f64,
    barge_in: Option<f64>,
    /// Whether the client is told the words of turns.
    pub transcribe: bool,
    /// Turns are written down and not answered.
    pub transcribe_only: bool,
}

impl Settings {
    pub fn new(model: &str, voice: Option<String>) -> Self {
        Self {
            model: model.to_owned(),
            instructions: String::new(),
            tools: json!([]),
            tool_choice: json!("auto"),
            offer: Arc::default(),
            max_output_tokens: json!("inf"),
            truncation: json!("auto"),
            aloud: true,
            format_in: Format::Pcm,
            format_out: Format::Pcm,
            transcription: json!({ "model": "griot", "language": null, "prompt": null }),
            noise_reduction: Value::Null,
            turn_detection: json!({
                "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500,
                "idle_timeout_ms": null, "create_response": true, "interrupt_response": true,
            }),
            usual_voice: voice.clone(),
            voice,
            speed: 1.0,
            patience: 1.0,
            barge_in: None,
            transcribe: true,
            transcribe_only: false,
        }
    }

    /// These settings as somebody wants them, before the client sets anything. `voice`: the one they want.
    pub fn with_profile(mut self, profile: &Profile, voice: Option<String>) -> Self {
        if voice.is_some() {
            self.usual_voice.clone_from(&voice);
            self.voice = voice;
        }
        self.speed = profile.speed.unwrap_or(self.speed);
        if let Some(language) = &profile.language {
            self.transcription["language"] = json!(language);
        }
        if let Some(patience) = profile.patience {
            self.patience = patience;
            self.turn_detection["silence_duration_ms"] = json!(self.silence());
        }
        if let Some(barge_in) = profile.barge_in {
            self.barge_in = Some(barge_in);
            self.turn_detection["interrupt_response"] = json!(barge_in > 0.0);
        }
        self
    }

    /// Silence after an answer of which the client wants to be told, milliseconds.
    pub fn idle_timeout(&self) -> Option<u64> {
        let limit = self.turn_detection["idle_timeout_ms"].as_f64()?;
        Some(limit as u64)
    }

    /// Silence that ends a turn where the client does not say how much, milliseconds.
    fn silence(&self) -> f64 {
        (500.0 * self.patience).round()
    }

    /// Whether the server finds the ends of turns.
    pub fn detects(&self) -> bool {
        !self.turn_detection.is_null()
    }

    /// These settings with what an update changes. What is absent stays, what is `null` is turned off.
    pub fn updated(
        &self,
        session: &Value,
        voices: &[String],
        spoke: bool,
    ) -> Result<Self, Refused> {
        let mut new = self.clone();
        match session["type"].as_str() {
            Some("realtime") => new.transcribe_only = false,
            Some("transcription") => new.transcribe_only = true,
            Some(other) => {
                return Err(Refused::value(format!(
                    "a session is realtime or transcription, not {other:?}"
                )));
            }
            None => {
                return Err(Refused {
                    code: "missing_required_parameter",
                    message: "`session.type` is missing: `realtime` or `transcription`".to_owned(),
                });
            }
        }
        if let Some(text) = session["instructions"].as_str() {
            text.clone_into(&mut new.instructions);
        }
        for (field, place) in [
            ("tools", &mut new.tools),
            ("tool_choice", &mut new.tool_choice),
            ("max_output_tokens", &mut new.max_output_tokens),
            ("truncation", &mut new.truncation),
        ] {
            if let Some(value) = session.get(field) {
                *place = value.clone();
            }
        }
        new.offer = tools::offer(&new.tools, &new.tool_choice).map_err(Refused::value)?;
        if let Some(modalities) = session.get("output_modalities") {
            new.aloud = match modalities {
                list if *list == json!(["audio"]) => true,
                list if *list == json!(["text"]) => false,
                _ => {
                    return Err(Refused::value(
                        "`output_modalities` is [\"audio\"] or [\"text\"]".to_owned(),
                    ));
                }
            };
        }
        let (input, output) = (&session["audio"]["input"], &session["audio"]["output"]);
        if let Some(format) = input.get("format").filter(|format| !format.is_null()) {
            new.format_in = Format::parse(format)?;
        }
        if let Some(transcription) = input.get("transcription") {
            new.transcribe = !transcription.is_null();
            new.transcription = transcription.clone();
        }
        if let Some(reduction) = input.get("noise_reduction") {
            new.noise_reduction = reduction.clone();
        }
        if let Some(detection) = input.get("turn_detection") {
            new.turn_detection = self.detection(detection)?;
        }
        if let Some(format) = output.get("format").filter(|format| !format.is_null()) {
            let format = Format::parse(format)?;
            if spoke && format != self.format_out {
                return Err(Refused::value(
                    "the output format cannot change after the first sound".to_owned(),
                ));
            }
            new.format_out = format;
        }
        if let Some(voice) = output.get("voice") {
            // Voices that are not here are those of another server: the usual one stands in for them.
            let name = voice.as_str().or(voice["id"].as_str());
            let known = name.filter(|name| voices.iter().any(|voice| voice == name));
            let chosen = known
                .map(str::to_owned)
                .or_else(|| self.usual_voice.clone());
            if spoke && chosen != self.voice {
                return Err(Refused::value(
                    "the voice cannot change after the first sound".to_owned(),
                ));
            }
            new.voice = chosen;
        }
        if let Some(speed) = output.get("speed") {
            new.speed = speed
                .as_f64()
                .filter(|speed| (0.25..=1.5).contains(speed))
                .ok_or_else(|| Refused::value("`speed` is from 0.25 to 1.5".to_owned()))?;
        }
        Ok(new)
    }

    /// The tools for one response, where it names some of its own or chooses otherwise among the session's.
    pub fn offer_of(&self, response: &Value) -> Result<Option<Arc<Offer>>, Refused> {
        let (tools, choice) = (response.get("tools"), response.get("tool_choice"));
        if tools.is_none() && choice.is_none() {
            return Ok(None);
        }
        let tools = tools.unwrap_or(&self.tools);
        tools::offer(tools, choice.unwrap_or(&self.tool_choice))
            .map(Some)
            .map_err(Refused::value)
    }

    /// These settings with the language that is heard, if one was named.
    pub fn heard_by(mut self, engine: &Engine) -> Result<Self, Refused> {
        if let Some(wanted) = self.transcription["language"].as_str() {
            let language = engine.language(wanted);
            let language = language.map_err(|error| Refused::value(error.to_string()))?;
            self.transcription["language"] = json!(language);
        }
        Ok(self)
    }

    /// Turn detection, completed.
    fn detection(&self, given: &Value) -> Result<Value, Refused> {
        let or = |field: &str, usual: Value| match given.get(field) {
            Some(value) => value.clone(),
            None if self.turn_detection["type"] == given["type"]
                && self.turn_detection.get(field).is_some() =>
            {
                self.turn_detection[field].clone()
            }
            None => usual,
        };
        let within = |field: &str, least: f64, most: f64, usual: f64| {
            let value = or(field, json!(usual));
            match value.as_f64() {
                Some(number) if (least..=most).contains(&number) => Ok(value),
                _ => Err(Refused::value(format!(
                    "`{field}` is a number from {least} to {most}"
                ))),
            }
        };
        match given["type"].as_str() {
            _ if given.is_null() => Ok(Value::Null),
            Some("server_vad") => Ok(json!({
                "type": "server_vad",
                "threshold": within("threshold", 0.0, 1.0, 0.5)?,
                "prefix_padding_ms": within("prefix_padding_ms", 0.0, 5000.0, 300.0)?,
                "silence_duration_ms": within("silence_duration_ms", 100.0, 10_000.0, self.silence())?,
                "idle_timeout_ms": match or("idle_timeout_ms", Value::Null) {
                    Value::Null => Value::Null,
                    _ => within("idle_timeout_ms", 5000.0, 30_000.0, 0.0)?,
                },
                "create_response": or("create_response", json!(true)),
                "interrupt_response": or("interrupt_response", json!(self.barge_in != Some(0.0))),
            })),
            Some("semantic_vad") => {
                let eagerness = or("eagerness", json!("auto"));
                if !["low", "medium", "high", "auto"]
                    .iter()
                    .any(|known| eagerness == *known)
                {
                    return Err(Refused::value(
                        "`eagerness` is low, medium, high or auto".to_owned(),
                    ));
                }
                Ok(json!({
                    "type": "semantic_vad",
                    "eagerness": eagerness,
                    "create_response": or("create_response", json!(true)),
                    "interrupt_response": or("interrupt_response", json!(self.barge_in != Some(0.0))),
                }))
            }
            _ => Err(Refused::value(
                "`turn_detection` is null, server_vad or semantic_vad".to_owned(),
            )),
        }
    }

    /// What the engine makes of them.
    pub fn options(&self) -> Options {
        let detection = &self.turn_detection;
        let flag = |field: &str| detection[field].as_bool().unwrap_or(true);
        let ms = |field: &str, usual: u64| detection[field].as_f64().map_or(usual, |ms| ms as u64);
        let tuning = match detection["type"].as_str() {
            Some("server_vad") => Tuning {
                detection: Detection::Silence(ms("silence_duration_ms", 500)),
                threshold: detection["threshold"].as_f64().unwrap_or(0.5).max(0.05) as f32,
                preroll: ms("prefix_padding_ms", 300),
                respond: flag("create_response"),
                interruptible: flag("interrupt_response"),
                ..Tuning::default()
            },
            Some(_) => {
                let (factor, longest) = match detection["eagerness"].as_str() {
                    Some("low") => (1.6, 8000),
                    Some("high") => (0.7, 2000),
                    _ => (1.0, 4000),
                };
                Tuning {
                    detection: Detection::Judged(Patience {
                        factor: factor * self.patience as f32,
                        longest,
                    }),
                    respond: flag("create_response"),
                    interruptible: flag("interrupt_response"),
                    ..Tuning::default()
                }
            }
            None => Tuning {
                detection: Detection::Manual,
                respond: false,
                ..Tuning::default()
            },
        };
        Options {
            tuning: Tuning {
                respond: tuning.respond && !self.transcribe_only,
                // A client that asks for interruptions gets them, however reluctant the profile is.
                interruptible: tuning.interruptible,
                ..tuning.with_barge_in(self.barge_in)
            },
            // A collection is also a model, named `griot:COLLECTION`.
            collection: self
                .model
                .strip_prefix("griot:")
                .and_then(|name| name.parse().ok()),
            conversation: None,
            rate_in: self.format_in.rate(),
            rate_out: self.format_out.rate(),
            aloud: self.aloud && !self.transcribe_only,
            voice: self.voice.clone(),
            language: self.transcription["language"].as_str().map(str::to_owned),
            speed: self.speed as f32,
            offer: Arc::clone(&self.offer),
        }
    }
}

#[cfg(test)]
mod tests;
