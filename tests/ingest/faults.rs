//! Parts that fail: what waits, what fails, and that everything goes on. Time is paused.

use griot::{
    domain::{FailureCode, Stage, Status},
    ports::fakes::Trouble,
};

use crate::home::{Home, long_text, until, until_later};

#[tokio::test(start_paused = true)]
async fn documents_wait_for_an_embedder_that_is_down() {
    let home = Home::new().await;
    home.embed.words.trouble(Trouble::Unavailable);
    let first = home.upload("a", &long_text("first")).await.id;
    until_later(|| home.embed.words.calls().len() >= 6).await;
    let second = home.upload("b", "Second.").await.id;
    let waiting = home.library.document(first).await.unwrap();
    assert_eq!(
        (waiting.status, waiting.stage),
        (Status::Queued, Stage::Waiting)
    );
    home.embed.words.recover();
    for id in [first, second] {
        assert_eq!(
            home.library.wait(id).await.unwrap().status,
            Status::Searchable
        );
    }
    home.check_consistent();
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn documents_wait_for_a_store_that_is_down() {
    let home = Home::new().await;
    home.store
        .memory
        .trouble(Trouble::TimedOut(std::time::Duration::from_secs(5)));
    let first = home.upload("a", &long_text("first")).await.id;
    let second = home.upload("b", "Second.").await.id;
    until(|| home.embed.words.embedded() > 3).await;
    for _ in 0..100 {
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
    }
    assert_eq!(
        home.library.document(first).await.unwrap().status,
        Status::Queued
    );
    home.store.memory.recover();
    for id in [first, second] {
        assert_eq!(
            home.library.wait(id).await.unwrap().status,
            Status::Searchable
        );
    }
    home.check_consistent();
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn documents_wait_for_room_on_the_disk_however_long() {
    let home = Home::new().await;
    *home.store.full.lock().unwrap() = 50;
    let id = home.upload("a", "Rent is due.").await.id;
    let there = home.library.wait(id).await.unwrap();
    assert_eq!(there.status, Status::Searchable, "{:?}", there.error);
    assert_eq!(*home.store.full.lock().unwrap(), 0);
    home.check_consistent();
    home.stop().await;
}

/// Documents that the embedder cannot bear fail; all others become searchable.
async fn check_bad_documents(word: &str) {
    let home = Home::new().await;
    let gate = griot::ports::fakes::Gate::new();
    *home.embed.gate.lock().unwrap() = Some(gate.clone());
    let mut good = Vec::new();
    let mut bad = Vec::new();
    for i in 0..5 {
        good.push(
            home.upload(&format!("g{i}"), &format!("Good {i}."))
                .await
                .id,
        );
        if i % 2 == 0 {
            bad.push(
                home.upload(&format!("b{i}"), &format!("{word} {i}."))
                    .await
                    .id,
            );
        }
    }
    gate.release();
    for id in good {
        assert_eq!(
            home.library.wait(id).await.unwrap().status,
            Status::Searchable
        );
    }
    for id in bad {
        let failed = home.library.wait(id).await.unwrap();
        assert_eq!(failed.error.unwrap().code, FailureCode::Unavailable);
    }
    home.check_consistent();
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_document_fails_alone() {
    check_bad_documents("REFUSED").await;
}

#[tokio::test(start_paused = true)]
async fn a_document_that_breaks_the_embedder_fails_alone() {
    check_bad_documents("POISON").await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_fails_the_document() {
    let home = Home::new().await;
    home.store
        .memory
        .trouble(Trouble::Refused("wrong size".into()));
    let id = home.upload("a", "Rent is due.").await.id;
    let failed = home.library.wait(id).await.unwrap().error.unwrap();
    assert_eq!(failed.code, FailureCode::Unavailable);
    assert!(failed.message.contains("wrong size"), "{}", failed.message);
    home.store.memory.recover();
    home.library.process_again(id).await.unwrap();
    assert_eq!(
        home.library.wait(id).await.unwrap().status,
        Status::Searchable
    );
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_second_time_leaves_the_first_visible() {
    let home = Home::new().await;
    let document = home.add("a", "Rent is due.").await;
    home.store.memory.trouble(Trouble::Refused("no".into()));
    home.library.process_again(document.id).await.unwrap();
    let failed = home.library.wait(document.id).await.unwrap();
    home.store.memory.recover();
    until_later(|| home.catalog.cleanups().unwrap().is_empty()).await;
    assert_eq!(
        (failed.status, failed.revision, failed.chunks),
        (Status::Failed, 1, 1)
    );
    assert_eq!(home.found("rent").len(), 1);
    home.check_consistent();
    home.stop().await;
}

/// A fault of the program at a document: everything begins anew, and the document is not tried for ever.
#[tokio::test(start_paused = true)]
async fn a_stage_that_panics_is_started_again() {
    for (panics, status) in [(1, Status::Searchable), (u32::MAX, Status::Failed)] {
        let home = Home::new().await;
        *home.reader.panics.lock().unwrap() = panics;
        let bad = home.upload("a", "PANIC when this is read.").await.id;
        let good = home.upload("b", "Second.").await.id;
        assert_eq!(home.library.wait(bad).await.unwrap().status, status);
        let good = home.library.wait(good).await.unwrap();
        assert_eq!(good.status, Status::Searchable);
        home.check_consistent();
        home.stop().await;
    }
}

/// What a stage held when it panicked is lost with it, which says little about each.
#[tokio::test(start_paused = true)]
async fn of_a_crowd_at_a_panic_only_the_culprit_fails() {
    let home = Home::new().await;
    let gate = griot::ports::fakes::Gate::new();
    *home.embed.gate.lock().unwrap() = Some(gate.clone());
    let first = home.upload("first", "First.").await.id;
    gate.reached().await;
    let mut good = vec![first];
    for n in 0..6 {
        good.push(
            home.upload(&format!("g{n}"), &format!("Good {n}."))
                .await
                .id,
        );
    }
    let bad = home
        .upload("bad", "EXPLODE when this is embedded.")
        .await
        .id;
    until(|| home.files_in("in-work") == 8).await;
    gate.release();
    let failed = home.library.wait(bad).await.unwrap();
    assert_eq!(failed.status, Status::Failed);
    for id in good {
        let there = home.library.wait(id).await.unwrap();
        assert_eq!(there.status, Status::Searchable, "{:?}", there.error);
    }
    home.check_consistent();
    home.stop().await;
}
