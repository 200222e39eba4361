//! The tables, and how older files become current ones. Forward only: a file written by a newer
//! program is refused before anything in it is touched.

use std::{path::Path, sync::mpsc, thread, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::CatalogError;

/// `griT`: tells this catalog from other SQLite files (`PRAGMA application_id`).
const APPLICATION_ID: i64 = 0x6772_6954;

/// How long a start looks for damage: about 200 MB of catalog on the machine this was written on.
const LOOK: Duration = Duration::from_millis(500);

/// Entry `n` takes a file from version `n` to `n + 1` (`PRAGMA user_version`). Append only: entries
/// that were released never change.
pub(super) const MIGRATIONS: [&str; 9] = [
    V1,
    V2,
    GENERATIONS,
    TRACES,
    WATCHES,
    PAGE_ENGINE,
    TRIES,
    INCIDENT_EVENTS,
    PROFILES,
];

/// `documents.status` knows no `processing`: being in work is a matter of the running process alone,
/// so a row that was in work when the process died reads `queued` at the next start.
///
/// A text is stored in parts, so that a quotation out of a long one reads a part and not all of it.
///
/// `chunks.terms` is what the words' index sees: the terms of [`crate::domain::bm25`], separated by
/// spaces, so that words mean the same here and in the vector store, scripts without spaces
/// included. It is kept beside the text because an external-content index needs the very words it was
/// given in order to take them out again.
const V1: &str = r#"
CREATE TABLE documents (
    id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name          TEXT    NOT NULL,
    media_type    TEXT,
    bytes         INTEGER NOT NULL,
    sha256        BLOB    NOT NULL CHECK (length(sha256) = 32),
    collection    TEXT    NOT NULL,
    metadata      TEXT    NOT NULL,
    status        TEXT    NOT NULL CHECK (status IN ('queued', 'searchable', 'failed')),
    revision      INTEGER NOT NULL DEFAULT 0,
    chunks        INTEGER NOT NULL DEFAULT 0,
    text_bytes    INTEGER NOT NULL DEFAULT 0,
    error_code    TEXT,
    error_message TEXT,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    queued_at     INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX documents_by_content ON documents (sha256, collection);
CREATE INDEX documents_by_collection ON documents (collection, id);
CREATE INDEX documents_waiting ON documents (queued_at, id) WHERE status = 'queued';

CREATE TABLE pages (
    document BLOB    NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    page     INTEGER NOT NULL,
    chars    INTEGER NOT NULL,
    state    TEXT    NOT NULL,
    PRIMARY KEY (document, page)
) STRICT, WITHOUT ROWID;

CREATE TABLE text_parts (
    document BLOB    NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    part     INTEGER NOT NULL,
    bytes    BLOB    NOT NULL,
    PRIMARY KEY (document, part)
) STRICT;

CREATE TABLE chunks (
    id       INTEGER PRIMARY KEY,
    document BLOB    NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    revision INTEGER NOT NULL,
    ordinal  INTEGER NOT NULL,
    page     INTEGER,
    section  TEXT,
    "start"  INTEGER NOT NULL,
    "end"    INTEGER NOT NULL,
    text     TEXT    NOT NULL,
    terms    TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX chunks_in_order ON chunks (document, revision, ordinal);

CREATE VIRTUAL TABLE chunk_words USING fts5 (
    terms, content = 'chunks', content_rowid = 'id', tokenize = 'ascii'
);
INSERT INTO chunk_words (chunk_words, rank) VALUES ('secure-delete', 1);
CREATE TRIGGER chunks_written AFTER INSERT ON chunks BEGIN
    INSERT INTO chunk_words (rowid, terms) VALUES (new.id, new.terms);
END;
CREATE TRIGGER chunks_removed AFTER DELETE ON chunks BEGIN
    INSERT INTO chunk_words (chunk_words, rowid, terms) VALUES ('delete', old.id, old.terms);
END;

CREATE TABLE turns (
    id           INTEGER PRIMARY KEY,
    conversation BLOB    NOT NULL,
    question     TEXT    NOT NULL,
    answer       TEXT    NOT NULL,
    at           INTEGER NOT NULL
) STRICT;
CREATE INDEX turns_by_conversation ON turns (conversation, id);
CREATE TABLE turn_documents (
    document BLOB    NOT NULL,
    turn     INTEGER NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
    PRIMARY KEY (document, turn)
) STRICT, WITHOUT ROWID;
CREATE INDEX turn_documents_by_turn ON turn_documents (turn);

CREATE TABLE incidents (
    id               BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    component        TEXT    NOT NULL,
    part             TEXT    NOT NULL,
    opened_at        INTEGER NOT NULL,
    closed_at        INTEGER,
    cause            TEXT    NOT NULL,
    action           TEXT    NOT NULL,
    degraded_answers INTEGER NOT NULL
) STRICT;
CREATE INDEX incidents_by_time ON incidents (opened_at, id);

CREATE TABLE cleanups (
    document BLOB NOT NULL PRIMARY KEY,
    sha256   BLOB
) STRICT, WITHOUT ROWID;
"#;

/// `chunks.embedded` tells which text a chunk's vector was made of. Null for what was published before
/// there was the column: such a vector is not used again, so nothing has to be guessed.
const V2: &str = "
ALTER TABLE chunks ADD COLUMN embedded BLOB CHECK (length(embedded) = 16);
CREATE INDEX chunks_by_embedded ON chunks (embedded) WHERE embedded IS NOT NULL;
";

/// Which indexes there are, at most one of each role but `dropped`, and what those hold that are not in
/// use. A file of before has one that is not noted; it is at the next start.
const GENERATIONS: &str = "
CREATE TABLE generations (
    number    INTEGER PRIMARY KEY AUTOINCREMENT,
    model     TEXT    NOT NULL,
    dimension INTEGER NOT NULL,
    role      TEXT    NOT NULL CHECK (role IN ('building', 'active', 'kept', 'dropped')),
    complete  INTEGER NOT NULL,
    made_at   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX generations_by_role ON generations (role) WHERE role <> 'dropped';
CREATE TABLE indexed (
    generation INTEGER NOT NULL REFERENCES generations (number) ON DELETE CASCADE,
    document   BLOB    NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    revision   INTEGER NOT NULL,
    cut        INTEGER NOT NULL,
    PRIMARY KEY (generation, document)
) STRICT, WITHOUT ROWID;
CREATE INDEX indexed_by_document ON indexed (document);
";

/// One row: how often something was removed since [`super::Catalog::remove_traces`]. Files of before may
/// hold traces already.
const TRACES: &str = "
CREATE TABLE traces (marks INTEGER NOT NULL) STRICT;
INSERT INTO traces (marks) SELECT count(*) > 0 FROM documents;
";

/// Watched folders, see [`super::watches`].
///
/// `documents.held`: a person put it here, so no watch takes it away. `next_sha256`: the bytes it is to
/// have once they are read; their original is durable, and the one of `sha256` stays until then.
/// `loose_originals`: files that are perhaps nobody's. `watch_refused`: files whose document was deleted by
/// hand, their paths as hashes. `retirements.after`: only when that document is searchable.
const WATCHES: &str = "
ALTER TABLE documents ADD COLUMN held INTEGER NOT NULL DEFAULT 1;
ALTER TABLE documents ADD COLUMN next_sha256 BLOB;
ALTER TABLE documents ADD COLUMN next_bytes INTEGER;
CREATE UNIQUE INDEX documents_by_next_content ON documents (next_sha256, collection)
    WHERE next_sha256 IS NOT NULL;
CREATE TABLE loose_originals (sha256 BLOB NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;

CREATE TABLE watches (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    root       BLOB    NOT NULL UNIQUE,
    collection TEXT    NOT NULL,
    include    TEXT    NOT NULL,
    exclude    TEXT    NOT NULL,
    deleted    TEXT    NOT NULL,
    configured INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    scanned_at INTEGER
) STRICT;
CREATE TABLE watch_files (
    watch    BLOB    NOT NULL REFERENCES watches (id) ON DELETE CASCADE,
    path     BLOB    NOT NULL,
    document BLOB,
    size     INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    inode    INTEGER NOT NULL,
    device   INTEGER NOT NULL,
    sha256   BLOB,
    error    TEXT,
    PRIMARY KEY (watch, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX watch_files_by_document ON watch_files (document);
CREATE INDEX watch_files_by_inode ON watch_files (watch, inode);
CREATE TABLE watch_refused (
    watch  BLOB NOT NULL REFERENCES watches (id) ON DELETE CASCADE,
    path   BLOB NOT NULL,
    sha256 BLOB NOT NULL,
    PRIMARY KEY (watch, path)
) STRICT, WITHOUT ROWID;
CREATE TABLE retirements (
    document BLOB    NOT NULL PRIMARY KEY REFERENCES documents (id) ON DELETE CASCADE,
    after    BLOB,
    noted_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Whose text of a page was kept. NULL for pages that were read before this was noted.
const PAGE_ENGINE: &str = "ALTER TABLE pages ADD COLUMN engine TEXT;";

/// How often a queued document was begun in vain for a reason that may lie in it.
const TRIES: &str = "ALTER TABLE documents ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;";

/// What was seen and done while an incident lasted, as JSON.
const INCIDENT_EVENTS: &str = "ALTER TABLE incidents ADD COLUMN events TEXT NOT NULL DEFAULT '[]';";

/// How somebody wants to be spoken to and listened to. NULL: as usual.
const PROFILES: &str = "
CREATE TABLE profiles (
    user       TEXT    NOT NULL PRIMARY KEY,
    voice      TEXT,
    speed      REAL,
    language   TEXT,
    patience   REAL,
    barge_in   REAL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Looks at a file that is there already, read-only.
///
/// # Errors
/// [`CatalogError::Newer`] and, for files that are something else, [`CatalogError::Damaged`].
pub(super) fn refuse_foreign(path: &Path) -> Result<(), CatalogError> {
    let empty = std::fs::metadata(path).map_or(true, |file| file.len() == 0);
    if empty {
        return Ok(());
    }
    let connection = open_to_look(path)?;
    let application: i64 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let found = version(&connection)?;
    let known = MIGRATIONS.len() as i64;
    if found > known && application == APPLICATION_ID {
        Err(CatalogError::Newer { found, known })
    } else if application != APPLICATION_ID && (application != 0 || found != 0) {
        Err(CatalogError::Damaged(
            "the file is a database of another program".to_owned(),
        ))
    } else {
        look_for_damage(&connection)
    }
}

/// Looks through the file for as long as a start may take. The whole of a large one is too much for
/// that; damage that was missed is an error where it is met.
fn look_for_damage(connection: &Connection) -> Result<(), CatalogError> {
    let interrupt = connection.get_interrupt_handle();
    let (done, waiting) = mpsc::sync_channel::<()>(1);
    let watch = thread::spawn(move || {
        if waiting.recv_timeout(LOOK) == Err(mpsc::RecvTimeoutError::Timeout) {
            interrupt.interrupt();
        }
    });
    let said = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    drop(done);
    // It does nothing that can panic.
    let _ = watch.join();
    match said {
        Ok(said) if said == "ok" => Ok(()),
        Ok(said) => Err(CatalogError::Damaged(said)),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A file opened so that nothing is made or changed by it: as one that does not change where no log is
/// beside it, since even opening it to read only would make one.
fn open_to_look(path: &Path) -> Result<Connection, CatalogError> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        uri.push_str(&format!("%{byte:02x}"));
    }
    if std::fs::metadata(log).map_or(true, |log| log.len() == 0) {
        uri.push_str("?immutable=1");
    }
    Ok(Connection::open_with_flags(
        uri,
        OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI,
    )?)
}

/// Refuses a file with triggers or views that no entry of [`MIGRATIONS`] up to its version wrote: they
/// would run as if they were ours.
///
/// # Errors
/// [`CatalogError::Damaged`].
pub(super) fn refuse_strange_code(connection: &Connection) -> Result<(), CatalogError> {
    const CODE: &str = "SELECT name, sql FROM sqlite_schema WHERE type IN ('trigger', 'view') \
         ORDER BY name";
    let code = |connection: &Connection| -> Result<Vec<(String, String)>, CatalogError> {
        let rows = connection
            .prepare(CODE)?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        Ok(rows)
    };
    let mut ours = Connection::open_in_memory()?;
    migrate_to(&mut ours, version(connection)?.unsigned_abs() as usize)?;
    if code(connection)? == code(&ours)? {
        Ok(())
    } else {
        Err(CatalogError::Damaged(
            "it holds triggers or views that griot did not write".to_owned(),
        ))
    }
}

/// Brings a file to the current version, all steps in one transaction.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), CatalogError> {
    migrate_to(connection, MIGRATIONS.len())
}

/// Brings a file to version `wanted`, at most the current one.
pub(super) fn migrate_to(connection: &mut Connection, wanted: usize) -> Result<(), CatalogError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?.unsigned_abs() as usize;
    if found < wanted {
        for step in &MIGRATIONS[found..wanted] {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", wanted as i64)?;
    }
    transaction.commit()?;
    Ok(())
}

pub(super) fn version(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}
