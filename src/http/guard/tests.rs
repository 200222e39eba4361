use super::*;

const KEY: &str = "griot_a-key-for-this-test";

fn guard(keys: bool) -> Guard {
    let config = ServerConfig {
        api_keys: keys
            .then(|| ApiKeyHash::of(KEY).to_string())
            .into_iter()
            .collect(),
        allowed_hosts: vec!["Griot.home.arpa".to_owned(), "papers.lan:7470".to_owned()],
        ..ServerConfig::default()
    };
    Guard::new(&config).unwrap()
}

/// `lines` are headers as on the wire; the result is `ok` or the problem's name.
fn verdict(guard: &Guard, uri: &str, lines: &[&str]) -> &'static str {
    let headers = lines
        .iter()
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (
                name.parse::<header::HeaderName>().unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect::<Vec<_>>();
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name, value);
    }
    guard
        .check(&uri.parse().unwrap(), &map)
        .map_or_else(|problem| problem.code().name(), |()| "ok")
}

#[test]
fn hosts() {
    let check = |host: &str, expected: &str| {
        let line = format!("host: {host}");
        assert_eq!(verdict(&guard(false), "/", &[&line]), expected, "{host}");
    };
    check("127.0.0.1:7470", "ok");
    check("localhost", "ok");
    check("LOCALHOST.:7470", "ok");
    check("griot.localhost", "ok");
    check("[::1]:7470", "ok");
    check("192.168.1.20:7470", "ok");
    check("griot.home.arpa:7470", "ok");
    check("papers.lan", "ok");
    check("evil.example", "host-not-allowed");
    check("evil.example:7470", "host-not-allowed");
    check("127.0.0.1.evil.example", "host-not-allowed");
    check("localhost.evil.example", "host-not-allowed");
    check("notlocalhost", "host-not-allowed");
    check("localhost@evil.example", "malformed-request");
    check("a b", "malformed-request");
    check("", "malformed-request");
}

#[test]
fn one_host_and_the_same_rule_for_the_absolute_form() {
    let guard = guard(false);
    assert_eq!(verdict(&guard, "/", &[]), "malformed-request");
    let two = ["host: localhost", "host: localhost"];
    assert_eq!(verdict(&guard, "/", &two), "malformed-request");
    let uri = "http://evil.example/api/health";
    assert_eq!(
        verdict(&guard, uri, &["host: localhost"]),
        "host-not-allowed"
    );
}

#[test]
fn origins() {
    let check = |lines: &[&str], expected: &str| {
        let lines: Vec<&str> = ["host: 192.168.1.20:7470"]
            .iter()
            .chain(lines)
            .copied()
            .collect();
        assert_eq!(verdict(&guard(false), "/", &lines), expected, "{lines:?}");
    };
    check(&[], "ok");
    check(&["origin: http://192.168.1.20:7470"], "ok");
    check(&["origin: http://localhost:5173"], "ok");
    check(&["origin: http://127.0.0.1:5173"], "ok");
    check(&["origin: http://[::1]:5173"], "ok");
    check(&["origin: https://griot.home.arpa"], "ok");
    check(&["origin: https://evil.example"], "origin-not-allowed");
    // An address that a page can be served from is not ours just because it is an address.
    check(&["origin: http://203.0.113.5"], "origin-not-allowed");
    check(&["origin: null"], "origin-not-allowed");
    check(&["origin: file://"], "origin-not-allowed");
    check(
        &["origin: chrome-extension://localhost"],
        "origin-not-allowed",
    );
    check(
        &["origin: http://localhost.evil.example"],
        "origin-not-allowed",
    );
    check(&["sec-fetch-site: cross-site"], "origin-not-allowed");
    check(&["sec-fetch-site: same-origin"], "ok");
    check(&["sec-fetch-site: none"], "ok");
}

#[test]
fn keys() {
    let check = |uri: &str, lines: &[&str], expected: &str| {
        let lines: Vec<&str> = ["host: localhost"].iter().chain(lines).copied().collect();
        assert_eq!(verdict(&guard(true), uri, &lines), expected, "{lines:?}");
    };
    let bearer = format!("authorization: Bearer {KEY}");
    let lower = format!("authorization: bearer {KEY}");
    let named = format!("x-api-key: {KEY}");
    check("/api/health", &[&bearer], "ok");
    check("/api/health", &[&lower], "ok");
    check("/api/health", &[&named], "ok");
    let protocol = format!("sec-websocket-protocol: realtime, openai-insecure-api-key.{KEY}");
    check("/v1/realtime", &[&protocol], "ok");
    check(
        "/v1/realtime",
        &["sec-websocket-protocol: realtime"],
        "unauthorized",
    );
    check("/api/health", &[], "unauthorized");
    check("/api/health", &["x-api-key: "], "unauthorized");
    check("/api/health", &["x-api-key: griot_a-key"], "unauthorized");
    check(
        "/api/health",
        &["authorization: Basic Z3Jpb3Q="],
        "unauthorized",
    );
    check("/livez", &[], "ok");
    check("/readyz", &[], "ok");
    check("/livez/", &[], "unauthorized");
    check("/metrics", &[], "unauthorized");
    check("/openapi.json", &[], "unauthorized");
}

#[test]
fn long_addresses() {
    let lines = ["host: localhost"];
    let fits = format!("/{}", "a".repeat(MAX_URI - 1));
    assert_eq!(verdict(&guard(false), &fits, &lines), "ok");
    let over = format!("/{}", "a".repeat(MAX_URI));
    assert_eq!(verdict(&guard(false), &over, &lines), "uri-too-long");
}
