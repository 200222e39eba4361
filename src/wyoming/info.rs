//! What `describe` is answered with. From memory: it reads no model and waits for none.

use serde_json::{Value, json};

use super::{Parts, wire::Event};

/// Says what is served here. A part that is missing for now is named all the same: it may come back, and a
/// request says what is wrong with it.
pub(super) fn info(parts: &Parts) -> Event {
    let engines = &parts.engines;
    let (model, languages) = (engines.transcriber.name(), engines.transcriber.languages());
    let voices: Vec<Value> = engines
        .synthesizer
        .voices()
        .into_iter()
        .map(|voice| {
            let mut described = artifact(&voice.name, "a voice");
            described["languages"] = json!([region(&voice.language)]);
            described["speakers"] = Value::Null;
            described
        })
        .collect();
    let mut hears = artifact("griot", "Writes down what is said");
    hears["models"] = json!([with_languages(&model, "a speech model", &languages)]);
    hears["supports_transcript_streaming"] = true.into();
    hears["requires_external_vad"] = true.into();
    hears["prefers_auto_gain_enabled"] = false.into();
    hears["prefers_noise_reduction_enabled"] = false.into();
    let mut speaks = artifact("griot", "Speaks");
    speaks["voices"] = voices.into();
    speaks["supports_synthesize_streaming"] = true.into();
    let mut answers = artifact("griot", "Answers questions from your documents");
    answers["models"] = json!([with_languages(
        "griot",
        "Answers with proven quotations",
        &languages
    )]);
    answers["supports_handled_streaming"] = true.into();
    answers["supports_home_control"] = false.into();
    let mut info = Event::new("info")
        .with("asr", vec![hears])
        .with("tts", vec![speaks])
        .with("handle", vec![answers]);
    for none in ["intent", "wake", "mic", "snd"] {
        info = info.with(none, Vec::<Value>::new());
    }
    info
}

/// What the protocol wants to be said of every program, model and voice.
fn artifact(name: &str, description: &str) -> Value {
    json!({
        "name": name,
        "description": description,
        "attribution": { "name": "Griot", "url": "" },
        "installed": true,
        "version": env!("CARGO_PKG_VERSION"),
    })
}

fn with_languages(name: &str, description: &str, languages: &[String]) -> Value {
    let mut model = artifact(name, description);
    model["languages"] = json!(languages);
    model
}

/// A language as Home Assistant writes it: `en-us` is `en-US`.
fn region(language: &str) -> String {
    match language.split_once(['-', '_']) {
        Some((language, region)) => format!("{language}-{}", region.to_uppercase()),
        None => language.to_owned(),
    }
}
