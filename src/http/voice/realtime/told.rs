//! Events of the client, and what the engine is told of them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Client, Gone, beta, items, settings::Refused};
use crate::voice::{Conversation, Input, Options};

/// Seconds of sound that are appended at once, at most.
const LONGEST_S: usize = 60;
/// A commit of less than this is of nothing.
const LEAST_MS: u64 = 100;

async fn put(conversation: &Conversation, input: Input) -> Result<(), Gone> {
    conversation.inlet.send(input).await.map_err(|_| Gone)
}

/// An event of the client, as far as all of them are alike.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    event_id: Option<String>,
    #[serde(flatten)]
    rest: Value,
}

impl Client {
    pub(super) async fn event(
        &mut self,
        text: &str,
        conversation: &Conversation,
    ) -> Result<(), Gone> {
        let event: Event = match serde_json::from_str(text) {
            Ok(event) => event,
            Err(error) => {
                let message = format!("this is no event: {error}");
                return self
                    .wire
                    .error("unknown_or_invalid_event", &message, None)
                    .await;
            }
        };
        let id = event.event_id.clone();
        let rest = &event.rest;
        match event.kind.as_str() {
            "input_audio_buffer.append" => {
                let audio = rest["audio"].as_str();
                let longest = LONGEST_S * self.settings.format_in.bytes_per_second();
                if audio.is_some_and(|audio| audio.len() / 4 * 3 > longest + 3) {
                    let message = format!(
                        "{LONGEST_S} s of sound are appended at once at most; 20 to 100 ms are usual"
                    );
                    return self
                        .wire
                        .error("invalid_value", &message, id.as_deref())
                        .await;
                }
                let bytes = audio.and_then(|audio| STANDARD.decode(audio).ok());
                let Some(samples) = bytes.and_then(|bytes| self.settings.format_in.read(&bytes))
                else {
                    return self
                        .wire
                        .error(
                            "invalid_value",
                            "`audio` is not base64 of whole samples in the session's input format",
                            id.as_deref(),
                        )
                        .await;
                };
                let ms = samples.len() as u64 * 1000 / u64::from(self.settings.format_in.rate());
                self.appended_ms += ms;
                self.heard_ms += ms;
                conversation.inlet.sound(&samples).await.map_err(|_| Gone)?;
                self.unless_idle().await
            }
            "input_audio_buffer.commit" => {
                if self.appended_ms < LEAST_MS {
                    let message = format!(
                        "the buffer holds {} ms of sound; a turn has {LEAST_MS} ms at least",
                        self.appended_ms
                    );
                    return self
                        .wire
                        .error("input_audio_buffer_commit_empty", &message, id.as_deref())
                        .await;
                }
                self.appended_ms = 0;
                self.asked.commit = id;
                put(conversation, Input::Commit).await
            }
            "input_audio_buffer.clear" => {
                self.appended_ms = 0;
                put(conversation, Input::Clear).await?;
                self.wire
                    .send(json!({ "type": "input_audio_buffer.cleared" }))
                    .await
            }
            "session.update" => {
                self.update(&rest["session"], id.as_deref(), conversation)
                    .await
            }
            "conversation.item.create" => self.create_item(rest, id.as_deref(), conversation).await,
            "conversation.item.truncate" => {
                let item = rest["item_id"].as_str().unwrap_or_default().to_owned();
                let reply = self.answered.get(&item).copied().or_else(|| {
                    let giving = self.replies.iter().find(|(_, giving)| giving.is(&item));
                    giving.map(|(reply, _)| *reply)
                });
                let (Some(reply), Some(heard)) = (reply, rest["audio_end_ms"].as_u64()) else {
                    let known = self.items.get(&item).is_some();
                    let (code, message) = match known {
                        true => (
                            "invalid_value",
                            "only answers can be truncated, at `audio_end_ms`, a whole number",
                        ),
                        false => ("item_not_found", "there is no item of that id"),
                    };
                    return self.wire.error(code, message, id.as_deref()).await;
                };
                self.asked.truncate = Some((id, item));
                put(conversation, Input::Truncated { reply, heard }).await
            }
            "conversation.item.delete" | "conversation.item.retrieve" => {
                let item = rest["item_id"].as_str().unwrap_or_default();
                let Some(found) = self.items.get(item).cloned() else {
                    return self
                        .wire
                        .error(
                            "item_not_found",
                            "there is no item of that id",
                            id.as_deref(),
                        )
                        .await;
                };
                if event.kind.ends_with("retrieve") {
                    return self
                        .wire
                        .send(json!({ "type": "conversation.item.retrieved", "item": found }))
                        .await;
                }
                self.items.remove(item);
                let item = item.to_owned();
                self.wire
                    .send(json!({ "type": "conversation.item.deleted", "item_id": item }))
                    .await
            }
            "response.create" => {
                self.asked.create.clone_from(&id);
                let offer = match self.settings.offer_of(&rest["response"]) {
                    Ok(offer) => offer,
                    Err(refused) => {
                        let Refused { code, message } = refused;
                        return self.wire.error(code, &message, id.as_deref()).await;
                    }
                };
                let question = self.question(&rest["response"]);
                if let Some(question) = &question
                    && question.chars().count() > self.chars
                {
                    let message = format!("a question has {} characters at most", self.chars);
                    return self
                        .wire
                        .error("invalid_value", &message, id.as_deref())
                        .await;
                }
                put(conversation, Input::Respond { question, offer }).await
            }
            "response.cancel" => {
                self.asked.cancel = id;
                put(conversation, Input::Interrupt).await
            }
            "output_audio_buffer.clear" => {
                self.wire
                    .error(
                        "invalid_event_for_transport",
                        "sound is played by the client here: stop playing it",
                        id.as_deref(),
                    )
                    .await
            }
            other => {
                let message = format!(
                    "{:?} is no event of a client",
                    other.chars().take(80).collect::<String>()
                );
                self.wire
                    .error("unknown_or_invalid_event", &message, id.as_deref())
                    .await
            }
        }
    }

    /// What `response.create` asks: its own input, or what was written since the last answer.
    pub(super) fn question(&mut self, response: &Value) -> Option<String> {
        let own = response["input"].as_array().map(|items| {
            let texts: Vec<String> = items.iter().filter_map(items::user_text).collect();
            texts.join(" ")
        });
        if let Some(own) = own.filter(|own| !own.trim().is_empty()) {
            return Some(own);
        }
        let typed = std::mem::take(&mut self.typed).join(" ");
        (!typed.trim().is_empty()).then_some(typed)
    }

    pub(super) async fn update(
        &mut self,
        session: &Value,
        id: Option<&str>,
        conversation: &Conversation,
    ) -> Result<(), Gone> {
        let session = if self.wire.beta {
            beta::session(session)
        } else {
            session.clone()
        };
        let voices = self.engine.voices();
        let updated = self
            .settings
            .updated(&session, &voices, self.spoke)
            .and_then(|settings| settings.heard_by(&self.engine));
        match updated {
            Ok(settings) => {
                self.settings = settings;
                let Options { tuning, .. } = self.settings.options();
                let inputs = [
                    Input::Changed(Box::new(self.settings.options())),
                    Input::Tuned(Box::new(tuning)),
                ];
                for input in inputs {
                    put(conversation, input).await?;
                }
                let updated = json!({ "type": "session.updated", "session": self.settings.written(&self.wire.session) });
                self.wire.send(updated).await
            }
            Err(refused) => self.wire.error(refused.code, &refused.message, id).await,
        }
    }

    pub(super) async fn create_item(
        &mut self,
        rest: &Value,
        id: Option<&str>,
        conversation: &Conversation,
    ) -> Result<(), Gone> {
        let item = match items::read(&rest["item"]) {
            Ok(item) => item,
            Err(message) => return self.wire.error("invalid_value", &message, id).await,
        };
        let name = item["id"].as_str().unwrap_or_default();
        if self.items.get(name).is_some() || self.turns.values().any(|given| given == name) {
            let message = "there is an item of that id; leave it out, and one is given";
            return self.wire.error("invalid_value", message, id).await;
        }
        if let Some(text) = items::user_text(&item) {
            let waiting: usize = self.typed.iter().map(|text| text.chars().count() + 1).sum();
            if waiting + text.chars().count() > self.chars {
                let message = format!(
                    "what waits for `response.create` has {} characters at most",
                    self.chars
                );
                return self.wire.error("invalid_value", &message, id).await;
            }
            self.typed.push(text);
        }
        if item["type"] == "function_call_output" {
            match self.calls.returned(&item) {
                Ok(outcome) => put(conversation, Input::Returned(Box::new(outcome))).await?,
                Err(message) => return self.wire.error("item_not_found", &message, id).await,
            }
        }
        if let Some((id, call)) = items::call(&item) {
            // Of a session before this one: nobody knows what asked for it.
            self.calls.made(id, String::new(), call);
        }
        let previous = self
            .items
            .push(item.clone(), rest["previous_item_id"].as_str());
        for kind in ["conversation.item.added", "conversation.item.done"] {
            self.wire
                .send(json!({ "type": kind, "item": item, "previous_item_id": previous }))
                .await?;
        }
        Ok(())
    }
}
