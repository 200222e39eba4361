//! A reply that streams, with its deadlines: to its first item and between two.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::Stream;
use tokio::time::{Instant, Sleep};

use super::Pass;
use crate::ports::{ChatEvent, ChatStream, PortError};

/// A reply on its way to its reader, with its deadlines.
pub(super) struct Watched {
    pub(super) inner: ChatStream,
    pub(super) timer: Pin<Box<Sleep>>,
    /// What the timer is set to, for the error.
    pub(super) limit: Duration,
    /// Whether the timer runs. It rests while the reader is busy with the last item.
    pub(super) armed: bool,
    pub(super) began: Instant,
    /// Time to the first item.
    pub(super) first: Option<Duration>,
    /// None once the outcome is recorded and the stream has ended.
    pub(super) pass: Option<Pass>,
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
