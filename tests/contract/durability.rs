//! What the embedded store has flushed is there after the process was killed; and one index is open
//! once.

use std::{env, path::Path, process::Command};

use griot::{
    adapters::edge::{EdgeStore, Recorded},
    domain::DocumentId,
    ports::{Filter, PortError, VectorStore},
};
use uuid::Uuid;

use crate::sample::{by_terms, by_vector, identity, key, named, point};

/// Set in the child: the folder that it writes to before it dies.
const FOLDER: &str = "GRIOT_TEST_ABORT_FOLDER";
const FLUSHED: u32 = 500;
const WRITTEN: u32 = 1000;
const SOME: [f32; 4] = [0.5, 0.5, 0.5, 0.5];

fn document() -> DocumentId {
    DocumentId::from_uuid(Uuid::from_u128(7))
}

/// Not a test of its own: with the variable set, this process writes, flushes, writes on and aborts.
#[tokio::test]
async fn child_that_aborts() {
    let Some(folder) = env::var_os(FOLDER) else {
        return;
    };
    let store = EdgeStore::new(folder.into());
    store.open(&identity()).await.unwrap();
    let points = |range: std::ops::Range<u32>| {
        range
            .map(|n| point(key(document(), 1, n), SOME, &[(n, 1.0)]))
            .collect()
    };
    store.upsert(points(0..FLUSHED)).await.unwrap();
    let old = DocumentId::from_uuid(Uuid::from_u128(8));
    store
        .upsert(vec![point(key(old, 1, 0), SOME, &[])])
        .await
        .unwrap();
    store.flush().await.unwrap();
    store.delete(old, None).await.unwrap();
    store.flush().await.unwrap();
    store.upsert(points(FLUSHED..WRITTEN)).await.unwrap();
    std::process::abort();
}

fn run_child(folder: &Path) {
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "durability::child_that_aborts", "--nocapture"])
        .env(FOLDER, folder)
        .output()
        .unwrap();
    assert!(!child.status.success(), "the child was to abort: {child:?}");
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(!said.contains("panicked"), "{said}");
}

#[tokio::test]
async fn flushed_points_survive_an_abort_and_the_rest_can_be_written_again() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        run_child(folder.path());
        let store = EdgeStore::new(folder.path().to_owned());
        store.open(&identity()).await.unwrap();
        let filter = Filter {
            document: Some(document()),
            ..Filter::default()
        };
        let count = store.count(filter.clone()).await.unwrap();
        assert!(
            (u64::from(FLUSHED)..=u64::from(WRITTEN)).contains(&count),
            "{count}"
        );
        assert_eq!(
            store.count(Filter::default()).await.unwrap(),
            count,
            "the deleted stay away"
        );
        for n in [0, FLUSHED - 1] {
            let hits = store.search(by_terms(&[n], 9)).await.unwrap();
            assert_eq!(hits.len(), 1, "point {n} is found by its word");
        }
        assert_eq!(
            store.search(by_vector(SOME, 2000)).await.unwrap().len() as u64,
            count
        );

        // Replay writes the same points, and they stay.
        let again = (FLUSHED..WRITTEN)
            .map(|n| point(key(document(), 1, n), SOME, &[(n, 1.0)]))
            .collect();
        store.upsert(again).await.unwrap();
        store.flush().await.unwrap();
        drop(store);
        let store = EdgeStore::new(folder.path().to_owned());
        store.open(&identity()).await.unwrap();
        assert_eq!(store.count(filter).await.unwrap(), u64::from(WRITTEN));
        store.delete(document(), None).await.unwrap();
        store.flush().await.unwrap();
    }
}

#[tokio::test]
async fn a_second_opening_says_that_the_index_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let first = EdgeStore::new(folder.path().to_owned());
    first.open(&identity()).await.unwrap();
    let second = EdgeStore::new(folder.path().to_owned());
    let error = second.open(&identity()).await.unwrap_err();
    assert!(matches!(error, PortError::Unavailable { .. }));
    assert!(
        error.to_string().contains("in use by another griot"),
        "{error}"
    );
    drop(first);
    second.open(&identity()).await.unwrap();
}

#[tokio::test]
async fn the_identity_outlives_the_process_that_wrote_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = EdgeStore::new(folder.path().to_owned());
    store.open(&identity()).await.unwrap();
    drop(store);
    let store = EdgeStore::new(folder.path().to_owned());
    match store.open(&named("model-b", 4)).await.unwrap_err() {
        PortError::Refused { reason, .. } => assert!(
            reason.contains("model-a")
                && reason.contains("model-b")
                && reason.contains("embed.model"),
            "{reason}"
        ),
        other => panic!("{other}"),
    }
    store.open(&identity()).await.unwrap();
}

/// A kill while the index is made leaves a shard without an identity; it is made anew.
#[tokio::test]
async fn an_interrupted_creation_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = EdgeStore::new(folder.path().to_owned());
    store.open(&identity()).await.unwrap();
    drop(store);
    std::fs::remove_file(folder.path().join("identity.json")).unwrap();
    std::fs::remove_file(folder.path().join("shard/edge_config.json")).unwrap();
    let store = EdgeStore::new(folder.path().to_owned());
    store.open(&named("model-b", 4)).await.unwrap();
    assert_eq!(store.count(Filter::default()).await.unwrap(), 0);
}

#[tokio::test]
async fn damaged_files_are_an_error_and_no_crash() {
    let folder = tempfile::tempdir().unwrap();
    let store = EdgeStore::new(folder.path().to_owned());
    store.open(&identity()).await.unwrap();
    store
        .upsert(vec![point(key(document(), 1, 0), SOME, &[(1, 1.0)])])
        .await
        .unwrap();
    store.flush().await.unwrap();
    drop(store);
    let segments = folder.path().join("shard/segments");
    for segment in std::fs::read_dir(segments).unwrap() {
        let path = segment.unwrap().path().join("segment.json");
        if path.exists() {
            std::fs::write(path, "{").unwrap();
        }
    }
    let store = EdgeStore::new(folder.path().to_owned());
    let error = store.open(&identity()).await.unwrap_err();
    assert!(matches!(error, PortError::Unavailable { .. }), "{error}");
    let found = store.recorded().await.unwrap();
    assert!(matches!(found, Recorded::Damaged(_)), "{found:?}");
    std::fs::write(folder.path().join("identity.json"), "no JSON").unwrap();
    let found = store.recorded().await.unwrap();
    assert!(matches!(found, Recorded::Damaged(_)), "{found:?}");
    let error = store.open(&identity()).await.unwrap_err();
    assert!(error.to_string().contains("identity.json"), "{error}");
}

#[tokio::test]
async fn what_is_in_a_folder_is_told_without_making_anything() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("index");
    let store = EdgeStore::new(place.clone());
    assert_eq!(store.recorded().await.unwrap(), Recorded::Nothing);
    assert!(!place.exists());
    store.open(&identity()).await.unwrap();
    let found = store.recorded().await.unwrap();
    let Recorded::Made(made) = found else {
        panic!("{found:?}");
    };
    assert_eq!(
        (made.model, made.dimension),
        (identity().model, identity().dimension)
    );
    // In use by another is not damaged.
    let second = EdgeStore::new(place.clone());
    let error = second.recorded().await.unwrap_err();
    assert!(matches!(error, PortError::Unavailable { .. }), "{error}");
    store.close().await;
    assert!(matches!(
        second.recorded().await.unwrap(),
        Recorded::Made(_)
    ));
}

/// The bytes of a vector as they lie in files.
fn bytes_of(vector: &[f32]) -> Vec<u8> {
    vector
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// The files below a folder that hold these bytes.
fn files_with(folder: &Path, needle: &[u8]) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                if bytes.windows(needle.len()).any(|window| window == needle) {
                    found.push(path);
                }
            }
        }
    }
    found
}

/// Deleted means gone from the files too, once somebody had the time; and nothing else is.
#[tokio::test]
async fn upkeep_leaves_nothing_of_deleted_points_in_any_file() {
    // Of length one, so that they are stored as they are.
    const GONE: [f32; 4] = [0.5, 0.5, 0.5, -0.5];
    let folder = tempfile::tempdir().unwrap();
    let store = EdgeStore::new(folder.path().to_owned());
    store.open(&identity()).await.unwrap();
    let gone = DocumentId::from_uuid(Uuid::from_u128(0xdead_beef_dead_beef_dead_beef_dead_beef));
    let kept: Vec<_> = (0..300)
        .map(|n| {
            let angle = n as f32 / 200.0;
            let vector = [angle.cos(), angle.sin(), 0.0, 0.0];
            point(key(document(), 1, n), vector, &[(n, 1.0)])
        })
        .collect();
    store.upsert(kept).await.unwrap();
    assert!(!store.upkeep().await.unwrap(), "nothing was deleted");
    store
        .upsert(vec![point(key(gone, 1, 0), GONE, &[(77_777_777, 1.0)])])
        .await
        .unwrap();
    store.flush().await.unwrap();
    let needles = [
        bytes_of(&GONE),
        77_777_777_u32.to_le_bytes().to_vec(),
        gone.uuid().to_string().into_bytes(),
    ];
    store.delete(gone, None).await.unwrap();
    store.flush().await.unwrap();
    assert!(
        !files_with(folder.path(), &needles[0]).is_empty(),
        "the test looks where it is"
    );
    let before = store
        .search(by_vector([1.0, 0.1, 0.0, 0.0], 50))
        .await
        .unwrap();

    assert!(store.upkeep().await.unwrap());
    for needle in &needles {
        let none: [&Path; 0] = [];
        assert_eq!(files_with(folder.path(), needle), none, "{needle:?}");
    }
    // As before, now and when it is opened again; and it takes more.
    for round in 0..2 {
        assert_eq!(store.count(Filter::default()).await.unwrap(), 300 + round);
        let after = store
            .search(by_vector([1.0, 0.1, 0.0, 0.0], 50))
            .await
            .unwrap();
        assert_eq!(after, before);
        let by_word = store.search(by_terms(&[299], 9)).await.unwrap();
        assert_eq!(by_word[0].key, key(document(), 1, 299));
        if round == 0 {
            let other = DocumentId::from_uuid(Uuid::from_u128(9));
            let more = point(key(other, 1, 0), [0.0, 0.0, 0.0, 1.0], &[]);
            store.upsert(vec![more]).await.unwrap();
            store.flush().await.unwrap();
        }
    }
    drop(store);
    let store = EdgeStore::new(folder.path().to_owned());
    store.open(&identity()).await.unwrap();
    assert_eq!(store.count(Filter::default()).await.unwrap(), 301);
    assert!(!store.upkeep().await.unwrap(), "it is done once");
}

/// As if the program had ended in each attempt to open it.
#[tokio::test]
async fn an_index_that_nobody_survives_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let store = EdgeStore::new(folder.path().to_owned());
    store.open(&identity()).await.unwrap();
    store.close().await;
    std::fs::write(folder.path().join("attempt"), "...").unwrap();
    let found = store.recorded().await.unwrap();
    assert!(matches!(found, Recorded::Damaged(_)), "{found:?}");
}
