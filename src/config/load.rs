//! Merging: defaults < file < environment < flags, each value with where it came from.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::Value;

use super::{
    Config, ConfigError, Env, Origin, Paths, Problem,
    check::{self, Unfit},
    keys::{Form, KEYS, Key},
    layers::{self, Layer},
    paths::absolute,
};

/// Settings given as flags. They win over everything else.
#[derive(Debug, Clone, Default)]
pub struct Overrides(Vec<Override>);

#[derive(Debug, Clone)]
struct Override {
    key: String,
    value: String,
    flag: String,
}

impl Overrides {
    /// Sets `key` (as in `server.listen`) to `value`, written as in an environment variable.
    /// `flag` is what the person typed, for messages.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<String>, flag: &str) -> Self {
        self.0.push(Override {
            key: key.to_owned(),
            value: value.into(),
            flag: flag.to_owned(),
        });
        self
    }
}

/// Every setting, typed and checked, with where each came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    pub paths: Paths,
    settings: Vec<Setting>,
}

impl Loaded {
    /// One entry a setting, in the order of [`KEYS`].
    #[must_use]
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }
}

/// One setting's value and where it came from.
#[derive(Debug, Clone)]
pub struct Setting {
    pub key: &'static Key,
    /// None: not set, and without a default of its own.
    pub value: Option<Value>,
    pub origin: Origin,
}

impl Setting {
    /// The value for people's eyes; secrets are masked.
    #[must_use]
    pub fn shown(&self) -> Option<Value> {
        fn mask(value: &Value) -> Value {
            match value {
                Value::Array(items) => Value::Array(items.iter().map(mask).collect()),
                // The hash of a key may be told apart by its beginning; anything else stays hidden.
                Value::String(text) if text.starts_with("sha256:") => {
                    Value::String(format!("{}…", text.chars().take(15).collect::<String>()))
                }
                _ => Value::String("(hidden)".to_owned()),
            }
        }
        let value = self.value.as_ref()?;
        Some(match value {
            value if self.key.secret => mask(value),
            // 0.62 in single precision is 0.6200000047683716 in double.
            Value::Float(number) => (*number as f32)
                .to_string()
                .parse()
                .map_or_else(|_| value.clone(), Value::Float),
            value => value.clone(),
        })
    }
}

/// Merges all settings and checks them. `file` is read instead of `griot/griot.toml` in the XDG
/// config folder, and must then be there. Every problem is reported, not only the first.
pub fn load(flags: &Overrides, env: &Env, file: Option<&Path>) -> Result<Loaded, ConfigError> {
    let mut problems = Vec::new();
    let usual = env.config_dir().map(|folder| folder.join("griot.toml"));
    let Some(config_file) = file.map(Path::to_owned).or(usual) else {
        return Err(ConfigError {
            problems: vec![Problem::NoHome],
        });
    };
    let config_file = std::path::absolute(&config_file).unwrap_or(config_file);
    let text = match fs::read_to_string(&config_file) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound && file.is_none() => None,
        Err(source) => {
            problems.push(Problem::Unreadable {
                path: config_file.clone(),
                source,
            });
            None
        }
    };

    let mut merged = defaults();
    let layers = [
        text.as_deref()
            .map_or_else(Layer::default, |text| layers::file(text, &config_file)),
        layers::environment(env),
        layers::flags(
            flags
                .0
                .iter()
                .map(|given| (&*given.key, &*given.value, &*given.flag)),
        ),
    ];
    for layer in layers {
        problems.extend(layer.problems);
        for given in layer.values {
            let value = rooted(given.key, given.value, &given.at, env, &config_file);
            merged.insert(given.key.name, (Some(value), given.at));
        }
    }
    if !problems.is_empty() {
        return Err(ConfigError { problems });
    }

    let settings: Vec<Setting> = KEYS
        .iter()
        .map(|key| {
            let (value, origin) = merged
                .remove(key.name)
                .expect("defaults() has an entry for every key");
            Setting { key, value, origin }
        })
        .collect();
    let config = typed(&settings)?;
    let at = |key: &str| {
        settings
            .iter()
            .find(|setting| setting.key.name == key)
            .map_or(Origin::Default, |setting| setting.origin.clone())
    };
    problems.extend(
        check::unfit(&config)
            .into_iter()
            .map(|Unfit { key, reason }| Problem::Unfit {
                at: at(key),
                name: key.to_owned(),
                reason,
            }),
    );
    let home = config.home.clone().or_else(|| env.data_dir());
    let models_dir =
        (config.models.dir.clone()).or_else(|| env.data_dir().map(|data| data.join("models")));
    match (home, models_dir) {
        (Some(home), Some(models_dir)) if problems.is_empty() => Ok(Loaded {
            config,
            paths: Paths {
                config_found: text.is_some(),
                config_file,
                home,
                models_dir,
            },
            settings,
        }),
        (home, models_dir) => {
            if home.is_none() || models_dir.is_none() {
                problems.push(Problem::NoHome);
            }
            Err(ConfigError { problems })
        }
    }
}

/// What each setting is when nobody says otherwise.
fn defaults() -> BTreeMap<&'static str, (Option<Value>, Origin)> {
    let table = toml::Table::try_from(Config::default())
        .expect("the default settings consist of texts, numbers and lists");
    KEYS.iter()
        .map(|key| {
            let mut value = Some(Value::Table(table.clone()));
            for part in key.name.split('.') {
                value = value.and_then(|value| value.get(part).cloned());
            }
            (key.name, (value, Origin::Default))
        })
        .collect()
}

/// Paths made absolute: those of the file are relative to its folder, others to the working one.
/// `ingest.allowed_roots` and `ingest.watch` keep relative paths, which the checks then refuse: what the daemon may
/// read must not depend on where somebody started it.
fn rooted(key: &Key, value: Value, at: &Origin, env: &Env, config_file: &Path) -> Value {
    let home = env.home();
    let base = match at {
        Origin::File { .. } => config_file.parent().map(Path::to_owned),
        _ => std::env::current_dir().ok(),
    }
    .unwrap_or_default();
    let absolute_text = |text: &str, base: &Path| {
        let path: PathBuf = absolute(Path::new(text), home.as_deref(), base);
        Value::String(path.to_string_lossy().into_owned())
    };
    match (key.form, value) {
        (Form::Path, Value::String(text)) => absolute_text(&text, &base),
        (Form::Paths, Value::Array(items)) => Value::Array(
            items
                .iter()
                .map(|item| match item {
                    Value::String(text) => absolute_text(text, Path::new("")),
                    other => other.clone(),
                })
                .collect(),
        ),
        (Form::Watches, Value::Array(mut items)) => {
            for item in &mut items {
                if let Some(Value::String(path)) = item.get_mut("path") {
                    let Value::String(absolute) = absolute_text(path, Path::new("")) else {
                        continue;
                    };
                    *path = absolute;
                }
            }
            Value::Array(items)
        }
        (_, value) => value,
    }
}

/// The typed settings. Forms were checked value by value, so what fails here is a type that refuses
/// its text (a collection's name), and its own message says why.
fn typed(settings: &[Setting]) -> Result<Config, ConfigError> {
    let mut table = toml::Table::new();
    for setting in settings {
        let Some(value) = setting.value.clone() else {
            continue;
        };
        match setting.key.name.split_once('.') {
            None => {
                table.insert(setting.key.name.to_owned(), value);
            }
            Some((section, name)) => {
                let inner = table
                    .entry(section)
                    .or_insert_with(|| Value::Table(toml::Table::new()));
                if let Value::Table(inner) = inner {
                    inner.insert(name.to_owned(), value);
                }
            }
        }
        // After each value, so that the one that is refused is known by name.
        if setting.origin != Origin::Default
            && let Err(error) = Config::deserialize(table.clone())
        {
            return Err(ConfigError {
                problems: vec![Problem::Unfit {
                    at: setting.origin.clone(),
                    name: setting.key.name.to_owned(),
                    reason: format!("is refused: {}", error.message()),
                }],
            });
        }
    }
    Config::deserialize(table).map_err(|error| ConfigError {
        problems: vec![Problem::Unfit {
            at: Origin::Default,
            name: "settings".to_owned(),
            reason: error.message().to_owned(),
        }],
    })
}
