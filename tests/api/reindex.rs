//! Going over to another embedding model while everything goes on, and back; and an index that has to
//! be made anew. The fakes' models have vectors of different lengths, so a question embedded by one and
//! looked for in the other's index would be refused, and its answer degraded.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use griot::{
    backup,
    catalog::{Catalog, Listing},
    domain::{ChunkKey, DocumentId, EmbedderIdentity},
    ports::{
        EmbedKind,
        fakes::{Gate, HashEmbedder, MemoryGenerations, Trouble},
    },
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::app::{ANSWER, LEASE, QUESTION, Settings, TestApp};

const OLD: &str = "hash-of-words";
const NEW: &str = "other-words";

/// What outlives a daemon.
struct Disk {
    home: Arc<TempDir>,
    generations: Arc<MemoryGenerations>,
}

impl Disk {
    fn new() -> Self {
        Self {
            home: Arc::new(tempfile::tempdir().unwrap()),
            generations: MemoryGenerations::new(&[(OLD, 64), (NEW, 48)]),
        }
    }

    async fn start(&self, model: &str) -> TestApp {
        TestApp::with(Settings {
            home: Some(Arc::clone(&self.home)),
            generations: Some(Arc::clone(&self.generations)),
            model: model.to_owned(),
            ..Settings::default()
        })
        .await
    }

    /// Ends the daemon, and what no flush of a store has confirmed is lost.
    async fn kill(&self, mut app: TestApp) {
        app.stopped().await;
        self.generations.crash();
        for model in [OLD, NEW] {
            self.embedder(model).recover();
            self.embedder(model).hold_after(usize::MAX, &Gate::new());
        }
        for number in 0..4 {
            self.generations.memory(number).recover();
        }
    }

    fn embedder(&self, model: &str) -> Arc<HashEmbedder> {
        self.generations.hash_embedder(model).unwrap()
    }

    /// The chunks that an index should hold.
    fn wanted(&self) -> BTreeSet<ChunkKey> {
        let catalog = Catalog::open(&self.home.path().join("catalog.sqlite")).unwrap();
        let all = Listing {
            limit: usize::MAX,
            ..Listing::default()
        };
        let documents = catalog.documents(&all).unwrap();
        documents
            .iter()
            .flat_map(|document| {
                (0..document.chunks as u32).map(|ordinal| ChunkKey {
                    document: document.id,
                    revision: document.revision,
                    ordinal,
                })
            })
            .collect()
    }

    fn held(&self, number: u32) -> BTreeSet<ChunkKey> {
        self.generations.memory(number).keys().into_iter().collect()
    }
}

fn text(name: &str, sentences: usize) -> String {
    (0..sentences)
        .map(|n| format!("Sentence {n} of {name} says something about {name}. "))
        .collect()
}

async fn fill(app: &TestApp, names: &[&str]) -> Vec<DocumentId> {
    let mut ids = Vec::new();
    for name in names {
        let document = app.ingest(&format!("{name}.txt"), &text(name, 60)).await;
        assert!(document.chunks > 1, "{document:?}");
        ids.push(document.id);
    }
    ids
}

async fn report(app: &TestApp) -> Value {
    let reply = app.get("/api/reindex").await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    reply.json()
}

/// Which model answers, which is built and which is kept.
async fn models(app: &TestApp) -> [Option<String>; 3] {
    let report = report(app).await;
    ["active", "building", "kept"].map(|role| report[role]["model"].as_str().map(str::to_owned))
}

fn some(model: &str) -> Option<String> {
    Some(model.to_owned())
}

async fn begin(app: &TestApp) {
    let reply = app.post("/api/reindex", &json!({})).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.text());
}

async fn roll_back(app: &TestApp) {
    let reply = app.post("/api/reindex/rollback", &json!({})).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.text());
}

async fn until_idle(app: &TestApp) {
    while report(app).await["activity"] != "idle" {
        tokio::task::yield_now().await;
    }
}

/// Asks once; every passage must have been found by meaning.
async fn check_answered(app: &TestApp, word: &str) {
    let reply = app.get(&format!("/api/rag/context?q={word}&top_k=3")).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let found = reply.json();
    assert_eq!(found["degraded"], json!([]), "{found}");
    let passages = found["passages"].as_array().unwrap();
    assert!(!passages.is_empty(), "{found}");
    assert!(
        passages.iter().all(|p| p["scores"]["dense"].is_number()),
        "{found}"
    );
}

/// Asks until `stop`. How often.
async fn keep_asking(app: &TestApp, word: &str, stop: &AtomicBool) -> usize {
    let mut asked = 0;
    while !stop.load(Ordering::SeqCst) {
        check_answered(app, word).await;
        asked += 1;
        tokio::task::yield_now().await;
    }
    asked
}

fn queries(embedder: &HashEmbedder) -> usize {
    let calls = embedder.calls();
    calls
        .iter()
        .filter(|(kind, _)| *kind == EmbedKind::Query)
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_old_index_answers_until_one_switch() {
    let disk = Disk::new();
    let app = disk.start(OLD).await;
    let ids = fill(&app, &["maple", "birch", "cedar", "larch"]).await;
    assert_eq!(models(&app).await, [some(OLD), None, None]);
    let reply = app.post("/api/reindex", &json!({})).await;
    assert_eq!(
        reply.verdict(),
        "409 conflict",
        "it is of that model already"
    );
    assert_eq!(
        app.post("/api/reindex/rollback", &json!({}))
            .await
            .verdict(),
        "404 nothing-kept"
    );
    disk.kill(app).await;

    // The settings name another model: the index goes on with its own and says so.
    let app = disk.start(NEW).await;
    let health = app.get("/api/health").await.json();
    assert_eq!(health["index"]["model"], OLD, "{health}");
    assert_eq!(health["index"]["configured_model"], NEW);
    let notice = health["index"]["notice"].as_str().unwrap();
    assert!(notice.contains("run `griot reindex`"), "{notice}");
    check_answered(&app, "maple").await;
    assert_eq!(queries(&disk.embedder(NEW)), 0);

    // The first call is the one that shows that the model works.
    let gate = Gate::new();
    disk.embedder(NEW).hold_after(2, &gate);
    begin(&app).await;
    gate.reached().await;
    assert_eq!(models(&app).await, [some(OLD), some(NEW), None]);
    assert_eq!(
        app.post("/api/reindex", &json!({})).await.verdict(),
        "409 conflict"
    );
    let stop = AtomicBool::new(false);
    let changes = async {
        // While it hangs: one more, one processed again, one gone.
        let more = app.ingest("alder.txt", &text("alder", 60)).await;
        assert!(more.chunks > 1);
        app.library.process_again(ids[0]).await.unwrap();
        let again = app.library.wait(ids[0]).await.unwrap();
        assert_eq!(again.revision, 2);
        app.library.delete(ids[1]).await.unwrap();
        assert_eq!(models(&app).await, [some(OLD), some(NEW), None]);
        gate.release();
        // And while it goes on.
        for n in 0..10 {
            let name = format!("late{n}");
            let late = app.ingest(&format!("{name}.txt"), &text(&name, 20)).await;
            if n % 2 == 0 {
                app.library.delete(late.id).await.unwrap();
            }
        }
        until_idle(&app).await;
        stop.store(true, Ordering::SeqCst);
    };
    let (asked, (), ()) = tokio::join!(keep_asking(&app, "cedar", &stop), changes, async {
        keep_asking(&app, "larch", &stop).await;
    });
    assert!(asked > 10, "{asked} questions are too few to tell");
    assert_eq!(models(&app).await, [some(NEW), None, some(OLD)]);

    let before = queries(&disk.embedder(OLD));
    check_answered(&app, "alder").await;
    assert_eq!(
        queries(&disk.embedder(OLD)),
        before,
        "the new model answers"
    );
    assert_eq!(disk.held(1), disk.wanted());
    // Deleted documents went from the one that is kept, too.
    assert!(disk.held(0).iter().all(|key| key.document != ids[1]));
    let health = app.get("/api/health").await.json();
    assert_eq!(health["index"]["notice"], Value::Null, "{health}");

    // After a restart it is the same.
    disk.kill(app).await;
    let app = disk.start(NEW).await;
    assert_eq!(models(&app).await, [some(NEW), None, some(OLD)]);
    check_answered(&app, "alder").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn going_back_loses_nothing_that_came_since() {
    let disk = Disk::new();
    let app = disk.start(OLD).await;
    let ids = fill(&app, &["maple", "birch", "cedar"]).await;
    disk.kill(app).await;
    let app = disk.start(NEW).await;
    begin(&app).await;
    until_idle(&app).await;

    let since = fill(&app, &["alder", "aspen"]).await;
    app.library.delete(ids[0]).await.unwrap();
    app.library.process_again(ids[1]).await.unwrap();
    app.library.wait(ids[1]).await.unwrap();
    // What is deleted goes from the kept index at once, not when it answers again.
    assert!(disk.held(0).iter().all(|key| key.document != ids[0]));

    let stop = AtomicBool::new(false);
    let back = async {
        roll_back(&app).await;
        app.library.delete(since[1]).await.unwrap();
        until_idle(&app).await;
        stop.store(true, Ordering::SeqCst);
    };
    tokio::join!(back, async {
        keep_asking(&app, "cedar", &stop).await;
    });
    assert_eq!(models(&app).await, [some(OLD), None, some(NEW)]);
    assert_eq!(disk.held(0), disk.wanted());
    check_answered(&app, "alder").await;

    // And forth again, by the same way.
    roll_back(&app).await;
    until_idle(&app).await;
    assert_eq!(models(&app).await, [some(NEW), None, some(OLD)]);
    assert_eq!(disk.held(1), disk.wanted());

    let dropped = app.delete("/api/reindex/kept").await;
    assert_eq!(dropped.status, StatusCode::OK, "{}", dropped.text());
    assert_eq!(models(&app).await, [some(NEW), None, None]);
    assert_eq!(disk.generations.numbers(), [1]);
    assert_eq!(
        app.delete("/api/reindex/kept").await.verdict(),
        "404 nothing-kept"
    );
}

/// A run that ends at some moment: what the next one finds, and what comes of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_leaves_the_old_index_or_the_new_one() {
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Moment {
        BeforeAnyVector,
        BeforeAnyPoint,
        InTheMiddle,
        AfterTheSwitch,
    }
    for moment in [
        Moment::BeforeAnyVector,
        Moment::BeforeAnyPoint,
        Moment::InTheMiddle,
        Moment::AfterTheSwitch,
    ] {
        for next in [NEW, OLD] {
            let disk = Disk::new();
            let app = disk.start(OLD).await;
            // Longer than one step of the filling, and first in its order.
            let oak = app.ingest("oak.txt", &text("oak", 6000)).await;
            assert!(oak.chunks > 128, "{}", oak.chunks);
            fill(&app, &["maple", "birch", "cedar", "larch"]).await;
            disk.kill(app).await;
            let app = disk.start(NEW).await;
            match moment {
                Moment::BeforeAnyVector => {
                    let gate = Gate::new();
                    disk.embedder(NEW).hold_after(1, &gate);
                    begin(&app).await;
                    gate.reached().await;
                }
                Moment::BeforeAnyPoint => {
                    disk.generations.memory(1).trouble(Trouble::Hang);
                    begin(&app).await;
                }
                Moment::InTheMiddle => {
                    // A part of a document is there, the rest and the others are not.
                    let gate = Gate::new();
                    disk.embedder(NEW).hold_after(1 + 128 / 16, &gate);
                    begin(&app).await;
                    gate.reached().await;
                    assert_eq!(disk.held(1).len(), 128);
                }
                Moment::AfterTheSwitch => {
                    begin(&app).await;
                    until_idle(&app).await;
                }
            }
            check_answered(&app, "cedar").await;
            disk.kill(app).await;

            let app = disk.start(next).await;
            check_answered(&app, "cedar").await;
            until_idle(&app).await;
            let [active, building, _] = models(&app).await;
            assert_eq!(building, None, "{moment:?}, then {next}");
            if next == NEW || moment == Moment::AfterTheSwitch {
                // Gone on with to its end; or it was at its end.
                assert_eq!(active, some(NEW), "{moment:?}, then {next}");
            } else {
                assert_eq!(active, some(OLD), "{moment:?}, then {next}");
                assert_eq!(disk.generations.numbers(), [0], "{moment:?}");
            }
            let number = u32::from(active == some(NEW));
            assert_eq!(disk.held(number), disk.wanted(), "{moment:?}, then {next}");
            check_answered(&app, "larch").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_gives_nothing_is_told_and_nothing_is_begun() {
    let disk = Disk::new();
    let app = disk.start(OLD).await;
    fill(&app, &["maple"]).await;
    disk.kill(app).await;
    let app = disk.start(NEW).await;
    disk.embedder(NEW).trouble(Trouble::Unavailable);
    let reply = app.post("/api/reindex", &json!({})).await;
    assert_eq!(reply.verdict(), "503 unavailable", "{}", reply.text());
    assert_eq!(models(&app).await, [some(OLD), None, None]);
    check_answered(&app, "maple").await;
}

/// Faults in the middle are waited out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_of_the_new_part_holds_up_nobody() {
    let disk = Disk::new();
    let app = disk.start(OLD).await;
    fill(&app, &["maple", "birch"]).await;
    disk.kill(app).await;
    let app = disk.start(NEW).await;
    disk.generations.memory(1).trouble(Trouble::Unavailable);
    begin(&app).await;
    while report(&app).await["trouble"].is_null() {
        tokio::task::yield_now().await;
    }
    check_answered(&app, "maple").await;
    // Deletes wait for it, like for any part that is away, and are finished later.
    disk.generations.memory(1).recover();
    until_idle(&app).await;
    assert_eq!(disk.held(1), disk.wanted());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_too_long_for_the_new_model_are_cut_anew() {
    let disk = Disk::new();
    let small = EmbedderIdentity {
        model: "small".to_owned(),
        dimension: 32,
        max_tokens: 48,
    };
    disk.generations
        .add(Arc::new(HashEmbedder::with_identity(small)));
    let app = disk.start(OLD).await;
    let long = app.ingest("long.txt", &text("maple", 60)).await;
    let short = app.ingest("short.txt", "Birch bends.").await;
    disk.kill(app).await;

    let app = disk.start("small").await;
    begin(&app).await;
    until_idle(&app).await;
    let again = app.library.wait(long.id).await.unwrap();
    assert_eq!(again.revision, 2);
    assert!(again.chunks > long.chunks, "{again:?}");
    assert_eq!(app.library.wait(short.id).await.unwrap().revision, 1);
    check_answered(&app, "maple").await;
    while !disk.held(1).is_superset(&disk.wanted()) {
        tokio::task::yield_now().await;
    }
}

/// The whole way of a backup: the same question, the same answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_library_answers_at_once_and_then_as_before() {
    let disk = Disk::new();
    let app = disk.start(OLD).await;
    app.ingest("lease.txt", LEASE).await;
    fill(&app, &["maple", "birch"]).await;
    let ask = async |app: &TestApp| {
        let reply = app
            .post("/api/rag/query", &json!({ "question": QUESTION }))
            .await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        reply.json()
    };
    let before = ask(&app).await;
    assert_eq!(before["degraded"], json!([]));
    let archive = app.get("/api/backup").await.body;
    disk.kill(app).await;

    let second = Disk::new();
    let settings = second.home.path().join("x/griot.toml");
    backup::restore(&*archive, second.home.path(), &settings).unwrap();
    second.generations.memory(0).trouble(Trouble::Unavailable);
    let app = second.start(OLD).await;
    let health = app.get("/api/health").await.json();
    assert_eq!(health["index"]["activity"], "filling", "{health}");
    let by_words = ask(&app).await;
    assert_eq!(by_words["degraded"], json!(["vector_store"]), "{by_words}");
    assert!(by_words["answer"].as_str().unwrap().starts_with(ANSWER));
    // Something new comes while it is filled.
    let form = reqwest::multipart::Form::new()
        .part("file", crate::app::file("new.txt", "Elms stand here."));
    let more = app.upload(form).await;
    assert_eq!(more.status, StatusCode::ACCEPTED);
    second.generations.memory(0).recover();
    until_idle(&app).await;
    let more: DocumentId =
        serde_json::from_value(more.json()["documents"][0]["id"].clone()).unwrap();
    app.library.wait(more).await.unwrap();
    assert_eq!(second.held(0), second.wanted());
    // Another document makes words rarer or commoner, which shows in the scores.
    app.library.delete(more).await.unwrap();
    let after = ask(&app).await;
    for part in ["answer", "supported", "degraded", "citations", "evidence"] {
        assert_eq!(after[part], before[part], "{part}");
    }
}

/// The catalog says that there is an index, and there is none, or a part of one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_lost_points_is_filled_again() {
    let disk = Disk::new();
    let app = disk.start(OLD).await;
    let ids = fill(&app, &["maple", "birch", "cedar"]).await;
    disk.kill(app).await;

    let gone = Disk {
        home: Arc::clone(&disk.home),
        generations: MemoryGenerations::new(&[(OLD, 64), (NEW, 48)]),
    };
    let app = gone.start(OLD).await;
    until_idle(&app).await;
    assert_eq!(gone.held(0), gone.wanted());
    check_answered(&app, "maple").await;
    gone.kill(app).await;

    griot::ports::VectorStore::delete(&*gone.generations.memory(0), ids[0], None)
        .await
        .unwrap();
    let app = gone.start(OLD).await;
    until_idle(&app).await;
    assert_eq!(gone.held(0), gone.wanted());
    check_answered(&app, "maple").await;
}
