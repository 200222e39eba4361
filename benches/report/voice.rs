//! Conversations aloud, held with the real daemon over its simple protocol by a client that speaks on a
//! monotonic clock: how soon it answers, how exactly it hears, how soon it falls silent, and what it makes of
//! silence, noise, its own voice, many clients and rude ones.
//!
//! When speech began and ended is read off the recordings themselves (`sound::speech`), never off what the
//! daemon says.

mod client;
mod clips;
mod crowd;
mod log;
mod microphone;
mod play;
mod quiet;
mod report;
mod script;
mod soak;
mod sound;
mod words;

use std::{error::Error, fs, path::Path, time::Duration};

use super::{
    args::Args,
    daemon::{Daemon, File},
    machine::{self, Stopwatch},
    table::Section,
};
use clips::Clips;
use report::Report;

/// What the first conversation asks, which is not measured: it reads the weights.
const WARM_UP: &str = "How wide were the strips of cut reed?";

/// Measures all of it. `None` without the weights that hear and speak.
pub async fn run(args: &Args) -> Result<Option<Section>, Box<dyn Error>> {
    let watch = Stopwatch::start();
    fs::create_dir_all(&args.out)?;
    let log = args.out.join("voice-daemon.log");
    // One more than the fifty that are promised, so that the harness never stands in its own way.
    let settings = [("GRIOT__VOICE__SESSIONS", "51".to_owned())];
    let daemon = Daemon::start(args.models.as_deref(), &settings, &log)?;
    if let Err(error) = daemon.speak("Hello.").await {
        eprintln!(
            "bench: voice: the daemon has no voice (`griot models pull --profile voice`): {error}"
        );
        return Ok(None);
    }
    fill(&daemon).await?;
    let model = daemon.ask(WARM_UP, "default").await?.model;
    let mut clips = Clips::new(&daemon, &args.speech)?;
    let mut report = Report::new(model.unwrap_or_else(|| "none".to_owned()));

    let warm_up = script::Script::parse(
        "warm-up",
        &format!("about = ''\n[[turn]]\nsay = {WARM_UP:?}"),
    )?;
    play::play(&daemon, &mut clips, &warm_up, 1, args.seed).await?;

    let wanted = |name: &str| args.parts.is_empty() || args.parts.iter().any(|part| part == name);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/report/voice/scripts");
    for (name, script) in script::read(&folder)? {
        if !wanted(&name) {
            continue;
        }
        let turns = script.quick.filter(|_| args.quick).unwrap_or(usize::MAX);
        let before = Cost::so_far(&daemon);
        let began = std::time::Instant::now();
        match play::play(&daemon, &mut clips, &script, turns, args.seed).await? {
            Some(run) if !run.played.is_empty() => {
                let cost = Cost::so_far(&daemon).since(before);
                report.script(&name, &script, run, cost, began.elapsed());
            }
            _ => eprintln!(
                "bench: voice: {name}: skipped: its recordings are not in {}",
                args.speech.display()
            ),
        }
    }
    let minutes = if args.quick {
        args.minutes.min(0.5)
    } else {
        args.minutes
    };
    let lasting = Duration::from_secs_f64(minutes * 60.0);
    if wanted("quiet") {
        report.quiet(quiet::listen(&daemon, &clips, lasting, args.seed).await?);
    }
    if wanted("crowd") {
        report.crowd(crowd::talk(&daemon, &mut clips, args.quick, args.seed).await?);
    }
    if wanted("soak") {
        report.soak(soak::soak(&daemon, &mut clips, lasting, args.seed).await?);
    }
    report.memory(&daemon);
    report.spans(&daemon.page("/metrics").await?);
    Ok(Some(report.section(&watch)))
}

/// The sample documents become the library.
async fn fill(daemon: &Daemon) -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/documents");
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files.push(File {
            name: entry.file_name().to_string_lossy().into_owned(),
            bytes: fs::read(entry.path())?,
        });
    }
    let ids = daemon.upload(files, "default").await?;
    Ok(daemon.wait(&ids).await?)
}

/// Processor milliseconds of the daemon and its workers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// Voice activity, the judge of turns, speech, retrieval, sockets.
    pub griot: f64,
    pub stt: f64,
    pub llm: f64,
}

impl Cost {
    fn so_far(daemon: &Daemon) -> Self {
        let of = |pid| machine::cpu_seconds(pid).unwrap_or_default() * 1e3;
        let worker = |name| {
            let pids = machine::children_named(daemon.pid(), name);
            pids.into_iter().map(of).sum()
        };
        Self {
            griot: of(daemon.pid()),
            stt: worker("griot-stt"),
            llm: worker("griot-llm"),
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            griot: self.griot - before.griot,
            stt: self.stt - before.stt,
            llm: self.llm - before.llm,
        }
    }
}
