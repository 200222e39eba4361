//! One WebSocket: the upgrade of a request, frames in and out, pings, and the end of clients that do not read
//! or do not answer. It knows neither protocol.
//!
//! Not axum's `ws`: turning that on would build the vector store anew, which shares axum.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use futures::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Interval, interval, timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Bytes, Error, Message,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};
use tokio_util::task::TaskTracker;

use crate::{
    admission::Admission,
    http::problem::{Code, Problem},
};

/// Between two pings.
const PING_EVERY: Duration = Duration::from_secs(20);
/// A client from which nothing has come for so long is gone.
const SILENT: Duration = Duration::from_secs(45);
/// A client that takes so long to read a frame does not read.
const UNREAD: Duration = Duration::from_secs(10);

/// Sockets that have not begun, beside those of conversations.
const BEGINNING: usize = 16;
/// After so long who had no place may ask again.
const RETRY: Duration = Duration::from_secs(10);
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// What a client sent.
#[derive(Debug)]
pub enum Frame {
    Text(String),
    Binary(Bytes),
}

/// The client is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// An open socket.
pub struct Socket {
    stream: WebSocketStream<TokioIo<Upgraded>>,
    ping: Interval,
    heard: Instant,
}

/// The places for sockets. They are no connections of the server's any more, and have a limit of their own.
pub struct Sockets {
    places: Arc<Admission>,
    tracker: TaskTracker,
}

impl Sockets {
    /// For each conversation its own and that of somebody who takes it over, and some that have not begun.
    pub fn new(conversations: usize, tracker: TaskTracker) -> Self {
        let places = Admission::new("sockets", 2 * conversations + BEGINNING);
        Self { places, tracker }
    }

    /// Answers the request for a socket, and lets `serve` have it.
    ///
    /// # Errors
    /// When it is no such request, or one too many.
    pub fn upgrade<F>(
        &self,
        request: Request,
        protocol: Option<&'static str>,
        max_bytes: usize,
        serve: impl FnOnce(Socket) -> F + Send + 'static,
    ) -> Result<Response, Problem>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let accept = accept_key(request.method(), request.headers())?;
        let place = self.places.enter().ok_or_else(|| {
            Problem::new(
                Code::TooManyConversations,
                "as many sockets are open as `voice.sessions` allows; close one, or try again later",
            )
            .retry_after(RETRY)
        })?;
        self.tracker.spawn(async move {
            let _place = place;
            open(request, max_bytes, serve).await;
        });
        Ok(switching(accept, protocol))
    }
}

async fn open<F>(request: Request, max_bytes: usize, serve: impl FnOnce(Socket) -> F)
where
    F: Future<Output = ()>,
{
    let upgraded = match hyper::upgrade::on(request).await {
        Ok(upgraded) => upgraded,
        Err(error) => {
            tracing::debug!(%error, "a client left before its socket was open");
            return;
        }
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(max_bytes))
        .max_frame_size(Some(max_bytes));
    let stream =
        WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let mut ping = interval(PING_EVERY);
    ping.reset();
    serve(Socket {
        stream,
        ping,
        heard: Instant::now(),
    })
    .await;
}

fn switching(accept: HeaderValue, protocol: Option<&'static str>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(protocol) = protocol {
        headers.insert(
            header::SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static(protocol),
        );
    }
    response
}

/// The proof that the handshake was understood (RFC 6455, 4.2.2).
fn accept_key(method: &Method, headers: &HeaderMap) -> Result<HeaderValue, Problem> {
    let has = |name: header::HeaderName, wanted: &str| {
        headers.get_all(name).iter().any(|value| {
            value.to_str().is_ok_and(|value| {
                value
                    .split(',')
                    .any(|part| part.trim().eq_ignore_ascii_case(wanted))
            })
        })
    };
    let key = headers.get(header::SEC_WEBSOCKET_KEY);
    match key {
        Some(key)
            if method == Method::GET
                && has(header::CONNECTION, "upgrade")
                && has(header::UPGRADE, "websocket")
                && has(header::SEC_WEBSOCKET_VERSION, "13") =>
        {
            Ok(HeaderValue::from_str(&derive_accept_key(key.as_bytes()))
                .expect("base64 is a header's value"))
        }
        _ => Err(Problem::new(
            Code::Malformed,
            "this address speaks WebSocket: send `Connection: Upgrade`, `Upgrade: websocket`, \
             `Sec-WebSocket-Version: 13` and a `Sec-WebSocket-Key`",
        )),
    }
}

/// The subprotocols that a client offers.
pub fn offered(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_owned())
        .collect()
}

impl Socket {
    /// The next frame; `None` when the client has left, or is taken to have. May be dropped and called again.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            tokio::select! {
                message = self.stream.next() => {
                    self.heard = Instant::now();
                    match message? {
                        Ok(Message::Text(text)) => return Some(Frame::Text(text.as_str().to_owned())),
                        Ok(Message::Binary(bytes)) => return Some(Frame::Binary(bytes)),
                        Ok(Message::Close(_)) => return None,
                        // Pings are answered by the library.
                        Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
                        Err(Error::Capacity(error)) => {
                            tracing::debug!(%error, "a socket ended");
                            let frame = CloseFrame {
                                code: CloseCode::Size,
                                reason: "a message is larger than is read here".into(),
                            };
                            let _ = timeout(GOODBYE, self.stream.close(Some(frame))).await;
                            return None;
                        }
                        Err(error) => {
                            tracing::debug!(%error, "a socket ended");
                            return None;
                        }
                    }
                }
                _ = self.ping.tick() => {
                    if self.heard.elapsed() > SILENT
                        || self.put(Message::Ping(Bytes::new())).await.is_err()
                    {
                        return None;
                    }
                }
            }
        }
    }

    /// Sends a text frame.
    ///
    /// # Errors
    /// [`Gone`] when the client is, or does not read.
    pub async fn text(&mut self, text: String) -> Result<(), Gone> {
        self.put(Message::Text(text.into())).await
    }

    /// Sends a binary frame.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub async fn binary(&mut self, bytes: Vec<u8>) -> Result<(), Gone> {
        self.put(Message::Binary(bytes.into())).await
    }

    /// Says goodbye.
    pub async fn close(mut self, code: CloseCode, reason: &'static str) {
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        // Who is gone already needs no goodbye.
        let _ = timeout(GOODBYE, self.stream.close(Some(frame))).await;
    }

    async fn put(&mut self, message: Message) -> Result<(), Gone> {
        match timeout(UNREAD, self.stream.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }
}
