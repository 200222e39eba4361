use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const SETTINGS: Settings = Settings {
    faults: 3,
    window: 20,
    span: Duration::from_secs(60),
    least: 10,
    fault_percent: 50,
    slow_percent: 80,
    rest: Duration::from_secs(2),
    longest_rest: Duration::from_secs(30),
    lease: Duration::from_secs(30),
    memory: Duration::from_secs(60),
    proof: Duration::from_secs(5),
    longest_proof: Duration::from_secs(60),
};

/// What happens to a breaker, in a line: `F` `H` `S` `f` a call that ends in a fault, in a missed deadline,
/// slowly, fine; `c` one that is cancelled; `+N` N seconds pass; `w` it is woken; `[` `]` `-` it is held open,
/// held closed, let go. A call that is not admitted is skipped. Jitter is 0.5, so a rest is exactly as
/// long as set.
fn drive(events: &str) -> (Breaker, Instant) {
    let mut breaker = Breaker::new(SETTINGS);
    let mut now = Instant::now();
    for event in events.split_whitespace() {
        if let Some(seconds) = event.strip_prefix('+') {
            now += Duration::from_secs_f64(seconds.parse().unwrap());
            continue;
        }
        match event {
            "w" => breaker.wake(),
            "[" => breaker.hold(Some(Hold::Open)),
            "]" => breaker.hold(Some(Hold::Closed)),
            "-" => breaker.hold(None),
            call => {
                let Ok(permit) = breaker.admit(now) else {
                    continue;
                };
                let outcome = match call {
                    "F" => Outcome::Fault,
                    "H" => Outcome::Hung,
                    "S" => Outcome::Slow,
                    "f" => Outcome::Fine,
                    "c" => {
                        breaker.forget(permit);
                        continue;
                    }
                    other => panic!("no such event: {other}"),
                };
                breaker.record(now, permit, outcome, 0.5);
            }
        }
    }
    (breaker, now)
}

#[track_caller]
fn check(events: &str, expected: &str) {
    let (breaker, now) = drive(events);
    let standing = match breaker.standing(now) {
        Standing::Closed => "closed".to_owned(),
        Standing::Open(until) => format!("open {}", (until - now).as_secs_f64()),
        Standing::HalfOpen => "half open".to_owned(),
    };
    assert_eq!(standing, expected, "after {events}");
}

#[test]
fn faults_in_a_row_open_it_and_one_missed_deadline_does() {
    check("", "closed");
    check("F F", "closed");
    check("F F F", "open 2");
    check("F F f F F f F F", "closed");
    check("F F c c c c c c c c", "closed");
    check("F F c F", "open 2");
    check("H", "open 2");
    check("f f f f f f f H", "open 2");
}

#[test]
fn the_window_opens_it_at_its_rates() {
    // Half of ten calls; of nine it says nothing.
    check("F f F f F f F f F", "closed");
    check("F f F f F f F f F f", "closed");
    check("F f F f F f F f f F F", "open 2");
    // One in three is borne for ever.
    check(&"F f f ".repeat(30), "closed");
    check(&"S ".repeat(9), "closed");
    check(&"S ".repeat(10), "open 2");
    check(&"S S f ".repeat(10), "closed");
    // Slow answers and faults together.
    check("f f S S S F S S S F", "open 2");
    // Twenty good ones push the bad ones out of the window.
    check(
        &format!("{}{}F f F f F f F f", "F f ".repeat(4), "f ".repeat(20)),
        "closed",
    );
    // What is older than the window's span does not count.
    check("F f F f F f F f +61 F f", "closed");
}

#[test]
fn rests_longer_each_time_up_to_the_cap() {
    check("F F F +1 F +1", "half open");
    check("F F F +2 F", "open 4");
    check("F F F +2 F +4 H", "open 8");
    check("F F F +2 F +4 F +8 F +16 F", "open 30");
    check("F F F +2 F +4 F +8 F +16 F +30 F", "open 30");
    // Slow answers repeat the rest, they do not lengthen it.
    check("F F F +2 S", "open 2");
    check("F F F +2 F +4 S", "open 4");
}

#[test]
fn recovers_by_one_good_probe() {
    check("F F F +2 f", "closed");
    check("F F F +2 c", "half open");
    check("F F F +2 c f", "closed");
    check("F F F w", "half open");
    check("F F F w f", "closed");
    check("F F F w F", "open 4");
    check("w", "closed");
    // The window begins empty.
    check("F F F +2 f F F", "closed");
}

#[test]
fn one_that_flaps_has_to_prove_itself_for_longer() {
    let flapped = "F F F +2 f F F F +2";
    check(&format!("{flapped} f"), "half open");
    check(&format!("{flapped} f +4 f"), "half open");
    check(&format!("{flapped} f +5 f"), "closed");
    check(&format!("{flapped} f +4 F"), "open 4");
    check(&format!("{flapped} f +4 F +4 f +4 f"), "half open");
    let again = format!("{flapped} f +5 f F F F +2");
    check(&format!("{again} f +5 f"), "half open");
    check(&format!("{again} f +10 f"), "closed");
    // After a minute of work nothing is held against it.
    check("F F F +2 f +61 F F F +2 f", "closed");
}

#[test]
fn an_operator_holds_it_whatever_its_calls_say() {
    check("[", "open 30");
    check("[ +600 f f f", "open 30");
    check("] F F F F H H", "closed");
    check("F F F ]", "closed");
    // Let go, it finds out.
    check("[ -", "half open");
    check("[ - f", "closed");
    check("[ - F", "open 2");
    check("] F F F -", "closed");
    check("] F F F - F F", "closed");
    check("-", "closed");
}

#[test]
fn calls_that_were_out_when_it_was_held_do_not_count() {
    let now = Instant::now();
    let mut breaker = Breaker::new(SETTINGS);
    let early = breaker.admit(now).unwrap();
    breaker.hold(Some(Hold::Closed));
    breaker.hold(None);
    assert_eq!(breaker.record(now, early, Outcome::Hung, 0.5), None);
    assert_eq!(breaker.standing(now), Standing::Closed);
}

#[test]
fn beside_a_prober_nobody_finds_out_by_waiting() {
    let (mut breaker, now) = drive("F F F");
    assert_eq!(
        breaker.admit_when_closed(now),
        Err(now + Duration::from_secs(2))
    );
    let later = now + Duration::from_secs(3);
    assert_eq!(
        breaker.admit_when_closed(later),
        Err(later + SETTINGS.rest),
        "half open, and the probe is another's"
    );
    let probe = breaker.admit(later).unwrap();
    breaker.record(later, probe, Outcome::Fine, 0.5);
    assert!(!breaker.admit_when_closed(later).unwrap().is_probe());
}

#[test]
fn answers_of_calls_that_began_before_it_opened_do_not_count() {
    let now = Instant::now();
    let mut breaker = Breaker::new(SETTINGS);
    let early = breaker.admit(now).unwrap();
    let early_too = breaker.admit(now).unwrap();
    for _ in 0..3 {
        let permit = breaker.admit(now).unwrap();
        breaker.record(now, permit, Outcome::Fault, 0.5);
    }
    let later = now + Duration::from_secs(2);
    let probe = breaker.admit(later).unwrap();
    assert!(probe.is_probe());
    assert_eq!(breaker.record(later, early, Outcome::Fine, 0.5), None);
    assert_eq!(breaker.record(later, early_too, Outcome::Fault, 0.5), None);
    assert_eq!(breaker.standing(later), Standing::HalfOpen);
    assert_eq!(
        breaker.record(later, probe, Outcome::Fine, 0.5),
        Some(Change::Closed)
    );
}

#[test]
fn a_lost_probe_is_given_out_again_and_its_late_answer_is_ignored() {
    let now = Instant::now();
    let (mut breaker, _) = drive("F F F");
    let after_rest = now + Duration::from_secs(3);
    let lost = breaker.admit(after_rest).unwrap();
    assert_eq!(
        breaker.admit(after_rest),
        Err(after_rest + SETTINGS.lease),
        "one probe at a time"
    );
    let after_lease = after_rest + SETTINGS.lease;
    let second = breaker.admit(after_lease).unwrap();
    assert_eq!(
        breaker.record(after_lease, lost, Outcome::Fault, 0.5),
        None,
        "the lost one's answer"
    );
    assert_eq!(
        breaker.record(after_lease, second, Outcome::Fine, 0.5),
        Some(Change::Closed)
    );
}

#[test]
fn a_probe_that_gets_somewhere_keeps_its_lease() {
    let now = Instant::now();
    let (mut breaker, _) = drive("F F F");
    let after_rest = now + Duration::from_secs(3);
    let probe = breaker.admit(after_rest).unwrap();
    let nearly = after_rest + SETTINGS.lease - Duration::from_secs(1);
    breaker.renew(nearly, &probe);
    assert_eq!(
        breaker.admit(after_rest + SETTINGS.lease),
        Err(nearly + SETTINGS.lease)
    );
}

#[test]
fn jitter_spreads_the_rest_around_its_length_and_under_the_cap() {
    for (jitter, seconds) in [(0.0, 1.5), (0.5, 2.0), (0.999_999, 2.499_999)] {
        let now = Instant::now();
        let mut breaker = Breaker::new(SETTINGS);
        for _ in 0..3 {
            let permit = breaker.admit(now).unwrap();
            breaker.record(now, permit, Outcome::Fault, jitter);
        }
        let Standing::Open(until) = breaker.standing(now) else {
            panic!("open after three faults");
        };
        assert!(((until - now).as_secs_f64() - seconds).abs() < 1e-3);
    }
}

/// A small generator (xorshift64*), so that a million calls are the same million each time.
fn dice(mut state: u64) -> impl FnMut(u64) -> u64 {
    move |sides| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    }
}

#[test]
fn a_million_healthy_calls_never_open_it() {
    // Healthy: one call in a thousand fails, one in twenty is slow, at any rate of calls.
    let mut dice = dice(5);
    let mut now = Instant::now();
    let mut breaker = Breaker::new(Settings::default());
    for call in 0..1_000_000 {
        now += Duration::from_millis(dice(200));
        let permit = breaker.admit(now).unwrap();
        let outcome = match dice(1000) {
            0 => Outcome::Fault,
            1..=50 => Outcome::Slow,
            _ => Outcome::Fine,
        };
        assert_eq!(
            breaker.record(now, permit, outcome, 0.5),
            None,
            "call {call}"
        );
    }
}

#[test]
fn one_that_flaps_changes_at_most_six_times_a_minute() {
    // Every length of being up and down that a minute has room for, asked and probed twice a second.
    for up in 1..40 {
        for down in 1..40 {
            let mut breaker = Breaker::new(Settings::default());
            let began = Instant::now();
            let mut changes: VecDeque<Instant> = VecDeque::new();
            for half_second in 0..1200_u32 {
                let now = began + Duration::from_millis(500) * half_second;
                let works = half_second % (up + down) >= down;
                for _ in 0..3 {
                    let Ok(permit) = breaker.admit(now) else {
                        continue;
                    };
                    let outcome = if works { Outcome::Fine } else { Outcome::Fault };
                    if let Some(Change::Opened(_) | Change::Closed) =
                        breaker.record(now, permit, outcome, 0.5)
                    {
                        changes.push_back(now);
                    }
                }
                while changes
                    .front()
                    .is_some_and(|at| now - *at >= Duration::from_secs(60))
                {
                    changes.pop_front();
                }
                assert!(
                    changes.len() <= 6,
                    "{} changes within a minute, up {up} and down {down} half seconds",
                    changes.len()
                );
            }
        }
    }
}

/// One step of an arbitrary history in which calls overlap.
#[derive(Debug, Clone)]
enum Step {
    Ask,
    /// Ends one of the calls that are out.
    End(prop::sample::Index, Outcome),
    Cancel(prop::sample::Index),
    Renew(prop::sample::Index),
    Wake,
    Hold(Option<Hold>),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Fault),
        1 => Just(Outcome::Hung),
        1 => Just(Outcome::Slow),
        2 => Just(Outcome::Fine)
    ];
    let hold = prop_oneof![
        1 => Just(Some(Hold::Open)),
        1 => Just(Some(Hold::Closed)),
        4 => Just(None)
    ];
    prop_oneof![
        12 => Just(Step::Ask),
        12 => (any::<prop::sample::Index>(), outcome).prop_map(|(which, how)| Step::End(which, how)),
        2 => any::<prop::sample::Index>().prop_map(Step::Cancel),
        2 => any::<prop::sample::Index>().prop_map(Step::Renew),
        2 => Just(Step::Wake),
        1 => hold.prop_map(Step::Hold),
        6 => (0_u64..40_000).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    /// Whatever happens in whatever order: while resting nobody is admitted; half open, one; a rest
    /// ends within the cap; only a counted outcome opens or closes; one that is held stays as it is held.
    #[test]
    fn keeps_its_promises(steps in prop::collection::vec(step(), 0..200), jitter in 0.0..1.0_f64) {
        let mut now = Instant::now();
        let mut breaker = Breaker::new(SETTINGS);
        let mut out: Vec<Permit> = Vec::new();
        let mut probe_given_at: Option<Instant> = None;
        for step in steps {
            let before = breaker.standing(now);
            match step {
                Step::Ask => match (breaker.admit(now), before) {
                    (Ok(permit), Standing::Closed) => {
                        prop_assert!(!permit.is_probe());
                        out.push(permit);
                    }
                    (Ok(permit), Standing::HalfOpen) => {
                        prop_assert!(permit.is_probe());
                        if let Some(at) = probe_given_at {
                            prop_assert!(now >= at + SETTINGS.lease, "two probes at once");
                        }
                        probe_given_at = Some(now);
                        out.push(permit);
                    }
                    (Ok(_), Standing::Open(_)) => prop_assert!(false, "admitted while resting"),
                    (Err(until), Standing::Open(rest)) => prop_assert_eq!(until, rest),
                    (Err(until), Standing::HalfOpen) => prop_assert!(until > now),
                    (Err(_), Standing::Closed) => prop_assert!(false, "closed, and not admitted"),
                },
                Step::End(which, outcome) if !out.is_empty() => {
                    let permit = out.swap_remove(which.index(out.len()));
                    let was_probe = permit.is_probe();
                    let was_current = breaker.is_current(&permit);
                    let change = breaker.record(now, permit, outcome, jitter);
                    prop_assert!(change.is_none() || (was_current && breaker.held().is_none()));
                    if was_probe && was_current {
                        probe_given_at = None;
                    }
                    match change {
                        Some(Change::Opened(until)) => {
                            prop_assert_eq!(before, Standing::Closed);
                            prop_assert!(outcome != Outcome::Fine);
                            prop_assert!(until > now && until <= now + SETTINGS.longest_rest);
                        }
                        Some(Change::Reopened(until)) => {
                            prop_assert!(was_probe && outcome != Outcome::Fine);
                            prop_assert!(until > now && until <= now + SETTINGS.longest_rest);
                        }
                        Some(Change::Closed) => prop_assert!(was_probe && outcome == Outcome::Fine),
                        None => prop_assert_eq!(breaker.standing(now), before),
                    }
                }
                Step::Cancel(which) if !out.is_empty() => {
                    let permit = out.swap_remove(which.index(out.len()));
                    if permit.is_probe() && breaker.is_current(&permit) {
                        probe_given_at = None;
                    }
                    breaker.forget(permit);
                    prop_assert_eq!(breaker.standing(now), before, "a cancelled call counted");
                }
                Step::Renew(which) if !out.is_empty() => {
                    let permit = &out[which.index(out.len())];
                    if permit.is_probe() && breaker.is_current(permit) {
                        probe_given_at = Some(now);
                    }
                    breaker.renew(now, permit);
                    prop_assert_eq!(breaker.standing(now), before);
                }
                Step::Wake => {
                    let held = breaker.held();
                    breaker.wake();
                    match before {
                        Standing::Open(_) if held.is_none() => {
                            prop_assert_eq!(breaker.standing(now), Standing::HalfOpen);
                            probe_given_at = None;
                        }
                        // A rest that was over: whoever asks next is the probe, as before.
                        Standing::HalfOpen if probe_given_at.is_none() => {}
                        _ => prop_assert_eq!(breaker.standing(now), before),
                    }
                }
                Step::Hold(hold) => {
                    breaker.hold(hold);
                    match hold {
                        Some(Hold::Open) => prop_assert!(breaker.admit(now).is_err()),
                        Some(Hold::Closed) => prop_assert!(breaker.admit(now).is_ok_and(|p| !p.is_probe())),
                        None => {}
                    }
                    if !matches!((hold, breaker.standing(now)), (None, Standing::HalfOpen)) || before != Standing::HalfOpen {
                        probe_given_at = None;
                    }
                }
                Step::Pass(millis) => now += Duration::from_millis(millis),
                Step::End(..) | Step::Cancel(_) | Step::Renew(_) => {}
            }
        }
        // It never gives up for good: after the longest rest and the longest lease somebody may ask.
        breaker.hold(None);
        now += SETTINGS.longest_rest + SETTINGS.lease;
        prop_assert!(breaker.admit(now).is_ok());
    }
}
