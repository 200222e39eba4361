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
mod tests {
    use tokio::{io::DuplexStream, sync::oneshot, task::JoinHandle};
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::{
        super::{devices::Side, sound::Heard},
        *,
    };

    /// What is printed, to be read while the conversation goes on.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// A person at a microphone, and the daemon at the other end.
    struct Fixture {
        daemon: WebSocketStream<DuplexStream>,
        sound: mpsc::Sender<Event>,
        keys: mpsc::Sender<Key>,
        leave: oneshot::Sender<()>,
        mouth: Arc<Mutex<Mouth>>,
        paper: Paper,
        ended: JoinHandle<Result<(), Failure>>,
    }

    impl Fixture {
        async fn start(push_to_talk: bool) -> Self {
            let (ours, theirs) = tokio::io::duplex(1 << 20);
            let socket = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
            let daemon = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
            let (sound, heard) = mpsc::channel(64);
            let (keys, pressed) = mpsc::channel(8);
            let (leave, left) = oneshot::channel();
            let mouth = Arc::new(Mutex::new(Mouth::new(24_000, 24_000)));
            let paper = Paper::default();
            let parts = Parts {
                out: paper.clone(),
                screen: Screen::new(false),
                mouth: Arc::clone(&mouth),
                sound: heard,
                keys: Some(pressed),
                push_to_talk,
            };
            let start = json!({ "type": "start", "sample_rate": 16_000 });
            let ended = tokio::spawn(converse(socket, start, parts, async {
                let _ = left.await;
            }));
            let mut fixture = Self {
                daemon,
                sound,
                keys,
                leave,
                mouth,
                paper,
                ended,
            };
            assert_eq!(fixture.heard().await["type"], "start");
            fixture
        }

        /// What the daemon hears next: a message, or how many bytes of sound.
        async fn heard(&mut self) -> Value {
            match self.daemon.next().await.unwrap().unwrap() {
                Message::Text(text) => serde_json::from_str(text.as_str()).unwrap(),
                Message::Binary(bytes) => json!(bytes.len()),
                other => panic!("{other:?}"),
            }
        }

        async fn tell(&mut self, message: Value) {
            let message = Message::text(message.to_string());
            self.daemon.send(message).await.unwrap();
        }

        async fn ready(&mut self) {
            self.tell(json!({ "type": "ready", "sample_rate_out": 24_000 }))
                .await;
            self.printed("leave)\n").await;
        }

        async fn speak(&self, ms: usize) {
            let samples = vec![0.1; 48 * ms];
            let heard = Heard {
                rate: 48_000,
                samples,
            };
            self.sound.send(Event::Heard(heard)).await.unwrap();
        }

        /// Waits until this is printed.
        async fn printed(&self, text: &str) {
            while !self.text().contains(text) {
                assert!(!self.ended.is_finished(), "it ended with {:?}", self.text());
                tokio::task::yield_now().await;
            }
        }

        fn text(&self) -> String {
            String::from_utf8(self.paper.0.lock().unwrap().clone()).unwrap()
        }

        async fn left(self) -> (Result<(), Failure>, String) {
            let _ = self.leave.send(());
            let text = Arc::clone(&self.paper.0);
            let ended = self.ended.await.unwrap();
            (
                ended,
                String::from_utf8(text.lock().unwrap().clone()).unwrap(),
            )
        }
    }

    #[tokio::test]
    async fn a_turn_at_an_open_microphone() {
        let mut talk = Fixture::start(false).await;
        // Nothing is sent before the daemon is ready.
        talk.speak(100).await;
        talk.ready().await;
        talk.speak(100).await;
        assert_eq!(talk.heard().await, 640, "20 ms at 16 kHz");
        talk.tell(json!({ "type": "transcript", "text": "When is rent due?", "turn": 1 }))
            .await;
        let sound = Message::binary(8192_i16.to_le_bytes().repeat(2400));
        talk.daemon.send(sound.clone()).await.unwrap();
        talk.tell(json!({ "type": "answer", "text_delta": "On the first.", "turn": 1 }))
            .await;
        talk.printed("first.").await;
        assert_eq!(lock(&talk.mouth).pull(), 0.25);
        talk.tell(json!({ "type": "duck", "on": true })).await;
        talk.tell(json!({ "type": "degraded", "components": ["model"] }))
            .await;
        talk.printed("model").await;
        assert_eq!(lock(&talk.mouth).pull(), 0.0625);
        talk.tell(json!({ "type": "interrupted", "turn": 1 })).await;
        talk.tell(json!({ "type": "turn_done", "turn": 1 })).await;
        talk.tell(json!({ "type": "partial", "text": "No", "turn": 2 }))
            .await;
        talk.printed("you:   No").await;
        assert_eq!(
            lock(&talk.mouth).pull(),
            0.0,
            "interrupted: silence at once"
        );
        let (ended, text) = talk.left().await;
        ended.unwrap();
        insta::assert_snapshot!(text, @r"
        (speak whenever you like; Ctrl-C: leave)
        you:   When is rent due?
        griot: On the first.
        (without model; `griot status` says why)
        you:   No
        ");
    }

    #[tokio::test]
    async fn a_device_that_goes_and_comes_back() {
        let mut talk = Fixture::start(false).await;
        talk.ready().await;
        let lost = Event::Lost(Side::Input, "unplugged".to_owned());
        talk.sound.send(lost).await.unwrap();
        talk.printed("the microphone is gone (unplugged)").await;
        let back = Event::Back(Side::Input, "USB Mic".to_owned());
        talk.sound.send(back).await.unwrap();
        talk.printed("the microphone is back: USB Mic").await;
        talk.speak(100).await;
        assert_eq!(talk.heard().await, 640);
        talk.left().await.0.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn space_opens_and_closes_the_microphone() {
        let mut talk = Fixture::start(true).await;
        talk.ready().await;
        // Closed: what is said now goes nowhere.
        talk.speak(1000).await;
        while talk.sound.capacity() < talk.sound.max_capacity() {
            tokio::task::yield_now().await;
        }
        talk.keys.send(Key::Space).await.unwrap();
        assert_eq!(talk.heard().await, json!({ "type": "interrupt" }));
        talk.speak(40).await;
        assert_eq!(talk.heard().await, 640);
        talk.keys.send(Key::Space).await.unwrap();
        let mut frames = 1;
        let stop = loop {
            let heard = talk.heard().await;
            if heard.is_object() {
                break heard;
            }
            frames += 1;
        };
        assert_eq!(stop, json!({ "type": "stop" }));
        assert!(frames <= 2, "{frames} frames in 40 ms");
        talk.keys.send(Key::Quit).await.unwrap();
        talk.ended.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_the_daemon_refuses_is_the_failure() {
        let mut talk = Fixture::start(false).await;
        talk.tell(json!({ "type": "error", "problem": { "detail": "too many conversations" } }))
            .await;
        let failure = talk.ended.await.unwrap().unwrap_err();
        assert_eq!(failure.message(), "too many conversations");
        let mut talk = Fixture::start(false).await;
        talk.ready().await;
        drop(talk.daemon);
        let failure = talk.ended.await.unwrap().unwrap_err();
        assert!(
            failure.message().contains("the daemon"),
            "{}",
            failure.message()
        );
    }
}
