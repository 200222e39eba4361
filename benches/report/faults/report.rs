//! The section of the matrix as it grows, and the bars that it is held against.

use std::time::Duration;

use griot::domain::Component;
use serde_json::{Value, json};

use super::{
    super::{
        args::Args,
        machine::Stopwatch,
        metrics::percentile,
        table::{Bar, Section, Table, number},
    },
    DEADLINE_S,
    cell::{Asked, Cell, Load},
    endpoints::Down,
    processes::Trouble,
    voice::Heard,
};

/// The section as it grows.
pub struct Report {
    cells: Table,
    more: Table,
    bars: Vec<Bar>,
    figures: Vec<Value>,
    answered: (usize, usize),
    opened: Vec<(String, f64, bool)>,
    recovered: Vec<(String, f64)>,
}

impl Report {
    pub fn new() -> Self {
        Self {
            cells: Table::new(&[
                "what",
                "load",
                "questions",
                "answered",
                "levels",
                "open after, s",
                "answer p50 / p99 while open, ms",
                "well again after, s",
            ]),
            more: Table::new(&["what", "figure"]),
            bars: Vec::new(),
            figures: Vec::new(),
            answered: (0, 0),
            opened: Vec::new(),
            recovered: Vec::new(),
        }
    }

    pub fn count(&mut self, cell: &Cell) {
        self.answered.0 += cell.answered;
        self.answered.1 += cell.questions;
    }

    pub fn cell(&mut self, what: &str, load: Load, cell: Cell) {
        eprintln!("bench: faults: {what}, {load:?}: {cell:?}");
        self.count(&cell);
        let name = format!("{what}, {load:?}");
        if let Some(after) = cell.open_after {
            let hangs = [
                "BlackHole",
                "Hang",
                "Trickle",
                "Stop",
                "locked by another program",
            ]
            .iter()
            .any(|word| what.ends_with(word));
            self.opened.push((name.clone(), after, hangs));
        }
        if let Some(after) = cell.well_after {
            self.recovered.push((name, after));
        }
        let levels: Vec<String> = cell
            .levels
            .iter()
            .map(|(level, n)| format!("{level} {n}"))
            .collect();
        self.cells.row([
            what.to_owned(),
            format!("{load:?}"),
            cell.questions.to_string(),
            format!("{} %", cell.answered * 100 / cell.questions.max(1)),
            levels.join(", "),
            number(cell.open_after, 2),
            format!(
                "{} / {}",
                number(percentile(&cell.open_ms, 0.5), 0),
                number(percentile(&cell.open_ms, 0.99), 0)
            ),
            number(cell.well_after, 2),
        ]);
        self.figures
            .push(json!({ "what": what, "load": format!("{load:?}"), "cell": cell }));
    }

    pub fn flap(&mut self, component: Component, load: Load, (cell, changes): (Cell, u64)) {
        self.count(&cell);
        self.more.row([
            format!(
                "{component} flaps (2 s gone, 2 s well), {load:?}: {} of {} answered",
                cell.answered, cell.questions
            ),
            format!("{changes} openings and closings a minute"),
        ]);
        self.bars.push(Bar {
            what: format!("openings and closings a minute while {component} flaps, {load:?}"),
            wanted: "≤ 6".to_owned(),
            got: changes.to_string(),
            met: Some(changes <= 6),
        });
    }

    pub fn everything(&mut self, down: Down) {
        let Down {
            cell,
            looks,
            green,
            lasting,
            held: (before, after),
        } = down;
        self.count(&cell);
        self.more(
            &format!("everything down for {} s: answered", lasting.as_secs()),
            &format!("{} of {}", cell.answered, cell.questions),
        );
        self.bars.push(Bar {
            what: format!(
                "liveness green while everything was down for {} s",
                lasting.as_secs()
            ),
            wanted: "always".to_owned(),
            got: format!("{green} of {looks} looks"),
            met: Some(green == looks),
        });
        let more = |before: usize, after: usize| after as i64 - before as i64;
        let descriptors = more(before.descriptors, after.descriptors);
        let children = more(before.children, after.children);
        let tasks = more(before.tasks, after.tasks);
        self.bars.push(Bar {
            what: "descriptors, children and tasks of the daemon after that, over before"
                .to_owned(),
            wanted: "no child; no more than connections kept for reuse (8 descriptors, 16 tasks)"
                .to_owned(),
            got: format!("{descriptors:+} descriptors, {children:+} children, {tasks:+} tasks"),
            met: Some(descriptors <= 8 && children <= 0 && tasks <= 16),
        });
    }

    /// A line of its own.
    pub fn more(&mut self, what: &str, figure: &str) {
        eprintln!("bench: faults: {what}: {figure}");
        self.more.row([what.to_owned(), figure.to_owned()]);
    }

    pub fn overload(
        &mut self,
        peak: &Asked,
        over: &Asked,
        lasting: Duration,
        normal: Option<Duration>,
    ) {
        let rate = |asked: &Asked| asked.answered_ms().len() as f64 / lasting.as_secs_f64();
        let share = rate(over) / rate(peak).max(1e-9);
        self.more.row([
            "answers a second: 8 askers / 80 askers".to_owned(),
            format!(
                "{:.1} / {:.1}; {} told to come back, p99 {} ms",
                rate(peak),
                rate(over),
                over.refused,
                number(percentile(&over.refused_ms, 0.99), 1)
            ),
        ]);
        self.bars.push(Bar {
            what: "goodput at ten times as many askers as are answered at once, over its peak"
                .to_owned(),
            wanted: "≥ 90 %".to_owned(),
            got: format!("{:.0} %", share * 100.0),
            met: Some(share >= 0.9),
        });
        self.bars.push(Bar {
            what: "back to normal after that".to_owned(),
            wanted: "≤ 10 s".to_owned(),
            got: normal.map_or_else(
                || "not within 30 s".to_owned(),
                |after| format!("{:.1} s", after.as_secs_f64()),
            ),
            met: Some(normal.is_some_and(|after| after <= Duration::from_secs(10))),
        });
    }

    pub fn rejections(&mut self, times: &[f64]) {
        let p99 = percentile(times, 0.99);
        self.bars.push(Bar {
            what: format!("p99 of {} rejected calls, 64 tasks at once", times.len()),
            wanted: "≤ 5 ms".to_owned(),
            got: format!("{} ms", number(p99, 4)),
            met: p99.map(|p99| p99 <= 5.0),
        });
    }

    pub fn reading(&mut self, trouble: Trouble, load: Load, fate: &str, next: f64, cell: Cell) {
        self.count(&cell);
        self.more(
            &format!("a reader of a document, {trouble:?}, {load:?}"),
            &format!(
                "the document: {fate}; the next one: searchable after {next:.1} s; {} of {} questions answered",
                cell.answered, cell.questions
            ),
        );
    }

    pub fn heard(&mut self, what: &str, load: Load, heard: &Heard, again: bool) {
        self.more(
            &format!("{what}, {load:?}: recordings meanwhile"),
            &format!(
                "{} sent, {} written down, longest wait {:.0} ms; afterwards: {}",
                heard.sent,
                heard.written,
                heard.longest_ms,
                if again {
                    "as before"
                } else {
                    "**not understood**"
                }
            ),
        );
    }

    pub fn section(mut self, args: &Args, watch: &Stopwatch) -> Section {
        let worst = |list: &[(String, f64)]| {
            list.iter().max_by(|a, b| a.1.total_cmp(&b.1)).map_or_else(
                || ("nothing".to_owned(), 0.0),
                |(name, s)| (name.clone(), *s),
            )
        };
        let of = |hangs: bool| -> Vec<(String, f64)> {
            self.opened
                .iter()
                .filter(|(.., hung)| *hung == hangs)
                .map(|(name, s, _)| (name.clone(), *s))
                .collect()
        };
        let mut bars = vec![Bar {
            what: "questions answered at some level, in every cell".to_owned(),
            wanted: "100 %".to_owned(),
            got: format!("{} of {}", self.answered.0, self.answered.1),
            met: Some(self.answered.0 == self.answered.1),
        }];
        for (what, (name, seconds), limit) in [
            (
                "breaker open after refusals and broken answers, worst",
                worst(&of(false)),
                2.0,
            ),
            (
                "breaker open after hangs (deadline 2 s), worst",
                worst(&of(true)),
                DEADLINE_S as f64 + 1.0,
            ),
            ("well again, worst", worst(&self.recovered), 3.0),
        ] {
            bars.push(Bar {
                what: what.to_owned(),
                wanted: format!("≤ {limit} s"),
                got: format!("{seconds:.2} s ({name})"),
                met: Some(seconds <= limit),
            });
        }
        bars.append(&mut self.bars);
        Section {
            title: "Parts that fail".to_owned(),
            measured: watch.provenance(),
            notes: vec![
                "The real daemon with the real embedder; language model and Qdrant are doubles behind a proxy \
                 that spoils what is between; griot-llm, griot-stt and the readers are the real processes; the \
                 disk is a tmpfs of 96 MiB. Each fault lasts a few seconds. Idle: one asker, five questions \
                 a second at most; Busy: four askers without pause. Times are seen from outside, by asking \
                 `/api/health` every 20 ms."
                    .to_owned(),
                "Embedder and voice run in the daemon's own process: nothing can be put between, so their cells \
                 are files that are missing or damaged. A catalog that another program holds delays what is \
                 written, not what is read. That a million healthy calls open nothing is a test \
                 (`health::breaker`)."
                    .to_owned(),
                format!("Deadlines of the daemon: {DEADLINE_S} s. quick: {}.", args.quick),
            ],
            tables: vec![self.cells, self.more],
            bars,
            figures: Value::Array(self.figures),
        }
    }
}
