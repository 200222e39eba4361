//! The settings' file without the secrets that are readable in it. The hashes of `server.api_keys` stay: a
//! key cannot be made from its hash, and whoever holds a key goes on with it.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

type Secret = Option<Spanned<toml::Value>>;

#[derive(Default, Deserialize)]
struct Secrets {
    #[serde(default)]
    store: Store,
    #[serde(default)]
    alerts: Alerts,
}

#[derive(Default, Deserialize)]
struct Store {
    api_key: Secret,
}

#[derive(Default, Deserialize)]
struct Alerts {
    webhook: Secret,
    webhook_secret: Secret,
    slack: Secret,
    smtp: Secret,
}

/// `text` with its secrets left out, everything else byte for byte as it was. `None` where the text is not
/// TOML: what is a secret in it cannot be told then.
#[must_use]
pub fn without_secrets(text: &str) -> Option<String> {
    let Secrets { store, alerts } = toml::from_str(text).ok()?;
    let mut found: Vec<(&str, &str, Range<usize>)> = [
        ("store", "api_key", store.api_key),
        ("alerts", "webhook", alerts.webhook),
        ("alerts", "webhook_secret", alerts.webhook_secret),
        ("alerts", "slack", alerts.slack),
        ("alerts", "smtp", alerts.smtp),
    ]
    .into_iter()
    .filter_map(|(section, key, value)| Some((section, key, value?.span())))
    .collect();
    // From the last to the first, so that the places before stay where they are.
    found.sort_by_key(|(.., place)| std::cmp::Reverse(place.start));
    let mut text = text.to_owned();
    for (section, key, place) in found {
        text = without(&text, section, key, &place);
    }
    Some(text)
}

fn without(text: &str, section: &str, key: &str, value: &Range<usize>) -> String {
    let line = text[..value.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[value.end..]
        .find('\n')
        .map_or(text.len(), |at| value.end + at + 1);
    let before = text[line..value.start].trim().trim_end_matches('=').trim();
    let after = text[value.end..end].trim();
    let name = format!("{section}.{key}");
    let alone = (before.trim_matches('"') == key || before == name)
        && (after.is_empty() || after.starts_with('#'));
    // In a table on one line the key keeps its place, with nothing in it.
    let (from, to, instead) = if alone {
        (
            line,
            end,
            format!("# `{name}` is not in backups; set it again\n"),
        )
    } else {
        (value.start, value.end, "\"\"".to_owned())
    };
    format!("{}{instead}{}", &text[..from], &text[to..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_store_is_left_out() {
        let check = |text: &str, expected: Option<&str>| {
            let given = without_secrets(text);
            assert_eq!(given.as_deref(), expected, "{text}");
            if let Some(given) = given {
                assert!(!given.contains("s3cret"), "{given}");
                toml::from_str::<toml::Table>(&given).unwrap();
            }
        };
        check("", Some(""));
        check(
            "[alerts]\nsmtp = 's3cret'\nmail_to = ['me@example.org']\nslack = \"s3cret\" # mine\n[store]\napi_key = 's3cret'\n",
            Some(
                "[alerts]\n# `alerts.smtp` is not in backups; set it again\nmail_to = ['me@example.org']\n\
                 # `alerts.slack` is not in backups; set it again\n[store]\n\
                 # `store.api_key` is not in backups; set it again\n",
            ),
        );
        check(
            "# mine\n[store]\nkind = \"edge\"\n",
            Some("# mine\n[store]\nkind = \"edge\"\n"),
        );
        check(
            "[store]\nkind = \"qdrant\" # a server\napi_key = \"s3cret\" # mine\nurl = \"http://x\"\n",
            Some(
                "[store]\nkind = \"qdrant\" # a server\n# `store.api_key` is not in backups; set it \
                 again\nurl = \"http://x\"\n",
            ),
        );
        check(
            "store.api_key = 's3cret'",
            Some("# `store.api_key` is not in backups; set it again\n"),
        );
        check(
            "store = { api_key = \"s3cret\", kind = \"qdrant\" }\n",
            Some("store = { api_key = \"\", kind = \"qdrant\" }\n"),
        );
        check(
            "[store]\napi_key = \"\"\"\ns3cret\n\"\"\"\n[log]\nlevel = \"info\"\n",
            Some(
                "[store]\n# `store.api_key` is not in backups; set it again\n[log]\nlevel = \"info\"\n",
            ),
        );
        check("[store\n", None);
    }
}
