//! A backup of a daemon that is at work, and what is restored from it.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use griot::{
    backup::{self, Restored},
    catalog::{Catalog, Listing},
    domain::{Document, DocumentId, Status},
};
use reqwest::{Method, StatusCode, multipart};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::app::{LEASE, TestApp, file};

fn text_of(name: &str) -> String {
    // Of several parts, so that half of one would be noticed.
    format!("{name} is what this document says. ").repeat(40)
}

/// Takes a backup and restores it into a home of its own.
async fn take(app: &TestApp) -> (TempDir, Restored) {
    let reply = app.get("/api/backup").await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let home = tempfile::tempdir().unwrap();
    let restored =
        backup::restore(&*reply.body, home.path(), &home.path().join("x/griot.toml")).unwrap();
    (home, restored)
}

fn documents(catalog: &Catalog) -> Vec<Document> {
    let all = Listing {
        limit: usize::MAX,
        ..Listing::default()
    };
    catalog.documents(&all).unwrap()
}

/// That every document is there whole: its original by its hash, its text, its chunks.
fn check_whole(home: &Path, catalog: &Catalog) {
    let mut originals = BTreeSet::new();
    for document in documents(catalog) {
        let name = document.sha256.to_string();
        let original = std::fs::read(home.join("originals").join(&name[..2]).join(&name[2..]))
            .unwrap_or_else(|error| panic!("{}: {error}", document.name));
        assert_eq!(hex::encode(Sha256::digest(&original)), name);
        originals.insert(name);
        let text = catalog.text(document.id, None, None).unwrap();
        if document.status == Status::Searchable {
            assert_eq!(text.unwrap(), original, "{}", document.name);
            let word = document.name.trim_end_matches(".txt");
            let hits = catalog.search_words(word, None, 1000).unwrap();
            let own = hits.iter().filter(|(key, _)| key.document == document.id);
            assert_eq!(own.count() as u64, document.chunks, "{}", document.name);
        } else {
            assert_eq!(document.status, Status::Queued, "{document:?}");
        }
    }
    let files = walk(&home.join("originals"));
    assert_eq!(files, originals.len(), "an original that no document names");
}

fn walk(folder: &Path) -> usize {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path) } else { 1 }
        })
        .sum()
}

/// What has been acknowledged, by whom a backup can be held against.
#[derive(Default)]
struct Oracle {
    stored: Mutex<BTreeSet<DocumentId>>,
    deleted: Mutex<BTreeSet<DocumentId>>,
}

impl Oracle {
    /// Uploads and deletes until `stop`; every second document is deleted a little later.
    async fn keep_busy(&self, app: &TestApp, who: usize, stop: &AtomicBool) {
        let mut older = Vec::new();
        for n in 0.. {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            let name = format!("w{who}n{n}");
            let form =
                multipart::Form::new().part("file", file(&format!("{name}.txt"), &text_of(&name)));
            let reply = app.upload(form).await;
            assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.text());
            let id: DocumentId =
                serde_json::from_value(reply.json()["documents"][0]["id"].clone()).unwrap();
            self.stored.lock().unwrap().insert(id);
            older.push(id);
            if n % 2 == 1 {
                let id = older.remove(older.len() / 2);
                // Out of the books first: from here on it may be there or not.
                self.stored.lock().unwrap().remove(&id);
                let reply = app.delete(&format!("/api/knowledge/documents/{id}")).await;
                assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
                self.deleted.lock().unwrap().insert(id);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_is_one_moment_of_the_library() {
    let app = TestApp::start().await;
    let oracle = Oracle::default();
    let stop = AtomicBool::new(false);
    let backups = async {
        let mut homes = Vec::new();
        for _ in 0..6 {
            // Something happens between two backups.
            let before = oracle.stored.lock().unwrap().len();
            while oracle.stored.lock().unwrap().len() < before + 6 {
                tokio::task::yield_now().await;
            }
            let deleted = oracle.deleted.lock().unwrap().clone();
            let stored = oracle.stored.lock().unwrap().clone();
            let (home, restored) = take(&app).await;
            // Those that were deleted while it was made may be missing, no others.
            let kept = &stored & &*oracle.stored.lock().unwrap();
            homes.push((home, restored, kept, deleted));
        }
        stop.store(true, Ordering::SeqCst);
        homes
    };
    let (homes, (), ()) = tokio::join!(
        backups,
        oracle.keep_busy(&app, 0, &stop),
        oracle.keep_busy(&app, 1, &stop)
    );
    for (home, restored, kept, deleted) in homes {
        assert_eq!(restored.whole.manifest.missing, []);
        assert_eq!(restored.whole.manifest.damaged, []);
        let catalog = Catalog::open(&home.path().join("catalog.sqlite")).unwrap();
        let there: BTreeSet<_> = documents(&catalog).iter().map(|d| d.id).collect();
        assert_eq!(&kept - &there, BTreeSet::new(), "acknowledged and lost");
        assert_eq!(&there & &deleted, BTreeSet::new(), "deleted and back");
        check_whole(home.path(), &catalog);
    }
    assert!(!app.home.path().join("held").join("x").exists());
    let left = std::fs::read_dir(app.home.path().join("held")).unwrap();
    assert_eq!(left.count(), 0, "something is still held");
}

#[tokio::test]
async fn the_settings_are_in_it_without_the_key() {
    let app = TestApp::start().await;
    app.ingest("lease.txt", LEASE).await;
    let settings = "[store]\napi_key = \"s3cret\"\nkind = \"edge\"\n";
    std::fs::write(app.home.path().join("griot.toml"), settings).unwrap();
    let (home, restored) = take(&app).await;
    let placed = home.path().join("x/griot.toml");
    assert_eq!(restored.settings, backup::Settings::Placed(placed.clone()));
    let text = std::fs::read_to_string(placed).unwrap();
    assert!(text.contains("kind = \"edge\""), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_backup_at_a_time_and_nothing_stays_of_one_that_nobody_reads() {
    let app = TestApp::start().await;
    // More than a connection's buffers hold, and nothing that becomes smaller.
    let mut seed = 1_u64;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as u8
    })
    .take(32 << 20)
    .collect();
    let part = multipart::Part::bytes(bytes).file_name("noise.bin");
    let reply = app.upload(multipart::Form::new().part("file", part)).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.text());

    let unread = app
        .request(Method::GET, "/api/backup")
        .send()
        .await
        .unwrap();
    assert_eq!(unread.status(), StatusCode::OK);
    let second = app.get("/api/backup").await;
    assert_eq!(second.verdict(), "409 conflict");
    drop(unread);
    let held = app.home.path().join("held");
    while std::fs::read_dir(&held).unwrap().next().is_some() {
        tokio::task::yield_now().await;
    }
    let (_home, restored) = take(&app).await;
    assert_eq!(restored.whole.header.documents, 1);
}
