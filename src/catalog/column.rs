//! How domain values stand in columns: ids as 16 bytes, times as microseconds since 1970 UTC, words of
//! closed sets as text.

use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::{Row, types::Type};
use uuid::Uuid;

use crate::domain::{Collection, ConversationId, DocumentId, IncidentId, WatchId};

/// An identifier's column.
pub(super) trait Key: Copy {
    fn key(self) -> [u8; 16];
    fn read(row: &Row<'_>, column: usize) -> rusqlite::Result<Self>;
}

macro_rules! key {
    ($($id:ident),+) => {$(
        impl Key for $id {
            fn key(self) -> [u8; 16] {
                self.uuid().into_bytes()
            }
            fn read(row: &Row<'_>, column: usize) -> rusqlite::Result<Self> {
                row.get(column).map(|bits| $id::from_uuid(Uuid::from_bytes(bits)))
            }
        }
    )+};
}
key!(DocumentId, ConversationId, IncidentId, WatchId);

/// Now, as precisely as the catalog keeps it, so that what was written equals what is read.
pub(super) fn now() -> i64 {
    micros(Timestamp::now())
}

pub(super) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// Times outside what a timestamp can say are never written; a damaged one reads as 1970.
pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column)
        .map(|micros| Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH))
}

/// Counts and sizes are never negative; SQLite knows only signed integers.
pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::unsigned_abs)
}

/// A word of a closed set, or the error that the column holds none.
pub(super) fn word<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|e| unreadable(column, e))
}

pub(super) fn collection(row: &Row<'_>, column: usize) -> rusqlite::Result<Collection> {
    word(row, column)
}

/// A column whose text is not what the catalog writes there.
pub(super) fn unreadable(
    column: usize,
    source: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(source))
}
