//! The tools of a client, as the Realtime API writes them, and the calls that were passed to it. They are run by the
//! client: what comes back is text, and belongs to one of these calls.

use std::{collections::VecDeque, sync::Arc};

use serde_json::{Value, json};

use crate::domain::{Call, Choice, Offer, Outcome, Tool};

/// Calls kept at most; the oldest are forgotten.
const KEPT: usize = 64;

/// `tools` and `tool_choice`.
pub fn offer(tools: &Value, choice: &Value) -> Result<Arc<Offer>, String> {
    let tools = match tools {
        Value::Null => Vec::new(),
        Value::Array(tools) => tools.iter().map(tool).collect::<Result<_, _>>()?,
        _ => return Err("`tools` is a list".to_owned()),
    };
    let choice = match (choice.as_str(), choice["name"].as_str()) {
        (Some("auto"), _) => Choice::Auto,
        (Some("none"), _) => Choice::None,
        (Some("required"), _) => Choice::Required,
        (None, Some(name)) if choice["type"] == "function" => Choice::Named(name.to_owned()),
        _ if choice.is_null() => Choice::Auto,
        _ => {
            return Err(
                "`tool_choice` is auto, none, required or {\"type\": \"function\", \"name\": …}"
                    .to_owned(),
            );
        }
    };
    let offer = Offer::new(tools, &choice).map_err(|error| error.to_string())?;
    Ok(Arc::new(offer))
}

fn tool(given: &Value) -> Result<Tool, String> {
    let kind = given["type"].as_str().unwrap_or_default();
    if kind != "function" {
        return Err(format!(
            "tools are functions here, which the client runs; {:?} is none",
            kind.chars().take(40).collect::<String>()
        ));
    }
    let name = given["name"].as_str().ok_or("a tool has a `name`")?;
    let text = |field: &str| given[field].as_str().unwrap_or_default();
    let parameters = match given.get("parameters") {
        None | Some(Value::Null) => json!({}),
        Some(parameters) if parameters.is_object() => parameters.clone(),
        Some(_) => {
            return Err(format!(
                "`parameters` of {name:?} is a JSON schema, an object"
            ));
        }
    };
    Tool::new(name, text("description"), parameters).map_err(|error| error.to_string())
}

/// A call that the client knows of.
#[derive(Debug)]
struct Called {
    id: String,
    question: String,
    call: Call,
    returned: bool,
}

/// The calls of a session.
#[derive(Debug, Default)]
pub struct Calls(VecDeque<Called>);

impl Calls {
    /// The client is told of a call, or tells of one of an earlier session. `question`: what asked for it.
    pub fn made(&mut self, id: String, question: String, call: Call) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(Called {
            id,
            question,
            call,
            returned: false,
        });
    }

    /// What a call has brought, from the item that says so.
    pub fn returned(&mut self, item: &Value) -> Result<Outcome, String> {
        let id = item["call_id"]
            .as_str()
            .ok_or("`item.call_id` is missing")?;
        let output = item["output"].as_str().ok_or("`item.output` is a text")?;
        let called = self.0.iter_mut().find(|called| called.id == id);
        let Some(called) = called else {
            let id: String = id.chars().take(80).collect();
            return Err(format!("there is no call {id:?} in this conversation"));
        };
        if std::mem::replace(&mut called.returned, true) {
            return Err("that call has its output already".to_owned());
        }
        Ok(Outcome {
            question: called.question.clone(),
            call: called.call.clone(),
            output: output.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_as_clients_give_them() {
        let lamp = json!({
            "type": "function", "name": "set_lamp", "description": "Switches a lamp.",
            "parameters": { "type": "object", "properties": { "on": { "type": "boolean" } } },
        });
        let check = |tools: &Value, choice: Value, expected: Result<usize, &str>| {
            let offered = offer(tools, &choice);
            match expected {
                Ok(count) => assert_eq!(offered.unwrap().tools().len(), count, "{tools} {choice}"),
                Err(part) => {
                    let refused = offered.unwrap_err();
                    assert!(refused.contains(part), "{refused}");
                }
            }
        };
        let tools = json!([lamp, { "type": "function", "name": "time" }]);
        check(&tools, json!("auto"), Ok(2));
        check(&tools, json!(null), Ok(2));
        check(&tools, json!("required"), Ok(2));
        check(&tools, json!("none"), Ok(0));
        check(&tools, json!({ "type": "function", "name": "time" }), Ok(1));
        check(&json!([]), json!("auto"), Ok(0));
        check(&json!(null), json!("auto"), Ok(0));
        check(&tools, json!("always"), Err("`tool_choice` is"));
        check(&tools, json!({ "type": "mcp" }), Err("`tool_choice` is"));
        check(
            &tools,
            json!({ "type": "function", "name": "tap" }),
            Err("none of the tools"),
        );
        check(&json!("lamp"), json!("auto"), Err("`tools` is a list"));
        check(&json!([{ "type": "mcp" }]), json!("auto"), Err("\"mcp\""));
        check(
            &json!([{ "type": "function" }]),
            json!("auto"),
            Err("`name`"),
        );
        check(
            &json!([{ "type": "function", "name": "x", "parameters": "y" }]),
            json!("auto"),
            Err("`parameters`"),
        );
    }

    #[test]
    fn outputs_belong_to_calls() {
        let call = |name: &str| Call {
            name: name.to_owned(),
            arguments: "{}".to_owned(),
        };
        let output = |id: &str| json!({ "call_id": id, "output": "ok" });
        let mut calls = Calls::default();
        calls.made("a".to_owned(), "Lamp on.".to_owned(), call("lamp"));
        let outcome = calls.returned(&output("a")).unwrap();
        assert_eq!(
            (outcome.call, outcome.question.as_str()),
            (call("lamp"), "Lamp on.")
        );
        assert!(
            calls
                .returned(&output("a"))
                .unwrap_err()
                .contains("already")
        );
        assert!(
            calls
                .returned(&output("b"))
                .unwrap_err()
                .contains("no call")
        );
        for wrong in [
            json!({ "output": "ok" }),
            json!({ "call_id": "a", "output": {} }),
        ] {
            assert!(calls.returned(&wrong).is_err(), "{wrong}");
        }
        for n in 0..=KEPT {
            calls.made(n.to_string(), String::new(), call("lamp"));
        }
        assert_eq!(calls.0.len(), KEPT);
        assert!(calls.returned(&output("0")).is_err());
    }
}
