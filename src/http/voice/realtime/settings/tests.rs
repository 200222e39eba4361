//! Settings as clients change them.

use super::*;

#[test]
fn updates() {
    let settings = Settings::new("griot:leases", Some("joe".to_owned()));
    let voices = ["joe".to_owned(), "ann".to_owned()];
    let with = |mut session: Value| {
        session["type"] = json!("realtime");
        settings.updated(&session, &voices, false)
    };
    let input = |input: Value| with(json!({ "audio": { "input": input } }));
    assert_eq!(
        settings.options().collection,
        Some("leases".parse().unwrap())
    );
    let manual = input(json!({ "turn_detection": null })).unwrap();
    assert_eq!(manual.options().tuning.detection, Detection::Manual);
    assert!(!manual.detects() && !manual.options().tuning.respond);
    let eager = input(json!({ "turn_detection": { "type": "semantic_vad", "eagerness": "high", "create_response": false } })).unwrap();
    let Tuning {
        detection, respond, ..
    } = eager.options().tuning;
    assert_eq!(
        (detection, respond),
        (
            Detection::Judged(Patience {
                factor: 0.7,
                longest: 2000
            }),
            false
        )
    );
    let quick =
        input(json!({ "turn_detection": { "type": "server_vad", "silence_duration_ms": 200 } }))
            .unwrap();
    assert_eq!(quick.options().tuning.detection, Detection::Silence(200));
    let phone = with(json!({ "audio": { "input": { "format": { "type": "audio/pcmu" } }, "output": { "format": { "type": "audio/pcma" }, "voice": "alloy", "speed": 1.5 } }, "output_modalities": ["text"] })).unwrap();
    let options = phone.options();
    assert_eq!(
        (
            options.rate_in,
            options.rate_out,
            options.aloud,
            options.speed
        ),
        (8000, 8000, false, 1.5)
    );
    assert_eq!(
        options.voice.as_deref(),
        Some("joe"),
        "a stranger's voice is ours"
    );
    assert!(!input(json!({ "transcription": null })).unwrap().transcribe);
}

#[test]
fn a_profile_stands_until_the_client_says_otherwise() {
    let profile = Profile {
        speed: Some(0.8),
        language: Some("en".to_owned()),
        patience: Some(2.0),
        barge_in: Some(0.0),
        ..Profile::default()
    };
    let settings = Settings::new("griot", Some("joe".to_owned()))
        .with_profile(&profile, Some("ann".to_owned()));
    let options = settings.options();
    assert_eq!(options.voice.as_deref(), Some("ann"));
    assert_eq!(options.language.as_deref(), Some("en"));
    assert!((options.speed - 0.8).abs() < 1e-6);
    assert_eq!(options.tuning.detection, Detection::Silence(1000));
    assert!(!options.tuning.interruptible);
    let voices = ["joe".to_owned(), "ann".to_owned()];
    let update = |interrupts: Value| {
        json!({ "type": "realtime", "audio": {
        "output": { "voice": "alloy" },
        "input": { "turn_detection": { "type": "semantic_vad", "interrupt_response": interrupts } },
    } })
    };
    let options = settings
        .updated(&update(json!(true)), &voices, false)
        .unwrap()
        .options();
    assert_eq!(
        options.voice.as_deref(),
        Some("ann"),
        "stands in for a stranger's"
    );
    let judged = Detection::Judged(Patience {
        factor: 2.0,
        longest: 4000,
    });
    assert_eq!(options.tuning.detection, judged);
    assert!(options.tuning.interruptible, "the client asked for it");
    let quiet = json!({ "type": "realtime", "audio": { "input": { "turn_detection": { "type": "semantic_vad" } } } });
    let options = settings.updated(&quiet, &voices, false).unwrap().options();
    assert!(!options.tuning.interruptible);
    let update = json!({ "type": "realtime", "audio": { "output": { "voice": "joe" } } });
    let options = settings.updated(&update, &voices, false).unwrap().options();
    assert_eq!(options.voice.as_deref(), Some("joe"));
}

#[test]
fn what_is_refused_changes_nothing() {
    let settings = Settings::new("griot", Some("joe".to_owned()));
    let voices = ["joe".to_owned(), "ann".to_owned()];
    let check = |session: Value, code: &str| {
        let refused = settings.updated(&session, &voices, true).unwrap_err();
        assert_eq!(refused.code, code, "{session}");
    };
    check(json!({}), "missing_required_parameter");
    check(json!({ "type": "song" }), "invalid_value");
    for audio in [
        json!({ "input": { "format": { "type": "audio/pcm", "rate": 16_000 } } }),
        json!({ "input": { "format": { "type": "audio/mp3" } } }),
        json!({ "input": { "turn_detection": { "type": "telepathy" } } }),
        json!({ "input": { "turn_detection": { "type": "server_vad", "threshold": 7 } } }),
        json!({ "input": { "turn_detection": { "type": "server_vad", "idle_timeout_ms": 10 } } }),
        json!({ "input": { "turn_detection": { "type": "semantic_vad", "eagerness": "wild" } } }),
        json!({ "output": { "speed": 9 } }),
        json!({ "output": { "voice": "ann" } }),
        json!({ "output": { "format": { "type": "audio/pcmu" } } }),
    ] {
        check(
            json!({ "type": "realtime", "audio": audio }),
            "invalid_value",
        );
    }
    check(
        json!({ "type": "realtime", "output_modalities": ["text", "audio"] }),
        "invalid_value",
    );
}

#[test]
fn sound_is_read_and_written() {
    let samples = [0_i16, 1000, -1000];
    for format in [Format::Pcm, Format::Ulaw, Format::Alaw] {
        let back = format.read(&format.write(&samples)).unwrap();
        for (sample, back) in samples.iter().zip(back) {
            assert!(
                (f32::from(*sample) / 32768.0 - back).abs() < 0.002,
                "{format:?}"
            );
        }
    }
    assert_eq!(Format::Pcm.read(&[1, 2, 3]), None);
}
