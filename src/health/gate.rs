//! A deadline and a breaker around one call, and around a reply that streams.
//!
//! Every call through a gate ends: with its result, with [`PortError::TimedOut`], or at once with
//! [`PortError::Resting`]. What the breaker makes of it, by the error's case alone: unavailable and
//! timed out are faults; refused, resting and dropped calls never count.

mod watched;

use std::{
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};
use tracing::{Span, field::Empty};
use watched::Watched;

use super::{
    board::{BreakerState, Slot},
    breaker::{Breaker, Change, Hold, Outcome, Permit, Settings, Standing},
};
use crate::{
    domain::{Component, spread::jitter},
    ports::{ChatStream, PortError, Work},
};

/// How long a part may take to say that it is there.
const GLANCE: Duration = Duration::from_secs(2);

/// How long a part may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For a whole call, or until a stream's first item.
    pub first: Duration,
    /// For a glance: does it listen?
    pub glance: Duration,
    /// Between two items of a stream, waiting for its reader not included.
    pub between: Duration,
    /// For writing, per call (a batch of points, a flush).
    pub write: Duration,
    /// For opening, which may load an index or weights.
    pub open: Duration,
    /// The breaker.
    pub breaker: Settings,
}

impl Limits {
    /// For a part whose calls take `call` at most; writing may take six times as long, opening a
    /// hundred times.
    #[must_use]
    pub fn call(call: Duration) -> Self {
        Self {
            first: call,
            glance: GLANCE.min(call),
            between: call,
            write: call * 6,
            open: call * 100,
            breaker: Settings {
                // A probe has ended, or been given up, before it is given out again.
                lease: call * 2,
                ..Settings::default()
            },
        }
    }

    /// For a part that streams.
    #[must_use]
    pub fn stream(first: Duration, between: Duration) -> Self {
        Self {
            between,
            breaker: Settings {
                lease: first.max(between) * 2,
                ..Settings::default()
            },
            ..Self::call(first)
        }
    }

    /// With another breaker.
    #[must_use]
    pub fn breaker(mut self, breaker: Settings) -> Self {
        self.breaker = breaker;
        self
    }
}

/// The gate of one part. Shared by everybody who calls the part.
#[derive(Debug)]
pub struct Gate {
    slot: Slot,
    limits: Limits,
    /// Never held across an await.
    breaker: Mutex<Breaker>,
    /// Somebody probes it: then no caller has to find out by waiting.
    probed: AtomicBool,
    /// Wakes whoever probes it, when a caller met a fault.
    noticed: Notify,
    /// Somebody waited for their turn in vain: others may be at it for long, or it hangs.
    doubted: AtomicBool,
    /// When a caller last got an answer.
    answered_at: Mutex<Option<Instant>>,
}

impl Gate {
    /// A gate whose breaker is closed, and which writes what it sees to `slot`.
    #[must_use]
    pub fn new(slot: Slot, limits: Limits) -> Arc<Self> {
        let gate = Arc::new(Self {
            slot,
            limits,
            breaker: Mutex::new(Breaker::new(limits.breaker)),
            probed: AtomicBool::new(false),
            noticed: Notify::new(),
            doubted: AtomicBool::new(false),
            answered_at: Mutex::new(None),
        });
        gate.slot.operated_by(&gate);
        gate
    }

    /// The part's place on the board.
    pub(super) fn slot(&self) -> &Slot {
        &self.slot
    }

    /// The component behind it.
    #[must_use]
    pub fn component(&self) -> Component {
        self.slot.component()
    }

    /// How long the part may take.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        // The breaker is valid between its methods.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a call that may take `limit`. Dropping the future cancels the call, which does not count.
    ///
    /// # Errors
    /// The call's own; [`PortError::TimedOut`]; [`PortError::Resting`] without making it.
    pub async fn call<T>(
        self: &Arc<Self>,
        limit: Duration,
        call: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, PortError> {
        let pass = self.admit(Asker::Caller)?;
        self.watched(pass, limit, call).await
    }

    /// As [`Self::call`], once it is this call's turn. Waiting for that has the same limit, and counts neither
    /// for nor against the part; after a wait in vain its probe finds out whether it works.
    ///
    /// # Errors
    /// As [`Self::call`], and [`PortError::Busy`].
    pub async fn in_turn<'a, T>(
        self: &Arc<Self>,
        limit: Duration,
        turn: impl Future<Output = Result<Work<'a, T>, PortError>>,
    ) -> Result<T, PortError> {
        // Nobody waits for a part that rests.
        drop(self.admit(Asker::Caller)?);
        let Ok(work) = tokio::time::timeout(limit, turn).await else {
            self.doubted.store(true, Ordering::Relaxed);
            self.noticed.notify_one();
            return Err(PortError::Busy {
                component: self.component(),
            });
        };
        self.call(limit, work?).await
    }

    /// A call that nobody waits for. A part that rests is not asked; else it counts neither for nor against the part,
    /// because what gives way to everything may take any time.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn aside<T>(
        self: &Arc<Self>,
        call: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, PortError> {
        drop(self.admit(Asker::Caller)?);
        call.await
    }

    /// As [`Self::call`], for whoever probes the part: it is asked whenever a probe is due.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(super) async fn probe(
        self: &Arc<Self>,
        limit: Duration,
        call: impl Future<Output = Result<(), PortError>>,
    ) -> Result<(), PortError> {
        let pass = self.admit(Asker::Prober)?;
        self.watched(pass, limit, call).await
    }

    async fn watched<T>(
        &self,
        mut pass: Pass,
        limit: Duration,
        call: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, PortError> {
        let began = Instant::now();
        let result = self.in_time(limit, call).await;
        match &result {
            Ok(_) => pass.answered(began.elapsed(), limit),
            Err(error) => pass.failed(error),
        }
        result
    }

    /// Asks something that shows less than a real call does (does it listen?). A fault counts; a good
    /// answer does not, or a server that lists its models while generation hangs would pass as well.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn glance(
        self: &Arc<Self>,
        call: impl Future<Output = Result<(), PortError>>,
    ) -> Result<(), PortError> {
        let mut pass = self.admit(Asker::Prober)?;
        let result = self.in_time(self.limits.glance, call).await;
        match &result {
            Ok(()) => self.slot.glanced(Ok(())),
            Err(PortError::Refused { reason, .. }) => self.slot.glanced(Err(reason)),
            Err(error) => pass.failed(error),
        }
        result
    }

    /// Begins a reply and watches it to its end: its first item within `limits.first` of the
    /// beginning, each further one within `limits.between`. Dropping the stream cancels it, which
    /// does not count.
    ///
    /// # Errors
    /// As [`Self::call`]; once begun, the stream itself ends with the error.
    pub async fn stream(
        self: &Arc<Self>,
        begin: impl Future<Output = Result<ChatStream, PortError>>,
    ) -> Result<ChatStream, PortError> {
        let mut pass = self.admit(Asker::Caller)?;
        let began = Instant::now();
        match self.in_time(self.limits.first, begin).await {
            Ok(inner) => Ok(Box::pin(Watched {
                inner,
                timer: Box::pin(tokio::time::sleep_until(began + self.limits.first)),
                limit: self.limits.first,
                armed: true,
                began,
                first: None,
                pass: Some(pass),
            })),
            Err(error) => {
                pass.failed(&error);
                Err(error)
            }
        }
    }

    async fn in_time<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, PortError> {
        tokio::time::timeout(limit, call)
            .await
            .unwrap_or(Err(PortError::TimedOut {
                component: self.component(),
                limit,
            }))
    }

    fn admit(self: &Arc<Self>, asker: Asker) -> Result<Pass, PortError> {
        let now = Instant::now();
        let mut breaker = self.breaker();
        let admitted = match asker {
            Asker::Caller if self.probed.load(Ordering::Relaxed) => {
                breaker.admit_when_closed(now.into_std())
            }
            Asker::Caller | Asker::Prober => breaker.admit(now.into_std()),
        };
        match admitted {
            Ok(permit) => {
                if permit.is_probe() {
                    self.show(&breaker);
                }
                Ok(Pass {
                    gate: Arc::clone(self),
                    permit: Some(permit),
                    asker,
                    span: match asker {
                        Asker::Prober => Span::none(),
                        Asker::Caller => tracing::info_span!(
                            target: "griot::trace", "call",
                            otel.name = self.component().as_str(), otel.kind = "client",
                            outcome = Empty, otel.error = Empty,
                        ),
                    },
                })
            }
            Err(until) => {
                if asker == Asker::Caller {
                    self.slot.rejected();
                }
                Err(PortError::Resting {
                    component: self.component(),
                    retry_after: until.saturating_duration_since(now.into_std()),
                })
            }
        }
    }

    /// Ends a rest because the part is known to have changed, for example to have been restarted.
    pub fn wake(&self) {
        let mut breaker = self.breaker();
        breaker.wake();
        self.show(&breaker);
    }

    /// An operator holds the breaker open or closed, or lets it go.
    pub fn hold(&self, held: Option<Hold>) {
        let mut breaker = self.breaker();
        if held == Some(Hold::Open) {
            self.slot.faulted("an operator holds its breaker open");
        }
        breaker.hold(held);
        self.show(&breaker);
        drop(breaker);
        self.noticed.notify_one();
    }

    /// Says that somebody probes the part from now on.
    pub(super) fn is_probed(&self) {
        self.probed.store(true, Ordering::Relaxed);
    }

    /// Until a caller meets a fault, or an operator did something.
    pub(super) async fn noticed(&self) {
        self.noticed.notified().await;
    }

    /// Whether somebody waited in vain since this was asked last.
    pub(super) fn was_doubted(&self) -> bool {
        self.doubted.swap(false, Ordering::Relaxed)
    }

    /// Whether a caller got an answer within the last `span`.
    pub(super) fn answered_within(&self, span: Duration) -> bool {
        let at = *self.lock(&self.answered_at);
        at.is_some_and(|at| at.elapsed() <= span)
    }

    fn lock<'a, T>(&self, what: &'a Mutex<T>) -> MutexGuard<'a, T> {
        what.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anything speaks against the part. A part that nothing speaks against needs no proof
    /// that it works.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.breaker().is_suspect()
    }

    /// Writes the breaker's standing to the board; the breaker is still locked, so that the board
    /// sees changes in their order.
    fn show(&self, breaker: &Breaker) {
        let state = match breaker.standing(Instant::now().into_std()) {
            Standing::Closed => BreakerState::Closed,
            Standing::Open(_) => BreakerState::Open,
            Standing::HalfOpen => BreakerState::HalfOpen,
        };
        self.slot.breaker(
            state,
            state == BreakerState::Closed && breaker.is_suspect(),
            breaker.held(),
        );
    }

    fn record(&self, permit: Permit, outcome: Outcome, asker: Asker) {
        let now = Instant::now().into_std();
        let mut breaker = self.breaker();
        let change = breaker.record(now, permit, outcome, jitter());
        self.show(&breaker);
        drop(breaker);
        if asker == Asker::Caller && outcome != Outcome::Fine {
            self.noticed.notify_one();
        }
        let component = self.component();
        match change {
            Some(Change::Opened(until)) => tracing::debug!(
                %component, rest_ms = (until - now).as_millis(), "{component} rests after faults"
            ),
            Some(Change::Reopened(until)) => tracing::debug!(
                %component, rest_ms = (until - now).as_millis(), "{component} rests on, its probe failed"
            ),
            Some(Change::Closed) => {
                tracing::debug!(%component, "{component} is asked as usual again");
            }
            None => {}
        }
    }
}

/// Who wants to call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asker {
    Caller,
    /// It decides whether the others may.
    Prober,
}

/// A permit on its way. Dropped without a record, it is given back: the call was cancelled.
struct Pass {
    gate: Arc<Gate>,
    permit: Option<Permit>,
    asker: Asker,
    /// The call, for a collector of traces. None of a probe's: nobody asks what those were for.
    span: Span,
}

impl Pass {
    /// It answered in so long; more than half of what it may take is slow.
    fn answered(&mut self, latency: Duration, limit: Duration) {
        if let Some(permit) = self.permit.take() {
            let outcome = if latency > limit / 2 {
                Outcome::Slow
            } else {
                Outcome::Fine
            };
            if self.asker == Asker::Caller {
                *self.gate.lock(&self.gate.answered_at) = Some(Instant::now());
            }
            self.span.record(
                "outcome",
                if outcome == Outcome::Slow {
                    "slow"
                } else {
                    "fine"
                },
            );
            self.gate.slot.answered(latency);
            self.gate.record(permit, outcome, self.asker);
        }
    }

    fn failed(&mut self, error: &PortError) {
        if error.is_fault()
            && let Some(permit) = self.permit.take()
        {
            let outcome = match error {
                PortError::TimedOut { .. } => Outcome::Hung,
                _ => Outcome::Fault,
            };
            let error = error.to_string();
            self.span.record("outcome", "fault");
            self.span.record("otel.error", error.as_str());
            self.gate.slot.faulted(&error);
            self.gate.record(permit, outcome, self.asker);
        }
    }

    fn goes_on(&self) {
        if let Some(permit) = &self.permit {
            self.gate.breaker().renew(Instant::now().into_std(), permit);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.gate.breaker().forget(permit);
        }
    }
}
