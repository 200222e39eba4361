//! Voice profiles: kept over HTTP, applied in conversations of both protocols and in speech.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    app::{LEASE, SAID, TestApp},
    sockets::{Client, start},
};

const ANN: &str = "/api/voice/profile/ann";

async fn put(app: &TestApp, path: &str, body: &Value) -> crate::app::Reply {
    app.send(app.request(Method::PUT, path).json(body)).await
}

#[tokio::test]
async fn a_profile_from_its_beginning_to_its_end() {
    let app = TestApp::start().await;
    assert_eq!(app.get(ANN).await.verdict(), "404 profile-not-found");
    assert_eq!(app.delete(ANN).await.verdict(), "404 profile-not-found");
    let refused = async |path: &str, body: Value, names: &str| {
        let reply = put(&app, path, &body).await;
        assert_eq!(reply.verdict(), "422 invalid-value", "{path} {body}");
        let detail = reply.json()["detail"].to_string();
        assert!(detail.contains(names), "{detail}");
    };
    refused(ANN, json!({ "voice": "nobody" }), "hum").await;
    refused(ANN, json!({ "speed": 9 }), "0.25 to 4").await;
    refused(ANN, json!({ "speed": "fast" }), "fast").await;
    refused(ANN, json!({ "language": "English" }), "ISO 639-1").await;
    refused(ANN, json!({ "language": "xx" }), "does not know").await;
    refused(ANN, json!({ "patience": 0 }), "0.25 to 4").await;
    refused(ANN, json!({ "barge_in": 2 }), "0 (never").await;
    refused(ANN, json!({ "colour": "red" }), "colour").await;
    refused("/api/voice/profile/an%20n", json!({}), "user id").await;
    assert_eq!(app.get(ANN).await.status, StatusCode::NOT_FOUND);

    let slow = json!({ "voice": "summ", "speed": 0.8, "language": "de", "patience": 2.0, "barge_in": 0.25 });
    let reply = put(&app, ANN, &slow).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let mut whole = slow.clone();
    whole["user_id"] = json!("ann");
    assert_eq!(app.get(ANN).await.json(), whole);
    // What is put takes the place of all that was.
    put(&app, ANN, &json!({ "speed": 2.0 })).await;
    let kept = app.get(ANN).await.json();
    assert_eq!(
        (&kept["speed"], &kept["voice"]),
        (&json!(2.0), &Value::Null)
    );
    assert_eq!(app.delete(ANN).await.json(), kept);
    assert_eq!(app.get(ANN).await.status, StatusCode::NOT_FOUND);
}

/// One app with a profile and a document.
async fn with_profile() -> TestApp {
    let app = TestApp::start().await;
    app.ingest("lease.txt", LEASE).await;
    let profile = json!({ "voice": "summ", "speed": 0.8, "language": "de", "barge_in": 0 });
    assert_eq!(put(&app, ANN, &profile).await.status, StatusCode::OK);
    app
}

/// The voice and the speed of everything that was spoken.
fn spoken(app: &TestApp) -> Vec<(Option<String>, f32)> {
    let mut spoken: Vec<_> = app
        .voice
        .clauses()
        .into_iter()
        .map(|clause| (clause.voice, clause.speed))
        .collect();
    spoken.dedup();
    spoken
}

#[tokio::test]
async fn a_profile_is_heard_and_spoken_by() {
    let app = with_profile().await;
    let mut start = start();
    start["user_id"] = json!("ann");
    let mut client = Client::simple(&app, start.clone()).await;
    client.until("ready").await;
    client.speak(900).await;
    client.hush(640).await;
    client.until("sound").await;
    // It is not to be interrupted.
    client.speak(960).await;
    client.until("turn_done").await;
    assert!(
        !client.kinds(0).contains(&"interrupted"),
        "{:#?}",
        client.kinds(0)
    );
    assert_eq!(spoken(&app), [(Some("summ".to_owned()), 0.8)]);
    let heard = app.transcriber.heard();
    assert!(
        heard
            .iter()
            .all(|heard| heard.language.as_deref() == Some("de"))
    );

    // What is said at the start goes before it; a stranger is served as usual; nonsense is no user.
    start["speed"] = json!(1.5);
    start["voice"] = json!("hum");
    let mut client = Client::simple(&app, start.clone()).await;
    client.say(json!({ "type": "text", "text": SAID })).await;
    client.until("turn_done").await;
    assert_eq!(spoken(&app).last(), Some(&(Some("hum".to_owned()), 1.5)));
    start["user_id"] = json!("bob");
    Client::simple(&app, start.clone())
        .await
        .until("ready")
        .await;
    start["user_id"] = json!("b b");
    let mut client = Client::simple(&app, start).await;
    let error = client.until("error").await;
    assert_eq!(error["problem"]["type"], "urn:griot:problem:invalid-value");
}

#[tokio::test]
async fn a_realtime_session_begins_with_the_profile() {
    let app = with_profile().await;
    let client = Client::realtime(&app, "&x_user=ann").await;
    let audio = &client.log[0]["session"]["audio"];
    assert_eq!(
        (&audio["output"]["voice"], &audio["output"]["speed"]),
        (&json!("summ"), &json!(0.8))
    );
    assert_eq!(audio["input"]["transcription"]["language"], "de");
    assert_eq!(
        audio["input"]["turn_detection"]["interrupt_response"],
        false
    );
    let client = Client::realtime(&app, "&x_user=bob").await;
    assert_eq!(client.log[0]["session"]["audio"]["output"]["voice"], "hum");
}

#[tokio::test]
async fn speech_is_spoken_by_the_profile() {
    let app = with_profile().await;
    let say = async |mut body: Value| {
        body["input"] = json!("Rent is due.");
        let reply = app.post("/v1/audio/speech", &body).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        spoken(&app).pop().unwrap()
    };
    let summ = || Some("summ".to_owned());
    assert_eq!(say(json!({ "x_user": "ann" })).await, (summ(), 0.8));
    // A name that every client sends says nothing about whose voice it is.
    let alloy = json!({ "x_user": "ann", "voice": "alloy", "speed": 1.5 });
    assert_eq!(say(alloy).await, (summ(), 1.5));
    assert_eq!(say(json!({ "x_user": "bob" })).await, (None, 1.0));
    let body = json!({ "input": "Rent is due.", "x_user": "b b" });
    let reply = app.post("/v1/audio/speech", &body).await;
    assert_eq!(
        (reply.status, &reply.json()["error"]["param"]),
        (StatusCode::BAD_REQUEST, &json!("x_user"))
    );
}
