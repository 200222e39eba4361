//! What the settings mean together: each value has its form already (see [`super::keys`]); here
//! stand the rules that one value alone cannot break.

use std::net::SocketAddr;

use super::{ApiKeyHash, Config, Upstream, UpstreamKind, network};

/// A setting that cannot be meant so, and why. The reason follows the setting's name.
#[derive(Debug, PartialEq, Eq)]
pub struct Unfit {
    pub key: &'static str,
    pub reason: String,
}

/// Everything that does not fit, in the order of the settings.
pub fn unfit(config: &Config) -> Vec<Unfit> {
    let mut found = Vec::new();
    let mut say = |key, reason: String| found.push(Unfit { key, reason });

    if reachable_from_outside(config.server.listen) && config.server.api_keys.is_empty() {
        say(
            "server.listen",
            format!(
                "is {}, which other machines can reach, but no API key is set: run `griot config new-key` and \
                 put the hash into `server.api_keys`, or listen on 127.0.0.1",
                config.server.listen
            ),
        );
    }
    for (i, key) in config.server.api_keys.iter().enumerate() {
        if key.parse::<ApiKeyHash>().is_err() {
            // The text may be the key itself, pasted in the wrong place, so it is not repeated.
            say(
                "server.api_keys",
                format!(
                    "holds something that is not `sha256:` and 64 hexadecimal digits (entry {}): store the \
                     hash that `griot config new-key` prints, not the key",
                    i + 1
                ),
            );
        }
    }
    for host in &config.server.allowed_hosts {
        if host.is_empty() || host.contains(['/', ' ', '@']) {
            say(
                "server.allowed_hosts",
                format!(
                    "holds {host:?}, but host names alone are wanted, such as \"griot.lan\" or \"griot.lan:7470\""
                ),
            );
        }
    }
    if let Some(reason) = not_a_url(&config.store.url, "http://127.0.0.1:6334") {
        say("store.url", reason);
    }
    if config.store.collection.is_empty() || config.store.collection.contains(['/', '\\', ' ']) {
        say(
            "store.collection",
            format!(
                "is {:?}, but a name without spaces and slashes is wanted",
                config.store.collection
            ),
        );
    }
    for (i, upstream) in config.llm.upstreams.iter().enumerate() {
        if let Some(reason) = unfit_upstream(upstream) {
            say("llm.upstreams", format!("entry {} {reason}", i + 1));
        }
    }
    if let Some(endpoint) = &config.telemetry.otlp_endpoint
        && let Some(reason) = not_a_url(endpoint, "http://127.0.0.1:4318")
    {
        say("telemetry.otlp_endpoint", reason);
    }
    if config.embed.model.is_empty() {
        say(
            "embed.model",
            "is empty: name one of `griot models ls`".to_owned(),
        );
    }
    for root in &config.ingest.allowed_roots {
        if !root.is_absolute() {
            say(
                "ingest.allowed_roots",
                format!("holds {}, which is not absolute", root.display()),
            );
        }
    }
    for (i, watch) in config.ingest.watch.iter().enumerate() {
        if !watch.path.is_absolute() {
            say(
                "ingest.watch",
                format!("holds {}, which is not absolute", watch.path.display()),
            );
        }
        let before = &config.ingest.watch[..i];
        if before.iter().any(|other| other.path == watch.path) {
            say(
                "ingest.watch",
                format!("holds {} twice", watch.path.display()),
            );
        }
        let patterns = watch.include.iter().chain(&watch.exclude);
        for (pattern, error) in patterns.filter_map(|line| not_a_pattern(line)) {
            say(
                "ingest.watch",
                format!("holds {pattern:?}, which is no pattern of file names ({error})"),
            );
        }
    }
    if config.ingest.chunk_overlap_tokens * 2 > config.ingest.chunk_tokens {
        say(
            "ingest.chunk_overlap_tokens",
            format!(
                "is {}, more than half of `ingest.chunk_tokens` ({})",
                config.ingest.chunk_overlap_tokens, config.ingest.chunk_tokens
            ),
        );
    }
    let languages = &config.ingest.ocr_languages;
    let named = |name: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        !name.is_empty() && name.chars().all(plain) && !name.starts_with('-')
    };
    if !languages.split('+').all(named) {
        say(
            "ingest.ocr_languages",
            format!(
                "is {languages:?}, but names that `tesseract --list-langs` shows are wanted, joined by `+`, such as \
                 \"eng+deu\""
            ),
        );
    }
    let embedded = config
        .llm
        .upstreams
        .iter()
        .any(|upstream| upstream.kind == UpstreamKind::Embedded);
    let wanted = config.answer.evidence_tokens + config.answer.max_answer_tokens as usize;
    if embedded && wanted >= config.llm.context {
        say(
            "llm.context",
            format!(
                "is {}, but evidence and answer alone may take {wanted} tokens: raise it, or lower \
                 `answer.evidence_tokens` or `answer.max_answer_tokens`",
                config.llm.context
            ),
        );
    }
    if let Some(listen) = config.wyoming.listen
        && reachable_from_outside(listen)
        && config.wyoming.allowed_peers.is_empty()
    {
        say(
            "wyoming.listen",
            format!(
                "is {listen}, which other machines can reach, but the protocol knows no keys: name those that may \
                 connect in `wyoming.allowed_peers`, or listen on 127.0.0.1"
            ),
        );
    }
    for peer in &config.wyoming.allowed_peers {
        if network(peer).is_none() {
            say(
                "wyoming.allowed_peers",
                format!(
                    "holds {peer:?}, but addresses and networks are wanted, such as \"192.168.1.5\" or \
                     \"172.30.32.0/23\""
                ),
            );
        }
    }
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(&config.log.level) {
        say(
            "log.level",
            format!(
                "is {:?}, which is not a log filter such as `info` or `griot=debug,warn` ({error})",
                config.log.level
            ),
        );
    }
    found
}

/// Whether another machine could connect.
pub fn reachable_from_outside(address: SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

fn unfit_upstream(upstream: &Upstream) -> Option<String> {
    match upstream.kind {
        UpstreamKind::Embedded if upstream.url.is_some() => Some(
            "is of kind \"embedded\" and has a url: griot starts that worker itself, so leave the url out, or \
             say kind = \"ollama\""
                .to_owned(),
        ),
        UpstreamKind::Embedded => None,
        UpstreamKind::Ollama => match (&upstream.url, &upstream.model) {
            (None, _) => {
                Some("has no url: Ollama's own default is \"http://127.0.0.1:11434\"".to_owned())
            }
            (_, None) => Some(
                "has no model: name one that `ollama list` shows, such as \"qwen2.5:3b\""
                    .to_owned(),
            ),
            (Some(url), Some(_)) => not_a_url(url, "http://127.0.0.1:11434").map(|reason| format!("has a url that {reason}")),
        },
    }
}

fn not_a_pattern(line: &str) -> Option<(&str, String)> {
    let mut builder = ignore::gitignore::GitignoreBuilder::new("");
    let error = builder.add_line(None, line).err()?;
    Some((line, error.to_string()))
}

fn not_a_url(text: &str, like: &str) -> Option<String> {
    let wanted = format!("an address such as {like} is wanted");
    match reqwest::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => None,
        Ok(_) => Some(format!("is {text:?}, but {wanted}")),
        Err(error) => Some(format!("is {text:?}, but {wanted} ({error})")),
    }
}
