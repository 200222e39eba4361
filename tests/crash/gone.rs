//! Delete means gone: every byte of the home folder is looked at, and everything the daemon said.

use std::{
    fs::{self, File},
    path::PathBuf,
};

use griot::domain::Sha256Hash;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    audit,
    daemon::{Client, Home, until},
    document::Made,
};

/// Everything that the daemon can say.
const TALKATIVE: (&str, &str) = ("GRIOT__LOG__LEVEL", "debug");

/// A text of several passages around a word, in a file that is named after it.
fn about(word: &str) -> Made {
    let text: String = (0..60)
        .map(|i| {
            format!(
                "Paragraph {i}. The expedition to {word} set out in spring, and the {word}ings of \
                 that year number {i} were written down by hand.\n\n"
            )
        })
        .collect();
    Made {
        name: format!("{word}.txt"),
        sha256: Sha256Hash(Sha256::digest(text.as_bytes()).into()),
        bytes: text.into_bytes(),
        words: vec![word.to_owned()],
    }
}

/// The files that hold a word in any way in which text is written (large and small letters, UTF-8 and both
/// forms of UTF-16), in their bytes or in their name: those of the home folder.
fn files_with(home: &Home, word: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![home.path.clone()];
    while let Some(folder) = folders.pop() {
        // What there is may go while it is looked for.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.retain(|path| holds(path, word));
    files
}

fn holds(path: &std::path::Path, word: &str) -> bool {
    let small = word.to_ascii_lowercase();
    let wide = |first: bool| -> Vec<u8> {
        let pair = |byte| if first { [0, byte] } else { [byte, 0] };
        small.bytes().flat_map(pair).collect()
    };
    let needles = [small.clone().into_bytes(), wide(true), wide(false)];
    let mut bytes = fs::read(path).unwrap_or_default();
    bytes.make_ascii_lowercase();
    let named = path.to_string_lossy().to_ascii_lowercase().contains(&small);
    named
        || needles
            .iter()
            .any(|needle| bytes.windows(needle.len()).any(|window| window == needle))
}

/// Nothing of a word, in the home or in what the daemon said.
fn assert_gone(home: &Home, word: &str) {
    assert_eq!(files_with(home, word), Vec::<PathBuf>::new(), "{word}");
    assert!(!holds(&home.log, word), "{word} was logged");
}

/// The two ways in which a document's id is written as text.
fn written(id: &str) -> [String; 2] {
    let hex = id.trim_start_matches("doc_");
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    [hex.to_owned(), parts.join("-")]
}

async fn take_in(client: &Client, made: &Made) -> String {
    let (status, accepted) = client.upload(&[made], "default").await.unwrap();
    assert_eq!(status, StatusCode::ACCEPTED, "{accepted}");
    let id = accepted["documents"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(client.wait(&id).await["status"], "searchable");
    id
}

async fn delete(client: &Client, id: &str) -> Value {
    let (status, receipt) = client.delete(id).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{receipt}");
    receipt
}

/// Nothing is found in any file when the receipt comes, unless it says that the catalog is still being
/// swept, which it may when deletes come faster than that.
fn assert_gone_at_once(home: &Home, receipt: &Value, word: &str) {
    let sweeping = receipt["sweeping"].as_array().unwrap();
    if !sweeping.contains(&json!("catalog")) {
        assert_gone(home, word);
    }
}

#[tokio::test]
async fn no_byte_of_a_deleted_document_is_left() {
    let home = Home::new();
    let daemon = home.run(&[TALKATIVE]);
    let client = daemon.client();
    let canary = about("Zyxqquarn");
    let kept = take_in(&client, &about("Lisbon")).await;
    let gone = take_in(&client, &canary).await;
    let other = take_in(&client, &about("Tromso")).await;
    // A second revision, and an answer that quotes it.
    let (status, _) = client.process(&gone).await.unwrap();
    assert_eq!(status, StatusCode::ACCEPTED);
    until("there is a second revision", async || {
        client.wait(&gone).await["revision"] == 2
    })
    .await;
    let question = "When did the expedition to Zyxqquarn set out?";
    let (status, answer) = client.ask(question).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{answer}");
    let evidence = answer["evidence"].to_string();
    assert!(evidence.contains("Zyxqquarn"), "{answer}");
    until("the turn is recorded", async || {
        !files_with(&home, "When did the expedition").is_empty()
    })
    .await;
    let before = files_with(&home, "zyxqquarn");
    assert!(before.len() >= 2, "the test looks where it is: {before:?}");

    let receipt = delete(&client, &gone).await;
    assert_gone_at_once(&home, &receipt, "zyxqquarn");
    assert_gone_at_once(&home, &receipt, "when did the expedition");
    assert_eq!(receipt["pending"], json!([]), "{receipt}");
    assert!(
        receipt["sweeping"]
            .as_array()
            .unwrap()
            .contains(&json!("vector_store")),
        "{receipt}"
    );
    assert_eq!(receipt["name"], "Zyxqquarn.txt");
    assert_eq!(receipt["original_removed"], true);
    assert_eq!(receipt["original_bytes"], canary.bytes.len());
    for (what, least) in [
        ("chunks", 5),
        ("points", 5),
        ("text_bytes", 5000),
        ("turns", 1),
    ] {
        assert!(receipt[what].as_u64().unwrap() >= least, "{receipt}");
    }
    // The index's files are written anew in a quiet moment.
    until("the files are written anew", async || {
        !home.path.join("index/deleted").exists() && files_with(&home, "zyxqquarn").is_empty()
    })
    .await;
    for word in ["zyxqquarn", "when did the expedition"] {
        assert_gone(&home, word);
    }
    for id in written(&gone) {
        assert_eq!(files_with(&home, &id), Vec::<PathBuf>::new(), "its id");
    }
    let (_, found) = client.search("Zyxqquarn").await.unwrap();
    assert!(
        !found["passages"].to_string().contains("Zyxqquarn"),
        "{found}"
    );
    for (word, id) in [("Lisbon", kept), ("Tromso", other)] {
        let (_, found) = client.search(word).await.unwrap();
        let passages = found["passages"].to_string();
        assert!(passages.contains(word) && passages.contains(&id), "{found}");
    }
    daemon.stop();
    audit::audit(&home.path).await;
}

#[tokio::test]
async fn a_delete_while_the_store_is_down_is_finished_after_a_restart() {
    let home = Home::new();
    let daemon = home.run(&[TALKATIVE]);
    let client = daemon.client();
    let kept = take_in(&client, &about("Lisbon")).await;
    let gone = take_in(&client, &about("Zyxqquarn")).await;
    daemon.stop();

    // Somebody else has the index open.
    let lock = File::options()
        .write(true)
        .open(home.path.join("index/lock"))
        .unwrap();
    lock.try_lock().unwrap();
    let daemon = home.run(&[TALKATIVE]);
    let receipt = delete(&daemon.client(), &gone).await;
    assert_eq!(receipt["pending"], json!(["vector_store"]), "{receipt}");
    assert_eq!(receipt["points"], 0);
    assert_gone_at_once(&home, &receipt, "zyxqquarn");
    daemon.kill();
    // The vectors are there still, under its id.
    assert!(
        written(&gone)
            .iter()
            .any(|id| !files_with(&home, id).is_empty())
    );

    drop(lock);
    let daemon = home.run(&[TALKATIVE]);
    // First marked, then written anew: the id stands in the points.
    until("the points are gone from the files", async || {
        let left = written(&gone)
            .iter()
            .any(|id| !files_with(&home, id).is_empty());
        !left && !home.path.join("index/deleted").exists()
    })
    .await;
    assert_gone(&home, "zyxqquarn");
    let (_, found) = daemon.client().search("Lisbon").await.unwrap();
    assert!(found["passages"].to_string().contains(&kept), "{found}");
    daemon.stop();
    audit::audit(&home.path).await;
}
