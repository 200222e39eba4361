//! Somebody speaks, or takes over, while the daemon speaks.

use super::*;

#[test]
fn an_interruption() {
    let before = [&ANSWERING[..], &["hush 128", "hush 960"]].concat();
    // Real words stop it, and what was said is a turn.
    check(
        &before,
        &["speak 256", "words No I mean", "speak 320"],
        &[
            "duck true",
            "sent to 1452",
            "look?",
            "started 2 at 1524",
            "duck false",
            "flush",
            "drop Ended",
            "ended Cancelled(Speech) 1216 ms: Rent is due on the first",
            "[hearing]",
        ],
    );
    // A nod, a cough, an echo do not.
    check(
        &before,
        &["speak 256", "words Mm-hm.", "hush 320"],
        &[
            "duck true",
            "sent to 1452",
            "look?",
            "duck false",
            "resumed echo=false",
            "sent to 1752",
        ],
    );
    check(
        &before,
        &["speak 96", "hush 320"],
        &[
            "duck true",
            "sent to 1644",
            "duck false",
            "resumed echo=false",
            "sent to 1676",
        ],
    );
    check(
        &before,
        &["speak 256", "words on the first day", "speak 320"],
        &[
            "duck true",
            "sent to 1452",
            "look?",
            "duck false",
            "resumed echo=true",
            "sent to 1836",
        ],
    );
    // The word that always works, alone: silence, and no answer to it.
    check(
        &before,
        &[
            "speak 256",
            "words Stop.",
            "hush 96",
            "words Stop.",
            "judged 0.99",
            "hush 256",
        ],
        &[
            "duck true",
            "sent to 1452",
            "look?",
            "started 2 at 1524",
            "duck false",
            "flush",
            "drop Ended",
            "ended Cancelled(Speech) 1216 ms: Rent is due on the first",
            "[hearing]",
            "whole?",
            "stopped 2 at 2080",
            "transcript Stop.",
            "[listening]",
        ],
    );
    // Nobody knows the words yet: it may be the echo of what was on its way to the loudspeaker.
    check(
        &before,
        &["speak 1120", "hush 1472"],
        &["duck true", "sent to 1452", "look?"],
    );
    // It was too much for a noise, and is heard out; after less the answer goes on.
    check(
        &[&before[..], &["speak 1120", "hush 1472"]].concat(),
        &["hush 32"],
        &[
            "started 2 at 1524",
            "duck false",
            "flush",
            "drop Ended",
            "ended Cancelled(Speech) 1452 ms: Rent is due on the first day of",
            "[hearing]",
        ],
    );
    check(
        &[&before[..], &["speak 704", "hush 1472"]].concat(),
        &["hush 32"],
        &["duck false", "resumed echo=false", "sent to 1752"],
    );
    // Nobody knows the words in time.
    check(
        &before,
        &["speak 1216"],
        &[
            "duck true",
            "sent to 1452",
            "look?",
            "started 2 at 1524",
            "duck false",
            "flush",
            "drop Ended",
            "ended Cancelled(Speech) 1452 ms: Rent is due on the first day of",
            "[hearing]",
        ],
    );
}

#[test]
fn a_faint_echo_lowers_the_voice_once_and_then_no_more() {
    let before = [
        &ANSWERING[..],
        &[
            "hush 128",
            "echo 256",
            "words on the first day",
            "echo 1600",
        ],
    ]
    .concat();
    check(&before, &["echo 320"], &[]);
}

#[test]
fn our_own_voice_known_by_its_sound() {
    let before = [&ANSWERING[..], &["hush 128", "hush 960"]].concat();
    // At first it is only somebody's; then most of it turns out to be ours, whatever its words.
    check(
        &before,
        &["speak 256", "found 192", "own 1280"],
        &[
            "duck true",
            "sent to 1452",
            "look?",
            "duck false",
            "resumed echo=true",
            "sent to 2000",
        ],
    );
    // Enough of it turns out to be ours that what is left is too little to end an answer, whatever its words.
    check(
        &before,
        &["speak 256", "hush 128", "found 192", "words A true"],
        &[
            "duck true",
            "sent to 1452",
            "look?",
            "duck false",
            "resumed echo=true",
            "sent to 1676",
        ],
    );
    // A person who speaks into it is heard all the same.
    check(
        &before,
        &[
            "own 320",
            "found 64",
            "speak 256",
            "own 32",
            "words No I mean",
        ],
        &[
            "duck true",
            "sent to 1804",
            "look?",
            "started 2 at 1876",
            "duck false",
            "flush",
            "drop Ended",
            "ended Cancelled(Speech) 1600 ms: Rent is due on the first day of",
            "[hearing]",
        ],
    );
    // A short word is not lost to our voice that goes on after it, until the caller has heard what was sent.
    check(
        &before,
        &["speak 256", "own 320", "words Stop."],
        &[
            "duck true",
            "sent to 1452",
            "look?",
            "started 2 at 1524",
            "duck false",
            "flush",
            "drop Ended",
            "ended Cancelled(Speech) 1452 ms: Rent is due on the first day of",
            "[hearing]",
        ],
    );
    // After the answer, too, it is no turn.
    let over = [&ANSWERING[..], &["done", "hush 2560"]].concat();
    check(&over, &["own 640"], &[]);
}

#[test]
fn what_was_heard_is_corrected() {
    let before = [&ANSWERING[..], &["hush 128", "hush 960"]].concat();
    check(
        &before,
        &["interrupt", "truncated 600", "truncated 9000"],
        &[
            "flush",
            "drop Ended",
            "ended Cancelled(Client) 960 ms: Rent is due on the",
            "[listening]",
            "corrected: Rent is due",
            "refused NothingToTruncate",
        ],
    );
    check(
        &before,
        &["truncated 600"],
        &[
            "flush",
            "drop Ended",
            "ended Cancelled(Client) 960 ms: Rent is due on the",
            "corrected: Rent is due",
            "[listening]",
        ],
    );
}

#[test]
fn somebody_else_speaks_for_us() {
    check(
        &ANSWERING[..4],
        &[
            "taken-over",
            "judged 0.99",
            "hush 160",
            "typed Hello?",
            "respond",
            "handed-back",
        ],
        &[
            "drop WentOn",
            "[handoff]",
            "stopped 1 at 640",
            "transcript When is rent due?",
            "refused TakenOver",
            "refused TakenOver",
            "[listening]",
        ],
    );
}

#[test]
fn an_answer_that_waits_goes_on_when_nobody_listens_for_ends_of_turns() {
    let ducked = [&ANSWERING[..], &["hush 128", "done", "speak 320"]].concat();
    check(
        &ducked,
        &["manual", "hush 2016"],
        &[
            "duck false",
            "sent to 2000",
            "ended Completed 2000 ms: Rent is due on the first day of each month.",
            "[listening]",
        ],
    );
}
