//! Older catalogs become current ones with every row they had, whatever a kill comes between. The
//! oldest file here was written by the first version of the program; what is appended to the list of
//! migrations is covered without a word here.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, types::Value};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{Catalog, CatalogError, Listing, schema};
use crate::domain::Status;

/// Six documents and one that failed, and two answered questions: the home of a daemon of schema 1 that
/// took in `data/documents` and was stopped.
const FIRST: &[u8] = include_bytes!("migrations/v1.sqlite.zst");

fn newest() -> i64 {
    schema::MIGRATIONS.len() as i64
}

/// The first version's file, in a folder of its own.
fn first() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("catalog.sqlite");
    fs::write(&path, zstd::decode_all(FIRST).unwrap()).unwrap();
    (folder, path)
}

/// A table's columns and its rows, as they were.
type Table = (Vec<String>, Vec<Vec<Value>>);

/// Every table but those in which the words' index keeps itself.
fn tables(path: &Path) -> BTreeMap<String, Table> {
    let connection = Connection::open(path).unwrap();
    let names: Vec<String> = connection
        .prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'chunk_words%' \
             AND name NOT LIKE 'sqlite_%'",
        )
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let columns = |table: &str| -> Vec<String> {
        connection
            .prepare("SELECT name FROM pragma_table_info(?1)")
            .unwrap()
            .query_map([table], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap()
    };
    names
        .into_iter()
        .map(|name| {
            let columns = columns(&name);
            let rows = rows(&connection, &name, &columns);
            (name, (columns, rows))
        })
        .collect()
}

fn rows(connection: &Connection, table: &str, columns: &[String]) -> Vec<Vec<Value>> {
    let list = columns
        .iter()
        .map(|column| format!("\"{column}\""))
        .collect::<Vec<_>>()
        .join(", ");
    let mut rows: Vec<Vec<Value>> = connection
        .prepare(&format!("SELECT {list} FROM \"{table}\""))
        .unwrap()
        .query_map([], |row| (0..columns.len()).map(|at| row.get(at)).collect())
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    rows.sort_by_key(|row| format!("{row:?}"));
    rows
}

/// That the file is the newest when it has been opened, with every value of `before` where it was.
#[track_caller]
fn check_kept(path: &Path, before: &BTreeMap<String, Table>, what: &str) {
    let catalog = Catalog::open(path).unwrap();
    let listing = Listing {
        limit: 100,
        ..Listing::default()
    };
    let documents = catalog.documents(&listing).unwrap();
    assert_eq!(documents.len(), 7, "{what}");
    for document in documents {
        if document.status == Status::Failed {
            assert!(document.error.is_some(), "{what}");
            continue;
        }
        let text = catalog.text(document.id, None, None).unwrap().unwrap();
        assert!(!text.is_empty(), "{what}: {}", document.name);
    }
    let hits = catalog.search_words("rent payable", None, 5).unwrap();
    let keys: Vec<_> = hits.iter().map(|(key, _)| *key).collect();
    let passages = catalog.passages(&keys).unwrap();
    assert_eq!(passages[0].document_name, "lease-agreement.pdf", "{what}");
    drop(catalog);

    let connection = Connection::open(path).unwrap();
    assert_eq!(schema::version(&connection).unwrap(), newest(), "{what}");
    for (name, (columns, expected)) in before {
        assert_eq!(
            &rows(&connection, name, columns),
            expected,
            "{what}: {name}"
        );
    }
    let verdict: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok", "{what}");
}

#[test]
fn every_row_of_the_first_version_is_kept() {
    let (_folder, path) = first();
    let before = tables(&path);
    let count = |name: &str| before[name].1.len();
    assert_eq!(
        (count("documents"), count("chunks"), count("turns")),
        (7, 28, 2)
    );
    check_kept(&path, &before, "from the first version");
    check_kept(&path, &before, "opened again");
}

#[test]
fn it_does_not_matter_by_which_programs_a_file_went() {
    let schema_of = |path: &Path| -> Vec<(String, Option<String>)> {
        Connection::open(path)
            .unwrap()
            .prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap()
    };
    let fresh = TempDir::new().unwrap();
    let fresh = fresh.path().join("catalog.sqlite");
    drop(Catalog::open(&fresh).unwrap());
    for between in 1..=schema::MIGRATIONS.len() {
        let (_folder, path) = first();
        let before = tables(&path);
        let mut connection = Connection::open(&path).unwrap();
        schema::migrate_to(&mut connection, between).unwrap();
        drop(connection);
        check_kept(&path, &before, &format!("by way of version {between}"));
        assert_eq!(schema_of(&path), schema_of(&fresh), "version {between}");
    }
}

/// What a kill leaves are the file and its log as they are at that moment.
#[test]
fn a_migration_that_is_killed_leaves_the_old_version_or_the_newest() {
    let (folder, path) = first();
    let before = tables(&path);
    let log = folder.path().join("catalog.sqlite-wal");
    let mut connection = Connection::open(&path).unwrap();
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .unwrap();
    connection
        .pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))
        .unwrap();
    // Pages go into the log as soon as they are changed.
    connection.pragma_update(None, "cache_size", 1).unwrap();
    let killed = |what: &str, log_bytes: usize| {
        let copy = TempDir::new().unwrap();
        let at = copy.path().join("catalog.sqlite");
        fs::copy(&path, &at).unwrap();
        let bytes = fs::read(&log).unwrap_or_default();
        let bytes = &bytes[..log_bytes.min(bytes.len())];
        fs::write(copy.path().join("catalog.sqlite-wal"), bytes).unwrap();
        let found = schema::version(&Connection::open(&at).unwrap()).unwrap();
        assert!(found == 1 || found == newest(), "{what}: version {found}");
        check_kept(&at, &before, what);
        found
    };
    for steps in 1..=schema::MIGRATIONS.len() {
        let transaction = connection.transaction().unwrap();
        for step in &schema::MIGRATIONS[1..steps] {
            transaction.execute_batch(step).unwrap();
        }
        let found = killed(&format!("after step {steps}"), usize::MAX);
        assert_eq!(found, 1);
        transaction.rollback().unwrap();
    }
    schema::migrate(&mut connection).unwrap();
    // In the middle of the commit: the log is cut anywhere.
    let whole = fs::read(&log).unwrap().len();
    let frame = 24 + 4096;
    for bytes in (0..=whole).step_by(frame / 2) {
        killed(&format!("{bytes} of {whole} bytes of the log"), bytes);
    }
    assert_eq!(killed("after the commit", usize::MAX), newest());
}

#[test]
fn a_newer_home_is_left_as_it_is() {
    let (folder, path) = first();
    drop(Catalog::open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    connection
        .pragma_update(None, "user_version", newest() + 1)
        .unwrap();
    connection.execute_batch("CREATE TABLE later (x)").unwrap();
    // Closed, and as a kill leaves it: with what is newer about it in the log alone.
    let killed = TempDir::new().unwrap();
    for file in ["catalog.sqlite", "catalog.sqlite-wal"] {
        fs::copy(folder.path().join(file), killed.path().join(file)).unwrap();
    }
    drop(connection);
    for home in [folder.path(), killed.path()] {
        let files = || -> BTreeMap<_, _> {
            fs::read_dir(home)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                // The log's index: remade by whoever reads, and never read by another program.
                .filter(|path| !path.to_string_lossy().ends_with("-shm"))
                .map(|path| (path.clone(), Sha256::digest(fs::read(path).unwrap())))
                .collect()
        };
        let before = files();
        let refused = Catalog::open(&home.join("catalog.sqlite"));
        assert!(
            matches!(refused, Err(CatalogError::Newer { found, known })
                if found == newest() + 1 && known == newest()),
            "{refused:?}"
        );
        assert_eq!(files(), before);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = Connection::open_with_flags(home.join("catalog.sqlite"), flags).unwrap();
        let later: i64 = connection
            .query_row("SELECT count(*) FROM later", [], |row| row.get(0))
            .unwrap();
        assert_eq!(later, 0);
    }
}
