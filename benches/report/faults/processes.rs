//! Processes of the daemon that are killed and stopped: the language model's worker, and the readers of
//! documents.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use griot::domain::{Component, Status};

use super::{
    super::{
        args::Args,
        daemon::{Daemon, File},
        machine,
    },
    LEASE, Plan, QUESTION,
    cell::{self, Cell},
    endpoints::Bench,
    lease,
    report::Report,
};

/// What is done to a process.
#[derive(Debug, Clone, Copy)]
pub enum Trouble {
    Kill,
    Stop,
}

impl Trouble {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Kill, Self::Stop];

    /// Does it.
    pub fn to(self, pid: u32) {
        let signal = match self {
            Self::Kill => rustix::process::Signal::KILL,
            Self::Stop => rustix::process::Signal::STOP,
        };
        if let Some(pid) = rustix::process::Pid::from_raw(pid as i32) {
            // One that has just ended needs no more.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}

/// A daemon with the real worker that has answered once; none where no worker runs.
async fn with_worker(args: &Args) -> Result<Option<Daemon>, Box<dyn Error>> {
    let settings = [
        (
            "GRIOT__LLM__UPSTREAMS",
            "[{ kind = \"embedded\" }]".to_owned(),
        ),
        ("GRIOT__MODELS__PROFILE", "small".to_owned()),
    ];
    let log = args.out.join("faults-processes.log");
    let daemon = Daemon::start(args.models.as_deref(), &settings, &log)?;
    let ids = daemon.upload(vec![lease()], "default").await?;
    daemon.wait(&ids).await?;
    let first = daemon.ask(QUESTION, "default").await?;
    Ok(first.model.is_some().then_some(daemon))
}

/// The real griot-llm. It is the daemon's business to bring it back.
pub async fn worker(args: &Args, plan: &Plan, report: &mut Report) -> Result<(), Box<dyn Error>> {
    for trouble in Trouble::ALL {
        for load in plan.loads() {
            let what = format!("griot-llm: {trouble:?}");
            if !plan.wants(&format!("{what}, {load:?}")) {
                continue;
            }
            let Some(daemon) = with_worker(args).await? else {
                eprintln!("bench: faults: skipped: no griot-llm runs here, so none is killed");
                return Ok(());
            };
            let component = Component::LanguageModel;
            let lasting = plan.lasting.max(Duration::from_secs(8));
            let cell = cell::measure(&daemon, component, *load, lasting, |on| {
                if let (true, Some(pid)) = (on, daemon.worker()) {
                    trouble.to(pid);
                }
            })
            .await?;
            report.cell(&what, *load, cell);
        }
    }
    Ok(())
}

/// A reader that is killed or stopped costs its document at most, no other, and no answer.
pub async fn readers(args: &Args, plan: &Plan, report: &mut Report) -> Result<(), Box<dyn Error>> {
    for trouble in Trouble::ALL {
        for load in plan.loads() {
            if !plan.wants(&format!("extractor: {trouble:?}, {load:?}")) {
                continue;
            }
            let bench = Bench::start(args, "faults.log").await?;
            let (read, asked) = tokio::join!(
                spoil_a_reading(&bench.daemon, trouble),
                cell::ask_for(&bench.daemon, *load, plan.lasting)
            );
            let (fate, next) = read?;
            report.reading(trouble, *load, &fate, next, Cell::of(asked));
        }
    }
    Ok(())
}

/// Uploads a document whose reader is killed or stopped, and another. What became of the first, and how
/// many seconds it took until the second was searchable.
async fn spoil_a_reading(
    daemon: &Daemon,
    trouble: Trouble,
) -> Result<(String, f64), Box<dyn Error>> {
    // Long enough to be met while it is read; one sentence, so that little of it has to be embedded.
    let long = format!("{LEASE}\n{}", "-\n".repeat(2_000_000));
    let file = |name: &str, text: String| File {
        name: format!("{name}-{trouble:?}.md"),
        bytes: text.into_bytes(),
    };
    let ids = daemon.upload(vec![file("spoilt", long)], "spoilt").await?;
    let until = Instant::now() + Duration::from_secs(10);
    let mut met = false;
    while Instant::now() < until && !met {
        if let Some(pid) = machine::children_named(daemon.pid(), "griot").first() {
            trouble.to(*pid);
            met = true;
        }
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    let next = daemon
        .upload(vec![file("next", format!("{LEASE} So it is."))], "spoilt")
        .await?;
    daemon.wait(&next).await?;
    let next = began.elapsed().as_secs_f64();
    let path = format!("/api/knowledge/status/{}", ids[0]);
    let fate = loop {
        let document = daemon.json(&path).await?;
        let status: Status = serde_json::from_value(document["status"].clone())?;
        match status {
            Status::Searchable if met => break "searchable: it was read again".to_owned(),
            Status::Searchable => break "searchable: its reader was not met".to_owned(),
            Status::Failed => break format!("failed, {}", document["error"]["code"]),
            Status::Queued | Status::Processing => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    };
    Ok((fate, next))
}
