//! Tools that a client has, and calls of them. Nothing here runs one: a call is passed to the client, and what it
//! brought comes back as text.

use serde_json::{Value, json};

use super::Shape;

/// Tools at once, at most.
const TOOLS: usize = 32;
/// Bytes of their names, descriptions and parameters, at most: half of what the language model reads at once.
const BYTES: usize = 8 << 10;
/// What is chosen where no tool is.
const NONE: &str = "none";

/// A function of the client.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    pub name: String,
    pub description: String,
    /// The schema of its arguments, as the client wrote it; for people and models.
    pub parameters: Value,
    /// What of it a model is held to.
    shape: Shape,
}

/// Which tools may be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Any, or none.
    Auto,
    /// None.
    None,
    /// Any; one has to be.
    Required,
    /// This one has to be.
    Named(String),
}

/// Why tools cannot be offered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTools {
    #[error("the tool's name {given:?} is not one: 1 to 64 of a-z A-Z 0-9 _ -, and not \"none\"")]
    Name { given: String },
    #[error("there are two tools named {0:?}")]
    Twice(String),
    #[error("{0} tools are given; {TOOLS} at once are taken at most")]
    TooMany(usize),
    #[error(
        "the tools have {0} bytes of names, descriptions and parameters; {BYTES} together are taken at most"
    )]
    TooLong(usize),
    #[error("`tool_choice` names {0:?}, which is none of the tools")]
    Unknown(String),
}

impl Tool {
    /// # Errors
    /// When its name is none.
    pub fn new(name: &str, description: &str, parameters: Value) -> Result<Self, BadTools> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if name == NONE || !(1..=64).contains(&name.len()) || !name.chars().all(allowed) {
            return Err(BadTools::Name {
                given: name.chars().take(80).collect(),
            });
        }
        // Before its schema is read: what is too long is not looked into.
        let bytes = name.len() + description.len() + parameters.to_string().len();
        if bytes > BYTES {
            return Err(BadTools::TooLong(bytes));
        }
        // Without parameters there are no arguments.
        let shape = match parameters["properties"].is_object() || parameters.get("$ref").is_some() {
            true => Shape::of(&parameters),
            false => Shape::Object(Vec::new()),
        };
        Ok(Self {
            name: name.to_owned(),
            description: description.to_owned(),
            parameters,
            shape,
        })
    }
}

/// The tools that may be chosen for an answer. Empty: nothing is to be decided.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Offer {
    tools: Vec<Tool>,
    must: bool,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub name: String,
    /// JSON.
    pub arguments: String,
}

/// What a call has brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What was said that asked for it; empty where nobody knows.
    pub question: String,
    pub call: Call,
    pub output: String,
}

impl Offer {
    /// # Errors
    /// When there are too many or too long ones, two of a name, or none of the name that is chosen.
    pub fn new(mut tools: Vec<Tool>, choice: &Choice) -> Result<Self, BadTools> {
        if tools.len() > TOOLS {
            return Err(BadTools::TooMany(tools.len()));
        }
        let bytes = tools.iter().map(|tool| {
            tool.name.len() + tool.description.len() + tool.parameters.to_string().len()
        });
        let bytes: usize = bytes.sum();
        if bytes > BYTES {
            return Err(BadTools::TooLong(bytes));
        }
        for (at, tool) in tools.iter().enumerate() {
            if tools[..at].iter().any(|other| other.name == tool.name) {
                return Err(BadTools::Twice(tool.name.clone()));
            }
        }
        match choice {
            Choice::Auto | Choice::Required => {}
            Choice::None => tools.clear(),
            Choice::Named(name) => {
                tools.retain(|tool| tool.name == *name);
                if tools.is_empty() {
                    return Err(BadTools::Unknown(name.chars().take(80).collect()));
                }
            }
        }
        let must = matches!(choice, Choice::Required | Choice::Named(_));
        Ok(Self { tools, must })
    }

    /// Whether there is nothing to be decided.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    #[must_use]
    pub fn tools(&self) -> &[Tool] {
        &self.tools
    }

    /// Whether one of them has to be chosen.
    #[must_use]
    pub fn must(&self) -> bool {
        self.must
    }

    /// The schema of a decision: `{"tool": "none"}`, or a tool's name and its `arguments`.
    #[must_use]
    pub fn schema(&self) -> Value {
        let none = (!self.must).then(|| {
            json!({
                "type": "object",
                "properties": { "tool": { "const": NONE } },
                "required": ["tool"],
                "additionalProperties": false,
            })
        });
        let tools = self.tools.iter().map(|tool| {
            json!({
                "type": "object",
                // The grammar writes them in this order: what depends on the name comes after it.
                "properties": { "tool": { "const": tool.name }, "arguments": tool.shape.schema() },
                "required": ["tool", "arguments"],
                "additionalProperties": false,
            })
        });
        json!({ "anyOf": none.into_iter().chain(tools).collect::<Vec<_>>() })
    }

    /// The call that a decision makes; `None` where it makes none, or is none itself.
    #[must_use]
    pub fn call(&self, decision: &str) -> Option<Call> {
        let decision: Value = serde_json::from_str(decision).ok()?;
        let name = decision["tool"].as_str()?;
        let tool = self.tools.iter().find(|tool| tool.name == name)?;
        let arguments = decision.get("arguments")?;
        tool.shape.holds(arguments).then(|| Call {
            name: name.to_owned(),
            arguments: arguments.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lamp() -> Tool {
        let parameters = json!({
            "type": "object",
            "properties": { "room": { "type": "string" }, "on": { "type": "boolean" } },
            "required": ["room", "on"],
        });
        Tool::new("set_lamp", "Switches a lamp.", parameters).unwrap()
    }

    fn clock() -> Tool {
        Tool::new("time", "Tells the time.", Value::Null).unwrap()
    }

    #[test]
    fn decisions() {
        let check = |choice: Choice, decision: &str, expected: Option<(&str, &str)>| {
            let offer = Offer::new(vec![lamp(), clock()], &choice).unwrap();
            let call = offer.call(decision);
            let call = call
                .as_ref()
                .map(|call| (call.name.as_str(), call.arguments.as_str()));
            assert_eq!(call, expected, "{choice:?} {decision}");
            let schema = offer.schema();
            // The model is held to what is accepted.
            let holds = serde_json::from_str(decision)
                .is_ok_and(|decision| Shape::of(&schema).holds(&decision));
            let none = decision == r#"{"tool":"none"}"# && choice == Choice::Auto;
            assert_eq!(holds, none || expected.is_some(), "{schema} {decision}");
        };
        let on = r#"{"tool":"set_lamp","arguments":{"room":"kitchen","on":true}}"#;
        let call = Some(("set_lamp", r#"{"room":"kitchen","on":true}"#));
        let time = r#"{"tool":"time","arguments":{}}"#;
        check(Choice::Auto, on, call);
        check(Choice::Auto, time, Some(("time", "{}")));
        check(Choice::Auto, r#"{"tool":"none"}"#, None);
        check(Choice::Required, on, call);
        check(Choice::Required, r#"{"tool":"none"}"#, None);
        check(Choice::Named("time".to_owned()), on, None);
        check(Choice::Named("time".to_owned()), time, Some(("time", "{}")));
        check(Choice::None, on, None);
        for wrong in [
            r#"{"tool":"set_lamp","arguments":{"room":"kitchen"}}"#,
            r#"{"tool":"set_lamp","arguments":{"room":"kitchen","on":"yes"}}"#,
            r#"{"tool":"set_lamp"}"#,
            r#"{"tool":"time","arguments":{"zone":"UTC"}}"#,
            r#"{"tool":"rm","arguments":{}}"#,
            r#"{"tool":"set_lamp","arguments":{"room":"kit"#,
            "",
        ] {
            check(Choice::Auto, wrong, None);
        }
    }

    #[test]
    fn offers_have_limits() {
        let check = |tools: Vec<Tool>, choice: Choice, expected: &str| {
            let refused = Offer::new(tools, &choice).unwrap_err().to_string();
            assert!(refused.contains(expected), "{refused}");
        };
        let many = (0..33).map(|n| Tool::new(&format!("t{n}"), "", Value::Null).unwrap());
        check(many.collect(), Choice::Auto, "33 tools");
        let long = |name: &str, length: usize| Tool::new(name, &"x".repeat(length), Value::Null);
        let halves = ["a", "b"].map(|name| long(name, BYTES / 2).unwrap());
        check(halves.into(), Choice::Auto, "bytes");
        // One alone is refused before its schema is read.
        let refused = long("long", BYTES).unwrap_err().to_string();
        assert!(refused.contains("bytes"), "{refused}");
        check(vec![lamp(), lamp()], Choice::Auto, "two tools named");
        check(
            vec![lamp()],
            Choice::Named("tap".to_owned()),
            "none of the tools",
        );
        for name in ["", "none", "set lamp", "lampe-für", &"x".repeat(65)] {
            assert!(Tool::new(name, "", Value::Null).is_err(), "{name}");
        }
        assert!(Offer::new(vec![lamp()], &Choice::None).unwrap().is_empty());
        assert!(Offer::new(vec![], &Choice::Required).unwrap().is_empty());
    }
}
