//! What a client sets, and what becomes of it.

use griot::ports::fakes::Gate;

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

#[tokio::test]
async fn an_answer_in_work_is_heard_in_the_new_format() {
    let gate = Gate::new();
    let app = with_lease(Settings {
        gate: Some(gate.clone()),
        ..Settings::default()
    })
    .await;
    let mut client = Client::realtime(&app, "").await;
    client.microphone = false;
    let content = json!([{ "type": "input_text", "text": SAID }]);
    let item = json!({ "type": "message", "role": "user", "content": content });
    client
        .say(json!({ "type": "conversation.item.create", "item": item }))
        .await;
    client.say(json!({ "type": "response.create" })).await;
    client.until("response.created").await;
    let output = json!({ "format": { "type": "audio/pcmu" } });
    let session = json!({ "type": "realtime", "audio": { "output": output } });
    client
        .say(json!({ "type": "session.update", "session": session }))
        .await;
    client.until("session.updated").await;
    gate.release();
    let mut samples = 0;
    let text = loop {
        let event = client.next().await.expect("the session goes on");
        if event["type"] == "response.output_audio.delta" {
            let sound = STANDARD.decode(event["delta"].as_str().unwrap()).unwrap();
            samples += sound.len();
            client.hush(sound.len() as u64 / 8).await;
        }
        if event["type"] == "response.output_audio_transcript.done" {
            break event["transcript"].as_str().unwrap().to_owned();
        }
    };
    // The fake voice hums 200 ms a word, and marks of citations are no words.
    let words = text
        .split_whitespace()
        .filter(|word| !word.starts_with('['))
        .count();
    assert_eq!(samples, words * 200 * 8, "{text}");
}
