//! The command line: what can be typed, and which command does it. Commands talk to the running daemon
//! over HTTP, except those that run it or look at this machine.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage.

mod alerts;
mod allocator;
mod ask;
mod backup;
mod breaker;
mod client;
mod config;
mod docs;
mod doctor;
mod failure;
mod incidents;
mod ingest;
mod models;
mod print;
mod reindex;
mod restore;
mod search;
mod serve;
mod status;
mod talk;
mod watch;

use std::{ffi::OsString, io::IsTerminal, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::{
    config::{Env, Loaded, Overrides, load},
    ingest::jail,
    voice::recording,
};
use client::Client;
use failure::Failure;
use print::Out;

/// A local assistant that answers from your documents and shows the words each answer rests on.
#[derive(Debug, Parser)]
#[command(
    name = "griot",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Example:\n  griot serve &\n  griot ingest ~/papers --wait\n  griot ask \"When is rent due?\""
)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Debug, Args)]
struct Global {
    /// Settings file [default: griot/griot.toml in the XDG config folder].
    #[arg(long, global = true, value_name = "FILE", env = "GRIOT_CONFIG")]
    config: Option<PathBuf>,
    /// Where the daemon listens [default: `server.listen` of the settings].
    #[arg(long, global = true, value_name = "URL", env = "GRIOT_URL")]
    url: Option<String>,
    /// The key, where the daemon wants one.
    #[arg(
        long,
        global = true,
        value_name = "KEY",
        env = "GRIOT_API_KEY",
        hide_env_values = true
    )]
    api_key: Option<String>,
    /// Print JSON, for scripts.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Ingest(ingest::Ingest),
    Ask(ask::Ask),
    Search(search::Search),
    Talk(talk::Talk),
    Docs(docs::Docs),
    Watch(watch::WatchArgs),
    Status(status::Status),
    Incidents(incidents::Incidents),
    Breaker(breaker::Breaker),
    Alerts(alerts::Alerts),
    Doctor(doctor::Doctor),
    Models(models::Models),
    Config(config::Config),
    Reindex(reindex::Reindex),
    Backup(backup::Backup),
    Restore(restore::Restore),
    /// Decodes one file of sound in a limited child process; started by the daemon, not by people.
    #[command(hide = true, disable_help_flag = true)]
    Hear,
    /// Reads one file in a limited child process; started by the daemon, not by people.
    #[command(hide = true, disable_help_flag = true)]
    Extract {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        orders: Vec<OsString>,
    },
}

/// What a command has at hand.
struct Context {
    global: Global,
    env: Env,
    out: Out,
}

impl Context {
    /// Every setting; `flags` win over the rest.
    fn settings(&self, flags: &Overrides) -> Result<Loaded, Failure> {
        Ok(load(flags, &self.env, self.global.config.as_deref())?)
    }

    /// The way to the daemon.
    fn client(&self) -> Result<Client, Failure> {
        let url = match &self.global.url {
            Some(url) => url.clone(),
            None => client::url_of(self.settings(&Overrides::default())?.config.server.listen),
        };
        Ok(Client::new(&url, self.global.api_key.as_deref())?)
    }

    fn json(&self) -> bool {
        self.global.json
    }
}

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Command::Extract { orders } = arguments.command {
        // Before anything that starts threads: the child is about to limit itself.
        return jail::child_main(orders);
    }
    if matches!(arguments.command, Command::Hear) {
        // What this system lacks of the protections is told by the other kind of child.
        let _ = jail::confine(recording::child::MEMORY, recording::child::CPU_S);
        return match recording::child::child_main() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    if matches!(arguments.command, Command::Serve(_)) {
        allocator::settle();
    }
    let context = Context {
        global: arguments.global,
        env: Env::of_process(),
        out: Out::new(std::io::stdout().is_terminal()),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the threads of the program cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(run(arguments.command, context));
    // What still runs was told to stop and had its time.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn run(command: Command, context: Context) -> Result<(), Failure> {
    match command {
        Command::Serve(serve) => serve.run(context).await,
        Command::Ingest(ingest) => ingest.run(context).await,
        Command::Ask(ask) => ask.run(context).await,
        Command::Search(search) => search.run(context).await,
        Command::Talk(talk) => talk.run(context).await,
        Command::Docs(docs) => docs.run(context).await,
        Command::Watch(watch) => watch.run(context).await,
        Command::Status(status) => status.run(context).await,
        Command::Incidents(incidents) => incidents.run(context).await,
        Command::Breaker(breaker) => breaker.run(context).await,
        Command::Alerts(alerts) => alerts.run(context).await,
        Command::Doctor(doctor) => doctor.run(context).await,
        Command::Models(models) => models.run(context).await,
        Command::Config(config) => config.run(context).await,
        Command::Reindex(reindex) => reindex.run(context).await,
        Command::Backup(backup) => backup.run(context).await,
        Command::Restore(restore) => restore.run(context).await,
        Command::Extract { .. } | Command::Hear => unreachable!("main() has run it"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        fn check(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            if command.is_hide_set() || command.get_name() == "help" {
                return;
            }
            let after = command
                .get_after_help()
                .or(command.get_after_long_help())
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(after.contains("Example"), "{path} has no example");
            for inner in command.get_subcommands() {
                check(inner, &path);
            }
        }
        check(&Arguments::command(), "");
    }
}
