//! The command line.

use std::net::SocketAddr;

use clap::Parser;
use tracing_subscriber::filter::Targets;

use crate::{engine::Settings, wire::keep_alive::KeepAlive};

/// Serves GGUF models over the Ollama HTTP API on loopback.
///
/// Prints one line, `listening http://ADDRESS`, when it is ready.
///
/// Example: griot-llm --model qwen=/models/qwen2.5-0.5b.gguf --listen 127.0.0.1:0
#[derive(Debug, Parser)]
#[command(version)]
pub struct Args {
    /// A model to serve; repeat for more. The first one is what --preload loads
    #[arg(long = "model", value_name = "NAME=PATH", required = true)]
    pub models: Vec<String>,

    /// Loopback address and port; port 0 takes any free one
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,

    /// Threads that write, one token at a time [default: cores, at most 2]
    #[arg(long)]
    pub threads: Option<u16>,

    /// Threads that read the prompt, many tokens at a time [default: cores, at most 2]
    #[arg(long)]
    pub threads_batch: Option<u16>,

    /// Tokens of context; also the most that one request may use
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u32).range(64..=1_048_576))]
    pub context: u32,

    /// Sequences kept so that prompts that begin alike are not read twice
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub slots: u8,

    /// Requests that may wait; more are turned away with 503
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub queue: u16,

    /// How long a model stays in memory after a request, unless the request says (for example 10m, 0, -1)
    #[arg(long, default_value = "5m", allow_hyphen_values = true)]
    pub keep_alive: KeepAlive,

    /// Load the first model at once rather than at the first request
    #[arg(long)]
    pub preload: bool,

    /// End when standard input ends, so as not to outlive the program that started this one
    #[arg(long)]
    pub stop_on_stdin_eof: bool,

    /// What to log, by target and level
    #[arg(long, env = "GRIOT_LLM_LOG", default_value = "info,llama-cpp-2=warn")]
    pub log: Targets,
}

impl Args {
    /// The engine's share of it.
    pub fn settings(&self) -> Settings {
        let cores = std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(2);
        let threads = |given: Option<u16>| given.map_or(cores, |given| usize::from(given).max(1));
        Settings {
            threads: threads(self.threads),
            threads_batch: threads(self.threads_batch),
            context: self.context as usize,
            slots: usize::from(self.slots),
            queue: usize::from(self.queue),
            keep_alive: self.keep_alive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
        let args = Args::parse_from([
            "griot-llm",
            "--model",
            "a=b",
            "--keep-alive",
            "-1",
            "--threads",
            "3",
        ]);
        assert_eq!(args.keep_alive, KeepAlive::Forever);
        assert_eq!(args.settings().threads, 3);
    }
}
