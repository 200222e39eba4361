//! The names of before general availability: the same protocol under other words.

use serde_json::{Value, json};

/// An event under its beta name. `conversation.item.added` and `.done` were one event, `.created`.
pub fn named(mut event: Value) -> Vec<Value> {
    let kind = event["type"].as_str().unwrap_or_default().to_owned();
    if kind == "conversation.item.done" {
        return Vec::new();
    }
    let kind = match kind.as_str() {
        "conversation.item.added" => "conversation.item.created".to_owned(),
        other => other
            .replace("response.output_audio", "response.audio")
            .replace("response.output_text", "response.text"),
    };
    event["type"] = json!(kind);
    if let Some(session) = event.get_mut("session") {
        *session = flat(session);
    }
    for place in ["/item", "/response"] {
        if let Some(value) = event.pointer_mut(place) {
            renamed(value);
        }
    }
    vec![event]
}

/// Content types and modalities, wherever they stand.
fn renamed(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(kind)) = fields.get_mut("type") {
                match kind.as_str() {
                    "output_audio" => "audio".clone_into(kind),
                    "output_text" => "text".clone_into(kind),
                    _ => {}
                }
            }
            if let Some(modalities) = fields.remove("output_modalities") {
                fields.insert("modalities".to_owned(), both(&modalities));
            }
            fields.values_mut().for_each(renamed);
        }
        Value::Array(items) => items.iter_mut().for_each(renamed),
        _ => {}
    }
}

/// Audio always came with its text.
fn both(modalities: &Value) -> Value {
    if *modalities == json!(["audio"]) {
        json!(["text", "audio"])
    } else {
        modalities.clone()
    }
}

const FORMATS: [(&str, &str); 3] = [
    ("pcm16", "audio/pcm"),
    ("g711_ulaw", "audio/pcmu"),
    ("g711_alaw", "audio/pcma"),
];

/// The session object, flat.
fn flat(session: &Value) -> Value {
    let format = |format: &Value| {
        let known = FORMATS.iter().find(|(_, ga)| format["type"] == *ga);
        known.map_or(Value::Null, |(beta, _)| json!(beta))
    };
    let (input, output) = (&session["audio"]["input"], &session["audio"]["output"]);
    json!({
        "id": session["id"], "object": "realtime.session", "model": session["model"],
        "modalities": both(&session["output_modalities"]),
        "instructions": session["instructions"], "tools": session["tools"], "tool_choice": session["tool_choice"],
        "max_response_output_tokens": session["max_output_tokens"],
        "voice": output["voice"], "speed": output["speed"],
        "input_audio_format": format(&input["format"]), "output_audio_format": format(&output["format"]),
        "input_audio_transcription": input["transcription"],
        "input_audio_noise_reduction": input["noise_reduction"],
        "turn_detection": input["turn_detection"],
    })
}

/// The session object of an update, as it is today.
pub fn session(flat: &Value) -> Value {
    let mut session = json!({ "type": "realtime" });
    for (beta, ga) in [
        ("instructions", "/instructions"),
        ("tools", "/tools"),
        ("tool_choice", "/tool_choice"),
        ("max_response_output_tokens", "/max_output_tokens"),
        ("voice", "/audio/output/voice"),
        ("speed", "/audio/output/speed"),
        ("input_audio_format", "/audio/input/format"),
        ("output_audio_format", "/audio/output/format"),
        ("input_audio_transcription", "/audio/input/transcription"),
        (
            "input_audio_noise_reduction",
            "/audio/input/noise_reduction",
        ),
        ("turn_detection", "/audio/input/turn_detection"),
        ("modalities", "/output_modalities"),
    ] {
        let Some(value) = flat.get(beta) else {
            continue;
        };
        let value = match beta {
            "input_audio_format" | "output_audio_format" => {
                let known = FORMATS.iter().find(|(name, _)| *value == *name);
                json!({ "type": known.map_or("unknown", |(_, ga)| *ga) })
            }
            "modalities" => {
                let audio = value
                    .as_array()
                    .is_some_and(|list| list.contains(&json!("audio")));
                json!([if audio { "audio" } else { "text" }])
            }
            _ => value.clone(),
        };
        let mut place = &mut session;
        for name in ga[1..].split('/') {
            place = &mut place[name];
        }
        *place = value;
    }
    session
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_under_their_old_names() {
        let check = |ga: &str, beta: &str| {
            let names: Vec<Value> = named(json!({ "type": ga }))
                .into_iter()
                .map(|event| event["type"].clone())
                .collect();
            let expected: Vec<Value> = beta.split_whitespace().map(|name| json!(name)).collect();
            assert_eq!(names, expected);
        };
        check("response.output_audio.delta", "response.audio.delta");
        check(
            "response.output_audio_transcript.done",
            "response.audio_transcript.done",
        );
        check("response.output_text.delta", "response.text.delta");
        check("conversation.item.added", "conversation.item.created");
        check("conversation.item.done", "");
        check("response.output_item.added", "response.output_item.added");
        let arguments = "response.function_call_arguments.done";
        check(arguments, arguments);
        check("session.created", "session.created");
    }

    #[test]
    fn sessions_there_and_back() {
        let update = json!({
            "modalities": ["text", "audio"], "input_audio_format": "g711_ulaw", "voice": "joe",
            "turn_detection": null, "input_audio_transcription": { "model": "whisper-1" },
        });
        let today = session(&update);
        assert_eq!(
            today,
            json!({
                "type": "realtime", "output_modalities": ["audio"],
                "audio": {
                    "input": { "format": { "type": "audio/pcmu" }, "turn_detection": null, "transcription": { "model": "whisper-1" } },
                    "output": { "voice": "joe" },
                },
            })
        );
        let flat = flat(&today);
        assert_eq!(flat["modalities"], json!(["text", "audio"]));
        assert_eq!(flat["input_audio_format"], "g711_ulaw");
    }
}
