//! Rude clients, over both protocols: they speak into answers at any moment and leave at any moment. What has
//! begun has to end, nothing may be heard of an answer after its end, and nothing may be left behind.

use std::{error::Error, fs, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    client::{Client, ClientError, Wire},
    clips::{Clip, Clips},
    log::{self, Came, Entry},
    microphone::{Microphone, Room},
    sound::Chance,
};
use crate::{daemon::Daemon, machine, metrics::slope};

const QUESTIONS: [&str; 4] = [
    "When is rent payable?",
    "How often does the water filter have to be rinsed?",
    "When is water turned on at the allotments?",
    "How many hens may be kept on a plot?",
];
const INTERJECTIONS: [&str; 5] = [
    "Stop.",
    "Wait, what about the deposit?",
    "Okay.",
    "How high is the deposit?",
    "Yeah.",
];
/// How long a client that stays waits for the end.
const END: Duration = Duration::from_secs(90);

/// What was held and what of it went wrong.
#[derive(Debug, Default)]
pub struct Soak {
    pub minutes: f64,
    pub conversations: usize,
    pub barges: usize,
    /// Clients that left in the middle.
    pub left: usize,
    /// What did not hold, in words.
    pub broken: Vec<String>,
    pub before: Held,
    pub after: Held,
    /// Resident memory between two conversations (hours, MB): by its line, not by its ends, which what is in work at a
    /// moment moves by tens of megabytes.
    pub memory: Vec<(f64, f64)>,
}

/// Of a soak this much is warming up: what is read and kept at first use is no growth.
const WARM_UP: f64 = 10.0 / 60.0;

impl Soak {
    /// How much the daemon's memory grows, MB an hour. `None` of a soak that is too short to tell.
    pub fn growth(&self) -> Option<f64> {
        let warm: Vec<_> = (self.memory.iter().copied())
            .filter(|(hours, _)| *hours >= WARM_UP)
            .collect();
        (self.minutes >= 30.0).then(|| slope(&warm)).flatten()
    }
}

/// What the daemon holds.
#[derive(Debug, Default, Clone, Copy)]
pub struct Held {
    pub rss_mb: f64,
    pub threads: usize,
    pub descriptors: usize,
    pub conversations: f64,
}

impl Held {
    async fn by(daemon: &Daemon) -> Result<Self, Box<dyn Error>> {
        let count = |of: &str| {
            fs::read_dir(format!("/proc/{}/{of}", daemon.pid())).map_or(0, Iterator::count)
        };
        let metrics = daemon.page("/metrics").await?;
        let open = metrics
            .lines()
            .find_map(|line| line.strip_prefix("griot_voice_sessions ")?.parse().ok());
        Ok(Self {
            rss_mb: machine::resident_mb(daemon.pid()).unwrap_or_default(),
            threads: count("task"),
            descriptors: count("fd"),
            conversations: open.unwrap_or_default(),
        })
    }
}

pub async fn soak(
    daemon: &Daemon,
    clips: &mut Clips<'_>,
    lasting: Duration,
    seed: u64,
) -> Result<Soak, Box<dyn Error>> {
    let mut chance = Chance::new(seed);
    let (mut questions, mut interjections) = (Vec::new(), Vec::new());
    for text in QUESTIONS {
        questions.push(clips.spoken(text).await?);
    }
    for text in INTERJECTIONS {
        interjections.push(clips.spoken(text).await?);
    }
    let mut soak = Soak {
        minutes: lasting.as_secs_f64() / 60.0,
        before: Held::by(daemon).await?,
        ..Soak::default()
    };
    let begin = Instant::now();
    let end = begin + lasting;
    while Instant::now() < end {
        if let Some(mb) = machine::resident_mb(daemon.pid()) {
            let hours = begin.elapsed().as_secs_f64() / 3600.0;
            soak.memory.push((hours, mb));
        }
        let wire = [Wire::Simple, Wire::Realtime][soak.conversations % 2];
        let question = &questions[chance.below(questions.len() as u64) as usize];
        let interjection = &interjections[chance.below(interjections.len() as u64) as usize];
        let plan = Plan {
            barge_after: chance.below(4000),
            leave_after: (chance.share() < 0.4).then(|| chance.below(6000)),
        };
        let microphone = Microphone::new(Room::White(-65.0), None, chance.below(1 << 30));
        let mut client = Client::open(daemon.address(), wire, microphone, &Value::Null).await?;
        soak.conversations += 1;
        soak.left += usize::from(plan.leave_after.is_some());
        let went = rude(&mut client, wire, question, interjection, &plan).await;
        soak.barges += usize::from(matches!(went, Ok(true)));
        let stayed = plan.leave_after.is_none();
        let broken = match wire {
            Wire::Simple => log::broken(&client.log, stayed),
            Wire::Realtime => broken_realtime(&client.log, stayed),
        };
        soak.broken.extend(broken);
        if let Err(error) = went {
            soak.broken.push(error.to_string());
        }
    }
    // Whoever left has a little time to be missed.
    tokio::time::sleep(Duration::from_secs(3)).await;
    soak.after = Held::by(daemon).await?;
    Ok(soak)
}

struct Plan {
    /// Milliseconds after the question.
    barge_after: u64,
    leave_after: Option<u64>,
}

/// Gives whether it interrupted.
async fn rude(
    client: &mut Client,
    wire: Wire,
    question: &Clip,
    interjection: &Clip,
    plan: &Plan,
) -> Result<bool, ClientError> {
    client.wait(300).await?;
    let said = client.say(&question.samples, &question.speech);
    let ms = |client: &Client| (client.now() - said.eos).max(0.0) as u64;
    let next = plan.barge_after.min(plan.leave_after.unwrap_or(u64::MAX));
    client
        .until(END, |client| client.now() >= said.eos && ms(client) >= next)
        .await?;
    if plan
        .leave_after
        .is_some_and(|leave| leave <= plan.barge_after)
    {
        return Ok(false);
    }
    let said = client.say(&interjection.samples, &interjection.speech);
    if let Some(leave) = plan.leave_after {
        client.wait(leave - plan.barge_after).await?;
        return Ok(true);
    }
    client
        .until(END, |client| {
            client.now() > said.eos + 3500.0 && is_done(&client.log, wire)
        })
        .await?;
    Ok(true)
}

/// Whether the daemon is back where it listens.
fn is_done(log: &[Entry], wire: Wire) -> bool {
    match wire {
        Wire::Simple => log::state(log) == "listening",
        Wire::Realtime => {
            let count = |kind: &str| {
                log.iter()
                    .filter(|entry| entry.told(kind).is_some())
                    .count()
            };
            // A turn that is being heard, or waits for its words or its answer, is still to come.
            count("response.created") == count("response.done")
                && count("input_audio_buffer.speech_started") <= turns_over(log)
        }
    }
}

fn turns_over(log: &[Entry]) -> usize {
    ["completed", "failed"]
        .iter()
        .map(|how| format!("conversation.item.input_audio_transcription.{how}"))
        .map(|kind| {
            log.iter()
                .filter(|entry| entry.told(&kind).is_some())
                .count()
        })
        .sum()
}

/// What of the realtime protocol's rules did not hold.
fn broken_realtime(log: &[Entry], stayed: bool) -> Vec<String> {
    let ids = |kind: &str, path: &str| -> Vec<String> {
        let told = log.iter().filter_map(|entry| entry.told(kind));
        told.filter_map(|told| Some(told.pointer(path)?.as_str()?.to_owned()))
            .collect()
    };
    let mut found = Vec::new();
    for (added, done, path) in [
        ("response.created", "response.done", "/response/id"),
        (
            "response.output_item.added",
            "response.output_item.done",
            "/item/id",
        ),
        (
            "response.content_part.added",
            "response.content_part.done",
            "/item_id",
        ),
        (
            "conversation.item.added",
            "conversation.item.done",
            "/item/id",
        ),
    ] {
        let (added_ids, mut done_ids) = (ids(added, path), ids(done, path));
        for id in added_ids {
            match done_ids.iter().position(|other| *other == id) {
                Some(at) => drop(done_ids.swap_remove(at)),
                None if stayed => found.push(format!("{added} of {id} has no {done}")),
                None => {}
            }
        }
        found.extend(
            done_ids
                .iter()
                .map(|id| format!("{done} of {id} without {added}, or twice")),
        );
    }
    let mut over: Vec<&Value> = Vec::new();
    let mut active = 0_usize;
    for entry in log {
        let Came::Told(told) = &entry.came else {
            continue;
        };
        match told["type"].as_str().unwrap_or_default() {
            "response.created" => {
                active += 1;
                if active > 1 {
                    found.push("two responses at once".to_owned());
                }
            }
            "response.done" => {
                active = active.saturating_sub(1);
                over.push(&told["response"]["id"]);
            }
            "response.output_audio.delta" if over.contains(&&told["response_id"]) => {
                found.push(format!("sound of {} after its end", told["response_id"]));
            }
            "error" => found.push(format!("an error: {}", told["error"]["message"])),
            _ => {}
        }
    }
    found
}

/// For programs.
pub fn figures(soak: &Soak) -> Value {
    let held = |held: Held| {
        json!({
            "rss_mb": held.rss_mb, "threads": held.threads, "descriptors": held.descriptors,
            "conversations": held.conversations,
        })
    };
    json!({
        "minutes": soak.minutes, "conversations": soak.conversations, "barges": soak.barges,
        "left": soak.left, "broken": soak.broken, "before": held(soak.before), "after": held(soak.after),
    })
}
