//! `griot config`: every setting with where it came from, what is wrong with them, a new API key.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Context, Failure};
use crate::config::{self, Loaded, Origin, Overrides};

/// Show and check the settings, make API keys
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  griot config show\n  griot config check\n  griot config new-key"
)]
pub struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print every setting with where it came from
    #[command(after_help = "Example:\n  griot config show --json")]
    Show,
    /// Say whether the settings are in order; exit code 1 where they are not
    #[command(after_help = "Example:\n  griot --config ./griot.toml config check")]
    Check,
    /// Make an API key: shown once, only its hash is to be stored
    #[command(after_help = "Example:\n  griot config new-key")]
    NewKey,
}

impl Config {
    #[expect(
        clippy::unused_async,
        reason = "commands are called alike, and most of them wait for the daemon"
    )]
    pub async fn run(self, context: Context) -> Result<(), Failure> {
        match self.command {
            Command::Show => show(&context),
            Command::Check => check(&context),
            Command::NewKey => new_key(&context),
        }
    }
}

fn show(context: &Context) -> Result<(), Failure> {
    let settings = context.settings(&Overrides::default())?;
    if context.json() {
        let values: Vec<_> = settings
            .settings()
            .iter()
            .map(|setting| {
                json!({
                    "key": setting.key.name,
                    "value": setting.shown(),
                    "origin": setting.origin.kind(),
                    "at": setting.origin.to_string(),
                })
            })
            .collect();
        let paths = &settings.paths;
        context.out.json(&json!({
            "settings": values,
            "paths": {
                "config_file": paths.config_file,
                "config_found": paths.config_found,
                "home": paths.home,
                "models_dir": paths.models_dir,
            },
        }))?;
        return Ok(());
    }
    let rows: Vec<Vec<String>> = settings
        .settings()
        .iter()
        .map(|setting| {
            let value = match (&setting.shown(), setting.key.name) {
                (Some(value), _) => value.to_string(),
                (None, "home") => format!("\"{}\"", settings.paths.home.display()),
                (None, "models.dir") => format!("\"{}\"", settings.paths.models_dir.display()),
                (None, _) => "(not set)".to_owned(),
            };
            vec![
                setting.key.name.to_owned(),
                value,
                setting.origin.to_string(),
            ]
        })
        .collect();
    context.out.table(&["setting", "value", "from"], &rows)?;
    Ok(())
}

fn check(context: &Context) -> Result<(), Failure> {
    let settings = context.settings(&Overrides::default())?;
    let changed = settings
        .settings()
        .iter()
        .filter(|setting| setting.origin != Origin::Default)
        .count();
    if context.json() {
        context
            .out
            .json(&json!({ "ok": true, "changed": changed }))?;
        return Ok(());
    }
    context.out.line(&file_line(&settings))?;
    context.out.line(&match changed {
        0 => "all settings have their defaults".to_owned(),
        1 => "1 setting is changed, and all are in order".to_owned(),
        changed => format!("{changed} settings are changed, and all are in order"),
    })?;
    Ok(())
}

fn file_line(settings: &Loaded) -> String {
    let file = settings.paths.config_file.display();
    if settings.paths.config_found {
        format!("{file}: read")
    } else {
        format!("{file}: not there, which is fine")
    }
}

fn new_key(context: &Context) -> Result<(), Failure> {
    let (key, hash) = config::new_api_key()
        .map_err(|error| Failure::told(format!("the system gives no random bytes: {error}")))?;
    if context.json() {
        let both = json!({ "key": key, "hash": hash.to_string() });
        context.out.json(&both)?;
        return Ok(());
    }
    for line in [
        "The key, shown this once; give it to the client (GRIOT_API_KEY, or `Authorization: Bearer`):",
        "",
        &format!("  {key}"),
        "",
        "Its hash, for griot.toml; the daemon knows the key by it:",
        "",
        "  [server]",
        &format!("  api_keys = [\"{hash}\"]"),
    ] {
        context.out.line(line)?;
    }
    Ok(())
}
