//! How much a client may send at once, and that nobody else waits for it.

use std::time::Duration;

use griot::voice::{Input, Options, Output, inlet::PIECE, session::Refusal};

use super::*;

#[tokio::test]
async fn much_sound_leaves_others_their_turn() {
    const PIECES: usize = 100;
    let app = TestApp::start().await;
    let mut conversation = app.conversations.open(Options::default()).await.unwrap();
    let sound = vec![0.0; PIECES * PIECE];
    conversation.inlet.sound(&sound).await.unwrap();
    // It is refused once all the sound was heard.
    conversation.inlet.send(Input::Interrupt).await.unwrap();
    let mut turns = 0;
    while conversation.outlet.try_recv() != Ok(Output::Refused(Refusal::NothingToCancel)) {
        turns += 1;
        tokio::task::yield_now().await;
    }
    assert!(turns > PIECES / 2, "{turns} turns for {PIECES} pieces");
}

#[tokio::test]
async fn too_long_an_append_is_refused_and_the_session_lives_on() {
    let app = TestApp::start().await;
    let mut client = Client::realtime(&app, "").await;
    let append = |seconds: usize| {
        let audio = STANDARD.encode(vec![0_u8; seconds * 48_000]);
        json!({ "type": "input_audio_buffer.append", "audio": audio, "event_id": "long" })
    };
    client.say(append(61)).await;
    let error = client.until("error").await;
    assert_eq!(error["error"]["code"], "invalid_value");
    assert_eq!(error["error"]["event_id"], "long");
    client.say(append(60)).await;
    client.say(json!({ "type": "response.cancel" })).await;
    let error = client.until("error").await;
    assert_eq!(error["error"]["code"], "response_cancel_not_active");
}

#[tokio::test]
async fn what_is_written_and_never_asked_does_not_pile_up() {
    let app = with_lease(Settings::default()).await;
    let mut client = Client::realtime(&app, "").await;
    let item = |text: String| {
        json!({ "type": "conversation.item.create", "item": {
            "type": "message", "role": "user", "content": [{ "type": "input_text", "text": text }],
        } })
    };
    client.say(item(SAID.to_owned())).await;
    client.until("conversation.item.done").await;
    for text in ["rent ".repeat(2000), "rent ".repeat(20_000)] {
        client.say(item(text)).await;
        let error = client.until("error").await;
        assert_eq!(error["error"]["code"], "invalid_value");
    }
    // What was written before is still there to be asked.
    client.say(json!({ "type": "response.create" })).await;
    client.until("response.done").await;
    let answer = client.texts("response.output_audio_transcript.done", "transcript");
    assert!(answer.contains("first day"), "{answer}");
}

#[tokio::test]
async fn who_took_over_sends_sound_as_callers_do() {
    let app = TestApp::start().await;
    let mut caller = Client::simple(&app, start()).await;
    let ready = caller.until("ready").await;
    let takeover = json!({
        "type": "takeover", "session_id": ready["session_id"], "token": ready["takeover_token"],
    });
    let mut operator = Client::simple(&app, takeover).await;
    operator.until("taken_over").await;
    for (bytes, name) in [(3, "invalid-value"), ((1 << 20) + 2, "too-large")] {
        let frame = Message::binary(vec![1; bytes]);
        operator.socket.send(frame).await.unwrap();
        let error = operator.until("error").await;
        let kind = format!("urn:griot:problem:{name}");
        assert_eq!(error["problem"]["type"], kind, "{bytes} bytes");
    }
}

#[tokio::test]
async fn who_never_begins_is_let_go() {
    let app = TestApp::start().await;
    let mut client = Client::simple(&app, json!({ "type": "interrupt" })).await;
    client.until("error").await;
    // From here on time goes by only while nothing else happens.
    tokio::time::pause();
    let told = async {
        let error = client.until("error").await;
        let kind = &error["problem"]["type"];
        assert_eq!(kind, "urn:griot:problem:request-timed-out");
        assert_eq!(client.next().await, None);
    };
    let told = tokio::time::timeout(Duration::from_secs(600), told).await;
    told.expect("it is told within ten minutes of that time");
}

#[tokio::test]
async fn who_never_begins_does_not_hold_up_the_end() {
    let mut app = TestApp::start().await;
    let mut client = Client::simple(&app, json!({ "type": "interrupt" })).await;
    client.until("error").await;
    app.stopped().await;
    let error = client.until("error").await;
    assert_eq!(error["problem"]["type"], "urn:griot:problem:stopping");
}

#[tokio::test]
async fn sockets_that_never_begin_are_counted() {
    let app = TestApp::with(Settings {
        conversations: 1,
        ..Settings::default()
    })
    .await;
    let mut open = Vec::new();
    let refused = loop {
        assert!(open.len() < 100, "there is no limit");
        match connect(&app, "/api/voice/stream", &[]).await {
            Ok(socket) => open.push(socket),
            Err(refused) => break refused,
        }
    };
    let Error::Http(refused) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(open.len(), 18, "two for the conversation, and 16");
    // One that leaves makes room for one.
    drop(open.pop());
    while connect(&app, "/v1/realtime", &[]).await.is_err() {
        tokio::task::yield_now().await;
    }
}
