//! Who is the person whose daemon this is: whoever can read a file in its home folder, which only they
//! can. Being on the same machine proves nothing, since others may be on it too.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use axum::http::HeaderMap;
use subtle::ConstantTimeEq;

/// The file in the home folder.
pub const LOCAL_KEY_FILE: &str = "local-key";

/// The header that shows it.
pub const LOCAL_KEY_HEADER: &str = "x-griot-local-key";

/// A secret that lives as long as the daemon.
#[derive(Clone)]
pub struct LocalKey(String);

impl LocalKey {
    /// A fresh one, written where its owner finds it.
    ///
    /// # Errors
    /// When the home folder cannot be written to.
    pub fn issue(home: &Path) -> io::Result<Self> {
        let mut bits = [0_u8; 32];
        getrandom::fill(&mut bits).map_err(|error| io::Error::other(error.to_string()))?;
        let key = hex::encode(bits);
        let (path, new) = (
            home.join(LOCAL_KEY_FILE),
            home.join(format!("{LOCAL_KEY_FILE}.new")),
        );
        // Whatever a broken-off start left has perhaps another mode.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        let written = file
            .write_all(key.as_bytes())
            .and_then(|()| fs::rename(&new, path));
        if let Err(error) = written {
            // On a full disk, say: nothing half written is left.
            let _ = fs::remove_file(&new);
            return Err(error);
        }
        Ok(Self(key))
    }

    /// Whether a request shows it.
    pub fn is_shown(&self, headers: &HeaderMap) -> bool {
        headers
            .get(LOCAL_KEY_HEADER)
            .is_some_and(|given| given.as_bytes().ct_eq(self.0.as_bytes()).into())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_who_can_read_the_file_has_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(LOCAL_KEY_FILE);
        let before = LocalKey::issue(home.path()).unwrap();
        let old = fs::read_to_string(&path).unwrap();
        let key = LocalKey::issue(home.path()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let shows = |key: &LocalKey, text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LOCAL_KEY_HEADER, text.parse().unwrap());
            key.is_shown(&headers)
        };
        assert!(shows(&key, &text) && shows(&before, &old));
        assert!(!shows(&key, &old) && !shows(&key, "") && !shows(&key, &text[1..]));
        assert!(!key.is_shown(&HeaderMap::new()));
    }
}
