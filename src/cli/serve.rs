//! `griot serve`: the daemon, in the foreground.

use std::net::SocketAddr;

use clap::Args;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use super::{Context, Failure};
use crate::{
    app::App,
    config::Overrides,
    failpoints, http,
    shutdown::{DRAIN, Shutdown},
    telemetry::{self, LogLevel, Telemetry},
    wyoming,
};

/// Run the daemon in the foreground
///
/// SIGTERM and SIGINT let it finish what it has begun and stop within 10 seconds; a second one stops
/// it at once. SIGHUP has it read its settings again: `log.level`, `server.max_questions`, `server.max_uploads`
/// and `[alerts]` change at once, everything else at the next start.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  griot serve\n  griot serve --listen 127.0.0.1:0")]
pub struct Serve {
    /// Address and port [default: `server.listen` of the settings]; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

impl Serve {
    fn flags(&self) -> Overrides {
        let flags = Overrides::default();
        match self.listen {
            Some(listen) => flags.set("server.listen", listen.to_string(), "--listen"),
            None => flags,
        }
    }

    pub async fn run(self, context: Context) -> Result<(), Failure> {
        let flags = self.flags();
        let loaded = context.settings(&flags)?;
        let Telemetry { log, traces } =
            telemetry::init(&loaded.config.log, &loaded.config.telemetry)
                .map_err(|error| Failure::told(error.to_string()))?;
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
        let wyoming = match loaded.config.wyoming.listen {
            Some(listen) => Some(listen_for_wyoming(listen).await?),
            None => None,
        };
        shutdown.tracker.spawn(telemetry::keep_metrics(
            metrics.clone(),
            shutdown.token.clone(),
        ));
        if let Some(traces) = traces {
            shutdown.tracker.spawn(traces.run(shutdown.token.clone()));
        }
        let mut app = App::start(loaded, shutdown.clone(), metrics)
            .await
            .map_err(|error| Failure::told(error.to_string()))?;

        context
            .out
            .text(&format!("listening on http://{address}\n"))?;
        if let Some((listener, address)) = wyoming
            && let Some(parts) = app.wyoming()
        {
            let text = format!("listening for Wyoming clients on tcp://{address}\n");
            context.out.text(&text)?;
            tracing::info!(%address, "listening for Wyoming clients");
            let stop = shutdown.clone();
            shutdown.tracker.spawn(async move {
                wyoming::serve(listener, parts, &stop).await;
            });
        }
        // Before anybody is told that it is ready: from then on it may be asked to read its settings again.
        let hangup = signal(SignalKind::hangup()).map_err(|error| {
            Failure::told(format!("the signal handlers cannot be installed: {error}"))
        })?;
        tell_service_manager(&[sd_notify::NotifyState::Ready]);
        shutdown
            .tracker
            .spawn(feed_watchdog(shutdown.token.clone()));
        tracing::info!(%address, "listening");
        let serve = http::serve(listener, http::router(app.state()), &shutdown);
        tokio::select! {
            () = serve => {}
            () = reload_on_signal(hangup, &context, &flags, &app, &log) => {}
        }

        tell_service_manager(&[sd_notify::NotifyState::Stopping]);
        let drained = shutdown.drain(DRAIN).await;
        tracing::info!(drained, "stopped");
        Ok(())
    }
}

async fn listen_for_wyoming(listen: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        Failure::told(format!(
            "{listen} cannot be listened on for Wyoming clients: {error}; another program may use it: change \
             `wyoming.listen`"
        ))
    })?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Reads the settings again at each SIGHUP. Never ends by itself.
async fn reload_on_signal(
    mut hangup: Signal,
    context: &Context,
    flags: &Overrides,
    app: &App,
    log: &LogLevel,
) {
    while hangup.recv().await.is_some() {
        let since = sd_notify::NotifyState::monotonic_usec_now();
        match since {
            Ok(since) => tell_service_manager(&[sd_notify::NotifyState::Reloading, since]),
            Err(error) => tracing::debug!(%error, "the clock cannot be read"),
        }
        match context.settings(flags) {
            Ok(loaded) => {
                app.reload(&loaded.config);
                match log.change(&loaded.config.log) {
                    Ok(()) => tracing::info!("the settings were read again"),
                    Err(error) => tracing::error!(%error, "the log level stays as it was"),
                }
            }
            Err(failure) => {
                tracing::error!("the settings stay as they were: {}", failure.message());
            }
        }
        tell_service_manager(&[sd_notify::NotifyState::Ready]);
    }
    std::future::pending().await
}

/// Tells the service manager again and again that the daemon's threads turn, where it wants to know
/// (`WatchdogSec=`). It starts the daemon anew when that stays away.
async fn feed_watchdog(token: CancellationToken) {
    let Some(within) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut tick = tokio::time::interval(within / 3);
    while token.run_until_cancelled(tick.tick()).await.is_some() {
        tell_service_manager(&[sd_notify::NotifyState::Watchdog]);
    }
}

/// systemd and its like; nothing where none is listening.
fn tell_service_manager(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}
