//! Reading values out of the three places where settings are written: a file, the environment,
//! flags. Each value comes out with its setting and where it stood, or as a [`Problem`].

use std::path::Path;

use toml::{
    Spanned, Value,
    de::{DeTable, DeValue},
};

use super::{
    keys::{self, Form, Key},
    paths::Env,
    problem::{Origin, Problem},
};

/// One value as written.
#[derive(Debug, Clone)]
pub struct Given {
    pub key: &'static Key,
    pub value: Value,
    pub at: Origin,
}

/// What was read from one place.
#[derive(Debug, Default)]
pub struct Layer {
    pub values: Vec<Given>,
    pub problems: Vec<Problem>,
}

impl Layer {
    /// Takes a value of any form; one that does not fit its setting becomes a problem.
    fn put(&mut self, key: &'static Key, value: Value, at: Origin) {
        match fit(key, value, &at) {
            Ok(value) => self.values.push(Given { key, value, at }),
            Err(problem) => self.problems.push(problem),
        }
    }

    /// Takes a value given as text, as variables and flags are.
    fn put_text(&mut self, key: &'static Key, text: &str, at: Origin) {
        match from_text(key.form, text) {
            Some(value) => self.put(key, value, at),
            None => self.problems.push(wrong_form(key, &Value::from(text), at)),
        }
    }
}

/// The settings in `text`, the content of the file at `path`.
pub fn file(text: &str, path: &Path) -> Layer {
    let mut layer = Layer::default();
    match DeTable::parse(text) {
        Ok(table) => walk(table.get_ref(), "", &mut layer, &|offset| Origin::File {
            path: path.to_owned(),
            line: line_and_column(text, offset).0,
        }),
        Err(error) => {
            let (line, column) = line_and_column(text, error.span().map_or(0, |span| span.start));
            layer.problems.push(Problem::NotToml {
                path: path.to_owned(),
                line,
                column,
                message: error.message().to_owned(),
            });
        }
    }
    layer
}

fn walk(table: &DeTable<'_>, under: &str, layer: &mut Layer, at: &dyn Fn(usize) -> Origin) {
    // In the order of the file, so that problems are listed from top to bottom.
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    for (name, value) in entries {
        let origin = at(name.span().start);
        let full = format!("{under}{}", name.get_ref());
        if let Some(key) = keys::find(&full) {
            layer.put(key, plain(value), origin);
        } else if !keys::is_section(&full) {
            layer.problems.push(unknown(full, origin));
        } else if let DeValue::Table(inner) = value.get_ref() {
            walk(inner, &format!("{full}."), layer, at);
        } else {
            layer.problems.push(Problem::NotASection {
                at: origin,
                name: full,
            });
        }
    }
}

/// The value without its place in the text.
fn plain(value: &Spanned<DeValue<'_>>) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        // A number too large for TOML's own integers fits no limit of any setting: as a text it is
        // refused with a message that shows it.
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::String(number.to_string()), Value::Integer),
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .map_or_else(|_| Value::String(number.to_string()), Value::Float),
        DeValue::Boolean(yes) => Value::Boolean(*yes),
        DeValue::Datetime(time) => Value::Datetime(*time),
        DeValue::Array(items) => Value::Array(items.iter().map(plain).collect()),
        DeValue::Table(table) => Value::Table(
            table
                .iter()
                .map(|(name, value)| (name.get_ref().to_string(), plain(value)))
                .collect(),
        ),
    }
}

/// Line and column, both from 1, of a byte offset.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

/// The settings in the environment: `GRIOT__SECTION__KEY`, and `GRIOT_HOME` for `home`.
pub fn environment(env: &Env) -> Layer {
    const PREFIX: &str = "GRIOT__";
    let mut layer = Layer::default();
    for (variable, value) in env.iter() {
        let Some(variable) = variable.to_str() else {
            continue;
        };
        let name = match variable.strip_prefix(PREFIX) {
            Some(rest) => rest.to_lowercase().replace("__", "."),
            // `GRIOT__HOME`, being more exact, wins where both are set.
            None if variable == "GRIOT_HOME" && env.get("GRIOT__HOME").is_none() => {
                "home".to_owned()
            }
            None => continue,
        };
        let at = Origin::Environment(variable.to_owned());
        let Some(key) = keys::find(&name) else {
            let nearest = keys::nearest(&name)
                .map(|known| format!("{PREFIX}{}", known.to_uppercase().replace('.', "__")));
            layer
                .problems
                .push(Problem::UnknownKey { at, name, nearest });
            continue;
        };
        match value.to_str() {
            Some(text) => layer.put_text(key, text, at),
            None => layer.problems.push(Problem::NotText(variable.to_owned())),
        }
    }
    layer
}

/// The settings given as flags: name of the setting, value, flag as typed.
pub fn flags<'a>(given: impl Iterator<Item = (&'a str, &'a str, &'a str)>) -> Layer {
    let mut layer = Layer::default();
    for (name, text, flag) in given {
        let at = Origin::Flag(flag.to_owned());
        match keys::find(name) {
            Some(key) => layer.put_text(key, text, at),
            None => layer.problems.push(unknown(name.to_owned(), at)),
        }
    }
    layer
}

/// A value written as plain text. Lists are TOML, JSON, or words between commas.
fn from_text(form: Form, text: &str) -> Option<Value> {
    match form {
        Form::Text | Form::Path | Form::Address | Form::Choice(_) => {
            Some(Value::String(text.to_owned()))
        }
        Form::Number(..) => text.trim().parse().ok().map(Value::Integer),
        Form::Fraction => text.trim().parse().ok().map(Value::Float),
        Form::Switch => text.trim().parse().ok().map(Value::Boolean),
        Form::Texts | Form::Paths if !text.trim_start().starts_with('[') => Some(Value::Array(
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(Value::from)
                .collect(),
        )),
        Form::Texts | Form::Paths | Form::Upstreams | Form::Watches => {
            toml::from_str::<toml::Table>(&format!("v = {text}"))
                .ok()
                .and_then(|mut table| table.remove("v"))
                .or_else(|| serde_json::from_str(text).ok())
        }
    }
}

/// Checks that the value has the form of its setting.
fn fit(key: &'static Key, value: Value, at: &Origin) -> Result<Value, Problem> {
    let texts = |items: &[Value]| items.iter().all(Value::is_str);
    let fits = match (key.form, &value) {
        (Form::Text | Form::Path, Value::String(_)) => true,
        (Form::Address, Value::String(text)) => text.parse::<std::net::SocketAddr>().is_ok(),
        (Form::Choice(names), Value::String(text)) => names.contains(&text.as_str()),
        (Form::Number(least, most), Value::Integer(number)) => {
            u64::try_from(*number).is_ok_and(|number| (least..=most).contains(&number))
        }
        (Form::Fraction, Value::Float(number)) => (0.0..=1.0).contains(number),
        (Form::Fraction, Value::Integer(number)) => (0..=1).contains(number),
        (Form::Switch, Value::Boolean(_)) => true,
        (Form::Texts | Form::Paths, Value::Array(items)) => texts(items),
        (Form::Upstreams, Value::Array(items)) => {
            return tables(key, &UPSTREAMS, items, at).map(|()| value);
        }
        (Form::Watches, Value::Array(items)) => {
            return tables(key, &WATCHES, items, at).map(|()| value);
        }
        _ => false,
    };
    match value {
        _ if !fits => Err(wrong_form(key, &value, at.clone())),
        Value::Integer(whole) if key.form == Form::Fraction => Ok(Value::Float(whole as f64)),
        value => Ok(value),
    }
}

/// The fields of a setting that is a list of tables, and the one that each table needs.
struct Tables {
    fields: &'static [(&'static str, Form)],
    needed: &'static str,
}

const UPSTREAMS: Tables = Tables {
    fields: &[
        ("kind", Form::Choice(&["embedded", "ollama"])),
        ("url", Form::Text),
        ("model", Form::Text),
    ],
    needed: "kind",
};

const WATCHES: Tables = Tables {
    fields: &[
        ("path", Form::Path),
        ("collection", Form::Text),
        ("include", Form::Texts),
        ("exclude", Form::Texts),
        ("deleted", Form::Choice(&["retire", "keep"])),
    ],
    needed: "path",
};

/// Settings with keys of their own inside.
fn tables(key: &Key, known: &Tables, items: &[Value], at: &Origin) -> Result<(), Problem> {
    let wrong = |name: String, given: String, wanted| Problem::WrongForm {
        at: at.clone(),
        name,
        given,
        wanted,
    };
    for (i, item) in items.iter().enumerate() {
        let name = format!("{}[{i}]", key.name);
        let Value::Table(given) = item else {
            return Err(wrong(key.name.to_owned(), describe(item), key.form));
        };
        for (field, value) in given {
            let Some((_, form)) = known.fields.iter().find(|(name, _)| name == field) else {
                return Err(Problem::UnknownKey {
                    at: at.clone(),
                    name: format!("{name}.{field}"),
                    nearest: known
                        .fields
                        .iter()
                        .map(|(name, _)| (strsim::damerau_levenshtein(name, field), *name))
                        .min()
                        .filter(|(distance, _)| *distance <= 2)
                        .map(|(_, known)| format!("{name}.{known}")),
                });
            };
            let fits = match (form, value) {
                (Form::Choice(names), Value::String(text)) => names.contains(&text.as_str()),
                (Form::Texts, Value::Array(items)) => items.iter().all(Value::is_str),
                (Form::Texts, _) => false,
                (_, value) => value.is_str(),
            };
            if !fits {
                return Err(wrong(format!("{name}.{field}"), describe(value), *form));
            }
        }
        if !given.contains_key(known.needed) {
            let (_, form) = known
                .fields
                .iter()
                .find(|(name, _)| *name == known.needed)
                .expect("the needed field is one of them");
            return Err(wrong(
                format!("{name}.{}", known.needed),
                "missing".to_owned(),
                *form,
            ));
        }
    }
    Ok(())
}

fn unknown(name: String, at: Origin) -> Problem {
    Problem::UnknownKey {
        nearest: keys::nearest(&name).map(str::to_owned),
        at,
        name,
    }
}

fn wrong_form(key: &Key, value: &Value, at: Origin) -> Problem {
    Problem::WrongForm {
        at,
        name: key.name.to_owned(),
        given: match (key.secret, value) {
            (true, Value::String(_)) => "a text (not shown)".to_owned(),
            (true, _) => "something else (not shown)".to_owned(),
            (false, value) => describe(value),
        },
        wanted: key.form,
    }
}

/// A value in a message, shortened.
fn describe(value: &Value) -> String {
    const SHOWN: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
