//! What is left of a request's body when its answer stands. A connection that is closed with unread bytes is
//! reset, and a client that is still sending sees that, and not the answer that says why (too many uploads, a
//! full disk). So the answer goes out and the rest is read and thrown away, within bounds.

use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream, Bytes, HttpBody},
    extract::{Request, State as Shared},
    http::header::EXPECT,
    middleware::Next,
    response::Response,
};
use futures::{StreamExt, stream};

use super::State;

/// For how long the rest is read. nginx's `lingering_time` is 30 s, too.
const LONGEST: Duration = Duration::from_secs(30);

/// A body that its handler reads first, and then whoever reads what the handler has left.
#[derive(Clone)]
struct Remaining(Arc<(Mutex<BodyDataStream>, AtomicBool)>);

impl Remaining {
    fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, axum::Error>>> {
        let (body, begun) = &*self.0;
        begun.store(true, Ordering::Relaxed);
        let mut body = body.lock().unwrap_or_else(PoisonError::into_inner);
        body.poll_next_unpin(context)
    }

    fn begun(&self) -> bool {
        self.0.1.load(Ordering::Relaxed)
    }

    /// Reads up to so many bytes.
    async fn discard(self, mut most: u64) {
        while let Some(Ok(bytes)) = poll_fn(|context| self.poll(context)).await {
            let Some(left) = most.checked_sub(bytes.len() as u64) else {
                return;
            };
            most = left;
        }
    }
}

/// Answers, and goes on reading.
pub async fn linger(Shared(state): Shared<State>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let waits = head.headers.contains_key(EXPECT);
    let rest = Remaining(Arc::new((
        Mutex::new(body.into_data_stream()),
        AtomicBool::new(false),
    )));
    let read = rest.clone();
    let body = Body::from_stream(stream::poll_fn(move |context| read.poll(context)));
    let response = next.run(Request::from_parts(head, body)).await;
    // A client that waits for leave to send has sent nothing yet: to read would give it leave.
    if rest.begun() || !waits {
        let most = state.0.parts.server.max_upload_bytes;
        state.tracker().spawn(async move {
            let _ = tokio::time::timeout(LONGEST, rest.discard(most)).await;
        });
    }
    response
}
