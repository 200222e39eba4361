//! Fifty conversations open while one of them talks.

use std::error::Error;

use serde_json::Value;

use super::{
    client::{Client, Wire},
    clips::Clips,
    microphone::{Microphone, Room},
    play::{Played, one},
    script::Script,
};
use crate::daemon::Daemon;

/// Conversations that are open and silent.
const SILENT: usize = 49;

const TALK: &str = r#"
about = "asked alone, and with 49 others open"
[[turn]]
question = "q01"
[[turn]]
question = "q11"
[[turn]]
question = "q26"
"#;

/// The same questions twice.
pub struct Crowd {
    pub alone: Vec<Played>,
    pub among: Vec<Played>,
    pub silent: usize,
    /// Others that broke, or were told anything at all.
    pub disturbed: usize,
}

pub async fn talk(
    daemon: &Daemon,
    clips: &mut Clips<'_>,
    quick: bool,
    seed: u64,
) -> Result<Crowd, Box<dyn Error>> {
    let script = Script::parse("crowd", TALK)?;
    let mut turns = clips.ready(&script).await?;
    turns.truncate(if quick { 1 } else { 3 });
    let open = async |room: Room| {
        let microphone = Microphone::new(room, None, seed);
        Client::open(daemon.address(), Wire::Simple, microphone, &Value::Null).await
    };
    let mut alone = Vec::new();
    for turn in &turns {
        alone.push(one(&mut open(Room::White(-65.0)).await?, turn).await?);
    }
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut others = Vec::new();
    for _ in 0..SILENT {
        let mut client = open(Room::White(-65.0)).await?;
        let stopped = stopped.clone();
        others.push(tokio::spawn(async move {
            while !*stopped.borrow() {
                client.wait(100).await?;
            }
            Ok::<_, super::client::ClientError>(client.log.len())
        }));
    }
    let mut among = Vec::new();
    for turn in &turns {
        among.push(one(&mut open(Room::White(-65.0)).await?, turn).await?);
    }
    stop.send_replace(true);
    let mut disturbed = 0;
    for other in others {
        disturbed += usize::from(!matches!(other.await?, Ok(0)));
    }
    Ok(Crowd {
        alone,
        among,
        silent: SILENT,
        disturbed,
    })
}
