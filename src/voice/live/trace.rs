//! When everything of a turn happened: one line in the log a turn, and the figures of the metrics. It keeps
//! times and numbers, no words.

use std::{collections::HashMap, time::Instant};

use serde::Serialize;

use super::super::session::{End, Ms, ReplyId, TurnId, Why};

/// Louder than this a sample is heard: -45 dBFS of a full 16-bit sample.
pub(super) const AUDIBLE: u16 = 184;
/// Speech so soon after a turn was taken to be over means that it was not.
const CUT_OFF: Ms = 1000;

/// A step of the work on an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Evidence,
    Token,
    Clause,
    /// The first clause was ready before it was known.
    Foreseen,
    Spoken,
}

/// The times of one turn, in milliseconds since the conversation began (wall clock), and the two that
/// people feel: `resp` from the decision to the first sound, `v2v` from the last speech to the first audible
/// sound of the answer itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Timings {
    pub onset: Option<u64>,
    pub eos_vad: Option<u64>,
    pub guessed: Option<u64>,
    pub words: Option<u64>,
    pub eot: Option<u64>,
    pub evidence: Option<u64>,
    pub first_token: Option<u64>,
    pub first_clause: Option<u64>,
    pub first_spoken: Option<u64>,
    pub first_sent: Option<u64>,
    pub first_audible: Option<u64>,
    pub end: Option<u64>,
    /// How sure the model was that the turn is over, 0 to 1.
    pub over: Option<f32>,
    /// `eot - eos_vad`.
    pub eou: Option<u64>,
    /// `first_sent - eot`.
    pub resp: Option<u64>,
    /// `first_audible - eos_vad`. What fills the time is no answer.
    pub v2v: Option<u64>,
    /// Whether a phrase filled the time.
    pub filled: bool,
    /// Whether the answer, or the sound of its first words, was begun before the turn was over.
    pub hit: bool,
    /// Whether its first words were ready before the question was known.
    pub foreseen: bool,
}

/// The times of a conversation's turn in work.
#[derive(Debug)]
pub(super) struct Trace {
    began: Instant,
    /// Of the turn.
    heard: Timings,
    answers: HashMap<ReplyId, Timings>,
    /// How much of an answer's sound, from its beginning, fills the time.
    filling: HashMap<ReplyId, Ms>,
    onset: Ms,
    stopped: Option<Ms>,
    seconds: HashMap<TurnId, f32>,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            heard: Timings::default(),
            answers: HashMap::new(),
            filling: HashMap::new(),
            onset: 0,
            stopped: None,
            seconds: HashMap::new(),
        }
    }
}

impl Trace {
    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    pub fn started(&mut self, turn: TurnId, at: Ms, now: Ms) {
        if self
            .stopped
            .is_some_and(|stopped| now.saturating_sub(stopped) < CUT_OFF)
        {
            metrics::counter!("griot_voice_cut_off_total").increment(1);
        }
        self.onset = at;
        self.seconds.clear();
        self.seconds.insert(turn, 0.0);
        self.heard = Timings {
            onset: Some(self.now().saturating_sub(now - at)),
            ..Timings::default()
        };
    }

    /// `silence`: so long ago was the last speech.
    pub fn stopped(&mut self, turn: TurnId, silence: Ms) {
        let now = self.now();
        self.heard.eot = Some(now);
        self.heard.eos_vad = Some(now.saturating_sub(silence));
        self.heard.eou = Some(silence);
        metrics::histogram!("griot_voice_eou_seconds").record(silence as f64 / 1000.0);
        let spoken = self
            .heard
            .onset
            .map_or(0, |onset| now.saturating_sub(silence + onset));
        self.seconds.insert(turn, spoken as f32 / 1000.0);
        self.stopped = Some(self.onset + spoken + silence);
    }

    pub fn seconds(&self, turn: TurnId) -> f32 {
        self.seconds.get(&turn).copied().unwrap_or_default()
    }

    pub fn judged(&mut self, over: f32) {
        self.heard.over = Some(over);
        metrics::histogram!("griot_voice_turn_probability").record(f64::from(over));
    }

    pub fn words(&mut self) {
        self.heard.words = Some(self.now());
    }

    pub fn asked(&mut self, reply: ReplyId, guess: bool) {
        let guessed = guess.then(|| self.now());
        self.answers.insert(
            reply,
            Timings {
                guessed,
                ..Timings::default()
            },
        );
        if guess {
            metrics::counter!("griot_voice_guesses_total", "outcome" => "begun").increment(1);
        }
    }

    pub fn dropped(&mut self, why: Why) {
        let outcome = match why {
            Why::WentOn => "went_on",
            Why::OtherWords => "other_words",
            Why::Ended => return,
        };
        metrics::counter!("griot_voice_guesses_total", "outcome" => outcome).increment(1);
    }

    pub fn mark(&mut self, reply: ReplyId, mark: Mark) {
        let now = self.now();
        let Some(times) = self.answers.get_mut(&reply) else {
            return;
        };
        let place = match mark {
            Mark::Foreseen => {
                times.foreseen = true;
                times.hit = true;
                return;
            }
            Mark::Evidence => &mut times.evidence,
            Mark::Token => &mut times.first_token,
            Mark::Clause => &mut times.first_clause,
            Mark::Spoken => &mut times.first_spoken,
        };
        place.get_or_insert(now);
    }

    pub fn began(&mut self, reply: ReplyId, guessed: bool) {
        let heard = self.heard;
        let now = self.now();
        if guessed {
            metrics::counter!("griot_voice_guesses_total", "outcome" => "hit").increment(1);
        }
        let times = self.answers.entry(reply).or_default();
        *times = Timings {
            onset: heard.onset,
            eos_vad: heard.eos_vad,
            words: heard.words,
            // What was typed is over when it comes.
            eot: heard.eot.or(Some(now)),
            eou: heard.eou,
            over: heard.over,
            hit: guessed || times.foreseen,
            ..*times
        };
        // What is answered next has other times.
        self.heard = Timings::default();
    }

    /// The answer's sound begins with so much that fills the time.
    pub fn filled(&mut self, reply: ReplyId, sound: Ms) {
        self.filling.insert(reply, sound);
        if let Some(times) = self.answers.get_mut(&reply) {
            times.filled = true;
        }
    }

    /// `from`: where in the answer's sound the samples are.
    pub fn sent(&mut self, reply: ReplyId, from: Ms, samples: &[i16], rate: u32) {
        let now = self.now();
        let filling = self.filling.get(&reply).copied().unwrap_or_default();
        let Some(times) = self.answers.get_mut(&reply) else {
            return;
        };
        if times.first_sent.is_none() && times.foreseen {
            metrics::counter!("griot_voice_foreseen_total", "outcome" => "said").increment(1);
        }
        times.first_sent.get_or_insert(now);
        let per_ms = rate as usize / 1000;
        let skipped = filling.saturating_sub(from) as usize * per_ms;
        if times.first_audible.is_none()
            && let Some(answer) = samples.get(skipped..)
            && let Some(at) = answer.iter().position(|s| s.unsigned_abs() > AUDIBLE)
        {
            times.first_audible = Some(now + ((skipped + at) / per_ms) as u64);
        }
        let resp = times
            .first_sent
            .zip(times.eot)
            .map(|(sent, eot)| sent.saturating_sub(eot));
        if times.resp.is_none()
            && let Some(resp) = resp
        {
            times.resp = Some(resp);
            let hit = if times.hit { "true" } else { "false" };
            metrics::histogram!("griot_voice_resp_seconds", "guessed" => hit)
                .record(resp as f64 / 1000.0);
        }
        if times.v2v.is_none()
            && let (Some(heard), Some(eos)) = (times.first_audible, times.eos_vad)
        {
            let v2v = heard.saturating_sub(eos);
            times.v2v = Some(v2v);
            metrics::histogram!("griot_voice_v2v_seconds").record(v2v as f64 / 1000.0);
        }
    }

    /// The turn's line.
    pub fn ended(&mut self, reply: ReplyId, turn: TurnId, end: End) -> Timings {
        let mut times = self.answers.remove(&reply).unwrap_or_default();
        times.end = Some(self.now());
        self.answers.retain(|other, _| *other > reply);
        self.filling.retain(|other, _| *other > reply);
        let end = match end {
            End::Completed => "completed",
            End::Failed => "failed",
            End::Cancelled(_) => "interrupted",
        };
        metrics::counter!("griot_voice_answers_total", "end" => end).increment(1);
        let line = serde_json::to_string(&times).unwrap_or_default();
        tracing::info!(target: "griot::voice::turn", turn = turn.0, end, times = %line, "a turn was answered");
        times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fills_the_time_is_no_answer() {
        let check = |filling: Option<Ms>, from: Ms, heard: bool| {
            let mut trace = Trace::default();
            let reply = ReplyId(1);
            trace.stopped(TurnId(1), 200);
            trace.asked(reply, false);
            trace.began(reply, false);
            if let Some(sound) = filling {
                trace.filled(reply, sound);
            }
            // 100 ms at 16 kHz.
            trace.sent(reply, from, &[9000; 1600], 16_000);
            let times = trace.ended(reply, TurnId(1), End::Completed);
            assert_eq!(times.filled, filling.is_some());
            assert!(times.resp.is_some(), "something was sent");
            let case = format!("{filling:?} from {from}: {times:?}");
            assert_eq!(times.v2v.is_some(), heard, "{case}");
            // It ends with the last sample, whatever the machine did meanwhile.
            let last = times.first_sent.unwrap() + 100;
            assert!(times.first_audible.is_none_or(|at| at <= last), "{case}");
        };
        check(None, 0, true);
        check(Some(60), 0, true);
        check(Some(100), 0, false);
        check(Some(100), 100, true);
        check(Some(700), 300, false);
    }
}
