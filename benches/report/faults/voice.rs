//! The transcriber's process, killed and stopped while it is spoken to.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use griot::domain::Component;

use super::{
    super::{args::Args, daemon::Daemon, machine},
    Plan, cell,
    endpoints::Bench,
    processes::Trouble,
    report::Report,
};

/// What is said.
const SAID: &str = "The rent is payable on the first day of each month.";

/// What became of recordings sent while the transcriber was in trouble.
#[derive(Debug, Default)]
pub struct Heard {
    pub sent: usize,
    pub written: usize,
    /// The longest that anybody waited for an answer of either kind, in milliseconds.
    pub longest_ms: f64,
}

/// The real griot-stt.
pub async fn transcriber(
    args: &Args,
    plan: &Plan,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    for trouble in Trouble::ALL {
        for load in plan.loads() {
            let what = format!("griot-stt: {trouble:?}");
            if !plan.wants(&format!("{what}, {load:?}")) {
                continue;
            }
            let bench = Bench::start(args, "faults.log").await?;
            let daemon = &bench.daemon;
            let Some(wav) = spoken(daemon).await else {
                eprintln!("bench: faults: skipped: it neither speaks nor hears here");
                return Ok(());
            };
            let lasting = plan.lasting.max(Duration::from_secs(8));
            let (cell, heard) = tokio::join!(
                cell::measure(daemon, Component::Transcriber, *load, lasting, |on| {
                    let pids = machine::children_named(daemon.pid(), "griot-stt");
                    if let (true, Some(pid)) = (on, pids.first()) {
                        trouble.to(*pid);
                    }
                }),
                hear(daemon, &wav, lasting)
            );
            report.cell(&what, *load, cell?);
            let again = daemon.transcribe(wav).await.is_ok_and(|text| is_it(&text));
            report.heard(&what, *load, &heard, again);
        }
    }
    Ok(())
}

fn is_it(text: &str) -> bool {
    text.to_lowercase().contains("first day")
}

/// The sentence, where this machine can say it and understands it.
async fn spoken(daemon: &Daemon) -> Option<Vec<u8>> {
    let wav = daemon.say(SAID).await.ok()?;
    let text = daemon.transcribe(wav.clone()).await.ok()?;
    is_it(&text).then_some(wav)
}

async fn hear(daemon: &Daemon, wav: &[u8], lasting: Duration) -> Heard {
    let mut heard = Heard::default();
    let until = Instant::now() + lasting;
    while Instant::now() < until {
        let began = Instant::now();
        heard.sent += 1;
        let text = daemon.transcribe(wav.to_vec()).await;
        heard.written += usize::from(text.is_ok_and(|text| is_it(&text)));
        heard.longest_ms = heard.longest_ms.max(began.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    heard
}
