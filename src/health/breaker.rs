//! Whether a part is asked at all, decided from how its calls ended.
//!
//! A value: it knows no clock, no task and no part. Time and randomness are arguments, so that every
//! order of events can be tried in a test.
//!
//! Faults in a row open it, and so does a window of the last calls in which too many were faults or
//! slow. Open, the part rests, and callers are told at once until when instead of waiting for one more
//! timeout. After the rest one call goes through as a probe; its answer closes the breaker or begins a
//! longer rest. A part that flaps has to prove itself for longer each time before it is believed.

mod window;

use std::time::{Duration, Instant};

use window::Window;

/// How a call ended, as far as the part is to blame for it. Calls that were cancelled or refused,
/// and those that our own overload kept waiting, have no outcome: see [`Breaker::forget`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// No answer, or a broken one.
    Fault,
    /// No answer within a whole deadline: nobody should have to wait for a second one.
    Hung,
    /// A good answer, late.
    Slow,
    /// A good answer.
    Fine,
}

/// When to open and for how long to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// So many faults in a row open it.
    pub faults: u32,
    /// The window holds this many calls at most…
    pub window: usize,
    /// …and none that ended longer ago.
    pub span: Duration,
    /// With fewer calls the window says nothing.
    pub least: usize,
    /// Percent of the window's calls that may be faults; at this share it opens.
    pub fault_percent: usize,
    /// Percent of the window's calls that may be slow or faults; at this share it opens.
    pub slow_percent: usize,
    /// The first rest. Each probe that fails doubles it.
    pub rest: Duration,
    /// No rest is longer, jitter included: how late a recovery is noticed at most.
    pub longest_rest: Duration,
    /// A probe that was not answered for so long is given to somebody else.
    pub lease: Duration,
    /// One that opens again within so long flaps.
    pub memory: Duration,
    /// How long the probes of one that flaps have to go well before it closes. Doubles each time.
    pub proof: Duration,
    pub longest_proof: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            faults: 3,
            window: 50,
            span: Duration::from_secs(60),
            least: 10,
            fault_percent: 50,
            slow_percent: 80,
            rest: Duration::from_millis(500),
            longest_rest: Duration::from_secs(2),
            lease: Duration::from_secs(30),
            memory: Duration::from_secs(60),
            proof: Duration::from_secs(10),
            longest_proof: Duration::from_secs(60),
        }
    }
}

/// How an operator holds a breaker, whatever its calls say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Nobody asks the part.
    Open,
    /// Everybody may ask it.
    Closed,
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
    held: Option<Hold>,
    /// Goes up with every change of state; permits of earlier periods are stale.
    period: u64,
    /// Numbers the probes, so that one given out again is told from the one that was lost.
    probes: u64,
    /// Rests in a row; the exponent of the next.
    rests: u32,
    /// How often it opened again soon after it had closed.
    flaps: u32,
}

#[derive(Debug)]
enum State {
    Closed {
        window: Window,
        /// When the last rest ended.
        recovered: Option<Instant>,
    },
    Open {
        until: Instant,
    },
    HalfOpen {
        /// The probe that is out, and when its lease ends.
        out: Option<(u64, Instant)>,
        /// Since when the probes go well.
        good_since: Option<Instant>,
    },
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            state: State::Closed {
                window: Window::default(),
                recovered: None,
            },
            held: None,
            period: 0,
            probes: 0,
            rests: 0,
            flaps: 0,
        }
    }

    /// Asks for a call.
    ///
    /// # Errors
    /// The instant before which asking again is of no use.
    pub fn admit(&mut self, now: Instant) -> Result<Permit, Instant> {
        let plain = Permit {
            period: self.period,
            probe: None,
        };
        match (self.held, &self.state) {
            (Some(Hold::Open), _) => Err(now + self.settings.longest_rest),
            (Some(Hold::Closed), _) | (None, State::Closed { .. }) => Ok(plain),
            (None, State::Open { until }) if now < *until => Err(*until),
            (None, State::Open { .. }) => {
                self.period += 1;
                Ok(self.give_probe(now, None))
            }
            (
                None,
                State::HalfOpen {
                    out: Some((_, lease_ends)),
                    ..
                },
            ) if now < *lease_ends => Err(*lease_ends),
            (None, State::HalfOpen { good_since, .. }) => Ok(self.give_probe(now, *good_since)),
        }
    }

    /// Asks for a call that is no probe: only a closed breaker gives one. For callers beside somebody
    /// who probes, so that none of them has to find out by waiting.
    ///
    /// # Errors
    /// The instant by which a probe may have changed that.
    pub fn admit_when_closed(&mut self, now: Instant) -> Result<Permit, Instant> {
        match self.standing(now) {
            Standing::Closed => self.admit(now),
            Standing::Open(until) => Err(until),
            Standing::HalfOpen => Err(now + self.settings.rest),
        }
    }

    fn give_probe(&mut self, now: Instant, good_since: Option<Instant>) -> Permit {
        self.probes += 1;
        self.state = State::HalfOpen {
            out: Some((self.probes, now + self.settings.lease)),
            good_since,
        };
        Permit {
            period: self.period,
            probe: Some(self.probes),
        }
    }

    /// Whether the permit's outcome still counts.
    fn is_current(&self, permit: &Permit) -> bool {
        if permit.period != self.period || self.held.is_some() {
            return false;
        }
        match (&self.state, permit.probe) {
            (State::Closed { .. }, None) => true,
            (State::HalfOpen { out, .. }, Some(number)) => {
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
            (State::Closed { window, recovered }, _) => {
                window.take_in(now, outcome, &self.settings);
                // A good answer opens nothing, however bad those before it were.
                if outcome == Outcome::Fine || !window.is_bad(&self.settings) {
                    return None;
                }
                let flapped = recovered
                    .is_some_and(|at| now.saturating_duration_since(at) < self.settings.memory);
                self.flaps = if flapped { self.flaps + 1 } else { 0 };
                self.rests = 1;
                Some(Change::Opened(self.open(now, jitter)))
            }
            (State::HalfOpen { out, good_since }, Outcome::Fine) => {
                let since = *good_since.get_or_insert(now);
                *out = None;
                if now.saturating_duration_since(since) < self.proof_wanted() {
                    return None;
                }
                self.period += 1;
                self.state = State::Closed {
                    window: Window::default(),
                    recovered: Some(now),
                };
                Some(Change::Closed)
            }
            // It works, but as badly as when it was given a rest: the same rest once more.
            (State::HalfOpen { .. }, Outcome::Slow) => {
                Some(Change::Reopened(self.open(now, jitter)))
            }
            (State::HalfOpen { .. }, Outcome::Fault | Outcome::Hung) => {
                self.rests += 1;
                Some(Change::Reopened(self.open(now, jitter)))
            }
            (State::Open { .. }, _) => None,
        }
    }

    /// How long its probes have to go well before it closes.
    fn proof_wanted(&self) -> Duration {
        match self.flaps {
            0 => Duration::ZERO,
            flaps => self
                .settings
                .proof
                .saturating_mul(1 << (flaps - 1).min(16))
                .min(self.settings.longest_proof),
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
            && let State::HalfOpen { out, .. } = &mut self.state
        {
            *out = None;
        }
    }

    /// Says that a call is still getting somewhere, which begins its probe's lease anew.
    pub fn renew(&mut self, now: Instant, permit: &Permit) {
        if self.is_current(permit)
            && let State::HalfOpen {
                out: Some((_, lease_ends)),
                ..
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
            self.state = State::HalfOpen {
                out: None,
                good_since: None,
            };
        }
    }

    /// Holds it, or lets it go. Calls that are out when that happens do not count. One that was held open
    /// is found out about by a probe.
    pub fn hold(&mut self, held: Option<Hold>) {
        if self.held == held {
            return;
        }
        self.period += 1;
        match self.held {
            Some(Hold::Open) => {
                self.state = State::HalfOpen {
                    out: None,
                    good_since: None,
                }
            }
            Some(Hold::Closed) => {
                self.state = State::Closed {
                    window: Window::default(),
                    recovered: None,
                }
            }
            None => {}
        }
        self.held = held;
    }

    /// Whether an operator holds it.
    #[must_use]
    pub fn held(&self) -> Option<Hold> {
        self.held
    }

    /// Where it stands. A rest that is over counts as half open though nobody has asked yet.
    #[must_use]
    pub fn standing(&self, now: Instant) -> Standing {
        match (self.held, &self.state) {
            (Some(Hold::Open), _) => Standing::Open(now + self.settings.longest_rest),
            (Some(Hold::Closed), _) | (None, State::Closed { .. }) => Standing::Closed,
            (None, State::Open { until }) if now < *until => Standing::Open(*until),
            (None, State::Open { .. } | State::HalfOpen { .. }) => Standing::HalfOpen,
        }
    }

    /// Whether anything speaks against the part: it rests, or its last answers were not all good.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        match &self.state {
            State::Closed { window, .. } => window.is_suspect(),
            State::Open { .. } | State::HalfOpen { .. } => true,
        }
    }
}

#[cfg(test)]
mod tests;
