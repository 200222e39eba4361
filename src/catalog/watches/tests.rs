//! What the rows say after each step; every step is one transaction, so a kill leaves one of these.

use super::*;
use crate::{
    catalog::{NewDocument, Publication},
    domain::{
        Chunk, ChunkKey, Collection, Content, Deleted, Document, Failure, FailureCode, Locator,
        MediaType, Status,
    },
};

struct Fixture {
    _folder: tempfile::TempDir,
    catalog: Catalog,
    watch: Watch,
}

fn stamp(inode: u64) -> FileStamp {
    FileStamp {
        size: 4,
        modified: 1,
        inode,
        device: 1,
    }
}

fn sha(text: &str) -> Sha256Hash {
    Sha256Hash(Sha256::digest(text).into())
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.db")).unwrap();
        let watch = Watch {
            id: WatchId::new(),
            rules: WatchRules {
                root: "/papers".into(),
                collection: Collection::default(),
                include: vec!["*.txt".to_owned()],
                exclude: Vec::new(),
                deleted: Deleted::Retire,
            },
            configured: false,
        };
        assert!(catalog.add_watch(&watch).unwrap());
        Self {
            _folder: folder,
            catalog,
            watch,
        }
    }

    /// Says that the file has this text.
    fn assign(&self, path: &str, text: &str) -> Assigned {
        let assignment = Assignment {
            watch: self.watch.id,
            path: path.into(),
            stamp: stamp(path.len() as u64),
            content: Content {
                sha256: sha(text),
                bytes: text.len() as u64,
            },
            collection: self.watch.rules.collection.clone(),
            deleted: Deleted::Retire,
        };
        self.catalog.assign(&assignment).unwrap()
    }

    fn gone(&self, path: &str) {
        let path = Path::new(path);
        self.catalog
            .file_gone(self.watch.id, path, Deleted::Retire)
            .unwrap();
    }

    fn upload(&self, name: &str, text: &str) -> DocumentId {
        let new = NewDocument {
            name: name.to_owned(),
            bytes: text.len() as u64,
            sha256: sha(text),
            collection: Collection::default(),
            metadata: serde_json::Map::new(),
        };
        self.catalog.record(&new).unwrap().document.id
    }

    /// Publishes what the document is to have, as the pipeline does.
    fn process(&self, id: DocumentId, text: &str) -> bool {
        let document = self.catalog.document_to_read(id).unwrap().unwrap();
        assert_eq!(document.sha256, sha(text));
        self.publish(id, document.revision + 1, text)
    }

    fn publish(&self, id: DocumentId, revision: u32, text: &str) -> bool {
        let publication = Publication {
            document: id,
            revision,
            media_type: MediaType::Text,
            text: text.to_owned(),
            pages: Vec::new(),
            embedded: Vec::new(),
            chunks: vec![Chunk {
                key: ChunkKey {
                    document: id,
                    revision,
                    ordinal: 0,
                },
                locator: Locator {
                    page: None,
                    section: None,
                    start: 0,
                    end: text.len() as u64,
                },
                text: text.to_owned(),
            }],
        };
        self.catalog.publish_read(&publication, sha(text)).unwrap()
    }

    fn document(&self, id: DocumentId) -> Document {
        self.catalog.document(id).unwrap().unwrap()
    }

    fn text(&self, id: DocumentId) -> String {
        String::from_utf8(self.catalog.text(id, None, None).unwrap().unwrap()).unwrap()
    }

    /// A file whose document is searchable.
    fn file(&self, path: &str, text: &str) -> DocumentId {
        let Assigned::New(id) = self.assign(path, text) else {
            panic!("the text was new");
        };
        assert!(self.process(id, text));
        id
    }
}

#[test]
fn keys_are_paths_in_the_order_of_a_walk() {
    let paths = ["a", "a/b", "a/b/c", "a/b.txt", "a-b", "a.txt", "b"];
    let keys: Vec<_> = paths.iter().map(|path| key_of(Path::new(path))).collect();
    assert!(keys.is_sorted(), "{keys:?}");
    for (path, key) in paths.iter().zip(&keys) {
        assert_eq!(path_of(key), Path::new(path));
    }
}

#[test]
fn an_edited_file_is_the_same_document_with_other_bytes() {
    let f = Fixture::new();
    let id = f.file("a.txt", "old");
    assert_eq!(f.assign("a.txt", "old"), Assigned::Same(id));
    assert_eq!(f.assign("a.txt", "new"), Assigned::Replaced(id));
    let waiting = f.document(id);
    assert_eq!(
        (waiting.status, waiting.sha256),
        (Status::Queued, sha("old"))
    );
    assert_eq!(f.text(id), "old");
    assert!(f.catalog.needs_original(sha("old")).unwrap());
    assert!(f.catalog.needs_original(sha("new")).unwrap());
    // Edited once more before it was read: what comes of the bytes between does not count.
    assert_eq!(f.assign("a.txt", "newer"), Assigned::Replaced(id));
    assert!(!f.publish(id, 2, "new"));
    let failure = Failure {
        code: FailureCode::Damaged,
        message: "no".into(),
    };
    f.catalog
        .fail_reading(id, sha("new"), &failure, &[])
        .unwrap();
    assert_eq!(f.document(id).status, Status::Queued);
    assert_eq!(f.catalog.loose_originals().unwrap(), [sha("new")]);
    assert!(!f.catalog.needs_original(sha("new")).unwrap());
    assert!(f.process(id, "newer"));
    let after = f.document(id);
    assert_eq!(
        (after.revision, after.sha256, after.bytes),
        (2, sha("newer"), 5)
    );
    assert!(!f.catalog.needs_original(sha("old")).unwrap());
    assert_eq!(f.catalog.loose_originals().unwrap().len(), 2);
}

#[test]
fn edited_back_before_it_was_read() {
    let f = Fixture::new();
    let id = f.file("a.txt", "old");
    assert_eq!(f.assign("a.txt", "new"), Assigned::Replaced(id));
    assert_eq!(f.assign("a.txt", "old"), Assigned::Same(id));
    assert_eq!(f.document(id).status, Status::Searchable);
    assert!(!f.publish(id, 2, "new"));
    assert_eq!(f.text(id), "old");
    assert_eq!(f.catalog.loose_originals().unwrap(), [sha("new")]);
}

#[test]
fn two_files_that_exchange_their_bytes() {
    let f = Fixture::new();
    let (a, b) = (f.file("a.txt", "one"), f.file("b.txt", "two"));
    assert_eq!(f.assign("a.txt", "two"), Assigned::Known(b));
    assert_eq!(f.assign("b.txt", "one"), Assigned::Known(a));
    assert!(!f.catalog.retires().unwrap());
    assert_eq!(
        (f.document(a).name, f.document(b).name),
        ("b.txt".into(), "a.txt".into())
    );
}

#[test]
fn bytes_that_a_document_is_about_to_give_up_are_wanted_again() {
    let f = Fixture::new();
    let id = f.file("a.txt", "old");
    f.assign("a.txt", "new");
    // By another file, and by the upload of a person.
    for upload in [false, true] {
        let wanted = if upload {
            f.upload("mine.txt", "old")
        } else {
            match f.assign("b.txt", "old") {
                Assigned::Known(id) => id,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(wanted, id);
        assert_eq!(f.document(id).status, Status::Searchable);
    }
    let file = f
        .catalog
        .watched_file(f.watch.id, Path::new("a.txt"))
        .unwrap()
        .unwrap();
    let other = file.document.unwrap();
    assert_ne!(other, id);
    assert!(!f.publish(id, 2, "new"), "what was on the way");
    assert!(f.process(other, "new"));
    assert_eq!((f.text(id), f.text(other)), ("old".into(), "new".into()));
}

#[test]
fn a_document_goes_with_its_last_file_and_not_before() {
    let f = Fixture::new();
    let id = f.file("a.txt", "text");
    assert_eq!(f.assign("deep/b.txt", "text"), Assigned::Known(id));
    f.gone("a.txt");
    assert!(!f.catalog.retires().unwrap());
    assert_eq!(f.document(id).name, "b.txt");
    f.gone("deep/b.txt");
    assert_eq!(
        f.catalog.to_retire(60).unwrap(),
        [],
        "it may turn up elsewhere"
    );
    assert_eq!(f.catalog.to_retire(0).unwrap(), [id]);
    // It does.
    assert_eq!(f.assign("c.txt", "text"), Assigned::Known(id));
    assert!(!f.catalog.retires().unwrap());
    assert_eq!(f.catalog.retire(id).unwrap(), None);
    f.gone("c.txt");
    // Somebody brings it just before it goes.
    f.upload("mine.txt", "text");
    assert_eq!(f.catalog.retire(id).unwrap(), None);
    assert!(!f.catalog.retires().unwrap());
    f.document(id);
    let other = f.file("a.txt", "another");
    f.gone("a.txt");
    assert!(f.catalog.retire(other).unwrap().is_some());
    assert_eq!(f.catalog.document(other).unwrap(), None);
}

/// The file is what another document is by now, which is not searchable yet.
#[test]
fn the_only_searchable_text_of_a_file_stays_until_there_is_another() {
    let f = Fixture::new();
    let old = f.file("a.txt", "old");
    let waits = f.upload("mine.txt", "new");
    assert_eq!(f.assign("a.txt", "new"), Assigned::Known(waits));
    assert!(f.catalog.retires().unwrap());
    assert_eq!(f.catalog.to_retire(0).unwrap(), []);
    assert!(f.process(waits, "new"));
    assert_eq!(f.catalog.to_retire(0).unwrap(), [old]);
}

#[test]
fn deleted_by_hand_it_is_refused_until_it_changes() {
    let f = Fixture::new();
    let id = f.file("secret name.txt", "text");
    f.catalog.remove(id).unwrap().unwrap();
    assert_eq!(
        f.catalog.watched_files(f.watch.id, &[], None, 9).unwrap(),
        []
    );
    assert_eq!(f.assign("secret name.txt", "text"), Assigned::Refused);
    assert!(matches!(f.assign("other.txt", "text"), Assigned::New(_)));
    assert!(matches!(
        f.assign("secret name.txt", "changed"),
        Assigned::New(_)
    ));
    assert!(matches!(
        f.assign("secret name.txt", "text"),
        Assigned::Known(_)
    ));
}

#[test]
fn a_watch_that_is_gone_takes_nothing_in() {
    let f = Fixture::new();
    let (a, b) = (f.file("a.txt", "one"), f.file("b.txt", "two"));
    f.upload("mine.txt", "two");
    assert!(f.catalog.remove_watch(f.watch.id, Deleted::Retire).unwrap());
    assert_eq!(f.catalog.to_retire(0).unwrap(), [a]);
    assert_eq!(f.assign("c.txt", "three"), Assigned::Unwatched);
    f.catalog
        .file_failed(f.watch.id, Path::new("c.txt"), &stamp(1), "no")
        .unwrap();
    assert_eq!(
        f.catalog.watched_files(f.watch.id, &[], None, 9).unwrap(),
        []
    );
    f.document(b);
}

#[test]
fn pages_of_files_follow_one_another() {
    let f = Fixture::new();
    let paths = ["a/x.txt", "a/y.txt", "a-b.txt", "b.txt"];
    for path in paths {
        f.file(path, path);
    }
    let page = |from: &[u8], before: Option<&[u8]>, limit| -> Vec<String> {
        let files = f
            .catalog
            .watched_files(f.watch.id, from, before, limit)
            .unwrap();
        files
            .iter()
            .map(|file| file.path.to_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(page(&[], None, 9), paths);
    assert_eq!(page(b"a\0y.txt", None, 2), ["a/y.txt", "a-b.txt"]);
    assert_eq!(page(b"a", Some(b"a\x01"), 9), ["a/x.txt", "a/y.txt"]);
    let (counts, scanned) = f.catalog.watch_counts(f.watch.id).unwrap();
    assert_eq!((counts.files, counts.searchable, scanned), (4, 4, None));
    assert_eq!(f.catalog.watches().unwrap(), [f.watch]);
}
