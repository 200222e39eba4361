//! Keys for realtime sessions only, and what is told when nobody speaks.

use griot::config::{ApiKeyHash, ServerConfig};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Client, connect};
use crate::app::{LEASE, Settings, TestApp};

const KEY: &str = "griot_a-key-for-this-test";

#[tokio::test]
async fn a_client_secret_opens_realtime_sessions_and_nothing_else() {
    let server = ServerConfig {
        api_keys: vec![ApiKeyHash::of(KEY).to_string()],
        ..ServerConfig::default()
    };
    let mut app = TestApp::with(Settings {
        server,
        ..Settings::default()
    })
    .await;
    let path = "/v1/realtime/client_secrets";
    let strange = app.post(path, &json!({})).await;
    assert_eq!(strange.status, StatusCode::UNAUTHORIZED);
    app.show_key(KEY);
    let refused = async |body: Value, param: &str| {
        let reply = app.post(path, &body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(reply.json()["error"]["param"], param, "{body}");
    };
    refused(
        json!({ "expires_after": { "seconds": 1 } }),
        "expires_after.seconds",
    )
    .await;
    refused(json!({ "session": 7 }), "session").await;
    // A list is no object, though its values might be taken for an object's fields.
    for list in [
        json!([null, null]),
        json!({ "expires_after": ["created_at", 60] }),
    ] {
        let reply = app.post(path, &list).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{list}");
    }
    refused(json!({ "session": { "type": "song" } }), "session").await;
    let body = json!({
        "expires_after": { "anchor": "created_at", "seconds": 60 },
        "session": { "type": "realtime", "instructions": "Be brief.", "audio": { "output": { "voice": "summ" } } },
    });
    let made = app.post(path, &body).await.json();
    assert_eq!(made["session"]["instructions"], "Be brief.");
    assert!(made["expires_at"].as_i64().unwrap() > 1_700_000_000);
    let secret = made["value"].as_str().unwrap();

    let bearer = format!("Bearer {secret}");
    let offered = format!("realtime, openai-insecure-api-key.{secret}");
    for headers in [
        ("authorization", bearer.as_str()),
        ("sec-websocket-protocol", offered.as_str()),
    ] {
        let socket = connect(&app, "/v1/realtime?model=griot", &[headers]).await;
        let mut client = Client::of(socket.unwrap(), true);
        let session = client.until("session.created").await["session"].take();
        assert_eq!(session["instructions"], "Be brief.");
        assert_eq!(session["audio"]["output"]["voice"], "summ");
    }
    assert!(
        connect(
            &app,
            "/api/voice/stream",
            &[("authorization", bearer.as_str())]
        )
        .await
        .is_err()
    );
    app.show_key(secret);
    for path in ["/api/health", "/v1/realtime/client_secrets"] {
        assert_eq!(
            app.get(path).await.status,
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
    }
    let guessed = [("authorization", "Bearer ek_0000")];
    assert!(connect(&app, "/v1/realtime", &guessed).await.is_err());
}

#[tokio::test]
async fn a_client_is_told_once_when_nobody_speaks_after_an_answer() {
    let app = TestApp::start().await;
    app.ingest("lease.txt", LEASE).await;
    let mut client = Client::realtime(&app, "").await;
    client
        .say(
            json!({ "type": "session.update", "session": { "type": "realtime", "audio": { "input": {
            "turn_detection": { "type": "server_vad", "idle_timeout_ms": 5000 },
        } } } }),
        )
        .await;
    client.until("session.updated").await;
    // Before there was an answer nobody is waited for.
    client.hush(6000).await;
    client.speak(900).await;
    client.hush(900).await;
    client.until("response.done").await;
    client.hush(11_000).await;
    let told = client.until("input_audio_buffer.timeout_triggered").await;
    let (start, end) = (&told["audio_start_ms"], &told["audio_end_ms"]);
    assert!(
        end.as_u64().unwrap() >= start.as_u64().unwrap() + 5000,
        "{told}"
    );
    assert_eq!(
        client.until("input_audio_buffer.committed").await["item_id"],
        told["item_id"]
    );
    // All of the silence was heard when this is answered.
    client
        .say(json!({ "type": "conversation.item.retrieve", "item_id": told["item_id"] }))
        .await;
    client.until("conversation.item.retrieved").await;
    let kinds = client
        .log
        .iter()
        .filter(|m| m["type"] == "input_audio_buffer.timeout_triggered");
    assert_eq!(kinds.count(), 1);
}
