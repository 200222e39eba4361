//! `griot serve`: the daemon, in the foreground.

use std::net::SocketAddr;

use clap::Args;
use tokio::net::TcpListener;

use super::{Context, Failure};
use crate::{
    app::App,
    config::Overrides,
    failpoints, http,
    shutdown::{DRAIN, Shutdown},
    telemetry,
};

/// Run the daemon in the foreground
///
/// SIGTERM and SIGINT let it finish what it has begun and stop within 10 seconds; a second one stops
/// it at once.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  griot serve\n  griot serve --listen 127.0.0.1:0")]
pub struct Serve {
    /// Address and port [default: `server.listen` of the settings]; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

impl Serve {
    pub async fn run(self, context: Context) -> Result<(), Failure> {
        let mut flags = Overrides::default();
        if let Some(listen) = self.listen {
            flags = flags.set("server.listen", listen.to_string(), "--listen");
        }
        let loaded = context.settings(&flags)?;
        telemetry::init(&loaded.config.log).map_err(|error| Failure::told(error.to_string()))?;
        failpoints::arm().map_err(|error| Failure::told(error.to_string()))?;
        let metrics = telemetry::metrics();
        let server = &loaded.config.server;
        let shutdown = Shutdown::new();
        shutdown.on_signals().map_err(|error| {
            Failure::told(format!("the signal handlers cannot be installed: {error}"))
        })?;
        // Before the models are looked at: a port that is taken is the commonest mistake.
        let listener = TcpListener::bind(server.listen).await.map_err(|error| {
            Failure::told(format!(
                "{} cannot be listened on: {error}; is another griot running there? `--listen` takes \
                 another port",
                server.listen
            ))
        })?;
        let address = listener.local_addr()?;
        shutdown.tracker.spawn(telemetry::keep_metrics(
            metrics.clone(),
            shutdown.token.clone(),
        ));
        let app = App::start(loaded, shutdown.clone(), metrics)
            .await
            .map_err(|error| Failure::told(error.to_string()))?;

        context
            .out
            .text(&format!("listening on http://{address}\n"))?;
        tell_service_manager(sd_notify::NotifyState::Ready);
        tracing::info!(%address, "listening");
        http::serve(listener, http::router(app.state()), &shutdown).await;

        tell_service_manager(sd_notify::NotifyState::Stopping);
        let drained = shutdown.drain(DRAIN).await;
        tracing::info!(drained, "stopped");
        Ok(())
    }
}

/// systemd and its like; nothing where none is listening.
fn tell_service_manager(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}
