//! The benchmark behind `make bench`: measures griot and writes a report for people and one for
//! programs. Every figure that the README shows comes from here.
//!
//! Ingest, latency and retrieval run in this process over the library's own parts; answers and memory
//! are measured on the real daemon, asked over HTTP. What the machine lacks (evaluation sets, weights)
//! is said and left out.

mod answers;
mod args;
mod daemon;
mod datasets;
mod faults;
mod ingest;
mod interactive;
mod latency;
mod machine;
mod metrics;
mod retrieval;
mod rss;
mod stack;
mod table;
mod text;
mod vectors;
mod voice;

use std::{error::Error, process::ExitCode};

use clap::Parser;

use args::{Args, Kind};
use stack::Stack;
use table::{Results, Section};

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let mut failed = false;
    for kind in args.kinds() {
        eprintln!("bench: {}", kind.name());
        // One by one, so that a later failure loses nothing of what was measured.
        let kept = match measure(kind, &args).await {
            Ok(Some(section)) => keep(kind, section, &args),
            Ok(None) => {
                eprintln!(
                    "bench: {}: there is nothing here to measure it with",
                    kind.name()
                );
                Ok(())
            }
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            eprintln!("bench: {} failed: {error}", kind.name());
            failed = true;
        }
    }
    print!("{}", Results::load(&args.out).markdown());
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn keep(kind: Kind, section: Section, args: &Args) -> Result<(), Box<dyn Error>> {
    let mut results = Results::load(&args.out);
    results.put(kind.name(), section);
    Ok(results.save(&args.out)?)
}

async fn measure(kind: Kind, args: &Args) -> Result<Option<Section>, Box<dyn Error>> {
    match kind {
        Kind::Ingest => ingest::run(args, &Stack::new(args)?).await,
        Kind::Interactive => interactive::run(args, &Stack::new(args)?).await,
        Kind::Latency => latency::run(args, &Stack::new(args)?).await,
        Kind::Retrieval => retrieval::run(args, &Stack::new(args)?).await,
        Kind::Answers => answers::run(args).await,
        Kind::Rss => rss::run(args).await,
        Kind::Text => text::run(args).await,
        Kind::Faults => faults::run(args).await,
        Kind::Voice => voice::run(args).await,
    }
}
