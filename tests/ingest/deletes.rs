//! Delete means gone.

use std::time::Duration;

use griot::{
    catalog::Turn,
    domain::{Component, ConversationId, Status},
    ingest::IngestError,
    ports::{
        PortError,
        fakes::{Gate, Trouble},
    },
};

use crate::home::{Home, long_text, until, until_later};

#[tokio::test]
async fn nothing_of_it_is_left_in_any_file() {
    let home = Home::new().await;
    let other = home.add("other.txt", &long_text("kittens")).await;
    let gone = home.add("sesameopen.txt", &long_text("xyzzyplugh")).await;
    let turn = Turn {
        question: "What does it say?".into(),
        answer: "It says xyzzyplugh.".into(),
        at: jiff::Timestamp::UNIX_EPOCH,
    };
    home.catalog
        .add_turn(ConversationId::new(), &turn, &[gone.id])
        .unwrap();
    assert!(!home.files_with("xyzzyplugh").is_empty() && !home.files_with("sesameopen").is_empty());

    let receipt = home.library.delete(gone.id).await.unwrap();
    assert_eq!(
        (receipt.id, receipt.name.as_str()),
        (gone.id, "sesameopen.txt")
    );
    assert_eq!((receipt.chunks, receipt.points), (gone.chunks, gone.chunks));
    assert!(gone.chunks > 2 && receipt.text_bytes > 1000);
    assert_eq!((receipt.original_removed, receipt.turns), (true, 1));
    assert_eq!(receipt.pending, []);
    for word in ["xyzzyplugh", "sesameopen"] {
        assert_eq!(
            home.files_with(word),
            Vec::<std::path::PathBuf>::new(),
            "{word}"
        );
    }
    assert!(home.found("xyzzyplugh").is_empty());
    let not_found = [
        home.library.document(gone.id).await.map(drop),
        home.library.text(gone.id, None, None).await.map(drop),
        home.library.original(gone.id).await.map(drop),
        home.library.delete(gone.id).await.map(drop),
        home.library.process_again(gone.id).await.map(drop),
        home.library.wait(gone.id).await.map(drop),
    ];
    for answer in not_found {
        assert!(
            matches!(answer, Err(IngestError::NotFound(id)) if id == gone.id),
            "{answer:?}"
        );
    }
    assert_eq!(home.found("kittens").len() as u64, other.chunks);
    home.check_consistent();
    home.stop().await;
}

#[tokio::test]
async fn it_stops_the_work_on_a_document_wherever_that_is() {
    let home = Home::new().await;
    let gates = [
        &home.reader.gate,
        &home.embed.gate,
        &home.store.before_upsert,
        &home.store.before_flush,
    ];
    for (place, slot) in gates.into_iter().enumerate() {
        let gate = Gate::new();
        *slot.lock().unwrap() = Some(gate.clone());
        let id = home
            .upload("a", &long_text(&format!("place{place}")))
            .await
            .id;
        gate.reached().await;
        *slot.lock().unwrap() = None;
        let (receipt, waited) = tokio::join!(home.library.delete(id), async {
            let waited = home.library.wait(id).await;
            // The store is in the middle of a call that a delete cannot take back: it goes on now.
            gate.release();
            waited
        });
        assert!(
            matches!(waited, Err(IngestError::NotFound(_))),
            "{waited:?}"
        );
        let receipt = receipt.unwrap();
        assert_eq!(
            (receipt.chunks, receipt.pending),
            (0, vec![]),
            "place {place}"
        );
        home.check_consistent();
    }
    // The pipeline is free for others.
    home.add("b", "Rent is due.").await;
    home.check_consistent();
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_is_cleaned_when_it_is_back() {
    let home = Home::new().await;
    let gone = home.add("a", &long_text("xyzzyplugh")).await;
    home.store.memory.trouble(Trouble::Unavailable);
    let receipt = home.library.delete(gone.id).await.unwrap();
    assert_eq!(
        (receipt.points, receipt.pending),
        (0, vec![Component::VectorStore])
    );
    assert!(home.found("xyzzyplugh").is_empty());
    assert_eq!(
        home.files_with("xyzzyplugh"),
        Vec::<std::path::PathBuf>::new()
    );
    assert!(!home.store.memory.keys().is_empty());
    home.store.memory.recover();
    until_later(|| home.catalog.cleanups().unwrap().is_empty()).await;
    home.check_consistent();
    home.stop().await;
}

#[tokio::test]
async fn a_kill_in_the_middle_of_it_leaves_a_note() {
    let home = Home::new().await;
    let gone = home.add("a", &long_text("xyzzyplugh")).await;
    // The transaction of a delete, and nothing after it.
    home.catalog.remove(gone.id).unwrap();
    let home = home.crash_and_restart().await;
    until(|| home.catalog.cleanups().unwrap().is_empty() && !home.catalog.has_traces().unwrap())
        .await;
    home.check_consistent();
    assert_eq!(
        home.files_with("xyzzyplugh"),
        Vec::<std::path::PathBuf>::new()
    );
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn uploads_and_deletes_of_the_same_bytes_may_meet() {
    let home = Home::new().await;
    for _ in 0..40 {
        let first = home.upload("a", "the same").await;
        let (deleted, again, twice) = tokio::join!(
            home.library.delete(first.id),
            home.upload_to("b", "the same", "default"),
            home.library.delete(first.id),
        );
        let gone = [&deleted, &twice].into_iter().filter(|d| d.is_ok()).count();
        assert_eq!(gone, 1, "{deleted:?} {twice:?}");
        // Before the delete: the same document, gone now. After it: a new one, which is whole.
        let again = again.unwrap();
        assert_eq!(again.duplicate, again.id == first.id);
        if again.duplicate {
            assert!(home.library.document(again.id).await.is_err());
        } else {
            assert_eq!(
                home.library.wait(again.id).await.unwrap().status,
                Status::Searchable
            );
            home.library.delete(again.id).await.unwrap();
        }
        home.check_consistent();
    }
    home.stop().await;
}

/// The way back from a full disk: what is freed is noticed soon, and a delete is not told to wait for a minute.
#[tokio::test(start_paused = true)]
async fn upkeep_that_failed_is_tried_again_soon_or_when_there_is_a_reason() {
    let home = Home::new().await;
    let component = Component::VectorStore;
    let first = home.add("a", "Rent is due.").await;
    let second = home.add("b", "Pets are not allowed.").await;
    let pass = async |seconds| tokio::time::sleep(Duration::from_secs(seconds)).await;
    // What adding them gave to do is done.
    pass(10).await;
    let tended = || std::mem::take(&mut *home.store.tended.lock().unwrap());
    assert!(!tended().is_empty());
    home.store.tending.lock().unwrap().extend([
        PortError::NoRoom { component },
        PortError::unavailable(component, "damaged"),
    ]);
    home.library.delete(first.id).await.unwrap();
    pass(30).await;
    let tries = tended();
    assert_eq!(
        tries.len(),
        2,
        "the second one failed otherwise, and is put off for longer"
    );
    assert_eq!((tries[1] - tries[0]).as_secs(), 5);
    home.library.delete(second.id).await.unwrap();
    pass(10).await;
    assert_eq!(tended().len(), 1, "there was a reason not to wait");
    home.stop().await;
}
