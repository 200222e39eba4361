//! The list of settings: name, form and limits of each. The typed structs in [`super`] say what a
//! setting means; this list says what may be written for it, and is what messages, `griot config
//! show` and the environment's variable names are made from. A test keeps the two in step.

use std::fmt;

/// One setting.
#[derive(Debug)]
pub struct Key {
    /// `section.key` as in `griot.toml`.
    pub name: &'static str,
    pub form: Form,
    /// Never shown in full.
    pub secret: bool,
}

/// What may be written for a setting. Displayed as the end of "but … is wanted".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Text,
    /// A file or folder; `~/` is the person's home folder.
    Path,
    /// `IP:PORT`.
    Address,
    /// A whole number within both limits.
    Number(u64, u64),
    /// A number from 0 to 1.
    Fraction,
    /// Yes or no.
    Switch,
    Choice(&'static [&'static str]),
    Texts,
    Paths,
    /// An array of tables, each an [`super::Upstream`].
    Upstreams,
    /// An array of tables, each a [`super::WatchConfig`].
    Watches,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("a text"),
            Self::Path => f.write_str("a path"),
            Self::Address => f.write_str("an address such as 127.0.0.1:7470"),
            Self::Number(least, most) => write!(f, "a whole number from {least} to {most}"),
            Self::Fraction => f.write_str("a number from 0 to 1"),
            Self::Switch => f.write_str("true or false"),
            Self::Choice(names) => {
                for (i, name) in names.iter().enumerate() {
                    let before = match i {
                        0 => "",
                        _ if i + 1 == names.len() => " or ",
                        _ => ", ",
                    };
                    write!(f, "{before}\"{name}\"")?;
                }
                Ok(())
            }
            Self::Texts => f.write_str("a list of texts such as [\"one\", \"two\"]"),
            Self::Paths => f.write_str("a list of paths such as [\"/srv/papers\"]"),
            Self::Watches => f.write_str(
                "a list of tables such as [{ path = \"~/papers\", exclude = [\"drafts/\"] }]",
            ),
            Self::Upstreams => f.write_str(
                "a list of tables such as [{ kind = \"ollama\", url = \"http://127.0.0.1:11434\", model = \"qwen2.5:3b\" }]",
            ),
        }
    }
}

const fn key(name: &'static str, form: Form) -> Key {
    Key {
        name,
        form,
        secret: false,
    }
}

const fn secret(name: &'static str, form: Form) -> Key {
    Key {
        name,
        form,
        secret: true,
    }
}

const KIB: u64 = 1 << 10;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
/// Limits for waits: past an hour a setting is more likely meant in another unit.
const HOUR_S: u64 = 3600;

/// Every setting, in the order in which it is shown. The limits refuse what cannot work (zero
/// workers, a wait of no seconds) and slips of unit; inside them the choice is the person's.
pub static KEYS: &[Key] = &[
    key("home", Form::Path),
    key("server.listen", Form::Address),
    secret("server.api_keys", Form::Texts),
    key("server.allowed_hosts", Form::Texts),
    key("server.max_upload_bytes", Form::Number(KIB, TIB)),
    key("server.max_body_bytes", Form::Number(KIB, GIB)),
    key("server.max_questions", Form::Number(1, 1024)),
    key("server.max_uploads", Form::Number(1, 1024)),
    key("server.max_question_chars", Form::Number(1, 1_000_000)),
    key("models.dir", Form::Path),
    key("models.profile", Form::Choice(&["default", "small"])),
    key("store.kind", Form::Choice(&["edge", "qdrant"])),
    key("store.url", Form::Text),
    secret("store.api_key", Form::Text),
    key("store.timeout_s", Form::Number(1, HOUR_S)),
    key("store.collection", Form::Text),
    key("llm.upstreams", Form::Upstreams),
    key("llm.threads", Form::Number(0, 1024)),
    key("llm.threads_batch", Form::Number(0, 1024)),
    key("llm.context", Form::Number(512, 1 << 20)),
    key("llm.first_token_timeout_s", Form::Number(1, HOUR_S)),
    key("llm.token_timeout_s", Form::Number(1, HOUR_S)),
    key("embed.model", Form::Text),
    key("embed.threads", Form::Number(0, 1024)),
    key("embed.batch", Form::Number(1, 1024)),
    key("ingest.allowed_roots", Form::Paths),
    key("ingest.watch", Form::Watches),
    key("ingest.default_collection", Form::Text),
    // 512 tokens are all that the embedding models here can read.
    key("ingest.chunk_tokens", Form::Number(16, 512)),
    key("ingest.chunk_overlap_tokens", Form::Number(0, 256)),
    key("ingest.max_file_bytes", Form::Number(KIB, TIB)),
    key("ingest.max_pages", Form::Number(1, 1_000_000)),
    key("ingest.max_text_bytes", Form::Number(KIB, TIB)),
    key("ingest.extract_timeout_s", Form::Number(1, HOUR_S)),
    key("ingest.extract_memory_mib", Form::Number(64, 1 << 20)),
    key("ingest.max_queue", Form::Number(1, 10_000_000)),
    key("ingest.ocr", Form::Switch),
    key("ingest.ocr_languages", Form::Text),
    key("ingest.max_tries", Form::Number(2, 1000)),
    key("ingest.keep_free_mib", Form::Number(0, 1 << 20)),
    key("answer.top_k", Form::Number(1, 100)),
    key("answer.evidence_tokens", Form::Number(64, 1 << 20)),
    key("answer.max_answer_tokens", Form::Number(1, 1 << 20)),
    key("answer.threshold", Form::Fraction),
    key("voice.sessions", Form::Number(1, 1024)),
    key("voice.quote_first", Form::Switch),
    key("wyoming.listen", Form::Address),
    key("wyoming.allowed_peers", Form::Texts),
    key("wyoming.collection", Form::Text),
    key("health.interval_s", Form::Number(1, HOUR_S)),
    key("health.min_disk_mib", Form::Number(1, 1 << 30)),
    key("health.max_memory_percent", Form::Number(1, 100)),
    key("health.worker_memory_mib", Form::Number(0, 1 << 30)),
    secret("alerts.webhook", Form::Text),
    secret("alerts.webhook_secret", Form::Text),
    secret("alerts.slack", Form::Text),
    secret("alerts.smtp", Form::Text),
    key("alerts.mail_from", Form::Text),
    key("alerts.mail_to", Form::Texts),
    key("alerts.down_s", Form::Number(0, 24 * HOUR_S)),
    key("alerts.error_percent", Form::Number(0, 100)),
    key("alerts.slow_s", Form::Number(0, HOUR_S)),
    key("alerts.failed_calls", Form::Number(0, 1_000_000)),
    key("alerts.cpu_percent", Form::Number(0, 100)),
    key("alerts.memory_percent", Form::Number(0, 100)),
    key("alerts.disk_mib", Form::Number(0, 1 << 30)),
    key("log.level", Form::Text),
    key("log.format", Form::Choice(&["text", "json"])),
    key("telemetry.otlp_endpoint", Form::Text),
    secret("telemetry.otlp_headers", Form::Texts),
];

/// The setting of that name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Whether settings stand under `name`, as in `server`.
pub fn is_section(name: &str) -> bool {
    KEYS.iter().any(|key| section(key.name) == name)
}

/// `server` of `server.listen`; empty for a setting outside any section.
fn section(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(section, _)| section)
}

/// What was most likely meant by a name that does not exist, if anything is close: few letters
/// differ, or the key is right and its section missing or wrong.
pub fn nearest(given: &str) -> Option<&'static str> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let distance = |known: &str| {
        let whole = strsim::damerau_levenshtein(given, known);
        let moved = strsim::damerau_levenshtein(&last(given), &last(known)) + 1;
        // A section is not meant where a key was written under it, and the other way round.
        whole.min(if known.contains('.') { moved } else { whole })
    };
    let sections = KEYS
        .iter()
        .map(|key| section(key.name))
        .filter(|name| !name.is_empty() && !given.contains('.'));
    KEYS.iter()
        .map(|key| key.name)
        .chain(sections)
        .map(|known| (distance(known), known))
        .min()
        .filter(|(distance, _)| *distance <= 1 + last(given).chars().count() / 4)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn every_field_of_config_has_its_row_here() {
        fn walk(table: &toml::Table, under: &str, names: &mut Vec<String>) {
            for (name, value) in table {
                let name = format!("{under}{name}");
                match value {
                    toml::Value::Table(inner) => walk(inner, &format!("{name}."), names),
                    _ => names.push(name),
                }
            }
        }
        // Fields without a default value are left out of what serde writes.
        let mut names: Vec<String> = [
            "home",
            "models.dir",
            "store.api_key",
            "alerts.webhook",
            "alerts.webhook_secret",
            "alerts.slack",
            "alerts.smtp",
            "alerts.mail_from",
            "telemetry.otlp_endpoint",
            "wyoming.listen",
            "wyoming.collection",
        ]
        .map(str::to_owned)
        .to_vec();
        let defaults = toml::Table::try_from(Config::default()).unwrap();
        walk(&defaults, "", &mut names);
        names.sort();
        let mut rows: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
        rows.sort_unstable();
        assert_eq!(rows, names);
    }

    #[test]
    fn the_nearest_name_is_found_or_none() {
        let check = |given, expected| assert_eq!(nearest(given), expected, "{given}");
        check("server.lisen", Some("server.listen"));
        check("servr", Some("server"));
        check("listen", Some("server.listen"));
        check("server.api_key", Some("server.api_keys"));
        check("servre.listen", Some("server.listen"));
        check("modles.profile", Some("models.profile"));
        check("answer.treshold", Some("answer.threshold"));
        check("colour", None);
        check("server.tls_certificate", None);
    }
}
