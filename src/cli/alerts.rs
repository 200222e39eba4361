//! `griot alerts test`: whether what is wrong would be told.

use clap::{Args, Subcommand};

use super::{Context, Failure};
use crate::{
    alerts::{Notice, Target},
    config::Overrides,
};

/// Try where alerts go
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Example:\n  griot alerts test"
)]
pub struct Alerts {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Send a message to every target of the settings, and say whether it arrived
    ///
    /// Needs no daemon: the settings are read here.
    #[command(after_help = "Example:\n  griot alerts test")]
    Test {},
}

impl Alerts {
    pub async fn run(self, context: Context) -> Result<(), Failure> {
        let What::Test {} = self.what;
        let loaded = context.settings(&Overrides::default())?;
        let targets = Target::all(&loaded.config.alerts);
        if targets.is_empty() {
            return Err(Failure::told(
                "no target is set: `alerts.webhook`, `alerts.slack` or `alerts.smtp` says where alerts go",
            ));
        }
        let (mut said, mut failed) = (Vec::new(), false);
        for target in targets {
            let (name, result) = match target {
                Ok(target) => {
                    let sent = target.deliver_once(&Notice::test()).await;
                    (target.name(), sent)
                }
                Err(error) => ("settings", Err(error)),
            };
            failed |= result.is_err();
            let error = result.err().map(|error| error.to_string());
            if !context.json() {
                let how = error.as_deref().unwrap_or("delivered");
                context.out.line(&format!("{name}: {how}"))?;
            }
            said.push(serde_json::json!({ "target": name, "error": error }));
        }
        if context.json() {
            context.out.json(&serde_json::json!({ "targets": said }))?;
        }
        if failed { Err(Failure::Said) } else { Ok(()) }
    }
}
