//! The Wyoming edge, on a real socket, with fakes behind the ports.

use std::{collections::VecDeque, net::SocketAddr};

use griot::ports::fakes::{Gate, Trouble};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use crate::app::{LEASE, QUESTION, QUOTE, SAID, TestApp};

/// An event as it came.
#[derive(Debug)]
struct Event {
    kind: String,
    data: Map<String, Value>,
    payload: Vec<u8>,
}

impl Event {
    fn text(&self) -> &str {
        self.data["text"].as_str().unwrap()
    }
}

struct Client {
    from: BufReader<OwnedReadHalf>,
    to: OwnedWriteHalf,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (from, to) = stream.into_split();
        let from = BufReader::new(from);
        Self { from, to }
    }

    async fn send(&mut self, kind: &str, data: Value) {
        self.send_with(kind, data, &[]).await;
    }

    async fn send_with(&mut self, kind: &str, data: Value, payload: &[u8]) {
        let data = data.to_string();
        let header = json!({
            "type": kind, "version": "1.10.2", "data_length": data.len(), "payload_length": payload.len(),
        });
        let mut bytes = format!("{header}\n{data}").into_bytes();
        bytes.extend(payload);
        self.to.write_all(&bytes).await.unwrap();
    }

    /// The next event; none when the daemon has hung up.
    async fn next(&mut self) -> Option<Event> {
        let mut line = String::new();
        if self.from.read_line(&mut line).await.unwrap_or(0) == 0 {
            return None;
        }
        let header: Value = serde_json::from_str(&line).unwrap();
        assert!(header["version"].is_string(), "{header}");
        let mut part = async |key: &str| {
            let mut part = vec![0; header[key].as_u64().unwrap_or(0) as usize];
            self.from.read_exact(&mut part).await.unwrap();
            part
        };
        let data = part("data_length").await;
        let payload = part("payload_length").await;
        Some(Event {
            kind: header["type"].as_str().unwrap().to_owned(),
            data: match data.is_empty() {
                true => Map::new(),
                false => serde_json::from_slice(&data).unwrap(),
            },
            payload,
        })
    }

    /// Everything up to and with the first event of a kind.
    async fn until(&mut self, kind: &str) -> VecDeque<Event> {
        let mut events = VecDeque::new();
        loop {
            let event = self.next().await.expect("it has not hung up");
            let last = event.kind == kind;
            events.push_back(event);
            if last {
                return events;
            }
        }
    }

    /// Sends stereo sound at 48 kHz: seconds of silence and of a tone in turn.
    async fn say(&mut self, seconds: &[f64]) {
        const RATE: u32 = 48_000;
        let form = json!({ "rate": RATE, "width": 2, "channels": 2, "timestamp": 0 });
        self.send("audio-start", form.clone()).await;
        for (n, length) in seconds.iter().enumerate() {
            let samples: Vec<u8> = (0..(length * f64::from(RATE)) as u32)
                .flat_map(|k| {
                    let tone = (f64::from(k) * 0.06).sin() * 9000.0;
                    let value = if n % 2 == 1 { tone as i16 } else { 0 };
                    [value, value]
                })
                .flat_map(i16::to_le_bytes)
                .collect();
            for piece in samples.chunks(4096) {
                self.send_with("audio-chunk", form.clone(), piece).await;
            }
        }
        self.send("audio-stop", json!({})).await;
    }
}

fn kinds(events: &VecDeque<Event>) -> Vec<&str> {
    let mut kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    kinds.dedup();
    kinds
}

async fn client() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let client = Client::connect(app.wyoming).await;
    (app, client)
}

#[tokio::test]
async fn it_says_what_it_can() {
    let (_app, mut client) = client().await;
    client.send("describe", json!({})).await;
    let info = client.next().await.unwrap();
    assert_eq!(info.kind, "info");
    for (kind, list) in [("asr", "models"), ("tts", "voices"), ("handle", "models")] {
        for described in [&info.data[kind][0], &info.data[kind][0][list][0]] {
            for key in ["name", "description", "version", "installed", "attribution"] {
                assert!(!described[key].is_null(), "{kind} {key}: {described}");
            }
        }
        let languages = info.data[kind][0][list][0]["languages"].as_array();
        assert!(
            languages.is_some_and(|languages| !languages.is_empty()),
            "{kind}"
        );
    }
    assert_eq!(info.data["wake"], json!([]));
}

#[tokio::test]
async fn what_is_said_is_written_down() {
    let (app, mut client) = client().await;
    client
        .send(
            "transcribe",
            json!({ "language": "en-US", "transcript_names": ["Anna"], "transcript_terms": ["rent"] }),
        )
        .await;
    client.say(&[0.5, 1.5, 1.0]).await;
    let events = client.until("transcript-stop").await;
    assert_eq!(
        kinds(&events),
        [
            "transcript-start",
            "transcript-chunk",
            "transcript",
            "transcript-stop"
        ]
    );
    let said: String = events
        .iter()
        .filter(|event| event.kind == "transcript-chunk")
        .map(Event::text)
        .collect();
    assert_eq!(
        (said.as_str(), events[events.len() - 2].text()),
        (SAID, SAID)
    );
    let heard = app.transcriber.heard();
    assert_eq!(heard[0].language.as_deref(), Some("en"));
    assert_eq!(heard[0].prompt.as_deref(), Some("rent, Anna"));

    // The same connection, and nobody spoke.
    client.say(&[2.0]).await;
    let events = client.until("transcript-stop").await;
    assert_eq!(
        kinds(&events),
        ["transcript-start", "transcript", "transcript-stop"]
    );
    assert_eq!(events[1].text(), "");
    // Nothing was even sent.
    client.send("audio-stop", json!({})).await;
    assert_eq!(client.until("transcript").await.back().unwrap().text(), "");
}

#[tokio::test]
async fn texts_are_spoken() {
    let (app, mut client) = client().await;
    client
        .send("synthesize", json!({ "text": "Rent is due. Pay it." }))
        .await;
    let events = client.until("audio-stop").await;
    assert_eq!(kinds(&events), ["audio-start", "audio-chunk", "audio-stop"]);
    let rate = events[0].data["rate"].as_u64().unwrap();
    let bytes: usize = events.iter().map(|event| event.payload.len()).sum();
    assert!(bytes as u64 > rate / 2, "{bytes}");
    assert!(
        events
            .iter()
            .all(|event| event.data.contains_key("timestamp"))
    );
    assert_eq!(app.voice.clauses().len(), 2);

    client.send("synthesize", json!({ "text": "… —" })).await;
    let events = client.until("audio-stop").await;
    assert_eq!(kinds(&events), ["audio-start", "audio-stop"]);
    client
        .send(
            "synthesize",
            json!({ "text": "Rent", "voice": { "name": "nobody" } }),
        )
        .await;
    let error = client.next().await.unwrap();
    assert!(
        error.kind == "error" && error.text().contains("nobody"),
        "{error:?}"
    );
    // Who waits for the end of the sound is not kept waiting.
    assert_eq!(client.next().await.unwrap().kind, "audio-stop");
    client
        .send(
            "synthesize",
            json!({ "text": "<speak/>", "text_format": "ssml" }),
        )
        .await;
    assert_eq!(client.next().await.unwrap().data["code"], "ssml");
}

#[tokio::test]
async fn a_ping_is_answered_while_a_text_is_spoken() {
    let (app, mut client) = client().await;
    let gate = Gate::new();
    app.voice.hold_after(1, &gate);
    client
        .send("synthesize", json!({ "text": "Rent is due. Pay it." }))
        .await;
    gate.reached().await;
    client.send("ping", json!({ "text": "there?" })).await;
    let events = client.until("pong").await;
    assert_eq!(events.back().unwrap().text(), "there?");
    assert!(events.iter().all(|event| event.kind != "audio-stop"));
    gate.release();
    client.until("audio-stop").await;
}

#[tokio::test]
async fn a_text_in_pieces_is_spoken_by_sentences() {
    let (app, mut client) = client().await;
    client.send("synthesize-start", json!({})).await;
    for piece in ["Rent is ", "due, pay it now. Then", " go ho"] {
        client
            .send("synthesize-chunk", json!({ "text": piece }))
            .await;
    }
    // It is heard before the text has ended.
    client.until("audio-stop").await;
    client
        .send("synthesize-chunk", json!({ "text": "me." }))
        .await;
    client
        .send(
            "synthesize",
            json!({ "text": "Rent is due, pay it now. Then go home." }),
        )
        .await;
    client.send("synthesize-stop", json!({})).await;
    let events = client.until("synthesize-stopped").await;
    assert_eq!(events[events.len() - 2].kind, "audio-stop");
    let spoken: Vec<String> = (app.voice.clauses().into_iter())
        .map(|clause| clause.text)
        .collect();
    assert_eq!(spoken.join(" "), "Rent is due, pay it now. Then go home.");
    // Without a word.
    client.send("synthesize-start", json!({})).await;
    client.send("synthesize-stop", json!({})).await;
    assert_eq!(client.next().await.unwrap().kind, "synthesize-stopped");
}

#[tokio::test]
async fn questions_are_answered_with_quotations() {
    let (app, mut client) = client().await;
    app.ingest("lease.txt", LEASE).await;
    let context = json!({ "conversation_id": "01JABC", "device_id": "kitchen" });
    client
        .send(
            "transcript",
            json!({ "text": QUESTION, "language": "en", "context": context }),
        )
        .await;
    let events = client.until("handled-stop").await;
    assert_eq!(
        kinds(&events),
        ["handled-start", "handled-chunk", "handled", "handled-stop"]
    );
    let handled = &events[events.len() - 2];
    let pieces: String = events
        .iter()
        .filter(|event| event.kind == "handled-chunk")
        .map(Event::text)
        .collect();
    assert_eq!(pieces.trim(), handled.text().trim());
    assert!(!handled.text().contains('['), "{handled:?}");
    assert_eq!(handled.data["context"], context);
    assert_eq!(handled.data["citations"][0]["quote"], QUOTE);
    // The conversation goes on under the client's own name for it.
    let seen = |app: &TestApp| {
        let requests = app.model.requests();
        requests.iter().any(|request| {
            (request.messages.iter()).any(|message| message.content.contains(handled.text().trim()))
        })
    };
    assert!(!seen(&app));
    let again = json!({ "text": "And is it the same for them?", "context": context });
    // It is recorded after it was told.
    while !seen(&app) {
        client.send("recognize", again.clone()).await;
        client.until("handled-stop").await;
    }
}

#[tokio::test]
async fn what_is_in_no_document_is_not_handled() {
    let (_app, mut client) = client().await;
    client.send("transcript", json!({ "text": QUESTION })).await;
    let event = client.next().await.unwrap();
    assert_eq!(event.kind, "not-handled");
    assert!(!event.text().is_empty());
    client.send("transcript", json!({ "text": "" })).await;
    assert_eq!(client.next().await.unwrap().kind, "not-handled");
}

#[tokio::test]
async fn whatever_is_wrong_is_told_and_it_goes_on() {
    let (app, mut client) = client().await;
    for (kind, data, code) in [
        ("audio-start", json!({ "rate": 1 }), "audio"),
        ("transcribe", json!({ "language": "xx" }), "language"),
    ] {
        client.send(kind, data).await;
        let error = client.next().await.unwrap();
        assert_eq!(
            (error.kind.as_str(), &error.data["code"]),
            ("error", &json!(code))
        );
    }
    // After the first of them pieces and the end of the recording are expected, and are not complained about.
    client.send("audio-start", json!({ "width": 9 })).await;
    assert_eq!(client.next().await.unwrap().kind, "error");
    client.send_with("audio-chunk", json!({}), &[0; 320]).await;
    client.send("audio-stop", json!({})).await;
    client.send("nonsense", json!({ "a": [1, 2] })).await;
    client.send("synthesize-stop", json!({})).await;
    client
        .send("synthesize-chunk", json!({ "text": "x" }))
        .await;
    client.send("ping", json!({})).await;
    let events = client.until("pong").await;
    assert_eq!(kinds(&events), ["transcript", "transcript-stop", "pong"]);

    app.voice.trouble(Trouble::Unavailable);
    client
        .send("synthesize", json!({ "text": "Rent is due." }))
        .await;
    assert_eq!(client.next().await.unwrap().data["code"], "unavailable");
    app.transcriber.trouble(Trouble::Unavailable);
    client.say(&[0.5, 1.5, 1.0]).await;
    let events = client.until("error").await;
    assert_eq!(events.back().unwrap().data["code"], "unavailable");
}

#[tokio::test]
async fn what_is_no_event_ends_the_connection() {
    let app = TestApp::start().await;
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"{\"type\":\"x\",\"payload_length\":99999999999}\n",
        &vec![0xff; 100_000],
    ] {
        let mut client = Client::connect(app.wyoming).await;
        client.to.write_all(bytes).await.unwrap();
        let error = client.next().await.unwrap();
        assert_eq!(error.data["code"], "malformed", "{error:?}");
        assert!(client.next().await.is_none());
    }
    let mut client = Client::connect(app.wyoming).await;
    client.send("ping", json!({})).await;
    assert_eq!(client.next().await.unwrap().kind, "pong");
}

#[tokio::test]
async fn a_client_that_goes_leaves_nothing_behind() {
    let app = TestApp::start().await;
    let gate = Gate::new();
    app.voice.hold_after(0, &gate);
    let mut client = Client::connect(app.wyoming).await;
    client
        .send("synthesize", json!({ "text": "Rent is due." }))
        .await;
    gate.reached().await;
    drop(client);
    // The text that was begun is given up: nobody opens the gate.
    while app.voice.cancelled() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_text_in_pieces_may_be_long_and_may_be_refused() {
    let (app, mut client) = client().await;
    client.send("synthesize-start", json!({})).await;
    let text = "Go on and on. ".repeat(400);
    client
        .send("synthesize-chunk", json!({ "text": text }))
        .await;
    client.send("synthesize-stop", json!({})).await;
    client.until("synthesize-stopped").await;
    assert_eq!(app.voice.clauses().len(), 400);

    let nobody = json!({ "voice": { "name": "nobody" } });
    client.send("synthesize-start", nobody).await;
    assert_eq!(client.next().await.unwrap().kind, "error");
    client
        .send("synthesize-chunk", json!({ "text": "Go on. " }))
        .await;
    client.send("synthesize", json!({ "text": "Go on." })).await;
    client.send("synthesize-stop", json!({})).await;
    assert_eq!(client.next().await.unwrap().kind, "synthesize-stopped");
    assert_eq!(app.voice.clauses().len(), 400);
}

#[tokio::test]
async fn what_is_too_long_is_refused_and_what_nobody_needs_is_not_kept() {
    let (_app, mut client) = client().await;
    let long = "x".repeat(70_000);
    for (kind, last) in [("synthesize", "audio-stop"), ("transcript", "not-handled")] {
        client.send(kind, json!({ "text": long })).await;
        let events = client.until(last).await;
        assert_eq!(kinds(&events), ["error", last]);
    }
    let context = json!({ "conversation_id": "a", "junk": vec![0; 9000] });
    client
        .send(
            "transcript",
            json!({ "text": QUESTION, "context": context }),
        )
        .await;
    let answer = client.next().await.unwrap();
    assert_eq!(answer.data["context"], json!({ "conversation_id": "a" }));
}
