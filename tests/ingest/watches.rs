//! Watched folders: the library is as the files are. The file system, its events and the clock are real
//! here, so tests wait until something is so; none of them expects anything within a time.

use std::{
    fs,
    future::Future,
    os::unix::fs::symlink,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use griot::{
    catalog::WatchCounts,
    config::{IngestConfig, WatchConfig},
    domain::{Collection, Deleted, Document, Status, WatchId, WatchRules},
    ingest::{
        IngestError,
        watch::{Asker, Condition, WatchReport},
    },
    ports::fakes::Gate,
};
use tempfile::TempDir;

use crate::home::{Home, long_text};

/// A folder to watch, and a home.
struct World {
    disk: TempDir,
    home: Home,
}

impl World {
    async fn new() -> Self {
        let disk = TempDir::new().unwrap();
        fs::create_dir(disk.path().join("root")).unwrap();
        Self {
            disk,
            home: Home::new().await,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.disk.path().join("root").join(name)
    }

    /// Writes a file as it was a while ago, so that it counts as settled.
    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        let before = SystemTime::now() - Duration::from_secs(3600);
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(before).unwrap();
    }

    /// Writes it as an editor does: now.
    fn edit(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    fn rules(&self) -> WatchRules {
        WatchRules {
            root: self.disk.path().join("root"),
            collection: Collection::default(),
            include: Vec::new(),
            exclude: Vec::new(),
            deleted: Deleted::Retire,
        }
    }

    async fn watch(&self) -> WatchId {
        let report = self.home.library.add_watch(self.rules(), Asker::Owner);
        let id = report.await.unwrap().watch.id;
        self.listening().await;
        id
    }

    async fn report(&self) -> WatchReport {
        let mut all = self.home.library.watches().await.unwrap();
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    async fn listening(&self) {
        until(|| async { self.report().await.condition == Condition::Listening }).await;
    }

    fn documents(&self) -> Vec<Document> {
        let listing = griot::catalog::Listing {
            limit: 1000,
            ..Default::default()
        };
        let mut documents = self.home.catalog.documents(&listing).unwrap();
        documents.sort_by(|a, b| a.name.cmp(&b.name));
        documents
    }

    fn names(&self) -> Vec<String> {
        self.documents().into_iter().map(|d| d.name).collect()
    }

    /// Waits until the library holds these names, all searchable.
    async fn holds(&self, names: &[&str]) -> Vec<Document> {
        let look = std::cell::Cell::new(0);
        until(|| async {
            let documents = self.documents();
            look.set(look.get() + 1);
            if look.get() % 1000 == 0 {
                eprintln!("not {names:?}: {documents:#?}");
            }
            let named: Vec<&str> = documents.iter().map(|d| d.name.as_str()).collect();
            named == names && documents.iter().all(|d| d.status == Status::Searchable)
        })
        .await;
        self.documents()
    }

    async fn found(&self, words: &str, count: usize) {
        until(|| async { self.home.found(words).len() == count }).await;
    }

    /// Waits until nothing is left to clean up, and checks that everything agrees.
    async fn consistent(&self) {
        let catalog = &self.home.catalog;
        until(|| async {
            catalog.cleanups().unwrap().is_empty()
                && catalog.loose_originals().unwrap().is_empty()
                && !catalog.retires().unwrap()
        })
        .await;
        self.home.check_consistent();
    }

    fn embedded(&self) -> usize {
        self.home.embed.words.embedded()
    }

    async fn restart(self) -> Self {
        Self {
            disk: self.disk,
            home: self.home.crash_and_restart().await,
        }
    }
}

/// Waits for the file system and the clock.
#[track_caller]
fn until<F: Future<Output = bool>>(done: impl Fn() -> F) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        for look in 1.. {
            if done().await {
                return;
            }
            // For whoever looks at a test that hangs.
            if look % 1000 == 0 {
                eprintln!("still waiting at {place}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn what_is_there_is_taken_in_and_what_is_not_to_be_read_is_not() {
    let world = World::new().await;
    world.write("a.txt", "First.");
    world.write("deep/er/b.md", "Second.");
    // What it is, its bytes say, not its name.
    fs::write(world.path("photo.txt"), b"\xff\xd8\xff\xe0\0\x10JFIF\0").unwrap();
    world.write(".hidden.txt", "hidden");
    world.write("skip/c.txt", "ignored");
    world.write(".griotignore", "/skip/\n");
    fs::create_dir(world.disk.path().join("outside")).unwrap();
    fs::write(world.disk.path().join("outside/secret.txt"), "secret").unwrap();
    symlink(world.disk.path().join("outside"), world.path("link")).unwrap();
    symlink(
        world.disk.path().join("outside/secret.txt"),
        world.path("link.txt"),
    )
    .unwrap();
    world.watch().await;
    world.holds(&["a.txt", "b.md"]).await;
    let counts = WatchCounts {
        files: 2,
        searchable: 2,
        failed: 0,
    };
    assert_eq!(world.report().await.counts, counts);

    // What comes later is under the same rules.
    world.write("deep/new/d.txt", "Third.");
    world.write("skip/e.txt", "ignored too");
    symlink(
        world.disk.path().join("outside/secret.txt"),
        world.path("deep/link.txt"),
    )
    .unwrap();
    world.holds(&["a.txt", "b.md", "d.txt"]).await;
    // And the rules may change.
    world.edit(".griotignore", "/deep/\n");
    world.holds(&["a.txt", "c.txt", "e.txt"]).await;
    assert_eq!(world.home.files_with("secret"), Vec::<PathBuf>::new());
    world.consistent().await;
    world.home.stop().await;
}

#[tokio::test]
async fn an_edit_is_the_next_revision_and_nothing_is_lost_before_it_is_searchable() {
    let world = World::new().await;
    world.write("a.txt", &long_text("kittens"));
    world.write("b.txt", "Rent is due.");
    world.watch().await;
    let before = world.holds(&["a.txt", "b.txt"]).await;
    let embedded = world.embedded();
    let gate = Gate::new();
    *world.home.store.before_flush.lock().unwrap() = Some(gate.clone());
    world.edit("b.txt", "Rent was paid.");
    gate.reached().await;
    assert_eq!(world.home.found("due").len(), 1, "the old text until then");
    assert_eq!(world.home.found("paid").len(), 0);
    *world.home.store.before_flush.lock().unwrap() = None;
    gate.release();
    world.found("paid", 1).await;
    assert_eq!(world.home.found("due").len(), 0, "and not after");
    let after = world.holds(&["a.txt", "b.txt"]).await;
    assert_eq!(after[0], before[0]);
    assert_eq!((after[1].id, after[1].revision), (before[1].id, 2));
    assert_eq!(after[1].bytes, 14);
    assert_eq!(world.embedded(), embedded + 1);
    world.consistent().await;
    assert_eq!(world.home.files_in("originals"), 2);
    world.home.stop().await;
}

#[tokio::test]
async fn an_edit_survives_a_kill_at_every_step() {
    for place in ["read", "embed", "upsert", "flush"] {
        let world = World::new().await;
        world.write("a.txt", "Rent is due.");
        world.watch().await;
        let id = world.holds(&["a.txt"]).await[0].id;
        let gate = Gate::new();
        let home = &world.home;
        let slot = match place {
            "read" => &home.reader.gate,
            "embed" => &home.embed.gate,
            "upsert" => &home.store.before_upsert,
            _ => &home.store.before_flush,
        };
        *slot.lock().unwrap() = Some(gate.clone());
        world.edit("a.txt", "Rent was paid.");
        gate.reached().await;
        let world = world.restart().await;
        assert_eq!(world.home.found("rent").len(), 1, "{place}");
        world.found("paid", 1).await;
        let document = world.holds(&["a.txt"]).await.remove(0);
        assert_eq!((document.id, document.revision), (id, 2), "{place}");
        world.listening().await;
        world.consistent().await;
        world.home.stop().await;
    }
}

#[tokio::test]
async fn renames_keep_documents_and_embed_nothing() {
    let world = World::new().await;
    world.write("a.txt", "First.");
    world.write("deep/b.txt", "Second.");
    world.write("deep/er/c.txt", "Third.");
    world.watch().await;
    let before = world.holds(&["a.txt", "b.txt", "c.txt"]).await;
    let embedded = world.embedded();
    world.rename("a.txt", "deep/z.txt");
    let after = world.holds(&["b.txt", "c.txt", "z.txt"]).await;
    assert_eq!(after[2].id, before[0].id);
    world.rename("deep", "elsewhere");
    until(|| async {
        let paths = world.home.catalog.paths_of(before[2].id).unwrap();
        paths == [world.path("elsewhere/er/c.txt").canonicalize().unwrap()]
    })
    .await;
    // A file in the folder under its new name is heard of.
    world.write("elsewhere/er/d.txt", "Fourth.");
    world.holds(&["b.txt", "c.txt", "d.txt", "z.txt"]).await;
    // While nobody looks, too; and into a copy.
    let world = world.restart().await;
    world.listening().await;
    world.rename("elsewhere/er/d.txt", "elsewhere/y.txt");
    let world = world.restart().await;
    world.holds(&["b.txt", "c.txt", "y.txt", "z.txt"]).await;
    world.listening().await;
    world.consistent().await;
    assert_eq!(
        world.embedded(),
        0,
        "the embedder of the second run was never asked"
    );
    let ids: Vec<_> = world.documents().iter().map(|d| d.id).collect();
    assert!(before.iter().all(|d| ids.contains(&d.id)));
    assert_eq!(embedded, 3);
    world.home.stop().await;
}

#[tokio::test]
async fn deleted_files_take_their_documents_with_them() {
    let world = World::new().await;
    world.write("a.txt", "First xyzzy.");
    world.write("deep/b.txt", "Second.");
    world.write("deep/c.txt", "Third.");
    world.write("d.txt", "Fourth.");
    world.watch().await;
    world.holds(&["a.txt", "b.txt", "c.txt", "d.txt"]).await;
    world.remove("a.txt");
    world.holds(&["b.txt", "c.txt", "d.txt"]).await;
    fs::remove_dir_all(world.path("deep")).unwrap();
    world.holds(&["d.txt"]).await;
    world.consistent().await;
    assert_eq!(world.home.files_with("xyzzy"), Vec::<PathBuf>::new());
    // While nobody looks.
    let world = world.restart().await;
    world.listening().await;
    world.home.stop().await;
    world.remove("d.txt");
    let world = world.restart().await;
    world.holds(&[]).await;
    world.consistent().await;
    world.home.stop().await;
}

#[tokio::test]
async fn the_same_bytes_at_two_paths_are_one_document() {
    let world = World::new().await;
    world.write("a.txt", "The same.");
    world.write("b.txt", "The same.");
    world.watch().await;
    let id = world.holds(&["a.txt"]).await[0].id;
    until(|| async { world.report().await.counts.searchable == 2 }).await;
    world.remove("a.txt");
    assert_eq!(world.holds(&["b.txt"]).await[0].id, id);
    // One of them changes: the other keeps the document.
    world.write("c.txt", "The same.");
    until(|| async { world.report().await.counts.searchable == 2 }).await;
    world.edit("b.txt", "Another.");
    let documents = world.holds(&["b.txt", "c.txt"]).await;
    assert!(documents[0].id != id && documents[1].id == id);
    // It becomes what the other is: its own document goes.
    world.edit("b.txt", "The same.");
    assert_eq!(world.holds(&["b.txt"]).await[0].id, id);
    world.consistent().await;
    world.remove("b.txt");
    world.remove("c.txt");
    world.holds(&[]).await;
    world.consistent().await;
    world.home.stop().await;
}

#[tokio::test]
async fn what_was_uploaded_stays_whatever_becomes_of_the_file() {
    let world = World::new().await;
    let uploaded = world.home.add("mine.txt", "Rent is due.").await;
    world.write("a.txt", "Rent is due.");
    world.write("b.txt", "Cats chase mice.");
    world.watch().await;
    world.holds(&["b.txt", "mine.txt"]).await;
    // Also when the watch was first.
    let again = world.home.upload("also.txt", "Cats chase mice.").await;
    assert!(again.duplicate);
    world.edit("a.txt", "Rent was paid.");
    let documents = world.holds(&["a.txt", "b.txt", "mine.txt"]).await;
    assert_eq!((documents[2].id, documents[2].revision), (uploaded.id, 1));
    world.remove("a.txt");
    world.remove("b.txt");
    world.holds(&["b.txt", "mine.txt"]).await;
    until(|| async { world.report().await.counts.files == 0 }).await;
    world.consistent().await;
    world.home.stop().await;
}

/// The bytes that a document is about to give up are brought again before it has.
#[tokio::test]
async fn an_upload_of_bytes_that_are_about_to_go_keeps_them() {
    let world = World::new().await;
    world.write("a.txt", "Rent is due.");
    world.watch().await;
    let id = world.holds(&["a.txt"]).await[0].id;
    let gate = Gate::new();
    *world.home.embed.gate.lock().unwrap() = Some(gate.clone());
    world.edit("a.txt", "Rent was paid.");
    gate.reached().await;
    let again = world.home.upload("mine.txt", "Rent is due.").await;
    assert_eq!((again.id, again.duplicate), (id, true));
    *world.home.embed.gate.lock().unwrap() = None;
    gate.release();
    world.found("paid", 1).await;
    world.found("due", 1).await;
    until(|| async { world.report().await.counts.searchable == 1 }).await;
    assert_eq!(world.home.library.wait(id).await.unwrap().revision, 1);
    world.remove("a.txt");
    world.found("paid", 0).await;
    world.found("due", 1).await;
    world.consistent().await;
    world.home.stop().await;
}

#[tokio::test]
async fn a_folder_that_is_away_loses_nothing() {
    let world = World::new().await;
    world.write("a.txt", "First.");
    world.write("b.txt", "Second.");
    world.watch().await;
    world.holds(&["a.txt", "b.txt"]).await;
    let embedded = world.embedded();
    let (root, aside) = (world.disk.path().join("root"), world.disk.path().join("x"));
    fs::rename(&root, &aside).unwrap();
    until(|| async { matches!(world.report().await.condition, Condition::Away(_)) }).await;
    let troubled = world.home.library.troubled_watches();
    assert_eq!(troubled.len(), 1);
    assert!(troubled[0].1.detail().unwrap().contains("stay"));
    // As after a start without the disk.
    let world = world.restart().await;
    until(|| async { matches!(world.report().await.condition, Condition::Away(_)) }).await;
    assert_eq!(world.names(), ["a.txt", "b.txt"]);
    assert!(!world.home.catalog.retires().unwrap());
    fs::rename(&aside, &root).unwrap();
    world.listening().await;
    world.holds(&["a.txt", "b.txt"]).await;
    assert_eq!((embedded, world.embedded()), (2, 0));
    world.edit("a.txt", "Third.");
    world.found("third", 1).await;
    world.consistent().await;
    world.home.stop().await;
}

#[tokio::test]
async fn what_was_deleted_by_hand_stays_away_until_its_file_changes() {
    let world = World::new().await;
    world.write("xyzzy.txt", "Rent is due.");
    let id = world.watch().await;
    let document = world.holds(&["xyzzy.txt"]).await.remove(0);
    world.home.library.delete(document.id).await.unwrap();
    assert_eq!(world.home.files_with("xyzzy"), Vec::<PathBuf>::new());
    let world = world.restart().await;
    world.listening().await;
    assert_eq!(world.names(), Vec::<String>::new());
    assert_eq!(world.report().await.counts.files, 0);
    world.edit("xyzzy.txt", "Rent was paid.");
    world.holds(&["xyzzy.txt"]).await;
    world
        .home
        .library
        .remove_watch(id, Deleted::Keep)
        .await
        .unwrap();
    assert!(world.home.library.watches().await.unwrap().is_empty());
    world.holds(&["xyzzy.txt"]).await;
    world.consistent().await;
    world.home.stop().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_shown_and_tried_again_when_it_changes() {
    let world = World::new().await;
    world.write("bad.txt", "DAMAGED");
    world.write("empty.txt", "");
    world.write("good.txt", "Rent is due.");
    world.watch().await;
    until(|| async { world.report().await.counts.failed == 2 }).await;
    let counts = world.report().await.counts;
    assert_eq!((counts.files, counts.searchable), (3, 1));
    // A good file goes bad: its text of before is answered from.
    world.edit("good.txt", "DAMAGED too");
    until(|| async { world.report().await.counts.failed == 3 }).await;
    assert_eq!(world.home.found("due").len(), 1);
    world.edit("bad.txt", "Cats chase mice.");
    world.edit("empty.txt", "Dogs bark.");
    world.edit("good.txt", "Rent was paid.");
    world.holds(&["bad.txt", "empty.txt", "good.txt"]).await;
    assert_eq!(world.home.found("due").len(), 0);
    until(|| async { world.report().await.counts.failed == 0 }).await;
    world.consistent().await;
    world.home.stop().await;
}

#[tokio::test]
async fn a_watch_that_ends_takes_its_documents_with_it() {
    let world = World::new().await;
    let uploaded = world.home.add("mine.txt", "Uploaded.").await;
    world.write("a.txt", "First.");
    world.write("b.txt", "Uploaded.");
    let id = world.watch().await;
    world.holds(&["a.txt", "mine.txt"]).await;
    let removed = world.home.library.remove_watch(id, Deleted::Retire).await;
    assert_eq!(removed.unwrap().counts.files, 2);
    assert_eq!(world.holds(&["mine.txt"]).await[0].id, uploaded.id);
    world.consistent().await;
    let gone = world.home.library.remove_watch(id, Deleted::Retire).await;
    assert!(
        matches!(gone, Err(IngestError::WatchNotFound(_))),
        "{gone:?}"
    );
    world.home.stop().await;
}

#[tokio::test]
async fn who_may_have_what_watched() {
    let disk = TempDir::new().unwrap();
    for name in ["allowed/a", "other"] {
        fs::create_dir_all(disk.path().join(name)).unwrap();
    }
    fs::write(disk.path().join("other/file.txt"), "x").unwrap();
    let home = Home::with(IngestConfig {
        allowed_roots: vec![disk.path().join("allowed")],
        ..IngestConfig::default()
    })
    .await;
    let add = async |name: &str, asker| {
        let rules = WatchRules {
            root: disk.path().join(name),
            collection: Collection::default(),
            include: Vec::new(),
            exclude: Vec::new(),
            deleted: Deleted::Retire,
        };
        home.library.add_watch(rules, asker).await.map(drop)
    };
    use IngestError::{OutsideRoots, PathUnreadable, WatchedAlready};
    assert!(matches!(
        add("other", Asker::Anyone).await,
        Err(OutsideRoots { .. })
    ));
    assert!(matches!(
        add("none", Asker::Anyone).await,
        Err(OutsideRoots { .. })
    ));
    assert!(matches!(
        add("none", Asker::Owner).await,
        Err(PathUnreadable { .. })
    ));
    let file = add("other/file.txt", Asker::Owner).await;
    assert!(matches!(file, Err(PathUnreadable { .. })), "{file:?}");
    add("allowed/a", Asker::Anyone).await.unwrap();
    let twice = add("allowed/../allowed/a", Asker::Anyone).await;
    assert!(matches!(twice, Err(WatchedAlready { .. })), "{twice:?}");
    add("other", Asker::Owner).await.unwrap();
    home.stop().await;
}

#[tokio::test]
async fn the_settings_name_folders_too() {
    let disk = TempDir::new().unwrap();
    fs::write(disk.path().join("a.txt"), "First.").unwrap();
    fs::write(disk.path().join("b.md"), "Second.").unwrap();
    let one = WatchConfig {
        path: disk.path().to_owned(),
        collection: Some("papers".parse().unwrap()),
        include: vec!["*.md".to_owned()],
        exclude: Vec::new(),
        deleted: Deleted::Retire,
    };
    let config = |watch: Vec<WatchConfig>| IngestConfig {
        watch,
        ..IngestConfig::default()
    };
    let mut home = Home::with(config(vec![one.clone()])).await;
    until(|| async { home.found("second").len() == 1 }).await;
    let watch = home.library.watches().await.unwrap().remove(0);
    assert!(watch.watch.configured);
    let refused = home
        .library
        .remove_watch(watch.watch.id, Deleted::Keep)
        .await;
    assert!(
        matches!(refused, Err(IngestError::WatchConfigured { .. })),
        "{refused:?}"
    );
    // The rules change: other files, another collection.
    home.config = config(vec![WatchConfig {
        collection: Some("other".parse().unwrap()),
        include: Vec::new(),
        ..one
    }]);
    let mut home = home.crash_and_restart().await;
    let other: Collection = "other".parse().unwrap();
    until(|| async {
        let words = |words| {
            let hits = home.catalog.search_words(words, Some(&other), 9);
            hits.unwrap().len()
        };
        words("first") == 1 && words("second") == 1 && home.found("second").len() == 1
    })
    .await;
    // It stands there no longer: the documents stay.
    home.config = config(Vec::new());
    let home = home.crash_and_restart().await;
    assert!(home.library.watches().await.unwrap().is_empty());
    assert_eq!(home.found("first").len(), 1);
    fs::remove_file(disk.path().join("a.txt")).unwrap();
    assert!(!home.catalog.retires().unwrap());
    home.stop().await;
}
