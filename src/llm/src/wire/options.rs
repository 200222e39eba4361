//! `options`: how to generate. Parsed into values that are in range; what this server does not know
//! is passed over, as Ollama does, so that clients may send options meant for other back ends.

use serde_json::{Map, Value};

/// Most stop texts in one request, and the most bytes in one: each is searched for after every
/// token.
const STOPS: usize = 32;
const STOP_BYTES: usize = 1024;

/// How to generate. The defaults are Ollama's, but for `repeat_penalty`: 1.1 there, off here,
/// because an answer that quotes its source has to repeat it.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// 0 is greedy: always the likeliest token.
    pub temperature: f32,
    /// `None`: a fresh one for each request.
    pub seed: Option<u64>,
    /// Tokens to write at most; `None`: until the model ends or the context is full.
    pub num_predict: Option<usize>,
    /// Tokens of prompt and reply together; `None`: as many as the server's context holds.
    pub num_ctx: Option<usize>,
    /// Texts that end the reply and are not part of it.
    pub stop: Vec<String>,
    /// Draw from this many of the likeliest tokens; `None`: from all.
    pub top_k: Option<usize>,
    /// Draw from the likeliest tokens that together have this probability; 1 is off.
    pub top_p: f32,
    /// Leave out tokens less likely than this share of the likeliest; 0 is off.
    pub min_p: f32,
    /// Divides the logits of tokens seen lately (multiplies negative ones); 1 is off.
    pub repeat_penalty: f32,
    /// Taken from the logit of each token seen lately; 0 is off.
    pub presence_penalty: f32,
    /// Taken from it once for each time it was seen; 0 is off.
    pub frequency_penalty: f32,
    /// How many of the last tokens the penalties look at; `None`: all.
    pub repeat_last_n: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            temperature: 0.8,
            seed: None,
            num_predict: None,
            num_ctx: None,
            stop: Vec::new(),
            top_k: Some(40),
            top_p: 0.9,
            min_p: 0.0,
            repeat_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            repeat_last_n: Some(64),
        }
    }
}

/// An option that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOption {
    #[error("option {name:?} has to be {expected}")]
    Value {
        name: &'static str,
        expected: &'static str,
    },
    #[error("option \"stop\" holds too much: at most {STOPS} texts of at most {STOP_BYTES} bytes")]
    Stops,
}

impl Options {
    /// Reads `options`; `None` and `null` values leave the default.
    pub fn parse(given: Option<&Map<String, Value>>) -> Result<Self, BadOption> {
        let mut options = Self::default();
        let Some(given) = given else {
            return Ok(options);
        };
        let reader = Reader(given);

        if let Some(value) = reader.number("temperature", 0.0, 100.0, "a number from 0 to 100")? {
            options.temperature = value;
        }
        if let Some(value) = reader.number("top_p", 0.0, 1.0, "a number from 0 to 1")? {
            options.top_p = value;
        }
        if let Some(value) = reader.number("min_p", 0.0, 1.0, "a number from 0 to 1")? {
            options.min_p = value;
        }
        if let Some(value) =
            reader.number("repeat_penalty", 0.0, 100.0, "a number from 0 to 100")?
        {
            // 0 would divide by nothing; the clients that send it mean "off".
            options.repeat_penalty = if value == 0.0 { 1.0 } else { value };
        }
        if let Some(value) = reader.number(
            "presence_penalty",
            -100.0,
            100.0,
            "a number from -100 to 100",
        )? {
            options.presence_penalty = value;
        }
        if let Some(value) = reader.number(
            "frequency_penalty",
            -100.0,
            100.0,
            "a number from -100 to 100",
        )? {
            options.frequency_penalty = value;
        }
        if let Some(value) = reader.integer("seed")? {
            // Ollama takes -1 for "a fresh one".
            options.seed = u64::try_from(value).ok();
        }
        if let Some(value) = reader.integer("num_predict")? {
            options.num_predict = positive(value);
        }
        if let Some(value) = reader.integer("num_ctx")? {
            options.num_ctx = positive(value);
        }
        if let Some(value) = reader.integer("top_k")? {
            options.top_k = positive(value);
        }
        if let Some(value) = reader.integer("repeat_last_n")? {
            options.repeat_last_n = usize::try_from(value).ok();
        }
        options.stop = reader.texts("stop")?;
        if options.stop.len() > STOPS || options.stop.iter().any(|stop| stop.len() > STOP_BYTES) {
            return Err(BadOption::Stops);
        }
        Ok(options)
    }
}

/// `None` for zero and below, which these options use for "no limit".
fn positive(value: i64) -> Option<usize> {
    usize::try_from(value).ok().filter(|value| *value > 0)
}

struct Reader<'a>(&'a Map<String, Value>);

impl Reader<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn number(
        &self,
        name: &'static str,
        least: f64,
        most: f64,
        expected: &'static str,
    ) -> Result<Option<f32>, BadOption> {
        match self.get(name).map(Value::as_f64) {
            None => Ok(None),
            Some(Some(value)) if (least..=most).contains(&value) => Ok(Some(value as f32)),
            Some(_) => Err(BadOption::Value { name, expected }),
        }
    }

    /// A whole number; clients with one number type send `4096.0`.
    fn integer(&self, name: &'static str) -> Result<Option<i64>, BadOption> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let whole = value.as_i64().or_else(|| {
            value
                .as_f64()
                .filter(|number| number.fract() == 0.0 && number.abs() < 9e15)
                .map(|number| number as i64)
        });
        whole.map(Some).ok_or(BadOption::Value {
            name,
            expected: "a whole number",
        })
    }

    fn texts(&self, name: &'static str) -> Result<Vec<String>, BadOption> {
        let wrong = BadOption::Value {
            name,
            expected: "a text or a list of texts",
        };
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text.clone()]),
            Some(Value::Array(list)) => list
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or(wrong),
            Some(_) => Err(wrong),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Result<Options, &str>) {
        let given: Map<String, Value> = serde_json::from_str(json).unwrap();
        let got = Options::parse(Some(&given)).map_err(|error| error.to_string());
        assert_eq!(got, expected.map_err(str::to_owned), "{json}");
    }

    #[test]
    fn options_are_in_range_or_refused_by_name() {
        let default = Options::default;
        assert_eq!(Options::parse(None), Ok(default()));
        check("{}", Ok(default()));
        check(r#"{"mirostat": 2, "numa": true}"#, Ok(default()));
        check(r#"{"temperature": null, "stop": null}"#, Ok(default()));
        check(
            r#"{"temperature": 0}"#,
            Ok(Options {
                temperature: 0.0,
                ..default()
            }),
        );
        check(
            r#"{"temperature": -1}"#,
            Err("option \"temperature\" has to be a number from 0 to 100"),
        );
        check(
            r#"{"temperature": "hot"}"#,
            Err("option \"temperature\" has to be a number from 0 to 100"),
        );
        check(
            r#"{"top_p": 1.01}"#,
            Err("option \"top_p\" has to be a number from 0 to 1"),
        );
        check(
            r#"{"seed": 7}"#,
            Ok(Options {
                seed: Some(7),
                ..default()
            }),
        );
        check(r#"{"seed": -1}"#, Ok(default()));
        check(
            r#"{"seed": 1.5}"#,
            Err("option \"seed\" has to be a whole number"),
        );
        check(
            r#"{"num_ctx": 2048.0}"#,
            Ok(Options {
                num_ctx: Some(2048),
                ..default()
            }),
        );
        check(r#"{"num_predict": -1}"#, Ok(default()));
        check(
            r#"{"num_predict": 5}"#,
            Ok(Options {
                num_predict: Some(5),
                ..default()
            }),
        );
        check(
            r#"{"num_predict": 1e300}"#,
            Err("option \"num_predict\" has to be a whole number"),
        );
        check(
            r#"{"top_k": 0}"#,
            Ok(Options {
                top_k: None,
                ..default()
            }),
        );
        check(
            r#"{"repeat_last_n": -1}"#,
            Ok(Options {
                repeat_last_n: None,
                ..default()
            }),
        );
        check(r#"{"repeat_penalty": 0}"#, Ok(default()));
        check(
            r#"{"stop": "a"}"#,
            Ok(Options {
                stop: vec!["a".into()],
                ..default()
            }),
        );
        check(
            r#"{"stop": ["a", "b"]}"#,
            Ok(Options {
                stop: vec!["a".into(), "b".into()],
                ..default()
            }),
        );
        check(
            r#"{"stop": [1]}"#,
            Err("option \"stop\" has to be a text or a list of texts"),
        );
    }

    #[test]
    fn too_many_stop_texts_are_refused() {
        let list: Vec<Value> = (0..=STOPS).map(|n| Value::String(n.to_string())).collect();
        let given = Map::from_iter([("stop".to_owned(), Value::Array(list))]);
        assert_eq!(Options::parse(Some(&given)), Err(BadOption::Stops));
        let long = Map::from_iter([("stop".to_owned(), Value::String("x".repeat(STOP_BYTES + 1)))]);
        assert_eq!(Options::parse(Some(&long)), Err(BadOption::Stops));
    }
}
