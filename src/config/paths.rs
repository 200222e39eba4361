//! The environment as a value, and the folders that follow from it (XDG Base Directory
//! Specification 0.8). Nothing here touches the disk.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

/// Environment variables. A value, so that tests give their own.
#[derive(Debug, Clone, Default)]
pub struct Env(BTreeMap<OsString, OsString>);

impl Env {
    /// Those of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// The variable's value; an empty one counts as not set, as in the XDG specification.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// All that are set, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// The person's home folder.
    #[must_use]
    pub fn home(&self) -> Option<PathBuf> {
        self.get("HOME").map(PathBuf::from)
    }

    /// `$variable`, or `otherwise` below the home folder. The specification wants relative values
    /// ignored.
    fn xdg(&self, variable: &str, otherwise: &str) -> Option<PathBuf> {
        self.get(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| Some(self.home()?.join(otherwise)))
            .map(|base| base.join("griot"))
    }

    /// `griot` in the XDG config folder.
    #[must_use]
    pub fn config_dir(&self) -> Option<PathBuf> {
        self.xdg("XDG_CONFIG_HOME", ".config")
    }

    /// `griot` in the XDG data folder.
    #[must_use]
    pub fn data_dir(&self) -> Option<PathBuf> {
        self.xdg("XDG_DATA_HOME", ".local/share")
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

impl<N: Into<OsString>, V: Into<OsString>, const LEN: usize> From<[(N, V); LEN]> for Env {
    fn from(variables: [(N, V); LEN]) -> Self {
        variables.into_iter().collect()
    }
}

/// Where things are, once all settings are known. All absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The file that was read, or that would be read if it were there.
    pub config_file: PathBuf,
    /// Whether it was there.
    pub config_found: bool,
    /// Documents, catalog and index.
    pub home: PathBuf,
    /// The models' files.
    pub models_dir: PathBuf,
}

/// `given` as an absolute path: `~/` is the home folder, a relative path starts from `base`.
pub fn absolute(given: &Path, home: Option<&Path>, base: &Path) -> PathBuf {
    match (given.strip_prefix("~"), home) {
        (Ok(below), Some(home)) => home.join(below),
        _ => base.join(given),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_follow_the_xdg_variables() {
        let check = |env: Env, expected: Option<&str>| {
            assert_eq!(env.data_dir(), expected.map(PathBuf::from), "{env:?}");
        };
        check(Env::from([("HOME", "/h")]), Some("/h/.local/share/griot"));
        check(
            Env::from([("HOME", "/h"), ("XDG_DATA_HOME", "/d")]),
            Some("/d/griot"),
        );
        check(
            Env::from([("HOME", "/h"), ("XDG_DATA_HOME", "relative")]),
            Some("/h/.local/share/griot"),
        );
        check(Env::from([("HOME", "")]), None);
    }

    #[test]
    fn paths_become_absolute() {
        let check = |given: &str, expected: &str| {
            let path = absolute(Path::new(given), Some(Path::new("/h")), Path::new("/base"));
            assert_eq!(path, Path::new(expected));
        };
        check("~/papers", "/h/papers");
        check("~", "/h");
        check("papers", "/base/papers");
        check("/srv", "/srv");
        check("~other/x", "/base/~other/x");
    }
}
