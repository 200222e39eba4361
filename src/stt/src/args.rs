//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::pace::Pace;

/// Speech to text over a Unix socket.
#[derive(Debug, Parser)]
#[command(name = "griot-stt", version, about)]
pub struct Args {
    /// The model's file, in whisper.cpp's format.
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Where to listen; made for its owner alone by the folder that it is in.
    #[arg(long, value_name = "PATH")]
    pub socket: PathBuf,
    /// Threads of one transcript, always [default: all cores, four at most, for a final one while nobody else uses
    /// them; half of them otherwise].
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// End when standard input closes.
    #[arg(long)]
    pub stop_on_stdin_eof: bool,
}

impl Args {
    /// How many threads a transcript gets.
    pub fn pace(&self) -> Pace {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        match self.threads {
            Some(threads) => Pace::new(threads.max(1), threads.max(1)),
            None => Pace::new((cores / 2).clamp(1, 4), cores.clamp(1, 4)),
        }
    }
}
