//! The way to the daemon: HTTP, with its problems turned into sentences.

use std::{net::SocketAddr, time::Duration};

use reqwest::{Method, RequestBuilder, Response, StatusCode, Url, header};
use serde::{Deserialize, de::DeserializeOwned};

/// Why the daemon did not do it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("{0:?} is not the address of a daemon; it looks like http://127.0.0.1:7470")]
    Url(String),
    #[error("the API key holds characters that no key has")]
    Key,
    #[error(
        "no daemon answers at {url}; start one with `griot serve`, or say where it is with `--url` \
         ({reason})"
    )]
    NotRunning { url: Url, reason: String },
    #[error("the connection to the daemon broke: {0}")]
    Broken(#[source] reqwest::Error),
    #[error("{detail}")]
    Problem {
        status: StatusCode,
        detail: String,
        retry_after: Option<Duration>,
    },
    #[error("what answers at {url} is no griot daemon, or one of another version: {reason}")]
    Stranger { url: Url, reason: String },
}

/// The part of a problem document that a person reads.
#[derive(Deserialize)]
struct Problem {
    title: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    retry_after_s: Option<u64>,
}

/// A daemon.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
}

/// The address of a daemon that listens on `listen`.
pub fn url_of(listen: SocketAddr) -> String {
    let mut address = listen;
    if address.ip().is_unspecified() {
        // It listens everywhere, so here too.
        address.set_ip(match address.ip() {
            std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{address}")
}

impl Client {
    /// A client of the daemon at `url`. Nothing is sent yet.
    pub fn new(url: &str, key: Option<&str>) -> Result<Self, ClientError> {
        let base = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| ClientError::Url(url.to_owned()))?;
        let mut headers = header::HeaderMap::new();
        if let Some(key) = key {
            let mut value = header::HeaderValue::try_from(format!("Bearer {key}"))
                .map_err(|_| ClientError::Key)?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .connect_timeout(Duration::from_secs(5))
            // A proxy of the surroundings has no business between a command and its own daemon.
            .no_proxy()
            .build()
            .map_err(ClientError::Broken)?;
        Ok(Self { http, base })
    }

    /// A request to `segments`, each percent-encoded as one part of the path.
    pub fn request(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        self.http.request(method, url)
    }

    /// Sends it; a problem is an error.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|error| self.unsent(error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.bytes().await.map_err(ClientError::Broken)?;
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(ClientError::Problem {
                status,
                detail: if problem.detail.is_empty() {
                    problem.title
                } else {
                    problem.detail
                },
                retry_after: problem.retry_after_s.map(Duration::from_secs),
            }),
            Err(_) => Err(ClientError::Stranger {
                url: self.base.clone(),
                reason: format!("it answered {status}"),
            }),
        }
    }

    /// Sends it and reads the JSON that comes back.
    pub async fn json<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<T, ClientError> {
        let response = self.send(request).await?;
        let body = response.bytes().await.map_err(ClientError::Broken)?;
        serde_json::from_slice(&body).map_err(|error| ClientError::Stranger {
            url: self.base.clone(),
            reason: error.to_string(),
        })
    }

    /// Sends it and reads the text that comes back.
    pub async fn text(&self, request: RequestBuilder) -> Result<String, ClientError> {
        let response = self.send(request).await?;
        response.text().await.map_err(ClientError::Broken)
    }

    /// Whether the daemon is on this machine, and what is sent to it stays here.
    pub fn is_local(&self) -> bool {
        match self.base.host_str() {
            Some("localhost") => true,
            Some(host) => host
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback()),
            None => false,
        }
    }

    /// Where the daemon is.
    pub fn base(&self) -> &Url {
        &self.base
    }

    fn unsent(&self, error: reqwest::Error) -> ClientError {
        if error.is_connect() || error.is_timeout() {
            let mut reason = &error as &dyn std::error::Error;
            while let Some(inner) = reason.source() {
                reason = inner;
            }
            ClientError::NotRunning {
                url: self.base.clone(),
                reason: reason.to_string(),
            }
        } else {
            ClientError::Broken(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_path_stay_parts() {
        let client = Client::new("http://127.0.0.1:1/", None).unwrap();
        let request = client
            .request(Method::GET, &["api", "rag", "context", "a/b?c"])
            .build()
            .unwrap();
        assert_eq!(
            request.url().as_str(),
            "http://127.0.0.1:1/api/rag/context/a%2Fb%3Fc"
        );
    }

    #[test]
    fn addresses() {
        let check = |listen: &str, expected: &str| {
            assert_eq!(url_of(listen.parse().unwrap()), expected);
        };
        check("127.0.0.1:7470", "http://127.0.0.1:7470");
        check("0.0.0.0:80", "http://127.0.0.1:80");
        check("[::]:80", "http://[::1]:80");
        for bad in ["", "127.0.0.1:7470", "ftp://x", "http:"] {
            assert!(matches!(Client::new(bad, None), Err(ClientError::Url(_))));
        }
    }
}
