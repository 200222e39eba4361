//! Conversations as scripts: what is done, and what the session says to it.

mod calls;
mod ends;
mod interruptions;
mod long;
mod manual;

use super::*;
use crate::voice::{
    hallucination::Hypothesis,
    turn::{Detection, Patience},
};

/// One line of a script: `speak 640`, `hush 320`, `words …`, `judged 0.99`, `clause 1000 …`, `done`, …;
/// words and judgements answer the newest call.
fn play(session: &mut Session, script: &[&str]) -> Vec<String> {
    let mut log: Vec<String> = Vec::new();
    let (mut job, mut judge, mut reply) = (JobId(0), JobId(0), ReplyId(0));
    for line in script {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let own = |speech, level, own| Event::Heard(Frame { speech, level, own });
        let frame = |speech, level| own(speech, level, 0);
        let part = |part| vec![Event::Reply { reply, part }];
        let hypothesis = Hypothesis {
            text: rest.to_owned(),
            no_speech: 0.1,
            avg_logprob: -0.2,
            looped: false,
        };
        let frames = || rest.parse::<usize>().unwrap() / 32;
        let events = match verb {
            "speak" => vec![frame(0.95, -20.0); frames()],
            "echo" => vec![frame(0.9, -32.0); frames()],
            // Our own voice, as loud as a person's, known by its sound from the frame on that finds it out.
            "found" => vec![own(0.95, -20.0, rest.parse().unwrap())],
            "own" => vec![own(0.95, -20.0, FRAME_MS); frames()],
            "hush" => vec![frame(0.02, -70.0); frames()],
            "words" => vec![Event::Transcribed {
                job,
                hypothesis,
                cost: 200,
            }],
            "judged" => vec![Event::Judged {
                job: judge,
                over: rest.parse().unwrap(),
            }],
            "clause" => {
                let (sound, text) = rest.split_once(' ').unwrap();
                part(Part::Clause {
                    text: format!("{text} "),
                    sound: sound.parse().unwrap(),
                })
            }
            "fill" => part(Part::Acknowledgement {
                text: "Let me see. ".to_owned(),
                sound: 500,
            }),
            "call" => part(Part::Call),
            "done" => part(Part::Done),
            "returned" => vec![Event::Returned],
            "typed" => vec![Event::Typed(rest.to_owned())],
            "commit" => vec![Event::Commit],
            "respond" | "respond-with" => vec![Event::Respond {
                question: None,
                own_tools: verb == "respond-with",
            }],
            "interrupt" => vec![Event::Interrupt],
            "truncated" => vec![Event::Truncated {
                reply,
                heard: rest.parse().unwrap(),
            }],
            "passed" => vec![Event::Passed(20); rest.parse::<usize>().unwrap() / 20],
            "manual" => vec![Event::Tuned(MANUAL)],
            "taken-over" => vec![Event::TakenOver],
            "handed-back" => vec![Event::HandedBack],
            other => panic!("{other} is no step"),
        };
        for event in events {
            for effect in session.on(event) {
                let said = match effect {
                    Effect::State(word) => format!("[{}]", word.as_str()),
                    Effect::SpeechStarted { turn, at } => format!("started {} at {at}", turn.0),
                    Effect::SpeechStopped { turn, at } => format!("stopped {} at {at}", turn.0),
                    Effect::Committed { .. } | Effect::ForgetJob(_) => continue,
                    Effect::Caption { text, .. } => format!("caption{text}|"),
                    Effect::Transcript { text, .. } => format!("transcript {text}"),
                    Effect::Dismissed { why, .. } => format!("dismissed {why:?}"),
                    Effect::Transcribe {
                        job: new, whole, ..
                    } => {
                        job = new;
                        if whole { "whole?" } else { "look?" }.to_owned()
                    }
                    Effect::Judge { job: new, .. } => {
                        judge = new;
                        continue;
                    }
                    Effect::Foresee { .. } => continue,
                    Effect::Ask {
                        reply: new,
                        question,
                        guess,
                        ..
                    } => {
                        reply = new;
                        format!("{} {question}", if guess { "guess" } else { "ask" })
                    }
                    Effect::Relay {
                        reply: new,
                        question,
                        ..
                    } => {
                        reply = new;
                        format!("relay {question}")
                    }
                    Effect::Call { .. } => "call".to_owned(),
                    Effect::Drop { why, .. } => format!("drop {why:?}"),
                    Effect::Acknowledge { .. } => "fill?".to_owned(),
                    Effect::Began { guessed, .. } => format!("began guessed={guessed}"),
                    Effect::Say { text, .. } => format!("say {}", text.trim()),
                    Effect::Cite { citation, .. } => format!("cite {citation}"),
                    // The pacer's steps as one.
                    Effect::Send { sound, .. } => match log.last_mut() {
                        Some(last) if last.starts_with("sent ") => {
                            *last = format!("sent to {}", sound.end);
                            continue;
                        }
                        _ => format!("sent to {}", sound.end),
                    },
                    Effect::Duck(on) => format!("duck {on}"),
                    Effect::Flush { .. } => "flush".to_owned(),
                    Effect::Ended {
                        end,
                        heard,
                        heard_ms,
                        ..
                    } => {
                        format!("ended {end:?} {heard_ms} ms: {heard}")
                    }
                    Effect::Corrected { heard, .. } => format!("corrected: {heard}"),
                    Effect::Resumed { echo } => format!("resumed echo={echo}"),
                    Effect::Refused(why) => format!("refused {why:?}"),
                };
                log.push(said);
            }
        }
    }
    log
}

/// A turn that ends in an answer being spoken.
const ANSWERING: [&str; 5] = [
    "speak 640",
    "hush 96",
    "words When is rent due?",
    "clause 2000 Rent is due on the first day of each month.",
    "judged 0.99",
];

/// Plays `before` and then `script`, and compares what is said to the latter.
fn check(before: &[&str], script: &[&str], expected: &[&str]) {
    check_with(Tuning::default(), before, script, expected);
}

fn check_with(tuning: Tuning, before: &[&str], script: &[&str], expected: &[&str]) {
    let skipped = play(&mut Session::new(tuning), before).len();
    let whole = [before, script].concat();
    let log = play(&mut Session::new(tuning), &whole);
    assert_eq!(log[skipped..], *expected, "{script:?}");
}

#[test]
fn a_turn_and_its_answer_guessed_before_it_was_over() {
    check(
        &[],
        &[&ANSWERING[..], &["hush 128", "done", "hush 2016"]].concat(),
        &[
            "started 1 at 0",
            "[hearing]",
            "look?",
            "whole?",
            "guess When is rent due?",
            "stopped 1 at 640",
            "transcript When is rent due?",
            "began guessed=true",
            "say Rent is due on the first day of each month.",
            "sent to 300",
            "[speaking]",
            "sent to 2000",
            "ended Completed 2000 ms: Rent is due on the first day of each month.",
            "[listening]",
        ],
    );
}

#[test]
fn a_guess_that_was_wrong_is_never_known() {
    check(
        &ANSWERING[..4],
        &[
            "speak 320",
            "hush 96",
            "words When is rent due for the garage?",
            "judged 0.99",
            "hush 128",
            "clause 900 On Monday.",
        ],
        &[
            "drop WentOn",
            "look?",
            "whole?",
            "guess When is rent due for the garage?",
            "stopped 1 at 1056",
            "transcript When is rent due for the garage?",
            "began guessed=true",
            "[thinking]",
            "say On Monday.",
            "sent to 300",
            "[speaking]",
        ],
    );
}

#[test]
fn words_are_asked_for_early_and_are_a_look_if_the_speaker_goes_on() {
    // On their way when speech goes on: the first of two hypotheses that agree.
    check(
        &["speak 640"],
        &[
            "hush 64",
            "speak 64",
            "words When is the rent",
            "speak 384",
            "words When is the rent for the flat due?",
        ],
        &["whole?", "look?", "captionWhen is the|"],
    );
    // There already: whatever was begun on the strength of them is dropped.
    check(
        &["speak 640", "hush 64"],
        &["words When is rent due?", "speak 32"],
        &["guess When is rent due?", "drop WentOn"],
    );
    // The turn ends with them.
    check(
        &["speak 640", "hush 64"],
        &[
            "hush 32",
            "words When is rent due?",
            "judged 0.99",
            "hush 128",
        ],
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
fn a_slow_answer_is_announced_once() {
    let before = ["typed When is rent due?", "passed 680"];
    check(
        &before,
        &[
            "passed 40",
            "fill",
            "clause 500 Monday.",
            "done",
            "passed 1200",
        ],
        &[
            "fill?",
            "say Let me see.",
            "sent to 300",
            "[speaking]",
            "say Monday.",
            "sent to 1000",
            "ended Completed 1000 ms: Monday.",
            "[listening]",
        ],
    );
    let twice = [
        &before[..],
        &["passed 40", "fill", "done", "passed 600", "typed And dogs?"],
    ]
    .concat();
    check(&twice, &["passed 2000"], &[]);
}

/// The client says when a turn ends, and when it is answered.
const MANUAL: Tuning = Tuning {
    detection: Detection::Manual,
    threshold: 0.5,
    preroll: 300,
    respond: false,
    interruptible: true,
    interrupt_after: 224,
    acknowledge: true,
    hears: true,
};

#[test]
fn half_a_question_is_foreseen_once() {
    let mut session = Session::new(Tuning::default());
    let mut foreseen = Vec::new();
    let mut job = None;
    let frame = Frame {
        speech: 0.95,
        level: -20.0,
        own: 0,
    };
    let looks = [
        "When is",
        "When is the rent",
        "when is the rent,",
        "When is the rent for",
    ];
    let mut looks = looks.into_iter();
    while foreseen.len() < 2 {
        for effect in session.on(Event::Heard(frame)) {
            match effect {
                Effect::Transcribe { job: new, .. } => job = Some(new),
                Effect::Foresee { question } => foreseen.push(question),
                Effect::Ask { .. } => panic!("nothing is asked yet"),
                _ => {}
            }
        }
        let Some(job) = job.take() else { continue };
        let hypothesis = Hypothesis {
            text: looks.next().expect("two are foreseen").to_owned(),
            no_speech: 0.1,
            avg_logprob: -0.2,
            looped: false,
        };
        let cost = 100;
        let learned = session.on(Event::Transcribed {
            job,
            hypothesis,
            cost,
        });
        foreseen.extend(learned.into_iter().filter_map(|effect| match effect {
            Effect::Foresee { question } => Some(question),
            _ => None,
        }));
    }
    assert_eq!(foreseen, ["When is the rent", "When is the rent for"]);
}
