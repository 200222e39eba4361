//! A tool of the client is called instead of an answer, and what it brings is said.

use super::*;

#[test]
fn a_call_takes_the_place_of_the_answer() {
    check(
        &["typed Turn on the lamp."],
        &["call", "clause 500 Late.", "done", "passed 100"],
        &["call", "ended Completed 0 ms: ", "[listening]"],
    );
}

#[test]
fn a_guessed_call_is_held_back_until_the_turn_is_over() {
    let before = ["speak 640", "hush 96", "words Turn on the lamp."];
    check(
        &before,
        &["call", "done", "judged 0.99", "hush 128"],
        &[
            "stopped 1 at 640",
            "transcript Turn on the lamp.",
            "began guessed=true",
            "call",
            "ended Completed 0 ms: ",
            "[listening]",
        ],
    );
    // They go on: nobody hears of it.
    check(
        &before,
        &[
            "call",
            "speak 320",
            "hush 96",
            "words Turn on the lamp upstairs.",
        ],
        &[
            "drop WentOn",
            "look?",
            "whole?",
            "guess Turn on the lamp upstairs.",
        ],
    );
}

#[test]
fn what_filled_the_time_is_heard_and_holds_nothing_up() {
    let before = ["typed Turn on the lamp.", "passed 720", "fill"];
    check(
        &before,
        &["call", "passed 600"],
        &[
            "call",
            "sent to 500",
            "ended Completed 500 ms: ",
            "[listening]",
        ],
    );
    // The client was faster.
    check(
        &before,
        &[
            "call",
            "returned",
            "respond",
            "clause 500 It is on.",
            "done",
            "passed 600",
        ],
        &[
            "call",
            "ended Completed 0 ms: ",
            "relay ",
            "began guessed=false",
            "[thinking]",
            "say It is on.",
            "sent to 300",
            "[speaking]",
            "sent to 500",
            "ended Completed 500 ms: It is on.",
            "[listening]",
        ],
    );
}

#[test]
fn what_a_call_brought_is_said_once_and_when_asked_for() {
    let before = ["typed Turn on the lamp.", "call"];
    check(&before, &["respond"], &["refused NothingSaid"]);
    check(
        &before,
        &[
            "returned",
            "respond",
            "respond",
            "clause 0 It is on.",
            "done",
            "respond",
        ],
        &[
            "relay ",
            "began guessed=false",
            "[thinking]",
            "refused Busy",
            "say It is on.",
            "[speaking]",
            "ended Completed 0 ms: It is on.",
            "[listening]",
            "refused NothingSaid",
        ],
    );
}

#[test]
fn who_speaks_before_it_is_said_asks_something_new() {
    check(
        &["typed Turn on the lamp.", "call", "returned", "respond"],
        &["speak 320", "hush 96", "words And when is rent due?"],
        &[
            "started 3 at 0",
            "flush",
            "drop Ended",
            "ended Cancelled(Speech) 0 ms: ",
            "[hearing]",
            "whole?",
            "guess And when is rent due?",
        ],
    );
}

#[test]
fn a_guess_knows_nothing_of_tools_that_come_with_the_wish() {
    let answering = Tuning {
        respond: true,
        ..MANUAL
    };
    let before = [
        "speak 640",
        "words Turn on the lamp.",
        "speak 640",
        "words Turn on the lamp.",
        "commit",
    ];
    let heard = "words Turn on the lamp.";
    check_with(
        answering,
        &before,
        &["respond", heard],
        &["transcript Turn on the lamp.", "began guessed=true"],
    );
    check_with(
        answering,
        &before,
        &["respond-with", heard],
        &[
            "drop OtherWords",
            "transcript Turn on the lamp.",
            "ask Turn on the lamp.",
            "began guessed=false",
        ],
    );
}
