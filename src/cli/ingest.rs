//! `griot ingest`: files and folders to the daemon, one line a document.

mod bars;
mod files;
mod outcome;

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use console::Term;
use reqwest::{
    Body, Method,
    multipart::{Form, Part},
};
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use super::{
    Context, Failure,
    client::{Client, ClientError},
    print,
};
use crate::domain::{Document, DocumentId, Queue, Status};
use bars::Bars;
use outcome::Outcome;

/// How often a document's progress is asked for. People read it; nothing depends on it.
const POLL: Duration = Duration::from_millis(250);

/// Times a file is sent again because the daemon's queue was full, before giving up.
const MAX_TRIES: u32 = 100;

/// Bytes of standard input that are taken. It has to be held, because a form wants its length.
const MAX_STDIN: u64 = 256 * 1024 * 1024;

/// Take documents in: files, folders, or `-` for standard input
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  griot ingest ~/papers lease.pdf --collection home --wait\n  pdftotext a.pdf - | griot ingest - --name a.txt"
)]
pub struct Ingest {
    /// Files, folders (with everything below that .gitignore does not exclude), `-`.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Where they go [default: `ingest.default_collection` of the daemon].
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
    /// Wait until each document is searchable or failed.
    #[arg(long)]
    wait: bool,
    /// The name of what comes through standard input.
    #[arg(long, value_name = "NAME", default_value = "stdin.txt")]
    name: String,
    /// From folders take every file, not only those that look as if they could be read.
    #[arg(long)]
    all: bool,
    /// Ask for the password of files that are encrypted; taken from `GRIOT_PASSWORD` where that is set.
    #[arg(long)]
    password: bool,
}

#[derive(Deserialize)]
struct AcceptedList {
    documents: Vec<Accepted>,
}

#[derive(Debug, Clone, Deserialize)]
struct Accepted {
    id: DocumentId,
    name: String,
    status: Status,
    duplicate: bool,
}

impl Ingest {
    pub async fn run(self, context: Context) -> Result<(), Failure> {
        let client = context.client()?;
        let password = if self.password {
            Some(ask_password(context.env.get("GRIOT_PASSWORD"))?)
        } else {
            None
        };
        let found = files::find(&self.paths, self.all);
        let mut bars = Bars::new(found.files.len() as u64);
        let mut outcomes = Vec::new();
        for (path, reason) in &found.unreadable {
            let outcome = Outcome::of_failure(path, reason);
            say(&context, &bars, &outcome)?;
            outcomes.push(outcome);
        }
        // All are sent before any is waited for: the daemon works meanwhile.
        let mut waiting = Vec::new();
        for path in &found.files {
            bars.sending(&path.to_string_lossy());
            match self.send(&client, path, password.as_deref()).await {
                Ok(accepted) => {
                    let done = matches!(accepted.status, Status::Searchable | Status::Failed);
                    if self.wait && !done {
                        waiting.push((path, accepted));
                        continue;
                    }
                    let outcome = outcome(&client, path, &accepted).await?;
                    say(&context, &bars, &outcome)?;
                    outcomes.push(outcome);
                }
                Err(Failure::Told(reason)) => {
                    let outcome = Outcome::of_failure(path, &reason);
                    say(&context, &bars, &outcome)?;
                    outcomes.push(outcome);
                }
                Err(other) => return Err(other),
            }
            bars.done();
        }
        for (path, accepted) in waiting {
            let outcome = settled(&client, path, &accepted, &mut bars).await?;
            say(&context, &bars, &outcome)?;
            outcomes.push(outcome);
            bars.done();
        }
        bars.end();
        if context.json() {
            context.out.json(&outcomes)?;
        } else {
            eprint!("{}", outcome::summary(&outcomes, &found));
        }
        if outcomes.iter().any(Outcome::failed) || outcomes.is_empty() {
            Err(Failure::Said)
        } else {
            Ok(())
        }
    }

    /// Sends one file, again when the daemon's queue is full. Waits as long as it says.
    async fn send(
        &self,
        client: &Client,
        path: &Path,
        password: Option<&str>,
    ) -> Result<Accepted, Failure> {
        for _ in 0..MAX_TRIES {
            let form = self.form(path, password).await?;
            let request = client
                .request(Method::POST, &["api", "knowledge", "upload"])
                .multipart(form);
            match client.json::<AcceptedList>(request).await {
                Ok(list) => {
                    return list
                        .documents
                        .into_iter()
                        .next()
                        .ok_or_else(|| Failure::told("the daemon took nothing in"));
                }
                Err(ClientError::Problem {
                    retry_after: Some(wait),
                    ..
                }) if path != Path::new("-") => tokio::time::sleep(wait).await,
                // Nothing else will be sent either.
                Err(error @ ClientError::NotRunning { .. }) => {
                    eprintln!("error: {}", print::shown(&error.to_string(), true));
                    return Err(Failure::Said);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Failure::told(
            "the daemon's queue stayed full; send it again later",
        ))
    }

    async fn form(&self, path: &Path, password: Option<&str>) -> Result<Form, Failure> {
        let part = if path == Path::new("-") {
            let mut bytes = Vec::new();
            let read = tokio::io::stdin()
                .take(MAX_STDIN + 1)
                .read_to_end(&mut bytes)
                .await;
            read.map_err(|error| Failure::told(format!("standard input: {error}")))?;
            if bytes.len() as u64 > MAX_STDIN {
                return Err(Failure::told(format!(
                    "standard input holds more than {}; save it to a file first",
                    print::size(MAX_STDIN)
                )));
            }
            Part::bytes(bytes).file_name(sendable(&self.name))
        } else {
            let unreadable = |error| Failure::told(format!("cannot be read: {error}"));
            let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
            let length = file.metadata().await.map_err(unreadable)?.len();
            let name = path
                .file_name()
                .unwrap_or(path.as_os_str())
                .to_string_lossy()
                .into_owned();
            // Not more than it had when it was opened: a file that grows would break the form.
            let body = Body::wrap_stream(ReaderStream::new(file.take(length)));
            Part::stream_with_length(body, length).file_name(sendable(&name))
        };
        let mut form = Form::new();
        if let Some(collection) = &self.collection {
            form = form.text("collection", collection.clone());
        }
        if let Some(password) = password {
            form = form.text("password", password.to_owned());
        }
        Ok(form.part("file", part))
    }
}

/// The outcome as it stands, without waiting.
async fn outcome(client: &Client, path: &Path, accepted: &Accepted) -> Result<Outcome, Failure> {
    if accepted.status == Status::Queued {
        return Ok(Outcome::queued(path, accepted));
    }
    Ok(Outcome::of(
        path,
        accepted,
        status(client, accepted.id).await?,
    ))
}

/// The outcome once nothing changes any more.
async fn settled(
    client: &Client,
    path: &Path,
    accepted: &Accepted,
    bars: &mut Bars,
) -> Result<Outcome, Failure> {
    loop {
        let document = status(client, accepted.id).await?;
        if matches!(document.status, Status::Searchable | Status::Failed) {
            return Ok(Outcome::of(path, accepted, document));
        }
        if bars.are_seen() {
            let request = client.request(Method::GET, &["api", "knowledge", "status"]);
            // Only for the eye: what went wrong with the document shows when it is asked for.
            if let Ok(queue) = client.json::<Queue>(request).await {
                bars.show(&queue);
            }
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn status(client: &Client, id: DocumentId) -> Result<Document, Failure> {
    let id = id.to_string();
    let request = client.request(Method::GET, &["api", "knowledge", "status", &id]);
    Ok(client.json(request).await?)
}

fn say(context: &Context, bars: &Bars, outcome: &Outcome) -> Result<(), Failure> {
    if context.json() {
        return Ok(());
    }
    bars.suspend(|| context.out.line(&outcome.line()))?;
    Ok(())
}

/// The password of the environment, or what is typed at the terminal, which does not show it. Never an
/// argument: those are seen by every program of the machine and kept by shells.
fn ask_password(given: Option<&OsStr>) -> Result<String, Failure> {
    let password = if let Some(given) = given {
        given.to_str().map(str::to_owned).ok_or_else(|| {
            Failure::told("GRIOT_PASSWORD is not UTF-8 text; set it to the password alone")
        })?
    } else {
        let terminal = Term::stderr();
        if !terminal.is_term() {
            return Err(Failure::told(
                "there is no terminal to ask for the password; set GRIOT_PASSWORD",
            ));
        }
        let unanswered = |error| Failure::told(format!("the password could not be read: {error}"));
        terminal.write_str("Password: ").map_err(unanswered)?;
        terminal.read_secure_line().map_err(unanswered)?
    };
    if password.is_empty() {
        return Err(Failure::told("no password was given"));
    }
    Ok(password)
}

/// A name without control characters, which a form's headers cannot hold.
fn sendable(name: &str) -> String {
    name.replace(char::is_control, "\u{fffd}")
}
