//! What is looked at beside the scripts: silence, a crowd, rude clients, memory, the daemon's own counts.

use serde_json::{Value, json};

use super::super::{
    crowd::Crowd,
    play::Played,
    quiet::Quiet,
    soak::{self, Soak},
};
use super::{
    Report, spread,
    sum::{Sum, figures},
};
use crate::{daemon::Daemon, machine, table::number};

impl Report {
    /// What became of rooms in which nobody spoke.
    pub fn quiet(&mut self, rooms: Vec<Quiet>) {
        let mut figures = Vec::new();
        let (mut minutes, mut transcripts) = (0.0, 0);
        for room in &rooms {
            minutes += room.minutes;
            transcripts += room.transcripts.len() + room.answers;
            let mut got = format!(
                "{} transcripts, {} false starts",
                room.transcripts.len(),
                room.false_starts
            );
            if !room.transcripts.is_empty() {
                got += &format!(": {:?}", room.transcripts);
            }
            self.others.row([
                "quiet".to_owned(),
                format!("{:.1} min of {}", room.minutes, room.room),
                got,
            ]);
            figures.push(json!({
                "room": room.room, "minutes": room.minutes, "false_starts": room.false_starts,
                "transcripts": room.transcripts, "answers": room.answers,
            }));
        }
        self.silence = Some((minutes, transcripts));
        self.figures
            .insert("quiet".to_owned(), Value::Array(figures));
    }

    /// What the same questions got alone and among many.
    pub fn crowd(&mut self, crowd: Crowd) {
        let (alone, among) = (Sum::of(crowd.alone.iter()), Sum::of(crowd.among.iter()));
        for (who, sum) in [("alone", &alone), ("among", &among)] {
            self.others.row([
                "crowd".to_owned(),
                format!("{who}: EOU, V2V (p50 / p95, n)"),
                format!("{}; {}", spread(&sum.eou), spread(&sum.v2v)),
            ]);
        }
        self.others.row([
            "crowd".to_owned(),
            format!(
                "of {} open and silent conversations, disturbed",
                crowd.silent
            ),
            crowd.disturbed.to_string(),
        ]);
        let figures = |played: &[Played]| played.iter().map(figures).collect::<Vec<Value>>();
        self.figures.insert(
            "crowd".to_owned(),
            json!({ "alone": figures(&crowd.alone), "among": figures(&crowd.among), "disturbed": crowd.disturbed }),
        );
    }

    /// What rude clients left behind.
    pub fn soak(&mut self, soak: Soak) {
        let held = |get: fn(&soak::Held) -> f64| {
            format!("{:.0} → {:.0}", get(&soak.before), get(&soak.after))
        };
        for (what, got) in [
            (
                "minutes, conversations, interruptions, left in the middle",
                format!(
                    "{:.1}, {}, {}, {}",
                    soak.minutes, soak.conversations, soak.barges, soak.left
                ),
            ),
            ("rules broken", soak.broken.len().to_string()),
            ("resident memory of griot, MB", held(|held| held.rss_mb)),
            ("threads", held(|held| held.threads as f64)),
            ("descriptors", held(|held| held.descriptors as f64)),
            ("conversations open", held(|held| held.conversations)),
        ] {
            self.others.row(["soak".to_owned(), what.to_owned(), got]);
        }
        self.soaked = Some((soak.minutes, soak.growth()));
        self.figures.insert("soak".to_owned(), soak::figures(&soak));
        self.broken.extend(soak.broken);
    }

    /// Memory of the daemon and its workers, now.
    pub fn memory(&mut self, daemon: &Daemon) {
        let worker = |name| {
            let pids = machine::children_named(daemon.pid(), name);
            pids.first().copied().and_then(machine::resident_mb)
        };
        let of = [
            machine::resident_mb(daemon.pid()),
            worker("griot-stt"),
            worker("griot-llm"),
        ];
        self.others.row([
            "memory".to_owned(),
            "griot, griot-stt, griot-llm at the end, MB".to_owned(),
            of.map(|mb| number(mb, 0)).join(", "),
        ]);
        self.figures.insert("rss_mb".to_owned(), json!(of));
    }

    /// Means of the daemon's own histograms.
    pub fn spans(&mut self, metrics: &str) {
        let value = |name: &str| -> f64 {
            let lines = metrics.lines().filter_map(|line| {
                let (key, value) = line.rsplit_once(' ')?;
                let key = key.split('{').next()?;
                (key == name).then(|| value.parse::<f64>().ok())?
            });
            lines.sum()
        };
        for (name, what) in [
            ("griot_voice_final_seconds", "writing a turn down"),
            (
                "griot_voice_partial_seconds",
                "a look at what is being said",
            ),
        ] {
            let count = value(&format!("{name}_count"));
            if count > 0.0 {
                let mean = value(&format!("{name}_sum")) / count * 1e3;
                self.others.row([
                    "stt".to_owned(),
                    format!("{what}, mean ms (n = {count})"),
                    number(Some(mean), 0),
                ]);
            }
        }
        for line in metrics.lines().filter(|line| !line.starts_with('#')) {
            let counted = [
                "guesses_total",
                "dismissed_total",
                "resumed_total",
                "cut_off_total",
            ];
            if counted
                .iter()
                .any(|name| line.starts_with(&format!("griot_voice_{name}")))
                && let Some((name, count)) = line.rsplit_once(' ')
            {
                self.others
                    .row(["metrics".to_owned(), name.to_owned(), count.to_owned()]);
            }
        }
    }
}
