//! Telling people when something needs them: rules over what the board and the machine say, and where
//! the messages go. Each thing is told once when it begins and once when it is over.
//!
//! [`rules`] decides, as a value; [`targets`] deliver: a signed webhook, a webhook that Slack understands,
//! mail. It does not know what the parts are good for. No document text, no question and no key is ever in
//! a message.

pub mod rules;
pub mod signature;
pub mod targets;

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinHandle, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use rules::{Kind, Notice, Observation, Rules};
pub use targets::{Target, TargetError};

use crate::{
    config::AlertsConfig,
    domain::Component,
    health::{
        Board, ComponentState,
        machine::{Memory, Processor, free_bytes},
    },
    tasks::{Pulse, Tasks, kept_running},
};

/// How often the rules look.
const EVERY: Duration = Duration::from_secs(5);

/// How long a look at the disk may take.
const LOOK: Duration = Duration::from_secs(1);

/// A look that takes so long hangs (on a disk that is away, say).
const LATE: Duration = Duration::from_secs(60);

/// Messages of one target that may wait; the oldest are what people should read first, so later ones are
/// dropped, and counted.
const WAITING: usize = 64;

/// Watches until `cancel`. `config` may change at any time; what is being told goes on as it was.
pub fn start(
    config: watch::Receiver<AlertsConfig>,
    board: Arc<Board>,
    home: PathBuf,
    tasks: &Tasks,
    tracker: &TaskTracker,
    cancel: CancellationToken,
) {
    let spawned = tracker.clone();
    let pulse = tasks.pulse("alerts", LATE);
    tracker.spawn(async move {
        let watching = kept_running("alerts", &cancel, || {
            watch_on(
                config.clone(),
                &board,
                home.clone(),
                &pulse,
                &spawned,
                &cancel,
            )
        });
        cancel.run_until_cancelled(watching).await;
    });
}

async fn watch_on(
    mut config: watch::Receiver<AlertsConfig>,
    board: &Board,
    home: PathBuf,
    pulse: &Pulse,
    tracker: &TaskTracker,
    cancel: &CancellationToken,
) {
    let mut rules = Rules::new(&config.borrow_and_update());
    let mut targets = targets_of(&config.borrow_and_update(), tracker, cancel);
    let mut processor = Processor::now();
    let mut disk = Disk::new(home);
    let mut may_change = true;
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            changed = config.changed(), if may_change => {
                if changed.is_err() {
                    // Nobody can change it any more; it stays as it is.
                    may_change = false;
                    continue;
                }
                let config = config.borrow_and_update().clone();
                rules.change(&config);
                targets = targets_of(&config, tracker, cancel);
                continue;
            }
        }
        let _looking = pulse.begin();
        let now = Processor::now();
        let cpu = now
            .zip(processor)
            .map(|(now, before)| now.percent_since(before));
        processor = now;
        let seen = observe(board, disk.free().await, cpu);
        for notice in rules.observe(Instant::now().into_std(), &seen) {
            let kind = notice.kind.as_str();
            metrics::counter!("griot_alerts_total", "kind" => kind).increment(1);
            tracing::warn!(alert = notice.key, kind, "alert {kind}: {}", notice.summary);
            for target in &targets {
                if target.try_send(notice.clone()).is_err() {
                    metrics::counter!("griot_alerts_dropped_total").increment(1);
                    tracing::warn!(alert = notice.key, "too many alerts wait to be delivered");
                }
            }
        }
    }
}

fn observe(board: &Board, free: Option<u64>, cpu: Option<f64>) -> Observation {
    let report = board.report();
    Observation {
        down: report
            .components
            .into_iter()
            .filter(|part| part.state == ComponentState::Down)
            // What these mean to a person has rules of its own.
            .filter(|part| !matches!(part.name, Component::Disk | Component::Memory))
            .map(|part| (part.name, part.last_error))
            .collect(),
        last_minute: board.traffic().last_minute(std::time::Instant::now()),
        cpu_percent: cpu,
        memory_percent: Memory::now().map(Memory::percent),
        free_mib: free.map(|bytes| bytes / (1024 * 1024)),
    }
}

/// The disk that the library is on. One that is away (a network's) may keep whoever asks it for ever: one
/// thread is, and no rule waits for it.
struct Disk {
    home: PathBuf,
    look: Option<JoinHandle<std::io::Result<u64>>>,
}

impl Disk {
    fn new(home: PathBuf) -> Self {
        Self { home, look: None }
    }

    /// Bytes that are free, if it says so now.
    async fn free(&mut self) -> Option<u64> {
        let mut look = self.look.take().unwrap_or_else(|| {
            let home = self.home.clone();
            tokio::task::spawn_blocking(move || free_bytes(&home))
        });
        match tokio::time::timeout(LOOK, &mut look).await {
            Ok(seen) => seen.ok()?.ok(),
            Err(_) => {
                self.look = Some(look);
                None
            }
        }
    }
}

type Queue = tokio::sync::mpsc::Sender<Notice>;

/// A task for each target, so that one that is away holds up no other. They end when their queue does.
fn targets_of(
    config: &AlertsConfig,
    tracker: &TaskTracker,
    cancel: &CancellationToken,
) -> Vec<Queue> {
    Target::all(config)
        .into_iter()
        .filter_map(|target| match target {
            Ok(target) => Some(target),
            Err(error) => {
                tracing::warn!(%error, "alerts are not sent there");
                None
            }
        })
        .map(|target| {
            let (queue, mut notices) = tokio::sync::mpsc::channel::<Notice>(WAITING);
            let cancel = cancel.clone();
            tracker.spawn(async move {
                let deliver = async {
                    while let Some(notice) = notices.recv().await {
                        let delivered = target.deliver(&notice).await;
                        let outcome = if delivered.is_ok() { "sent" } else { "lost" };
                        metrics::counter!(
                            "griot_alerts_delivered_total",
                            "target" => target.name(), "outcome" => outcome
                        )
                        .increment(1);
                        if let Err(error) = delivered {
                            tracing::warn!(alert = notice.key, %error, "an alert was not delivered");
                        }
                    }
                };
                cancel.run_until_cancelled(deliver).await;
            });
            queue
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_is_away_keeps_one_look_and_no_rule() {
        let mut disk = Disk::new(std::env::temp_dir());
        let look = tokio::spawn(std::future::pending());
        let id = look.id();
        disk.look = Some(look);
        for _ in 0..3 {
            assert_eq!(disk.free().await, None);
            assert_eq!(disk.look.as_ref().map(JoinHandle::id), Some(id));
        }
        disk.look = None;
        assert!(disk.free().await.is_some());
        assert!(disk.look.is_none());
    }
}
