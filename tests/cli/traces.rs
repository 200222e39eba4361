//! Traces of the real daemon at a collector of the test's own, and at one that is not there.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::{net::TcpListener, sync::mpsc};

/// A daemon that sends its traces there, and where it listens.
fn daemon(home: &Path, endpoint: &str) -> (Child, String) {
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_griot"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("GRIOT_HOME", home)
        .env("XDG_CONFIG_HOME", home)
        .env("GRIOT__MODELS__DIR", home.join("no-models"))
        .env("GRIOT__LLM__UPSTREAMS", "[]")
        .env("GRIOT__TELEMETRY__OTLP_ENDPOINT", endpoint)
        .env("GRIOT__TELEMETRY__OTLP_HEADERS", "[\"x-key: of-the-test\"]")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let output = daemon.stdout.take().unwrap();
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let url = lines
        .find_map(|line| Some(line.split_once("listening on ")?.1.to_owned()))
        .expect("it says where it listens");
    (daemon, url)
}

async fn ask(url: &str) -> String {
    let reply = reqwest::Client::new()
        .post(format!("{url}/api/rag/query"))
        .header(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        )
        .json(&json!({ "question": "When is the rent payable?" }))
        .send()
        .await
        .unwrap();
    assert!(reply.status().is_success(), "{}", reply.status());
    reply.text().await.unwrap()
}

fn stop(mut daemon: Child) {
    kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
    assert!(daemon.wait().unwrap().success());
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|part| part == wanted)
}

/// A field of a message in protobuf: tag, length, text.
fn field(tag: u8, text: &str) -> Vec<u8> {
    let mut bytes = vec![tag << 3 | 2, text.len() as u8];
    bytes.extend(text.bytes());
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_seen_at_the_collector_and_not_its_words() {
    let (sender, mut received) = mpsc::channel(100);
    let router = Router::new().route(
        "/v1/traces",
        post(async move |headers: HeaderMap, body: Bytes| {
            let _ = sender.try_send((headers, body));
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });

    let home = tempfile::tempdir().unwrap();
    let (running, url) = daemon(home.path(), &endpoint);
    ask(&url).await;
    // What has not been sent by then is sent at the end.
    tokio::task::spawn_blocking(|| stop(running)).await.unwrap();
    let mut all = Vec::new();
    while let Ok((headers, body)) = received.try_recv() {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        assert_eq!(headers["x-key"], "of-the-test");
        // The resource first: its attribute `service.name`.
        let mut service = field(1, "service.name");
        service.extend([0x12, 7]);
        service.extend(field(1, "griot"));
        assert!(holds(&body, &service));
        all.extend(body);
    }
    // Names of spans (field 5), and the trace of whoever asked (field 1 of a span).
    for name in ["POST /api/rag/query", "answer", "retrieve", "vector_store"] {
        assert!(holds(&all, &field(5, name)), "{name}");
    }
    let trace = hex::decode("4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
    let mut of_the_asker = vec![0x0a, 16];
    of_the_asker.extend(trace);
    let together = all
        .windows(of_the_asker.len())
        .filter(|part| *part == of_the_asker);
    assert!(together.count() >= 4, "one trace from the request on");
    assert!(!holds(&all, b"rent payable"), "no words of a question");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_or_is_gone_costs_nothing_but_traces() {
    // Accepts, and never answers.
    let hangs = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at_hanging, at_gone) = (hangs.local_addr().unwrap(), gone.local_addr().unwrap());
    drop(gone);
    for address in [at_hanging, at_gone] {
        let home = tempfile::tempdir().unwrap();
        let (running, url) = daemon(home.path(), &format!("http://{address}"));
        // More than a batch, so that the first is on its way when the last is asked.
        for _ in 0..20 {
            ask(&url).await;
        }
        let page = async || {
            let page = reqwest::get(format!("{url}/metrics")).await.unwrap();
            page.text().await.unwrap()
        };
        if address == at_gone {
            // It is told how many were lost; the deadline of one that hangs is longer than a test.
            while !page()
                .await
                .contains("griot_trace_spans_lost_total{why=\"not_taken\"}")
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        assert!(!page().await.contains("griot_trace_spans_sent_total"));
        tokio::task::spawn_blocking(|| stop(running)).await.unwrap();
    }
}
