//! What a JSON value has to look like: the part of JSON Schema that a grammar can hold a language model to.
//!
//! What of a schema is not known here is left open rather than refused: somebody wrote it for their own code,
//! which checks it anyway.

use serde_json::{Map, Value, json};

/// Levels of a schema that are looked at; what lies deeper is open.
const DEPTH: usize = 8;
/// Places of a schema that are looked at; references can name the same ones over and over.
const PLACES: usize = 256;
/// Types of one value that are looked at: there are seven.
const KINDS: usize = 8;
/// Whole numbers that every reader of JSON keeps as they are: up to 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What a value has to look like.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    Any,
    /// An object, whatever is in it.
    Map,
    /// An object with these fields and no others.
    Object(Vec<Field>),
    List(Box<Shape>),
    Text,
    Number {
        whole: bool,
        least: Option<f64>,
        most: Option<f64>,
    },
    Boolean,
    Null,
    /// One of these very values.
    OneOf(Vec<Value>),
    Either(Vec<Shape>),
}

/// A field of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    pub required: bool,
    pub shape: Shape,
}

impl Shape {
    /// The shape that a schema describes.
    ///
    /// ```
    /// # use griot::domain::Shape;
    /// # use serde_json::json;
    /// let shape = Shape::of(&json!({ "type": "object", "properties": { "on": { "type": "boolean" } } }));
    /// assert!(shape.holds(&json!({ "on": true })) && shape.holds(&json!({})));
    /// assert!(!shape.holds(&json!({ "on": 1 })) && !shape.holds(&json!({ "off": true })));
    /// ```
    #[must_use]
    pub fn of(schema: &Value) -> Self {
        Reader {
            root: schema,
            places: 0,
        }
        .read(schema, 0)
    }

    /// Whether a value looks so.
    #[must_use]
    pub fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Map => value.is_object(),
            Self::Object(fields) => value.as_object().is_some_and(|object| {
                let known = |name: &String| fields.iter().any(|field| field.name == *name);
                object.keys().all(known)
                    && fields.iter().all(|field| match object.get(&field.name) {
                        Some(value) => field.shape.holds(value),
                        None => !field.required,
                    })
            }),
            Self::List(shape) => value
                .as_array()
                .is_some_and(|items| items.iter().all(|item| shape.holds(item))),
            Self::Text => value.is_string(),
            Self::Number { whole, least, most } => value.as_f64().is_some_and(|number| {
                (!whole || value.is_i64() || value.is_u64())
                    && least.is_none_or(|least| number >= least)
                    && most.is_none_or(|most| number <= most)
            }),
            Self::Boolean => value.is_boolean(),
            Self::Null => value.is_null(),
            Self::OneOf(values) => values.contains(value),
            Self::Either(shapes) => shapes.iter().any(|shape| shape.holds(value)),
        }
    }

    /// The schema of it, in words that every maker of grammars knows.
    #[must_use]
    pub fn schema(&self) -> Value {
        match self {
            // An empty schema is an object to some.
            Self::Any => {
                json!({ "type": ["string", "number", "boolean", "null", "object", "array"] })
            }
            Self::Map => json!({ "type": "object" }),
            Self::Object(fields) => {
                let shapes = fields
                    .iter()
                    .map(|field| (field.name.clone(), field.shape.schema()));
                let required = fields.iter().filter(|field| field.required);
                json!({
                    "type": "object",
                    "properties": shapes.collect::<Map<_, _>>(),
                    "required": required.map(|field| &field.name).collect::<Vec<_>>(),
                    "additionalProperties": false,
                })
            }
            Self::List(shape) => json!({ "type": "array", "items": shape.schema() }),
            Self::Text => json!({ "type": "string" }),
            // A grammar of numbers knows limits of whole ones only.
            Self::Number {
                whole: true,
                least,
                most,
            } => {
                let mut schema = json!({ "type": "integer" });
                for (name, limit) in [("minimum", least), ("maximum", most)] {
                    if let Some(limit) = limit.filter(|limit| limit.abs() <= EXACT) {
                        let inward = if name == "minimum" {
                            limit.ceil()
                        } else {
                            limit.floor()
                        };
                        schema[name] = json!(inward as i64);
                    }
                }
                schema
            }
            Self::Number { .. } => json!({ "type": "number" }),
            Self::Boolean => json!({ "type": "boolean" }),
            Self::Null => json!({ "type": "null" }),
            Self::OneOf(values) => json!({ "enum": values }),
            Self::Either(shapes) => {
                json!({ "anyOf": shapes.iter().map(Self::schema).collect::<Vec<_>>() })
            }
        }
    }
}

/// Reads a schema, with its references.
struct Reader<'s> {
    root: &'s Value,
    /// Looked at so far.
    places: usize,
}

impl Reader<'_> {
    fn read(&mut self, schema: &Value, depth: usize) -> Shape {
        self.places += 1;
        if depth > DEPTH || self.places > PLACES {
            return Shape::Any;
        }
        if let Some(reference) = schema["$ref"].as_str() {
            // References to other places than this schema are followed by nobody.
            let place = reference.strip_prefix('#');
            return match place.and_then(|place| self.root.pointer(place)) {
                Some(place) => self.read(place, depth + 1),
                None => Shape::Any,
            };
        }
        if let Some(value) = schema.get("const") {
            return Shape::OneOf(vec![value.clone()]);
        }
        if let Some(values) = list(schema, "enum") {
            return Shape::OneOf(values.clone());
        }
        if let Some(shapes) = list(schema, "anyOf").or(list(schema, "oneOf")) {
            return self.either(shapes.iter(), depth);
        }
        if let Some([only]) = list(schema, "allOf").map(Vec::as_slice) {
            return self.read(only, depth + 1);
        }
        if let Some(kinds) = list(schema, "type") {
            let shapes = kinds.iter().take(KINDS);
            return Shape::Either(
                shapes
                    .map(|kind| self.kind(schema, kind.as_str(), depth + 1))
                    .collect(),
            );
        }
        self.kind(schema, schema["type"].as_str(), depth)
    }

    /// A schema as one of the types that it may have.
    fn kind(&mut self, schema: &Value, kind: Option<&str>, depth: usize) -> Shape {
        self.places += 1;
        if depth > DEPTH || self.places > PLACES {
            return Shape::Any;
        }
        match kind {
            Some("object") if !schema["properties"].is_object() => Shape::Map,
            Some("object") => self.object(schema, depth),
            None if schema["properties"].is_object() => self.object(schema, depth),
            Some("array") => {
                let items = schema.get("items").unwrap_or(&Value::Null);
                Shape::List(Box::new(self.read(items, depth + 1)))
            }
            Some("string") => Shape::Text,
            Some(kind @ ("integer" | "number")) => Shape::Number {
                whole: kind == "integer",
                least: schema["minimum"].as_f64(),
                most: schema["maximum"].as_f64(),
            },
            Some("boolean") => Shape::Boolean,
            Some("null") => Shape::Null,
            _ => Shape::Any,
        }
    }

    fn either<'v>(&mut self, schemas: impl Iterator<Item = &'v Value>, depth: usize) -> Shape {
        Shape::Either(schemas.map(|schema| self.read(schema, depth + 1)).collect())
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Shape {
        let required = |name: &str| {
            let names = schema["required"].as_array();
            names.is_some_and(|names| names.iter().any(|other| other == name))
        };
        let properties = schema["properties"].as_object();
        let fields = properties
            .into_iter()
            .flatten()
            .map(|(name, schema)| Field {
                name: name.clone(),
                required: required(name),
                shape: self.read(schema, depth + 1),
            });
        Shape::Object(fields.collect())
    }
}

/// A list that is not empty.
fn list<'s>(schema: &'s Value, field: &str) -> Option<&'s Vec<Value>> {
    schema[field].as_array().filter(|list| !list.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_types_is_not_looked_at_for_ever() {
        let kinds = vec!["string"; 2000];
        let shape = Shape::of(&json!({ "type": kinds }));
        assert!(
            matches!(&shape, Shape::Either(shapes) if shapes.len() == KINDS),
            "{shape:?}"
        );
    }

    #[track_caller]
    fn check(schema: &Value, yes: &[Value], no: &[Value]) {
        let shape = Shape::of(schema);
        for value in yes {
            assert!(shape.holds(value), "{schema} holds {value}");
        }
        for value in no {
            assert!(!shape.holds(value), "{schema} does not hold {value}");
        }
        // What is given to the grammar is the same shape.
        let again = Shape::of(&shape.schema());
        for (values, holds) in [(yes, true), (no, false)] {
            for value in values {
                let limit = matches!(shape, Shape::Number { whole: false, .. });
                assert!(
                    limit || again.holds(value) == holds,
                    "{} and {value}",
                    shape.schema()
                );
            }
        }
    }

    #[test]
    fn values_look_as_their_schema_says() {
        check(
            &json!({
                "type": "object",
                "properties": {
                    "room": { "type": "string", "description": "which" },
                    "state": { "enum": ["on", "off"] },
                    "level": { "type": "integer", "minimum": 0, "maximum": 100 },
                },
                "required": ["room", "state"],
            }),
            &[
                json!({ "room": "kitchen", "state": "on" }),
                json!({ "room": "", "state": "off", "level": 100 }),
            ],
            &[
                json!({ "room": "kitchen" }),
                json!({ "room": "kitchen", "state": "dim" }),
                json!({ "room": "kitchen", "state": "on", "level": 101 }),
                json!({ "room": "kitchen", "state": "on", "level": 1.5 }),
                json!({ "room": "kitchen", "state": "on", "colour": "red" }),
                json!("kitchen"),
            ],
        );
        check(
            &json!({ "type": ["integer", "null"] }),
            &[json!(3), json!(null)],
            &[json!("3")],
        );
        check(
            &json!({ "type": "array", "items": { "anyOf": [{ "type": "boolean" }, { "const": "maybe" }] } }),
            &[json!([]), json!([true, "maybe"])],
            &[json!([1]), json!(true)],
        );
        check(
            &json!({ "type": "number", "minimum": 0.5 }),
            &[json!(0.5), json!(7)],
            &[json!(0.4), json!(null)],
        );
        check(
            &json!({
                "$defs": { "Room": { "enum": ["kitchen", "hall"] } },
                "properties": { "room": { "allOf": [{ "$ref": "#/$defs/Room" }] }, "more": { "type": "object" } },
            }),
            &[json!({ "room": "hall", "more": { "x": [1] } })],
            &[json!({ "room": "attic" }), json!({ "more": 1 })],
        );
    }

    #[test]
    fn what_is_not_known_is_open() {
        for schema in [
            json!(true),
            json!({}),
            json!({ "not": { "type": "string" } }),
            json!({ "$ref": "https://example.org/room.json" }),
            json!({ "$ref": "#/$defs/gone" }),
            json!({ "type": "date" }),
        ] {
            check(&schema, &[json!("x"), json!({ "x": 1 }), json!(null)], &[]);
        }
    }

    #[test]
    fn schemas_without_end_are_cut() {
        // Every place names all the others: without a limit there would be 20^8 of them.
        let names: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        let all: Map<String, Value> = names
            .iter()
            .map(|name| (name.clone(), json!({ "$ref": format!("#/$defs/{name}") })))
            .collect();
        let place = json!({ "type": "object", "properties": all });
        let defs: Map<String, Value> = names.iter().map(|n| (n.clone(), place.clone())).collect();
        let shape = Shape::of(&json!({ "$defs": defs, "$ref": "#/$defs/0" }));
        assert!(shape.schema().to_string().len() < 64 << 10);
        assert!(shape.holds(&json!({ "0": { "0": {} } })) && !shape.holds(&json!({ "0": 2 })));
        let round = Shape::of(&json!({ "$ref": "#" }));
        assert_eq!(round, Shape::Any);
    }
}
