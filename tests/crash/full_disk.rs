//! A home on a disk that is really full.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use griot::{
    domain::Component,
    health::{Incident, IncidentId},
};
use jiff::Timestamp;
use reqwest::StatusCode;

use crate::{
    audit,
    daemon::{Home, SIGBUS, until},
    document::{made, of_length},
};

/// MiB of the disk, and what uploads leave of it: the index takes room in pieces of 32 MiB, so less would be no
/// room to go on with.
const SIZE: &str = "size=224m";
const KEEP_FREE: (&str, &str) = ("GRIOT__INGEST__KEEP_FREE_MIB", "48");
/// What somebody else has on it from the beginning, in bytes, so that it fills up sooner.
const TAKEN: usize = 96 << 20;

/// A small disk in memory, mounted while this value lives.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", SIZE, "griot-test"])
            .arg(at)
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(at));
        }
        println!("skipped: a file system cannot be mounted here");
        None
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

fn lost() -> Incident {
    Incident {
        id: IncidentId::new(),
        component: Component::Embedder,
        part: "minilm".to_owned(),
        opened: Timestamp::now(),
        closed: None,
        cause: "its file is gone".to_owned(),
        action: String::new(),
        degraded_answers: 0,
        events: Vec::new(),
    }
}

#[tokio::test]
async fn a_full_disk_refuses_documents_and_goes_on_answering() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("disk");
    let Some(_disk) = Disk::mount(&at) else {
        return;
    };
    let home = Home::at(folder, at.clone());
    let taken = at.join("somebody-elses-too");
    std::fs::write(&taken, vec![1; TAKEN]).unwrap();
    let mut daemon = home.run(&[KEEP_FREE]);
    let client = daemon.client();
    let small = made(1);
    let (_, accepted) = client.upload(&[&small], "default").await.unwrap();
    let small_id = accepted["documents"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(client.wait(&small_id).await["status"], "searchable");

    // Documents of some 300 kB until no more are taken.
    let mut kept = Vec::new();
    let refused = loop {
        let file = of_length(10 + kept.len() as u64, 1200);
        let (status, body) = client.upload(&[&file], "default").await.unwrap();
        if status != StatusCode::ACCEPTED {
            assert_eq!(status, StatusCode::INSUFFICIENT_STORAGE, "{body}");
            assert_eq!(body["type"], "urn:griot:problem:storage-full");
            break file;
        }
        kept.push((
            file,
            body["documents"][0]["id"].as_str().unwrap().to_owned(),
        ));
        assert!(kept.len() < 400, "it never becomes full");
        let (status, answer) = client.search(&small.words[0]).await.unwrap();
        assert_eq!(status, StatusCode::OK, "{answer}");
    };
    // Something is lost just then: the next start finds that in the catalog, and cannot write that it ended.
    let lost = lost();
    audit::catalog(&home.path).save_incident(&lost).unwrap();
    // Somebody else takes the rest.
    let ballast = at.join("somebody-elses");
    let filled = Command::new("dd")
        .arg("if=/dev/zero")
        .arg(format!("of={}", ballast.display()))
        .args(["bs=64k"])
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(!filled.success(), "the disk has an end");
    // The index is written through mapped files. When the disk is filled by somebody else in the middle of
    // such a write the kernel ends the program (SIGBUS): it is to start again and to have lost nothing.
    let goes_on = async {
        for _ in 0..5 {
            let (status, body) = client.upload(&[&refused], "default").await?;
            assert_eq!(status, StatusCode::INSUFFICIENT_STORAGE, "{body}");
            let (status, answer) = client.search(&small.words[0]).await?;
            assert_eq!(status, StatusCode::OK, "{answer}");
            let text = answer["passages"][0]["text"].as_str().unwrap();
            assert!(text.contains(&small.words[0]), "{answer}");
        }
        Ok::<_, reqwest::Error>(())
    };
    if let Err(error) = goes_on.await {
        println!("{error}");
        until("it has died of the full disk", async || {
            daemon.died_of(SIGBUS)
        })
        .await;
    }
    // Killed and started while it is full, it still answers.
    daemon.kill();
    let daemon = home.run(&[KEEP_FREE]);
    let client = daemon.client();
    let (status, answer) = client.search(&small.words[0]).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{answer}");
    let text = answer["passages"][0]["text"].as_str().unwrap();
    assert!(text.contains(&small.words[0]), "{answer}");

    std::fs::remove_file(&ballast).unwrap();
    std::fs::remove_file(&taken).unwrap();
    // With what uploads leave, documents can be deleted, and then there is room again.
    // The newest first: the index does not go on growing by what is to go.
    let few = kept.len().min(10);
    for (_, id) in kept.drain(few..).rev() {
        let (status, body) = client.delete(&id).await.unwrap();
        assert_eq!(status, StatusCode::OK, "{body}");
    }
    until("it takes documents again", async || {
        let (status, _) = client.upload(&[&refused], "default").await.unwrap();
        status == StatusCode::ACCEPTED
    })
    .await;
    for document in client.documents().await.unwrap() {
        let status = client.wait(document["id"].as_str().unwrap()).await;
        assert_eq!(status["status"], "searchable", "{status}");
    }
    for (file, id) in &kept {
        let (_, original) = client
            .bytes(&format!("/api/knowledge/documents/{id}/original"))
            .await
            .unwrap();
        assert_eq!(original, file.bytes);
    }
    let catalog = audit::catalog(&home.path);
    until("nothing is left over", async || {
        catalog.cleanups().unwrap().is_empty()
    })
    .await;
    daemon.stop();
    let stale = catalog.incident(lost.id).unwrap().unwrap();
    assert!(stale.closed.is_some(), "{stale:?}");
    drop(catalog);
    audit::audit(&home.path).await;
}
