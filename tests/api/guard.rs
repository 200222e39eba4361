//! Who may call: over a socket, with the headers as they come. The finer cases are beside the code.

use griot::config::{ServerConfig, new_api_key};
use reqwest::Method;

use crate::app::{Settings, TestApp};

#[tokio::test]
async fn names_and_sites() {
    let app = TestApp::with(Settings {
        server: ServerConfig {
            allowed_hosts: vec!["griot.lan".to_owned()],
            ..ServerConfig::default()
        },
        ..Settings::default()
    })
    .await;
    let check = async |headers: &[(&str, &str)], expected: &str| {
        let mut request = app.request(Method::GET, "/api/health");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let reply = app.send(request).await;
        assert_eq!(reply.verdict(), expected, "{headers:?}");
        // No other site may read anything, whatever it was answered.
        assert_eq!(reply.header("access-control-allow-origin"), "");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert!(
            reply
                .header("content-security-policy")
                .contains("default-src 'none'")
        );
    };
    check(&[], "200").await;
    check(&[("host", "griot.lan:80")], "200").await;
    check(&[("host", "evil.example")], "403 host-not-allowed").await;
    check(&[("origin", "https://griot.lan")], "200").await;
    check(
        &[("origin", "https://evil.example")],
        "403 origin-not-allowed",
    )
    .await;
    check(&[("origin", "null")], "403 origin-not-allowed").await;
    check(
        &[("sec-fetch-site", "cross-site")],
        "403 origin-not-allowed",
    )
    .await;
    let preflight = app
        .request(Method::OPTIONS, "/api/rag/query")
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "POST");
    assert_eq!(
        app.send(preflight).await.verdict(),
        "403 origin-not-allowed"
    );
}

#[tokio::test]
async fn keys() {
    let (key, hash) = new_api_key().unwrap();
    let (other, other_hash) = new_api_key().unwrap();
    let mut app = TestApp::with(Settings {
        server: ServerConfig {
            api_keys: vec![hash.to_string(), other_hash.to_string()],
            ..ServerConfig::default()
        },
        ..Settings::default()
    })
    .await;
    for path in [
        "/api/health",
        "/api/knowledge/documents",
        "/api/rag/context?q=x",
        "/api/incidents",
        "/metrics",
        "/openapi.json",
        "/nowhere",
    ] {
        let reply = app.get(path).await;
        assert_eq!(reply.verdict(), "401 unauthorized", "{path}");
        assert_eq!(reply.header("www-authenticate"), "Bearer realm=\"griot\"");
    }
    for path in ["/livez", "/readyz"] {
        assert_eq!(app.get(path).await.verdict(), "200", "{path}");
    }
    let named = app
        .request(Method::GET, "/api/health")
        .header("x-api-key", &other);
    assert_eq!(app.send(named).await.verdict(), "200");
    app.show_key(&key);
    assert_eq!(app.get("/api/health").await.verdict(), "200");
    app.show_key("griot_not-the-key");
    assert_eq!(app.get("/api/health").await.verdict(), "401 unauthorized");
    // The hash that is stored is not a key.
    app.show_key(&hash.to_string());
    assert_eq!(app.get("/api/health").await.verdict(), "401 unauthorized");
}
