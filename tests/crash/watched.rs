//! A watched folder through the command line, with the daemon's own program.

use std::{fs, process::Command, time::Instant};

use reqwest::StatusCode;
use serde_json::json;

use crate::daemon::{Client, Daemon, Home, until};

/// Runs a command of the same home.
fn griot(home: &Home, daemon: &Daemon, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_griot"))
        .args(arguments)
        .args(["--url", daemon.url()])
        .env("GRIOT_HOME", &home.path)
        .env("XDG_CONFIG_HOME", home.log.with_file_name("none"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}{errors}");
    text
}

async fn passages(client: &Client, words: &str) -> String {
    let (status, found) = client.search(words).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{found}");
    found["passages"].to_string()
}

#[tokio::test]
async fn a_folder_is_watched_from_the_command_line() {
    let home = Home::new();
    let papers = home.log.with_file_name("papers");
    fs::create_dir(&papers).unwrap();
    let papers = papers.canonicalize().unwrap();
    let path = papers.to_str().unwrap();
    let daemon = home.run(&[]);
    let client = daemon.client();
    fs::write(
        papers.join("lease.txt"),
        "Rent is payable on the first day.",
    )
    .unwrap();
    // No key, no allowed roots: the home folder proves who asks. Somebody else may not.
    let (status, _) = client
        .post("/api/watches", &json!({ "path": papers }))
        .await
        .unwrap();
    assert_eq!(status, StatusCode::FORBIDDEN);
    griot(&home, &daemon, &["watch", "add", path]);
    let listed = async |what: &str, wanted: [u64; 3]| {
        until(what, async || {
            let (_, reply) = client.get("/api/watches").await.unwrap();
            let watch = &reply["watches"][0];
            let is = ["files", "searchable", "failed"].map(|name| watch[name].as_u64().unwrap());
            is == wanted && watch["condition"] == "listening"
        })
        .await;
    };
    listed("the file is searchable", [1, 1, 0]).await;
    let table = griot(&home, &daemon, &["watch", "ls"]);
    assert!(
        table.contains("listening") && table.contains(path),
        "{table}"
    );

    // From the edit until it is answered from.
    let begun = Instant::now();
    fs::write(
        papers.join("lease.txt"),
        "Rent is payable on the ninth of Brumaire.",
    )
    .unwrap();
    until("the edit is searchable", async || {
        passages(&client, "Brumaire").await.contains("Brumaire")
    })
    .await;
    println!(
        "measured: an edit was searchable after {} ms",
        begun.elapsed().as_millis()
    );
    assert!(!passages(&client, "rent").await.contains("first day"));

    fs::rename(papers.join("lease.txt"), papers.join("contract.txt")).unwrap();
    until("the document has the file's new name", async || {
        client.documents().await.unwrap()[0]["name"] == "contract.txt"
    })
    .await;
    let listed_now = client.documents().await.unwrap();
    assert_eq!(listed_now[0]["revision"], 2, "not read again");

    // The folder goes away: told of, and nothing is lost.
    let aside = home.log.with_file_name("aside");
    fs::rename(&papers, &aside).unwrap();
    until("it is told that the folder is away", async || {
        let (_, health) = client.get("/api/health").await.unwrap();
        health["watches"][0]["condition"] == "away"
    })
    .await;
    let status = griot(&home, &daemon, &["status"]);
    assert!(status.contains("away"), "{status}");
    fs::rename(&aside, &papers).unwrap();
    listed("the folder is back", [1, 1, 0]).await;
    griot(&home, &daemon, &["watch", "rm", path]);
    until("its documents go with it", async || {
        client.documents().await.unwrap().is_empty()
    })
    .await;
    daemon.stop();
}
