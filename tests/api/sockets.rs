//! Conversations over real sockets, with fakes that hear, judge and hum.
//!
//! The client sends silence for every sound that it is sent, as a microphone beside a loudspeaker would: the
//! conversation's time goes on with what is heard, and nothing waits for a clock.

mod ends;
mod limits;
mod secrets;
mod settings;
mod takeover;
mod tools;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::{SinkExt, StreamExt};
use griot::{
    config::{ApiKeyHash, ServerConfig},
    ports::fakes::{Gate, ScriptedTranscriber, Trouble},
    ports::{Transcript, Utterance},
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest, http::StatusCode},
};

use crate::app::{LEASE, QUESTION, QUOTE, SAID, Settings, TestApp};

/// A client of either protocol.
pub struct Client {
    socket: WebSocketStream<TcpStream>,
    /// Samples a second of what it sends.
    rate: usize,
    realtime: bool,
    /// Its microphone is on: sound is answered by silence.
    microphone: bool,
    /// Everything said to it, in order; sound as its length in milliseconds.
    pub log: Vec<Value>,
    sound_ms: u64,
}

async fn connect(
    app: &TestApp,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Result<WebSocketStream<TcpStream>, Error> {
    let mut request = format!("ws://{}{path}", app.address).into_client_request()?;
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let stream = TcpStream::connect(app.address).await.unwrap();
    client_async(request, stream)
        .await
        .map(|(socket, _)| socket)
}

impl Client {
    fn of(socket: WebSocketStream<TcpStream>, realtime: bool) -> Self {
        Self {
            socket,
            rate: if realtime { 24_000 } else { 16_000 },
            realtime,
            microphone: true,
            log: vec![],
            sound_ms: 0,
        }
    }

    pub async fn simple(app: &TestApp, start: Value) -> Self {
        let socket = connect(app, "/api/voice/stream", &[]).await.unwrap();
        let mut client = Self::of(socket, false);
        client.say(start).await;
        client
    }

    pub async fn realtime(app: &TestApp, query: &str) -> Self {
        let socket = connect(app, &format!("/v1/realtime?model=griot{query}"), &[])
            .await
            .unwrap();
        let mut client = Self::of(socket, true);
        client.until("session.created").await;
        client
    }

    pub async fn say(&mut self, message: Value) {
        self.socket
            .send(Message::text(message.to_string()))
            .await
            .unwrap();
    }

    async fn sound(&mut self, ms: u64, loud: bool) {
        let samples = self.rate * ms as usize / 1000;
        let bytes = if loud {
            tone(samples)
        } else {
            vec![0; samples * 2]
        };
        for frame in bytes.chunks(self.rate / 50 * 2) {
            if self.realtime {
                self.say(
                    json!({ "type": "input_audio_buffer.append", "audio": STANDARD.encode(frame) }),
                )
                .await;
            } else {
                self.socket
                    .send(Message::binary(frame.to_vec()))
                    .await
                    .unwrap();
            }
        }
    }

    pub async fn speak(&mut self, ms: u64) {
        self.sound(ms, true).await;
    }

    pub async fn hush(&mut self, ms: u64) {
        self.sound(ms, false).await;
    }

    /// The next message; sound is answered by as much silence.
    async fn next(&mut self) -> Option<Value> {
        let message = loop {
            match self.socket.next().await?.ok()? {
                Message::Text(text) => break serde_json::from_str::<Value>(text.as_str()).unwrap(),
                Message::Binary(bytes) => break json!({ "type": "sound", "ms": bytes.len() / 48 }),
                Message::Close(_) => return None,
                _ => {}
            }
        };
        let mut message = message;
        if message["type"] == "response.output_audio.delta" {
            let bytes = STANDARD.decode(message["delta"].as_str().unwrap()).unwrap();
            message["ms"] = json!(bytes.len() / 48);
        }
        if let Some(ms) = message["ms"].as_u64() {
            self.sound_ms += ms;
            if self.microphone {
                self.hush(ms).await;
            }
        }
        self.log.push(message.clone());
        Some(message)
    }

    pub async fn until(&mut self, kind: &str) -> Value {
        loop {
            let Some(message) = self.next().await else {
                panic!("the socket closed before {kind}: {:#?}", self.log);
            };
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// The kinds of messages since `from`, neighbours of one kind as one.
    pub fn kinds(&self, from: usize) -> Vec<&str> {
        let mut kinds: Vec<&str> = self.log[from..]
            .iter()
            .map(|m| m["type"].as_str().unwrap())
            .collect();
        kinds.dedup();
        kinds
    }

    fn texts(&self, kind: &str, field: &str) -> String {
        let said = self.log.iter().filter(|message| message["type"] == kind);
        said.filter_map(|message| message[field].as_str()).collect()
    }
}

/// 440 Hz, loud.
fn tone(samples: usize) -> Vec<u8> {
    (0..samples)
        .map(|n| ((n as f32 * 0.17).sin() * 8000.0) as i16)
        .flat_map(i16::to_le_bytes)
        .collect()
}

async fn with_lease(settings: Settings) -> TestApp {
    let app = TestApp::with(settings).await;
    app.ingest("lease.txt", LEASE).await;
    app
}

pub fn start() -> Value {
    json!({ "type": "start", "sample_rate": 16_000 })
}

#[tokio::test]
async fn a_spoken_question_is_answered_aloud() {
    let app = with_lease(Settings::default()).await;
    let mut client = Client::simple(&app, start()).await;
    let ready = client.until("ready").await;
    assert_eq!(ready["sample_rate_out"], 24_000);
    client.speak(900).await;
    client.hush(640).await;
    let transcript = client.until("transcript").await;
    assert_eq!(transcript["text"], SAID);
    let done = client.until("turn_done").await;
    let answer = client.texts("answer", "text_delta");
    assert!(
        answer.contains("first day") && answer.contains("[1]"),
        "{answer}"
    );
    let citation = client
        .log
        .iter()
        .find(|message| message["type"] == "citation")
        .unwrap();
    assert_eq!(citation["quote"], QUOTE);
    assert!(
        client.sound_ms > 1000,
        "it hummed every word: {} ms",
        client.sound_ms
    );
    // The mark of the citation is for the screen.
    assert!(
        app.voice
            .clauses()
            .iter()
            .all(|clause| !clause.text.contains('['))
    );
    for time in ["eou", "resp", "v2v", "eot", "first_sent", "end"] {
        assert!(done["timings_ms"][time].is_u64(), "{time}: {done}");
    }
    let states: Vec<&str> = client
        .log
        .iter()
        .filter(|message| message["type"] == "state")
        .map(|message| message["state"].as_str().unwrap())
        .collect();
    assert!(
        states.starts_with(&["hearing", "thinking"])
            || states.starts_with(&["hearing", "speaking"]),
        "{states:?}"
    );
    assert!(states.contains(&"speaking"), "{states:?}");
}

#[tokio::test]
async fn speech_silences_the_answer_and_is_a_turn_of_its_own() {
    let app = with_lease(Settings::default()).await;
    let mut client = Client::simple(&app, start()).await;
    client.speak(900).await;
    client.hush(640).await;
    client.until("sound").await;
    let words =
        ScriptedTranscriber::said("No, I meant the dogs", &Utterance::new(vec![0.0; 16_000]));
    app.transcriber.push(words);
    client.speak(960).await;
    let interrupted = client.until("interrupted").await;
    let whole = client.texts("answer", "text_delta");
    let heard = interrupted["heard_text"].as_str().unwrap();
    assert!(
        whole.contains(heard) && heard.len() < whole.len(),
        "{heard:?} of {whole:?}"
    );
    let until = client.log.len();
    client.hush(640).await;
    client.until("transcript").await;
    let between = &client.log[until..];
    assert!(
        between.iter().all(|message| message["type"] != "sound"),
        "sound after the end"
    );
    client.until("turn_done").await;
}

#[tokio::test]
async fn without_ears_and_voice_it_is_a_conversation_in_writing() {
    let app = with_lease(Settings {
        deaf: true,
        ..Settings::default()
    })
    .await;
    app.voice.trouble(Trouble::Unavailable);
    let mut client = Client::simple(&app, start()).await;
    let degraded = client.until("degraded").await;
    assert_eq!(degraded["components"], json!(["transcriber"]));
    client.say(json!({ "type": "text", "text": SAID })).await;
    client.until("turn_done").await;
    assert!(client.texts("answer", "text_delta").contains("first day"));
    assert_eq!(client.sound_ms, 0);
    let told = client
        .log
        .iter()
        .any(|message| message["components"] == json!(["synthesizer"]));
    assert!(told, "{:#?}", client.log);
}

#[tokio::test]
async fn nonsense_gets_an_error_and_the_socket_lives_on() {
    let app = with_lease(Settings::default()).await;
    let mut client = Client::simple(&app, json!({ "type": "start", "sample_rate": 1 })).await;
    let check = async |client: &mut Client, name: &str| {
        let error = client.until("error").await;
        assert_eq!(
            error["problem"]["type"],
            format!("urn:griot:problem:{name}"),
            "{error}"
        );
        assert!(
            error["problem"]["detail"]
                .as_str()
                .is_some_and(|detail| detail.len() > 10)
        );
    };
    check(&mut client, "invalid-value").await;
    client
        .socket
        .send(Message::binary(vec![0; 640]))
        .await
        .unwrap();
    check(&mut client, "malformed-request").await;
    client.say(start()).await;
    client.until("ready").await;
    for (frame, name) in [
        (Message::text("{"), "malformed-request"),
        (Message::text(r#"{"type":"sing"}"#), "malformed-request"),
        (
            Message::text(r#"{"type":"text","text":"  "}"#),
            "invalid-value",
        ),
        (Message::binary(vec![1; 3]), "invalid-value"),
        (Message::binary(vec![1; (1 << 20) + 2]), "too-large"),
        (Message::text(start().to_string()), "invalid-value"),
    ] {
        client.socket.send(frame).await.unwrap();
        check(&mut client, name).await;
    }
    client.say(json!({ "type": "text", "text": SAID })).await;
    client.until("turn_done").await;
    assert!(client.texts("answer", "text_delta").contains("first day"));
}

#[tokio::test]
async fn who_may_not_call_is_told_before_the_upgrade() {
    let key = "griot_a-key-for-this-test";
    let server = ServerConfig {
        api_keys: vec![ApiKeyHash::of(key).to_string()],
        ..ServerConfig::default()
    };
    let app = TestApp::with(Settings {
        server,
        ..Settings::default()
    })
    .await;
    let bearer = format!("Bearer {key}");
    let offered = format!("realtime, openai-insecure-api-key.{key}, openai-agents-sdk.1");
    for path in ["/api/voice/stream", "/v1/realtime?model=griot"] {
        let refused = async |headers: &[(&'static str, &str)], status: StatusCode| match connect(
            &app, path, headers,
        )
        .await
        {
            Err(Error::Http(response)) => assert_eq!(response.status(), status, "{headers:?}"),
            other => panic!("{path} {headers:?}: {other:?}"),
        };
        refused(&[], StatusCode::UNAUTHORIZED).await;
        refused(
            &[("authorization", "Bearer wrong")],
            StatusCode::UNAUTHORIZED,
        )
        .await;
        refused(
            &[
                ("authorization", &bearer),
                ("origin", "https://evil.example"),
            ],
            StatusCode::FORBIDDEN,
        )
        .await;
        assert!(
            connect(&app, path, &[("authorization", &bearer)])
                .await
                .is_ok()
        );
    }
    assert!(
        connect(
            &app,
            "/v1/realtime",
            &[("sec-websocket-protocol", &offered)]
        )
        .await
        .is_ok()
    );
}

#[tokio::test]
async fn a_spoken_question_takes_the_place_of_a_written_one() {
    let gate = Gate::new();
    let app = with_lease(Settings {
        server: ServerConfig {
            max_questions: 1,
            ..ServerConfig::default()
        },
        gate: Some(gate.clone()),
        ..Settings::default()
    })
    .await;
    let mut client = Client::simple(&app, start()).await;
    client.say(json!({ "type": "text", "text": SAID })).await;
    gate.reached().await;
    let question = json!({ "question": SAID });
    let written = app.post("/api/rag/query", &question).await;
    assert_eq!(written.verdict(), "429 too-many-questions");
    gate.release();
    client.until("turn_done").await;
    while app.post("/api/rag/query", &question).await.status != StatusCode::OK {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_conversation_too_many_is_told_so() {
    let app = TestApp::with(Settings {
        conversations: 1,
        ..Settings::default()
    })
    .await;
    let mut first = Client::simple(&app, start()).await;
    first.until("ready").await;
    let mut second = Client::simple(&app, start()).await;
    let error = second.until("error").await;
    assert_eq!(
        error["problem"]["type"],
        "urn:griot:problem:too-many-conversations"
    );
    drop(first);
    while app.conversations.count() > 0 {
        tokio::task::yield_now().await;
    }
    Client::simple(&app, start()).await.until("ready").await;
}

#[tokio::test]
async fn somebody_takes_over_and_hands_back() {
    let app = with_lease(Settings::default()).await;
    let mut caller = Client::simple(&app, start()).await;
    let ready = caller.until("ready").await;
    caller.say(json!({ "type": "text", "text": SAID })).await;
    caller.until("turn_done").await;
    let takeover = |token: &Value| json!({ "type": "takeover", "session_id": ready["session_id"], "token": token });
    let mut operator = Client::simple(&app, takeover(&json!("wrong"))).await;
    operator.microphone = false;
    operator.until("error").await;
    operator.say(takeover(&ready["takeover_token"])).await;
    let so_far = operator.until("taken_over").await;
    assert_eq!(so_far["transcript"][0]["question"], SAID);
    assert!(
        so_far["transcript"][0]["answer"]
            .as_str()
            .unwrap()
            .contains("first day")
    );
    assert_eq!(so_far["sources"][0]["quote"], QUOTE);
    assert_eq!(caller.until("handoff").await["active"], true);
    // The caller is heard and read, and not answered by us.
    caller.speak(900).await;
    caller.hush(640).await;
    operator.until("sound").await;
    assert_eq!(operator.until("transcript").await["text"], SAID);
    // The operator is heard.
    let before = caller.sound_ms;
    operator
        .socket
        .send(Message::binary(vec![1; 9600]))
        .await
        .unwrap();
    caller.until("sound").await;
    assert_eq!(caller.sound_ms - before, 200);
    operator.say(json!({ "type": "hand_back" })).await;
    assert_eq!(caller.until("handoff").await["active"], false);
    caller.say(json!({ "type": "text", "text": SAID })).await;
    caller.until("turn_done").await;
}

#[tokio::test]
async fn a_turn_of_the_realtime_protocol() {
    let app = with_lease(Settings::default()).await;
    let mut client = Client::realtime(&app, "&x_events=1").await;
    let from = client.log.len();
    client.speak(900).await;
    client.hush(900).await;
    let done = client.until("response.done").await;
    let kinds: Vec<&str> = client.kinds(from);
    let wanted = [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.completed",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ];
    let mut rest = kinds.iter();
    for kind in wanted {
        assert!(
            rest.any(|other| *other == kind),
            "{kind} is missing, or too early: {kinds:#?}"
        );
    }
    assert_eq!(done["response"]["status"], "completed");
    let text = client.texts("response.output_audio_transcript.delta", "delta");
    assert_eq!(
        client.texts("response.output_audio_transcript.done", "transcript"),
        text
    );
    assert_eq!(
        done["response"]["output"][0]["content"][0]["transcript"],
        text
    );
    assert_eq!(
        client.texts(
            "conversation.item.input_audio_transcription.completed",
            "transcript"
        ),
        SAID
    );
    let citation = client
        .log
        .iter()
        .find(|message| message["type"] == "x_griot.citation")
        .unwrap();
    assert_eq!(citation["citation"]["quote"], QUOTE);
    // Every id of an event is its own.
    let mut ids: Vec<&str> = client
        .log
        .iter()
        .map(|message| message["event_id"].as_str().unwrap())
        .collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[tokio::test]
async fn speech_cancels_a_response() {
    let app = with_lease(Settings::default()).await;
    let mut client = Client::realtime(&app, "").await;
    client.speak(900).await;
    client.hush(900).await;
    client.until("response.output_audio.delta").await;
    let words =
        ScriptedTranscriber::said("No, I meant the dogs", &Utterance::new(vec![0.0; 16_000]));
    app.transcriber.push(words);
    // No silence after the words: they would be answered, and that answer cancelled.
    client.microphone = false;
    client.speak(960).await;
    let done = client.until("response.done").await;
    assert_eq!(done["response"]["status"], "cancelled");
    assert_eq!(
        done["response"]["status_details"],
        json!({ "type": "cancelled", "reason": "turn_detected" })
    );
    let item = done["response"]["output"][0]["id"].clone();
    // What the Agents SDK says to it: both are fine.
    client
        .say(json!({ "type": "response.cancel", "event_id": "mine" }))
        .await;
    let error = client.until("error").await;
    assert_eq!(
        (&error["error"]["code"], &error["error"]["event_id"]),
        (&json!("response_cancel_not_active"), &json!("mine"))
    );
    client.say(json!({ "type": "conversation.item.truncate", "item_id": item, "content_index": 0, "audio_end_ms": 200 })).await;
    assert_eq!(
        client.until("conversation.item.truncated").await["audio_end_ms"],
        200
    );
    client.say(json!({ "type": "conversation.item.truncate", "item_id": item, "content_index": 0, "audio_end_ms": 200_000 })).await;
    assert_eq!(
        client.until("error").await["error"]["code"],
        "invalid_value"
    );
    let kinds = client.kinds(0);
    let started = kinds
        .iter()
        .rposition(|kind| *kind == "input_audio_buffer.speech_started")
        .unwrap();
    assert!(
        !kinds[started..].contains(&"response.output_audio.delta"),
        "{kinds:#?}"
    );
}

#[tokio::test]
async fn the_client_says_when_and_what() {
    let app = with_lease(Settings::default()).await;
    let mut client = Client::realtime(&app, "").await;
    client.say(json!({ "type": "session.update", "session": {
        "type": "realtime", "output_modalities": ["text"], "audio": { "input": { "turn_detection": null } },
    } })).await;
    let updated = client.until("session.updated").await;
    assert_eq!(
        updated["session"]["audio"]["input"]["turn_detection"],
        Value::Null
    );
    client
        .say(json!({ "type": "input_audio_buffer.commit" }))
        .await;
    assert_eq!(
        client.until("error").await["error"]["code"],
        "input_audio_buffer_commit_empty"
    );
    client.speak(900).await;
    client
        .say(json!({ "type": "input_audio_buffer.commit" }))
        .await;
    client
        .until("conversation.item.input_audio_transcription.completed")
        .await;
    client.say(json!({ "type": "response.create" })).await;
    client.until("response.done").await;
    assert!(
        client
            .texts("response.output_text.delta", "delta")
            .contains("first day")
    );
    // A question in writing, and one too many.
    client
        .say(json!({ "type": "conversation.item.create", "item": {
        "type": "message", "role": "user", "content": [{ "type": "input_text", "text": SAID }],
    } }))
        .await;
    client.say(json!({ "type": "response.create" })).await;
    client
        .say(json!({ "type": "response.create", "event_id": "second" }))
        .await;
    let error = client.until("error").await;
    assert_eq!(
        error["error"]["code"],
        "conversation_already_has_active_response"
    );
    assert_eq!(error["error"]["event_id"], "second");
    client.until("response.done").await;
    assert_eq!(client.sound_ms, 0, "text only");
    for (event, code) in [
        (json!({ "type": "sing" }), "unknown_or_invalid_event"),
        (
            json!({ "type": "input_audio_buffer.append", "audio": "?" }),
            "invalid_value",
        ),
        (
            json!({ "type": "conversation.item.retrieve", "item_id": "x" }),
            "item_not_found",
        ),
        (
            json!({ "type": "session.update", "session": {} }),
            "missing_required_parameter",
        ),
        (
            json!({ "type": "output_audio_buffer.clear" }),
            "invalid_event_for_transport",
        ),
        (json!({ "type": "response.create" }), "invalid_value"),
    ] {
        let mut event = event;
        event["event_id"] = json!("e");
        client.say(event.clone()).await;
        let error = client.until("error").await;
        assert_eq!(
            (&error["error"]["code"], &error["error"]["event_id"]),
            (&json!(code), &json!("e")),
            "{event}"
        );
    }
}

#[tokio::test]
async fn what_is_made_up_for_noise_is_no_turn() {
    let app = with_lease(Settings::default()).await;
    let mut client = Client::simple(&app, start()).await;
    client.until("ready").await;
    app.transcriber.push(Transcript {
        text: "Thank you.".to_owned(),
        ..Transcript::default()
    });
    client.speak(320).await;
    client.hush(1600).await;
    client.say(json!({ "type": "text", "text": SAID })).await;
    client.until("turn_done").await;
    assert!(
        !client.kinds(0).contains(&"transcript"),
        "{:#?}",
        client.log
    );
}
