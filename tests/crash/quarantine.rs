//! A document that kills the daemon is set aside after a few starts, and the others go on.

use griot::failpoints::VARIABLE;
use reqwest::StatusCode;

use crate::{
    audit,
    daemon::{Home, until},
    document::made,
};

#[tokio::test]
async fn a_document_that_kills_the_daemon_is_set_aside() {
    let home = Home::new();
    // Dies as soon as it begins to read the first document, which is the same one each time.
    let deadly = [(VARIABLE, "read.before=kill")];
    let mut daemon = home.run(&deadly);
    // The answer may be lost with the daemon.
    let _ = daemon.client().upload(&[&made(1)], "default").await;
    until("it dies", async || daemon.is_dead()).await;
    drop(daemon);
    for _ in 0..2 {
        match home.start(&deadly) {
            Ok(mut daemon) => until("it dies", async || daemon.is_dead()).await,
            Err(status) => assert!(!status.success()),
        }
    }

    let daemon = home.run(&[]);
    let client = daemon.client();
    let (_, accepted) = client.upload(&[&made(2)], "default").await.unwrap();
    let other = accepted["documents"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(client.wait(&other).await["status"], "searchable");

    let listed = client.documents().await.unwrap();
    let bad = listed.iter().find(|d| d["name"] == "paper-1.md").unwrap();
    assert_eq!(bad["status"], "failed");
    assert_eq!(bad["error"]["code"], "quarantined");
    let message = bad["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("died 3 times") && message.contains("process it again"),
        "{message}"
    );

    // By hand it is tried again, and this time it does no harm.
    let id = bad["id"].as_str().unwrap();
    let (status, _) = client.process(id).await.unwrap();
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(client.wait(id).await["status"], "searchable");
    daemon.stop();
    audit::audit(&home.path).await;
}

/// Documents that were in work together with a deadly one are not set aside with it.
#[tokio::test]
async fn bystanders_are_acquitted() {
    let home = Home::new();
    let files: Vec<_> = (10..16).map(made).collect();
    let files: Vec<_> = files.iter().collect();
    // The third to be read kills; by then others are on their way.
    let deadly = [(VARIABLE, "read.before@3=kill")];
    let daemon = home.run(&deadly);
    let _ = daemon.client().upload(&files, "default").await;
    let mut daemon = daemon;
    until("it dies", async || daemon.is_dead()).await;
    drop(daemon);
    for _ in 0..4 {
        // Suspects go one at a time, and each is done before the next is begun.
        match home.start(&deadly) {
            Ok(mut daemon) => {
                let client = daemon.client();
                until("it dies or is done", async || {
                    daemon.is_dead()
                        || client
                            .documents()
                            .await
                            .is_ok_and(|all| all.iter().all(|one| one["status"] == "searchable"))
                })
                .await;
            }
            Err(status) => assert!(!status.success()),
        }
    }
    let daemon = home.run(&[]);
    let client = daemon.client();
    let listed = client.documents().await.unwrap();
    for document in &listed {
        let status = client.wait(document["id"].as_str().unwrap()).await;
        assert_eq!(status["status"], "searchable", "{status}");
    }
    daemon.stop();
    audit::audit(&home.path).await;
}
