//! The Ollama adapter against servers of the test's own on loopback: good ones, and ones that cut,
//! stall, garble and refuse.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use futures::{StreamExt, stream};
use griot::{
    adapters::ollama::{Ollama, embed::OllamaEmbedder},
    domain::Embedding,
    health::Url,
    ports::{ChatEvent, ChatRequest, EmbedKind, Embedder, Finish, LanguageModel, PortError},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::{mpsc, oneshot, watch},
};

use super::{read, request};

/// A server that lives as long as the test.
async fn serve(router: Router) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url.parse().unwrap()
}

/// A server that answers `/api/chat` like so.
async fn chat(answer: impl Fn() -> Response + Clone + Send + Sync + 'static) -> Ollama {
    let router = Router::new().route("/api/chat", post(async move || answer()));
    Ollama::new(serve(router).await, "m").unwrap()
}

/// A body of the given lines.
fn lines(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn said(text: &str) -> Value {
    json!({"model": "m", "created_at": "2026-01-01T00:00:00Z",
           "message": {"role": "assistant", "content": text}, "done": false})
}

fn done() -> Value {
    json!({"model": "m", "created_at": "2026-01-01T00:00:00Z",
           "message": {"role": "assistant", "content": ""}, "done": true, "done_reason": "stop",
           "total_duration": 9, "load_duration": 1, "prompt_eval_count": 12,
           "prompt_eval_duration": 3_000_000, "eval_count": 2, "eval_duration": 5_000_000})
}

#[tokio::test]
async fn a_reply_is_told_as_it_comes() {
    let ollama = chat(|| lines(&[said("On the "), said("first."), done()]).into_response()).await;
    let events: Vec<_> = ollama.chat(request()).await.unwrap().collect().await;
    let events: Vec<ChatEvent> = events.into_iter().map(Result::unwrap).collect();
    let delta = |text: &str| ChatEvent::Delta {
        text: text.to_owned(),
        logprobs: Vec::new(),
    };
    assert_eq!(
        events,
        [
            delta("On the "),
            delta("first."),
            ChatEvent::Done {
                finish: Finish::Stop,
                prompt_tokens: 12,
                completion_tokens: 2,
                prompt_eval: Duration::from_millis(3),
                eval: Duration::from_millis(5),
            }
        ]
    );
}

#[tokio::test]
async fn the_request_arrives_as_it_was_made() {
    let (sent, mut received) = mpsc::channel::<Value>(1);
    let router = Router::new()
        .route(
            "/api/chat",
            post(
                async |State(sent): State<mpsc::Sender<Value>>, Json(body): Json<Value>| {
                    sent.send(body).await.unwrap();
                    lines(&[done()])
                },
            ),
        )
        .with_state(sent);
    let ollama = Ollama::new(serve(router).await, "m").unwrap().context(2048);
    let schema = json!({"type": "object", "properties": {"quote": {"type": "string"}}});
    let asked = ChatRequest {
        format: Some(schema.clone()),
        seed: Some(7),
        logprobs: true,
        ..request()
    };
    assert_eq!(read(ollama.chat(asked).await).await, "|done");
    let body = received.recv().await.unwrap();
    assert_eq!(body["format"], schema);
    assert_eq!(body["options"]["num_ctx"], 2048);
    assert_eq!(body["options"]["seed"], 7);
    assert_eq!(body["logprobs"], true);
    assert_eq!(body["messages"][0]["content"], "When is rent due?");
}

/// A server that writes raw bytes of a chunked body, piece by piece, and then closes the connection.
async fn raw(pieces: Vec<Vec<u8>>) -> Ollama {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = [0; 4096];
        assert!(socket.read(&mut head).await.unwrap() > 0);
        let status = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        socket.write_all(status).await.unwrap();
        for piece in pieces {
            let size = format!("{:x}\r\n", piece.len());
            socket.write_all(size.as_bytes()).await.unwrap();
            socket.write_all(&piece).await.unwrap();
            socket.write_all(b"\r\n").await.unwrap();
            socket.flush().await.unwrap();
        }
    });
    Ollama::new(url, "m").unwrap()
}

#[tokio::test]
async fn a_character_cut_in_two_by_the_network_is_whole() {
    let body = lines(&[said("Miete für März"), said(" — fällig"), done()]).into_bytes();
    let pieces = body.chunks(1).map(<[u8]>::to_vec);
    let ollama = raw(pieces.chain([Vec::new()]).collect()).await;
    assert_eq!(
        read(ollama.chat(request()).await).await,
        "Miete für März — fällig|done"
    );
}

#[tokio::test]
async fn a_connection_that_is_cut_in_the_middle_is_a_fault() {
    let whole = lines(&[said("On "), said("the")]).into_bytes();
    let half_a_line = whole[..whole.len() - 20].to_vec();
    for (body, text) in [(whole, "On the|"), (half_a_line, "On |")] {
        let ollama = raw(vec![body]).await;
        let reply = read(ollama.chat(request()).await).await;
        assert!(
            reply.starts_with(&format!(
                "{text}language_model is unavailable: the connection broke in the middle"
            )),
            "{reply}"
        );
    }
}

#[tokio::test]
async fn what_is_no_reply_is_a_fault_and_never_a_silence() {
    for (body, expected) in [
        ("", "|language_model is unavailable: the reply ended before"),
        (
            "<html>Welcome to the portal</html>",
            "|language_model is unavailable: the reply is not what the Ollama API describes",
        ),
        (
            "{\"message\":{\"content\":\"On \"}}\nnoise\n{\"done\":true}\n",
            "On |language_model is unavailable: the reply is not what",
        ),
        (
            "{\"message\":{\"content\":\"On \"}}\n{\"error\":\"llama runner ended\"}\n",
            "On |language_model is unavailable: it gave up in the middle of the reply: llama runner ended",
        ),
        (
            "{\"message\":{\"content\":\"On \"}}\n",
            "On |language_model is unavailable: the reply ended before it was finished",
        ),
    ] {
        let ollama = chat(move || body.into_response()).await;
        let reply = read(ollama.chat(request()).await).await;
        assert!(reply.starts_with(expected), "{body:?}: {reply}");
    }
}

/// Sends, once dropped.
struct OnDrop(Option<oneshot::Sender<()>>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        let _ = self.0.take().expect("dropped once").send(());
    }
}

/// Serves a reply that says one thing and then nothing more; the receiver hears when the server has
/// noticed that nobody listens any more.
async fn stalling(first: Option<Value>) -> (Ollama, oneshot::Receiver<()>) {
    let (gone, noticed) = oneshot::channel();
    let guard = Arc::new(std::sync::Mutex::new(Some(OnDrop(Some(gone)))));
    let ollama = chat(move || {
        let guard = guard.lock().unwrap().take().expect("asked once");
        let first: Vec<Result<Bytes, std::io::Error>> = first
            .iter()
            .map(|line| Ok(Bytes::from(format!("{line}\n"))))
            .collect();
        let silent = stream::once(async move {
            let _held = guard;
            std::future::pending().await
        });
        Body::from_stream(stream::iter(first).chain(silent)).into_response()
    })
    .await;
    (ollama, noticed)
}

#[tokio::test]
async fn dropping_the_reply_stops_the_server() {
    // Before anything was said, and in the middle.
    let (ollama, noticed) = stalling(None).await;
    let mut reply = ollama.chat(request()).await.unwrap();
    assert!(futures::poll!(reply.next()).is_pending());
    drop(reply);
    noticed.await.unwrap();

    let (ollama, noticed) = stalling(Some(said("On "))).await;
    let mut reply = ollama.chat(request()).await.unwrap();
    assert!(matches!(
        reply.next().await,
        Some(Ok(ChatEvent::Delta { .. }))
    ));
    drop(reply);
    noticed.await.unwrap();
}

#[tokio::test]
async fn each_status_is_the_error_it_means() {
    let cases: &[(u16, &str, &str)] = &[
        (
            404,
            r#"{"error":"model 'm' not found"}"#,
            "language_model refused: model 'm' not found (404 Not Found)",
        ),
        (
            400,
            "bad\nschema",
            "language_model refused: bad schema (400 Bad Request)",
        ),
        (
            401,
            "",
            "language_model refused: it gave no reason (401 Unauthorized)",
        ),
        (
            500,
            r#"{"error":"out of memory"}"#,
            "language_model is unavailable: HOST failed with status 500 Internal Server Error: out of memory",
        ),
        (
            502,
            "<html>",
            "language_model is unavailable: HOST failed with status 502 Bad Gateway: <html>",
        ),
        (
            503,
            r#"{"error":"busy"}"#,
            "language_model rests after faults; it is asked again in 1s",
        ),
        (
            429,
            "",
            "language_model rests after faults; it is asked again in 1s",
        ),
    ];
    for (status, body, expected) in cases {
        let (status, body) = (StatusCode::from_u16(*status).unwrap(), *body);
        let router = Router::new().route("/api/chat", post(async move || (status, body)));
        let url = serve(router).await;
        let host = format!("127.0.0.1:{}", url.port().unwrap());
        let ollama = Ollama::new(url, "m").unwrap();
        let Err(error) = ollama.chat(request()).await else {
            panic!("{status} is no success");
        };
        assert_eq!(error.to_string().replace(&host, "HOST"), *expected);
    }
}

#[tokio::test]
async fn a_busy_server_says_when_to_come_back_and_that_is_no_fault() {
    for (value, seconds) in [("7", 7), ("0", 1), ("100000", 60), ("soon", 1)] {
        let ollama = chat(move || {
            (
                StatusCode::SERVICE_UNAVAILABLE,
                [(header::RETRY_AFTER, value)],
            )
                .into_response()
        })
        .await;
        let Err(error) = ollama.chat(request()).await else {
            panic!("503 is no success");
        };
        assert!(!error.is_fault());
        assert!(
            matches!(error, PortError::Resting { retry_after, .. } if retry_after.as_secs() == seconds),
            "{error}"
        );
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let ollama = chat(|| Redirect::temporary("http://192.0.2.1/api/chat").into_response()).await;
    let reply = read(ollama.chat(request()).await).await;
    assert!(reply.contains("307 Temporary Redirect"), "{reply}");
}

#[tokio::test]
async fn nobody_there_is_a_fault_with_its_reason() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url: Url = format!("http://user:secret@{address}").parse().unwrap();
    let ollama = Ollama::new(url, "m").unwrap();
    let reply = read(ollama.chat(request()).await).await;
    assert!(
        reply.contains(&format!("{address} cannot be reached")),
        "{reply}"
    );
    assert!(reply.contains("refused"), "{reply}");
    assert!(!reply.contains("secret"), "{reply}");
    assert!(ollama.glance().await.is_err_and(|error| error.is_fault()));
}

#[tokio::test]
async fn a_worker_is_asked_where_it_listens_now() {
    let (url, receiver) = watch::channel(None);
    let ollama = Ollama::new(receiver, "m").unwrap();
    assert_eq!(
        read(ollama.chat(request()).await).await,
        "|language_model is unavailable: its worker is not running"
    );
    for text in ["one", "two"] {
        let body = lines(&[said(text), done()]);
        let router = Router::new()
            .route("/api/chat", post(async move || body))
            .route("/api/version", get(async || Json(json!({"version": "0"}))));
        url.send_replace(Some(serve(router).await));
        assert_eq!(
            read(ollama.chat(request()).await).await,
            format!("{text}|done")
        );
        ollama.glance().await.unwrap();
    }
}

#[tokio::test]
async fn a_glance_sees_whether_the_model_is_there() {
    let router = Router::new().route(
        "/api/tags",
        get(async || {
            Json(json!({"models": [
                {"name": "a:latest", "modified_at": "2026-01-01T00:00:00Z", "size": 1},
                {"name": "b:1.5b", "modified_at": "2026-01-01T00:00:00Z", "size": 1},
            ]}))
        }),
    );
    let url = serve(router).await;
    for (model, there) in [
        ("a", true),
        ("a:latest", true),
        ("b:1.5b", true),
        ("b", false),
    ] {
        let glance = Ollama::new(url.clone(), model).unwrap().glance().await;
        if there {
            glance.unwrap();
        } else {
            let error = glance.unwrap_err();
            assert!(!error.is_fault());
            assert!(error.to_string().contains("run `ollama pull b`"), "{error}");
        }
    }
}

/// A server of embeddings: `/api/embed` answers like so, `/api/show` says a context of 512 tokens.
async fn embedding(answer: impl Fn(usize) -> Value + Clone + Send + Sync + 'static) -> Url {
    let embed = post(async move |Json(body): Json<Value>| {
        Json(json!({"embeddings": answer(body["input"].as_array().unwrap().len())}))
    });
    let show = post(async || Json(json!({"model_info": {"bert.context_length": 512}})));
    serve(
        Router::new()
            .route("/api/embed", embed)
            .route("/api/show", show),
    )
    .await
}

#[tokio::test]
async fn an_embedder_learns_its_dimension_and_gives_unit_vectors() {
    let url = embedding(|texts| json!(vec![[3.0, 4.0]; texts])).await;
    let embedder = OllamaEmbedder::connect(url, "e").await.unwrap();
    let identity = embedder.identity();
    assert_eq!(
        (
            identity.model.as_str(),
            identity.dimension,
            identity.max_tokens
        ),
        ("e", 2, 512)
    );
    let texts = vec!["one".to_owned(), "two".to_owned()];
    assert_eq!(
        embedder.embed(texts, EmbedKind::Passage).await.unwrap(),
        vec![Embedding(vec![0.6, 0.8]); 2]
    );
    let none = embedder.embed(Vec::new(), EmbedKind::Passage).await;
    assert!(none.unwrap().is_empty());
}

#[tokio::test]
async fn vectors_that_are_none_are_faults() {
    let good_once = |bad: Value| {
        let asked = Arc::new(std::sync::atomic::AtomicBool::new(false));
        move |_: usize| {
            if asked.swap(true, std::sync::atomic::Ordering::SeqCst) {
                bad.clone()
            } else {
                json!([[1.0, 0.0]])
            }
        }
    };
    for bad in [
        json!([[1.0, 0.0]]),
        json!([[1.0, 0.0], [1.0]]),
        json!([[1.0, 0.0], [0.0, 0.0]]),
        json!("none"),
    ] {
        let url = embedding(good_once(bad.clone())).await;
        let embedder = OllamaEmbedder::connect(url, "e").await.unwrap();
        let texts = vec!["one".to_owned(), "two".to_owned()];
        let result = embedder.embed(texts, EmbedKind::Passage).await;
        assert!(result.is_err_and(|error| error.is_fault()), "{bad}");
    }
    let url = embedding(|_| json!([[]])).await;
    let error = OllamaEmbedder::connect(url, "chat-model")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("is it an embedding model?"));
}
