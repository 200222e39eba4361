//! Accepting connections: limits on how many, how long a client may take for its headers, how long it
//! may take to read, and the end of all of them at shutdown. It knows nothing of routes.
//!
//! `axum::serve` has none of these limits in its 0.8; this is hyper's HTTP/1 server with them.

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use crate::shutdown::Shutdown;

/// Connections at once. One more waits in the kernel's queue. Below the usual limit of 1,024 open
/// files, with room for the catalog, the index and uploads.
const MAX_CONNECTIONS: usize = 512;

/// From the first byte (or the response before) to the end of a request's headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);

/// How long sent bytes may stay unread by the client before the kernel gives the connection up.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Accepts until shutdown. The connections are on the tracker and finish what they have begun;
/// [`Shutdown::drain`] waits for them, for as long as it may.
pub async fn serve(listener: TcpListener, router: Router, shutdown: &Shutdown) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let accept = async {
        loop {
            let place = Arc::clone(&places)
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            let stream = next_connection(&listener).await;
            let router = router.clone();
            let stop = shutdown.token.clone();
            shutdown.tracker.spawn(async move {
                converse(stream, router, stop.cancelled()).await;
                drop(place);
            });
        }
    };
    shutdown.token.run_until_cancelled(accept).await;
}

/// The next connection that could be accepted.
async fn next_connection(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // The client gave up first; the next one may be better.
            Err(error) if is_of_connection(&error) => {}
            // Out of file descriptors or memory: accepting in a loop would only burn the processor.
            Err(error) => {
                tracing::error!(%error, "connections cannot be accepted; trying again in a second");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

/// One connection from its first request to its end.
async fn converse(stream: TcpStream, router: Router, stop: impl Future<Output = ()>) {
    // Deltas are small and wanted at once. Neither option is needed for being correct.
    let _ = stream.set_nodelay(true);
    let unread = UNREAD_TIMEOUT.as_millis() as u32;
    let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, unread);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        // A conversation aloud goes on as a WebSocket.
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Clients that hang up or stall are everyday events.
        tracing::debug!(%error, "a connection ended early");
    }
}
