//! Settings as a client is told them.

use serde_json::{Value, json};

use super::Settings;

impl Settings {
    /// The session object.
    pub fn written(&self, id: &str) -> Value {
        let input = json!({
            "format": self.format_in.written(),
            "transcription": self.transcription,
            "noise_reduction": self.noise_reduction,
            "turn_detection": self.turn_detection,
        });
        if self.transcribe_only {
            return json!({
                "type": "transcription", "object": "realtime.transcription_session", "id": format!("sess_{id}"),
                "audio": { "input": input }, "include": null,
            });
        }
        json!({
            "type": "realtime", "object": "realtime.session", "id": format!("sess_{id}"), "model": self.model,
            "output_modalities": [if self.aloud { "audio" } else { "text" }],
            "instructions": self.instructions, "tools": self.tools, "tool_choice": self.tool_choice,
            "max_output_tokens": self.max_output_tokens, "truncation": self.truncation, "tracing": null, "prompt": null,
            "include": null,
            "audio": {
                "input": input,
                "output": {
                    "format": self.format_out.written(),
                    "voice": self.voice.as_deref().unwrap_or("none"),
                    "speed": self.speed,
                },
            },
        })
    }

    /// A response object.
    pub fn response(
        &self,
        id: &str,
        aloud: bool,
        status: &str,
        details: Value,
        output: Vec<Value>,
    ) -> Value {
        json!({
            "object": "realtime.response", "id": id, "status": status, "status_details": details,
            "output": output, "conversation_id": null,
            "output_modalities": [if aloud { "audio" } else { "text" }],
            "max_output_tokens": self.max_output_tokens,
            "audio": { "output": {
                "format": self.format_out.written(), "voice": self.voice.as_deref().unwrap_or("none"),
            } },
            "metadata": null, "usage": null,
        })
    }
}
