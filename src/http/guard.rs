//! Who may call at all: the name the client used for us (DNS rebinding), the site a browser's call
//! comes from, the API key, the length of the address. It does not know the routes, except the two
//! that tell a supervisor whether we live and the one that keys for realtime sessions open.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Uri, header, uri::Authority},
    middleware::Next,
    response::Response,
};

use super::{
    problem::{Code, Problem},
    voice::realtime::secrets::{self, Secrets},
};
use crate::config::{ApiKeyHash, NotAKeyHash, ServerConfig};

/// Bytes of an address (path and query). The longest useful one holds a question of 4,000
/// characters, percent-encoded; longer questions go into a body.
const MAX_URI: usize = 16 * 1024;

/// Answered without a key, so that a supervisor or a load balancer needs none. They say nothing
/// about documents.
const OPEN_PATHS: [&str; 2] = ["/livez", "/readyz"];

/// The one path that a key for realtime sessions opens.
const REALTIME_PATH: &str = "/v1/realtime";

/// What is let in, parsed once from the settings.
#[derive(Debug, Clone)]
pub struct Guard {
    keys: Arc<[ApiKeyHash]>,
    /// Names without ports, in small letters.
    allowed_hosts: Arc<[String]>,
    secrets: Arc<Secrets>,
}

impl Guard {
    /// Reads keys and names of the settings.
    ///
    /// # Errors
    /// When an entry of `server.api_keys` is not a key's hash.
    pub fn new(config: &ServerConfig) -> Result<Self, NotAKeyHash> {
        Ok(Self {
            keys: config
                .api_keys
                .iter()
                .map(|key| key.parse())
                .collect::<Result<_, _>>()?,
            allowed_hosts: config
                .allowed_hosts
                .iter()
                .map(|host| {
                    // A port may be written; it does not count.
                    let name = host.parse::<Authority>();
                    let name = name.as_ref().map_or(host.as_str(), Authority::host);
                    bare(name).to_ascii_lowercase()
                })
                .collect(),
            secrets: Arc::default(),
        })
    }

    /// The keys for realtime sessions.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Whether callers need a key.
    pub fn wants_key(&self) -> bool {
        !self.keys.is_empty()
    }

    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let length = uri.path_and_query().map_or(0, |text| text.as_str().len());
        if length > MAX_URI {
            return Err(Problem::new(
                Code::UriTooLong,
                format!(
                    "the address has {length} bytes, at most {MAX_URI} are read; send a long \
                     question with POST /api/rag/query"
                ),
            ));
        }
        let host = self.check_host(uri, headers)?;
        self.check_origin(&host, headers)?;
        if self.wants_key() && !OPEN_PATHS.contains(&uri.path()) {
            self.check_key(uri, headers)?;
        }
        Ok(())
    }

    /// A page on `evil.example` may let its own name point at 127.0.0.1 and then call us as its own
    /// site. The browser still sends that name, so only names we know are answered. An IP address
    /// cannot be pointed elsewhere and is always fine.
    fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<String, Problem> {
        let mut given = headers.get_all(header::HOST).iter();
        let (first, second) = (given.next(), given.next());
        let (Some(value), None) = (first, second) else {
            return Err(Problem::new(
                Code::Malformed,
                "a request needs exactly one `Host` header",
            ));
        };
        let name = host_of(value)?;
        // The absolute form (`GET http://name/path`) names a host a second time (RFC 9112, 3.2.2).
        let in_uri = uri.host().map(|host| bare(host).to_ascii_lowercase());
        for name in in_uri.iter().chain([&name]) {
            if !(is_ip(name) || is_local_name(name) || self.allowed_hosts.contains(name)) {
                return Err(Problem::new(
                    Code::HostNotAllowed,
                    format!(
                        "{name:?} is not a name of this machine; use 127.0.0.1, or add the name to \
                         `server.allowed_hosts`"
                    ),
                ));
            }
        }
        Ok(name)
    }

    /// Browsers say which site a call comes from. Ours, this machine's and the configured ones may
    /// call; the web at large may not, whatever it hopes to do without reading the response.
    ///
    /// An IP address is not enough here, unlike in `Host`: a page can be served from one.
    fn check_origin(&self, host: &str, headers: &HeaderMap) -> Result<(), Problem> {
        let refused = |origin: &str| {
            Problem::new(
                Code::OriginNotAllowed,
                format!(
                    "the call comes from {origin}; if that site is yours, add its name to \
                     `server.allowed_hosts`"
                ),
            )
        };
        let Some(origin) = headers.get(header::ORIGIN) else {
            // Calls without an Origin (images, links, scripts) still carry this one.
            let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
            return match site {
                Some(b"cross-site") => Err(refused("another site")),
                _ => Ok(()),
            };
        };
        let origin = origin.to_str().unwrap_or("null");
        let name = origin
            .parse::<Uri>()
            .ok()
            .filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")))
            .and_then(|uri| Some(bare(uri.host()?).to_ascii_lowercase()));
        match name {
            Some(name)
                if name == host
                    || is_local_name(&name)
                    || is_loopback(&name)
                    || self.allowed_hosts.contains(&name) =>
            {
                Ok(())
            }
            _ => Err(refused(&format!("{origin:?}"))),
        }
    }

    fn check_key(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(key) = shown_key(headers) else {
            return Err(Problem::new(
                Code::Unauthorized,
                "send the API key as `Authorization: Bearer KEY` or `X-API-Key: KEY`",
            ));
        };
        // Every hash is compared, so that the time does not tell which one came near.
        let known = self
            .keys
            .iter()
            .fold(false, |known, hash| known | hash.matches(key));
        let opens =
            uri.path() == REALTIME_PATH && self.secrets.session(key, secrets::now()).is_some();
        if known || opens {
            Ok(())
        } else {
            Err(Problem::new(
                Code::Unauthorized,
                "the API key is not one of `server.api_keys`",
            ))
        }
    }
}

/// The key that a caller shows, in whichever place.
pub fn shown_key(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| {
            let (scheme, key) = value.split_once(' ')?;
            // Schemes are compared without case (RFC 9110, 11.1).
            scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
        });
    let named = headers
        .get("x-api-key")
        .and_then(|value| value.to_str().ok());
    // Browsers can show a key to a WebSocket only like this, as OpenAI's client does.
    let protocols = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let protocol = protocols
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|name| name.trim().strip_prefix("openai-insecure-api-key."));
    bearer.or(named).or(protocol)
}

/// The middleware around every route.
pub async fn check(
    State(guard): State<Guard>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    guard.check(request.uri(), request.headers())?;
    Ok(next.run(request).await)
}

/// Headers on every response: whatever a document holds, a browser must neither guess a type for it,
/// nor run it, nor frame it, nor keep it.
pub async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'; sandbox",
        ),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(
        "cross-origin-resource-policy",
        HeaderValue::from_static("same-origin"),
    );
    response
}

/// The name in a `Host` header, in small letters, without port, brackets and final dot.
fn host_of(value: &HeaderValue) -> Result<String, Problem> {
    value
        .to_str()
        .ok()
        .and_then(|text| text.parse::<Authority>().ok())
        // `user@host` is no Host header, and a way to confuse whoever reads it.
        .filter(|authority| !authority.as_str().contains('@') && !authority.host().is_empty())
        .map(|authority| bare(authority.host()).to_ascii_lowercase())
        .ok_or_else(|| Problem::new(Code::Malformed, "the `Host` header is not a host name"))
}

/// Without the brackets of an IPv6 address and the final dot of a full name.
fn bare(host: &str) -> &str {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(host)
}

fn is_ip(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok()
}

fn is_loopback(name: &str) -> bool {
    name.parse::<IpAddr>()
        .is_ok_and(|address| address.to_canonical().is_loopback())
}

/// `localhost` and its subdomains never leave the machine (RFC 6761, section 6.3).
fn is_local_name(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests;
