//! Whether a part is asked at all, decided from how its calls ended.
//!
//! A value: it knows no clock, no task and no part. Time and randomness are arguments, so that every
//! order of events can be tried in a test.
//!
//! Faults fill a bucket and good answers drain it. A full bucket opens the breaker: the part rests,
//! and callers are told at once until when instead of waiting for one more timeout. After the rest
//! one call goes through as a probe; its answer closes the breaker or begins a longer rest.

use std::time::{Duration, Instant};

/// How a call ended, as far as the part is to blame for it. Calls that were cancelled or refused,
/// and those that our own overload kept waiting, have no outcome: see [`Breaker::forget`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// No answer, or a broken one.
    Fault,
    /// A good answer, late.
    Slow,
    /// A good answer.
    Fine,
}

/// When to open and for how long to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The bucket's size. A fault adds 2, a slow answer 1, a fine one takes 1 away: 6 means three
    /// faults in a row, or more than one fault in three over time.
    pub bucket: u32,
    /// The first rest. Each probe that fails doubles it.
    pub rest: Duration,
    /// No rest is longer, jitter included.
    pub longest_rest: Duration,
    /// A probe that was not answered for so long is given to somebody else.
    pub lease: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bucket: 6,
            rest: Duration::from_secs(2),
            longest_rest: Duration::from_secs(60),
            lease: Duration::from_secs(30),
        }
    }
}

/// The right to one call. It belongs to the period it was given in: when the breaker has opened or
/// closed since, or the probe was given to somebody else, what became of the call counts no more.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "record what became of the call, or forget it"]
pub struct Permit {
    period: u64,
    probe: Option<u64>,
}

impl Permit {
    /// Whether this call decides if the part is asked again.
    pub fn is_probe(&self) -> bool {
        self.probe.is_some()
    }
}

/// What a record changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The part worked and now rests until the instant.
    Opened(Instant),
    /// The probe failed: the part rests on.
    Reopened(Instant),
    /// The part is asked as usual again.
    Closed,
}

/// Where the breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Everybody may ask.
    Closed,
    /// Nobody may ask before the instant.
    Open(Instant),
    /// One may ask, to find out.
    HalfOpen,
}

/// A circuit breaker. See the module.
#[derive(Debug)]
pub struct Breaker {
    settings: Settings,
    state: State,
    /// Goes up with every change of state; permits of earlier periods are stale.
    period: u64,
    /// Numbers the probes, so that one given out again is told from the one that was lost.
    probes: u64,
    /// Rests in a row; the exponent of the next. A breaker that opens again soon after it closed
    /// goes on where it was.
    rests: u32,
}

#[derive(Debug)]
enum State {
    Closed {
        filled: u32,
        /// When the last rest ended, for as long as that matters.
        recovered: Option<Instant>,
    },
    Open {
        until: Instant,
    },
    HalfOpen {
        /// The probe that is out, and when its lease ends.
        out: Option<(u64, Instant)>,
    },
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            state: State::Closed {
                filled: 0,
                recovered: None,
            },
            period: 0,
            probes: 0,
            rests: 0,
        }
    }

    /// Asks for a call.
    ///
    /// # Errors
    /// The instant before which asking again is of no use.
    pub fn admit(&mut self, now: Instant) -> Result<Permit, Instant> {
        match self.state {
            State::Closed { .. } => Ok(Permit {
                period: self.period,
                probe: None,
            }),
            State::Open { until } if now < until => Err(until),
            State::Open { .. } => {
                self.period += 1;
                Ok(self.give_probe(now))
            }
            State::HalfOpen {
                out: Some((_, lease_ends)),
            } if now < lease_ends => Err(lease_ends),
            State::HalfOpen { .. } => Ok(self.give_probe(now)),
        }
    }

    fn give_probe(&mut self, now: Instant) -> Permit {
        self.probes += 1;
        self.state = State::HalfOpen {
            out: Some((self.probes, now + self.settings.lease)),
        };
        Permit {
            period: self.period,
            probe: Some(self.probes),
        }
    }

    /// Whether the permit's outcome still counts.
    fn is_current(&self, permit: &Permit) -> bool {
        if permit.period != self.period {
            return false;
        }
        match (&self.state, permit.probe) {
            (State::Closed { .. }, None) => true,
            (State::HalfOpen { out }, Some(number)) => {
                out.is_some_and(|(current, _)| current == number)
            }
            _ => false,
        }
    }

    /// Takes in how a call ended. `jitter` in `[0, 1)` spreads the end of a rest over ±25 %, so that
    /// many clients of one server do not come back at the same moment.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a permit is used up: its call has one outcome"
    )]
    pub fn record(
        &mut self,
        now: Instant,
        permit: Permit,
        outcome: Outcome,
        jitter: f64,
    ) -> Option<Change> {
        if !self.is_current(&permit) {
            return None;
        }
        match (&mut self.state, outcome) {
            (State::Closed { filled, recovered }, _) => {
                *filled = match outcome {
                    Outcome::Fault => (*filled + 2).min(self.settings.bucket),
                    Outcome::Slow => (*filled + 1).min(self.settings.bucket),
                    Outcome::Fine => filled.saturating_sub(1),
                };
                if *filled < self.settings.bucket {
                    return None;
                }
                let soon_after = recovered.is_some_and(|at| {
                    now.saturating_duration_since(at) < self.settings.longest_rest
                });
                self.rests = if soon_after { self.rests + 1 } else { 1 };
                Some(Change::Opened(self.open(now, jitter)))
            }
            (State::HalfOpen { .. }, Outcome::Fine) => {
                self.period += 1;
                self.state = State::Closed {
                    filled: 0,
                    recovered: Some(now),
                };
                Some(Change::Closed)
            }
            // It works, but as badly as when it was given a rest: the same rest once more.
            (State::HalfOpen { .. }, Outcome::Slow) => {
                Some(Change::Reopened(self.open(now, jitter)))
            }
            (State::HalfOpen { .. }, Outcome::Fault) => {
                self.rests += 1;
                Some(Change::Reopened(self.open(now, jitter)))
            }
            (State::Open { .. }, _) => None,
        }
    }

    fn open(&mut self, now: Instant, jitter: f64) -> Instant {
        let doubled = self.rests.saturating_sub(1).min(16);
        let rest = self.settings.rest.saturating_mul(1 << doubled);
        let rest = rest
            .min(self.settings.longest_rest)
            .mul_f64(0.75 + jitter.clamp(0.0, 1.0) / 2.0)
            .min(self.settings.longest_rest);
        let until = now + rest;
        self.period += 1;
        self.state = State::Open { until };
        until
    }

    /// Gives a permit back without an outcome: the call was cancelled, refused, or never made. A
    /// probe given back may be given out again at once.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a permit is used up: its call has one outcome"
    )]
    pub fn forget(&mut self, permit: Permit) {
        if self.is_current(&permit)
            && let State::HalfOpen { out } = &mut self.state
        {
            *out = None;
        }
    }

    /// Says that a call is still getting somewhere, which begins its probe's lease anew.
    pub fn renew(&mut self, now: Instant, permit: &Permit) {
        if self.is_current(permit)
            && let State::HalfOpen {
                out: Some((_, lease_ends)),
            } = &mut self.state
        {
            *lease_ends = now + self.settings.lease;
        }
    }

    /// Ends a rest at once, because something is known to have changed (a child was started anew).
    /// The next call is the probe.
    pub fn wake(&mut self) {
        if let State::Open { .. } = self.state {
            self.period += 1;
            self.state = State::HalfOpen { out: None };
        }
    }

    /// Where it stands. A rest that is over counts as half open though nobody has asked yet.
    #[must_use]
    pub fn standing(&self, now: Instant) -> Standing {
        match self.state {
            State::Closed { .. } => Standing::Closed,
            State::Open { until } if now < until => Standing::Open(until),
            State::Open { .. } | State::HalfOpen { .. } => Standing::HalfOpen,
        }
    }

    /// Whether anything speaks against the part: it rests, or its last answers were not all good.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        !matches!(self.state, State::Closed { filled: 0, .. })
    }
}

#[cfg(test)]
mod tests;
