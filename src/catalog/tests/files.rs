//! Files that are opened: of other versions, of others, on a full disk.

use super::*;

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
             ALTER TABLE documents DROP COLUMN tries; \
             ALTER TABLE incidents DROP COLUMN events; \
             DROP TABLE profiles; PRAGMA user_version = 1",
        )
        .unwrap();
    let catalog = Catalog::open(&path).unwrap();
    assert_eq!(catalog.search_words("two", None, 9).unwrap().len(), 1);
    assert_eq!(catalog.embedded(&[Fingerprint::of("two")]).unwrap(), [None]);
    assert!(catalog.publish(&publication(id, 2, &["two"])).unwrap());
    assert!(catalog.embedded(&[Fingerprint::of("two")]).unwrap()[0].is_some());
    drop(folder);
}
