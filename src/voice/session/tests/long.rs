//! Silences, answers and turns that go on and on.

use super::*;

#[test]
fn words_after_a_long_silence_are_heard_from_their_beginning() {
    let frames = |speech: f32, ms: Ms| {
        let level = if speech > 0.5 { -20.0 } else { -70.0 };
        vec![
            Event::Heard(Frame {
                speech,
                level,
                own: 0
            });
            (ms / FRAME_MS) as usize
        ]
    };
    let long_answer = Event::Reply {
        reply: ReplyId(1),
        part: Part::Clause {
            text: "It depends. ".to_owned(),
            sound: 90_000,
        },
    };
    let asked = vec![Event::Typed("When?".to_owned()), long_answer];
    // After a noise, some of the silence is heard too.
    for (before, silence) in [(vec![], 0), (asked, 0), (frames(0.95, 32), 13_000)] {
        let mut session = Session::new(MANUAL);
        let note = format!("{before:?}");
        for event in [before, frames(0.02, 64_000)].concat() {
            session.on(event);
        }
        let spoken = session.now();
        for event in frames(0.95, 1280) {
            session.on(event);
        }
        let effects = session.on(Event::Commit).into_iter();
        let mut stretches = effects.filter_map(|effect| match effect {
            Effect::Transcribe {
                whole: true,
                stretch,
                ..
            } => Some(stretch),
            _ => None,
        });
        let stretch = stretches.next().expect("the words are asked for");
        assert_eq!(stretch.end, spoken + 1280, "{note}");
        let begun_before = spoken - stretch.start;
        assert!(
            (300..=300 + silence).contains(&begun_before),
            "{note}: {begun_before}"
        );
    }
}

#[test]
fn words_are_kept_however_long_the_answer_goes_on() {
    let said = "transcript When is rent due?".to_owned();
    let script = ["speak 640", "hush 27008", "words When is rent due?"];
    for before in [&["typed When?", "clause 90000 It depends."][..], &[]] {
        let rest = ["hush 64000", "commit"];
        let log = play(
            &mut Session::new(MANUAL),
            &[before, &script, &rest].concat(),
        );
        let whole = log.iter().filter(|line| *line == "whole?").count();
        assert!(whole == 1 && log.contains(&said), "{log:#?}");
    }
}

#[test]
fn long_turns_are_written_down_in_pieces() {
    let script = [
        "speak 26016",
        "words When is the rent of the flat",
        "speak 640",
        "hush 96",
        "words due?",
        "judged 0.99",
        "hush 160",
    ];
    check(
        &script[..3],
        &script[3..],
        &[
            "whole?",
            "guess When is the rent of the flat due?",
            "stopped 1 at 26656",
            "transcript When is the rent of the flat due?",
            "began guessed=true",
            "[thinking]",
        ],
    );
}

#[test]
fn a_long_turn_keeps_its_beginning_when_the_speaker_goes_on() {
    let script = [
        "speak 26016",
        "words When is the rent of the flat",
        "speak 640",
        "hush 96",
        "words and of the",
        "hush 320",
        "speak 640",
        "hush 96",
        "words and of the garage due?",
        "judged 0.99",
        "hush 160",
    ];
    let log = play(&mut Session::new(Tuning::default()), &script);
    let whole = "transcript When is the rent of the flat and of the garage due?";
    assert!(log.iter().any(|line| line == whole), "{log:#?}");
}
