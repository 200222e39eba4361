//! A whisper.cpp worker: sound in, text out, over a Unix socket.
//!
//! It is a process of its own because whisper.cpp may abort and carries a ggml that must not meet
//! llama.cpp's. One connection is one utterance: a request comes, the transcript goes back, and a caller who
//! hangs up meanwhile has cancelled. It says `listening unix://PATH` on standard output and ends when its
//! standard input closes, so it does not outlive who started it. It knows nothing of the daemon.

mod args;
mod connection;
mod crew;
mod engine;
mod guard;
mod pace;
mod queue;
mod socket;
mod wire;

use std::{
    io::{self, Read, Write},
    process::ExitCode,
    sync::Arc,
    thread,
};

use clap::Parser;

use args::Args;
use crew::Crew;
use engine::Engine;
use queue::Queues;
use socket::Socket;

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("griot-stt: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    whisper_rs::install_logging_hooks();
    let socket = &args.socket;
    // Before the model, which takes a moment: who connects meanwhile waits.
    let (listener, file) = Socket::bind(socket)?;
    let engine = Arc::new(Engine::load(&args.model, args.pace())?);
    let queues = Arc::new(Queues::default());
    let crew = {
        let (engine, queues) = (Arc::clone(&engine), Arc::clone(&queues));
        Crew::new(move || {
            let end = EndTogether;
            engine.serve(&queues.looks);
            // It only lost its place.
            std::mem::forget(end);
        })
    };
    crew.hire()?;
    {
        let queues = Arc::clone(&queues);
        thread::Builder::new()
            .name("transcribe".to_owned())
            .spawn(move || {
                let _end = EndTogether;
                engine.serve(&queues.finals);
            })?;
    }
    if args.stop_on_stdin_eof {
        thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(move || {
                let mut input = io::stdin().lock();
                let mut bytes = [0; 256];
                while matches!(input.read(&mut bytes), Ok(count) if count > 0) {}
                file.remove();
                // What is being worked on has nobody left who waits for it.
                std::process::exit(0);
            })?;
    }
    println!("listening unix://{}", socket.display());
    io::stdout().flush()?;
    for stream in listener.incoming() {
        // A connection that failed before it was taken is its caller's loss alone.
        let Ok(stream) = stream else { continue };
        connection::serve(stream, &queues, &crew);
    }
    Ok(())
}

/// Ends the process with the thread that holds it: a worker without its engine must not seem to listen.
struct EndTogether;

impl Drop for EndTogether {
    fn drop(&mut self) {
        eprintln!("griot-stt: the engine's thread ended");
        std::process::exit(70);
    }
}
