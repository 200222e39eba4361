//! What the engine says, as events for the client.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{Client, Gone, giving::Giving, items};
use crate::{
    domain::{audio::s16, resample::resampled},
    voice::{
        Output,
        session::{End, Refusal, TurnId},
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
            Output::Said { reply, text, .. } => self.said(reply, &text).await,
            Output::Sound { reply, samples, rate } => {
                self.spoke = true;
                let format = self.settings.format_out;
                let samples = at_rate(samples, rate, format.rate());
                let per_delta = format.rate() as usize * DELTA_MS / 1000;
                for piece in samples.chunks(per_delta) {
                    let delta = STANDARD.encode(format.write(piece));
                    self.piece(reply, "response.output_audio.delta", delta).await?;
                }
                Ok(())
            }
            Output::Cited { reply, citation } if self.extensions => self.cited(reply, *citation).await,
            Output::Called { reply, question, call } => self.called(reply, question, *call).await,
            Output::Ended { reply, end, heard, .. } => {
                // While a tool is run nobody is idle.
                let called = self.replies.get(&reply).is_some_and(Giving::calls);
                self.idle_since = (end == End::Completed && !called).then_some(self.heard_ms);
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
