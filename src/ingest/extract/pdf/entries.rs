//! What somebody wrote onto a page: values of form fields and typed notes. They are no part of the
//! page's content, and so of neither reader's text, but a viewer shows them.

use lopdf::{Dictionary, Document, Object, ObjectId, decode_text_string};

use super::tidy::tidy;
use crate::ingest::extract::inline::one_line;

/// Entries of one page. A tax form has some hundred.
const MAX_ENTRIES: usize = 2_000;

/// Characters of one entry that are kept.
const MAX_CHARS: usize = 10_000;

/// How far a field is from the one that it has its name or value from.
const MAX_DEPTH: usize = 16;

/// The entries of a page, in the order of the file: `name: value` of a field that has a name for people,
/// the value alone of others, `[x] name` of a box that is ticked.
pub(super) fn entries(document: &Document, page: ObjectId) -> Vec<String> {
    let annotations = document.get_page_annotations(page).unwrap_or_default();
    annotations
        .into_iter()
        .filter_map(|annotation| entry(document, annotation))
        .take(MAX_ENTRIES)
        .collect()
}

fn entry(document: &Document, annotation: &Dictionary) -> Option<String> {
    match annotation
        .get_deref(b"Subtype", document)
        .ok()?
        .as_name()
        .ok()?
    {
        b"FreeText" => text(annotation.get_deref(b"Contents", document).ok()?),
        b"Widget" => field(document, annotation),
        _ => None,
    }
}

fn field(document: &Document, widget: &Dictionary) -> Option<String> {
    let name = inherited(document, widget, b"TU").and_then(text);
    let kind = inherited(document, widget, b"FT")?.as_name().ok()?;
    if kind == b"Btn" {
        // The state of this box; a group of them shares one value.
        let state = widget.get_deref(b"AS", document).ok()?.as_name().ok()?;
        return (state != b"Off").then(|| name.map(|name| format!("[x] {name}")))?;
    }
    // A signature's value is a dictionary, and no text.
    let value = match inherited(document, widget, b"V")? {
        Object::Array(values) => {
            let texts: Vec<String> = values.iter().filter_map(text).collect();
            Some(texts.join(", ")).filter(|joined| !joined.is_empty())
        }
        value => text(value),
    }?;
    // Passwords are typed into forms too (ISO 32000-1, table 228).
    const PASSWORD: i64 = 1 << 13;
    let flags = inherited(document, widget, b"Ff").and_then(|f| f.as_i64().ok());
    if flags.unwrap_or(0) & PASSWORD != 0 {
        return None;
    }
    Some(match name {
        Some(name) => format!("{name}: {value}"),
        None => value,
    })
}

/// An attribute of a field, its own or that of a field above it.
fn inherited<'a>(document: &'a Document, field: &'a Dictionary, key: &[u8]) -> Option<&'a Object> {
    let mut field = field;
    for _ in 0..MAX_DEPTH {
        if let Ok(found) = field.get_deref(key, document) {
            return Some(found);
        }
        field = field.get_deref(b"Parent", document).ok()?.as_dict().ok()?;
    }
    None
}

/// A text string on one line; `None` for other objects and for nothing but spaces.
fn text(object: &Object) -> Option<String> {
    let text = one_line(&tidy(&decode_text_string(object).ok()?));
    let kept: String = text.chars().take(MAX_CHARS).collect();
    (!kept.is_empty()).then_some(kept)
}

#[cfg(test)]
mod tests {
    use lopdf::dictionary;

    use super::*;

    #[track_caller]
    fn check(annotations: Vec<Dictionary>, expected: &[&str]) {
        let mut document = Document::with_version("1.5");
        let kids: Vec<Object> = annotations
            .into_iter()
            .map(|annotation| document.add_object(annotation).into())
            .collect();
        let page = document.add_object(dictionary! { "Type" => "Page", "Annots" => kids });
        assert_eq!(entries(&document, page), expected);
    }

    fn string(text: &str) -> Object {
        lopdf::text_string(text)
    }

    #[test]
    fn fields_notes_and_boxes() {
        let widget = |mut rest: Dictionary| {
            rest.set("Subtype", "Widget");
            rest
        };
        check(
            vec![
                widget(
                    dictionary! { "FT" => "Tx", "TU" => string("Given name"), "V" => string("Zoë") },
                ),
                widget(
                    dictionary! { "FT" => "Tx", "T" => string("f1_07"), "V" => string(" 42 \n") },
                ),
                widget(dictionary! { "FT" => "Tx", "V" => string("") }),
                widget(dictionary! { "FT" => "Ch", "V" => vec![string("a"), string("b")] }),
                widget(dictionary! { "FT" => "Btn", "TU" => string("Married"), "AS" => "Yes" }),
                widget(dictionary! { "FT" => "Btn", "TU" => string("Single"), "AS" => "Off" }),
                widget(dictionary! { "FT" => "Tx", "Ff" => 1 << 13, "V" => string("secret") }),
                widget(dictionary! { "FT" => "Sig", "V" => Dictionary::new() }),
                dictionary! { "Subtype" => "FreeText", "Contents" => string("Paid in May") },
                dictionary! { "Subtype" => "Link", "Contents" => string("no") },
            ],
            &[
                "Given name: Zoë",
                "42",
                "a, b",
                "[x] Married",
                "Paid in May",
            ],
        );
    }

    #[test]
    fn values_of_fields_above() {
        let mut document = Document::with_version("1.5");
        let parent = document.add_object(dictionary! {
            "FT" => "Tx", "TU" => string("Town"), "V" => string("Ulm"),
        });
        let kid = document.add_object(dictionary! { "Subtype" => "Widget", "Parent" => parent });
        // One that is its own parent.
        let circle = document.new_object_id();
        let endless = dictionary! { "Subtype" => "Widget", "Parent" => circle };
        document.objects.insert(circle, endless.into());
        let annotations: Vec<Object> = vec![kid.into(), circle.into()];
        let page = document.add_object(dictionary! { "Annots" => annotations });
        assert_eq!(entries(&document, page), ["Town: Ulm"]);
    }
}
