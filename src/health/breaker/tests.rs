use proptest::prelude::*;

use super::*;

const SETTINGS: Settings = Settings {
    bucket: 6,
    rest: Duration::from_secs(2),
    longest_rest: Duration::from_secs(60),
    lease: Duration::from_secs(30),
};

/// What happens to a breaker, in a line: `F` `S` `f` a call that ends in a fault, slowly, fine;
/// `c` one that is cancelled; `+N` N seconds pass; `w` it is woken. A call that is not admitted is
/// skipped. Jitter is 0.5, so a rest is exactly as long as set.
fn drive(events: &str) -> (Breaker, Instant) {
    let mut breaker = Breaker::new(SETTINGS);
    let mut now = Instant::now();
    for event in events.split_whitespace() {
        if let Some(seconds) = event.strip_prefix('+') {
            now += Duration::from_secs_f64(seconds.parse().unwrap());
            continue;
        }
        if event == "w" {
            breaker.wake();
            continue;
        }
        let Ok(permit) = breaker.admit(now) else {
            continue;
        };
        let outcome = match event {
            "F" => Outcome::Fault,
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
fn opens_on_faults_and_not_on_anything_else() {
    check("", "closed");
    check("F F", "closed");
    check("F F F", "open 2");
    check("S S S S S", "closed");
    check("S S S S S S", "open 2");
    // One fault in three is borne for ever, one in two is not.
    check("F f f F f f F f f F f f F f f F f f F", "closed");
    check("F f F f F f F f F", "open 2");
    check("F F c c c c c c c c", "closed");
    check("F F c F", "open 2");
}

#[test]
fn rests_longer_each_time_up_to_the_cap() {
    check("F F F +1 F +1", "half open");
    check("F F F +2 F", "open 4");
    check("F F F +2 F +4 F", "open 8");
    check("F F F +2 F +4 F +8 F +16 F +32 F", "open 60");
    check("F F F +2 F +4 F +8 F +16 F +32 F +60 F", "open 60");
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
    // The bucket begins empty.
    check("F F F +2 f F F", "closed");
}

#[test]
fn a_part_that_flaps_goes_on_resting_longer() {
    check("F F F +2 f F F F", "open 4");
    check("F F F +2 f F F F +4 f F F F", "open 8");
    check("F F F +2 f +61 F F F", "open 2");
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

/// One step of an arbitrary history in which calls overlap.
#[derive(Debug, Clone)]
enum Step {
    Ask,
    /// Ends one of the calls that are out.
    End(prop::sample::Index, Outcome),
    Cancel(prop::sample::Index),
    Renew(prop::sample::Index),
    Wake,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Fault),
        1 => Just(Outcome::Slow),
        2 => Just(Outcome::Fine)
    ];
    prop_oneof![
        6 => Just(Step::Ask),
        6 => (any::<prop::sample::Index>(), outcome).prop_map(|(which, how)| Step::End(which, how)),
        1 => any::<prop::sample::Index>().prop_map(Step::Cancel),
        1 => any::<prop::sample::Index>().prop_map(Step::Renew),
        1 => Just(Step::Wake),
        3 => (0_u64..40_000).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    /// Whatever happens in whatever order: while resting nobody is admitted; half open, one; a rest
    /// ends within the cap; only a counted outcome opens or closes; an unsuspicious breaker admits.
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
                    match breaker.record(now, permit, outcome, jitter) {
                        Some(Change::Opened(until)) => {
                            prop_assert_eq!(before, Standing::Closed);
                            prop_assert!(outcome != Outcome::Fine);
                            prop_assert!(until > now && until <= now + SETTINGS.longest_rest);
                        }
                        Some(Change::Reopened(until)) => {
                            prop_assert!(was_probe && outcome != Outcome::Fine);
                            prop_assert!(until > now && until <= now + SETTINGS.longest_rest);
                            probe_given_at = None;
                        }
                        Some(Change::Closed) => {
                            prop_assert!(was_probe && outcome == Outcome::Fine);
                            probe_given_at = None;
                        }
                        None => prop_assert_eq!(breaker.standing(now), before),
                    }
                }
                Step::Cancel(which) if !out.is_empty() => {
                    let permit = out.swap_remove(which.index(out.len()));
                    let was_current = breaker.is_current(&permit);
                    if permit.is_probe() && was_current {
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
                    breaker.wake();
                    if let Standing::Open(_) = before {
                        prop_assert_eq!(breaker.standing(now), Standing::HalfOpen);
                        probe_given_at = None;
                    }
                }
                Step::Pass(millis) => now += Duration::from_millis(millis),
                Step::End(..) | Step::Cancel(_) | Step::Renew(_) => {}
            }
        }
        // It never gives up for good: after the longest rest and the longest lease somebody may ask.
        now += SETTINGS.longest_rest + SETTINGS.lease;
        prop_assert!(breaker.admit(now).is_ok());
    }
}
