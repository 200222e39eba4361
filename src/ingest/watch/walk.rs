//! Which files of a folder are documents, and the walk that finds them.
//!
//! `.gitignore`, `.ignore` and `.griotignore` files are heeded, hidden files and the daemon's own home left
//! out, links not followed. Files come in the order of their keys ([`crate::catalog::key_of`]).

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use ignore::{
    WalkBuilder,
    gitignore::{Gitignore, GitignoreBuilder},
};
use tokio::sync::mpsc;

use super::beneath::stamp;
use crate::domain::{FileStamp, WatchRules};

/// A folder's own list of what is left out here and nowhere else.
const OWN_IGNORE: &str = ".griotignore";

/// Names of files that change which other files count.
pub(super) const IGNORE_FILES: [&str; 3] = [".gitignore", ".ignore", OWN_IGNORE];

/// The rules of a watch, ready to be applied.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) root: PathBuf,
    include: Option<Gitignore>,
    exclude: Gitignore,
    /// The daemon's own folder, which holds a copy of every document.
    home: PathBuf,
}

impl Rules {
    /// # Errors
    /// The pattern that is none, and why.
    pub(super) fn new(rules: &WatchRules, home: &Path) -> Result<Self, String> {
        let patterns = |lines: &[String]| {
            // Not under the root: paths are given relative to it.
            let mut builder = GitignoreBuilder::new("");
            for line in lines {
                builder
                    .add_line(None, line)
                    .map_err(|error| format!("{line:?} is no pattern: {error}"))?;
            }
            builder.build().map_err(|error| error.to_string())
        };
        Ok(Self {
            root: rules.root.clone(),
            include: if rules.include.is_empty() {
                None
            } else {
                Some(patterns(&rules.include)?)
            },
            exclude: patterns(&rules.exclude)?,
            home: home.canonicalize().unwrap_or_else(|_| home.to_owned()),
        })
    }

    /// Whether a file fits, as far as its path says.
    fn fits(&self, path: &Path) -> bool {
        let hits = |list: &Gitignore| list.matched_path_or_any_parents(path, false).is_ignore();
        self.include.as_ref().is_none_or(hits) && !hits(&self.exclude)
    }
}

/// What a walk comes by.
#[derive(Debug, PartialEq)]
pub(super) enum Seen {
    /// A folder whose files count: its absolute path.
    Folder(PathBuf),
    /// A file that fits: its path inside the root.
    File { path: PathBuf, stamp: FileStamp },
}

/// Walks through the root, or through what is at `below` inside it. Blocks; ends early when nobody
/// listens.
pub(super) fn walk(rules: &Rules, below: &Path, seen: &mpsc::Sender<Seen>) {
    let begin = match below.parent() {
        // From the folder above, whose rules decide about it too.
        Some(above) => rules.root.join(above),
        None => rules.root.clone(),
    };
    let only: Option<OsString> = below.file_name().map(OsString::from);
    let (home, exclude, root) = (
        rules.home.clone(),
        rules.exclude.clone(),
        rules.root.clone(),
    );
    let entries = WalkBuilder::new(&begin)
        .follow_links(false)
        .require_git(false)
        .git_global(false)
        .add_custom_ignore_filename(OWN_IGNORE)
        .sort_by_file_name(Ord::cmp)
        .filter_entry(move |entry| {
            if entry.depth() == 0 {
                return true;
            }
            let wanted =
                entry.depth() > 1 || only.as_ref().is_none_or(|only| entry.file_name() == only);
            let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
            let left_out = is_folder
                && (entry.path() == home
                    || entry
                        .path()
                        .strip_prefix(&root)
                        .is_ok_and(|path| exclude.matched(path, true).is_ignore()));
            wanted && !left_out
        })
        .build();
    for entry in entries {
        // What cannot be read is not gone: the scan asks the file system about each file it misses.
        let Ok(entry) = entry else { continue };
        let Some(kind) = entry.file_type() else {
            continue;
        };
        let told = if kind.is_dir() {
            // The folder above is there for its rules alone.
            if entry.depth() == 0 && begin != rules.root {
                continue;
            }
            Seen::Folder(entry.into_path())
        } else if kind.is_file() {
            let Ok(path) = entry.path().strip_prefix(&rules.root) else {
                continue;
            };
            if !rules.fits(path) {
                continue;
            }
            let Ok(about) = entry.metadata() else {
                continue;
            };
            Seen::File {
                path: path.to_owned(),
                stamp: stamp(&about),
            }
        } else {
            continue;
        };
        if seen.blocking_send(told).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        catalog::key_of,
        domain::{Collection, Deleted},
    };

    struct Disk(tempfile::TempDir);

    impl Disk {
        fn new(files: &[&str]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            for name in files {
                let path = folder.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "x").unwrap();
            }
            Self(folder)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.0.path().join(name), text).unwrap();
        }

        fn found(&self, include: &[&str], exclude: &[&str], below: &str) -> Vec<String> {
            let list = |patterns: &[&str]| patterns.iter().map(ToString::to_string).collect();
            let root = self.0.path().canonicalize().unwrap();
            let rules = WatchRules {
                include: list(include),
                exclude: list(exclude),
                collection: Collection::default(),
                deleted: Deleted::Retire,
                root: root.clone(),
            };
            let rules = Rules::new(&rules, &root.join("home")).unwrap();
            let (tell, mut seen) = mpsc::channel(1000);
            walk(&rules, Path::new(below), &tell);
            drop(tell);
            let mut files = Vec::new();
            while let Ok(one) = seen.try_recv() {
                if let Seen::File { path, .. } = one {
                    files.push(path.to_str().unwrap().to_owned());
                }
            }
            let mut sorted = files.clone();
            sorted.sort_by_key(|path| key_of(Path::new(path)));
            assert_eq!(files, sorted, "in the order of the keys");
            files
        }
    }

    #[test]
    fn what_counts_as_a_document() {
        let disk = Disk::new(&[
            "a.txt",
            "a/b.txt",
            "a-b.txt",
            "a.d/c.md",
            "photo.jpg",
            ".hidden.txt",
            ".git/config.txt",
            "home/originals/ab/cd",
            "build/out.txt",
            "build/keep.txt",
            "notes/draft.txt",
            "notes/final.txt",
        ]);
        disk.write(".gitignore", "/build/*\n!/build/keep.txt\n");
        disk.write("notes/.griotignore", "draft*\n");
        let check = |include: &[&str], exclude: &[&str], expected: &[&str]| {
            assert_eq!(
                disk.found(include, exclude, ""),
                expected,
                "{include:?} {exclude:?}"
            );
        };
        let all = [
            "a/b.txt",
            "a-b.txt",
            "a.d/c.md",
            "a.txt",
            "build/keep.txt",
            "notes/final.txt",
            "photo.jpg",
        ];
        check(&[], &[], &all);
        check(&["*.jpg"], &[], &["photo.jpg"]);
        // What `.gitignore` leaves out stays out, whatever is included.
        check(&["build/"], &[], &["build/keep.txt"]);
        check(&["/a/", "*.md"], &[], &["a/b.txt", "a.d/c.md"]);
        check(&[], &["a*", "/notes", "*.jpg"], &["build/keep.txt"]);
        check(
            &["*.txt"],
            &["final.txt", "build"],
            &["a/b.txt", "a-b.txt", "a.txt"],
        );
    }

    #[test]
    fn a_part_of_the_folder_under_the_rules_of_the_whole() {
        let disk = Disk::new(&["a/b/c.txt", "a/b/d.txt", "a/e.txt", "x/y.txt", "b/f.txt"]);
        disk.write(".gitignore", "x/\n/a/b/d.txt\n");
        let check = |below: &str, expected: &[&str]| {
            assert_eq!(disk.found(&[], &[], below), expected, "{below}");
        };
        check("a/b", &["a/b/c.txt"]);
        check("a/b/c.txt", &["a/b/c.txt"]);
        check("a/b/d.txt", &[]);
        check("x", &[]);
        check("b", &["b/f.txt"]);
        check("none", &[]);
        check("none/at/all", &[]);
    }

    #[test]
    fn a_pattern_that_is_none_is_told() {
        let rules = WatchRules {
            root: "/".into(),
            collection: Collection::default(),
            include: vec!["a{b".to_owned()],
            exclude: Vec::new(),
            deleted: Deleted::Retire,
        };
        let error = Rules::new(&rules, Path::new("/home")).unwrap_err();
        assert!(error.contains("a{b"), "{error}");
    }
}
