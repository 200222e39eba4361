//! What a chat says and how it is told.

use serde_json::{Value, json};

use crate::server::{MODEL, content, shared, user};

#[test]
fn a_stream_is_lines_that_add_up_to_the_whole() {
    let Some(server) = shared() else { return };
    let body = json!({"messages": user("Say \"good day\" in French, Russian and Chinese."),
                      "options": {"temperature": 0, "num_predict": 40}});
    let whole = server.chat(body.clone());

    let mut streamed = body;
    streamed["model"] = json!(MODEL);
    let response = server.post("/api/chat", &streamed);
    assert_eq!(response.status, 200);
    assert!(
        response.head.contains("content-type: application/x-ndjson"),
        "{}",
        response.head
    );
    let lines = response.lines();
    let (last, pieces) = lines.split_last().unwrap();
    assert!(pieces.len() > 3, "came in one: {lines:?}");
    assert!(
        pieces
            .iter()
            .all(|piece| piece["done"] == false && piece["message"]["role"] == "assistant")
    );
    let text: String = pieces.iter().map(content).collect();
    assert_eq!(text, content(&whole), "the stream is the whole in pieces");
    assert!(
        !text.is_ascii(),
        "this test wants characters that are escaped: {text}"
    );

    assert_eq!(last["done"], true);
    assert_eq!(content(last), "");
    for name in [
        "total_duration",
        "load_duration",
        "prompt_eval_count",
        "prompt_eval_duration",
        "prompt_cached_count",
        "eval_count",
        "eval_duration",
    ] {
        assert!(last[name].is_u64(), "{name} in {last}");
    }
    assert_eq!(last["eval_count"], whole["eval_count"]);
    assert_eq!(last["prompt_eval_count"], whole["prompt_eval_count"]);
    assert!(last["total_duration"].as_u64() >= last["eval_duration"].as_u64());
}

#[test]
fn a_schema_holds_the_reply_and_the_order_of_its_properties() {
    let Some(server) = shared() else { return };
    // As text: the order has to be this one, and a map in this test would sort it.
    let schema = r#"{"type":"object","properties":{"zeal":{"type":"string","maxLength":40},
        "count":{"type":"integer"},"apt":{"type":"boolean"}},"required":["zeal","count","apt"]}"#;
    let body = format!(
        r#"{{"model":"{MODEL}","stream":false,"messages":[{{"role":"user","content":"Tell me about tea."}}],
            "format":{schema},"options":{{"temperature":0,"num_predict":120}}}}"#
    );
    let response = crate::client::send(server.address, "POST", "/api/chat", &[], body.as_bytes());
    assert_eq!(response.status, 200);
    let reply = response.json();
    assert_eq!(reply["done_reason"], "stop", "{reply}");
    let text = content(&reply);
    let value: Value =
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"));
    assert!(
        value["zeal"].is_string() && value["count"].is_i64() && value["apt"].is_boolean(),
        "{value}"
    );
    let place = |name: &str| text.find(&format!("\"{name}\"")).unwrap();
    assert!(
        place("zeal") < place("count") && place("count") < place("apt"),
        "{text}"
    );
}

#[test]
fn any_json_is_an_object_also_when_it_is_drawn_at_random() {
    let Some(server) = shared() else { return };
    for seed in 0..3 {
        let reply = server.chat(json!({"messages": user("A short record of a city as JSON, two fields."), "format": "json",
            "options": {"temperature": 1.2, "seed": seed, "num_predict": 300}}));
        if reply["done_reason"] == "stop" {
            let value: Value = serde_json::from_str(content(&reply)).unwrap();
            assert!(value.is_object(), "{value}");
        } else {
            assert!(content(&reply).trim_start().starts_with('{'), "{reply}");
        }
    }
}

#[test]
fn a_stop_text_ends_the_reply_unseen() {
    let Some(server) = shared() else { return };
    let ask = |stop: Value| {
        server.chat(
            json!({"messages": user("Count from 1 to 9, separated by single spaces."),
            "options": {"temperature": 0, "num_predict": 40, "stop": stop}}),
        )
    };
    let free = ask(json!([]));
    assert!(
        content(&free).contains("3 4 5"),
        "this test wants a count: {free}"
    );
    let stopped = ask(json!(["4 5"]));
    assert!(content(&stopped).ends_with("3 "), "{stopped}");
    assert_eq!(stopped["done_reason"], "stop");
    assert!(stopped["eval_count"].as_u64() < free["eval_count"].as_u64());
    assert_eq!(content(&ask(json!("1"))), "");
}

#[test]
fn a_reply_is_as_long_as_allowed() {
    let Some(server) = shared() else { return };
    let long = "Write a long story about the sea.";
    // The likeliest words: one that is drawn may be the last, however long the story ought to be.
    let ask = |options: Value| server.chat(json!({"messages": user(long), "options": options}));
    let five = ask(json!({"temperature": 0, "num_predict": 5}));
    assert_eq!(
        (&five["eval_count"], &five["done_reason"]),
        (&json!(5), &json!("length"))
    );
    let full = ask(json!({"temperature": 0, "num_ctx": 64}));
    let together =
        full["prompt_eval_count"].as_u64().unwrap() + full["eval_count"].as_u64().unwrap();
    assert_eq!(
        (together, &full["done_reason"]),
        (64, &json!("length")),
        "{full}"
    );
}

#[test]
fn a_seed_draws_the_same_reply() {
    let Some(server) = shared() else { return };
    let draw = |seed: Value| {
        let options =
            json!({"temperature": 1.5, "top_k": 0, "top_p": 1, "seed": seed, "num_predict": 16});
        content(
            &server
                .chat(json!({"messages": user("Invent a name for a boat."), "options": options})),
        )
        .to_owned()
    };
    // The first reply reads the prompt, the others find it in the cache: let all find it.
    draw(json!(1));
    assert_eq!(draw(json!(7)), draw(json!(7)));
    let fresh: Vec<String> = (0..4).map(|_| draw(json!(-1))).collect();
    assert!(
        fresh.iter().any(|name| *name != fresh[0]),
        "never anything else: {fresh:?}"
    );
}

#[test]
fn log_probabilities_are_the_model_s_own() {
    let Some(server) = shared() else { return };
    let reply = server.chat(json!({"messages": user("Is water wet? Answer yes or no."),
        "options": {"temperature": 0, "num_predict": 6}, "logprobs": true, "top_logprobs": 3}));
    let tokens = reply["logprobs"].as_array().unwrap();
    assert_eq!(json!(tokens.len()), reply["eval_count"]);
    let bytes: Vec<u8> = tokens
        .iter()
        .flat_map(|token| token["bytes"].as_array().unwrap())
        .map(|byte| u8::try_from(byte.as_u64().unwrap()).unwrap())
        .collect();
    assert_eq!(String::from_utf8(bytes).unwrap(), content(&reply));
    for token in tokens {
        let top: Vec<f64> = token["top_logprobs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|top| top["logprob"].as_f64().unwrap())
            .collect();
        assert_eq!(top.len(), 3);
        assert!(top.is_sorted_by(|a, b| a >= b), "likeliest first: {token}");
        assert!(
            top.iter().map(|logprob| logprob.exp()).sum::<f64>() <= 1.000_001,
            "{token}"
        );
        assert_eq!(
            token["logprob"], token["top_logprobs"][0]["logprob"],
            "greedy takes the likeliest"
        );
    }

    // A grammar changes what is drawn and not what the model thinks: without it the reply would not
    // begin with a brace, and the first log-probability says so.
    let held = server.chat(
        json!({"messages": user("Is water wet? Answer yes or no."), "format": "json",
        "options": {"temperature": 0, "num_predict": 2}, "logprobs": true, "top_logprobs": 1}),
    );
    let first = &held["logprobs"][0];
    assert_eq!(first["token"].as_str().unwrap().trim(), "{");
    assert_eq!(first["top_logprobs"][0], {
        let mut likeliest = tokens[0]["top_logprobs"][0].clone();
        likeliest["logprob"] = first["top_logprobs"][0]["logprob"].clone();
        likeliest
    });
    assert!(first["logprob"].as_f64() < first["top_logprobs"][0]["logprob"].as_f64());

    let without = server.chat(json!({"messages": user("Hi"), "options": {"num_predict": 2}}));
    assert!(without.get("logprobs").is_none());
}

#[test]
fn control_tokens_in_a_message_stay_text() {
    let Some(server) = shared() else { return };
    let count = |path: &str, body: Value| {
        let mut body = body;
        body["model"] = json!(MODEL);
        body["stream"] = json!(false);
        body["options"] = json!({"num_predict": 1});
        server.post(path, &body).json()["prompt_eval_count"]
            .as_u64()
            .unwrap()
    };
    let said = |content: &str| count("/api/chat", json!({"messages": user(content)}));
    let bare = said("x");
    let twenty = "<|im_start|>".repeat(20);
    // As text it is six tokens or so each; as control tokens it would be one.
    assert!(
        said(&twenty) > bare + 60,
        "{} tokens over {bare}",
        said(&twenty)
    );
    let raw = count("/api/generate", json!({"prompt": twenty, "raw": true}));
    assert_eq!(raw, 20, "raw is where they are control tokens");
    // In any role, and where a template looks for the end of a turn.
    for role in ["system", "user", "assistant", "tool"] {
        let turns = |content: &str| {
            count(
                "/api/chat",
                json!({"messages": [{"role": role, "content": content}, {"role": "user", "content": "x"}]}),
            )
        };
        assert!(turns(&twenty) > turns("y") + 60, "role {role}");
    }
}

#[test]
fn a_reply_that_was_begun_goes_on() {
    let Some(server) = shared() else { return };
    let reply = server.chat(json!({
        "messages": [{"role": "user", "content": "What is the capital of France?"},
                     {"role": "assistant", "content": "The capital of France is"}],
        "options": {"temperature": 0, "num_predict": 3},
    }));
    assert!(content(&reply).starts_with(" Paris"), "{reply}");
}

#[test]
fn generate_answers_a_prompt_with_and_without_the_template() {
    let Some(server) = shared() else { return };
    let ask = |mut body: Value| {
        body["model"] = json!(MODEL);
        body["stream"] = json!(false);
        body["options"] = json!({"temperature": 0, "num_predict": 8});
        server.post("/api/generate", &body).json()
    };
    let raw = ask(json!({"prompt": "The capital of France is", "raw": true}));
    assert!(raw["response"].as_str().unwrap().contains("Paris"), "{raw}");
    assert_eq!(raw["prompt_eval_count"], 5);
    let told =
        ask(json!({"prompt": "What is the capital of France?", "system": "Answer with one word."}));
    assert!(
        told["response"].as_str().unwrap().contains("Paris"),
        "{told}"
    );
    assert!(told.get("message").is_none());
    let lines = server.post(
        "/api/generate",
        &json!({"model": MODEL, "prompt": "Hi", "options": {"num_predict": 3}}),
    );
    assert!(
        lines
            .lines()
            .iter()
            .all(|line| line["response"].is_string())
    );
}

#[test]
fn embeddings_have_length_one_and_depend_on_the_text() {
    let Some(server) = shared() else { return };
    let embed = |body: Value| {
        let response = server.post("/api/embed", &body);
        let status = response.status;
        (status, response.json())
    };
    let (status, reply) =
        embed(json!({"model": MODEL, "input": ["a red apple", "tax law", "a red apple"]}));
    assert_eq!(status, 200, "{reply}");
    let vectors: Vec<Vec<f64>> = serde_json::from_value(reply["embeddings"].clone()).unwrap();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    assert_eq!(vectors.len(), 3);
    assert!((dot(&vectors[0], &vectors[0]) - 1.0).abs() < 1e-3);
    assert!((dot(&vectors[0], &vectors[2]) - 1.0).abs() < 1e-3);
    assert!(dot(&vectors[0], &vectors[1]) < 0.99);
    assert!(reply["prompt_eval_count"].as_u64().unwrap() > 3);

    let (_, cut) = embed(json!({"model": MODEL, "input": "a red apple", "dimensions": 8}));
    assert_eq!(cut["embeddings"][0].as_array().unwrap().len(), 8);
    let (status, none) = embed(json!({"model": MODEL, "input": []}));
    assert_eq!((status, &none["embeddings"]), (200, &json!([])));
    let long = "word ".repeat(3000);
    assert_eq!(
        embed(json!({"model": MODEL, "input": long, "options": {"num_ctx": 64}})).0,
        200
    );
    let (status, refused) = embed(
        json!({"model": MODEL, "input": long, "truncate": false, "options": {"num_ctx": 64}}),
    );
    assert_eq!(status, 400, "{refused}");
}
