//! Every real document at hand, taken in by the real daemon with the real embedder: it ends searchable
//! or failed with an honest reason, and what is answered from it is proven to the byte.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::daemon::Daemon;

/// Kinds of which a document may fail, by the folder's name, with the codes that are honest there.
const MAY_FAIL: [(&str, &[&str]); 3] = [
    // Pictures of pages: without text recognition there is nothing to read.
    ("pdf-scan", &["no_text"]),
    ("pdf-encrypted", &["encrypted"]),
    // Two name characters by glyph numbers of fonts that are not in the file.
    ("pdf-cjk-cid", &["damaged"]),
];

/// Larger files are left out.
const MAX_BYTES: u64 = 2 * 1024 * 1024;

#[tokio::test]
async fn every_good_document_is_searchable_and_answers_with_proven_quotations() {
    let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/docs-good");
    if !documents.is_dir() {
        println!("skipped: {} is not here", documents.display());
        return;
    }
    let Some(embedder) = crate::weights(&["minilm-l6/model.onnx"]) else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let models = embedder.parent().unwrap().parent().unwrap();
    // Without a language model answers are the documents' own sentences: all of them can be asked.
    let daemon = Daemon::start(home.path(), models, &[("GRIOT__LLM__UPSTREAMS", "[]")]);
    let files = files(&documents);
    let mut taken = Vec::with_capacity(files.len());
    for file in &files {
        taken.push((file, daemon.upload(file).await));
    }

    let (mut wrong, mut searchable, mut asked, mut cited) = (Vec::new(), 0, 0, 0);
    for (file, id) in taken {
        let status = daemon.ended(&id).await;
        if status["status"] == "failed" {
            let code = status["error"]["code"].as_str().unwrap_or_default();
            if !may_fail(file, code) {
                wrong.push(format!("{}: {}", file.display(), status["error"]));
            }
            continue;
        }
        searchable += 1;
        let text = daemon
            .get(&format!("/api/knowledge/documents/{id}/text"))
            .await;
        let Some(question) = question(&text.text().await.unwrap()) else {
            continue;
        };
        asked += 1;
        let answer = daemon.ask(&question).await;
        assert_eq!(answer["degraded"], json!(["language_model"]), "{answer}");
        let citations = answer["citations"].as_array().unwrap();
        if citations.is_empty() {
            println!("not cited: {}: {question}", file.display());
        } else {
            cited += 1;
        }
        for citation in citations {
            assert!(
                daemon.proves(citation).await,
                "{}: {citation}",
                file.display()
            );
            assert!(stands_in_evidence(citation, &answer), "{answer}");
        }
    }
    println!(
        "{searchable} of {} documents searchable, {cited} of {asked} answers cited",
        files.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Of some the middle is spread over many short lines, none of which holds half of the question.
    assert!(
        cited * 10 >= asked * 8,
        "{cited} of {asked} answers cite anything"
    );
}

fn may_fail(file: &Path, code: &str) -> bool {
    let folder = file.parent().and_then(Path::file_name);
    MAY_FAIL
        .iter()
        .any(|(name, codes)| folder.is_some_and(|folder| folder == *name) && codes.contains(&code))
}

/// A citation is of a passage that was shown.
fn stands_in_evidence(citation: &Value, answer: &Value) -> bool {
    answer["evidence"].as_array().unwrap().iter().any(|item| {
        item["document_id"] == citation["document_id"]
            && item["start"].as_u64() <= citation["start"].as_u64()
            && item["end"].as_u64() >= citation["end"].as_u64()
    })
}

/// The document's own words from its middle, as somebody would ask who half remembers them.
fn question(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let middle = words.len() / 2;
    let part = words.get(middle..(middle + 12).min(words.len()))?;
    (part.len() >= 4).then(|| part.join(" ").chars().take(300).collect())
}

/// The documents, not the texts expected of them.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if !name.contains(".expected")
            // A novel of 3 MB takes minutes of embedding and shows nothing that a chapter does not.
            && path.metadata().unwrap().len() <= MAX_BYTES
        {
            files.push(path);
        }
    }
    files.sort();
    files
}
