//! What the voice benchmark reads off sounds, texts and logs, against values worked out by hand; and its
//! scripts.

#[path = "../benches/report/voice/log.rs"]
#[allow(dead_code, reason = "the benchmark uses all of it")]
mod log;
#[path = "../benches/report/voice/microphone.rs"]
#[allow(dead_code, reason = "the benchmark uses all of it")]
mod microphone;
#[path = "../benches/report/voice/script.rs"]
#[allow(dead_code, reason = "the benchmark uses all of it")]
mod script;
#[path = "../benches/report/voice/sound.rs"]
#[allow(dead_code, reason = "the benchmark uses all of it")]
mod sound;
#[path = "../benches/report/voice/words.rs"]
#[allow(dead_code, reason = "the benchmark uses all of it")]
mod words;

use std::path::Path;

use log::{Came, Entry, Said, barged, broken, caption_lags, turn};
use microphone::{FRAME, Microphone, Room};
use script::{Echo, Script};
use serde_json::{Value, json};
use sound::{Chance, first_audible, gained, gap, level, read_wav, speech};
use words::{Errors, errors, words as folded};

#[test]
fn words_as_they_are_compared() {
    let check = |text: &str, expected: &str| {
        assert_eq!(folded(text).join(" "), expected, "{text}");
    };
    check("Ask not, what YOUR country…", "ask not what your country");
    check(
        "it’s due; we can't, won't, didn't",
        "it is due we can not will not did not",
    );
    check("Let's go [applause] (quietly) now", "let us go now");
    check("Um, mm, the boys' hmm", "the boys");
    check("10 or 42 of 07", "ten or forty two of zero seven");
    check("1-0-0 902 oh", "one zero zero nine zero two zero");
    check("mid-turn", "mid turn");
    check(" ?! ", "");
}

#[test]
fn word_errors() {
    let check =
        |said: &str, heard: &str, (substituted, deleted, inserted): (usize, usize, usize)| {
            let found = errors(said, heard);
            let words = folded(said).len();
            let expected = Errors {
                substituted,
                deleted,
                inserted,
                words,
            };
            assert_eq!(found, expected, "{said} / {heard}");
        };
    check("go forward ten meters", "Go forward 10 meters.", (0, 0, 0));
    check("go forward ten meters", "go forward ten metres", (1, 0, 0));
    check("go forward ten meters", "forward meters", (0, 2, 0));
    check("go forward", "go on forward now", (0, 0, 2));
    check("one war is enough", "1 were enough", (1, 1, 0));
    check("", "you", (0, 0, 1));
    check("you", "", (0, 1, 0));
    assert_eq!(errors("", "you").rate(), None);
    assert_eq!(errors("go forward ten meters", "go").rate(), Some(0.75));
}

/// 16 kHz: so many milliseconds of a tone of this level.
fn tone(ms: usize, db: f32) -> Vec<f32> {
    let sine: Vec<f32> = (0..ms * 16).map(|n| (n as f32 * 0.2).sin()).collect();
    gained(&sine, db + 3.01)
}

#[test]
fn what_is_heard_and_where_somebody_speaks() {
    assert!((level(&tone(100, -20.0)) + 20.0).abs() < 0.2);
    assert_eq!(level(&[]), -120.0);
    assert!((level(&gained(&tone(100, -20.0), -12.0)) + 32.0).abs() < 0.2);

    let answer = [vec![0.0; 1600], tone(100, -50.0), tone(100, -40.0)].concat();
    assert_eq!(first_audible(&answer), Some(3200));
    assert_eq!(first_audible(&answer[..3200]), None);

    let mut room = Chance::new(1);
    let mut quiet = |ms: usize| -> Vec<f32> { (0..ms * 16).map(|_| room.noise(-60.0)).collect() };
    // A click, then speech with a pause in it.
    let mut clip = quiet(200);
    clip[800..900].fill(0.5);
    clip.extend([tone(300, -20.0), quiet(400), tone(200, -26.0), quiet(500)].concat());
    let spoken = speech(&clip).unwrap();
    assert_eq!(spoken, 200 * 16..1100 * 16);
    let at = gap(&clip, &spoken);
    assert!((500 * 16..900 * 16).contains(&at), "{at}");
    assert_eq!(speech(&[]), None);
}

#[test]
fn recordings_are_read() {
    let wav = |channels: u8, length: u32, rate: u32| {
        let mut bytes = b"RIFF\xff\xff\xff\xffWAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0\x01\0".to_vec();
        bytes.extend([channels, 0]);
        bytes.extend(rate.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend([2, 0, 16, 0]);
        bytes.extend(b"data");
        bytes.extend(length.to_le_bytes());
        bytes.extend([0, 64, 0, 192]);
        bytes
    };
    assert_eq!(read_wav(&wav(1, 4, 16_000)), Some(vec![0.5, -0.5]));
    assert_eq!(
        read_wav(&wav(1, u32::MAX, 16_000)),
        Some(vec![0.5, -0.5]),
        "streamed"
    );
    assert_eq!(read_wav(&wav(2, 4, 16_000)), None);
    assert_eq!(read_wav(b"RIFF"), None);
    assert_eq!(read_wav(&wav(1, 4, 16_000)[..40]), None);
}

#[test]
fn the_microphone_hears_the_room_the_speaker_and_the_loudspeaker() {
    let echo = Echo {
        gain_db: -6.0206,
        delay_ms: 20,
    };
    let mut microphone = Microphone::new(Room::Silence, Some(echo), 1);
    assert_eq!(microphone.say(&vec![0.25; FRAME + 1]), 0);
    assert_eq!(microphone.say(&[0.25]), FRAME as u64 + 1);
    microphone.played(&vec![0.5; 4 * FRAME], 0);
    assert_eq!(
        microphone.frame(),
        vec![0.25; FRAME],
        "the echo is on its way"
    );
    let second = microphone.frame();
    assert!(
        (second[0] - 0.5).abs() < 1e-4 && (second[2] - 0.25).abs() < 1e-4,
        "{:?}",
        &second[..4]
    );
    microphone.hushed();
    assert!(
        (microphone.frame()[0] - 0.25).abs() < 1e-4,
        "what is in the air is heard"
    );
    assert_eq!(microphone.frame(), vec![0.0; FRAME]);
}

fn told(at: f64, message: Value) -> Entry {
    Entry {
        at,
        came: Came::Told(message),
    }
}

fn state(at: f64, state: &str) -> Entry {
    told(at, json!({ "type": "state", "state": state }))
}

fn answer(at: f64, turn: u64, text: &str, at_ms: u64) -> Entry {
    told(
        at,
        json!({ "type": "answer", "text_delta": text, "turn": turn, "at_ms": at_ms }),
    )
}

fn sound(at: f64, plays_at: f64, samples: Vec<f32>) -> Entry {
    Entry {
        at,
        came: Came::Sound { samples, plays_at },
    }
}

fn done(at: f64, turn: u64) -> Entry {
    told(
        at,
        json!({ "type": "turn_done", "turn": turn, "timings_ms": { "hit": true } }),
    )
}

const SAID: Said = Said {
    onset: 700.0,
    eos: 2000.0,
};

#[test]
fn a_turn_is_read_off_the_log() {
    let quiet_start = [vec![0.0; 50 * 16], tone(250, -20.0)].concat();
    let mut log = vec![
        state(800.0, "hearing"),
        state(2300.0, "thinking"),
        told(
            2310.0,
            json!({ "type": "transcript", "text": "When is rent due?", "turn": 1 }),
        ),
        answer(3000.0, 1, "Let me see. ", 0),
        sound(3000.0, 3000.0, tone(300, -20.0)),
        state(3000.0, "speaking"),
        answer(3400.0, 1, "On the first.", 300),
        sound(3400.0, 3400.0, quiet_start),
        done(3700.0, 1),
        state(3700.0, "listening"),
    ];
    assert!(broken(&log, true).is_empty(), "{:?}", broken(&log, true));
    // Something else is said next.
    log.push(answer(9000.0, 2, "It is not.", 0));
    let found = turn(&log, SAID, f64::INFINITY);
    assert_eq!((found.eou, found.resp), (Some(300.0), Some(700.0)));
    assert_eq!((found.first_sound, found.v2v), (Some(1000.0), Some(1450.0)));
    assert_eq!((found.cut_off, found.hit, found.filled), (0, true, true));
    assert_eq!(found.transcript, "When is rent due?");
    assert_eq!(found.answer, "Let me see. On the first.");

    // Taken to be over in the middle, then once more.
    log.splice(
        1..1,
        [
            state(1200.0, "thinking"),
            told(
                1250.0,
                json!({ "type": "transcript", "text": "So,", "turn": 9 }),
            ),
            answer(1260.0, 9, "Well.", 0),
            sound(1260.0, 1260.0, tone(100, -20.0)),
            told(
                1400.0,
                json!({ "type": "interrupted", "turn": 9, "heard_text": "" }),
            ),
            done(1400.0, 9),
            state(1400.0, "hearing"),
        ],
    );
    let found = turn(&log, SAID, f64::INFINITY);
    assert_eq!((found.cut_off, found.eou), (1, Some(300.0)));
    assert_eq!((found.resp, found.v2v), (Some(700.0), Some(1450.0)));
    assert_eq!(found.answer, "Let me see. On the first.");
    assert_eq!(found.transcript, "So, When is rent due?");
    assert_eq!(turn(&log, SAID, 2000.0).transcript, "So,");

    // Nobody heard it.
    let found = turn(&[], SAID, f64::INFINITY);
    assert_eq!((found.eou, found.v2v), (None, None));
}

#[test]
fn what_speech_into_an_answer_did() {
    let into = Said {
        onset: 5000.0,
        eos: 6000.0,
    };
    let before = [
        answer(4000.0, 1, "It is", 0),
        sound(4900.0, 4900.0, tone(400, -20.0)),
    ];
    let duck = told(5090.0, json!({ "type": "duck", "on": true }));
    let last = sound(5200.0, 5300.0, tone(20, -20.0));
    let interrupted = told(
        5310.0,
        json!({ "type": "interrupted", "turn": 1, "heard_text": "It" }),
    );
    let log = [
        &before[..],
        &[duck.clone(), last.clone(), interrupted, done(5310.0, 1)],
    ]
    .concat();
    let did = barged(&log, into);
    assert_eq!((did.stopped, did.late), (true, false));
    assert_eq!(
        (did.duck, did.last_sent, did.silent),
        (Some(90.0), Some(200.0), Some(310.0))
    );
    assert!(broken(&log, false).is_empty());

    // It went on to its end.
    let log = [&before[..], &[duck, last, done(5600.0, 1)]].concat();
    let did = barged(&log, into);
    assert_eq!(
        (did.stopped, did.duck, did.last_sent),
        (false, Some(90.0), None)
    );

    // It was over before, and what was said is a turn of its own that was interrupted by something else.
    let later = told(
        9000.0,
        json!({ "type": "interrupted", "turn": 2, "heard_text": "" }),
    );
    let log = [&before[..], &[done(4950.0, 1), done(8000.0, 2), later]].concat();
    let did = barged(&log, into);
    assert_eq!((did.stopped, did.late), (false, true));
}

#[test]
fn what_must_hold_of_a_conversation() {
    let hum = || sound(3000.0, 3000.0, tone(20, -20.0));
    let partial = |text: &str| {
        told(
            1000.0,
            json!({ "type": "partial", "text": text, "turn": 1 }),
        )
    };
    let check = |log: &[Entry], over: bool, expected: &str| {
        let found = broken(log, over);
        let right = if expected.is_empty() {
            found.is_empty()
        } else {
            found.iter().any(|broken| broken.contains(expected))
        };
        assert!(right, "{expected:?}: {found:?}");
    };
    check(&[answer(1.0, 1, "a", 0), hum(), done(2.0, 1)], true, "");
    check(&[hum()], false, "of no answer");
    check(
        &[answer(1.0, 1, "a", 0), done(2.0, 1), hum()],
        false,
        "of no answer",
    );
    check(
        &[answer(1.0, 1, "a", 0), done(2.0, 1), answer(3.0, 1, "b", 0)],
        false,
        "after its end",
    );
    check(
        &[answer(1.0, 1, "a", 0), done(2.0, 1), done(3.0, 1)],
        false,
        "ended twice",
    );
    check(&[answer(1.0, 1, "a", 0)], true, "never ended");
    check(&[answer(1.0, 1, "a", 0)], false, "");
    check(&[state(1.0, "thinking")], true, "it stayed thinking");
    check(&[partial("When"), partial("When is")], true, "");
    check(
        &[partial("When is"), partial("When it")],
        true,
        "taken back",
    );
}

#[test]
fn captions_are_timed_by_their_letters() {
    let said = Said {
        onset: 1000.0,
        eos: 2000.0,
    };
    let partial =
        |at: f64, text: &str| told(at, json!({ "type": "partial", "text": text, "turn": 1 }));
    let later = told(
        9000.0,
        json!({ "type": "partial", "text": "one two three four", "turn": 2 }),
    );
    let log = [
        partial(1600.0, "abcd"),
        partial(2500.0, "abcd ef gh"),
        later,
    ];
    // Letters: 4, 6, 8 of 8, so 1500, 1750 and 2000 ms.
    assert_eq!(
        caption_lags(&log, said, "abcd ef gh"),
        [100.0, 750.0, 500.0]
    );
}

#[test]
fn scripts_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/report/voice/scripts");
    let scripts = script::read(&folder).unwrap();
    assert!(scripts.len() >= 8, "there are scripts");
    let turns: usize = scripts.iter().map(|(_, script)| script.turns.len()).sum();
    assert!(turns >= 60, "{turns} turns");
    let check = |text: &str, expected: &str| {
        let error = Script::parse("x", text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    };
    check("about = 'a'\n[[turn]]\nsay = 'b'\nplay = 'c'", "one of");
    check("about = 'a'\n[[turn]]\npause_ms = 1", "one of");
    check(
        "about = 'a'\n[[turn]]\nsay = 'b'\nbarge = { after_ms = 1, stops = true }",
        "one of",
    );
    check("about = 'a'\n[[turn]]\nsai = 'b'", "sai");
    let script = Script::parse("x", "about = 'a'\n[[turn]]\nquestion = 'q01'").unwrap();
    assert_eq!((script.apart, script.room.level_db), (false, -65.0));
}
