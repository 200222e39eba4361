//! One cell of the matrix: questions asked before, during and after a fault, and what the daemon says of
//! itself meanwhile.

use std::{
    collections::BTreeMap,
    error::Error,
    time::{Duration, Instant},
};

use griot::domain::Component;
use serde::Serialize;
use serde_json::Value;

use super::{
    super::daemon::{Daemon, DaemonError},
    QUESTION,
};

/// How often the daemon is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How much is asked meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// One asker, with pauses.
    Idle,
    /// Four askers without pause.
    Busy,
}

/// What became of questions.
#[derive(Debug, Default)]
pub struct Asked {
    /// When each was asked, how long it took, and the level of its answer, if any.
    questions: Vec<(Instant, f64, Option<String>)>,
    /// Told to come back later (429).
    pub refused: usize,
    pub refused_ms: Vec<f64>,
}

impl Asked {
    /// Milliseconds of each answer.
    pub fn answered_ms(&self) -> Vec<f64> {
        let answered = self.questions.iter().filter(|(.., level)| level.is_some());
        answered.map(|(_, ms, _)| *ms).collect()
    }

    fn merge(&mut self, other: Self) {
        self.questions.extend(other.questions);
        self.refused += other.refused;
        self.refused_ms.extend(other.refused_ms);
    }
}

/// What a cell came to.
#[derive(Debug, Default, Serialize)]
pub struct Cell {
    pub questions: usize,
    pub answered: usize,
    pub levels: BTreeMap<String, usize>,
    /// Seconds from the fault to the open breaker.
    pub open_after: Option<f64>,
    /// Milliseconds of the answers that were begun while it was open.
    pub open_ms: Vec<f64>,
    /// Seconds from the end of the fault to a part that is well.
    pub well_after: Option<f64>,
}

impl Cell {
    /// Of questions alone.
    pub fn of(asked: Asked) -> Self {
        let mut cell = Self {
            questions: asked.questions.len(),
            ..Self::default()
        };
        for (_, _, level) in asked.questions {
            if let Some(level) = level {
                cell.answered += 1;
                *cell.levels.entry(level).or_default() += 1;
            }
        }
        cell
    }
}

/// Asks before, during and after a fault; `spoil` begins and ends it.
pub async fn measure(
    daemon: &Daemon,
    component: Component,
    load: Load,
    lasting: Duration,
    spoil: impl Fn(bool),
) -> Result<Cell, Box<dyn Error>> {
    settled(daemon).await?;
    ask_for(daemon, load, Duration::from_secs(1)).await;
    spoilt(daemon, component, load, lasting, spoil).await
}

/// [`measure`] of a part that nobody has used before.
pub async fn spoilt(
    daemon: &Daemon,
    component: Component,
    load: Load,
    lasting: Duration,
    spoil: impl Fn(bool),
) -> Result<Cell, Box<dyn Error>> {
    let began = Instant::now();
    spoil(true);
    // Of a process that is brought back at once, both may be over before the fault's time is.
    let (asked, (opened, closed)) = tokio::join!(
        ask_for(daemon, load, lasting),
        look(daemon, component, began + lasting)
    );
    let ended = Instant::now();
    spoil(false);
    let (after, well) = tokio::join!(
        ask_for(daemon, load, Duration::from_secs(3)),
        well(daemon, component)
    );
    let well_after = match closed.filter(|closed| *closed < ended) {
        Some(closed) => closed.duration_since(opened.unwrap_or(began)),
        None => well?.duration_since(ended),
    };
    let open_ms = asked
        .questions
        .iter()
        .filter(|(at, ..)| {
            opened.is_some_and(|opened| *at >= opened) && closed.is_none_or(|closed| *at < closed)
        })
        .map(|(_, ms, _)| *ms)
        .collect();
    let mut all = asked;
    all.merge(after);
    Ok(Cell {
        open_after: opened.map(|at| at.duration_since(began).as_secs_f64()),
        open_ms,
        well_after: Some(well_after.as_secs_f64()),
        ..Cell::of(all)
    })
}

/// When the part was first seen not to be asked, and when it was last seen to have become well again.
async fn look(
    daemon: &Daemon,
    component: Component,
    until: Instant,
) -> (Option<Instant>, Option<Instant>) {
    let (mut opened, mut closed) = (None, None);
    while Instant::now() < until {
        if let Ok(health) = daemon.json("/api/health").await {
            let part = part(&health, component);
            if part["breaker"] != "closed" || part["state"] == "down" || part["state"] == "starting"
            {
                opened.get_or_insert_with(Instant::now);
                closed = None;
            } else if opened.is_some() && part["state"] == "ok" {
                closed.get_or_insert_with(Instant::now);
            }
        }
        tokio::time::sleep(LOOK).await;
    }
    (opened, closed)
}

async fn well(daemon: &Daemon, component: Component) -> Result<Instant, DaemonError> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let health = daemon.json("/api/health").await?;
        let part = part(&health, component);
        if (part["breaker"] == "closed" && part["state"] == "ok") || Instant::now() > deadline {
            return Ok(Instant::now());
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn part(health: &Value, component: Component) -> Value {
    let mut parts = health["components"].as_array().into_iter().flatten();
    parts
        .rfind(|part| part["name"] == component.as_str())
        .cloned()
        .unwrap_or_default()
}

/// Waits until everything that is asked is well.
pub async fn settled(daemon: &Daemon) -> Result<(), DaemonError> {
    for component in [Component::LanguageModel, Component::VectorStore] {
        well(daemon, component).await?;
    }
    Ok(())
}

/// Asks for so long.
pub async fn ask_for(daemon: &Daemon, load: Load, lasting: Duration) -> Asked {
    match load {
        Load::Idle => askers(daemon, 1, lasting, Duration::from_millis(200)).await,
        Load::Busy => askers(daemon, 4, lasting, Duration::ZERO).await,
    }
}

/// So many askers, without pause; who is told to come back does so soon.
pub async fn ask_at(daemon: &Daemon, number: usize, lasting: Duration) -> Asked {
    askers(daemon, number, lasting, Duration::ZERO).await
}

async fn askers(daemon: &Daemon, number: usize, lasting: Duration, pause: Duration) -> Asked {
    let until = Instant::now() + lasting;
    let askers = (0..number).map(|_| async move {
        let mut asked = Asked::default();
        while Instant::now() < until {
            let began = Instant::now();
            let answer = daemon.ask(QUESTION, "default").await;
            let ms = began.elapsed().as_secs_f64() * 1e3;
            match answer {
                Ok(answer) => {
                    let level = if answer.degraded.is_empty() {
                        "full".to_owned()
                    } else {
                        let without: Vec<_> =
                            answer.degraded.iter().map(ToString::to_string).collect();
                        format!("without {}", without.join(" and "))
                    };
                    asked.questions.push((began, ms, Some(level)));
                }
                Err(DaemonError::Refused { status: 429, .. }) => {
                    asked.refused += 1;
                    asked.refused_ms.push(ms);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => {
                    eprintln!("bench: faults: no answer: {error}");
                    asked.questions.push((began, ms, None));
                }
            }
            tokio::time::sleep(pause).await;
        }
        asked
    });
    let mut all = Asked::default();
    for asked in futures::future::join_all(askers).await {
        all.merge(asked);
    }
    all
}

/// Openings and closings so far.
pub async fn transitions(daemon: &Daemon, component: Component) -> Result<u64, DaemonError> {
    let page = daemon.page("/metrics").await?;
    let counted = |to: &str| -> u64 {
        page.lines()
            .filter(|line| line.starts_with("griot_breaker_transitions_total{"))
            .filter(|line| line.contains(&format!("component=\"{component}\"")))
            .filter(|line| line.contains(&format!("to=\"{to}\"")))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    };
    // Half open comes between; what matters is from closed to open and back. Each closing had an opening.
    Ok(counted("closed") * 2)
}
