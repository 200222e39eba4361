//! What an upload promises.

use std::collections::HashSet;

use griot::{
    catalog::Catalog,
    config::IngestConfig,
    domain::{Collection, FailureCode, PageState, Status},
    ingest::{IngestError, Password},
    ports::fakes::Gate,
};
use serde_json::Map;
use sha2::{Digest, Sha256};

use crate::home::{Home, until};

#[tokio::test]
async fn what_is_acknowledged_is_on_the_disk() {
    let home = Home::new().await;
    // Nothing goes beyond the queue.
    *home.reader.gate.lock().unwrap() = Some(Gate::new());
    let accepted = home.upload("../x/lease.txt", "Rent is due.").await;
    assert_eq!(
        (accepted.name.as_str(), accepted.duplicate),
        ("lease.txt", false)
    );
    // As another process sees it, while this one is in the middle of it.
    let seen = Catalog::open(&home.path().join("catalog.db")).unwrap();
    let row = seen.document(accepted.id).unwrap().unwrap();
    assert_eq!((row.status, row.bytes), (Status::Queued, 12));
    let hash = hex::encode(Sha256::digest("Rent is due."));
    assert_eq!(row.sha256.to_string(), hash);
    let original = home
        .path()
        .join("originals")
        .join(&hash[..2])
        .join(&hash[2..]);
    assert_eq!(std::fs::read(original).unwrap(), b"Rent is due.");
    assert_eq!(home.files_in("incoming"), 0);
    home.stop().await;
}

#[tokio::test]
async fn a_dropped_upload_leaves_nothing() {
    let home = Home::new().await;
    let mut upload = home
        .library
        .begin_upload("a", Collection::default(), Map::new())
        .await
        .unwrap();
    upload.write(b"half of it").await.unwrap();
    assert_eq!(home.files_in("incoming"), 1);
    drop(upload);
    home.check_consistent();
    home.stop().await;
}

#[tokio::test]
async fn a_restart_removes_what_was_never_acknowledged() {
    let home = Home::new().await;
    let kept = home.add("kept", "Rent is due.").await;
    std::fs::write(home.path().join("incoming/x.part"), "half").unwrap();
    // Killed between the file's name and the row.
    let orphan = home.path().join("originals/ab").join("c".repeat(62));
    std::fs::create_dir_all(orphan.parent().unwrap()).unwrap();
    std::fs::write(&orphan, "whole").unwrap();
    let note = format!("incoming/ab{}.placed", "c".repeat(62));
    std::fs::write(home.path().join(note), "").unwrap();
    // Not of an upload: perhaps the catalog is an older one, and this is all there is of a document.
    let stranger = home.path().join("originals/ab").join("d".repeat(62));
    std::fs::write(&stranger, "whole").unwrap();
    let home = home.crash_and_restart().await;
    assert!(!orphan.exists());
    assert!(stranger.exists());
    std::fs::remove_file(stranger).unwrap();
    assert_eq!(
        home.library.document(kept.id).await.unwrap().status,
        Status::Searchable
    );
    home.check_consistent();
    home.stop().await;
}

#[tokio::test]
async fn too_much_and_nothing_are_refused() {
    let home = Home::with(IngestConfig {
        max_file_bytes: 10,
        ..IngestConfig::default()
    })
    .await;
    let mut upload = home
        .library
        .begin_upload("a", Collection::default(), Map::new())
        .await
        .unwrap();
    upload.write(b"0123456789").await.unwrap();
    let refused = upload.write(b"0").await;
    assert!(
        matches!(refused, Err(IngestError::TooLarge { limit: 10 })),
        "{refused:?}"
    );
    drop(upload);
    let empty = home.upload_to("a", "", "default").await;
    assert!(matches!(empty, Err(IngestError::EmptyFile)), "{empty:?}");
    home.check_consistent();
    home.stop().await;
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_back() {
    let home = Home::with(IngestConfig {
        max_queue: 2,
        ..IngestConfig::default()
    })
    .await;
    let gate = Gate::new();
    *home.reader.gate.lock().unwrap() = Some(gate.clone());
    let first = home.upload("a", "one").await;
    home.upload("b", "two").await;
    let full = home.upload_to("c", "three", "default").await;
    assert!(
        matches!(full, Err(IngestError::QueueFull { .. })),
        "{full:?}"
    );
    gate.release();
    home.library.wait(first.id).await.unwrap();
    home.add("c", "three").await;
    home.stop().await;
}

#[tokio::test]
async fn the_same_bytes_are_one_document() {
    let home = Home::new().await;
    let first = home.add("a.txt", "Rent is due.").await;
    let again = home.upload("b.txt", "Rent is due.").await;
    assert_eq!((again.id, again.duplicate), (first.id, true));
    assert_eq!(again.status, Status::Searchable);
    let elsewhere = home
        .upload_to("c.txt", "Rent is due.", "other")
        .await
        .unwrap();
    assert!(!elsewhere.duplicate && elsewhere.id != first.id);
    home.library.wait(elsewhere.id).await.unwrap();
    assert_eq!(home.files_in("originals"), 1);

    let receipt = home.library.delete(first.id).await.unwrap();
    assert!(!receipt.original_removed);
    assert_eq!(home.files_in("originals"), 1);
    home.check_consistent();
    let receipt = home.library.delete(elsewhere.id).await.unwrap();
    assert!(receipt.original_removed);
    home.check_consistent();
    home.stop().await;
}

#[tokio::test]
async fn a_failed_document_sent_again_is_tried_again() {
    let home = Home::new().await;
    let id = home.upload("a", "DAMAGED text").await.id;
    let failed = home.library.wait(id).await.unwrap();
    assert_eq!(failed.status, Status::Failed);
    assert_eq!(failed.error.unwrap().message, "the file is damaged");
    *home.reader.mended.lock().unwrap() = true;
    let again = home.upload("a", "DAMAGED text").await;
    assert_eq!(
        (again.id, again.duplicate, again.status),
        (id, true, Status::Queued)
    );
    assert_eq!(
        home.library.wait(id).await.unwrap().status,
        Status::Searchable
    );
    home.check_consistent();
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_senders_of_the_same_bytes_get_one_document() {
    let home = Home::new().await;
    let uploads = (0..24).map(|i| {
        home.upload_to("a", "the same", if i % 2 == 0 { "x" } else { "y" })
            .into_future()
    });
    let accepted: Vec<_> = futures::future::join_all(uploads)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let ids: HashSet<_> = accepted.iter().map(|a| a.id).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(accepted.iter().filter(|a| !a.duplicate).count(), 2);
    for id in ids {
        home.library.wait(id).await.unwrap();
    }
    home.check_consistent();
    home.stop().await;
}

#[tokio::test]
async fn a_lost_original_is_told_and_healed_by_sending_it_again() {
    let home = Home::new().await;
    let document = home.add("a", "Rent is due.").await;
    let hash = document.sha256.to_string();
    let original = home
        .path()
        .join("originals")
        .join(&hash[..2])
        .join(&hash[2..]);
    std::fs::write(&original, "Rent").unwrap();
    home.library.process_again(document.id).await.unwrap();
    let failed = home.library.wait(document.id).await.unwrap();
    assert!(failed.error.unwrap().message.contains("upload it again"));
    assert_eq!(home.found("rent").len(), 1, "what was visible stays");
    let again = home.upload("a", "Rent is due.").await;
    assert!(again.duplicate);
    assert_eq!(
        home.library.wait(document.id).await.unwrap().status,
        Status::Searchable
    );
    assert_eq!(std::fs::read(original).unwrap(), b"Rent is due.");
    until(|| home.catalog.cleanups().unwrap().is_empty()).await;
    home.check_consistent();
    home.stop().await;
}

#[tokio::test]
async fn a_restart_forgets_passwords_and_says_so() {
    let home = Home::new().await;
    // It is not read before the restart.
    *home.reader.gate.lock().unwrap() = Some(Gate::new());
    let mut upload = home
        .library
        .begin_upload("lease.txt", Collection::default(), Map::new())
        .await
        .unwrap();
    upload.write(b"LOCKED Rent is due.").await.unwrap();
    upload.unlock_with(Password::new("key"));
    let accepted = upload.finish().await.unwrap();

    let home = home.crash_and_restart().await;
    let document = home.library.wait(accepted.id).await.unwrap();
    assert_eq!(document.status, Status::Failed);
    assert_eq!(document.error.unwrap().code, FailureCode::Encrypted);
    // Nothing else was lost: the password is all it takes.
    let password = Password::new("key");
    home.library
        .process_with(accepted.id, password)
        .await
        .unwrap();
    let document = home.library.wait(accepted.id).await.unwrap();
    assert_eq!(document.status, Status::Searchable);
    home.check_consistent();
    home.stop().await;
}

#[tokio::test]
async fn pages_are_told_of_a_document_without_text() {
    let home = Home::new().await;
    let accepted = home.upload("scan.pdf", " \x0c \x0c ").await;
    let document = home.library.wait(accepted.id).await.unwrap();
    assert_eq!(document.error.unwrap().code, FailureCode::NoText);
    let states: Vec<PageState> = document.pages.iter().map(|page| page.state).collect();
    assert_eq!(states, [PageState::Empty; 3]);
    home.stop().await;
}
