//! `griot-llm`: llama.cpp in a process of its own, behind the Ollama HTTP API on loopback.
//!
//! It is apart from the daemon because llama.cpp may abort and takes gigabytes: the daemon restarts
//! it, and the memory comes back when it ends. It knows nothing of documents, questions or the
//! daemon; a real Ollama could stand in its place.
//!
//! ```text
//!  http/    axum: routes, NDJSON, errors          async
//!  wire/    requests and replies as types         pure
//!  engine/  one thread: queue, model, sequences   blocking
//!  prompt/  chat template, control tokens         pure
//!  text/    characters, stop texts                pure
//!  shelf    the model files
//! ```

mod args;
mod engine;
mod http;
mod prompt;
mod shelf;
mod shutdown;
mod text;
mod waiting;
mod wire;

use std::{io::Write, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use tokio::net::TcpListener;
use tracing_subscriber::{filter::Targets, prelude::*};

use args::Args;
use engine::{
    Engine, EngineHandle,
    job::{Job, Work},
};
use http::Site;
use shelf::{Shelf, ShelfError, Weights};

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    #[error(
        "--listen {0} is not a loopback address; this server is for programs on this machine only"
    )]
    NotLoopback(std::net::SocketAddr),
    #[error("cannot listen on {address}: {source}; choose another --listen, or port 0 for any")]
    Listen {
        address: std::net::SocketAddr,
        source: std::io::Error,
    },
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}

/// How long a drained server waits for requests in hand before it cuts them off.
const DRAIN: Duration = Duration::from_secs(8);

fn main() -> ExitCode {
    waiting::settle();
    let args = Args::parse();
    log_to_stderr(&args.log);
    match serve(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("griot-llm: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Logs go to standard error; standard output is for the address alone.
fn log_to_stderr(levels: &Targets) {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false);
    tracing_subscriber::registry()
        .with(lines.with_filter(levels.clone()))
        .init();
    llama_cpp_2::send_logs_to_tracing(llama_cpp_2::LogOptions::default());
}

fn serve(args: &Args) -> Result<(), StartError> {
    if !args.listen.ip().is_loopback() {
        return Err(StartError::NotLoopback(args.listen));
    }
    let shelf = Arc::new(Shelf::open(&args.models)?);
    let engine = Engine::start(args.settings())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let served = runtime.block_on(listen(args, &shelf, &engine));
    // Connections that are left end here; the engine finishes its token or batch.
    runtime.shutdown_background();
    engine.handle().abort();
    engine.join();
    served
}

async fn listen(args: &Args, shelf: &Arc<Shelf>, engine: &Engine) -> Result<(), StartError> {
    let address = args.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen { address, source })?;
    let got = listener.local_addr()?;
    let handle = engine.handle();
    if args.preload
        && let Some(weights) = shelf.iter().next()
    {
        preload(&handle, weights);
    }
    announce(got)?;

    let site = Site {
        shelf: Arc::clone(shelf),
        engine: handle.clone(),
    };
    let stopping = shutdown::watch(args.stop_on_stdin_eof)?;
    let draining = {
        let (stopping, handle) = (stopping.clone(), handle.clone());
        async move {
            stopping.drain.cancelled().await;
            handle.close();
        }
    };
    let serving = axum::serve(listener, http::router(site)).with_graceful_shutdown(draining);
    tokio::select! {
        served = serving.into_future() => served?,
        () = shutdown::deadline(&stopping, DRAIN) => {
            tracing::info!("stopping with requests in hand");
            handle.abort();
        }
    }
    Ok(())
}

/// Loads a model as a request without a prompt would, and stays to hear of it: a job whose client
/// has left is skipped.
fn preload(handle: &EngineHandle, weights: &Arc<Weights>) {
    let (job, mut events) = Job::new(Arc::clone(weights), Work::Load, None, 0);
    match handle.submit(job) {
        Ok(()) => drop(tokio::spawn(async move {
            while events.recv().await.is_some() {}
        })),
        Err(error) => tracing::error!(%error, "the model could not be loaded ahead"),
    }
}

/// The one line on standard output: where the server is, for whoever started it.
fn announce(address: std::net::SocketAddr) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening http://{address}")?;
    out.flush()
}
