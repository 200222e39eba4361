//! Whether a pause is the end of a turn, and what is made of what comes after it.

use super::*;

/// A question that is over and not answered yet.
const ASKED: [&str; 5] = [
    "speak 640",
    "hush 96",
    "words When is rent due?",
    "judged 0.99",
    "hush 128",
];

#[test]
fn an_unfinished_sentence_is_waited_for() {
    check(
        &[],
        &[
            "speak 640",
            "hush 96",
            "words When is the",
            "judged 0.2",
            "hush 1056",
            "speak 320",
        ],
        &["started 1 at 0", "[hearing]", "look?", "whole?", "look?"],
    );
    check(
        &[],
        &[
            "speak 640",
            "hush 96",
            "words When is the",
            "judged 0.2",
            "hush 1120",
        ],
        &[
            "started 1 at 0",
            "[hearing]",
            "look?",
            "whole?",
            "stopped 1 at 640",
            "transcript When is the",
            "ask When is the",
            "began guessed=false",
            "[thinking]",
        ],
    );
}

#[test]
fn nothing_is_decided_while_somebody_may_be_going_on() {
    let before = ["speak 640", "hush 96", "judged 0.99", "hush 96"];
    // The silence has lasted long enough, and the words come with the first sound of more.
    let words = "words When is rent due?";
    check(&before, &["speak 32", words], &["guess When is rent due?"]);
    check(
        &before,
        &["speak 32", words, "hush 32"],
        &[
            "guess When is rent due?",
            "stopped 1 at 640",
            "transcript When is rent due?",
            "began guessed=true",
            "[thinking]",
        ],
    );
}

#[test]
fn who_goes_on_after_the_end_of_the_turn_is_heard_out() {
    check(
        &ASKED,
        &[
            "speak 320",
            "hush 96",
            "words And for the garage?",
            "judged 0.99",
            "hush 128",
        ],
        &[
            "started 2 at 564",
            "flush",
            "drop Ended",
            "ended Cancelled(Speech) 0 ms: ",
            "[hearing]",
            "whole?",
            "guess When is rent due? And for the garage?",
            "stopped 2 at 1184",
            "transcript And for the garage?",
            "began guessed=true",
            "[thinking]",
        ],
    );
}

#[test]
fn a_cough_while_an_answer_is_made_does_not_take_it_away() {
    check(
        &ASKED,
        &["speak 128", "hush 704"],
        &[
            "started 2 at 564",
            "flush",
            "drop Ended",
            "ended Cancelled(Speech) 0 ms: ",
            "[hearing]",
            "stopped 2 at 992",
            "dismissed Doubted(TooLittleVoice)",
            "ask When is rent due?",
            "began guessed=false",
            "[thinking]",
        ],
    );
}

#[test]
fn what_is_no_speech_comes_to_nothing() {
    check(
        &[],
        &["speak 128", "hush 800"],
        &[
            "started 1 at 0",
            "[hearing]",
            "stopped 1 at 128",
            "dismissed Doubted(TooLittleVoice)",
            "[listening]",
        ],
    );
    check(
        &[],
        &["speak 320", "hush 96", "words Thank you.", "hush 640"],
        &[
            "started 1 at 0",
            "[hearing]",
            "whole?",
            "stopped 1 at 320",
            "dismissed Doubted(Phantom)",
            "[listening]",
        ],
    );
    check(&[], &["speak 64", "hush 640"], &[]);
}

#[test]
fn patience() {
    let patient = Tuning {
        detection: Detection::Judged(Patience {
            factor: 2.0,
            longest: 8000,
        }),
        ..Tuning::default()
    };
    let script = [
        "speak 640",
        "hush 96",
        "words When is rent due?",
        "judged 0.99",
        "hush 256",
        "hush 64",
    ];
    check_with(
        patient,
        &script[..5],
        &script[5..],
        &[
            "stopped 1 at 640",
            "transcript When is rent due?",
            "began guessed=true",
            "[thinking]",
        ],
    );
}
