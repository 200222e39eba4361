//! Weights from the Hugging Face hub, or from a mirror that speaks the same addresses
//! (`HF_ENDPOINT`). A broken connection is taken up where it broke; an answer that cannot be the
//! wanted file (wrong size, wrong range) is refused before a byte of it is kept.

use std::{sync::OnceLock, time::Duration};

use futures::StreamExt;
use reqwest::{
    Client, Response, StatusCode,
    header::{self, HeaderMap, HeaderValue},
};
use tokio_util::sync::CancellationToken;

use crate::config::Env;

use super::{error::SourceError, partial::Partial};

/// How the hub is spoken to.
#[derive(Debug, Clone)]
pub struct HubOptions {
    /// Without a trailing slash.
    pub endpoint: String,
    /// Sent to the endpoint alone, never to where it redirects.
    pub token: Option<String>,
    /// Ask nothing.
    pub offline: bool,
    /// How often in a row the connection may break without a byte coming through.
    pub patience: u32,
    /// The first pause after a break; doubled after each further one.
    pub pause: Duration,
    /// No byte for so long counts as a break.
    pub idle: Duration,
}

impl Default for HubOptions {
    fn default() -> Self {
        Self {
            endpoint: "https://huggingface.co".to_owned(),
            token: None,
            offline: false,
            patience: 5,
            pause: Duration::from_secs(1),
            idle: Duration::from_secs(60),
        }
    }
}

impl HubOptions {
    /// As the hub's own client reads them: `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE`.
    #[must_use]
    pub fn from_env(env: &Env) -> Self {
        let text = |name: &str| env.get(name).and_then(|value| value.to_str());
        let defaults = Self::default();
        Self {
            endpoint: text("HF_ENDPOINT").map_or(defaults.endpoint, |endpoint| {
                endpoint.trim_end_matches('/').to_owned()
            }),
            token: text("HF_TOKEN").map(str::to_owned),
            offline: text("HF_HUB_OFFLINE").is_some_and(|value| {
                matches!(value.to_lowercase().as_str(), "1" | "true" | "yes" | "on")
            }),
            ..defaults
        }
    }
}

/// A client of one hub.
#[derive(Debug)]
pub struct Hub {
    options: HubOptions,
    client: Client,
    /// Why it could not be reached once; it is then not asked for further files.
    gone: OnceLock<String>,
}

/// One file there.
#[derive(Debug, Clone, Copy)]
pub struct HubFile<'a> {
    pub repository: &'a str,
    pub revision: &'a str,
    pub file: &'a str,
}

impl Hub {
    #[must_use]
    pub fn new(options: HubOptions) -> Self {
        let client = Client::builder()
            .user_agent(concat!("griot/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(options.idle)
            .build()
            .expect("a client with built-in root certificates and fixed headers");
        Self {
            options,
            client,
            gone: OnceLock::new(),
        }
    }

    /// Appends what `partial` still lacks. `progress` hears the length so far.
    pub async fn fetch(
        &self,
        file: HubFile<'_>,
        partial: &mut Partial,
        cancel: &CancellationToken,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), SourceError> {
        if self.options.offline {
            return Err(SourceError::Offline);
        }
        let address = format!(
            "{}/{}/resolve/{}/{}",
            self.options.endpoint, file.repository, file.revision, file.file
        );
        if let Some(reason) = self.gone.get() {
            let reason = reason.clone();
            return Err(SourceError::Unreachable { address, reason });
        }
        let mut etag = None;
        let mut breaks = 0;
        let mut came_through = false;
        while partial.len() < partial.wanted() {
            let before = partial.len();
            let step = self.step(&address, partial, &mut etag, progress);
            let outcome = tokio::select! {
                outcome = step => outcome,
                () = cancel.cancelled() => return Err(SourceError::Interrupted),
            };
            let reason = match outcome {
                Ok(()) => "it ended too early".to_owned(),
                Err(Step::Broken(reason)) => reason,
                // A hub that was never reached is not there; one that was is worth waiting for.
                Err(Step::Unreachable(reason)) if !came_through => {
                    let reason = self.gone.get_or_init(|| reason).clone();
                    return Err(SourceError::Unreachable { address, reason });
                }
                Err(Step::Unreachable(reason)) => reason,
                Err(Step::Final(error)) => return Err(error),
            };
            if partial.len() > before {
                came_through = true;
                breaks = 0;
            }
            if partial.len() < partial.wanted() {
                breaks += 1;
                if breaks >= self.options.patience {
                    return Err(SourceError::CutOff {
                        address,
                        times: breaks,
                        reason,
                    });
                }
                tokio::select! {
                    () = tokio::time::sleep(self.options.pause * 2_u32.pow(breaks - 1)) => {}
                    () = cancel.cancelled() => return Err(SourceError::Interrupted),
                }
            }
        }
        Ok(())
    }

    /// One request, and as much of its answer as comes.
    async fn step(
        &self,
        address: &str,
        partial: &mut Partial,
        etag: &mut Option<HeaderValue>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Step> {
        let mut request = self
            .client
            .get(address)
            .header(header::ACCEPT_ENCODING, "identity");
        if let Some(token) = &self.options.token {
            request = request.bearer_auth(token);
        }
        if partial.len() > 0 {
            request = request.header(header::RANGE, format!("bytes={}-", partial.len()));
            if let Some(etag) = etag.as_ref() {
                request = request.header(header::IF_RANGE, etag);
            }
        }
        let response = request.send().await.map_err(|error| {
            let reason = innermost(&error);
            if error.is_connect() {
                Step::Unreachable(reason)
            } else {
                Step::Broken(reason)
            }
        })?;
        self.begin(address, &response, partial)?;
        *etag = strong_etag(response.headers());
        let mut body = response.bytes_stream();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| Step::Broken(innermost(&error)))?;
            // The disk takes these at memory speed, and nothing else waits on this runtime.
            partial
                .append(&chunk)
                .map_err(|error| Step::Final(error.into()))?
                .map_err(|_| {
                    Step::Final(SourceError::WrongSize {
                        address: address.to_owned(),
                        got: partial.len() + chunk.len() as u64,
                        wanted: partial.wanted(),
                    })
                })?;
            progress(partial.len());
        }
        Ok(())
    }

    /// Decides from status and headers whether the body continues `partial`, begins anew, or is not
    /// wanted.
    fn begin(&self, address: &str, response: &Response, partial: &mut Partial) -> Result<(), Step> {
        let wrong_size = |got| {
            Step::Final(SourceError::WrongSize {
                address: address.to_owned(),
                got,
                wanted: partial.wanted(),
            })
        };
        match response.status() {
            StatusCode::OK => {
                if let Some(got) = response.content_length()
                    && got != partial.wanted()
                {
                    return Err(wrong_size(got));
                }
                // The whole file: the server knows no ranges, or its file is a newer one.
                partial.restart().map_err(|error| Step::Final(error.into()))
            }
            StatusCode::PARTIAL_CONTENT => match content_range(response.headers()) {
                Some((_, Some(total))) if total != partial.wanted() => Err(wrong_size(total)),
                Some((start, _)) if start == partial.len() => Ok(()),
                _ => {
                    partial
                        .restart()
                        .map_err(|error| Step::Final(error.into()))?;
                    Err(Step::Broken("it answered with another range".to_owned()))
                }
            },
            StatusCode::RANGE_NOT_SATISFIABLE if partial.len() > 0 => {
                partial
                    .restart()
                    .map_err(|error| Step::Final(error.into()))?;
                Err(Step::Broken("it refused the range".to_owned()))
            }
            status if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
                Err(Step::Broken(format!("it answered {status}")))
            }
            status => Err(Step::Final(SourceError::Status {
                address: address.to_owned(),
                status: status.as_u16(),
            })),
        }
    }
}

/// How a request ended, other than well.
enum Step {
    Unreachable(String),
    /// Worth another try.
    Broken(String),
    Final(SourceError),
}

/// An entity tag that stands for the exact bytes; weak ones may not be used with ranges
/// (RFC 9110, section 13.1.5).
fn strong_etag(headers: &HeaderMap) -> Option<HeaderValue> {
    headers
        .get(header::ETAG)
        .filter(|tag| tag.as_bytes().starts_with(b"\""))
        .cloned()
}

/// First byte and total of `bytes 5-9/10` (RFC 9110, section 14.4).
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.parse().ok()?, total.parse().ok()))
}

/// The cause at the bottom: reqwest's own message repeats the address.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
