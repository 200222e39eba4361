//! What a client of the simple protocol was told, and when; and what can be read off it. Pure: a log and the
//! times of what was said come in, figures come out.

use serde_json::Value;

use super::sound::{RATE, first_audible, ms};

/// Something that came from the daemon.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Milliseconds since the microphone was opened.
    pub at: f64,
    pub came: Came,
}

#[derive(Debug, Clone)]
pub enum Came {
    Told(Value),
    Sound {
        samples: Vec<f32>,
        /// When its first sample is heard: what came before it is played first.
        plays_at: f64,
    },
}

impl Entry {
    /// The message, where it is of this type.
    pub fn told(&self, kind: &str) -> Option<&Value> {
        match &self.came {
            Came::Told(value) if value["type"] == kind => Some(value),
            _ => None,
        }
    }

    fn state(&self) -> Option<&str> {
        self.told("state")?["state"].as_str()
    }

    fn is_sound(&self) -> bool {
        matches!(self.came, Came::Sound { .. })
    }
}

/// The last state that was told; a conversation begins by listening.
pub fn state(log: &[Entry]) -> &str {
    log.iter()
        .rev()
        .find_map(Entry::state)
        .unwrap_or("listening")
}

/// Something that was said into the microphone: when its speech began and ended, by the recording's own
/// marks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Said {
    pub onset: f64,
    pub eos: f64,
}

/// What became of one thing said; times are milliseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Turn {
    /// Decisions that the turn is over before it was.
    pub cut_off: usize,
    /// From the end of speech to the decision.
    pub eou: Option<f64>,
    /// From the decision to the first byte of sound.
    pub resp: Option<f64>,
    /// From the end of speech to the first audible sound of the answer, a phrase that fills the time aside.
    pub v2v: Option<f64>,
    /// From the end of speech to the first audible sound of any kind.
    pub first_sound: Option<f64>,
    /// Whether "let me see" was said.
    pub filled: bool,
    /// Whether the answer was begun before the decision.
    pub hit: bool,
    pub transcript: String,
    pub answer: String,
    /// The daemon's own times of the answer.
    pub timings: Value,
}

/// What is said to fill the time. Whether an answer begins with it decides what counts as the answer.
pub const FILLING: &str = "Let me see.";

/// Reads the turn that `said` became off the log from its beginning on. What was written down after `until`
/// are the words of something else.
pub fn turn(log: &[Entry], said: Said, until: f64) -> Turn {
    let decided = |entry: &&Entry| {
        entry.at >= said.onset && matches!(entry.state(), Some("thinking" | "speaking"))
    };
    // Only the first word for each decision: thinking, then speaking, is one.
    let mut decisions = Vec::new();
    let mut open = true;
    for entry in log {
        match entry.state() {
            Some("hearing") => open = true,
            Some(_) if open && decided(&entry) => {
                decisions.push(entry.at);
                open = false;
            }
            _ => {}
        }
    }
    let mut found = Turn {
        cut_off: decisions.iter().filter(|at| **at < said.eos).count(),
        ..Turn::default()
    };
    for entry in log.iter().filter(|entry| entry.at < until) {
        if let Some(text) = entry
            .told("transcript")
            .and_then(|told| told["text"].as_str())
        {
            found.transcript = format!("{} {text}", found.transcript).trim().to_owned();
        }
    }
    let Some(eot) = decisions.into_iter().find(|at| *at >= said.eos) else {
        return found;
    };
    found.eou = Some(eot - said.eos);
    let after: Vec<&Entry> = log.iter().filter(|entry| entry.at >= eot - 1.0).collect();
    found.resp = after
        .iter()
        .find(|entry| entry.is_sound())
        .map(|entry| entry.at - eot);
    let mut deltas: Vec<&Value> = after
        .iter()
        .filter_map(|entry| entry.told("answer"))
        .collect();
    // What is said next is another answer.
    let of = deltas.first().map(|delta| delta["turn"].clone());
    deltas.retain(|delta| Some(&delta["turn"]) == of.as_ref());
    let text_of = |delta: &Value| delta["text_delta"].as_str().unwrap_or_default().to_owned();
    found.answer = deltas.iter().map(|delta| text_of(delta)).collect();
    found.filled = found.answer.starts_with(FILLING);
    let answer_at = deltas
        .get(usize::from(found.filled))
        .map(|delta| delta["at_ms"].as_u64().unwrap_or(0));
    found.first_sound = audible(&after, 0).map(|at| at - said.eos);
    found.v2v = answer_at
        .and_then(|from| audible(&after, from as usize * RATE as usize / 1000))
        .map(|at| at - said.eos);
    if let Some(done) = after.iter().find_map(|entry| entry.told("turn_done")) {
        found.timings = done["timings_ms"].clone();
        found.hit = found.timings["hit"] == true;
    }
    found
}

/// When the first audible sample after so many samples of the first answer in `entries` is heard.
fn audible(entries: &[&Entry], from: usize) -> Option<f64> {
    let mut before = 0;
    for entry in entries {
        match &entry.came {
            // The next answer's sound is counted anew.
            Came::Told(told) if told["type"] == "turn_done" => return None,
            Came::Sound { samples, plays_at } => {
                let skipped = from.saturating_sub(before).min(samples.len());
                if let Some(at) = first_audible(&samples[skipped..]) {
                    return Some(plays_at + ms((skipped + at) as u64));
                }
                before += samples.len();
            }
            Came::Told(_) => {}
        }
    }
    None
}

/// What speech into an answer did; times are milliseconds since its onset.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Barged {
    /// The answer was over before.
    pub late: bool,
    pub stopped: bool,
    /// Until the client was told to lower its voice.
    pub duck: Option<f64>,
    /// Until the last sound of the answer was sent.
    pub last_sent: Option<f64>,
    /// Until nothing of it was heard any more: the client drops what it has when it is told.
    pub silent: Option<f64>,
}

/// Reads off what `said` did to the answer that was going on. `log` begins before the answer.
pub fn barged(log: &[Entry], said: Said) -> Barged {
    let since = |at: f64| at - said.onset;
    let over_before = log
        .iter()
        .rev()
        .find(|entry| {
            entry.at < said.onset && (entry.is_sound() || entry.told("turn_done").is_some())
        })
        .is_some_and(|entry| !entry.is_sound());
    let duck = log.iter().find(|entry| {
        entry.at >= said.onset && entry.told("duck").is_some_and(|duck| duck["on"] == true)
    });
    let interrupted = log
        .iter()
        .position(|entry| entry.at >= said.onset && entry.told("interrupted").is_some());
    let done = log
        .iter()
        .position(|entry| entry.at >= said.onset && entry.told("turn_done").is_some());
    // An answer that ended by itself before it was interrupted was not interrupted.
    let interrupted = interrupted.filter(|at| done.is_none_or(|done| *at < done));
    let Some(at) = interrupted else {
        return Barged {
            late: over_before,
            duck: duck.map(|entry| since(entry.at)),
            ..Barged::default()
        };
    };
    let last = log[..at].iter().rev().find(|entry| entry.is_sound());
    let played = last.and_then(|entry| match &entry.came {
        Came::Sound { samples, plays_at } => Some(plays_at + ms(samples.len() as u64)),
        Came::Told(_) => None,
    });
    Barged {
        late: over_before,
        stopped: true,
        duck: duck.map(|entry| since(entry.at)),
        last_sent: last.map(|entry| since(entry.at).max(0.0)),
        silent: played.map(|until| since(until.min(log[at].at)).max(0.0)),
    }
}

/// What must hold of every conversation, and did not. `over`: the client stayed to the end.
pub fn broken(log: &[Entry], over: bool) -> Vec<String> {
    let mut found = Vec::new();
    let (mut begun, mut done) = (Vec::new(), Vec::new());
    let mut captions: Option<(u64, String)> = None;
    for entry in log {
        let Came::Told(told) = &entry.came else {
            if begun.iter().all(|turn| done.contains(turn)) {
                found.push(format!("sound at {:.0} ms of no answer", entry.at));
            }
            continue;
        };
        let turn = told["turn"].as_u64().unwrap_or_default();
        match told["type"].as_str().unwrap_or_default() {
            "answer" if done.contains(&turn) => {
                found.push(format!("words of turn {turn} after its end"));
            }
            "answer" if !begun.contains(&turn) => begun.push(turn),
            // Of what broke off before a word there is nothing to be heard.
            "interrupted" if !begun.contains(&turn) => begun.push(turn),
            "turn_done" if done.contains(&turn) => found.push(format!("turn {turn} ended twice")),
            "turn_done" => done.push(turn),
            "partial" => {
                let text = told["text"].as_str().unwrap_or_default();
                if let Some((of, before)) = &captions
                    && *of == turn
                    && !text.starts_with(before.as_str())
                {
                    found.push(format!("captions taken back: {before:?}, then {text:?}"));
                }
                captions = Some((turn, text.to_owned()));
            }
            "error" => found.push(format!("an error: {}", told["problem"]["detail"])),
            _ => {}
        }
    }
    if over {
        for turn in begun.iter().filter(|turn| !done.contains(turn)) {
            found.push(format!("turn {turn} never ended"));
        }
        if state(log) != "listening" {
            found.push(format!("it stayed {}", state(log)));
        }
    }
    found
}

/// How long after a word was said it stood on the screen: for each word of the captions, against the time at
/// which so much of the voiced sound had been played as its letters are of all letters. An estimate: nobody
/// has marked the words.
pub fn caption_lags(log: &[Entry], said: Said, transcript: &str) -> Vec<f64> {
    let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).count();
    let all = letters(transcript).max(1) as f64;
    let (mut lags, mut shown) = (Vec::new(), 0);
    let captions = log
        .iter()
        .filter(|entry| entry.at >= said.onset)
        .filter_map(|entry| Some((entry.at, entry.told("partial")?)));
    // What is said into the answer is another turn.
    let mut of = None;
    for (at, told) in captions {
        let Some(text) = told["text"].as_str() else {
            continue;
        };
        if &told["turn"] != *of.get_or_insert(&told["turn"]) {
            break;
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        for word in shown..words.len() {
            let until = letters(&words[..=word].concat()) as f64 / all;
            let spoken = said.onset + (said.eos - said.onset) * until.min(1.0);
            lags.push(at - spoken);
        }
        shown = shown.max(words.len());
    }
    lags
}
