//! The figures of all conversations, beside what was promised (`voice.md`'s bars).

mod bars;
mod others;
mod sum;

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    Cost,
    play::{Played, Run},
    script::Script,
};
use crate::{
    machine::Stopwatch,
    metrics::{mean, percentile},
    table::{Section, Table, number, percent},
};
use sum::{Sum, figures};

pub struct Report {
    model: String,
    turns: Table,
    stages: Table,
    barges: Table,
    costs: Table,
    others: Table,
    /// Of all scripts.
    all: Vec<(String, Vec<Played>)>,
    frames: u64,
    late: u64,
    broken: Vec<String>,
    silence: Option<(f64, usize)>,
    soaked: Option<(f64, Option<f64>)>,
    figures: Map<String, Value>,
}

impl Report {
    pub fn new(model: String) -> Self {
        Self {
            model,
            turns: Table::new(&[
                "script",
                "turns",
                "EOU",
                "cut off",
                "RESP, hit",
                "RESP, miss",
                "V2V",
                "any sound",
                "hits",
                "WER",
                "right",
            ]),
            stages: Table::new(&[
                "after the last speech, p50 ms",
                "words",
                "decided",
                "evidence",
                "first token",
                "first clause",
                "spoken",
                "sent",
                "audible",
            ]),
            barges: Table::new(&[
                "script",
                "into answers",
                "as it should",
                "duck",
                "last sound sent",
                "silent",
            ]),
            costs: Table::new(&[
                "script",
                "CPU ms a turn: griot",
                "griot-stt",
                "griot-llm",
                "cores",
                "sound of the answer, s",
                "captions after the word, ms",
            ]),
            others: Table::new(&["", "what", "figure"]),
            all: Vec::new(),
            frames: 0,
            late: 0,
            broken: Vec::new(),
            silence: None,
            soaked: None,
            figures: Map::new(),
        }
    }

    /// What became of a script.
    pub fn script(&mut self, name: &str, script: &Script, run: Run, cost: Cost, wall: Duration) {
        let played = &run.played;
        let n = played.len();
        let sum = Sum::of(played.iter());
        self.turns.row([
            format!("{name}: {}", script.about),
            n.to_string(),
            spread(&sum.eou),
            if sum.paused > 0 {
                percent(sum.cut, sum.paused)
            } else {
                sum.cut.to_string()
            },
            spread(&sum.resp_hit),
            spread(&sum.resp_miss),
            spread(&sum.v2v),
            spread(&sum.first_sound),
            format!("{}/{}", sum.hits, sum.answered),
            sum.errors.rate().map_or_else(
                || "–".to_owned(),
                |rate| {
                    format!(
                        "{:.1} % ({} of {})",
                        rate * 100.0,
                        sum.errors.wrong(),
                        sum.errors.words
                    )
                },
            ),
            if sum.asked > 0 {
                format!("{}/{}", sum.right, sum.asked)
            } else {
                "–".to_owned()
            },
        ]);
        self.stage(name, played);
        self.barge(name, played);
        let each = |ms: f64| number(Some(ms / n as f64), 0);
        let sounds: Vec<f64> = played.iter().map(|played| played.answer_ms / 1e3).collect();
        let lags: Vec<f64> = played
            .iter()
            .flat_map(|played| played.lags.clone())
            .collect();
        self.costs.row([
            name.to_owned(),
            each(cost.griot),
            each(cost.stt),
            each(cost.llm),
            number(
                Some((cost.griot + cost.stt + cost.llm) / wall.as_millis() as f64),
                2,
            ),
            number(mean(&sounds), 1),
            spread(&lags),
        ]);
        let turns: Vec<Value> = played.iter().map(figures).collect();
        self.figures.insert(
            name.to_owned(),
            json!({
                "turns": turns, "wall_s": wall.as_secs_f64(), "frames": run.frames, "late": run.late,
                "cpu_ms": { "griot": cost.griot, "griot_stt": cost.stt, "griot_llm": cost.llm },
            }),
        );
        self.frames += run.frames;
        self.late += run.late;
        self.broken.extend(run.broken);
        self.all.push((name.to_owned(), run.played));
    }

    fn stage(&mut self, name: &str, played: &[Played]) {
        let at = |key: &str| -> Vec<f64> {
            let of = |played: &Played| {
                let times = &played.turn.timings;
                Some(times[key].as_f64()? - times["eos_vad"].as_f64()?)
            };
            played.iter().filter_map(of).collect()
        };
        let mut row = vec![name.to_owned()];
        for key in [
            "words",
            "eot",
            "evidence",
            "first_token",
            "first_clause",
            "first_spoken",
            "first_sent",
            "first_audible",
        ] {
            row.push(number(percentile(&at(key), 0.5), 0));
        }
        self.stages.row(row);
    }

    fn barge(&mut self, name: &str, played: &[Played]) {
        let barged: Vec<_> = played
            .iter()
            .filter_map(|played| played.barged.as_ref())
            .filter(|(_, did)| !did.late)
            .collect();
        if barged.is_empty() {
            return;
        }
        let right = barged
            .iter()
            .filter(|(barge, did)| barge.stops == did.stopped)
            .count();
        let of = |figure: fn(&super::log::Barged) -> Option<f64>| -> Vec<f64> {
            barged.iter().filter_map(|(_, did)| figure(did)).collect()
        };
        self.barges.row([
            name.to_owned(),
            barged.len().to_string(),
            percent(right, barged.len()),
            spread(&of(|did| did.duck)),
            spread(&of(|did| did.last_sent)),
            spread(&of(|did| did.silent)),
        ]);
    }

    pub fn section(mut self, watch: &Stopwatch) -> Section {
        let bars = self.bars();
        let mut notes = vec![
            format!(
                "Language model: {}. Milliseconds are p50 / p95 (n) on the client's clock. EOU is from the end of \
                 speech, as the recordings have it, to the decision that the turn is over; RESP from there to the \
                 first byte of sound, V2V from the end of speech to the first audible sound (10 ms above -45 dBFS) \
                 of the answer; `any sound` counts \"Let me see.\" too. The daemon waits longer for words that do \
                 not look like the end of a sentence, and half of the recordings are no sentences.",
                self.model
            ),
            "Words are compared after the steps of Whisper's English normaliser (Radford et al. 2022, appendix C), \
             numbers as words; the rate is (S + D + I) / N. Captions are timed against an even spread of their \
             letters over the speech, which is an estimate. Interruptions are timed from the onset of speech in \
             the recording; `silent` is when a client that drops what it has on `interrupted` is silent."
                .to_owned(),
            format!(
                "{} of {} frames left the client more than 10 ms late ({:.2} %).",
                self.late,
                self.frames,
                self.late as f64 * 100.0 / self.frames.max(1) as f64
            ),
        ];
        notes.extend(
            self.broken
                .iter()
                .take(10)
                .map(|broken| format!("Broken: {broken}.")),
        );
        self.figures.insert("broken".to_owned(), json!(self.broken));
        self.figures.insert("model".to_owned(), json!(self.model));
        let tables = [
            self.turns,
            self.stages,
            self.barges,
            self.costs,
            self.others,
        ];
        Section {
            title: "Conversations aloud".to_owned(),
            measured: watch.provenance(),
            notes,
            tables: tables
                .into_iter()
                .filter(|table| !table.rows.is_empty())
                .collect(),
            bars,
            figures: Value::Object(self.figures),
        }
    }
}

/// `p50 / p95 (n)`.
fn spread(values: &[f64]) -> String {
    if values.is_empty() {
        return "–".to_owned();
    }
    let of = |share| number(percentile(values, share), 0);
    format!("{} / {} ({})", of(0.5), of(0.95), values.len())
}
