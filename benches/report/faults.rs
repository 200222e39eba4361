//! The fault matrix: the real daemon between doubles of what it depends on, each behind a proxy that
//! spoils what is between, and real processes that are killed and stopped. What is asked is whether every
//! question is answered, at which level, how soon a fault is noticed, and how soon it is over. Then: ten
//! times more questions than can be answered, and nothing left to depend on.

mod cell;
mod double;
#[path = "../../tests/health/proxy.rs"]
mod proxy;
#[path = "../../tests/contract/qdrant_double.rs"]
mod qdrant_double;
mod report;

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    args::Args,
    daemon::{Daemon, File},
    machine::{self, Stopwatch},
    metrics::percentile,
    table::Section,
};
use cell::{Cell, Load, Trouble};
use double::Double;
use griot::{
    domain::Component,
    health::{Board, Gate, Hold, Limits},
};
use proxy::{Fault, Proxy};
use report::Report;

/// What the questions are about.
const LEASE: &str = "The flat has two rooms and a kitchen. Rent is payable on the first day of each calendar month. Dogs are allowed in the garden.";
const QUESTION: &str = "When is rent payable?";

/// The deadlines of the daemon under test, in seconds.
const DEADLINE_S: u64 = 2;

/// The daemon, its doubles and the proxies between.
struct Bench {
    daemon: Daemon,
    model: Double,
    model_proxy: Proxy,
    store_proxy: Proxy,
}

impl Bench {
    async fn start(args: &Args) -> Result<Self, Box<dyn Error>> {
        let model = Double::serve().await;
        let store = qdrant_double::serve().await;
        let store_at = store.url.trim_start_matches("http://").parse()?;
        let model_proxy = Proxy::start(model.address).await;
        let store_proxy = Proxy::start(store_at).await;
        let upstreams = format!(
            "[{{ kind = \"ollama\", url = \"http://{}\", model = \"m\" }}]",
            model_proxy.address
        );
        let settings = [
            ("GRIOT__LLM__UPSTREAMS", upstreams),
            ("GRIOT__LLM__FIRST_TOKEN_TIMEOUT_S", DEADLINE_S.to_string()),
            ("GRIOT__LLM__TOKEN_TIMEOUT_S", DEADLINE_S.to_string()),
            ("GRIOT__STORE__KIND", "qdrant".to_owned()),
            (
                "GRIOT__STORE__URL",
                format!("http://{}", store_proxy.address),
            ),
            ("GRIOT__STORE__API_KEY", store.api_key.unwrap_or_default()),
            ("GRIOT__STORE__TIMEOUT_S", DEADLINE_S.to_string()),
            ("GRIOT__LOG__LEVEL", "griot=debug".to_owned()),
        ];
        std::fs::create_dir_all(&args.out)?;
        let log = args.out.join("faults.log");
        let daemon = Daemon::start(args.models.as_deref(), &settings, &log)?;
        let ids = daemon.upload(vec![lease()], "default").await?;
        daemon.wait(&ids).await?;
        // The embedder's weights are read at the first question.
        daemon.ask(QUESTION, "default").await?;
        Ok(Self {
            daemon,
            model,
            model_proxy,
            store_proxy,
        })
    }

    fn proxy(&self, component: Component) -> &Proxy {
        match component {
            Component::VectorStore => &self.store_proxy,
            _ => &self.model_proxy,
        }
    }
}

fn lease() -> File {
    File {
        name: "lease.txt".to_owned(),
        bytes: LEASE.as_bytes().to_vec(),
    }
}

/// Measures all of it. `None` without the embedder's weights.
pub async fn run(args: &Args) -> Result<Option<Section>, Box<dyn Error>> {
    let watch = Stopwatch::start();
    if let Err(error) = Bench::start(args).await {
        eprintln!("bench: faults: the daemon answers nothing: {error}");
        return Ok(None);
    }
    let mut report = Report::new();
    let lasting = Duration::from_secs(if args.quick { 5 } else { 12 });
    for component in [Component::LanguageModel, Component::VectorStore] {
        for fault in Fault::ALL {
            for load in [Load::Idle, Load::Busy] {
                // A breaker that opens again within a minute has to prove itself for longer, so each cell has
                // a daemon of its own.
                let bench = Bench::start(args).await?;
                let cell = cell::measure(&bench.daemon, component, load, lasting, |on| {
                    let fault = if on { fault } else { Fault::Nothing };
                    bench.proxy(component).set(fault);
                })
                .await?;
                report.cell(&format!("{component}: {fault:?}"), load, cell);
            }
        }
    }
    let minute = Duration::from_secs(if args.quick { 12 } else { 60 });
    for component in [Component::LanguageModel, Component::VectorStore] {
        for load in [Load::Idle, Load::Busy] {
            let bench = Bench::start(args).await?;
            let flapped = flap(&bench, component, load, minute).await?;
            report.flap(component, load, flapped);
        }
    }
    let bench = Bench::start(args).await?;
    let before = held(&bench.daemon);
    everything_down(args, &bench, &mut report).await?;
    cell::settled(&bench.daemon).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    report.leaks(before, held(&bench.daemon));
    overload(args, &bench, &mut report).await?;
    rejections(&mut report).await;
    drop(bench);
    processes(args, &mut report).await?;
    Ok(Some(report.section(args, &watch)))
}

/// Descriptors and children of the daemon.
fn held(daemon: &Daemon) -> (usize, usize) {
    let descriptors =
        std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).map_or(0, Iterator::count);
    let children = ["griot", "griot-llm"]
        .iter()
        .map(|name| machine::children_named(daemon.pid(), name).len())
        .sum();
    (descriptors, children)
}

/// Two seconds well, two seconds gone, for a minute.
async fn flap(
    bench: &Bench,
    component: Component,
    load: Load,
    lasting: Duration,
) -> Result<(Cell, u64), Box<dyn Error>> {
    let before = cell::transitions(&bench.daemon, component).await?;
    let began = Instant::now();
    let flapping = async {
        let mut well = true;
        loop {
            well = !well;
            let fault = if well { Fault::Nothing } else { Fault::Refuse };
            bench.proxy(component).set(fault);
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    };
    let asked = tokio::select! {
        asked = cell::ask_for(&bench.daemon, load, lasting) => asked,
        () = flapping => unreachable!("it flaps for ever"),
    };
    let after = cell::transitions(&bench.daemon, component).await?;
    bench.proxy(component).set(Fault::Nothing);
    cell::settled(&bench.daemon).await?;
    let per_minute = (after - before) as f64 * 60.0 / began.elapsed().as_secs_f64().max(60.0);
    Ok((Cell::of(asked), per_minute.ceil() as u64))
}

/// Both gone for long: it lives, and answers by words.
async fn everything_down(
    args: &Args,
    bench: &Bench,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let lasting = Duration::from_secs(if args.quick { 10 } else { 600 });
    bench.model_proxy.set(Fault::Refuse);
    bench.store_proxy.set(Fault::Hang);
    let lives = async {
        let (mut looks, mut green) = (0, 0);
        loop {
            looks += 1;
            green += u32::from(bench.daemon.lives().await.is_ok());
            tokio::time::sleep(Duration::from_millis(500)).await;
            if looks >= lasting.as_millis() as u32 / 500 {
                break (looks, green);
            }
        }
    };
    let (asked, (looks, green)) =
        tokio::join!(cell::ask_for(&bench.daemon, Load::Idle, lasting), lives);
    bench.model_proxy.set(Fault::Nothing);
    bench.store_proxy.set(Fault::Nothing);
    cell::settled(&bench.daemon).await?;
    report.everything(Cell::of(asked), looks, green, lasting);
    Ok(())
}

/// As many askers as can be answered at once, then ten times as many, then as before.
async fn overload(args: &Args, bench: &Bench, report: &mut Report) -> Result<(), Box<dyn Error>> {
    bench.model.slow(Duration::from_millis(80));
    let lasting = Duration::from_secs(if args.quick { 5 } else { 20 });
    let peak = cell::ask_at(&bench.daemon, 8, lasting).await;
    let over = cell::ask_at(&bench.daemon, 80, lasting).await;
    let ended = Instant::now();
    let usual = percentile(&peak.answered_ms(), 0.95).unwrap_or_default();
    let mut normal_after = None;
    while ended.elapsed() < Duration::from_secs(30) {
        let after = cell::ask_at(&bench.daemon, 1, Duration::from_millis(500)).await;
        if after.refused == 0 && after.answered_ms().iter().all(|ms| *ms <= usual) {
            normal_after = Some(ended.elapsed());
            break;
        }
    }
    bench.model.slow(Duration::ZERO);
    report.overload(&peak, &over, lasting, normal_after);
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
                let began = Instant::now();
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

/// A daemon with the real worker that has answered once; none where no worker runs.
async fn with_worker(args: &Args) -> Result<Option<Daemon>, Box<dyn Error>> {
    let settings = [
        (
            "GRIOT__LLM__UPSTREAMS",
            "[{ kind = \"embedded\" }]".to_owned(),
        ),
        ("GRIOT__MODELS__PROFILE", "small".to_owned()),
        ("GRIOT__INGEST__EXTRACT_TIMEOUT_S", "1".to_owned()),
    ];
    let log = args.out.join("faults-processes.log");
    let daemon = Daemon::start(args.models.as_deref(), &settings, &log)?;
    let ids = daemon.upload(vec![lease()], "default").await?;
    daemon.wait(&ids).await?;
    let first = daemon.ask(QUESTION, "default").await?;
    Ok(first.model.is_some().then_some(daemon))
}

/// The real worker and the readers of documents, killed and stopped.
async fn processes(args: &Args, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let lasting = Duration::from_secs(20);
    for trouble in [Trouble::Kill, Trouble::Stop] {
        for load in [Load::Idle, Load::Busy] {
            let Some(daemon) = with_worker(args).await? else {
                eprintln!("bench: faults: no worker runs here, so none is killed");
                return Ok(());
            };
            let cell = cell::measure(&daemon, Component::LanguageModel, load, lasting, |on| {
                // It is the daemon's business to bring it back.
                if let (true, Some(pid)) = (on, daemon.worker()) {
                    trouble.to(pid);
                }
            })
            .await?;
            report.cell(&format!("griot-llm: {trouble:?}"), load, cell);
        }
    }
    // A reader that is killed or stopped costs its document, and no other.
    for trouble in [Trouble::Kill, Trouble::Stop] {
        let Some(daemon) = with_worker(args).await? else {
            return Ok(());
        };
        let (fate, next) = cell::spoil_a_reading(&daemon, trouble).await?;
        report.reading(trouble, &fate, next);
    }
    Ok(())
}
