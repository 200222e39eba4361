//! The figures of many turns together, and those of one for programs.

use serde_json::{Value, json};

use super::super::{play::Played, words::Errors};

/// The figures of many turns.
#[derive(Default)]
pub struct Sum {
    pub eou: Vec<f64>,
    pub resp_hit: Vec<f64>,
    pub resp_miss: Vec<f64>,
    pub v2v: Vec<f64>,
    pub first_sound: Vec<f64>,
    pub duck: Vec<f64>,
    pub last_sent: Vec<f64>,
    pub errors: Errors,
    pub answered: usize,
    pub hits: usize,
    pub asked: usize,
    pub right: usize,
    pub paused: usize,
    /// Turns that were taken to be over in the middle; of those with a pause where there are any.
    pub cut: usize,
    pub barges: usize,
    pub stopped: usize,
    pub interrupted_themselves: usize,
}

impl Sum {
    pub fn of<'p>(played: impl Iterator<Item = &'p Played>) -> Self {
        let mut sum = Self::default();
        for played in played {
            let turn = &played.turn;
            sum.eou.extend(turn.eou);
            sum.v2v.extend(turn.v2v);
            sum.first_sound.extend(turn.first_sound);
            let resp = if turn.hit {
                &mut sum.resp_hit
            } else {
                &mut sum.resp_miss
            };
            resp.extend(turn.resp);
            sum.answered += usize::from(turn.resp.is_some());
            sum.hits += usize::from(turn.hit);
            sum.errors += played.errors.unwrap_or_default();
            sum.asked += usize::from(played.right.is_some());
            sum.right += usize::from(played.right == Some(true));
            sum.paused += usize::from(played.paused);
            sum.cut += usize::from(turn.cut_off > 0);
            sum.interrupted_themselves += usize::from(played.interrupted_itself);
            if let Some((_, did)) = played.barged.as_ref().filter(|(_, did)| !did.late) {
                sum.barges += 1;
                sum.stopped += usize::from(did.stopped);
                sum.duck.extend(did.duck);
                sum.last_sent.extend(did.last_sent);
            }
        }
        sum
    }
}

/// One turn, for programs.
pub fn figures(played: &Played) -> Value {
    let turn = &played.turn;
    json!({
        "name": played.name, "cut_off": turn.cut_off, "eou_ms": turn.eou, "resp_ms": turn.resp,
        "v2v_ms": turn.v2v, "first_sound_ms": turn.first_sound, "hit": turn.hit, "filled": turn.filled,
        "transcript": turn.transcript, "answer": turn.answer, "right": played.right,
        "wrong_words": played.errors.map(Errors::wrong), "words": played.errors.map(|errors| errors.words),
        "answer_sound_ms": played.answer_ms, "interrupted_itself": played.interrupted_itself,
        "caption_lag_ms": played.lags, "timings_ms": turn.timings,
        "barge": played.barged.as_ref().map(|(barge, did)| json!({
            "stops": barge.stops, "late": did.late, "stopped": did.stopped, "duck_ms": did.duck,
            "last_sent_ms": did.last_sent, "silent_ms": did.silent,
        })),
    })
}
