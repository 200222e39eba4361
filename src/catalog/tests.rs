//! What the catalog promises, on a real file.

mod traces;

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
fn a_revision_replaces_the_one_before_as_a_whole() {
    let f = Fixture::new();
    let id = f.published("a", &["rent is due monthly", "cats chase mice"]);
    let old = ChunkKey {
        document: id,
        revision: 1,
        ordinal: 0,
    };
    assert_eq!(f.catalog.search_words("rent", None, 9).unwrap()[0].0, old);
    assert!(f.catalog.requeue(id).unwrap());
    assert_eq!(
        f.catalog.search_words("rent", None, 9).unwrap().len(),
        1,
        "still visible"
    );
    assert!(
        f.catalog
            .publish(&publication(id, 2, &["dogs bark"]))
            .unwrap()
    );
    assert!(
        f.catalog
            .search_words("rent cats", None, 9)
            .unwrap()
            .is_empty()
    );
    assert!(f.catalog.passages(&[old]).unwrap().is_empty());
    let new = ChunkKey {
        document: id,
        revision: 2,
        ordinal: 0,
    };
    assert_eq!(f.catalog.passages(&[new]).unwrap()[0].text, "dogs bark");
    assert_eq!(
        f.catalog.text(id, None, None).unwrap().unwrap(),
        b"dogs bark\n"
    );
    assert_eq!(
        f.catalog.cleanups().unwrap(),
        [Cleanup {
            document: id,
            keep: Some(2),
            original: None
        }]
    );
    f.catalog
        .cleaned(&f.catalog.cleanups().unwrap()[0])
        .unwrap();
    assert!(f.catalog.cleanups().unwrap().is_empty());
    let stale = publication(id, 2, &["late"]);
    assert!(
        !f.catalog.publish(&stale).unwrap(),
        "a stale result is refused"
    );
    assert_eq!(
        f.catalog.text(id, None, None).unwrap().unwrap(),
        b"dogs bark\n"
    );
}

#[test]
fn text_ranges_are_bytes_across_parts() {
    let f = Fixture::new();
    let long: String = "0123456789äöü€".repeat(20_000);
    let id = f.published("a", &[&long]);
    let whole = format!("{long}\n").into_bytes();
    let len = whole.len() as u64;
    for (start, end) in [
        (None, None),
        (Some(0), Some(0)),
        (Some(65_535), Some(65_537)),
        (Some(65_536), Some(131_072)),
        (Some(1), Some(len - 1)),
        (Some(len - 3), Some(len + 99)),
        (Some(len + 5), None),
        (Some(9), Some(3)),
    ] {
        let to = end.unwrap_or(len).min(len);
        let from = start.unwrap_or(0).min(to);
        let expected = &whole[from as usize..to as usize];
        assert_eq!(
            f.catalog.text(id, start, end).unwrap().unwrap(),
            expected,
            "{start:?}..{end:?}"
        );
    }
    let waiting = f.record("b").id;
    assert_eq!(f.catalog.text(waiting, None, None).unwrap(), None);
}

#[test]
fn neighbours_are_those_of_the_same_document() {
    let f = Fixture::new();
    let id = f.published("a", &["c0", "c1", "c2", "c3", "c4"]);
    f.published("b", &["other"]);
    let around = |ordinal, before, after| -> Vec<u32> {
        let key = ChunkKey {
            document: id,
            revision: 1,
            ordinal,
        };
        f.catalog
            .neighbours(key, before, after)
            .unwrap()
            .iter()
            .map(|p| p.key.ordinal)
            .collect()
    };
    assert_eq!(around(2, 1, 1), [1, 3]);
    assert_eq!(around(0, 3, 2), [1, 2]);
    assert_eq!(around(4, 1, 9), [3]);
    assert_eq!(around(2, 0, 0), [0_u32; 0]);
}

/// The query, and the texts it must find, best first.
fn check_words(query: &str, expected: &[&str]) {
    let f = Fixture::new();
    let texts = [
        "Rent is payable on the first day of each calendar month.",
        "The tenant pays the rent, and the rent alone.",
        "Überweisungen dauern zwei Tage.",
        "租金应在每月第一天支付。",
        "家賃は毎月一日に支払う。",
        "The price of part AB-1234/x is 3.50.",
    ];
    let id = f.published("x", &texts);
    let found: Vec<_> = f.catalog.search_words(query, None, 10).unwrap();
    let keys: Vec<_> = found.iter().map(|(key, _)| *key).collect();
    let found_texts: Vec<_> = f
        .catalog
        .passages(&keys)
        .unwrap()
        .into_iter()
        .map(|p| p.text)
        .collect();
    assert_eq!(found_texts, expected, "{query:?}");
    assert!(found.is_sorted_by(|a, b| a.1 >= b.1));
    assert!(
        found
            .iter()
            .all(|(key, score)| key.document == id && *score > 0.0)
    );
}

#[test]
fn words_find_passages() {
    let rent = [
        "The tenant pays the rent, and the rent alone.",
        "Rent is payable on the first day of each calendar month.",
    ];
    check_words("What about the rents?", &rent);
    check_words("überweisungen", &["Überweisungen dauern zwei Tage."]);
    check_words("租金什么时候支付", &["租金应在每月第一天支付。"]);
    check_words("家賃", &["家賃は毎月一日に支払う。"]);
    check_words("AB-1234/x", &["The price of part AB-1234/x is 3.50."]);
    check_words("zzz", &[]);
    check_words("the of and", &[]);
    check_words("", &[]);
}

#[test]
fn no_question_is_a_syntax_error() {
    let f = Fixture::new();
    f.published("x", &["rent"]);
    let nasty = [
        "\"",
        "'",
        "rent\"",
        "rent AND",
        "NOT rent",
        "NEAR(rent, 3)",
        "terms:rent",
        "{terms}: rent",
        "rent*",
        "^rent",
        "(((",
        "-rent",
        "rent\0x",
        "\u{0}",
        "%_",
        "; DROP TABLE chunks",
        "\u{202e}rent",
        "🦀",
        "rent + +",
    ];
    for query in nasty {
        f.catalog
            .search_words(query, None, 9)
            .unwrap_or_else(|e| panic!("{query:?}: {e}"));
    }
    let long = "rent ".repeat(100_000) + &(0..5000).map(|i| format!("w{i} ")).collect::<String>();
    assert_eq!(f.catalog.search_words(&long, None, 9).unwrap().len(), 1);
}

#[test]
fn words_keep_to_the_collection() {
    let f = Fixture::new();
    for name in ["x", "y"] {
        let id = f
            .catalog
            .record(&new_document(name, name))
            .unwrap()
            .document
            .id;
        f.catalog.publish(&publication(id, 1, &["rent"])).unwrap();
    }
    let of = |c: &str| {
        f.catalog
            .search_words("rent", Some(&c.parse().unwrap()), 9)
            .unwrap()
            .len()
    };
    assert_eq!((of("x"), of("y"), of("z")), (1, 1, 0));
    assert_eq!(f.catalog.search_words("rent", None, 9).unwrap().len(), 2);
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

/// Neighbouring numbers differ in their last digits only, so the keys of the words' index are whole
/// numbers, which its secure delete leaves behind.
#[test]
fn removed_words_do_not_stay_as_keys_of_the_index() {
    let f = Fixture::new();
    let publish = |name: &str, from: u32| {
        let mut texts = Vec::new();
        for chunk in 0..20_u32 {
            let numbers = (0..200).map(|i| (70_000_000 + 2 * (chunk * 200 + i) + from).to_string());
            texts.push(numbers.collect::<Vec<String>>().join(" "));
        }
        f.published(name, &texts.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let (gone, kept) = (publish("gone", 0), publish("kept", 1));
    f.catalog.remove(gone).unwrap();
    assert!(f.catalog.remove_traces().unwrap());
    let bytes = f.bytes();
    let numbers = bytes
        .windows(8)
        .filter_map(|w| std::str::from_utf8(w).ok()?.parse::<u32>().ok());
    let left: Vec<u32> = numbers
        .filter(|n| (70_000_000..70_008_000).contains(n) && n % 2 == 0)
        .collect();
    assert_eq!(left, [0_u32; 0]);
    let found = f.catalog.search_words("70000001", None, 9).unwrap();
    assert_eq!(
        found
            .iter()
            .map(|(key, _)| key.document)
            .collect::<Vec<_>>(),
        [kept]
    );
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

#[test]
fn a_newer_file_is_refused_and_left_alone() {
    let f = Fixture::new();
    f.published("a", &["text"]);
    let path = f.path();
    drop(f.catalog);
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = Catalog::open(&path).unwrap_err();
    assert!(
        matches!(
            refused,
            CatalogError::Newer { found: 99, known } if known < 99
        ),
        "{refused}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn other_files_are_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let check = |path: &Path| {
        let before = std::fs::read(path).unwrap();
        let refused = Catalog::open(path).unwrap_err();
        assert!(matches!(refused, CatalogError::Damaged(_)), "{refused}");
        assert_eq!(std::fs::read(path).unwrap(), before);
    };
    let noise = folder.path().join("noise");
    std::fs::write(&noise, [7; 5000]).unwrap();
    check(&noise);
    let foreign = folder.path().join("foreign");
    let connection = Connection::open(&foreign).unwrap();
    connection
        .execute_batch("CREATE TABLE documents (x); PRAGMA user_version = 3")
        .unwrap();
    drop(connection);
    check(&foreign);
}

#[test]
fn a_full_disk_is_told_and_changes_nothing() {
    let f = Fixture::new();
    let kept = f.published("a", &["rent"]);
    f.catalog.limit_pages(4);
    let id = f.record("b").id;
    let long = "words and more words ".repeat(50_000);
    let full = f
        .catalog
        .publish(&publication(id, 1, &[&long]))
        .unwrap_err();
    assert!(matches!(full, CatalogError::DiskFull), "{full}");
    assert_eq!(
        f.catalog.document(id).unwrap().unwrap().status,
        Status::Queued
    );
    assert_eq!(
        f.catalog.text(kept, None, None).unwrap().unwrap(),
        b"rent\n"
    );
    assert_eq!(f.catalog.search_words("words", None, 9).unwrap(), []);
    f.catalog.limit_pages(1_000_000);
    assert!(f.catalog.publish(&publication(id, 1, &[&long])).unwrap());
}

/// A reader that looks while revisions are replaced sees one of them whole.
#[test]
fn readers_see_whole_revisions_while_one_is_written() {
    let f = Fixture::new();
    let id = f.record("a").id;
    let catalog = Arc::new(f.catalog);
    let revisions = 30;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for revision in 1..=revisions {
                let texts: Vec<_> = (0..20).map(|i| format!("rev{revision} part {i}")).collect();
                let texts: Vec<_> = texts.iter().map(String::as_str).collect();
                assert!(catalog.publish(&publication(id, revision, &texts)).unwrap());
            }
        });
        while !writer.is_finished() {
            let hits = catalog.search_words("part", None, 99).unwrap();
            let revisions: std::collections::HashSet<_> =
                hits.iter().map(|(k, _)| k.revision).collect();
            assert!(
                matches!((hits.len(), revisions.len()), (0, 0) | (20, 1)),
                "{hits:?}"
            );
            let text = catalog.text(id, None, None).unwrap();
            assert!(text.is_none_or(|t| t.iter().filter(|b| **b == b'\n').count() == 20));
        }
    });
}

/// A vector may be used again only where the very text that it was made of is visible.
#[test]
fn the_texts_of_visible_chunks_are_known() {
    let f = Fixture::new();
    let of = |texts: &[&str]| -> Vec<Option<(DocumentId, u32, u32)>> {
        let asked: Vec<_> = texts.iter().map(|text| Fingerprint::of(text)).collect();
        let found = f.catalog.embedded(&asked).unwrap();
        found
            .into_iter()
            .map(|key| key.map(|k| (k.document, k.revision, k.ordinal)))
            .collect()
    };
    assert_eq!(of(&["one", "two"]), [None, None]);
    let a = f.published("a", &["one", "two"]);
    assert_eq!(
        of(&["two", "One", "one", ""]),
        [Some((a, 1, 1)), None, Some((a, 1, 0)), None]
    );
    assert!(
        f.catalog
            .publish(&publication(a, 2, &["two", "three"]))
            .unwrap()
    );
    assert_eq!(
        of(&["one", "two", "three"]),
        [None, Some((a, 2, 0)), Some((a, 2, 1))]
    );
    let b = f.published("b", &["two"]);
    f.catalog.remove(a).unwrap();
    assert_eq!(of(&["two", "three"]), [Some((b, 1, 0)), None]);
    let id = f.record("c").id;
    let unknown = Publication {
        embedded: Vec::new(),
        ..publication(id, 1, &["four"])
    };
    assert!(f.catalog.publish(&unknown).unwrap());
    assert_eq!(of(&["four"]), [None]);
}

/// What was published before texts were told apart stays as it is, and its texts are not known.
#[test]
fn a_file_of_the_first_schema_comes_along() {
    let f = Fixture::new();
    let id = f.published("a", &["one", "two"]);
    let path = f.path();
    let Fixture { folder, catalog } = f;
    drop(catalog);
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "DROP INDEX chunks_by_embedded; ALTER TABLE chunks DROP COLUMN embedded; \
             DROP TABLE indexed; DROP TABLE generations; DROP TABLE traces; \
             DROP TABLE loose_originals; DROP TABLE retirements; \
             DROP TABLE watch_refused; DROP TABLE watch_files; DROP TABLE watches; \
             DROP INDEX documents_by_next_content; ALTER TABLE documents DROP COLUMN held; \
             ALTER TABLE documents DROP COLUMN next_sha256; \
             ALTER TABLE documents DROP COLUMN next_bytes; \
             ALTER TABLE pages DROP COLUMN engine; \
             ALTER TABLE documents DROP COLUMN tries; PRAGMA user_version = 1",
        )
        .unwrap();
    let catalog = Catalog::open(&path).unwrap();
    assert_eq!(catalog.search_words("two", None, 9).unwrap().len(), 1);
    assert_eq!(catalog.embedded(&[Fingerprint::of("two")]).unwrap(), [None]);
    assert!(catalog.publish(&publication(id, 2, &["two"])).unwrap());
    assert!(catalog.embedded(&[Fingerprint::of("two")]).unwrap()[0].is_some());
    drop(folder);
}
