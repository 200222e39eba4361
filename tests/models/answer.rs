//! A real answer: the daemon's own program, the sample documents, the real models, over HTTP.

use serde_json::json;

use crate::daemon::Daemon;

#[tokio::test]
async fn the_sample_documents_answer_with_proven_quotations() {
    let names = ["qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"];
    let (Some(model), Some(_), Some(_)) = (
        super::weights(&names),
        super::weights(&["minilm-l6/model.onnx"]),
        super::program("griot-llm", "GRIOT_LLM_BIN"),
    ) else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(home.path(), model.parent().unwrap(), &[]);
    let documents = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data/documents");
    for entry in std::fs::read_dir(documents).unwrap() {
        let status = daemon.take_in(&entry.unwrap().path()).await;
        assert_eq!(status["status"], "searchable", "{status}");
    }

    let answer = daemon.ask("When is rent payable?").await;
    assert_eq!(answer["supported"], true, "{answer}");
    assert_eq!(answer["degraded"], json!([]), "{answer}");
    assert!(
        answer["answer"].as_str().unwrap().contains("first day"),
        "{answer}"
    );
    let citation = &answer["citations"][0];
    assert_eq!(citation["document"], "lease-agreement.pdf");
    assert_eq!(citation["page"], 1);
    assert!(daemon.proves(citation).await, "{answer}");

    let answer = daemon.ask("Who won the football world cup in 1990?").await;
    assert_eq!(answer["supported"], false, "{answer}");
    assert_eq!(answer["citations"], json!([]), "{answer}");
    assert_eq!(answer["answer"], "This is not in your documents.");
}
