//! Pages in a browser on this machine can reach loopback, too. They are kept out: a page of another
//! site by its `Origin`, a name that someone points at 127.0.0.1 (DNS rebinding) by the `Host`.

use std::net::IpAddr;

use axum::{
    extract::Request,
    http::{HeaderMap, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::error::ApiError;

/// Lets requests through that a program on this machine makes.
pub async fn local_only(request: Request, next: Next) -> Response {
    match refusal(request.headers()) {
        None => next.run(request).await,
        Some(reason) => ApiError::Foreign(reason).into_response(),
    }
}

fn refusal(headers: &HeaderMap) -> Option<&'static str> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if text(header::HOST).is_some_and(|host| !is_local(host)) {
        return Some("the Host header names another machine");
    }
    let foreign_origin = text(header::ORIGIN).is_some_and(|origin| {
        origin
            .split_once("://")
            .is_none_or(|(scheme, host)| !scheme.starts_with("http") || !is_local(host))
    });
    foreign_origin.then_some("the request comes from a web page of another origin")
}

/// Whether `host[:port]` is this machine by a loopback address or the name `localhost`.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: Option<&str>, origin: Option<&str>, allowed: bool) {
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert(header::HOST, host.parse().unwrap());
        }
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        assert_eq!(
            refusal(&headers).is_none(),
            allowed,
            "Host {host:?}, Origin {origin:?}"
        );
    }

    #[test]
    fn only_this_machine() {
        check(Some("127.0.0.1:4000"), None, true);
        check(Some("localhost:4000"), None, true);
        check(Some("LOCALHOST"), None, true);
        check(Some("[::1]:4000"), None, true);
        check(Some("127.8.8.8"), None, true);
        check(None, None, true);
        check(Some("evil.example:4000"), None, false);
        check(Some("192.168.0.9:4000"), None, false);
        check(Some("127.0.0.1.evil.example"), None, false);
        check(Some("localhost:4000"), Some("http://localhost:8080"), true);
        check(Some("localhost:4000"), Some("https://evil.example"), false);
        check(Some("localhost:4000"), Some("null"), false);
        check(Some("localhost:4000"), Some("file://localhost"), false);
    }
}
