//! What was promised (`voice.md`'s bars) beside what came out.

use super::{Report, spread, sum::Sum};
use crate::{
    metrics::{mean, percentile},
    table::{Bar, number, percent},
};

/// Fewer turns do not say whether a bar is met.
const ENOUGH: usize = 5;

impl Report {
    pub(super) fn bars(&self) -> Vec<Bar> {
        let of = |names: &[&str]| {
            let scripts = self
                .all
                .iter()
                .filter(|(name, _)| names.contains(&name.as_str()));
            Sum::of(scripts.flat_map(|(_, played)| played))
        };
        let asked = of(&["questions", "conversation"]);
        let (torn, whole) = (of(&["pauses"]), of(&["questions", "recordings"]));
        let stops = of(&["interruptions"]);
        let nods = of(&["nods"]);
        let echo = of(&["echo"]);
        let mut bars = vec![
            two(
                "RESP when the answer was begun before the decision",
                "ms",
                &asked.resp_hit,
                250.0,
                600.0,
            ),
            two("V2V of generated answers", "ms", &asked.v2v, 650.0, 1200.0),
            least(
                "answers begun before the decision and kept",
                asked.hits,
                asked.answered,
                0.7,
            ),
            two(
                "from speech to a lower voice",
                "ms",
                &stops.duck,
                100.0,
                100.0,
            ),
            two(
                "from speech to the last sound sent",
                "ms",
                &stops.last_sent,
                260.0,
                320.0,
            ),
            least(
                "interruptions that end the answer",
                stops.stopped,
                stops.barges,
                1.0,
            ),
            least(
                "nods and noises that do not",
                nods.barges - nods.stopped,
                nods.barges,
                0.95,
            ),
        ];
        let cut = Bar {
            what: "false cut-offs at pauses of 300 to 700 ms".to_owned(),
            wanted: "≤ 10 % at a mean EOU ≤ 500 ms".to_owned(),
            got: format!(
                "{}, mean EOU {} ms",
                percent(torn.cut, torn.paused),
                number(mean(&whole.eou), 0)
            ),
            met: (torn.paused >= ENOUGH && whole.eou.len() >= ENOUGH).then(|| {
                torn.cut * 10 <= torn.paused && mean(&whole.eou).is_some_and(|eou| eou <= 500.0)
            }),
        };
        bars.push(cut);
        let none = |what: &str, found: usize, of: String, met: bool| Bar {
            what: what.to_owned(),
            wanted: "0".to_owned(),
            got: format!("{found} ({of})"),
            met: met.then_some(found == 0),
        };
        let echoes = self.all.iter().filter(|(name, _)| name == "echo");
        let minutes = echoes
            .flat_map(|(_, played)| played)
            .map(|played| played.answer_ms / 60e3);
        // The sum of nothing is -0.
        let sounded = 0.0 + minutes.sum::<f64>();
        bars.push(none(
            "answers that interrupt themselves by their echo at -12 dB (1 h promised)",
            echo.interrupted_themselves,
            format!("{sounded:.1} min of echo"),
            echo.interrupted_themselves > 0 || sounded >= 60.0,
        ));
        if let Some((minutes, found)) = self.silence {
            let of = format!("{minutes:.0} min of silence and noise");
            bars.push(none(
                "transcripts from silence and noise",
                found,
                of,
                minutes >= 10.0 || found > 0,
            ));
        }
        let conversations: usize = self.all.iter().map(|(_, played)| played.len()).sum();
        bars.push(none(
            "rules broken: captions taken back, sound after an end, answers without end, withdrawn guesses heard",
            self.broken.len(),
            format!("{conversations} turns and the soak"),
            true,
        ));
        if let Some((minutes, slope)) = self.soaked {
            bars.push(Bar {
                what: "growth of the daemon's memory in the soak".to_owned(),
                wanted: "< 1 MB/h over 2 h".to_owned(),
                got: format!("{} MB/h over {minutes:.0} min", number(slope, 1)),
                met: slope.filter(|_| minutes >= 120.0).map(|slope| slope < 1.0),
            });
        }
        bars
    }
}

fn two(what: &str, unit: &str, values: &[f64], half: f64, most: f64) -> Bar {
    let met = percentile(values, 0.5).zip(percentile(values, 0.95));
    Bar {
        what: what.to_owned(),
        wanted: format!("≤ {half:.0} / {most:.0} {unit}"),
        got: spread(values),
        met: met
            .filter(|_| values.len() >= ENOUGH)
            .map(|(p50, p95)| p50 <= half && p95 <= most),
    }
}

fn least(what: &str, got: usize, of: usize, share: f64) -> Bar {
    Bar {
        what: what.to_owned(),
        wanted: format!("≥ {:.0} %", share * 100.0),
        got: percent(got, of),
        met: (of >= ENOUGH).then_some(got as f64 >= share * of as f64),
    }
}
