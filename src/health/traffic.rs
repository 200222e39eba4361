//! How questions and calls went in the last minutes: what alerts look at. A value: time is an argument.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Questions and calls further back do not count.
const SPAN: Duration = Duration::from_secs(60);

/// Kept at most of each kind; at more than this a minute the oldest say no more than the newest.
const KEPT: usize = 4096;

/// The last minute.
#[derive(Debug, Default)]
pub struct Traffic {
    /// When each question ended, how long it took, and whether it was answered.
    questions: VecDeque<(Instant, Duration, bool)>,
    faults: VecDeque<Instant>,
}

/// What the last minute came to.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LastMinute {
    pub questions: usize,
    /// Questions that got no answer at any level.
    pub failed: usize,
    /// The time that nineteen of twenty questions took at most.
    pub slowest: Duration,
    /// Calls of parts that ended in a fault.
    pub faults: usize,
}

impl Traffic {
    /// A question ended.
    pub fn asked(&mut self, now: Instant, took: Duration, answered: bool) {
        push(&mut self.questions, (now, took, answered));
    }

    /// A call of a part ended in a fault.
    pub fn faulted(&mut self, now: Instant) {
        push(&mut self.faults, now);
    }

    /// What the minute before `now` came to.
    pub fn last_minute(&self, now: Instant) -> LastMinute {
        let lately = |at: &Instant| now.saturating_duration_since(*at) <= SPAN;
        let questions: Vec<_> = self
            .questions
            .iter()
            .filter(|(at, ..)| lately(at))
            .collect();
        let mut took: Vec<Duration> = questions.iter().map(|(_, took, _)| *took).collect();
        took.sort_unstable();
        LastMinute {
            questions: questions.len(),
            failed: questions.iter().filter(|(.., answered)| !answered).count(),
            slowest: took
                .get((took.len() * 95).div_ceil(100).saturating_sub(1))
                .copied()
                .unwrap_or_default(),
            faults: self.faults.iter().filter(|at| lately(at)).count(),
        }
    }
}

fn push<T>(kept: &mut VecDeque<T>, one: T) {
    if kept.len() == KEPT {
        kept.pop_front();
    }
    kept.push_back(one);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_minute_counts() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut traffic = Traffic::default();
        assert_eq!(traffic.last_minute(at(0)), LastMinute::default());
        traffic.asked(at(0), Duration::from_secs(9), false);
        traffic.faulted(at(0));
        for second in 1..=20 {
            traffic.asked(at(30), Duration::from_secs(second), second != 3);
            traffic.faulted(at(30));
        }
        assert_eq!(
            traffic.last_minute(at(61)),
            LastMinute {
                questions: 20,
                failed: 1,
                slowest: Duration::from_secs(19),
                faults: 20,
            }
        );
        assert_eq!(traffic.last_minute(at(91)).questions, 0);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut traffic = Traffic::default();
        let now = Instant::now();
        for _ in 0..2 * KEPT {
            traffic.asked(now, Duration::ZERO, true);
        }
        assert_eq!(traffic.last_minute(now).questions, KEPT);
    }
}
