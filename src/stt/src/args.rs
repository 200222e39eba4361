//! The command line.

use std::path::PathBuf;

use clap::Parser;

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
    /// Threads of one transcript [default: half of the cores, one at least and four at most].
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// End when standard input closes.
    #[arg(long)]
    pub stop_on_stdin_eof: bool,
}

impl Args {
    /// More threads than cores that are free spin at whisper.cpp's barriers and get slower, and somebody who
    /// speaks wants the others for the language model.
    pub fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or((cores / 2).clamp(1, 4)).max(1)
    }
}
