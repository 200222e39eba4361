//! Which files a person means by a path.

use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

/// Endings of the kinds that can be read; files without one are taken as plain text. A file that is
/// named on the command line is sent whatever its ending.
const ENDINGS: [&str; 16] = [
    "pdf", "docx", "md", "markdown", "mdown", "html", "htm", "xhtml", "csv", "tsv", "txt", "text",
    "rst", "org", "log", "adoc",
];

/// What was found under the given paths.
#[derive(Debug, Default, PartialEq)]
pub struct Found {
    /// In the order given, folders sorted by path. `-` is standard input.
    pub files: Vec<PathBuf>,
    /// Paths that cannot be read, and why.
    pub unreadable: Vec<(PathBuf, String)>,
    /// Files of folders that were left out for their ending.
    pub skipped: usize,
}

/// Looks under `paths`. Folders are read with everything below; hidden files and what `.gitignore` and
/// `.ignore` exclude stay out, and links are not followed out of the folder.
pub fn find(paths: &[PathBuf], all: bool) -> Found {
    let mut found = Found::default();
    for path in paths {
        if path == Path::new("-") {
            found.files.push(path.clone());
            continue;
        }
        match std::fs::metadata(path) {
            Ok(about) if about.is_dir() => walk(path, all, &mut found),
            Ok(about) if about.is_file() => found.files.push(path.clone()),
            Ok(_) => found
                .unreadable
                .push((path.clone(), "is neither a file nor a folder".to_owned())),
            Err(error) => found
                .unreadable
                .push((path.clone(), format!("cannot be read: {error}"))),
        }
    }
    found
}

fn walk(folder: &Path, all: bool, found: &mut Found) {
    let entries = WalkBuilder::new(folder)
        // `.gitignore` counts also where there is no repository around it.
        .require_git(false)
        .sort_by_file_path(Ord::cmp)
        .build();
    for entry in entries {
        match entry {
            Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => {
                if all || is_readable_kind(entry.path()) {
                    found.files.push(entry.into_path());
                } else {
                    found.skipped += 1;
                }
            }
            Ok(_) => {}
            Err(error) => found
                .unreadable
                .push((folder.to_owned(), format!("cannot be read: {error}"))),
        }
    }
}

fn is_readable_kind(path: &Path) -> bool {
    match path.extension() {
        None => true,
        Some(ending) => ending
            .to_str()
            .is_some_and(|ending| ENDINGS.contains(&ending.to_ascii_lowercase().as_str())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn folders_without_what_is_ignored_hidden_or_of_other_kinds() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("sub/.hidden")).unwrap();
        for name in [
            "b.PDF",
            "a.md",
            "README",
            "photo.jpg",
            "secret.txt",
            "sub/c.html",
            "sub/.hidden/d.txt",
            ".e.txt",
        ] {
            fs::write(at(name), "x").unwrap();
        }
        fs::write(at(".gitignore"), "secret.txt\n").unwrap();
        std::os::unix::fs::symlink("/etc", at("link")).unwrap();

        let names = |found: &Found| {
            let relative = |path: &PathBuf| {
                let inside = path.strip_prefix(folder.path()).unwrap();
                inside.to_str().unwrap().to_owned()
            };
            found.files.iter().map(relative).collect::<Vec<_>>()
        };
        let some = find(&[folder.path().to_owned()], false);
        assert_eq!(names(&some), ["README", "a.md", "b.PDF", "sub/c.html"]);
        assert_eq!((some.skipped, some.unreadable.len()), (1, 0));

        let every = find(&[folder.path().to_owned()], true);
        assert_eq!(
            names(&every),
            ["README", "a.md", "b.PDF", "photo.jpg", "sub/c.html"]
        );

        let named = find(&[at("photo.jpg"), at("secret.txt"), "-".into()], false);
        assert_eq!(named.files, [at("photo.jpg"), at("secret.txt"), "-".into()]);

        let missing = find(&[at("nowhere")], false);
        assert_eq!(missing.unreadable.len(), 1);
    }
}
