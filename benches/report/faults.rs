//! The fault matrix: the real daemon between doubles of what it depends on, each behind a proxy that
//! spoils what is between; real processes that are killed and stopped; a disk that is full, a catalog that
//! another program holds, weights that are gone. What is asked is whether every question is answered, at
//! which level, how soon a fault is noticed, and how soon it is over. Then: ten times more questions than
//! can be answered, and nothing left to depend on.

mod cell;
mod double;
mod endpoints;
mod home;
mod processes;
#[path = "../../tests/health/proxy.rs"]
mod proxy;
#[path = "../../tests/contract/qdrant_double.rs"]
mod qdrant_double;
mod report;
mod voice;

use std::{error::Error, sync::Arc, time::Duration};

use super::{
    args::Args,
    daemon::{Daemon, File},
    machine::Stopwatch,
    table::Section,
};
use cell::Load;
use endpoints::Bench;
use griot::{
    domain::Component,
    health::{Board, Gate, Hold, Limits},
};
use report::Report;

/// What the questions are about.
const LEASE: &str = "The flat has two rooms and a kitchen. Rent is payable on the first day of each calendar month. Dogs are allowed in the garden.";
const QUESTION: &str = "When is rent payable?";

/// The deadlines of the daemon under test, in seconds.
const DEADLINE_S: u64 = 2;

fn lease() -> File {
    File {
        name: "lease.txt".to_owned(),
        bytes: LEASE.as_bytes().to_vec(),
    }
}

/// What is measured, and for how long.
struct Plan {
    quick: bool,
    cells: Vec<String>,
    /// How long a fault lasts.
    lasting: Duration,
    /// How long a part flaps.
    flapping: Duration,
    /// How long there is nothing left to depend on.
    down: Duration,
}

impl Plan {
    fn of(args: &Args) -> Self {
        let seconds = |quick, full| Duration::from_secs(if args.quick { quick } else { full });
        Self {
            quick: args.quick,
            cells: args.cells.clone(),
            lasting: seconds(4, 9),
            flapping: seconds(16, 60),
            down: args.down.map_or(seconds(60, 600), Duration::from_secs),
        }
    }

    /// Whether a cell of this name is measured.
    fn wants(&self, name: &str) -> bool {
        self.cells.is_empty() || self.cells.iter().any(|part| name.contains(part.as_str()))
    }

    /// The loads to measure under: a quick run looks under load only, where more goes wrong.
    fn loads(&self) -> &'static [Load] {
        if self.quick {
            &[Load::Busy]
        } else {
            &[Load::Idle, Load::Busy]
        }
    }
}

/// Measures all of it. `None` without the embedder's weights.
pub async fn run(args: &Args) -> Result<Option<Section>, Box<dyn Error>> {
    let watch = Stopwatch::start();
    std::fs::create_dir_all(&args.out)?;
    if let Err(error) = Bench::start(args, "faults.log").await {
        eprintln!("bench: faults: the daemon answers nothing: {error}");
        return Ok(None);
    }
    let plan = Plan::of(args);
    // Nothing to depend on, for ten minutes, asks next to nothing of the machine: it passes beside the rest.
    let mut report = Report::new();
    let (down, rest) = tokio::join!(
        endpoints::everything_down(args, &plan),
        the_rest(args, &plan, &mut report)
    );
    rest?;
    if let Some(down) = down? {
        report.everything(down);
    }
    Ok(Some(report.section(args, &watch)))
}

async fn the_rest(args: &Args, plan: &Plan, report: &mut Report) -> Result<(), Box<dyn Error>> {
    endpoints::faults(args, plan, report).await?;
    endpoints::flaps(args, plan, report).await?;
    home::weights(args, plan, report).await?;
    home::full_disk(args, plan, report).await?;
    home::held_catalog(args, plan, report).await?;
    processes::worker(args, plan, report).await?;
    processes::readers(args, plan, report).await?;
    voice::transcriber(args, plan, report).await?;
    endpoints::overload(args, plan, report).await?;
    if plan.wants("rejections") {
        rejections(report).await;
    }
    Ok(())
}

/// How long it takes to be told that a part rests, through the gate itself, from many tasks at once.
async fn rejections(report: &mut Report) {
    const TASKS: usize = 64;
    const CALLS: usize = 2000;
    let board = Board::new();
    let slot = board.slot(Component::VectorStore, "none");
    let gate = Gate::new(slot, Limits::call(Duration::from_secs(5)));
    gate.hold(Some(Hold::Open));
    let tasks = (0..TASKS).map(|_| {
        let gate = Arc::clone(&gate);
        tokio::spawn(async move {
            let mut times = Vec::with_capacity(CALLS);
            for _ in 0..CALLS {
                let began = std::time::Instant::now();
                let told = gate.call(Duration::from_secs(5), async { Ok(()) }).await;
                times.push(began.elapsed().as_secs_f64() * 1e3);
                assert!(told.is_err());
                tokio::task::yield_now().await;
            }
            times
        })
    });
    let mut times = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        times.extend(task.await.unwrap_or_default());
    }
    report.rejections(&times);
}

/// What the daemon holds: descriptors, children, tasks.
#[derive(Debug, Clone, Copy)]
struct Held {
    descriptors: usize,
    children: usize,
    tasks: usize,
}

impl Held {
    async fn by(daemon: &Daemon) -> Result<Self, Box<dyn Error>> {
        let descriptors =
            std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).map_or(0, Iterator::count);
        let children = ["griot", "griot-llm", "griot-stt"]
            .iter()
            .map(|name| super::machine::children_named(daemon.pid(), name).len())
            .sum();
        let page = daemon.page("/metrics").await?;
        let tasks = page
            .lines()
            .find_map(|line| line.strip_prefix("griot_tasks_alive ")?.parse().ok())
            .ok_or("the daemon does not say how many tasks it has")?;
        Ok(Self {
            descriptors,
            children,
            tasks,
        })
    }
}
