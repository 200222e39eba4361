//! Documents that may be to blame: for the death of a run, or of their reader.

use griot::{
    catalog::Catalog,
    domain::{DocumentId, FailureCode, Status},
    ports::fakes::Gate,
};

use crate::home::{Home, until};

/// As if the run had been killed with these in work.
fn leave_in_work(home: &Home, ids: &[DocumentId]) {
    for id in ids {
        std::fs::write(home.path().join("in-work").join(id.to_string()), "").unwrap();
    }
}

/// Documents that wait, in a run that was stopped.
async fn waiting(count: usize) -> (Home, Vec<DocumentId>) {
    let home = Home::new().await;
    *home.reader.gate.lock().unwrap() = Some(Gate::new());
    let mut ids = Vec::new();
    for n in 0..count {
        ids.push(
            home.upload(&format!("d{n}"), &format!("Document {n}."))
                .await
                .id,
        );
    }
    home.stop().await;
    (home, ids)
}

#[tokio::test]
async fn what_is_in_work_is_written_down_and_crossed_out() {
    let home = Home::new().await;
    let gate = Gate::new();
    *home.reader.gate.lock().unwrap() = Some(gate.clone());
    let id = home.upload("a", "Rent is due.").await.id;
    gate.reached().await;
    assert!(home.path().join("in-work").join(id.to_string()).exists());
    gate.release();
    home.library.wait(id).await.unwrap();
    until(|| home.files_in("in-work") == 0).await;
    home.stop().await;
}

#[tokio::test]
async fn who_is_there_alone_at_three_deaths_is_set_aside() {
    let (home, ids) = waiting(2).await;
    let limit = home.config.max_tries;
    for death in 1..=limit {
        let quarantined = home.catalog.blame(&ids[..1], limit).unwrap();
        assert_eq!(quarantined.is_empty(), death < limit, "death {death}");
    }
    let home = home.crash_and_restart().await;
    let failed = home.library.wait(ids[0]).await.unwrap();
    assert_eq!(failed.error.unwrap().code, FailureCode::Quarantined);
    assert_eq!(
        home.library.wait(ids[1]).await.unwrap().status,
        Status::Searchable
    );
    // By hand it begins at nought.
    home.library.process_again(ids[0]).await.unwrap();
    assert_eq!(
        home.library.wait(ids[0]).await.unwrap().status,
        Status::Searchable
    );
    home.check_consistent();
    home.stop().await;
}

#[tokio::test]
async fn a_crowd_is_suspected_once_however_often() {
    let (home, ids) = waiting(3).await;
    for _ in 0..9 {
        assert_eq!(home.catalog.blame(&ids, home.config.max_tries).unwrap(), []);
    }
    let home = home.crash_and_restart().await;
    for id in ids {
        assert_eq!(
            home.library.wait(id).await.unwrap().status,
            Status::Searchable
        );
    }
    home.check_consistent();
    home.stop().await;
}

#[tokio::test]
async fn suspects_wait_behind_the_others_and_work_alone() {
    let (home, ids) = waiting(4).await;
    leave_in_work(&home, &ids[..1]);
    let Home { folder, .. } = &home;
    let path = folder.path().join("catalog.db");
    let home = home.crash_and_restart().await;
    for id in &ids {
        home.library.wait(*id).await.unwrap();
    }
    let catalog = Catalog::open(&path).unwrap();
    let done = |id| catalog.document(id).unwrap().unwrap().updated_at;
    let last = ids.iter().max_by_key(|id| done(**id)).unwrap();
    assert_eq!(*last, ids[0], "the suspect was the last");
    assert_eq!(home.files_in("in-work"), 0);
    home.stop().await;
}

#[tokio::test]
async fn a_reader_that_dies_is_tried_three_times() {
    let home = Home::new().await;
    let id = home.upload("a", "CRASH").await.id;
    let other = home.upload("b", "Rent is due.").await.id;
    assert_eq!(
        home.library.wait(other).await.unwrap().status,
        Status::Searchable
    );
    let failed = home.library.wait(id).await.unwrap();
    assert_eq!(failed.error.unwrap().code, FailureCode::Crashed);
    assert_eq!(*home.reader.crashes.lock().unwrap(), home.config.max_tries);
    // Nobody to blame: the reader could not be started. It waits, and is read.
    *home.reader.unable.lock().unwrap() = 2;
    let late = home.add("c", "Cats sleep.").await;
    assert_eq!(late.status, Status::Searchable);
    assert_eq!(*home.reader.unable.lock().unwrap(), 0);
    home.check_consistent();
    home.stop().await;
}
