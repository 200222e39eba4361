//! `griot doctor`: looks at this machine and says what to do. It changes nothing.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use reqwest::Method;
use serde::Serialize;

use super::{Context, Failure, client, print};
use crate::{
    config::{Config, Loaded, Overrides, StoreKind, UpstreamKind},
    health::supervisor::find_program,
    ingest::jail::Recognizer,
    weights::{self, Manifest, manifest::Role},
};

/// Below this the next documents may not find room. A library of 10,000 pages takes about this much.
const LITTLE_SPACE: u64 = 1024 * 1024 * 1024;

/// How long something on this machine or in this network may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Check settings, folders, models and dependencies, and say what to do
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  griot doctor\n  griot doctor --json")]
pub struct Doctor {}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    /// It works, but somebody should know.
    Note,
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    verdict: Verdict,
    seen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_do: Option<String>,
}

impl Finding {
    fn ok(what: &'static str, seen: impl Into<String>) -> Self {
        Self {
            what,
            verdict: Verdict::Ok,
            seen: seen.into(),
            to_do: None,
        }
    }

    fn note(what: &'static str, seen: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self {
            what,
            verdict: Verdict::Note,
            seen: seen.into(),
            to_do: Some(to_do.into()),
        }
    }

    fn bad(what: &'static str, seen: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Bad,
            ..Self::note(what, seen, to_do)
        }
    }
}

impl Doctor {
    pub async fn run(self, context: Context) -> Result<(), Failure> {
        let mut findings = Vec::new();
        match context.settings(&Overrides::default()) {
            Ok(loaded) => {
                let file = loaded.paths.config_file.display();
                findings.push(Finding::ok(
                    "settings",
                    if loaded.paths.config_found {
                        file.to_string()
                    } else {
                        format!("defaults; {file} is not there, and need not be")
                    },
                ));
                look(&context, &loaded, &mut findings).await;
            }
            Err(Failure::Told(reason)) => findings.push(Finding::bad(
                "settings",
                reason,
                "correct what is named; `griot config show` lists every setting",
            )),
            Err(other) => return Err(other),
        }
        report(&context, &findings)
    }
}

async fn look(context: &Context, loaded: &Loaded, findings: &mut Vec<Finding>) {
    let config = &loaded.config;
    findings.push(folder("library", &loaded.paths.home));
    findings.push(space(&loaded.paths.home));
    models(loaded, findings);
    for upstream in &config.llm.upstreams {
        match (upstream.kind, &upstream.url) {
            (UpstreamKind::Embedded, _) => findings.push(worker()),
            (UpstreamKind::Ollama, Some(url)) => findings.push(ollama(url).await),
            // The settings' own check has refused it.
            (UpstreamKind::Ollama, None) => {}
        }
    }
    if config.store.kind == StoreKind::Qdrant {
        findings.push(qdrant(config).await);
    }
    if config.ingest.ocr {
        findings.push(tesseract());
    }
    findings.push(daemon(context, config).await);
    findings.extend(index(context).await);
}

/// What the daemon says about its index, where it should be known.
async fn index(context: &Context) -> Option<Finding> {
    #[derive(serde::Deserialize)]
    struct Health {
        index: Index,
    }
    #[derive(serde::Deserialize)]
    struct Index {
        model: String,
        notice: Option<String>,
    }
    let client = context.client().ok()?;
    let request = client
        .request(Method::GET, &["api", "health"])
        .timeout(PATIENCE);
    let Health { index } = client.json(request).await.ok()?;
    Some(match index.notice {
        None => Finding::ok("index", format!("made with {}", index.model)),
        Some(notice) => Finding::note(
            "index",
            notice,
            "`griot reindex --status` says how it is; `griot reindex` goes over to `embed.model`",
        ),
    })
}

/// Whether pictures of text can be read, as the settings wish.
fn tesseract() -> Finding {
    match Recognizer::installed() {
        Some(program) => Finding::ok("tesseract", program.display().to_string()),
        None => Finding::bad(
            "tesseract",
            "`ingest.ocr` is on, but there is no `tesseract` in PATH",
            "install it (Debian: apt-get install tesseract-ocr), or set `ingest.ocr` to false",
        ),
    }
}

/// Whether a folder can be written to; where it is not there yet, whether it can be made.
fn folder(what: &'static str, path: &Path) -> Finding {
    let Some(there) = nearest(path) else {
        return Finding::bad(
            what,
            format!("{} has no folder above it", path.display()),
            "set GRIOT_HOME to a folder of yours",
        );
    };
    match tempfile::tempfile_in(&there) {
        Ok(_) if there == path => Finding::ok(what, path.display().to_string()),
        Ok(_) => Finding::ok(
            what,
            format!("{} (will be made at the first start)", path.display()),
        ),
        Err(error) => Finding::bad(
            what,
            format!("{} cannot be written to: {error}", there.display()),
            format!(
                "let your user write there (chown, chmod), or set another folder (`home`, now {})",
                path.display()
            ),
        ),
    }
}

/// The folder itself or the nearest one above it that is there.
fn nearest(path: &Path) -> Option<PathBuf> {
    path.ancestors()
        .find(|folder| fs::metadata(folder).is_ok_and(|about| about.is_dir()))
        .map(Path::to_owned)
}

fn space(path: &Path) -> Finding {
    let free = nearest(path)
        .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        .and_then(|there| Ok(rustix::fs::statvfs(there)?))
        .map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    match free {
        Ok(free) if free >= LITTLE_SPACE => {
            Finding::ok("disk space", format!("{} free", print::size(free)))
        }
        Ok(free) => Finding::note(
            "disk space",
            format!("only {} free", print::size(free)),
            "free some space before taking many documents in; a full disk stops nothing but uploads",
        ),
        Err(error) => Finding::note(
            "disk space",
            format!("cannot be told: {error}"),
            "look with `df`",
        ),
    }
}

/// The files of the wanted profile: are they there, and of the right size.
fn models(loaded: &Loaded, findings: &mut Vec<Finding>) {
    let library = weights::Library::new(&loaded.paths.models_dir);
    let manifest = Manifest::built_in();
    let profile = manifest.of_profile(loaded.config.models.profile);
    for model in profile.chain(manifest.of_profile(weights::Set::Voice)) {
        let what = match model.role {
            Role::LanguageModel => "language model",
            Role::Embedding => "embedding model",
            Role::SpeechToText => "speech recognition",
            Role::VoiceActivity => "voice detection",
            Role::EndOfTurn => "end of turn",
            Role::TextToSpeech => "voice",
        };
        let missing: Vec<&str> = model
            .files
            .iter()
            .filter(|file| library.state(file) != weights::State::There)
            .map(|file| file.path.as_str())
            .collect();
        findings.push(if missing.is_empty() {
            let bytes = print::size(model.bytes());
            Finding::ok(what, format!("{}, {bytes}", model.name))
        } else {
            let seen = format!(
                "{} lacks {} in {}",
                model.name,
                missing.join(", "),
                library.dir().display()
            );
            let to_do = format!("griot models pull {}", model.name);
            match model.role {
                Role::Embedding => Finding::bad(what, seen, to_do),
                // Without a language model answers are extractive, which is still an answer; and not everybody
                // wants to speak.
                _ => Finding::note(what, seen, to_do),
            }
        });
    }
}

/// The program that runs the language model.
fn worker() -> Finding {
    match find_program("griot-llm", "GRIOT_LLM") {
        Ok(path) => Finding::ok("griot-llm", path.display().to_string()),
        Err(reason) => Finding::note(
            "griot-llm",
            reason,
            "build it (`cargo build --release --workspace`) or say where it is with GRIOT_LLM; until \
             then answers are extractive",
        ),
    }
}

async fn ollama(url: &str) -> Finding {
    let what = "ollama";
    let asked = async {
        let client = client::Client::new(url, None)?;
        let request = client
            .request(Method::GET, &["api", "version"])
            .timeout(PATIENCE);
        client.text(request).await
    };
    match asked.await {
        Ok(_) => Finding::ok(what, url),
        Err(error) => Finding::note(
            what,
            format!("{url} does not answer as an Ollama server ({error})"),
            "start it (`ollama serve`) or correct `llm.upstreams`; until then answers are extractive",
        ),
    }
}

async fn qdrant(config: &Config) -> Finding {
    let what = "qdrant";
    let url = &config.store.url;
    let address = reqwest::Url::parse(url).ok().and_then(|url| {
        let port = url.port_or_known_default()?;
        Some((url.host_str()?.to_owned(), port))
    });
    let Some(address) = address else {
        return Finding::bad(what, format!("{url} is no address"), "correct `store.url`");
    };
    match tokio::time::timeout(PATIENCE, tokio::net::TcpStream::connect(address)).await {
        Ok(Ok(_)) => Finding::ok(what, url),
        Ok(Err(error)) => Finding::bad(
            what,
            format!("{url} cannot be reached: {error}"),
            "start Qdrant or correct `store.url`; until then search is by words alone",
        ),
        Err(_) => Finding::bad(
            what,
            format!("{url} does not answer"),
            "start Qdrant or correct `store.url`; until then search is by words alone",
        ),
    }
}

/// A daemon that answers; else whether one could listen.
async fn daemon(context: &Context, config: &Config) -> Finding {
    let what = "daemon";
    let Ok(client) = context.client() else {
        return Finding::bad(
            what,
            "the address or the key given cannot be used",
            "correct `--url` or `--api-key`",
        );
    };
    let request = client.request(Method::GET, &["livez"]).timeout(PATIENCE);
    match client.text(request).await {
        Ok(_) => Finding::ok(
            what,
            format!(
                "answers at {}; `griot status` says how it is",
                client.base()
            ),
        ),
        Err(client::ClientError::NotRunning { .. }) if context.global.url.is_none() => {
            port(config.server.listen)
        }
        Err(error) => Finding::bad(
            what,
            error.to_string(),
            "see what listens there, or choose another port with `server.listen`",
        ),
    }
}

fn port(listen: SocketAddr) -> Finding {
    let what = "daemon";
    match std::net::TcpListener::bind(listen) {
        Ok(_) => Finding::note(what, format!("none runs; {listen} is free"), "griot serve"),
        Err(error) => Finding::bad(
            what,
            format!("none answers, and {listen} cannot be listened on: {error}"),
            "choose another address with `server.listen`",
        ),
    }
}

fn report(context: &Context, findings: &[Finding]) -> Result<(), Failure> {
    let bad = findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Bad)
        .count();
    if context.json() {
        context
            .out
            .json(&serde_json::json!({ "ok": bad == 0, "findings": findings }))?;
    } else {
        for finding in findings {
            let mark = match finding.verdict {
                Verdict::Ok => "ok  ",
                Verdict::Note => "note",
                Verdict::Bad => "BAD ",
            };
            context
                .out
                .text(&format!("{mark}  {}: {}\n", finding.what, finding.seen))?;
            if let Some(to_do) = &finding.to_do {
                context.out.text(&format!("      → {to_do}\n"))?;
            }
        }
    }
    if bad == 0 { Ok(()) } else { Err(Failure::Said) }
}
