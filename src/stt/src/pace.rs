//! How many threads one transcript gets. Somebody who waits for words wants all cores; but where others use them
//! too, more threads than cores that are free wait for each other at whisper.cpp's barriers, and all get slower. So
//! each run says how much of its cores it had.

use std::time::Duration;

/// The share of its cores that a run with all of them must have had for the next to be worth it. Measured on two
/// cores: 390 ms with one thread, 225 with two, so two threads win as long as they have 58 % of both.
const HAD: f64 = 0.65;
/// Runs with few threads before all cores are tried again.
const REST: u32 = 4;
/// Runs shorter than this say nothing: processor time comes in ticks of ten milliseconds.
const TELLING: Duration = Duration::from_millis(60);

/// Keeps count.
#[derive(Debug)]
pub struct Pace {
    few: usize,
    all: usize,
    /// Runs that still have few threads.
    rest: u32,
}

impl Pace {
    /// `few` threads where others are at work, `all` where nobody is.
    pub fn new(few: usize, all: usize) -> Self {
        Self {
            few,
            all: all.max(few),
            rest: 0,
        }
    }

    /// The threads of the next run. A look while somebody still speaks is in no hurry.
    pub fn threads(&self, partial: bool) -> usize {
        if partial || self.rest > 0 {
            self.few
        } else {
            self.all
        }
    }

    /// A run that counts has ended, or was given up.
    pub fn ran(&mut self, threads: usize, wall: Duration, cpu: Duration) {
        self.rest = self.rest.saturating_sub(1);
        let had = cpu.as_secs_f64() / (wall.as_secs_f64() * threads as f64);
        if threads > self.few && wall >= TELLING && had < HAD {
            self.rest = REST;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_cores_while_they_are_free() {
        let mut pace = Pace::new(1, 2);
        let mut run = |cpu: u64, expected: usize| {
            let threads = pace.threads(false);
            assert_eq!(threads, expected);
            pace.ran(
                threads,
                Duration::from_millis(200),
                Duration::from_millis(cpu),
            );
        };
        run(390, 2);
        run(280, 2);
        // Somebody else had half of them.
        run(210, 2);
        for _ in 0..REST {
            run(200, 1);
        }
        run(390, 2);
        run(390, 2);
        assert_eq!(pace.threads(true), 1);
    }

    #[test]
    fn short_runs_say_nothing() {
        let mut pace = Pace::new(2, 4);
        pace.ran(4, Duration::from_millis(20), Duration::ZERO);
        assert_eq!(pace.threads(false), 4);
        assert_eq!(Pace::new(4, 1).threads(false), 4);
    }
}
