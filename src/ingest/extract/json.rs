//! JSON and JSON lines, as lines of `name: value` that can each be understood alone: the words of the
//! names are what questions are asked in, and wherever a passage is cut, its values still have theirs. In
//! the source a value may stand pages below the name it belongs to, and half of the tokens are brackets.
//!
//! A small object is one line (`name: Ada; born: 1815; address.city: London`), as a row of CSV is; in a
//! large one each member begins with the way to it (`orders[3]: item: pen; price: 2`). Numbers stand as
//! they do in the source; what is null or empty is left out.
//!
//! The source is never a tree in memory: a value is a slice of it until it is written.

use std::fmt;

use serde::{
    Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::domain::MediaType;

use super::{
    Engine, ExtractError, Extracted, Limits, decode, draft::Draft, inline::one_line, text, unpaged,
};

/// Bytes of an object that is written on one line, if the line does not become too long.
const SMALL: usize = 2_048;

/// Bytes of a line, about; a longer one fills a passage alone.
const LINE: usize = 600;

/// Deeper values are written as they stand.
const MAX_DEPTH: usize = 100;

/// Bytes of the way to a value.
const MAX_PATH: usize = 400;

/// Reads JSON. What turns out to be none is read as the text it is.
pub(super) fn extract(bytes: &[u8], limits: &Limits) -> Result<Extracted, ExtractError> {
    let source = decode::decode(bytes, None);
    let source = source.trim_start_matches('\u{feff}');
    let mut writer = Writer {
        draft: Draft::new(limits),
        line: String::new(),
    };
    for value in serde_json::Deserializer::from_str(source).into_iter::<&RawValue>() {
        match value {
            Ok(value) => writer.write(value.get(), "", 0)?,
            Err(_) => return text::extract(bytes, limits),
        }
    }
    let (text, sections) = writer.draft.finish();
    Ok(unpaged(MediaType::Json, Engine::Json, None, text, sections))
}

/// Whether a text is JSON: objects or arrays, and nothing between them. `is_cut` says that the text goes
/// on where `text` ends.
pub(super) fn is_json(text: &str, is_cut: bool) -> bool {
    let start = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if !start.starts_with(['{', '[']) {
        return false;
    }
    for value in serde_json::Deserializer::from_str(start).into_iter::<&RawValue>() {
        match value {
            Ok(value) if value.get().starts_with(['{', '[']) => {}
            Ok(_) => return false,
            Err(error) => return is_cut && error.is_eof(),
        }
    }
    true
}

struct Writer {
    draft: Draft,
    /// The line being gathered.
    line: String,
}

impl Writer {
    /// Writes a value; `path` leads to it.
    fn write(&mut self, raw: &str, path: &str, depth: usize) -> Result<(), ExtractError> {
        if raw.len() <= SMALL || depth >= MAX_DEPTH || !is_container(raw) {
            self.flatten(raw, path, "", depth)?;
            return self.flush(path);
        }
        let mut index = 0_usize;
        each(raw, &mut |name, value| {
            let at = match name {
                Some(name) => join(path, name),
                // Numbers of lines nobody asks for.
                None if path.is_empty() => String::new(),
                None => format!("{path}[{index}]"),
            };
            index += 1;
            if is_container(value) {
                self.flush(path)?;
                self.write(value, &at, depth + 1)
            } else {
                self.cell(name.unwrap_or_default(), &shown(value), path)
            }
        })?;
        self.flush(path)
    }

    /// Gathers a value with all that is in it; `name` leads to it from `path`.
    fn flatten(
        &mut self,
        raw: &str,
        path: &str,
        name: &str,
        depth: usize,
    ) -> Result<(), ExtractError> {
        if !is_container(raw) {
            return self.cell(name, &shown(raw), path);
        }
        if depth >= MAX_DEPTH {
            return self.cell(name, &one_line(raw), path);
        }
        let mut index = 0_usize;
        let mut scalars: Vec<String> = Vec::new();
        each(raw, &mut |member, value| {
            let at = match member {
                Some(member) => join(name, member),
                None => format!("{name}[{index}]"),
            };
            index += 1;
            if member.is_none() && !is_container(value) {
                scalars.push(shown(value));
                return Ok(());
            }
            self.flatten(value, path, &at, depth + 1)
        })?;
        scalars.retain(|value| !value.is_empty());
        self.cell(name, &scalars.join(", "), path)
    }

    /// Adds `name: value` to the line.
    fn cell(&mut self, name: &str, value: &str, path: &str) -> Result<(), ExtractError> {
        if value.is_empty() {
            return Ok(());
        }
        if self.line.len() + name.len() + value.len() > LINE {
            self.flush(path)?;
        }
        if !self.line.is_empty() {
            self.line.push_str("; ");
        }
        if !name.is_empty() {
            self.line.push_str(name);
            self.line.push_str(": ");
        }
        self.line.push_str(value);
        Ok(())
    }

    fn flush(&mut self, path: &str) -> Result<(), ExtractError> {
        if self.line.is_empty() {
            return Ok(());
        }
        let line = std::mem::take(&mut self.line);
        self.draft.end_line()?;
        if !path.is_empty() {
            self.draft.push(path)?;
            self.draft.push(": ")?;
        }
        self.draft.push(&line)?;
        self.draft.end_line()
    }
}

fn is_container(raw: &str) -> bool {
    raw.starts_with(['{', '['])
}

/// A value that is no container, as it is read; empty for null.
fn shown(raw: &str) -> String {
    if raw == "null" {
        return String::new();
    }
    match serde_json::from_str::<String>(raw) {
        Ok(text) => one_line(&text),
        Err(_) => one_line(raw),
    }
}

/// The way to a member; a way that has become too long loses its beginning.
fn join(path: &str, name: &str) -> String {
    let name = one_line(name);
    if path.is_empty() {
        return name;
    }
    if path.len() + name.len() > MAX_PATH {
        return format!("….{name}");
    }
    format!("{path}.{name}")
}

/// Calls `visit` with the members of an object (and their names) or an array.
fn each(
    raw: &str,
    visit: &mut dyn FnMut(Option<&str>, &str) -> Result<(), ExtractError>,
) -> Result<(), ExtractError> {
    let mut failed = None;
    let members = Members {
        visit,
        failed: &mut failed,
    };
    // A slice that was found in valid JSON is valid, so only `visit` can fail; a string with half a
    // surrogate pair as a name is the exception, and what follows it is done without.
    let done = serde_json::Deserializer::from_str(raw).deserialize_any(members);
    match (done, failed) {
        (_, Some(error)) => Err(error),
        (Ok(()) | Err(_), None) => Ok(()),
    }
}

struct Members<'v> {
    visit: &'v mut dyn FnMut(Option<&str>, &str) -> Result<(), ExtractError>,
    failed: &'v mut Option<ExtractError>,
}

impl Members<'_> {
    fn visit<E: serde::de::Error>(
        &mut self,
        name: Option<&str>,
        value: &RawValue,
    ) -> Result<(), E> {
        (self.visit)(name, value.get()).map_err(|error| {
            *self.failed = Some(error);
            E::custom("the text cannot be written")
        })
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(value) = seq.next_element::<&RawValue>()? {
            self.visit(None, value)?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
            self.visit(Some(&name), value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, expected: &str) {
        let extracted = extract(source.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(extracted.check(), Ok(()));
        assert_eq!(extracted.text, expected);
    }

    #[test]
    fn small_values_are_lines() {
        check(
            r#"{"name": "Ada\nLovelace", "born": 1815.50, "address": {"city": "London", "zip": null}, "tags": ["a", "b"], "x": [], "notes": [{"n": 1}]}"#,
            "name: Ada Lovelace; born: 1815.50; address.city: London; tags: a, b; notes[0].n: 1",
        );
        check("[1, 2, [3]]", "[2]: 3; 1, 2");
        check("{\"a\":1}\n{\"a\":2}\n", "a: 1\na: 2");
        check(
            r#"{"big": 123456789012345678901234567890}"#,
            "big: 123456789012345678901234567890",
        );
    }

    #[test]
    fn large_values_say_the_way_to_them() {
        let item = |n: usize| {
            format!(
                r#"{{"id": {n}, "name": "item {n}", "text": "{}"}}"#,
                "w ".repeat(100)
            )
        };
        let items: Vec<String> = (0..20).map(item).collect();
        let source = format!(
            r#"{{"title": "Orders", "orders": [{}], "total": 20}}"#,
            items.join(",")
        );
        let extracted = extract(source.as_bytes(), &Limits::default()).unwrap();
        let lines: Vec<&str> = extracted.text.lines().collect();
        assert_eq!((lines[0], lines[21]), ("title: Orders", "total: 20"));
        assert!(
            lines[4].starts_with("orders[3]: id: 3; name: item 3; text: w w"),
            "{}",
            lines[4]
        );
        let listed = extract(
            format!("[{}]", items.join(",")).as_bytes(),
            &Limits::default(),
        )
        .unwrap();
        assert!(listed.text.starts_with("id: 0; name: item 0"));
    }

    #[test]
    fn what_is_no_json_is_text() {
        for (source, is_cut, expected) in [
            ("{\"a\": 1}", false, true),
            ("\u{feff} [1]\n[2]", false, true),
            ("[1] Smith, A. (2001)", false, false),
            ("[link](http://x)", false, false),
            ("[section]\nkey=1", false, false),
            ("{\"a\": ", false, false),
            ("{\"a\": ", true, true),
            ("[1]\n2", false, false),
            ("plain", false, false),
            ("{{ template }}", true, false),
        ] {
            assert_eq!(is_json(source, is_cut), expected, "{source}");
        }
        let broken = extract(b"{\"a\": [1, }", &Limits::default()).unwrap();
        assert_eq!(
            (broken.media_type, broken.text.as_str()),
            (MediaType::Text, "{\"a\": [1, }")
        );
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let extracted = extract(deep.as_bytes(), &Limits::default()).unwrap();
        assert!(extracted.text.contains('1'));
    }
}
