//! What the engine says, as events for the client.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Client, Giving, Gone, items};
use crate::{
    domain::{audio::s16, resample::resampled},
    http::wire,
    voice::{
        Output,
        session::{By, End, Refusal, ReplyId, TurnId},
    },
};

/// Milliseconds of sound in one delta.
const DELTA_MS: usize = 100;

/// Sound that may have been made before the client asked for another format.
fn at_rate(samples: Vec<i16>, from: u32, to: u32) -> Vec<i16> {
    if from == to {
        return samples;
    }
    let samples: Vec<f32> = samples
        .into_iter()
        .map(|s| f32::from(s) / 32768.0)
        .collect();
    s16(&resampled(&samples, from, to)).collect()
}

impl Client {
    pub(super) fn turn_item(&mut self, turn: TurnId) -> String {
        self.turns.entry(turn).or_insert_with(items::new_id).clone()
    }

    pub(super) async fn committed(&mut self, turn: TurnId) -> Result<(), Gone> {
        let item_id = self.turn_item(turn);
        self.commit_item(item_id).await
    }

    async fn commit_item(&mut self, item_id: String) -> Result<(), Gone> {
        let item = json!({
            "id": item_id, "object": "realtime.item", "type": "message", "status": "completed", "role": "user",
            "content": [{ "type": "input_audio", "transcript": null }],
        });
        let previous = self.items.push(item.clone(), None);
        self.wire
            .send(json!({ "type": "input_audio_buffer.committed", "item_id": item_id, "previous_item_id": previous }))
            .await?;
        for kind in ["conversation.item.added", "conversation.item.done"] {
            self.wire
                .send(json!({ "type": kind, "item": item, "previous_item_id": previous }))
                .await?;
        }
        Ok(())
    }

    pub(super) async fn tell(&mut self, output: Output) -> Result<(), Gone> {
        match output {
            Output::SpeechStarted { turn, at } => {
                self.idle_since = None;
                let item_id = self.turn_item(turn);
                self.wire
                    .send(json!({ "type": "input_audio_buffer.speech_started", "audio_start_ms": at, "item_id": item_id }))
                    .await
            }
            Output::SpeechStopped { turn, at } => {
                let item_id = self.turn_item(turn);
                self.appended_ms = 0;
                self.wire
                    .send(json!({ "type": "input_audio_buffer.speech_stopped", "audio_end_ms": at, "item_id": item_id }))
                    .await
            }
            Output::Committed { turn } => self.committed(turn).await,
            Output::Caption { turn, text } if self.settings.transcribe => {
                let item_id = self.turn_item(turn);
                self.wire
                    .send(json!({
                        "type": "conversation.item.input_audio_transcription.delta",
                        "item_id": item_id, "content_index": 0, "delta": text,
                    }))
                    .await
            }
            Output::Transcript { turn, text, seconds } => {
                let item_id = self.turn_item(turn);
                self.items.transcribed(&item_id, &text);
                if !self.settings.transcribe {
                    return Ok(());
                }
                self.wire
                    .send(json!({
                        "type": "conversation.item.input_audio_transcription.completed",
                        "item_id": item_id, "content_index": 0, "transcript": text,
                        "usage": { "type": "duration", "seconds": seconds },
                    }))
                    .await
            }
            Output::Dismissed { turn, .. } => {
                let item_id = self.turn_item(turn);
                if self.items.get(&item_id).is_none() {
                    if self.settings.detects() {
                        return Ok(());
                    }
                    // A commit is answered, even one of silence.
                    self.committed(turn).await?;
                }
                if !self.settings.transcribe {
                    return Ok(());
                }
                self.wire
                    .send(json!({
                        "type": "conversation.item.input_audio_transcription.failed",
                        "item_id": item_id, "content_index": 0,
                        "error": {
                            "type": "transcription_error", "code": "no_speech",
                            "message": "nothing that could be understood was said",
                        },
                    }))
                    .await
            }
            Output::Began { reply, .. } => {
                self.idle_since = None;
                self.began(reply).await
            }
            Output::Said { reply, text, .. } => {
                let Some(giving) = self.replies.get_mut(&reply) else { return Ok(()) };
                giving.text.push_str(&text);
                let kind = match giving.aloud {
                    true => "response.output_audio_transcript.delta",
                    false => "response.output_text.delta",
                };
                let event = json!({
                    "type": kind, "response_id": giving.response, "item_id": giving.item,
                    "output_index": 0, "content_index": 0, "delta": text,
                });
                self.wire.send(event).await
            }
            Output::Sound { reply, samples, rate } => {
                self.spoke = true;
                let format = self.settings.format_out;
                let Some(giving) = self.replies.get_mut(&reply) else { return Ok(()) };
                let samples = at_rate(samples, rate, format.rate());
                let per_delta = format.rate() as usize * DELTA_MS / 1000;
                let (item, response) = (giving.item.clone(), giving.response.clone());
                for piece in samples.chunks(per_delta) {
                    let delta = STANDARD.encode(format.write(piece));
                    self.wire
                        .send(json!({
                            "type": "response.output_audio.delta", "response_id": response, "item_id": item,
                            "output_index": 0, "content_index": 0, "delta": delta,
                        }))
                        .await?;
                }
                Ok(())
            }
            Output::Cited { reply, citation } if self.extensions => {
                let Some(giving) = self.replies.get(&reply) else { return Ok(()) };
                let event = json!({
                    "type": "x_griot.citation", "response_id": giving.response, "item_id": giving.item,
                    "citation": wire::Citation::from(*citation),
                });
                self.wire.send(event).await
            }
            Output::Ended { reply, end, heard, .. } => {
                self.idle_since = (end == End::Completed).then_some(self.heard_ms);
                self.ended(reply, end, &heard).await
            }
            Output::Corrected { heard_ms, .. } => {
                let Some((_, item)) = self.asked.truncate.take() else { return Ok(()) };
                self.wire
                    .send(json!({
                        "type": "conversation.item.truncated", "item_id": item, "content_index": 0,
                        "audio_end_ms": heard_ms,
                    }))
                    .await
            }
            Output::Refused(why) => self.refused(why).await,
            Output::Duck(on) if self.extensions => {
                self.wire.send(json!({ "type": "x_griot.duck", "on": on })).await
            }
            Output::Degraded(components) if self.extensions => {
                self.wire.send(json!({ "type": "x_griot.degraded", "components": components })).await
            }
            Output::Handoff(active) if self.extensions => {
                self.wire.send(json!({ "type": "x_griot.handoff", "active": active })).await
            }
            Output::State(_)
            | Output::Caption { .. }
            | Output::Cited { .. }
            | Output::Duck(_)
            | Output::Flushed { .. }
            | Output::Degraded(_)
            | Output::Handoff(_)
            | Output::SoFar { .. }
            // Another person's voice belongs to no response.
            | Output::Voice(_) => Ok(()),
        }
    }

    /// Tells the client once when nobody has said anything for as long as it wants to know of, after an answer. The
    /// silence is an item; it is not answered, since there is nothing in it that documents could say something to.
    pub(super) async fn unless_idle(&mut self) -> Result<(), Gone> {
        let (Some(since), Some(limit)) = (self.idle_since, self.settings.idle_timeout()) else {
            return Ok(());
        };
        if self.heard_ms < since + limit {
            return Ok(());
        }
        self.idle_since = None;
        let item_id = items::new_id();
        self.wire
            .send(json!({
                "type": "input_audio_buffer.timeout_triggered", "item_id": item_id,
                "audio_start_ms": since, "audio_end_ms": self.heard_ms,
            }))
            .await?;
        self.commit_item(item_id).await
    }

    pub(super) async fn began(&mut self, reply: ReplyId) -> Result<(), Gone> {
        let giving = Giving {
            item: items::new_id(),
            response: format!("resp_{}", Uuid::new_v4().simple()),
            text: String::new(),
            aloud: self.settings.aloud && !self.engine.voices().is_empty(),
        };
        let item = json!({
            "id": giving.item, "object": "realtime.item", "type": "message", "status": "in_progress",
            "role": "assistant", "content": [],
        });
        let part = match giving.aloud {
            true => json!({ "type": "audio", "transcript": "" }),
            false => json!({ "type": "text", "text": "" }),
        };
        let (item_id, response) = (giving.item.clone(), giving.response.clone());
        let previous = self.items.push(item.clone(), None);
        let created =
            self.settings
                .response(&response, giving.aloud, "in_progress", Value::Null, vec![]);
        self.replies.insert(reply, giving);
        self.wire
            .send(json!({ "type": "response.created", "response": created }))
            .await?;
        self.wire
            .send(json!({ "type": "response.output_item.added", "response_id": response, "output_index": 0, "item": item }))
            .await?;
        self.wire
            .send(json!({ "type": "conversation.item.added", "item": item, "previous_item_id": previous }))
            .await?;
        self.wire
            .send(json!({
                "type": "response.content_part.added", "response_id": response, "item_id": item_id,
                "output_index": 0, "content_index": 0, "part": part,
            }))
            .await
    }

    pub(super) async fn ended(
        &mut self,
        reply: ReplyId,
        end: End,
        heard: &str,
    ) -> Result<(), Gone> {
        let Some(giving) = self.replies.remove(&reply) else {
            return Ok(());
        };
        let place = |kind: &str| {
            json!({
                "type": kind, "response_id": giving.response, "item_id": giving.item,
                "output_index": 0, "content_index": 0,
            })
        };
        let mut part = json!({ "type": "text", "text": giving.text });
        let mut content = json!({ "type": "output_text", "text": giving.text });
        if giving.aloud {
            self.wire.send(place("response.output_audio.done")).await?;
            let mut done = place("response.output_audio_transcript.done");
            done["transcript"] = json!(giving.text);
            self.wire.send(done).await?;
            part = json!({ "type": "audio", "transcript": giving.text });
            content = json!({ "type": "output_audio", "transcript": giving.text });
        } else {
            let mut done = place("response.output_text.done");
            done["text"] = json!(giving.text);
            self.wire.send(done).await?;
        }
        let mut done = place("response.content_part.done");
        done["part"] = part;
        self.wire.send(done).await?;
        let (status, item_status, details) = match end {
            End::Completed => ("completed", "completed", Value::Null),
            End::Failed => (
                "failed",
                "incomplete",
                json!({ "type": "failed", "error": {
                    "type": "server_error", "code": "answer_failed", "message": "the answer broke off; ask again",
                } }),
            ),
            End::Cancelled(by) => {
                let reason = if by == By::Speech {
                    "turn_detected"
                } else {
                    "client_cancelled"
                };
                (
                    "cancelled",
                    "incomplete",
                    json!({ "type": "cancelled", "reason": reason }),
                )
            }
        };
        let item = json!({
            "id": giving.item, "object": "realtime.item", "type": "message", "status": item_status,
            "role": "assistant", "content": [content],
        });
        // What is kept is what was heard.
        let mut kept = item.clone();
        if let End::Cancelled(_) = end {
            let field = if giving.aloud { "transcript" } else { "text" };
            kept["content"][0][field] = json!(heard);
        }
        let previous = self.items.replace(&giving.item, kept);
        self.answered.insert(giving.item.clone(), reply);
        self.wire
            .send(json!({ "type": "conversation.item.done", "item": item, "previous_item_id": previous }))
            .await?;
        self.wire
            .send(json!({ "type": "response.output_item.done", "response_id": giving.response, "output_index": 0, "item": item }))
            .await?;
        let response =
            self.settings
                .response(&giving.response, giving.aloud, status, details, vec![item]);
        self.wire
            .send(json!({ "type": "response.done", "response": response }))
            .await
    }

    pub(super) async fn refused(&mut self, why: Refusal) -> Result<(), Gone> {
        let (code, message, id) = match why {
            Refusal::Busy => (
                "conversation_already_has_active_response",
                "an answer is being given; cancel it first",
                self.asked.create.take(),
            ),
            Refusal::NothingToCancel => (
                "response_cancel_not_active",
                "no answer is being given",
                self.asked.cancel.take(),
            ),
            Refusal::NothingSaid => match self.asked.create.take() {
                Some(id) => (
                    "invalid_value",
                    "nothing was said or written that could be answered",
                    Some(id),
                ),
                None => (
                    "input_audio_buffer_commit_empty",
                    "nothing was said that could be answered",
                    self.asked.commit.take(),
                ),
            },
            Refusal::NothingToTruncate => (
                "invalid_value",
                "`audio_end_ms` is beyond the end of the answer, or a later one was given",
                self.asked.truncate.take().and_then(|(id, _)| id),
            ),
            Refusal::TakenOver => (
                "invalid_value",
                "somebody has taken the conversation over; they answer now",
                self.asked.create.take(),
            ),
        };
        self.wire.error(code, message, id.as_deref()).await
    }
}
