//! Holds the conversations of a script and reads off what became of each turn.

use std::{error::Error, time::Duration};

use serde_json::Value;

use super::{
    client::{Client, ClientError, Wire},
    clips::{Clips, Ready},
    log::{self, Barged, Came, Entry, Said},
    microphone::Microphone,
    script::{Barge, Script},
    words::{Errors, errors},
};
use crate::{daemon::Daemon, metrics::holds_answer};

/// The room before somebody speaks.
const LEAD_MS: u64 = 700;
/// The daemon waits for at most 3 s; nothing that comes later comes of the turn.
const NOTHING_MS: f64 = 5000.0;
/// An answer that is not there by then does not come.
const GIVES_UP: Duration = Duration::from_secs(90);

/// A turn as it was played.
pub struct Played {
    pub name: String,
    pub turn: log::Turn,
    pub paused: bool,
    /// Against what was said, where that is known.
    pub errors: Option<Errors>,
    /// Whether the answer holds what it should, where that is known.
    pub right: Option<bool>,
    pub lags: Vec<f64>,
    pub barged: Option<(Barge, Barged)>,
    /// The answer was interrupted although nobody spoke into it.
    pub interrupted_itself: bool,
    pub answer_ms: f64,
}

/// What a script became.
#[derive(Default)]
pub struct Run {
    pub played: Vec<Played>,
    pub broken: Vec<String>,
    pub frames: u64,
    pub late: u64,
}

/// Plays all of it. `None` where the room's recording is not there.
pub async fn play(
    daemon: &Daemon,
    clips: &mut Clips<'_>,
    script: &Script,
    turns: usize,
    seed: u64,
) -> Result<Option<Run>, Box<dyn Error>> {
    let Some(room) = clips.room(script)? else {
        return Ok(None);
    };
    let mut run = Run::default();
    let mut client = None;
    for ready in clips.ready(script).await?.iter().take(turns) {
        let mut going_on = match client.take() {
            Some(client) if !script.apart => client,
            _ => {
                let microphone = Microphone::new(room.clone(), script.echo, seed);
                Client::open(daemon.address(), Wire::Simple, microphone, &Value::Null).await?
            }
        };
        let played = one(&mut going_on, ready).await?;
        eprintln!("bench: voice: {}", line(&played));
        run.played.push(played);
        if script.apart {
            run.ended(&going_on);
        } else {
            client = Some(going_on);
        }
    }
    if let Some(client) = &client {
        run.ended(client);
    }
    Ok(Some(run))
}

impl Run {
    fn ended(&mut self, client: &Client) {
        self.broken.extend(log::broken(&client.log, true));
        self.frames += client.frames();
        self.late += client.late;
    }
}

/// Says one thing, hears what comes of it, and interrupts it where that is written.
pub async fn one(client: &mut Client, ready: &Ready) -> Result<Played, ClientError> {
    let from = client.log.len();
    client.wait(LEAD_MS).await?;
    let said = client.say(&ready.clip.samples, &ready.clip.speech);
    let barged = match &ready.barge {
        None => None,
        Some((barge, clip)) => match heard_for(client, from, said, barge.after_ms).await? {
            false => None,
            true => Some((barge, client.say(&clip.samples, &clip.speech))),
        },
    };
    let last = barged.map_or(said, |(_, said)| said);
    client
        .until(GIVES_UP, |client| {
            is_over(&client.log[from..], client.now(), last)
        })
        .await?;
    let log = &client.log[from..];
    let until = barged.map_or(f64::INFINITY, |(_, said)| said.onset);
    let turn = log::turn(log, said, until);
    let answered = turn.eou.is_some();
    let text = ready.clip.text.as_deref();
    Ok(Played {
        name: ready.name.clone(),
        paused: ready.paused,
        errors: text.map(|text| errors(text, &turn.transcript)),
        right: (!ready.accepted.is_empty())
            .then(|| answered && holds_answer(&turn.answer, &ready.accepted)),
        lags: text.map_or_else(Vec::new, |text| log::caption_lags(log, said, text)),
        interrupted_itself: barged.is_none()
            && answered
            && log
                .iter()
                .any(|entry| entry.at > said.eos && entry.told("interrupted").is_some()),
        answer_ms: sounded(log),
        barged: barged.map(|(barge, said)| (barge.clone(), log::barged(log, said))),
        turn,
    })
}

/// Waits until the answer was heard for so long. `false`: there was none, or it was shorter.
async fn heard_for(
    client: &mut Client,
    from: usize,
    said: Said,
    after_ms: u64,
) -> Result<bool, ClientError> {
    let first = |log: &[Entry]| {
        let turn = log::turn(log, said, f64::INFINITY);
        turn.v2v.map(|v2v| said.eos + v2v)
    };
    client
        .until(GIVES_UP, |client| {
            let log = &client.log[from..];
            first(log).is_some_and(|at| client.now() >= at + after_ms as f64)
                || is_over(log, client.now(), said)
        })
        .await?;
    let log = &client.log[from..];
    Ok(first(log).is_some() && log::state(log) == "speaking")
}

/// Whether nothing more comes of what was said.
fn is_over(log: &[Entry], now: f64, said: Said) -> bool {
    if now < said.eos + 300.0 || log::state(log) != "listening" {
        return false;
    }
    // It listens again: because it is done, or because it has not heard anything (yet).
    let heard = log
        .iter()
        .any(|entry| entry.at >= said.onset && entry.told("state").is_some());
    (heard && now >= said.eos + 600.0) || now >= said.eos + NOTHING_MS
}

/// Milliseconds of sound in a log.
pub fn sounded(log: &[Entry]) -> f64 {
    let lengths = log.iter().map(|entry| match &entry.came {
        Came::Sound { samples, .. } => super::sound::ms(samples.len() as u64),
        Came::Told(_) => 0.0,
    });
    lengths.sum()
}

fn line(played: &Played) -> String {
    let turn = &played.turn;
    let ms = |value: Option<f64>| crate::table::number(value, 0);
    let mut line = format!(
        "{}: eou {} resp {} ({}) v2v {}{}; heard {:?}; said {:?}",
        played.name,
        ms(turn.eou),
        ms(turn.resp),
        if turn.hit { "hit" } else { "miss" },
        ms(turn.v2v),
        if turn.filled { " filled" } else { "" },
        turn.transcript,
        turn.answer,
    );
    if let Some((barge, did)) = &played.barged {
        line += &format!("; barge (stops: {}): {did:?}", barge.stops);
    }
    line
}
