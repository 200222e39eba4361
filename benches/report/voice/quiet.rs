//! Rooms in which nobody speaks, for minutes: nothing may be written down and nothing answered.

use std::{error::Error, time::Duration};

use futures::future::try_join_all;
use serde_json::Value;

use super::{
    client::{Client, ClientError, Wire},
    clips::Clips,
    log::Entry,
    microphone::{Microphone, Room},
    sound::RATE,
};
use crate::daemon::Daemon;

/// What became of one room.
pub struct Quiet {
    pub room: &'static str,
    pub minutes: f64,
    /// How often the daemon took it for speech at first.
    pub false_starts: usize,
    pub transcripts: Vec<String>,
    pub answers: usize,
}

/// Listens to all rooms at once, each in a conversation of its own, in real time.
pub async fn listen(
    daemon: &Daemon,
    clips: &Clips<'_>,
    lasting: Duration,
    seed: u64,
) -> Result<Vec<Quiet>, Box<dyn Error>> {
    let mut rooms = vec![
        ("silence", Room::Silence),
        ("white noise at -60 dBFS", Room::White(-60.0)),
        ("white noise at -20 dBFS", Room::White(-20.0)),
        ("a click a second", Room::Clicks(RATE as usize)),
    ];
    if let Some(clip) = clips.recorded("noise/noise1.wav")? {
        rooms.push((
            "a recorded noise at -30 dBFS",
            Room::looped(&clip.samples, -30.0),
        ));
    }
    let listening = rooms.into_iter().map(|(name, room)| async move {
        let microphone = Microphone::new(room, None, seed);
        let mut client =
            Client::open(daemon.address(), Wire::Simple, microphone, &Value::Null).await?;
        client.wait(lasting.as_millis() as u64).await?;
        let told = |kind: &str| {
            client
                .log
                .iter()
                .filter_map(|entry| entry.told(kind))
                .count()
        };
        let hearing = |entry: &&Entry| {
            entry
                .told("state")
                .is_some_and(|state| state["state"] == "hearing")
        };
        let texts = client.log.iter().filter_map(|entry| {
            let text = entry.told("transcript")?["text"].as_str()?;
            Some(text.to_owned())
        });
        Ok::<_, ClientError>(Quiet {
            room: name,
            minutes: lasting.as_secs_f64() / 60.0,
            false_starts: client.log.iter().filter(hearing).count(),
            transcripts: texts.collect(),
            answers: told("answer"),
        })
    });
    Ok(try_join_all(listening).await?)
}
