//! One conversation at a microphone: what is heard goes to the daemon, what the daemon tells goes to the screen
//! and the loudspeaker. Socket, devices, keys and screen are given; none of them is known here by kind.

use std::{
    future::pending,
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use super::{
    super::Failure,
    devices::{Event, lock},
    keys::{Change, Key, Talking},
    message::Told,
    screen::Screen,
    sound::{Ear, Mouth},
};

/// Between two looks at the level of the microphone.
const TICK: Duration = Duration::from_millis(50);

/// What a conversation is held with.
pub struct Parts<W> {
    pub out: W,
    pub screen: Screen,
    pub mouth: Arc<Mutex<Mouth>>,
    pub sound: mpsc::Receiver<Event>,
    /// `None`: there is no keyboard.
    pub keys: Option<mpsc::Receiver<Key>>,
    /// Space opens the microphone; otherwise it is always open.
    pub push_to_talk: bool,
}

/// A conversation that is going on.
struct Talk<S, W> {
    socket: WebSocketStream<S>,
    out: W,
    screen: Screen,
    mouth: Arc<Mutex<Mouth>>,
    ear: Ear,
    talking: Talking,
    push_to_talk: bool,
    ready: bool,
}

/// Holds it until the person leaves (`leave` completes, or a key says so).
///
/// # Errors
/// When the daemon ends it, or nothing can be printed.
pub async fn converse<S, W>(
    socket: WebSocketStream<S>,
    start: Value,
    parts: Parts<W>,
    leave: impl Future<Output = ()>,
) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
    W: Write,
{
    let Parts {
        out,
        screen,
        mouth,
        mut sound,
        mut keys,
        push_to_talk,
    } = parts;
    let mut talk = Talk {
        socket,
        out,
        screen,
        mouth,
        ear: Ear::default(),
        talking: Talking::default(),
        push_to_talk,
        ready: false,
    };
    talk.send(Message::text(start.to_string())).await?;
    tokio::pin!(leave);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let ended = loop {
        let went = tokio::select! {
            message = talk.socket.next() => match message {
                Some(Ok(message)) => talk.message(message),
                Some(Err(error)) => Err(Failure::told(format!("the connection to the daemon broke: {error}"))),
                None => Err(Failure::told("the daemon has ended the conversation; its log says why")),
            },
            event = sound.recv() => match event {
                Some(event) => talk.sound(event).await,
                None => Err(Failure::told("the sound system broke; start again")),
            },
            key = pressed(&mut keys) => match key {
                Key::Quit => break Ok(()),
                Key::Space => {
                    let change = talk.push_to_talk.then(|| talk.talking.space(Instant::now().into_std())).flatten();
                    talk.change(change).await
                }
            },
            _ = tick.tick() => {
                let change = talk.talking.time(Instant::now().into_std());
                match talk.change(change).await {
                    Ok(()) => talk.meter(),
                    Err(error) => Err(error),
                }
            }
            () = &mut leave => break Ok(()),
        };
        if let Err(failure) = went {
            break Err(failure);
        }
    };
    let end = talk.screen.end();
    // What ended it is what is to be told, whatever else goes wrong now.
    let _ = talk.print(&end);
    let _ = talk.socket.close(None).await;
    ended
}

/// The next key; never, where there is no keyboard.
async fn pressed(keys: &mut Option<mpsc::Receiver<Key>>) -> Key {
    if let Some(open) = keys {
        if let Some(key) = open.recv().await {
            return key;
        }
        *keys = None;
    }
    pending().await
}

impl<S, W> Talk<S, W>
where
    S: AsyncRead + AsyncWrite + Unpin,
    W: Write,
{
    fn print(&mut self, text: &str) -> Result<(), Failure> {
        if !text.is_empty() {
            self.out.write_all(text.as_bytes())?;
            self.out.flush()?;
        }
        Ok(())
    }

    async fn send(&mut self, message: Message) -> Result<(), Failure> {
        self.socket
            .send(message)
            .await
            .map_err(|error| Failure::told(format!("the connection to the daemon broke: {error}")))
    }

    fn message(&mut self, message: Message) -> Result<(), Failure> {
        match message {
            Message::Binary(bytes) => {
                lock(&self.mouth).say(&bytes);
                Ok(())
            }
            Message::Text(text) => match serde_json::from_str::<Told>(text.as_str()) {
                Ok(told) => self.told(&told),
                Err(error) => Err(Failure::told(format!(
                    "the daemon sent what this program does not understand, perhaps one is newer: {error}"
                ))),
            },
            // The library answers pings; the end comes as the end.
            _ => Ok(()),
        }
    }

    fn told(&mut self, told: &Told) -> Result<(), Failure> {
        match told {
            Told::Ready { sample_rate_out } => {
                self.ready = true;
                lock(&self.mouth).set_rates(Some(*sample_rate_out), None);
                let hint = match self.push_to_talk {
                    true => "Space: speak; Space again: done; Q: leave",
                    false => "speak whenever you like; Ctrl-C: leave",
                };
                let hint = self.screen.noted(hint);
                self.print(&hint)?;
            }
            Told::Error { problem } if !self.ready => {
                return Err(Failure::told(problem.detail.clone()));
            }
            Told::Interrupted => lock(&self.mouth).hush(),
            Told::Duck { on: true } => lock(&self.mouth).lower(),
            _ => {}
        }
        let text = self.screen.told(told);
        self.print(&text)
    }

    async fn sound(&mut self, event: Event) -> Result<(), Failure> {
        if let Event::Heard(heard) = &event {
            let frames = self.ear.hear(heard);
            if self.ready && self.is_open() {
                for frame in frames {
                    self.send(Message::binary(frame)).await?;
                }
            }
            return Ok(());
        }
        if let Some(text) = event.told() {
            let text = self.screen.noted(&text);
            self.print(&text)?;
        }
        Ok(())
    }

    /// Whether what is heard is sent.
    fn is_open(&self) -> bool {
        !self.push_to_talk || self.talking.is_on()
    }

    async fn change(&mut self, change: Option<Change>) -> Result<(), Failure> {
        match change {
            None => Ok(()),
            Some(Change::Begin) => {
                self.ear.clear();
                lock(&self.mouth).hush();
                self.send(Message::text(json!({ "type": "interrupt" }).to_string()))
                    .await
            }
            Some(Change::End) => {
                self.send(Message::text(json!({ "type": "stop" }).to_string()))
                    .await
            }
        }
    }

    fn meter(&mut self) -> Result<(), Failure> {
        let level = self.is_open().then(|| self.ear.level());
        let meter = self.screen.level(level);
        self.print(&meter)
    }
}

#[cfg(test)]
mod tests;
