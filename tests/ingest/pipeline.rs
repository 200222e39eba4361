//! From the queue to searchable.

use griot::{
    catalog::Listing,
    domain::{ChunkKey, FailureCode, PageState, Stage, Status},
    ports::fakes::Gate,
};

use crate::home::{Home, long_text, until};

#[tokio::test]
async fn a_document_becomes_searchable() {
    let home = Home::new().await;
    let text = format!("Rent is due.\x0c\x0c{}", long_text("deposits"));
    let document = home.add("lease.txt", &text).await;
    assert_eq!((document.stage, document.revision), (Stage::Done, 1));
    assert!((document.progress - 1.0).abs() < f32::EPSILON);
    let states: Vec<_> = document.pages.iter().map(|p| p.state).collect();
    assert_eq!(states, [PageState::Text, PageState::Empty, PageState::Text]);
    assert!(document.chunks > 4);
    let stored =
        String::from_utf8(home.library.text(document.id, None, None).await.unwrap()).unwrap();
    assert_eq!(stored, text.replace('\x0c', "\n") + "\n");

    let found = home.catalog.passages(&home.found("rent")).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].document_name.as_str(), found[0].locator.page),
        ("lease.txt", Some(1))
    );
    for passage in home.catalog.passages(&home.found("deposits")).unwrap() {
        let range = passage.locator.start as usize..passage.locator.end as usize;
        assert_eq!(passage.text, stored[range]);
        assert_eq!(passage.locator.page, Some(3));
    }
    let mut original = home.library.original(document.id).await.unwrap();
    let mut bytes = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut original.file, &mut bytes)
        .await
        .unwrap();
    assert_eq!(bytes, text.as_bytes());
    home.check_consistent();
    home.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_fails_with_its_reason() {
    let home = Home::new().await;
    let damaged = home.upload("a", "DAMAGED").await.id;
    let empty = home.upload("b", " \n\x0c --- ").await.id;
    let check = async |id, code| {
        let document = home.library.wait(id).await.unwrap();
        assert_eq!((document.status, document.chunks), (Status::Failed, 0));
        assert_eq!(document.error.unwrap().code, code);
        document.pages
    };
    check(damaged, FailureCode::Damaged).await;
    assert_eq!(check(empty, FailureCode::NoText).await.len(), 2);
    home.check_consistent();
    home.stop().await;
}

#[tokio::test]
async fn progress_is_readable_at_every_stage() {
    let home = Home::new().await;
    let (reading, embedding, storing) = (Gate::new(), Gate::new(), Gate::new());
    *home.reader.gate.lock().unwrap() = Some(reading.clone());
    *home.embed.gate.lock().unwrap() = Some(embedding.clone());
    *home.store.before_upsert.lock().unwrap() = Some(storing.clone());
    let id = home.upload("a", &long_text("words")).await.id;
    let mut last = -1.0;
    for (gate, stage) in [
        (reading, Stage::Extracting),
        (embedding, Stage::Embedding),
        (storing, Stage::Publishing),
    ] {
        gate.reached().await;
        let document = home.library.document(id).await.unwrap();
        assert_eq!(
            (document.status, document.stage),
            (Status::Processing, stage)
        );
        assert!(document.progress > last && document.progress < 1.0);
        last = document.progress;
        assert!(home.found("words").is_empty(), "nothing is visible yet");
        gate.release();
    }
    assert_eq!(home.library.wait(id).await.unwrap().stage, Stage::Done);
    home.stop().await;
}

#[tokio::test]
async fn a_document_is_visible_whole_or_not_at_all() {
    let home = Home::new().await;
    let first = home.add("a", &long_text("words")).await;
    let visible = |revision| -> Vec<ChunkKey> {
        let keys = (0..first.chunks as u32).map(|ordinal| ChunkKey {
            document: first.id,
            revision,
            ordinal,
        });
        keys.collect()
    };
    let sorted = |mut keys: Vec<ChunkKey>| {
        keys.sort();
        keys
    };
    let gate = Gate::new();
    *home.store.before_flush.lock().unwrap() = Some(gate.clone());
    let again = home.library.process_again(first.id).await.unwrap();
    assert_eq!(again.id, first.id);
    gate.reached().await;
    // Both revisions have points; only the first counts.
    assert_eq!(home.store.memory.keys().len() as u64, 2 * first.chunks);
    assert_eq!(sorted(home.found("words")), visible(1));
    let both = [visible(1), visible(2)].concat();
    assert_eq!(
        home.catalog.passages(&both).unwrap().len() as u64,
        first.chunks
    );
    assert_eq!(home.library.document(first.id).await.unwrap().revision, 1);
    *home.store.before_flush.lock().unwrap() = None;
    gate.release();
    let second = home.library.wait(first.id).await.unwrap();
    assert_eq!((second.revision, second.chunks), (2, first.chunks));
    assert_eq!(sorted(home.found("words")), visible(2));
    until(|| home.catalog.cleanups().unwrap().is_empty()).await;
    home.check_consistent();
    home.stop().await;
}

#[tokio::test]
async fn small_documents_are_embedded_together() {
    let home = Home::new().await;
    let gate = Gate::new();
    *home.embed.gate.lock().unwrap() = Some(gate.clone());
    let mut ids = Vec::new();
    for i in 0..50 {
        ids.push(
            home.upload(&format!("d{i}"), &format!("Document {i} is short."))
                .await
                .id,
        );
    }
    let listing = Listing {
        limit: 100,
        ..Listing::default()
    };
    until(|| {
        let documents = home.catalog.documents(&listing).unwrap();
        let read =
            |d: &griot::domain::Document| d.stage == Stage::Chunking || d.stage == Stage::Embedding;
        documents.iter().filter(|d| read(d)).count() == 50
    })
    .await;
    gate.release();
    for id in ids {
        home.library.wait(id).await.unwrap();
    }
    let calls = home.embed.words.calls();
    assert_eq!(calls.iter().map(|(_, texts)| texts).sum::<usize>(), 50);
    assert!(calls.len() <= 4, "{calls:?}");
    home.check_consistent();
    home.stop().await;
}

#[tokio::test]
async fn the_next_document_is_read_while_one_is_embedded() {
    let home = Home::new().await;
    let gate = Gate::new();
    *home.embed.gate.lock().unwrap() = Some(gate.clone());
    let first = home.upload("a", &long_text("first")).await.id;
    gate.reached().await;
    let second = home.upload("b", &long_text("second")).await.id;
    until(|| home.catalog.document(second).unwrap().unwrap().stage == Stage::Chunking).await;
    assert_eq!(
        home.library.document(first).await.unwrap().stage,
        Stage::Embedding
    );
    gate.release();
    home.library.wait(second).await.unwrap();
    home.check_consistent();
    home.stop().await;
}

#[tokio::test]
async fn processing_again_what_waits_changes_nothing() {
    let home = Home::new().await;
    let gate = Gate::new();
    *home.reader.gate.lock().unwrap() = Some(gate.clone());
    let id = home.upload("a", "Rent is due.").await.id;
    gate.reached().await;
    assert_eq!(
        home.library.process_again(id).await.unwrap().status,
        Status::Processing
    );
    gate.release();
    assert_eq!(home.library.wait(id).await.unwrap().revision, 1);
    home.check_consistent();
    home.stop().await;
}
