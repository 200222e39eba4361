//! `griot models`: which weights there are, fetching them, checking them.

mod progress;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Context, Failure};
use crate::{
    config::{Loaded, Overrides},
    weights::{
        self, HubOptions, Library, Manifest, Model, ModelFile, PullError, PullOptions, Set, State,
        Verdict,
    },
};
use progress::Progress;

/// List, fetch and check the models' files
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  griot models ls\n  griot models pull\n  griot models verify")]
pub struct Models {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List all models and what is on the disk
    #[command(
        visible_alias = "list",
        after_help = "Example:\n  griot models ls --json"
    )]
    Ls,
    Pull(Pull),
    Verify(Verify),
}

/// Which models are meant.
#[derive(Debug, Args)]
struct Chosen {
    /// Models by name [default: those that the settings need].
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// The set of models to use instead of the settings' own.
    #[arg(long, value_name = "PROFILE", value_parser = ["default", "small", "voice"])]
    profile: Option<String>,
}

/// Fetch models; goes on where an earlier run stopped
///
/// Each file's sources are tried in order; a file gets its name only after its SHA-256 was right.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  griot models pull\n  griot models pull --profile small\n  griot models pull --profile voice\n  griot models pull minilm-l6 --from ~/Downloads"
)]
struct Pull {
    #[command(flatten)]
    chosen: Chosen,
    /// A folder that may hold the files already; they are checked like any other.
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
    /// Also read the files that are there, and fetch damaged ones anew.
    #[arg(long)]
    check: bool,
    /// The Python whose pip fetches packages.
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: PathBuf,
}

/// Read the models' files whole and compare their SHA-256; exit code 1 where one is not as it should be
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  griot models verify\n  griot models verify minilm-l6")]
struct Verify {
    #[command(flatten)]
    chosen: Chosen,
}

impl From<PullError> for Failure {
    fn from(error: PullError) -> Self {
        Self::told(error.to_string())
    }
}

impl From<weights::DiskError> for Failure {
    fn from(error: weights::DiskError) -> Self {
        Self::told(error.to_string())
    }
}

impl Models {
    pub async fn run(self, context: Context) -> Result<(), Failure> {
        match self.command {
            Command::Ls => ls(&context),
            Command::Pull(pull) => pull.run(&context).await,
            Command::Verify(verify) => verify.run(&context).await,
        }
    }
}

impl Chosen {
    fn settings(&self, context: &Context) -> Result<Loaded, Failure> {
        let mut flags = Overrides::default();
        if let Some(profile) = &self.profile
            && !self.is_voice()
        {
            flags = flags.set("models.profile", profile, "--profile");
        }
        context.settings(&flags)
    }

    /// The voice's models belong to no profile of the settings: they are wanted beside any.
    fn is_voice(&self) -> bool {
        self.profile.as_deref() == Some(Set::Voice.as_str())
    }

    fn models(&self, settings: &Loaded) -> Result<Vec<&'static Model>, PullError> {
        if self.names.is_empty() && self.is_voice() {
            return Ok(Manifest::built_in().of_profile(Set::Voice).collect());
        }
        if self.names.is_empty() {
            return weights::wanted_by(&settings.config);
        }
        self.names.iter().map(|name| weights::named(name)).collect()
    }
}

fn ls(context: &Context) -> Result<(), Failure> {
    let settings = context.settings(&Overrides::default())?;
    let library = Library::new(&settings.paths.models_dir);
    let wanted = weights::wanted_by(&settings.config)?;
    let models = &Manifest::built_in().models;
    if context.json() {
        let models: Vec<_> = models
            .iter()
            .map(|model| {
                json!({
                    "name": model.name,
                    "role": model.role,
                    "licence": model.licence,
                    "profiles": model.profiles,
                    "bytes": model.bytes(),
                    "wanted": wanted.contains(&model),
                    "there": is_there(&library, model),
                    "files": files(&library, model),
                })
            })
            .collect();
        context
            .out
            .json(&json!({ "dir": library.dir(), "models": models }))?;
        return Ok(());
    }
    let rows: Vec<Vec<String>> = models
        .iter()
        .map(|model| {
            let profiles: Vec<&str> = model.profiles.iter().map(|set| set.as_str()).collect();
            vec![
                model.name.clone(),
                model.role.to_string(),
                weights::size(model.bytes()),
                state_of(&library, model),
                if wanted.contains(&model) { "yes" } else { "" }.to_owned(),
                profiles.join(", "),
                model.licence.clone(),
            ]
        })
        .collect();
    let head = [
        "name", "role", "size", "on disk", "wanted", "profiles", "licence",
    ];
    context.out.table(&head, &rows)?;
    context.out.line("")?;
    let line = format!("in {}", library.dir().display());
    context.out.line(&line)?;
    Ok(())
}

fn files(library: &Library, model: &Model) -> Vec<serde_json::Value> {
    let one = |file: &ModelFile| {
        let begun = match library.state(file) {
            State::There => file.bytes,
            State::Begun(bytes) => bytes,
            State::Missing => 0,
        };
        json!({
            "path": library.path(file),
            "bytes": file.bytes,
            "bytes_there": begun,
            "sha256": file.sha256,
            "there": library.state(file) == State::There,
        })
    };
    model.files.iter().map(one).collect()
}

fn is_there(library: &Library, model: &Model) -> bool {
    (model.files.iter()).all(|file| library.state(file) == State::There)
}

fn state_of(library: &Library, model: &Model) -> String {
    if is_there(library, model) {
        return "yes".to_owned();
    }
    let bytes: u64 = model
        .files
        .iter()
        .map(|file| match library.state(file) {
            State::There => file.bytes,
            State::Begun(bytes) => bytes,
            State::Missing => 0,
        })
        .sum();
    if bytes == 0 {
        "no".to_owned()
    } else {
        format!("begun, {}", weights::size(bytes))
    }
}

impl Pull {
    async fn run(self, context: &Context) -> Result<(), Failure> {
        let settings = self.chosen.settings(context)?;
        let models = self.chosen.models(&settings)?;
        let library = Library::new(&settings.paths.models_dir);
        let options = PullOptions {
            python: self.python.into_os_string(),
            hub: HubOptions::from_env(&context.env),
            from: self.from,
            check: self.check,
        };
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        let signal = tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                stop.cancel();
            }
        });
        let progress = Progress::new();
        let fetched = weights::pull(
            Manifest::built_in(),
            &models,
            &library,
            &options,
            &cancel,
            &|event| progress.show(&event),
        )
        .await;
        signal.abort();
        progress.end();
        let fetched = fetched?;
        if context.json() {
            let fetched: Vec<_> = fetched
                .iter()
                .map(|file| {
                    json!({
                        "model": file.model,
                        "path": file.path,
                        "bytes": file.bytes,
                        "source": file.source,
                    })
                })
                .collect();
            context
                .out
                .json(&json!({ "dir": library.dir(), "files": fetched }))?;
        } else {
            let names: Vec<&str> = models.iter().map(|model| &*model.name).collect();
            let line = format!("{} in {}", names.join(", "), library.dir().display());
            context.out.line(&line)?;
        }
        Ok(())
    }
}

impl Verify {
    async fn run(self, context: &Context) -> Result<(), Failure> {
        let settings = self.chosen.settings(context)?;
        let models = self.chosen.models(&settings)?;
        let library = Library::new(&settings.paths.models_dir);
        let mut results = Vec::new();
        let mut bad = Vec::new();
        for model in models {
            for file in &model.files {
                let reading = (library.clone(), file.clone());
                let verdict =
                    tokio::task::spawn_blocking(move || reading.0.verify(&reading.1)).await;
                let verdict = verdict.expect("reading a file returns its errors")?;
                if verdict != Verdict::Whole && !bad.contains(&model.name) {
                    bad.push(model.name.clone());
                }
                if !context.json() {
                    let path = library.path(file);
                    context.out.line(&format!(
                        "{}: {}",
                        path.display(),
                        in_words(verdict, file)
                    ))?;
                }
                results.push(json!({
                    "model": model.name,
                    "path": library.path(file),
                    "state": word(verdict),
                }));
            }
        }
        if context.json() {
            context.out.json(&json!({ "files": results }))?;
        }
        if bad.is_empty() {
            return Ok(());
        }
        Err(Failure::told(format!(
            "not everything is in order: run `griot models pull --check {}`",
            bad.join(" ")
        )))
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Whole => "whole",
        Verdict::Damaged { .. } => "damaged",
        Verdict::WrongSize { .. } => "wrong size",
        Verdict::Missing => "missing",
    }
}

fn in_words(verdict: Verdict, file: &ModelFile) -> String {
    match verdict {
        Verdict::Whole => format!("whole, {}", weights::size(file.bytes)),
        Verdict::Damaged { got } => format!("damaged (SHA-256 {got}, wanted {})", file.sha256),
        Verdict::WrongSize { got } => {
            format!("wrong size ({got} bytes, {} wanted)", file.bytes)
        }
        Verdict::Missing => "missing".to_owned(),
    }
}
