//! The items of a conversation, in order.

use std::collections::VecDeque;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::domain::Call;

/// Items kept at most; the oldest are forgotten.
const KEPT: usize = 1000;
/// Bytes of all of them as JSON, at most.
const KEPT_BYTES: usize = 1 << 20;
/// Bytes of one that a client creates, at most.
const MAX_BYTES: usize = 64 << 10;

/// A fresh id.
pub fn new_id() -> String {
    format!("item_{}", Uuid::new_v4().simple())
}

#[derive(Debug, Default)]
pub struct Items {
    /// Each with the bytes that it had as JSON.
    list: VecDeque<(usize, Value)>,
    bytes: usize,
}

impl Items {
    /// Adds an item after `after` (`root`: in front; otherwise at the end). Gives the id of the one before it.
    pub fn push(&mut self, item: Value, after: Option<&str>) -> Option<String> {
        let at = match after {
            Some("root") => 0,
            Some(id) => self.place(id).map_or(self.list.len(), |at| at + 1),
            None => self.list.len(),
        };
        let bytes = item.to_string().len();
        self.bytes += bytes;
        self.list.insert(at, (bytes, item));
        let before = self.before(at);
        while self.list.len() > KEPT || (self.bytes > KEPT_BYTES && self.list.len() > 1) {
            self.bytes -= self.list.pop_front().map_or(0, |(bytes, _)| bytes);
        }
        before
    }

    pub fn get(&self, id: &str) -> Option<&Value> {
        self.place(id).map(|at| &self.list[at].1)
    }

    pub fn remove(&mut self, id: &str) {
        if let Some((bytes, _)) = self.place(id).and_then(|at| self.list.remove(at)) {
            self.bytes -= bytes;
        }
    }

    /// Puts what an item has become in its place. Gives the id of the one before it.
    pub fn replace(&mut self, id: &str, item: Value) -> Option<String> {
        let at = self.place(id)?;
        let bytes = item.to_string().len();
        self.bytes = self.bytes - self.list[at].0 + bytes;
        self.list[at] = (bytes, item);
        self.before(at)
    }

    pub fn transcribed(&mut self, id: &str, transcript: &str) {
        if let Some(at) = self.place(id) {
            // Absent where the item is not the one of a turn.
            let place = self.list[at].1.pointer_mut("/content/0/transcript");
            if let Some(place) = place {
                *place = json!(transcript);
            }
        }
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.list.iter().position(|(_, item)| item["id"] == id)
    }

    fn before(&self, at: usize) -> Option<String> {
        let (_, before) = self.list.get(at.checked_sub(1)?)?;
        before["id"].as_str().map(str::to_owned)
    }
}

/// An item that a client creates, completed.
pub fn read(item: &Value) -> Result<Value, String> {
    let Some(kind) = item["type"].as_str() else {
        return Err("`item.type` is missing".to_owned());
    };
    if !["message", "function_call", "function_call_output"].contains(&kind) {
        return Err(format!("items of type {kind:?} are not known here"));
    }
    if item.to_string().len() > MAX_BYTES {
        return Err(format!(
            "an item has {MAX_BYTES} bytes at most; sound goes into input_audio_buffer.append"
        ));
    }
    if kind == "message" {
        let role = item["role"].as_str().unwrap_or_default();
        if !["user", "assistant", "system"].contains(&role) {
            return Err("`item.role` is user, assistant or system".to_owned());
        }
        if item["content"].as_array().is_none_or(Vec::is_empty) {
            return Err("`item.content` is a list of parts".to_owned());
        }
    }
    let mut item = item.clone();
    item["object"] = json!("realtime.item");
    if !item["id"].is_string() {
        item["id"] = json!(new_id());
    }
    if kind != "function_call_output" && !item["status"].is_string() {
        item["status"] = json!("completed");
    }
    Ok(item)
}

/// The words of a message by the user.
pub fn user_text(item: &Value) -> Option<String> {
    if item["type"] != "message" || item["role"] != "user" {
        return None;
    }
    let texts: Vec<&str> = item["content"]
        .as_array()?
        .iter()
        .filter(|part| part["type"] == "input_text" || part["type"] == "text")
        .filter_map(|part| part["text"].as_str())
        .collect();
    let text = texts.join(" ").trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// The call that a `function_call` speaks of, with its id.
pub fn call(item: &Value) -> Option<(String, Call)> {
    if item["type"] != "function_call" {
        return None;
    }
    let text = |field: &str| item[field].as_str().map(str::to_owned);
    let call = Call {
        name: text("name")?,
        arguments: text("arguments").unwrap_or_default(),
    };
    Some((text("call_id")?, call))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_stand_in_order() {
        let mut items = Items::default();
        let item = |id: &str| json!({ "id": id });
        assert_eq!(items.push(item("a"), None), None);
        assert_eq!(items.push(item("b"), None), Some("a".to_owned()));
        assert_eq!(items.push(item("c"), Some("a")), Some("a".to_owned()));
        assert_eq!(items.push(item("d"), Some("root")), None);
        assert_eq!(items.replace("b", item("b")), Some("c".to_owned()));
        items.remove("c");
        assert_eq!(items.replace("b", item("b")), Some("a".to_owned()));
        assert!(items.get("c").is_none() && items.get("d").is_some());
    }

    #[test]
    fn what_was_said_goes_into_items_of_turns_only() {
        let mut items = Items::default();
        let turn = json!({ "id": "a", "content": [{ "type": "input_audio", "transcript": null }] });
        items.push(turn, None);
        items.transcribed("a", "Rent?");
        assert_eq!(items.get("a").unwrap()["content"][0]["transcript"], "Rent?");
        for content in [json!(["x"]), json!([]), json!("x"), json!(null)] {
            let mut items = Items::default();
            let other = json!({ "id": "a", "content": content });
            items.push(other.clone(), None);
            items.transcribed("a", "Rent?");
            assert_eq!(items.get("a"), Some(&other));
        }
    }

    #[test]
    fn the_oldest_items_make_room() {
        let text = |bytes: usize| json!({ "type": "message", "role": "user", "content": ["x".repeat(bytes)] });
        assert!(read(&text(MAX_BYTES)).unwrap_err().contains("at most"));
        let mut items = Items::default();
        for n in 0..40 {
            let mut item = read(&text(MAX_BYTES - 1000)).unwrap();
            item["id"] = json!(n.to_string());
            items.push(item, None);
        }
        assert!(items.bytes <= KEPT_BYTES, "{} bytes", items.bytes);
        assert!(items.get("0").is_none() && items.get("39").is_some());
        items.remove("39");
        let whole: usize = items
            .list
            .iter()
            .map(|(_, item)| item.to_string().len())
            .sum();
        assert_eq!(items.bytes, whole);
        for n in 0..2 * KEPT {
            items.push(json!({ "id": n.to_string() }), None);
        }
        assert_eq!(items.list.len(), KEPT);
    }

    #[test]
    fn what_a_client_may_create() {
        let check = |item: Value, text: Option<&str>| {
            let read = read(&item).unwrap();
            assert!(read["id"].is_string());
            assert_eq!(user_text(&read).as_deref(), text, "{item}");
        };
        check(
            json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": " Rent? "}]}),
            Some("Rent?"),
        );
        check(
            json!({"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Be brief"}]}),
            None,
        );
        check(
            json!({"type": "function_call_output", "call_id": "c", "output": "1"}),
            None,
        );
        for wrong in [
            json!(null),
            json!({"type": "song"}),
            json!({"type": "message", "role": "user"}),
            json!({"type": "message", "role": "x", "content": [1]}),
        ] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
    }
}
