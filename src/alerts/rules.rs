//! What is worth telling. A value: time is an argument.
//!
//! A condition that has held for long enough is told once; when it has been over for a while, that is
//! told once too. What comes and goes faster than that is one alert.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{config::AlertsConfig, domain::Component, health::traffic::LastMinute};

/// How long processor and memory have to be busy before it is told.
const BUSY: Duration = Duration::from_secs(60);

/// How long a condition has to be over before that is told.
const OVER: Duration = Duration::from_secs(30);

/// With fewer questions in a minute, a share of them says nothing.
const FEW: usize = 5;

/// What was seen at one moment.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// Components that are down, and why where that is known.
    pub down: Vec<(Component, Option<String>)>,
    pub last_minute: LastMinute,
    pub cpu_percent: Option<f64>,
    pub memory_percent: Option<f64>,
    /// MiB free where the library is.
    pub free_mib: Option<u64>,
}

/// Whether something begins or is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Firing,
    Resolved,
    /// Nothing is wrong: somebody tries whether messages arrive.
    Test,
}

impl Kind {
    /// The name in JSON and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::Test => "test",
        }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Notice {
    pub kind: Kind,
    /// What it is about: the same from beginning to end.
    pub key: String,
    /// For people.
    pub summary: String,
    pub at: jiff::Timestamp,
}

impl Notice {
    fn new(kind: Kind, key: &str, summary: String) -> Self {
        Self {
            kind,
            key: key.to_owned(),
            summary,
            at: jiff::Timestamp::now(),
        }
    }

    /// A message that says nothing but that it arrived.
    #[must_use]
    pub fn test() -> Self {
        let summary = "a test of where alerts go; nothing is wrong".to_owned();
        Self::new(Kind::Test, "test", summary)
    }
}

/// The rules, and what they have seen so far.
#[derive(Debug)]
pub struct Rules {
    config: AlertsConfig,
    seen: BTreeMap<String, Condition>,
}

/// Something that is, or was a moment ago, wrong.
#[derive(Debug)]
struct Condition {
    since: Instant,
    last_seen: Instant,
    told: bool,
    summary: String,
}

/// Something that is wrong now, and how long it has to be before it is told.
struct Wrong {
    key: String,
    patience: Duration,
    summary: String,
}

impl Rules {
    /// Nothing was seen yet.
    #[must_use]
    pub fn new(config: &AlertsConfig) -> Self {
        Self {
            config: config.clone(),
            seen: BTreeMap::new(),
        }
    }

    /// Goes by other limits from now on. What was told stays told.
    pub fn change(&mut self, config: &AlertsConfig) {
        self.config = config.clone();
    }

    /// What is to be told now.
    pub fn observe(&mut self, now: Instant, seen: &Observation) -> Vec<Notice> {
        let mut notices = Vec::new();
        let mut present = BTreeSet::new();
        for wrong in self.wrong(seen) {
            present.insert(wrong.key.clone());
            let condition = self
                .seen
                .entry(wrong.key.clone())
                .or_insert_with(|| Condition {
                    since: now,
                    last_seen: now,
                    told: false,
                    summary: String::new(),
                });
            condition.last_seen = now;
            condition.summary = wrong.summary;
            if !condition.told && now.saturating_duration_since(condition.since) >= wrong.patience {
                condition.told = true;
                let summary = condition.summary.clone();
                notices.push(Notice::new(Kind::Firing, &wrong.key, summary));
            }
        }
        self.seen.retain(|key, condition| {
            if present.contains(key) {
                return true;
            }
            if condition.told && now.saturating_duration_since(condition.last_seen) < OVER {
                return true;
            }
            if condition.told {
                let lasted = condition
                    .last_seen
                    .saturating_duration_since(condition.since);
                let summary = format!("over after {} s: {}", lasted.as_secs(), condition.summary);
                notices.push(Notice::new(Kind::Resolved, key, summary));
            }
            false
        });
        notices
    }

    /// Everything that is wrong by the settings. A limit of 0 switches its rule off.
    fn wrong(&self, seen: &Observation) -> Vec<Wrong> {
        let config = &self.config;
        let mut wrong = Vec::new();
        let mut say = |key: &str, patience, summary: String| {
            wrong.push(Wrong {
                key: key.to_owned(),
                patience,
                summary,
            });
        };
        if config.down_s > 0 {
            for (component, error) in &seen.down {
                let why = error.as_deref().unwrap_or("no cause is known");
                say(
                    &format!("down:{component}"),
                    Duration::from_secs(config.down_s),
                    format!("the {component} is down: {why}"),
                );
            }
        }
        let LastMinute {
            questions,
            failed,
            slowest,
            faults,
        } = seen.last_minute;
        let enough = questions >= FEW;
        if config.error_percent > 0
            && enough
            && failed as u64 * 100 >= questions as u64 * config.error_percent
        {
            say(
                "error_rate",
                Duration::ZERO,
                format!("{failed} of {questions} questions of the last minute got no answer"),
            );
        }
        if config.slow_s > 0 && enough && slowest >= Duration::from_secs(config.slow_s) {
            say(
                "slow_answers",
                Duration::ZERO,
                format!(
                    "one of twenty questions of the last minute took {:.1} s or longer",
                    slowest.as_secs_f64()
                ),
            );
        }
        if config.failed_calls > 0 && faults as u64 >= config.failed_calls {
            say(
                "failed_calls",
                Duration::ZERO,
                format!("{faults} calls of parts failed in the last minute"),
            );
        }
        let above = |percent: Option<f64>, limit: u64| {
            percent.filter(|percent| limit > 0 && *percent > limit as f64)
        };
        if let Some(percent) = above(seen.cpu_percent, config.cpu_percent) {
            say("cpu", BUSY, format!("the processor is {percent:.0} % busy"));
        }
        if let Some(percent) = above(seen.memory_percent, config.memory_percent) {
            say(
                "memory",
                BUSY,
                format!("{percent:.0} % of the memory are used"),
            );
        }
        if let Some(free) = seen.free_mib.filter(|free| *free < config.disk_mib) {
            say(
                "disk",
                Duration::ZERO,
                format!("only {free} MiB are free where the library is"),
            );
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down() -> Observation {
        Observation {
            down: vec![(Component::Embedder, Some("gone".to_owned()))],
            ..Observation::default()
        }
    }

    /// What is told, second by second, of what is seen from each of the given seconds on.
    #[track_caller]
    fn check(seen: &[(u64, Observation)], expected: &[(u64, &str)]) {
        let began = Instant::now();
        let mut rules = Rules::new(&AlertsConfig::default());
        let mut told = Vec::new();
        for second in 0..400 {
            let now = began + Duration::from_secs(second);
            let current = seen.iter().rev().find(|(from, _)| *from <= second);
            let observation = current.map(|(_, seen)| seen.clone()).unwrap_or_default();
            for notice in rules.observe(now, &observation) {
                told.push((second, format!("{} {}", notice.kind.as_str(), notice.key)));
            }
        }
        let told: Vec<(u64, &str)> = told.iter().map(|(at, what)| (*at, what.as_str())).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn a_loss_is_told_once_and_so_is_its_end() {
        let well = Observation::default;
        check(
            &[(10, down()), (200, well())],
            &[
                (70, "firing down:embedder"),
                (229, "resolved down:embedder"),
            ],
        );
        // Shorter than anybody cares.
        check(&[(10, down()), (60, well())], &[]);
        // Coming and going: one alert.
        check(
            &[(0, down()), (100, well()), (120, down()), (130, well())],
            &[
                (60, "firing down:embedder"),
                (159, "resolved down:embedder"),
            ],
        );
    }

    #[test]
    fn each_rule_has_its_limit() {
        let with = |change: fn(&mut Observation)| {
            let mut seen = Observation::default();
            change(&mut seen);
            vec![(0, seen)]
        };
        let minute = |questions, failed, slowest, faults| LastMinute {
            questions,
            failed,
            slowest: Duration::from_secs(slowest),
            faults,
        };
        let busy = |traffic: LastMinute| {
            vec![(
                0,
                Observation {
                    last_minute: traffic,
                    ..Observation::default()
                },
            )]
        };
        check(&busy(minute(10, 1, 1, 0)), &[]);
        check(&busy(minute(4, 4, 200, 0)), &[]);
        check(&busy(minute(10, 2, 1, 0)), &[(0, "firing error_rate")]);
        check(&busy(minute(10, 0, 60, 0)), &[(0, "firing slow_answers")]);
        check(&busy(minute(0, 0, 0, 29)), &[]);
        check(&busy(minute(0, 0, 0, 30)), &[(0, "firing failed_calls")]);
        check(&with(|seen| seen.cpu_percent = Some(80.0)), &[]);
        check(
            &with(|seen| seen.cpu_percent = Some(81.0)),
            &[(60, "firing cpu")],
        );
        check(
            &with(|seen| seen.memory_percent = Some(91.0)),
            &[(60, "firing memory")],
        );
        check(&with(|seen| seen.free_mib = Some(1024)), &[]);
        check(
            &with(|seen| seen.free_mib = Some(1023)),
            &[(0, "firing disk")],
        );
    }

    #[test]
    fn a_limit_of_nothing_switches_its_rule_off() {
        let off = AlertsConfig {
            down_s: 0,
            error_percent: 0,
            slow_s: 0,
            cpu_percent: 0,
            memory_percent: 0,
            disk_mib: 0,
            failed_calls: 0,
            ..AlertsConfig::default()
        };
        let mut rules = Rules::new(&off);
        let seen = Observation {
            last_minute: LastMinute {
                questions: 100,
                failed: 100,
                slowest: Duration::from_secs(1000),
                faults: 1000,
            },
            cpu_percent: Some(100.0),
            memory_percent: Some(100.0),
            free_mib: Some(0),
            ..down()
        };
        let now = Instant::now();
        assert_eq!(rules.observe(now, &seen), []);
        assert_eq!(rules.observe(now + Duration::from_secs(3600), &seen), []);
        // The limits come back, and with them what is wrong.
        rules.change(&AlertsConfig::default());
        assert!(!rules.observe(now, &seen).is_empty());
    }
}
