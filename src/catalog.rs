//! The truth, in SQLite.
