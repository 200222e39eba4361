//! Where only the client knows where turns end.

use super::*;

#[test]
fn the_client_says_when_a_turn_ends() {
    check_with(
        MANUAL,
        &[],
        &[
            "hush 320",
            "speak 640",
            "hush 3200",
            "commit",
            "respond",
            "words When is rent due?",
            "clause 400 Monday.",
            "respond",
            "done",
            "passed 400",
        ],
        &[
            "[hearing]",
            "look?",
            "whole?",
            "[thinking]",
            "transcript When is rent due?",
            "ask When is rent due?",
            "began guessed=false",
            "say Monday.",
            "sent to 300",
            "[speaking]",
            "refused Busy",
            "sent to 400",
            "ended Completed 400 ms: Monday.",
            "[listening]",
        ],
    );
    check_with(
        MANUAL,
        &[],
        &["hush 320", "commit", "respond", "interrupt"],
        &[
            "dismissed Doubted(TooLittleVoice)",
            "refused NothingSaid",
            "refused NothingToCancel",
        ],
    );
}
