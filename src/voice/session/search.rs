//! Every short sequence of events from every state, and many long ones: whatever happens, in whatever order,
//! the promises of the session hold.

mod world;

use proptest::prelude::*;

use super::*;
use world::World;

/// What may happen, in steps as large as the machine's thresholds.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Move {
    Speak(u8),
    /// Our own voice, known by its sound.
    Own(u8),
    Hush(u8),
    /// The oldest call of the transcriber is answered.
    Words(&'static str),
    NoWords,
    Judged(bool),
    Clause,
    Fill,
    Call,
    Done,
    Broken,
    /// A call of before has brought something.
    Returned,
    /// Late news of an answer that is gone, and of a job that is.
    Late,
    Typed,
    Commit,
    Respond,
    Clear,
    Interrupt,
    Truncated,
    TakenOver,
    HandedBack,
    Manual,
    Auto,
}

const CLAUSE: &str = "Rent is due on the first day. ";
const QUESTION: &str = "When is the deposit paid back?";

const MOVES: &[Move] = &[
    Move::Speak(3),
    Move::Speak(10),
    Move::Own(10),
    Move::Hush(4),
    Move::Hush(25),
    Move::Words(QUESTION),
    Move::Words("Stop."),
    Move::Words(CLAUSE),
    Move::Words(""),
    Move::NoWords,
    Move::Judged(true),
    Move::Judged(false),
    Move::Clause,
    Move::Fill,
    Move::Call,
    Move::Done,
    Move::Broken,
    Move::Returned,
    Move::Late,
    Move::Typed,
    Move::Commit,
    Move::Respond,
    Move::Clear,
    Move::Interrupt,
    Move::Truncated,
    Move::TakenOver,
    Move::HandedBack,
    Move::Manual,
    Move::Auto,
];

/// Ways into each of the states.
fn roots() -> Vec<(&'static str, Vec<Move>)> {
    let pause = vec![Move::Speak(10), Move::Speak(10), Move::Hush(4)];
    let guess = [pause.clone(), vec![Move::Words(QUESTION)]].concat();
    let thinking = [guess.clone(), vec![Move::Judged(true), Move::Hush(4)]].concat();
    let speaking = [thinking.clone(), vec![Move::Clause]].concat();
    vec![
        ("idle", vec![]),
        ("listening", vec![Move::Speak(10)]),
        ("maybe-end", pause.clone()),
        ("guessing", [guess, vec![Move::Clause]].concat()),
        ("words awaited", [pause, vec![Move::Hush(25)]].concat()),
        ("thinking", thinking.clone()),
        ("speaking", speaking.clone()),
        ("ducked", [speaking.clone(), vec![Move::Speak(3)]].concat()),
        ("called", [thinking, vec![Move::Fill, Move::Call]].concat()),
        ("paused", [speaking, vec![Move::Speak(10)]].concat()),
        ("handoff", vec![Move::TakenOver, Move::Speak(10)]),
        ("manual", vec![Move::Manual, Move::Speak(10)]),
    ]
}

fn explore(world: &World, depth: u8, path: &mut Vec<Move>, nodes: &mut usize) {
    *nodes += 1;
    if depth == 0 {
        return;
    }
    for made in MOVES {
        path.push(*made);
        let mut next = world.clone();
        let met = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            next.make(*made);
            if depth <= 2 {
                next.clone().settles();
            }
        }));
        assert!(met.is_ok(), "after {path:?}");
        explore(&next, depth - 1, path, nodes);
        path.pop();
    }
}

#[test]
fn nothing_breaks_within_three_moves_of_any_state() {
    let mut nodes = 0;
    for (name, root) in roots() {
        let mut world = World::new();
        for made in &root {
            world.make(*made);
        }
        explore(&world, 3, &mut root.clone(), &mut nodes);
        assert!(nodes > 0, "{name}");
    }
    // 12 states, 29 moves: 12 · (1 + 29 + 29² + 29³).
    assert_eq!(nodes, 303_120);
}

#[test]
fn the_roots_are_the_states() {
    let check = |name: &str, expected: Word| {
        let (_, root) = roots().into_iter().find(|(root, _)| *root == name).unwrap();
        let mut world = World::new();
        for made in root {
            world.make(made);
        }
        assert_eq!(world.session.word(), expected, "{name}");
    };
    check("idle", Word::Listening);
    check("listening", Word::Hearing);
    check("maybe-end", Word::Hearing);
    check("guessing", Word::Hearing);
    check("words awaited", Word::Thinking);
    check("thinking", Word::Thinking);
    check("speaking", Word::Speaking);
    check("called", Word::Speaking);
    check("ducked", Word::Speaking);
    check("paused", Word::Speaking);
    check("handoff", Word::Handoff);
    check("manual", Word::Hearing);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn nothing_breaks_in_long_conversations(
        moves in prop::collection::vec(prop::sample::select(MOVES), 1..150)
    ) {
        let mut world = World::new();
        for made in moves {
            world.make(made);
        }
        world.settles();
    }
}
