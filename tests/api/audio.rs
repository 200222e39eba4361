//! Sound over HTTP, as OpenAI's clients send and ask for it.

use griot::ports::{Transcript, fakes::Gate};
use reqwest::{Method, StatusCode, multipart};
use serde_json::{Value, json};

use crate::app::{SAID, TestApp};

/// A WAV file of seconds of sound and of silence in turn, silence first.
fn wav(seconds: &[f64]) -> Vec<u8> {
    const RATE: u32 = 16_000;
    let mut data = Vec::new();
    for (n, length) in seconds.iter().enumerate() {
        for k in 0..(length * f64::from(RATE)) as u32 {
            let tone = (f64::from(k) * 0.17).sin() * 9000.0;
            let value = if n % 2 == 1 { tone as i16 } else { 0 };
            data.extend(value.to_le_bytes());
        }
    }
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + data.len() as u32).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend(RATE.to_le_bytes());
    bytes.extend((RATE * 2).to_le_bytes());
    bytes.extend(b"\x02\0\x10\0data");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}

fn form(file: Vec<u8>, fields: &[(&'static str, &'static str)]) -> multipart::Form {
    let part = multipart::Part::bytes(file).file_name("speech.wav");
    let form = multipart::Form::new()
        .part("file", part)
        .text("model", "whisper-1");
    fields
        .iter()
        .fold(form, |form, (name, value)| form.text(*name, *value))
}

async fn transcribe(
    app: &TestApp,
    file: Vec<u8>,
    fields: &[(&'static str, &'static str)],
) -> crate::app::Reply {
    let request = app.request(Method::POST, "/v1/audio/transcriptions");
    app.send(request.multipart(form(file, fields))).await
}

#[tokio::test]
async fn a_recording_is_written_down_in_every_shape() {
    let app = TestApp::start().await;
    let check = async |fields: &[(&'static str, &'static str)], kind: &str, expected: &str| {
        let reply = transcribe(&app, wav(&[0.5, 1.5, 1.0]), fields).await;
        assert_eq!(reply.status, StatusCode::OK, "{fields:?}: {}", reply.text());
        assert!(reply.header("content-type").starts_with(kind), "{fields:?}");
        assert!(
            reply.text().contains(expected),
            "{fields:?}: {}",
            reply.text()
        );
    };
    check(&[], "application/json", "\"text\":\"When is rent due?\"").await;
    check(
        &[("response_format", "text")],
        "text/plain",
        "When is rent due?\n",
    )
    .await;
    check(&[("response_format", "srt")], "text/plain", "1\n00:00:00,").await;
    check(
        &[("response_format", "vtt")],
        "text/vtt",
        "WEBVTT\n\n00:00:00.",
    )
    .await;
    check(
        &[("stream", "true")],
        "text/event-stream",
        "transcript.text.done",
    )
    .await;
    let verbose = [
        ("response_format", "verbose_json"),
        ("timestamp_granularities[]", "word"),
    ];
    let reply = transcribe(&app, wav(&[0.5, 1.5, 1.0]), &verbose)
        .await
        .json();
    assert_eq!(reply["language"], "english");
    assert_eq!(reply["segments"][0]["text"], format!(" {SAID}"));
    assert_eq!(reply["words"].as_array().map(Vec::len), Some(4));
    assert!((reply["duration"].as_f64().unwrap() - 3.0).abs() < 0.01);
}

#[tokio::test]
async fn silence_is_no_speech() {
    let app = TestApp::start().await;
    let reply = transcribe(&app, wav(&[3.0]), &[]).await.json();
    assert_eq!(reply["text"], "");
    assert!(app.transcriber.heard().is_empty(), "nobody was asked");
}

#[tokio::test]
async fn what_is_no_recording_is_refused() {
    let app = TestApp::start().await;
    let check = async |file: Vec<u8>, fields: &[(&'static str, &'static str)], param: &str| {
        let reply = transcribe(&app, file, fields).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text());
        let error = &reply.json()["error"];
        assert_eq!(
            (&error["param"], &error["type"]),
            (&json!(param), &json!("invalid_request_error"))
        );
    };
    check(b"hello".to_vec(), &[], "file").await;
    check(Vec::new(), &[], "file").await;
    check(
        wav(&[1.0]),
        &[("response_format", "xml")],
        "response_format",
    )
    .await;
    let request = app.request(Method::POST, "/v1/audio/transcriptions");
    let empty = app.send(request.multipart(multipart::Form::new())).await;
    assert_eq!(empty.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_native_route_says_the_same() {
    let app = TestApp::start().await;
    let send = async |file: Vec<u8>| {
        let request = app.request(Method::POST, "/api/voice/transcribe");
        app.send(request.multipart(form(file, &[]))).await
    };
    let reply = send(wav(&[0.5, 1.5, 1.0])).await.json();
    assert_eq!(
        (&reply["text"], &reply["language"]),
        (&json!(SAID), &json!("en"))
    );
    assert_eq!(reply["segments"][0]["text"], SAID);
    assert_eq!(send(b"hello".to_vec()).await.verdict(), "422 invalid-value");
}

#[tokio::test]
async fn text_is_spoken_in_every_format() {
    let app = TestApp::start().await;
    let check = async |format: Value, kind: &str, begins: &[u8]| {
        let body = json!({ "model": "tts-1", "voice": "alloy", "input": "Rent is due. Pay it [1].", "response_format": format });
        let reply = app.post("/v1/audio/speech", &body).await;
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (StatusCode::OK, kind)
        );
        assert!(
            reply.body.starts_with(begins) && reply.body.len() > 1000,
            "{format}"
        );
    };
    check(Value::Null, "audio/wav", b"RIFF").await;
    check("wav".into(), "audio/wav", b"RIFF").await;
    check("flac".into(), "audio/flac", b"fLaC").await;
    check("opus".into(), "audio/ogg", b"OggS").await;
    check("pcm".into(), "audio/pcm", b"").await;
    let said: Vec<String> = app
        .voice
        .clauses()
        .into_iter()
        .map(|clause| clause.text)
        .collect();
    assert_eq!(said[..2], ["Rent is due.", "Pay it."]);
}

#[tokio::test]
async fn what_cannot_be_spoken_is_refused() {
    let app = TestApp::start().await;
    let check = async |body: Value, param: Value| {
        let reply = app.post("/v1/audio/speech", &body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(reply.json()["error"]["param"], param, "{body}");
    };
    check(json!({ "input": "" }), "input".into()).await;
    check(json!({ "input": "a".repeat(4097) }), "input".into()).await;
    check(json!({ "input": "a", "voice": "nobody" }), "voice".into()).await;
    check(
        json!({ "input": "a", "response_format": "mp3" }),
        "response_format".into(),
    )
    .await;
    check(json!({ "input": "a", "speed": 9 }), "speed".into()).await;
    check(
        json!({ "input": "a", "stream_format": "x" }),
        "stream_format".into(),
    )
    .await;
    check(json!({ "input": 7 }), Value::Null).await;
    check(json!({}), Value::Null).await;
}

#[tokio::test]
async fn events_carry_the_sound() {
    let app = TestApp::start().await;
    let body = json!({ "input": "One. Two.", "stream_format": "sse", "response_format": "pcm" });
    let reply = app.post("/v1/audio/speech", &body).await;
    let events: Vec<Value> = reply
        .text()
        .split("\n\n")
        .filter_map(|event| serde_json::from_str(event.strip_prefix("data: ")?).ok())
        .collect();
    let kinds: Vec<&str> = events
        .iter()
        .filter_map(|event| event["type"].as_str())
        .collect();
    assert_eq!(
        kinds,
        [
            "speech.audio.delta",
            "speech.audio.delta",
            "speech.audio.done"
        ]
    );
}

#[tokio::test]
async fn one_recording_too_many_is_told_to_wait() {
    let app = TestApp::start().await;
    let gate = Gate::new();
    for _ in 0..4 {
        app.transcriber.push_behind(&gate, Transcript::default());
    }
    let send = async |fields: &[(&'static str, &'static str)]| {
        transcribe(&app, wav(&[0.5, 1.5, 1.0]), fields).await
    };
    let more = async {
        while app.transcriber.heard().len() < 4 {
            tokio::task::yield_now().await;
        }
        let fifth = send(&[]).await;
        let request = app.request(Method::POST, "/api/voice/transcribe");
        let sixth = app.send(request.multipart(form(wav(&[1.0]), &[]))).await;
        gate.release();
        (fifth, sixth)
    };
    let streamed = [("stream", "true")];
    let (one, two, three, four, (fifth, sixth)) =
        tokio::join!(send(&[]), send(&[]), send(&[]), send(&streamed), more);
    for reply in [one, two, three, four, send(&[]).await] {
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    }
    assert_eq!(fifth.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(fifth.header("retry-after"), "5");
    assert_eq!(fifth.json()["error"]["code"], "rate_limit_exceeded");
    assert_eq!(sixth.verdict(), "429 busy");
}
