//! What a client sets, and what becomes of it.

use super::*;

#[tokio::test]
async fn a_language_that_nobody_understands_is_refused() {
    let app = with_lease(Settings::default()).await;
    let mut client = Client::simple(&app, with(start(), "language", "fr-FR")).await;
    let error = client.until("error").await;
    assert_eq!(error["problem"]["type"], "urn:griot:problem:invalid-value");
    let detail = error["problem"]["detail"].as_str().unwrap();
    assert!(
        detail.contains("fr-FR") && detail.contains("en, de"),
        "{detail}"
    );
    client.say(with(start(), "language", "en-US")).await;
    client.until("ready").await;
    client.speak(900).await;
    client.hush(640).await;
    assert_eq!(client.until("transcript").await["text"], SAID);
    let heard = app.transcriber.heard();
    assert!(
        heard
            .iter()
            .all(|sound| sound.language.as_deref() == Some("en"))
    );

    let mut client = Client::realtime(&app, "").await;
    let update = |language: &str| {
        let transcription = json!({ "model": "whisper-1", "language": language });
        json!({ "type": "session.update", "session": {
            "type": "realtime", "audio": { "input": { "transcription": transcription } },
        } })
    };
    client.say(update("klingon")).await;
    assert_eq!(
        client.until("error").await["error"]["code"],
        "invalid_value"
    );
    client.say(update("DE_at")).await;
    let updated = client.until("session.updated").await;
    let transcription = &updated["session"]["audio"]["input"]["transcription"];
    assert_eq!(transcription["language"], "de");
}

fn with(mut message: Value, field: &str, value: &str) -> Value {
    message[field] = json!(value);
    message
}

#[tokio::test]
async fn an_id_that_was_given_out_names_no_other_item() {
    let app = with_lease(Settings::default()).await;
    let mut client = Client::realtime(&app, "").await;
    client.speak(900).await;
    let started = client.until("input_audio_buffer.speech_started").await;
    let item =
        json!({ "type": "message", "role": "user", "content": ["x"], "id": started["item_id"] });
    client
        .say(json!({ "type": "conversation.item.create", "item": item }))
        .await;
    assert_eq!(
        client.until("error").await["error"]["code"],
        "invalid_value"
    );
    client.hush(900).await;
    let heard = client
        .until("conversation.item.input_audio_transcription.completed")
        .await;
    assert_eq!(heard["transcript"], SAID);
}
