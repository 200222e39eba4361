//! What opens an encrypted document: given with an upload, kept in memory until the document is read,
//! told to the reading child over its pipe. Never written to a disk, a log or a command line: people use
//! one password for many things, so it is worth more than the document.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::domain::{Collection, Sha256Hash};

/// Bytes of a password. The formats read at most 127 (PDF) or 510 (Office).
pub const MAX_PASSWORD: usize = 1024;

/// A password. It is not shown, not even by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// `None` for the empty password, which every encrypted document is tried with anyway, and for one
    /// that is longer than [`MAX_PASSWORD`].
    #[must_use]
    pub fn new(given: impl Into<String>) -> Option<Self> {
        let given = given.into();
        (1..=MAX_PASSWORD)
            .contains(&given.len())
            .then_some(Self(given))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// The passwords of documents that wait to be read.
///
/// Held in memory only, so a backup or a stolen disk holds none: a restart forgets them. The document is then still there, fails as
/// `encrypted`, and is read as soon as its password is given again.
#[derive(Default)]
pub(super) struct Passwords(Mutex<HashMap<(Sha256Hash, Collection), Password>>);

impl Passwords {
    /// Before the document is queued: the reader may be quicker than whoever queued it.
    pub(super) fn keep(&self, sha256: Sha256Hash, collection: &Collection, password: Password) {
        self.held().insert((sha256, collection.clone()), password);
    }

    /// For the one reading that it was given for. Taken before the document can fail, so that one given
    /// anew right after that is not lost.
    pub(super) fn take(&self, sha256: Sha256Hash, collection: &Collection) -> Option<Password> {
        self.held().remove(&(sha256, collection.clone()))
    }

    /// After a reading that was broken off, unless another was given meanwhile.
    pub(super) fn put_back(&self, sha256: Sha256Hash, collection: &Collection, password: Password) {
        self.held()
            .entry((sha256, collection.clone()))
            .or_insert(password);
    }

    /// Never held across an `.await`.
    fn held(&self) -> MutexGuard<'_, HashMap<(Sha256Hash, Collection), Password>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let password = Password::new("geheim").unwrap();
        assert_eq!(format!("{password:?}"), "Password(…)");
        assert_eq!(Password::new(""), None);
        assert_eq!(Password::new("x".repeat(MAX_PASSWORD + 1)), None);
    }

    #[test]
    fn each_document_has_its_own() {
        let passwords = Passwords::default();
        let (one, other) = (Sha256Hash([1; 32]), Sha256Hash([2; 32]));
        let here = Collection::default();
        passwords.keep(one, &here, Password::new("a").unwrap());
        assert_eq!(passwords.take(other, &here), None);
        assert_eq!(passwords.take(one, &here), Password::new("a"));
        assert_eq!(passwords.take(one, &here), None);
    }
}
