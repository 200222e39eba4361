//! How long a model stays in memory after a request, as Ollama writes it: seconds as a number, or a
//! Go duration such as `"10m"`; negative for ever, zero not at all.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// The longest finite time; beyond a year it is as good as for ever and the clock may not hold it.
const LONGEST: Duration = Duration::from_hours(365 * 24);

/// How long a model stays loaded after the last request that used it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    Forever,
    For(Duration),
}

impl Default for KeepAlive {
    /// Ollama's five minutes.
    fn default() -> Self {
        Self::For(Duration::from_mins(5))
    }
}

/// A `keep_alive` that is no duration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "keep_alive {given:?} is not a duration; give seconds as a number, or text such as \"10m\" or \"1h30m\" (negative: for ever, 0: unload at once)"
)]
pub struct NotADuration {
    given: String,
}

impl KeepAlive {
    /// Whether the model goes as soon as the request is answered.
    pub fn is_zero(self) -> bool {
        self == Self::For(Duration::ZERO)
    }

    fn from_seconds(seconds: f64) -> Self {
        if seconds < 0.0 {
            Self::Forever
        } else {
            Duration::try_from_secs_f64(seconds)
                .ok()
                .filter(|time| *time <= LONGEST)
                .map_or(Self::Forever, Self::For)
        }
    }
}

impl std::str::FromStr for KeepAlive {
    type Err = NotADuration;

    fn from_str(given: &str) -> Result<Self, NotADuration> {
        let wrong = || NotADuration {
            given: given.chars().take(40).collect(),
        };
        let text = given.trim();
        let (sign, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (-1.0, rest),
            None => (1.0, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest.is_empty() {
            return Err(wrong());
        }
        let mut seconds = 0.0;
        while !rest.is_empty() {
            let digits = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .unwrap_or(rest.len());
            let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let letters = rest
                .find(|c: char| c.is_ascii_digit() || c == '.')
                .unwrap_or(rest.len());
            let unit = match &rest[..letters] {
                "h" => 3600.0,
                "m" => 60.0,
                // A bare number is seconds, as it is where it comes as a JSON number.
                "s" | "" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" | "μs" => 1e-6,
                "ns" => 1e-9,
                _ => return Err(wrong()),
            };
            rest = &rest[letters..];
            seconds += number * unit;
        }
        Ok(Self::from_seconds(sign * seconds))
    }
}

impl<'de> Deserialize<'de> for KeepAlive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Seconds(f64),
            Text(String),
            Other(serde_json::Value),
        }
        match Either::deserialize(deserializer)? {
            Either::Seconds(seconds) => Ok(Self::from_seconds(seconds)),
            Either::Text(text) => text.parse().map_err(de::Error::custom),
            Either::Other(value) => Err(de::Error::custom(NotADuration {
                given: value.to_string().chars().take(40).collect(),
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Option<KeepAlive>) {
        let got = serde_json::from_str::<KeepAlive>(json);
        match expected {
            Some(expected) => assert_eq!(got.unwrap(), expected, "{json}"),
            None => assert!(
                got.unwrap_err().to_string().contains("not a duration"),
                "{json}"
            ),
        }
    }

    #[test]
    fn reads_what_ollama_reads() {
        let seconds = |s| Some(KeepAlive::For(Duration::from_secs(s)));
        let millis = |ms| Some(KeepAlive::For(Duration::from_millis(ms)));
        check("0", seconds(0));
        check("\"0\"", seconds(0));
        check("\"0s\"", seconds(0));
        check("300", seconds(300));
        check("1.5", millis(1500));
        check("\"300\"", seconds(300));
        check("\"10m\"", seconds(600));
        check("\"24h\"", seconds(86_400));
        check("\"1h30m\"", seconds(5400));
        check("\"1.5h\"", seconds(5400));
        check("\"250ms\"", millis(250));
        check("-1", Some(KeepAlive::Forever));
        check("\"-1\"", Some(KeepAlive::Forever));
        check("\"-1m\"", Some(KeepAlive::Forever));
        check("1e300", Some(KeepAlive::Forever));
        check("\"99999999999h\"", Some(KeepAlive::Forever));
        check("\"\"", None);
        check("\"-\"", None);
        check("\"soon\"", None);
        check("\"5x\"", None);
        check("\"1..5s\"", None);
        check("\"m\"", None);
        check("true", None);
        check("{}", None);
    }
}
