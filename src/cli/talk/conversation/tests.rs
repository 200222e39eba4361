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
