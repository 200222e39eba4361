//! When a process that ended is started again. A value: time and randomness are arguments.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How patient to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Before the first restart. Each further one waits twice as long.
    pub first: Duration,
    /// No wait between restarts is longer, jitter included.
    pub longest: Duration,
    /// So many restarts…
    pub most: usize,
    /// …within so long are one too many: the process is given up for a while.
    pub within: Duration,
    /// How long a process that was given up is left alone before it gets another chance.
    pub given_up: Duration,
    /// A process that ran for so long counts as healthy: its end begins anew with `first`.
    pub healthy: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(5),
            most: 5,
            within: Duration::from_secs(10),
            given_up: Duration::from_secs(60),
            healthy: Duration::from_secs(10),
        }
    }
}

/// What to do about an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Start it again after the wait.
    Restart(Duration),
    /// It ended too often: tell people, and try once more after the wait.
    GiveUp(Duration),
}

/// The ends of one process.
#[derive(Debug)]
pub struct Restarts {
    patience: Patience,
    /// When it was restarted lately, oldest first.
    lately: VecDeque<Instant>,
    in_a_row: u32,
}

impl Restarts {
    /// No end yet.
    #[must_use]
    pub fn new(patience: Patience) -> Self {
        Self {
            patience,
            lately: VecDeque::new(),
            in_a_row: 0,
        }
    }

    /// Takes in that the process ended at `now` after it ran for `ran`. `jitter` in `[0, 1)` spreads
    /// the wait over ±25 %.
    pub fn ended(&mut self, now: Instant, ran: Duration, jitter: f64) -> Next {
        let Patience {
            first,
            longest,
            most,
            within,
            given_up,
            healthy,
        } = self.patience;
        if ran >= healthy {
            self.in_a_row = 0;
        }
        while self
            .lately
            .front()
            .is_some_and(|at| now.saturating_duration_since(*at) > within)
        {
            self.lately.pop_front();
        }
        if self.lately.len() >= most {
            self.lately.clear();
            self.in_a_row = 0;
            return Next::GiveUp(given_up);
        }
        let wait = first
            .saturating_mul(1 << self.in_a_row.min(16))
            .min(longest)
            .mul_f64(0.75 + jitter.clamp(0.0, 1.0) / 2.0)
            .min(longest);
        self.in_a_row += 1;
        self.lately.push_back(now + wait);
        Next::Restart(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ends after the given seconds of running each; what came of it, with waits in milliseconds.
    #[track_caller]
    fn check(ran: &[f64], expected: &[&str]) {
        let mut restarts = Restarts::new(Patience::default());
        let mut now = Instant::now();
        let mut seen = Vec::new();
        for seconds in ran {
            let ran = Duration::from_secs_f64(*seconds);
            now += ran;
            let (word, wait) = match restarts.ended(now, ran, 0.5) {
                Next::Restart(wait) => ("restart", wait),
                Next::GiveUp(wait) => ("give up", wait),
            };
            now += wait;
            seen.push(format!("{word} {}", wait.as_millis()));
        }
        assert_eq!(seen, expected);
    }

    #[test]
    fn waits_longer_each_time() {
        check(
            &[0.0, 0.0, 0.0],
            &["restart 100", "restart 200", "restart 400"],
        );
    }

    #[test]
    fn gives_up_on_the_sixth_end_within_ten_seconds() {
        check(
            &[0.0; 7],
            &[
                "restart 100",
                "restart 200",
                "restart 400",
                "restart 800",
                "restart 1600",
                "give up 60000",
                "restart 100",
            ],
        );
    }

    #[test]
    fn goes_on_with_one_that_ends_rarely() {
        check(
            &[3.0; 6],
            &[
                "restart 100",
                "restart 200",
                "restart 400",
                "restart 800",
                "restart 1600",
                "restart 3200",
            ],
        );
        check(
            &[0.0, 0.0, 11.0],
            &["restart 100", "restart 200", "restart 100"],
        );
    }

    #[test]
    fn jitter_spreads_the_wait_under_the_cap() {
        for (jitter, millis) in [(0.0, 75), (0.5, 100), (0.999_99, 124)] {
            let mut restarts = Restarts::new(Patience::default());
            let next = restarts.ended(Instant::now(), Duration::ZERO, jitter);
            let Next::Restart(wait) = next else {
                panic!("the first end is followed by a restart, not by {next:?}");
            };
            assert_eq!(wait.as_millis(), millis);
        }
    }
}
