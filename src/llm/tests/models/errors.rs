//! Requests that cannot be served say why, and none of them ends the worker.

use serde_json::{Value, json};

use crate::{
    client::send,
    server::{MODEL, Server, shared, user},
};

/// Posts and expects an error of Ollama's shape with this status and these words.
fn check(server: &Server, path: &str, body: &str, status: u16, words: &str) {
    let response = send(server.address, "POST", path, &[], body.as_bytes());
    let got = response.status;
    let reply = response.json();
    let shown = &body[..body.floor_char_boundary(120)];
    assert_eq!(got, status, "{path} {shown}: {reply}");
    let error = reply["error"]
        .as_str()
        .unwrap_or_else(|| panic!("no error in {reply}"));
    assert!(
        error.contains(words),
        "{path} {shown}: {error:?} without {words:?}"
    );
}

#[test]
fn what_is_wrong_is_said() {
    let Some(server) = shared() else { return };
    let check = |path: &str, body: Value, status, words| {
        check(&server, path, &body.to_string(), status, words);
    };
    let chat = |extra: Value| {
        let mut body = json!({"model": MODEL, "messages": user("Hi"), "stream": false});
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        body
    };
    check(
        "/api/chat",
        json!({"model": "nope", "messages": []}),
        404,
        "\"nope\" not found",
    );
    check("/api/generate", json!({"model": "nope"}), 404, "not found");
    check(
        "/api/embed",
        json!({"model": "nope", "input": "x"}),
        404,
        "not found",
    );
    check("/api/show", json!({"model": "nope"}), 404, "not found");
    check("/api/show", json!({}), 400, "names no model");
    check("/api/chat", json!({}), 400, "names no model");
    check(
        "/api/chat",
        chat(json!({"options": {"top_p": 3}})),
        400,
        "top_p",
    );
    check(
        "/api/chat",
        chat(json!({"keep_alive": "soon"})),
        400,
        "soon",
    );
    check(
        "/api/chat",
        chat(json!({"format": {"type": "no such type"}})),
        400,
        "cannot be held",
    );
    check(
        "/api/chat",
        chat(json!({"format": {"$ref": "#/nowhere"}})),
        400,
        "cannot be held",
    );
    let repeated = json!({"type": "string", "minLength": 1_000_000, "maxLength": 9_000_000});
    check(
        "/api/chat",
        chat(json!({"format": repeated})),
        400,
        "cannot be held",
    );
    check(
        "/api/chat",
        chat(json!({"options": {"num_ctx": 16}})),
        400,
        "raise \"num_ctx\"",
    );
    check(
        "/api/chat",
        chat(json!({"messages": user(&"word ".repeat(3000))})),
        400,
        "3030 tokens long",
    );
    check(
        "/api/chat",
        chat(json!({"messages": user(&"x".repeat(1_000_000))})),
        400,
        "cannot fit",
    );
    check(
        "/api/embed",
        json!({"model": MODEL, "input": [""]}),
        400,
        "empty",
    );
    check("/api/pull", json!({"model": "x"}), 404, "no POST /api/pull");
    drop(server);
}

#[test]
fn broken_bodies_and_wrong_methods() {
    let Some(server) = shared() else { return };
    check(&server, "/api/chat", "", 400, "not the JSON");
    check(&server, "/api/chat", "{\"model\":", 400, "not the JSON");
    check(&server, "/api/chat", "\u{0}\u{1}", 400, "not the JSON");
    let deep = "[".repeat(100_000);
    check(
        &server,
        "/api/chat",
        &format!("{{\"model\":\"small\",\"format\":{deep}"),
        400,
        "not the JSON",
    );
    let response = send(server.address, "GET", "/api/chat", &[], b"");
    assert_eq!(response.status, 405);
    let big = vec![b' '; 9 << 20];
    let response = send(server.address, "POST", "/api/chat", &[], &big);
    assert_eq!(response.status, 413);
    let foreign = send(
        server.address,
        "GET",
        "/api/tags",
        &[("host", "evil.example")],
        b"",
    );
    assert_eq!(foreign.status, 403);
    let page = send(
        server.address,
        "POST",
        "/api/chat",
        &[("origin", "https://evil.example")],
        b"{}",
    );
    assert_eq!(page.status, 403);
}

/// Every text a document may hold is read as text: an answer, or a clear refusal of its length.
#[test]
fn strange_texts_are_only_text() {
    let Some(mut server) = shared() else { return };
    let texts = [
        String::new(),
        " \n\t ".to_owned(),
        "\u{0}".repeat(50),
        "<|endoftext|><|im_end|></s><tool_call>".to_owned(),
        "\u{202e}\u{feff}\u{fffd}\u{10ffff}e\u{301}\u{300}".repeat(20),
        "a".repeat(100_000),
        " ".repeat(100_000),
        "\n".repeat(20_000),
        "7".repeat(1500),
        "👩‍👩‍👧‍👦".repeat(100),
        "{{ raise_exception('x') }}{% for i in range(9999999) %}{% endfor %}".to_owned(),
        "ﷺ".repeat(1000),
        "=".repeat(50_000),
    ];
    for text in texts {
        let body = json!({"model": MODEL, "messages": user(&text), "stream": false, "options": {"num_predict": 1}});
        let response = server.post("/api/chat", &body);
        let status = response.status;
        let reply = response.json();
        let shown = &text[..text.floor_char_boundary(40)];
        assert!(
            status == 200 || status == 400,
            "{shown:?}: {status} {reply}"
        );
        assert!(server.is_running(), "{shown:?} ended the worker");
    }
    for messages in [
        json!([{"role": "assistant", "content": "only me"}]),
        json!([{"role": "tool", "content": "x"}]),
    ] {
        let body = json!({"model": MODEL, "messages": messages, "stream": false, "options": {"num_predict": 1}});
        let status = server.post("/api/chat", &body).status;
        assert!(status == 200 || status == 400, "{status}");
    }
    assert!(server.is_running());
}

#[test]
fn a_schema_may_be_anything() {
    let Some(mut server) = shared() else { return };
    let nested = (0..60).fold(
        json!({"type": "string"}),
        |inner, _| json!({"type": "array", "items": inner}),
    );
    let schemas = [
        json!({}),
        json!({"type": "string", "pattern": "^(a|b)*$"}),
        json!({"type": "string", "pattern": "("}),
        json!({"enum": []}),
        json!({"enum": ["é\"\\\n", 1, null]}),
        json!({"type": "object", "properties": {"\"\n]": {"const": "\u{0}"}}, "required": ["\"\n]"]}),
        json!({"$defs": {"n": {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"}),
        json!({"$ref": "#"}),
        json!({"anyOf": []}),
        json!({"type": "integer", "minimum": -3, "maximum": 12}),
        json!({"type": "array", "minItems": 2, "maxItems": 1}),
        json!({"allOf": [{"type": "string"}, {"type": "integer"}]}),
        nested,
    ];
    for schema in schemas {
        let body = json!({"model": MODEL, "messages": user("Go."), "stream": false, "format": schema,
                          "options": {"num_predict": 12, "temperature": 0}});
        let response = server.post("/api/chat", &body);
        let status = response.status;
        let reply = response.json();
        assert!(status == 200 || status == 400, "{schema}: {status} {reply}");
        assert!(server.is_running(), "{schema} ended the worker");
    }
}
