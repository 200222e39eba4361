//! A response as it is given: its message once there are words, its call of a tool, its end.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Client, Gone, items};
use crate::{
    domain::{Call, Citation},
    http::wire,
    voice::session::{By, End, ReplyId},
};

/// What is known of an answer that is being given.
pub(super) struct Giving {
    response: String,
    aloud: bool,
    /// The item of its words, once there are any.
    message: Option<String>,
    text: String,
    /// The item of its call, once it has one.
    call: Option<Value>,
}

impl Giving {
    /// Whether its words are this item.
    pub fn is(&self, item: &str) -> bool {
        self.message.as_deref() == Some(item)
    }

    /// Whether a tool is called instead of an answer.
    pub fn calls(&self) -> bool {
        self.call.is_some()
    }

    /// An event about its words.
    fn event(&self, kind: &str) -> Value {
        json!({
            "type": kind, "response_id": self.response, "item_id": self.message,
            "output_index": 0, "content_index": 0,
        })
    }

    fn item(&self, status: &str, content: &[Value]) -> Value {
        json!({
            "id": self.message, "object": "realtime.item", "type": "message", "status": status,
            "role": "assistant", "content": content,
        })
    }
}

impl Client {
    pub(super) async fn began(&mut self, reply: ReplyId) -> Result<(), Gone> {
        let giving = Giving {
            response: format!("resp_{}", Uuid::new_v4().simple()),
            aloud: self.settings.aloud && !self.engine.voices().is_empty(),
            message: None,
            text: String::new(),
            call: None,
        };
        let (response, aloud) = (&giving.response, giving.aloud);
        let created = self
            .settings
            .response(response, aloud, "in_progress", Value::Null, vec![]);
        self.replies.insert(reply, giving);
        self.wire
            .send(json!({ "type": "response.created", "response": created }))
            .await
    }

    /// Begins the message of a response, if it has not begun: what only calls a tool has none.
    async fn message(&mut self, reply: ReplyId) -> Result<Option<&mut Giving>, Gone> {
        let Some(giving) = self.replies.get_mut(&reply) else {
            return Ok(None);
        };
        if giving.message.is_none() {
            giving.message = Some(items::new_id());
            let item = giving.item("in_progress", &[]);
            let previous = self.items.push(item.clone(), None);
            let mut part = giving.event("response.content_part.added");
            part["part"] = match giving.aloud {
                true => json!({ "type": "audio", "transcript": "" }),
                false => json!({ "type": "text", "text": "" }),
            };
            let added = json!({
                "type": "response.output_item.added", "response_id": giving.response, "output_index": 0, "item": item,
            });
            self.wire.send(added).await?;
            self.wire
                .send(json!({ "type": "conversation.item.added", "item": item, "previous_item_id": previous }))
                .await?;
            self.wire.send(part).await?;
        }
        Ok(self.replies.get_mut(&reply))
    }

    pub(super) async fn said(&mut self, reply: ReplyId, text: &str) -> Result<(), Gone> {
        let Some(giving) = self.message(reply).await? else {
            return Ok(());
        };
        giving.text.push_str(text);
        let kind = match giving.aloud {
            true => "response.output_audio_transcript.delta",
            false => "response.output_text.delta",
        };
        self.piece(reply, kind, text.to_owned()).await
    }

    /// A piece of the words or of their sound.
    pub(super) async fn piece(
        &mut self,
        reply: ReplyId,
        kind: &str,
        delta: String,
    ) -> Result<(), Gone> {
        let Some(giving) = self.message(reply).await? else {
            return Ok(());
        };
        let mut event = giving.event(kind);
        event["delta"] = json!(delta);
        self.wire.send(event).await
    }

    pub(super) async fn cited(&mut self, reply: ReplyId, citation: Citation) -> Result<(), Gone> {
        let Some(giving) = self.message(reply).await? else {
            return Ok(());
        };
        let event = json!({
            "type": "x_griot.citation", "response_id": giving.response, "item_id": giving.message,
            "citation": wire::Citation::from(citation),
        });
        self.wire.send(event).await
    }

    /// A tool is called instead of an answer: the client runs it.
    pub(super) async fn called(
        &mut self,
        reply: ReplyId,
        question: String,
        call: Call,
    ) -> Result<(), Gone> {
        let Some(giving) = self.replies.get_mut(&reply) else {
            return Ok(());
        };
        let (item_id, call_id) = (items::new_id(), format!("call_{}", Uuid::new_v4().simple()));
        let item = |status: &str, arguments: &str| {
            json!({
                "id": item_id, "object": "realtime.item", "type": "function_call", "status": status,
                "call_id": call_id, "name": call.name, "arguments": arguments,
            })
        };
        let (begun, done) = (item("in_progress", ""), item("completed", &call.arguments));
        giving.call = Some(done.clone());
        // What filled the time is a message before it.
        let index = usize::from(giving.message.is_some());
        let previous = self.items.push(begun.clone(), None);
        self.items.replace(&item_id, done.clone());
        let of_item = |kind: &str, item: &Value| json!({ "type": kind, "response_id": giving.response, "output_index": index, "item": item });
        let of_conversation = |kind: &str, item: &Value| json!({ "type": kind, "item": item, "previous_item_id": previous });
        let of_arguments = |kind: &str| {
            json!({
                "type": kind, "response_id": giving.response, "item_id": item_id, "output_index": index,
                "call_id": call_id,
            })
        };
        let mut delta = of_arguments("response.function_call_arguments.delta");
        delta["delta"] = json!(call.arguments);
        let mut whole = of_arguments("response.function_call_arguments.done");
        whole["name"] = json!(call.name);
        whole["arguments"] = json!(call.arguments);
        let events = [
            of_item("response.output_item.added", &begun),
            of_conversation("conversation.item.added", &begun),
            delta,
            whole,
            of_conversation("conversation.item.done", &done),
            of_item("response.output_item.done", &done),
        ];
        self.calls.made(call_id, question, call);
        for event in events {
            self.wire.send(event).await?;
        }
        Ok(())
    }

    pub(super) async fn ended(
        &mut self,
        reply: ReplyId,
        end: End,
        heard: &str,
    ) -> Result<(), Gone> {
        let called = self.replies.get(&reply).is_some_and(Giving::calls);
        // A response without a call has a message, even an empty one.
        if !called {
            self.message(reply).await?;
        }
        let Some(giving) = self.replies.remove(&reply) else {
            return Ok(());
        };
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
                let reason = match by {
                    By::Speech => "turn_detected",
                    By::Client | By::Operator => "client_cancelled",
                };
                (
                    "cancelled",
                    "incomplete",
                    json!({ "type": "cancelled", "reason": reason }),
                )
            }
        };
        let mut output = Vec::new();
        if let Some(message) = &giving.message {
            let item = self.message_done(&giving, end, item_status, heard).await?;
            self.answered.insert(message.clone(), reply);
            output.push(item);
        }
        output.extend(giving.call);
        let response =
            self.settings
                .response(&giving.response, giving.aloud, status, details, output);
        self.wire
            .send(json!({ "type": "response.done", "response": response }))
            .await
    }

    /// Ends the message of a response; gives it as it was told.
    async fn message_done(
        &mut self,
        giving: &Giving,
        end: End,
        status: &str,
        heard: &str,
    ) -> Result<Value, Gone> {
        let text = &giving.text;
        let mut part = json!({ "type": "text", "text": text });
        let mut content = json!({ "type": "output_text", "text": text });
        if giving.aloud {
            self.wire
                .send(giving.event("response.output_audio.done"))
                .await?;
            let mut done = giving.event("response.output_audio_transcript.done");
            done["transcript"] = json!(text);
            self.wire.send(done).await?;
            part = json!({ "type": "audio", "transcript": text });
            content = json!({ "type": "output_audio", "transcript": text });
        } else {
            let mut done = giving.event("response.output_text.done");
            done["text"] = json!(text);
            self.wire.send(done).await?;
        }
        let mut done = giving.event("response.content_part.done");
        done["part"] = part;
        self.wire.send(done).await?;
        let item = giving.item(status, &[content]);
        // What is kept is what was heard.
        let mut kept = item.clone();
        if let End::Cancelled(_) = end {
            let field = if giving.aloud { "transcript" } else { "text" };
            kept["content"][0][field] = json!(heard);
        }
        let id = giving.message.as_deref().unwrap_or_default();
        let previous = self.items.replace(id, kept);
        self.wire
            .send(json!({ "type": "conversation.item.done", "item": item, "previous_item_id": previous }))
            .await?;
        self.wire
            .send(json!({
                "type": "response.output_item.done", "response_id": giving.response, "output_index": 0, "item": item,
            }))
            .await?;
        Ok(item)
    }
}
