//! `griot ingest`: files and folders to the daemon, one line a document.

mod files;

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{
    Body, Method,
    multipart::{Form, Part},
};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use super::{
    Context, Failure,
    client::{Client, ClientError},
    print,
};
use crate::domain::{Document, DocumentId, Status};

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
    /// From folders take every file, not only those of kinds that can be read.
    #[arg(long)]
    all: bool,
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

/// What became of one file, for the line and for scripts.
#[derive(Debug, Serialize)]
struct Outcome {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<DocumentId>,
    name: String,
    status: String,
    duplicate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pages: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chunks: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Outcome {
    fn line(&self) -> String {
        let id = self.id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let mut line = format!("{id}  {}", self.name);
        for (number, noun) in [
            (self.pages.map(|pages| pages as u64), "page"),
            (self.chunks, "chunk"),
        ] {
            if let Some(number) = number {
                line.push_str("  ");
                line.push_str(&print::counted(number, noun));
            }
        }
        line.push_str("  ");
        line.push_str(&self.status);
        if self.duplicate {
            line.push_str(" (was here already)");
        }
        if let Some(error) = &self.error {
            line.push_str(": ");
            line.push_str(error);
        }
        line
    }

    fn failed(&self) -> bool {
        self.error.is_some()
    }
}

impl Ingest {
    pub async fn run(self, context: Context) -> Result<(), Failure> {
        let client = context.client()?;
        let found = files::find(&self.paths, self.all);
        let bar = bar(found.files.len() as u64);
        let mut outcomes = Vec::new();
        for (path, reason) in &found.unreadable {
            let outcome = Outcome::of_failure(path, reason);
            say(&context, &bar, &outcome)?;
            outcomes.push(outcome);
        }
        // All are sent before any is waited for: the daemon works meanwhile.
        let mut waiting = Vec::new();
        for path in &found.files {
            bar.set_message(print::shown(&path.to_string_lossy(), false));
            match self.send(&client, path).await {
                Ok(accepted) => {
                    let done = matches!(accepted.status, Status::Searchable | Status::Failed);
                    if self.wait && !done {
                        waiting.push((path, accepted));
                        continue;
                    }
                    let outcome = self.outcome(&client, path, &accepted).await?;
                    say(&context, &bar, &outcome)?;
                    outcomes.push(outcome);
                }
                Err(Failure::Told(reason)) => {
                    let outcome = Outcome::of_failure(path, &reason);
                    say(&context, &bar, &outcome)?;
                    outcomes.push(outcome);
                }
                Err(other) => return Err(other),
            }
            bar.inc(1);
        }
        for (path, accepted) in waiting {
            bar.set_message(print::shown(&accepted.name, false));
            let outcome = self.settled(&client, path, &accepted).await?;
            say(&context, &bar, &outcome)?;
            outcomes.push(outcome);
            bar.inc(1);
        }
        bar.finish_and_clear();
        if context.json() {
            context.out.json(&outcomes)?;
        } else {
            summary(&outcomes, &found);
        }
        if outcomes.iter().any(Outcome::failed) || outcomes.is_empty() {
            Err(Failure::Said)
        } else {
            Ok(())
        }
    }

    /// Sends one file, again when the daemon's queue is full. Waits as long as it says.
    async fn send(&self, client: &Client, path: &Path) -> Result<Accepted, Failure> {
        for _ in 0..MAX_TRIES {
            let form = self.form(path).await?;
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
                    eprintln!("error: {error}");
                    return Err(Failure::Said);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Failure::told(
            "the daemon's queue stayed full; send it again later",
        ))
    }

    async fn form(&self, path: &Path) -> Result<Form, Failure> {
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
        Ok(form.part("file", part))
    }

    /// The outcome as it stands, without waiting.
    async fn outcome(
        &self,
        client: &Client,
        path: &Path,
        accepted: &Accepted,
    ) -> Result<Outcome, Failure> {
        if accepted.status == Status::Queued {
            return Ok(Outcome {
                path: path.to_string_lossy().into_owned(),
                id: Some(accepted.id),
                name: accepted.name.clone(),
                status: accepted.status.to_string(),
                duplicate: accepted.duplicate,
                pages: None,
                chunks: None,
                error: None,
            });
        }
        Ok(Outcome::of(
            path,
            accepted,
            status(client, accepted.id).await?,
        ))
    }

    /// The outcome once nothing changes any more.
    async fn settled(
        &self,
        client: &Client,
        path: &Path,
        accepted: &Accepted,
    ) -> Result<Outcome, Failure> {
        loop {
            let document = status(client, accepted.id).await?;
            if matches!(document.status, Status::Searchable | Status::Failed) {
                return Ok(Outcome::of(path, accepted, document));
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

async fn status(client: &Client, id: DocumentId) -> Result<Document, Failure> {
    let id = id.to_string();
    let request = client.request(Method::GET, &["api", "knowledge", "status", &id]);
    Ok(client.json(request).await?)
}

impl Outcome {
    fn of(path: &Path, accepted: &Accepted, document: Document) -> Self {
        Self {
            path: path.to_string_lossy().into_owned(),
            id: Some(document.id),
            name: document.name,
            status: document.status.to_string(),
            duplicate: accepted.duplicate,
            pages: Some(document.pages.len()),
            chunks: Some(document.chunks),
            error: document
                .error
                .filter(|_| document.status == Status::Failed)
                .map(|failure| failure.message),
        }
    }

    fn of_failure(path: &Path, reason: &str) -> Self {
        Self {
            path: path.to_string_lossy().into_owned(),
            id: None,
            name: path.to_string_lossy().into_owned(),
            status: "not taken in".to_owned(),
            duplicate: false,
            pages: None,
            chunks: None,
            error: Some(reason.to_owned()),
        }
    }
}

/// A bar on standard error, where a person looks; nothing elsewhere.
fn bar(files: u64) -> ProgressBar {
    if files < 2 || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {wide_msg}")
        .expect("the template is well formed");
    let bar = ProgressBar::new(files).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn say(context: &Context, bar: &ProgressBar, outcome: &Outcome) -> Result<(), Failure> {
    if context.json() {
        return Ok(());
    }
    bar.suspend(|| context.out.line(&outcome.line()))?;
    Ok(())
}

fn summary(outcomes: &[Outcome], found: &files::Found) {
    let failed = outcomes.iter().filter(|outcome| outcome.failed()).count();
    let duplicates = outcomes.iter().filter(|outcome| outcome.duplicate).count();
    let mut line = format!("{} taken in", outcomes.len() - failed);
    if duplicates > 0 {
        line.push_str(&format!(" ({duplicates} of them were here already)"));
    }
    if failed > 0 {
        line.push_str(&format!(", {failed} failed"));
    }
    if found.skipped > 0 {
        line.push_str(&format!(
            ", {} of other kinds left out (--all sends them too)",
            found.skipped
        ));
    }
    eprintln!("{line}");
}

/// A name without control characters, which a form's headers cannot hold.
fn sendable(name: &str) -> String {
    name.replace(char::is_control, "\u{fffd}")
}
