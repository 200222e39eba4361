//! What the catalog promises, on a real file.

mod files;
mod publications;
mod traces;
mod words;

use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::*;
use crate::domain::{
    Component, ConversationId, Engine, Failure, FailureCode, Incident, IncidentId, PageState,
    Stage, Status,
};

struct Fixture {
    folder: TempDir,
    catalog: Catalog,
}

impl Fixture {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.db")).unwrap();
        Self { folder, catalog }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("catalog.db")
    }

    fn record(&self, name: &str) -> Document {
        self.catalog
            .record(&new_document(name, "default"))
            .unwrap()
            .document
    }

    fn published(&self, name: &str, texts: &[&str]) -> DocumentId {
        let id = self.record(name).id;
        assert!(self.catalog.publish(&publication(id, 1, texts)).unwrap());
        id
    }

    /// The bytes of every file of the catalog.
    fn bytes(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        files
            .flat_map(|f| std::fs::read(f.unwrap().path()).unwrap())
            .collect()
    }
}

/// The name stands for the bytes too.
fn new_document(name: &str, collection: &str) -> NewDocument {
    NewDocument {
        name: name.to_owned(),
        bytes: 7,
        sha256: Sha256Hash(Sha256::digest(name).into()),
        collection: collection.parse().unwrap(),
        metadata: serde_json::Map::new(),
    }
}

/// One chunk per text, one page, a line feed between.
fn publication(document: DocumentId, revision: u32, texts: &[&str]) -> Publication {
    let mut text = String::new();
    let mut chunks = Vec::new();
    for (ordinal, piece) in (0..).zip(texts) {
        let start = text.len() as u64;
        text.push_str(piece);
        chunks.push(Chunk {
            key: ChunkKey {
                document,
                revision,
                ordinal,
            },
            locator: Locator {
                page: Some(1),
                section: None,
                start,
                end: text.len() as u64,
            },
            text: (*piece).to_owned(),
        });
        text.push('\n');
    }
    Publication {
        document,
        revision,
        media_type: MediaType::Text,
        pages: vec![PageReport {
            page: 1,
            chars: text.chars().count() as u64,
            state: PageState::Text,
            engine: Some(Engine::Text),
        }],
        text,
        embedded: texts.iter().map(|text| Fingerprint::of(text)).collect(),
        chunks,
    }
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack
        .windows(needle.len())
        .any(|w| w == needle.as_bytes())
}

#[test]
fn what_was_recorded_is_there_after_reopening() {
    let f = Fixture::new();
    let mut new = new_document("lease.pdf", "home");
    new.metadata.insert("year".into(), 2024.into());
    let recorded = f.catalog.record(&new).unwrap();
    assert!(!recorded.duplicate);
    let failed = f.record("broken.pdf").id;
    let failure = Failure {
        code: FailureCode::Damaged,
        message: "no".into(),
    };
    f.catalog.fail(failed, &failure, &[]).unwrap();
    let reopened = Catalog::open(&f.path()).unwrap();
    let document = reopened.document(recorded.document.id).unwrap().unwrap();
    assert_eq!(document, recorded.document);
    assert_eq!(
        (document.status, document.stage),
        (Status::Queued, Stage::Waiting)
    );
    assert_eq!(document.metadata["year"], 2024);
    assert_eq!(
        reopened.document(failed).unwrap().unwrap().error,
        Some(failure)
    );
    assert_eq!(reopened.unfinished().unwrap(), [document.id]);
}

#[test]
fn the_same_bytes_are_one_document_per_collection() {
    let f = Fixture::new();
    let first = f.catalog.record(&new_document("a", "x")).unwrap();
    let again = f
        .catalog
        .record(&NewDocument {
            name: "b".into(),
            ..new_document("a", "x")
        })
        .unwrap();
    assert!(again.duplicate);
    assert_eq!(again.document, first.document);
    let elsewhere = f.catalog.record(&new_document("a", "y")).unwrap();
    assert!(!elsewhere.duplicate);
    assert_ne!(elsewhere.document.id, first.document.id);
    assert_eq!(
        f.catalog
            .remove(first.document.id)
            .unwrap()
            .unwrap()
            .original_shared,
        true
    );
    assert!(f.catalog.needs_original(first.document.sha256).unwrap());
    assert_eq!(
        f.catalog
            .remove(elsewhere.document.id)
            .unwrap()
            .unwrap()
            .original_shared,
        false
    );
    assert!(!f.catalog.needs_original(first.document.sha256).unwrap());
}

#[test]
fn a_failed_document_recorded_again_is_queued_again() {
    let f = Fixture::new();
    let id = f.record("a").id;
    let failure = Failure {
        code: FailureCode::Crashed,
        message: "it died".into(),
    };
    f.catalog.fail(id, &failure, &[]).unwrap();
    assert!(f.catalog.unfinished().unwrap().is_empty());
    let again = f.catalog.record(&new_document("a", "default")).unwrap();
    assert_eq!(
        (again.document.status, again.document.error, again.duplicate),
        (Status::Queued, None, true)
    );
    assert_eq!(f.catalog.unfinished().unwrap(), [id]);
}

#[test]
fn being_in_work_ends_with_the_process() {
    let f = Fixture::new();
    let id = f.record("a").id;
    f.catalog.progress(id, Stage::Embedding, 0.5, None).unwrap();
    let document = f.catalog.document(id).unwrap().unwrap();
    assert_eq!(
        (document.status, document.stage),
        (Status::Processing, Stage::Embedding)
    );
    assert!((document.progress - 0.5).abs() < f32::EPSILON);
    let reopened = Catalog::open(&f.path()).unwrap();
    assert_eq!(
        reopened.document(id).unwrap().unwrap().status,
        Status::Queued
    );
    f.catalog.publish(&publication(id, 1, &["a"])).unwrap();
    let document = f.catalog.document(id).unwrap().unwrap();
    assert_eq!(
        (document.status, document.stage, document.revision),
        (Status::Searchable, Stage::Done, 1)
    );
}

#[test]
fn listing_goes_back_in_time_page_by_page() {
    let f = Fixture::new();
    let ids: Vec<_> = (0..5).map(|i| f.record(&format!("d{i}")).id).collect();
    let mut listing = Listing {
        limit: 2,
        ..Listing::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = f.catalog.documents(&listing).unwrap();
        let Some(last) = page.last() else { break };
        listing.after = Some(last.id);
        seen.extend(page.iter().map(|d| d.id));
    }
    assert!(seen.iter().eq(ids.iter().rev()));
    let other = Listing {
        collection: Some("z".parse().unwrap()),
        limit: 9,
        after: None,
    };
    assert!(f.catalog.documents(&other).unwrap().is_empty());
}

#[test]
fn removed_means_no_byte_of_it_remains() {
    let f = Fixture::new();
    let keep: Vec<_> = (0..40)
        .map(|i| format!("kept words number {i} of some length"))
        .collect();
    let keep: Vec<_> = keep.iter().map(String::as_str).collect();
    let kept = f.published("kept", &keep);
    let secret: Vec<_> = (0..60)
        .map(|i| format!("xyzzyplugh canary{i}quux stands here"))
        .collect();
    let secret: Vec<_> = secret.iter().map(String::as_str).collect();
    let gone = f.published("sesame-canary.txt", &secret);
    let conversation = ConversationId::new();
    let turn = |answer: &str| Turn {
        question: "q".into(),
        answer: answer.into(),
        at: Timestamp::UNIX_EPOCH,
    };
    f.catalog
        .add_turn(conversation, &turn("xyzzyplugh it says"), &[gone, kept])
        .unwrap();
    f.catalog
        .add_turn(conversation, &turn("from the kept one"), &[kept])
        .unwrap();
    assert!(
        contains(&f.bytes(), "xyzzyplugh"),
        "the test looks where it is"
    );

    let removed = f.catalog.remove(gone).unwrap().unwrap();
    assert_eq!(
        (removed.chunks, removed.turns, removed.original_shared),
        (60, 1, false)
    );
    assert!(removed.text_bytes > 1000);
    assert!(f.catalog.remove_traces().unwrap());
    let bytes = f.bytes();
    for word in ["xyzzy", "sesame", "canar", "quux"] {
        assert!(!contains(&bytes, word), "{word} is still in a file");
    }
    assert_eq!(
        f.catalog.turns(conversation, 9).unwrap(),
        [turn("from the kept one")]
    );
    assert_eq!(f.catalog.document(gone).unwrap(), None);
    assert_eq!(f.catalog.remove(gone).unwrap(), None);
    assert_eq!(
        f.catalog.cleanups().unwrap()[0].original,
        Some(new_document("sesame-canary.txt", "default").sha256)
    );
    assert_eq!(f.catalog.totals().unwrap().chunks, 40);
    assert_eq!(f.catalog.search_words("kept", None, 99).unwrap().len(), 40);

    f.catalog
        .add_turn(conversation, &turn("xyzzyplugh again"), &[gone])
        .unwrap();
    assert_eq!(
        f.catalog.turns(conversation, 9).unwrap().len(),
        1,
        "an answer that came late"
    );
    assert!(!f.catalog.publish(&publication(gone, 1, &["late"])).unwrap());
}

#[test]
fn turns_come_back_oldest_first() {
    let f = Fixture::new();
    let conversation = ConversationId::new();
    let turn = |n: i64| Turn {
        question: format!("q{n}"),
        answer: format!("a{n}"),
        at: Timestamp::from_second(n).unwrap(),
    };
    for n in 0..5 {
        f.catalog.add_turn(conversation, &turn(n), &[]).unwrap();
    }
    f.catalog
        .add_turn(ConversationId::new(), &turn(9), &[])
        .unwrap();
    assert_eq!(
        f.catalog.turns(conversation, 2).unwrap(),
        [turn(3), turn(4)]
    );
}

#[test]
fn incidents_are_written_anew_and_closed_at_start() {
    let f = Fixture::new();
    let incident = |second: i64| Incident {
        id: IncidentId::new(),
        component: Component::LanguageModel,
        part: "embedded".into(),
        opened: Timestamp::from_second(second).unwrap(),
        closed: None,
        cause: "it died".into(),
        action: String::new(),
        degraded_answers: 0,
        events: vec![crate::domain::IncidentEvent {
            at: Timestamp::from_second(1).unwrap(),
            kind: crate::domain::IncidentEventKind::Output,
            text: "out of memory".to_owned(),
        }],
    };
    let (mut first, second) = (incident(1), incident(2));
    f.catalog.save_incident(&first).unwrap();
    f.catalog.save_incident(&second).unwrap();
    first.closed = Some(Timestamp::from_second(3).unwrap());
    first.degraded_answers = 4;
    f.catalog.save_incident(&first).unwrap();
    assert_eq!(
        f.catalog.incidents(9).unwrap(),
        [second.clone(), first.clone()]
    );
    assert_eq!(f.catalog.incident(first.id).unwrap(), Some(first.clone()));
    assert_eq!(f.catalog.close_stale_incidents().unwrap(), 1);
    let closed = f.catalog.incident(second.id).unwrap().unwrap();
    assert!(closed.closed.is_some());
    assert_eq!(closed.action, "the program was started anew");
    assert_eq!(f.catalog.incident(first.id).unwrap(), Some(first));
}
