//! What the worker says of its models without loading them.

use serde_json::json;

use crate::{
    client::send,
    server::{MODEL, Server},
};

#[test]
fn listings() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let tags = server.get("/api/tags").json();
    let model = &tags["models"][0];
    assert_eq!(model["name"], MODEL);
    assert_eq!(model["digest"].as_str().unwrap().len(), 64);
    assert_eq!(model["size"], 491_400_064);
    assert_eq!(model["details"]["family"], "qwen2");
    assert_eq!(model["details"]["quantization_level"], "Q4_K_M");

    let shown = server
        .post("/api/show", &json!({"name": "small:latest"}))
        .json();
    assert!(shown["template"].as_str().unwrap().contains("<|im_start|>"));
    assert_eq!(shown["model_info"]["qwen2.context_length"], 32768);
    assert_eq!(shown["capabilities"], json!(["completion"]));

    assert_eq!(
        server.get("/api/version").json()["version"],
        env!("CARGO_PKG_VERSION")
    );
    let banner = server.get("/");
    assert_eq!(banner.status, 200);
    assert!(
        String::from_utf8(banner.bytes())
            .unwrap()
            .contains("running")
    );
    assert_eq!(send(server.address, "HEAD", "/", &[], b"").status, 200);
    assert!(
        server.ps()["models"].as_array().unwrap().is_empty(),
        "nothing of this loads a model"
    );
}

#[test]
fn a_worker_that_cannot_start_says_why() {
    let check = |flags: &[&str], words: &str| {
        let run = std::process::Command::new(env!("CARGO_BIN_EXE_griot-llm"))
            .args(flags)
            .output()
            .unwrap();
        let error = String::from_utf8(run.stderr).unwrap();
        assert!(!run.status.success() && run.stdout.is_empty(), "{flags:?}");
        assert!(
            error.contains(words),
            "{flags:?}: {error:?} without {words:?}"
        );
    };
    check(&["--model", "a=/no/such.gguf"], "/no/such.gguf");
    check(&["--model", "nothing"], "NAME=PATH");
    check(&["--model", "a=x", "--listen", "0.0.0.0:0"], "loopback");
    check(&[], "--model");
}
