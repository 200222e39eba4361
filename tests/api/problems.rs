//! Everything that can be wrong with a request, and the whole problem that answers it.

use std::fmt::Write;

use griot::{
    config::{IngestConfig, ServerConfig},
    ports::fakes::Trouble,
};
use reqwest::Method;
use serde_json::json;

use crate::app::{LEASE, QUESTION, Settings, TestApp};

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "multipart/form-data; boundary=X");
const UNKNOWN: &str = "doc_00000000000000000000000000000000";

/// One part of a form.
fn part(disposition: &str, content: &str) -> String {
    format!("--X\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n")
}

#[tokio::test]
async fn wrong_requests() {
    let app = TestApp::with(Settings {
        server: ServerConfig {
            max_body_bytes: 500,
            max_question_chars: 20,
            ..ServerConfig::default()
        },
        ..Settings::default()
    })
    .await;
    let mut seen = String::new();
    let mut check = async |method: &str, path: &str, header: Option<(&str, &str)>, body: String| {
        let mut request = app.request(method.parse::<Method>().unwrap(), path);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let reply = app.send(request.body(body.clone())).await;
        assert_eq!(reply.header("content-type"), "application/problem+json");
        assert_eq!(
            reply.verdict().split(' ').next(),
            Some(reply.status.as_str())
        );
        let shown = |text: &str| match text.char_indices().nth(70) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.to_owned(),
        };
        let allow = reply.header("allow");
        writeln!(
            seen,
            "{method} {} {}\n  {}{}\n",
            shown(path),
            shown(&body.replace("\r\n", "␍")),
            reply.text(),
            if allow.is_empty() {
                String::new()
            } else {
                format!("\n  Allow: {allow}")
            }
        )
        .unwrap();
    };
    let nothing = String::new;

    check("GET", "/nowhere", None, nothing()).await;
    check("GET", "/api/knowledge", None, nothing()).await;
    check("PUT", "/api/rag/query", None, nothing()).await;
    check("POST", "/api/knowledge/documents", None, nothing()).await;
    check("GET", &format!("/{}", "a".repeat(17_000)), None, nothing()).await;

    check("POST", "/api/rag/query", None, r#"{"question":"x"}"#.into()).await;
    let text = Some(("content-type", "text/plain"));
    check("POST", "/api/rag/query", text, "x".into()).await;
    for body in [
        "",
        "{",
        "[]",
        "null",
        r#"{"question":1}"#,
        r#"{}"#,
        r#"{"question":""}"#,
        r#"{"question":" \u0000\t "}"#,
        r#"{"question":"this one is longer than twenty characters"}"#,
        r#"{"question":"x","colection":"y"}"#,
        r#"{"question":"x","collection":"../y"}"#,
        r#"{"question":"x","conversation_id":"doc_1"}"#,
        r#"{"question":"x","top_k":0}"#,
        r#"{"question":"x","top_k":51}"#,
        r#"{"question":"x","top_k":-1}"#,
        r#"{"question":"x","top_k":1e99}"#,
        r#"{"question":"x","stream":"yes"}"#,
        r#"{"question":"x","question":"y"}"#,
    ] {
        check("POST", "/api/rag/query", Some(JSON), body.into()).await;
    }
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    check("POST", "/api/rag/query", Some(JSON), deep).await;
    let large = format!(r#"{{"question":"{}"}}"#, "x".repeat(600));
    check("POST", "/api/rag/query", Some(JSON), large).await;

    for path in [
        "/api/rag/context",
        "/api/rag/context?q=",
        "/api/rag/context?q=x&top_k=0",
        "/api/rag/context?q=x&top_k=many",
        "/api/rag/context?q=x&limit=3",
        "/api/rag/context/%FF",
        "/api/rag/context/%20",
        "/api/rag/context/x?q=y",
        "/api/knowledge/documents/%FF%FE",
        "/api/knowledge/documents/doc_1",
        "/api/knowledge/documents/%00",
        "/api/knowledge/documents/..%2F..%2Fetc%2Fpasswd",
        &format!("/api/knowledge/documents/{}", "9".repeat(5000)),
        &format!("/api/knowledge/documents/{UNKNOWN}"),
        &format!("/api/knowledge/documents/{UNKNOWN}/text"),
        &format!("/api/knowledge/documents/{UNKNOWN}/text?start=2&end=1"),
        &format!("/api/knowledge/documents/{UNKNOWN}/text?start=-1"),
        &format!("/api/knowledge/documents/{UNKNOWN}/text?end=18446744073709551616"),
        &format!("/api/knowledge/documents/{UNKNOWN}/original"),
        &format!("/api/knowledge/status/{UNKNOWN}"),
        "/api/knowledge/documents?limit=0",
        "/api/knowledge/documents?limit=501",
        "/api/knowledge/documents?cursor=doc_x",
        "/api/knowledge/documents?collection=a%20b",
        "/api/incidents?limit=0",
        "/api/incidents/inc_1",
    ] {
        check("GET", path, None, nothing()).await;
    }
    let unknown = format!("/api/knowledge/documents/{UNKNOWN}");
    check("DELETE", &unknown, None, nothing()).await;

    for body in [
        "{}",
        r#"{"path":"/etc/passwd"}"#,
        r#"{"path":"/etc/\u0000passwd"}"#,
        r#"{"path":"a","id":"b"}"#,
        r#"{"id":"b"}"#,
    ] {
        check("POST", "/api/knowledge/process", Some(JSON), body.into()).await;
    }
    let again = format!(r#"{{"id":"{UNKNOWN}"}}"#);
    check("POST", "/api/knowledge/process", Some(JSON), again).await;

    check("POST", "/api/knowledge/upload", Some(JSON), "{}".into()).await;
    let unbounded = Some(("content-type", "multipart/form-data"));
    check("POST", "/api/knowledge/upload", unbounded, "x".into()).await;
    let a_file = part("name=\"file\"; filename=\"a.txt\"", "text");
    for body in [
        String::new(),
        "--X--\r\n".to_owned(),
        a_file.clone(),
        part("name=\"file\"; filename=\"a.txt\"", "") + "--X--\r\n",
        part("name=\"data\"", "x") + "--X--\r\n",
        part("name=\"file\"", "a value") + "--X--\r\n",
        a_file.clone() + &part("name=\"collection\"", "a b") + "--X--\r\n",
        a_file.clone() + &part("name=\"metadata\"", "{") + "--X--\r\n",
        a_file.clone() + &part("name=\"metadata\"", "[]") + "--X--\r\n",
        a_file.clone()
            + &part("name=\"metadata\"", "{}")
            + &part("name=\"metadata\"", "{}")
            + "--X--\r\n",
        a_file.clone() + &part("name=\"metadata\"", &" ".repeat(70_000)) + "--X--\r\n",
    ] {
        check("POST", "/api/knowledge/upload", Some(FORM), body).await;
    }
    // None of them left a document behind.
    let list = app.get("/api/knowledge/documents").await;
    assert_eq!(list.json()["documents"], serde_json::json!([]));
    insta::assert_snapshot!(seen);
}

#[tokio::test]
async fn requests_that_no_client_library_sends() {
    let app = TestApp::start().await;
    let check = async |lines: &str, expected: &str| {
        let request = format!("{lines}\r\nConnection: close\r\n\r\n");
        let answer = app.raw(request.as_bytes()).await;
        let status = answer.split(' ').nth(1).unwrap_or("nothing");
        let problem = answer
            .split_once("urn:griot:problem:")
            .and_then(|(_, rest)| rest.split('"').next());
        let verdict = match problem {
            Some(name) => format!("{status} {name}"),
            None => status.to_owned(),
        };
        assert_eq!(verdict, expected, "{lines}\n{answer}");
    };
    check("GET /livez HTTP/1.1\r\nHost: localhost", "200").await;
    check("GET /livez HTTP/1.1", "400 malformed-request").await;
    check(
        "GET /livez HTTP/1.1\r\nHost: a\r\nHost: b",
        "400 malformed-request",
    )
    .await;
    check(
        "GET http://evil.example/livez HTTP/1.1\r\nHost: localhost",
        "403 host-not-allowed",
    )
    .await;
    check(
        "GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: x",
        "400",
    )
    .await;
    check(
        "BREW /livez HTTP/1.1\r\nHost: localhost",
        "405 method-not-allowed",
    )
    .await;
    check("nonsense", "400").await;
    let many: String = (0..200).map(|n| format!("\r\nX-{n}: 1")).collect();
    check(
        &format!("GET /livez HTTP/1.1\r\nHost: localhost{many}"),
        "431",
    )
    .await;
}

/// A fault of the program costs one response; the next request is served.
#[tokio::test]
async fn a_panicking_handler_answers_and_the_daemon_goes_on() {
    let app = TestApp::start().await;
    app.ingest("lease.txt", LEASE).await;
    app.embedder.trouble(Trouble::Panic);
    let question = json!({ "question": QUESTION });
    let reply = app.post("/api/rag/query", &question).await;
    assert_eq!(reply.verdict(), "500 internal", "{}", reply.text());
    assert!(!reply.text().contains("told to panic"), "{}", reply.text());
    app.embedder.recover();
    let reply = app.post("/api/rag/query", &question).await;
    assert_eq!(reply.json()["supported"], true, "{}", reply.text());
}

/// A body that stops coming is given up, so that a sleeping client holds nothing.
#[tokio::test]
async fn a_stalled_body_is_given_up() {
    let app = TestApp::start().await;
    // Time runs only while everybody waits, so the limit passes at once.
    tokio::time::pause();
    let answer = app
        .raw(
            b"POST /api/rag/query HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
              Content-Length: 100\r\n\r\n{\"question\":",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(
        answer.contains("urn:griot:problem:request-timed-out"),
        "{answer}"
    );
}

/// A form of eight megabytes, more than a connection that nobody reads takes in.
fn large_form(more: &str) -> Vec<u8> {
    let name = "content-disposition: form-data; name=\"file\"; filename=\"a.txt\"";
    let file = "Rent is due. ".repeat(640_000);
    let body = format!("--b\r\n{name}\r\n\r\n{file}\r\n--b--\r\n");
    let head = format!(
        "POST /api/knowledge/upload HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{more}\
         content-type: multipart/form-data; boundary=b\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head, body].concat().into_bytes()
}

#[tokio::test]
async fn who_is_refused_while_sending_can_send_all_of_it_and_read_why() {
    let full = IngestConfig {
        keep_free_mib: 1 << 20,
        ..IngestConfig::default()
    };
    let app = TestApp::with(Settings {
        ingest: full,
        ..Settings::default()
    })
    .await;
    let refused = app.raw(&large_form("")).await;
    assert!(refused.starts_with("HTTP/1.1 507"), "{refused}");
    let refused = app
        .raw(&large_form("origin: http://elsewhere.example\r\n"))
        .await;
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
}
