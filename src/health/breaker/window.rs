//! What the last calls say. A value, as the breaker is.

use std::{collections::VecDeque, time::Instant};

use super::{Outcome, Settings};

/// The last calls of a closed breaker.
#[derive(Debug, Default)]
pub(super) struct Window {
    calls: VecDeque<(Instant, Outcome)>,
    faults: usize,
    slow: usize,
    in_a_row: u32,
}

impl Window {
    pub(super) fn take_in(&mut self, now: Instant, outcome: Outcome, settings: &Settings) {
        self.count(outcome, 1);
        self.calls.push_back((now, outcome));
        while let Some((at, oldest)) = self.calls.front().copied()
            && (self.calls.len() > settings.window
                || now.saturating_duration_since(at) > settings.span)
        {
            self.calls.pop_front();
            self.count(oldest, -1);
        }
        self.in_a_row = match outcome {
            Outcome::Fault | Outcome::Hung => self.in_a_row + 1,
            Outcome::Slow | Outcome::Fine => 0,
        };
    }

    fn count(&mut self, outcome: Outcome, change: isize) {
        let counter = match outcome {
            Outcome::Fault | Outcome::Hung => &mut self.faults,
            Outcome::Slow => &mut self.slow,
            Outcome::Fine => return,
        };
        *counter = counter.saturating_add_signed(change);
    }

    /// Whether it speaks for a rest.
    pub(super) fn is_bad(&self, settings: &Settings) -> bool {
        if self.in_a_row >= settings.faults || matches!(self.calls.back(), Some((_, Outcome::Hung)))
        {
            return true;
        }
        let calls = self.calls.len();
        calls >= settings.least
            && (self.faults * 100 >= calls * settings.fault_percent
                || (self.faults + self.slow) * 100 >= calls * settings.slow_percent)
    }

    /// Whether the last calls were not all good.
    pub(super) fn is_suspect(&self) -> bool {
        let last = self.calls.iter().rev().take(2);
        last.into_iter()
            .any(|(_, outcome)| *outcome != Outcome::Fine)
    }
}
