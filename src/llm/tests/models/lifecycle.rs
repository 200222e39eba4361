//! Leaving, waiting, loading, unloading, stopping.

use std::io::Write;
use std::{net::TcpStream, process::Command};

use serde_json::json;

use crate::server::{MODEL, Server, content, user};

/// A reply that would go on for thousands of tokens: the grammar does not let it end.
fn endless() -> serde_json::Value {
    json!({
        "model": MODEL, "messages": user("Write numbers for ever."),
        "format": {"type": "array", "items": {"type": "integer"}, "minItems": 1500},
        "options": {"temperature": 0, "num_predict": 3000},
    })
}

#[test]
fn who_hangs_up_stops_the_writing() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let mut leaving = server.post("/api/chat", &endless());
    assert_eq!(leaving.status, 200);
    assert!(leaving.line().is_some());
    assert_eq!(server.count("running"), 1);
    drop(leaving);

    let reply = server.chat(json!({"messages": user("Say hi."), "options": {"num_predict": 4}}));
    assert_eq!(reply["done"], true);
    assert_eq!(server.count("cancelled"), 1);
    let written = server.count("written_tokens");
    assert!(
        written < 1500,
        "{written} tokens were written for a client that left after the first"
    );
}

#[test]
fn who_hangs_up_stops_the_reading() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let text = "The river runs by the old mill and the new bridge. ".repeat(300);
    let body =
        json!({"model": MODEL, "messages": user(&text), "options": {"num_predict": 1}}).to_string();
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head = format!(
        "POST /api/chat HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    server.until("running", |running| running == 1);
    drop(stream);
    server.until("cancelled", |cancelled| cancelled == 1);
    let read = server.count("read_tokens");
    assert!(
        read < 3000,
        "{read} tokens were read for a client that left"
    );
}

#[test]
fn who_leaves_the_line_is_passed_over() {
    let Some(server) = Server::start(&["--queue", "1"]) else {
        return;
    };
    let mut running = server.post("/api/chat", &endless());
    assert!(running.line().is_some());

    // One may wait.
    let body =
        json!({"model": MODEL, "messages": user("Hi"), "options": {"num_predict": 1}}).to_string();
    let mut waiting = TcpStream::connect(server.address).unwrap();
    let head = format!(
        "POST /api/chat HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    waiting.write_all(head.as_bytes()).unwrap();
    waiting.write_all(body.as_bytes()).unwrap();
    server.until("queued", |queued| queued == 1);

    // The next is turned away, and told so.
    let turned = server.post(
        "/api/chat",
        &json!({"model": MODEL, "messages": user("Hi")}),
    );
    assert_eq!(turned.status, 503);
    assert!(turned.json()["error"].as_str().unwrap().contains("busy"));

    // Who leaves makes room.
    drop(waiting);
    server.until("queued", |queued| queued == 0);
    drop(running);
    let reply = server.chat(json!({"messages": user("Hi"), "options": {"num_predict": 1}}));
    assert_eq!(reply["done"], true);
    assert_eq!(server.count("cancelled"), 2);
    // Counted after the answer is out.
    server.until("served", |served| served == 1);
}

#[test]
fn a_model_comes_with_the_first_request_and_goes_when_told() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let models = || server.ps()["models"].as_array().unwrap().clone();
    assert!(models().is_empty());
    let load = |keep_alive: serde_json::Value| {
        server
            .post(
                "/api/generate",
                &json!({"model": MODEL, "stream": false, "keep_alive": keep_alive}),
            )
            .json()
    };
    let loaded = load(json!(-1));
    assert_eq!(
        (&loaded["done_reason"], &loaded["response"]),
        (&json!("load"), &json!(""))
    );
    assert!(loaded["load_duration"].as_u64().unwrap() > 0);
    assert_eq!(load(json!(-1))["load_duration"], 0);
    // The engine notes how long it stays after the answer is out.
    while !models()
        .first()
        .is_some_and(|model| model["expires_at"].as_str().unwrap().starts_with("9999"))
    {}
    assert_eq!(models()[0]["context_length"], 4096);
    assert_eq!(load(json!(0))["done_reason"], "unload");
    assert!(models().is_empty());
    assert_eq!(
        load(json!(0))["done_reason"],
        "unload",
        "also when there is nothing to unload"
    );

    // A reply with keep_alive 0 is the last one.
    let reply = server
        .chat(json!({"messages": user("Hi"), "options": {"num_predict": 1}, "keep_alive": 0}));
    assert_eq!(reply["done_reason"], "length");
    while !models().is_empty() {}
}

#[test]
fn a_model_is_ready_at_once_where_that_was_asked() {
    let Some(server) = Server::start(&["--preload"]) else {
        return;
    };
    while server.ps()["models"].as_array().unwrap().is_empty() {}
    let reply = server.chat(json!({"messages": user("Hi"), "options": {"num_predict": 1}}));
    assert_eq!(reply["load_duration"], 0);
}

#[test]
fn a_signal_lets_the_reply_in_hand_end() {
    let Some(mut server) = Server::start(&[]) else {
        return;
    };
    let body = json!({"model": MODEL, "messages": user("Count from 1 to 9."), "options": {"num_predict": 12}});
    let mut reply = server.post("/api/chat", &body);
    assert!(reply.line().is_some());
    assert!(
        Command::new("kill")
            .args(["-TERM", &server.pid().to_string()])
            .status()
            .unwrap()
            .success()
    );
    let rest = reply.lines();
    assert_eq!(rest.last().unwrap()["done"], true, "{rest:?}");
    assert!(server.wait().success());
}

#[test]
fn the_end_of_the_parent_is_the_end() {
    let Some(mut server) = Server::start(&[]) else {
        return;
    };
    let mut reply = server.post("/api/chat", &endless());
    assert!(reply.line().is_some());
    server.close_stdin();
    assert!(server.wait().success());
}

#[test]
fn the_next_model_takes_the_place_of_the_last() {
    let Some(weights) = crate::server::weights() else {
        return;
    };
    let other = format!("other:1b={}", weights.display());
    let Some(server) = Server::start(&["--model", &other]) else {
        return;
    };
    let ask = |model: &str| {
        let body = json!({"model": model, "messages": user("Hi"), "stream": false, "options": {"num_predict": 2}});
        let reply = server.post("/api/chat", &body).json();
        assert!(!content(&reply).is_empty());
        let loaded = server.ps()["models"].as_array().unwrap().clone();
        (loaded.len(), loaded[0]["name"].as_str().unwrap().to_owned())
    };
    assert_eq!(ask("small:latest"), (1, MODEL.to_owned()));
    assert_eq!(ask("OTHER:1b"), (1, "other:1b".to_owned()));
    assert_eq!(ask("small"), (1, MODEL.to_owned()));
}
