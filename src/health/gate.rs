//! A deadline and a breaker around one call, and around a reply that streams.
//!
//! Every call through a gate ends: with its result, with [`PortError::TimedOut`], or at once with
//! [`PortError::Resting`]. What the breaker makes of it, by the error's case alone: unavailable and
//! timed out are faults; refused, resting and dropped calls never count.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures::Stream;
use tokio::time::{Instant, Sleep};

use super::{
    board::{BreakerState, Slot},
    breaker::{Breaker, Change, Outcome, Permit, Settings, Standing},
    jitter,
};
use crate::{
    domain::Component,
    ports::{ChatEvent, ChatStream, PortError},
};

/// How long a part may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For a whole call, or until a stream's first item.
    pub first: Duration,
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
}

impl Gate {
    /// A gate whose breaker is closed, and which writes what it sees to `slot`.
    #[must_use]
    pub fn new(slot: Slot, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            slot,
            limits,
            breaker: Mutex::new(Breaker::new(limits.breaker)),
        })
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
        let mut pass = self.admit()?;
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
        limit: Duration,
        call: impl Future<Output = Result<(), PortError>>,
    ) -> Result<(), PortError> {
        let mut pass = self.admit()?;
        let result = self.in_time(limit, call).await;
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
        let mut pass = self.admit()?;
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

    fn admit(self: &Arc<Self>) -> Result<Pass, PortError> {
        let now = Instant::now();
        let mut breaker = self.breaker();
        match breaker.admit(now.into_std()) {
            Ok(permit) => {
                if permit.is_probe() {
                    self.show(&breaker);
                }
                Ok(Pass {
                    gate: Arc::clone(self),
                    permit: Some(permit),
                })
            }
            Err(until) => Err(PortError::Resting {
                component: self.component(),
                retry_after: until.saturating_duration_since(now.into_std()),
            }),
        }
    }

    /// Ends a rest because the part is known to have changed, for example to have been restarted.
    pub fn wake(&self) {
        let mut breaker = self.breaker();
        breaker.wake();
        self.show(&breaker);
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
        self.slot
            .breaker(state, state == BreakerState::Closed && breaker.is_suspect());
    }

    fn record(&self, permit: Permit, outcome: Outcome) {
        let now = Instant::now().into_std();
        let mut breaker = self.breaker();
        let change = breaker.record(now, permit, outcome, jitter());
        self.show(&breaker);
        drop(breaker);
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

/// A permit on its way. Dropped without a record, it is given back: the call was cancelled.
struct Pass {
    gate: Arc<Gate>,
    permit: Option<Permit>,
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
            self.gate.slot.answered(latency);
            self.gate.record(permit, outcome);
        }
    }

    fn failed(&mut self, error: &PortError) {
        if error.is_fault()
            && let Some(permit) = self.permit.take()
        {
            self.gate.slot.faulted(&error.to_string());
            self.gate.record(permit, Outcome::Fault);
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

/// A reply on its way to its reader, with its deadlines.
struct Watched {
    inner: ChatStream,
    timer: Pin<Box<Sleep>>,
    /// What the timer is set to, for the error.
    limit: Duration,
    /// Whether the timer runs. It rests while the reader is busy with the last item.
    armed: bool,
    began: Instant,
    /// Time to the first item.
    first: Option<Duration>,
    /// None once the outcome is recorded and the stream has ended.
    pass: Option<Pass>,
}

impl Watched {
    fn end(&mut self) -> Option<Pass> {
        // What the model still writes is of no use to anybody.
        self.inner = Box::pin(futures::stream::empty());
        self.pass.take()
    }
}

impl Stream for Watched {
    type Item = Result<ChatEvent, PortError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(pass) = &this.pass else {
            return Poll::Ready(None);
        };
        let component = pass.gate.component();
        match this.inner.as_mut().poll_next(cx) {
            Poll::Ready(Some(Ok(event))) => {
                let first = *this.first.get_or_insert_with(|| this.began.elapsed());
                this.armed = false;
                if matches!(event, ChatEvent::Done { .. }) {
                    let limit = pass.gate.limits.first;
                    if let Some(mut pass) = this.end() {
                        pass.answered(first, limit);
                    }
                } else {
                    pass.goes_on();
                }
                Poll::Ready(Some(Ok(event)))
            }
            Poll::Ready(Some(Err(error))) => {
                if let Some(mut pass) = this.end() {
                    pass.failed(&error);
                }
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(None) => {
                let error = PortError::unavailable(component, "its reply ended in the middle");
                if let Some(mut pass) = this.end() {
                    pass.failed(&error);
                }
                Poll::Ready(Some(Err(error)))
            }
            Poll::Pending => {
                if !this.armed {
                    this.limit = pass.gate.limits.between;
                    this.timer.as_mut().reset(Instant::now() + this.limit);
                    this.armed = true;
                }
                if this.timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                let error = PortError::TimedOut {
                    component,
                    limit: this.limit,
                };
                if let Some(mut pass) = this.end() {
                    pass.failed(&error);
                }
                Poll::Ready(Some(Err(error)))
            }
        }
    }
}
