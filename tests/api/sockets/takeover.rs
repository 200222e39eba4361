//! Somebody takes a conversation over.

use super::*;

async fn takeover(app: &TestApp, ready: &Value) -> Client {
    let takeover = json!({
        "type": "takeover", "session_id": ready["session_id"], "token": ready["takeover_token"],
    });
    let mut operator = Client::simple(app, takeover).await;
    operator.microphone = false;
    operator
}

#[tokio::test]
async fn both_hear_each_other_at_the_rate_that_was_named() {
    let app = TestApp::start().await;
    let start = json!({ "type": "start", "sample_rate": 8000, "sample_rate_out": 48_000 });
    let mut caller = Client::simple(&app, start).await;
    caller.rate = 8000;
    caller.microphone = false;
    let ready = caller.until("ready").await;
    let mut operator = takeover(&app, &ready).await;
    let taken = operator.until("taken_over").await;
    let rates = (&taken["sample_rate"], &taken["sample_rate_out"]);
    assert_eq!(rates, (&json!(48_000), &json!(16_000)));
    caller.until("handoff").await;
    // A second of it. The client counts 48 bytes to the millisecond, which are 3 of 16-bit samples at 16 kHz.
    caller.speak(1000).await;
    caller.say(json!({ "type": "stop" })).await;
    operator.until("transcript").await;
    let heard = operator.sound_ms;
    assert!((600..700).contains(&heard), "{heard}");
    let voice = Message::binary(vec![1; 9600]);
    operator.socket.send(voice).await.unwrap();
    caller.until("sound").await;
    assert_eq!(caller.sound_ms, 200, "100 ms at 48 kHz");
    operator.say(json!({ "type": "hand_back" })).await;
    caller.until("handoff").await;
    while operator.next().await.is_some() {}
    assert_eq!(operator.sound_ms, heard, "nobody hears themselves");
}
