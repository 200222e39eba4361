//! The settings' file without the one secret that is readable in it. The hashes of `server.api_keys`
//! stay: a key cannot be made from its hash, and whoever holds a key goes on with it.

use serde::Deserialize;
use toml::Spanned;

/// What stands in place of the key.
const LEFT_OUT: &str = "# `store.api_key` is not in backups; set it again\n";

#[derive(Deserialize)]
struct Secrets {
    store: Option<Store>,
}

#[derive(Deserialize)]
struct Store {
    api_key: Option<Spanned<toml::Value>>,
}

/// `text` with `store.api_key` left out, everything else byte for byte as it was. `None` where the text
/// is not TOML: what is a secret in it cannot be told then.
#[must_use]
pub fn without_secrets(text: &str) -> Option<String> {
    let secrets: Secrets = toml::from_str(text).ok()?;
    let Some(key) = secrets.store.and_then(|store| store.api_key) else {
        return Some(text.to_owned());
    };
    let value = key.span();
    let line = text[..value.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[value.end..]
        .find('\n')
        .map_or(text.len(), |at| value.end + at + 1);
    let before = text[line..value.start].trim().trim_end_matches('=').trim();
    let after = text[value.end..end].trim();
    let alone = matches!(before, "api_key" | "store.api_key" | "\"api_key\"")
        && (after.is_empty() || after.starts_with('#'));
    // In a table on one line the key keeps its place, with nothing in it.
    let (from, to, instead) = if alone {
        (line, end, LEFT_OUT)
    } else {
        (value.start, value.end, "\"\"")
    };
    Some(format!("{}{instead}{}", &text[..from], &text[to..]))
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
