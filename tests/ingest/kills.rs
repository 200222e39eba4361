//! A run that ends in the middle of something: the next one finishes it. What no flush of the store
//! confirmed is lost with the run.

use std::{collections::BTreeSet, sync::Mutex};

use griot::{config::IngestConfig, domain::Status, ports::fakes::Gate};

use crate::home::{Home, long_text, until};

/// Stops a run that waits at one gate in the work on two documents and on a second revision of a
/// third.
async fn check(place: &str, slot: impl Fn(&Home) -> &Mutex<Option<Gate>>) {
    let home = Home::new().await;
    let third = home.add("third", &long_text("third")).await;
    let gate = Gate::new();
    *slot(&home).lock().unwrap() = Some(gate.clone());
    let mut ids = vec![third.id];
    home.library.process_again(third.id).await.unwrap();
    for name in ["first", "second"] {
        ids.push(home.upload(name, &long_text(name)).await.id);
    }
    gate.reached().await;
    assert_eq!(home.found("third").len() as u64, third.chunks, "{place}");

    let home = home.crash_and_restart().await;
    assert_eq!(home.found("third").len() as u64, third.chunks, "{place}");
    for id in &ids {
        assert_eq!(
            home.library.wait(*id).await.unwrap().status,
            Status::Searchable,
            "{place}"
        );
    }
    until(|| home.catalog.cleanups().unwrap().is_empty()).await;
    home.check_consistent();
    let words: BTreeSet<_> = ["first", "second", "third"]
        .iter()
        .flat_map(|word| home.found(word))
        .map(|k| k.document)
        .collect();
    assert_eq!(words, ids.into_iter().collect());
    // What is durable survives the next one too.
    let home = home.crash_and_restart().await;
    home.check_consistent();
    home.stop().await;
}

#[tokio::test]
async fn while_reading() {
    check("reading", |home| &home.reader.gate).await;
}

#[tokio::test]
async fn while_embedding() {
    check("embedding", |home| &home.embed.gate).await;
}

#[tokio::test]
async fn before_the_points_are_written() {
    check("upsert", |home| &home.store.before_upsert).await;
}

#[tokio::test]
async fn before_the_points_are_durable() {
    check("flush", |home| &home.store.before_flush).await;
}

/// Between the flush and the catalog's transaction: the points are durable, and of another cut than
/// the next run makes.
#[tokio::test]
async fn leftover_points_of_another_cut_are_removed() {
    let mut home = Home::with(IngestConfig {
        chunk_tokens: 50,
        ..IngestConfig::default()
    })
    .await;
    let gate = Gate::new();
    *home.store.before_flush.lock().unwrap() = Some(gate.clone());
    let id = home.upload("a", &long_text("words")).await.id;
    gate.reached().await;
    // As if the kill came right after the flush.
    griot::ports::VectorStore::flush(&home.store.memory)
        .await
        .unwrap();
    let before = home.store.memory.keys().len();
    // Larger chunks, so fewer: the last points of the first cut are nobody's.
    home.config.chunk_tokens = 250;
    let home = home.crash_and_restart().await;
    let document = home.library.wait(id).await.unwrap();
    assert!(before as u64 > document.chunks);
    home.check_consistent();
    home.stop().await;
}
