//! Which files a person means by a path.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use ignore::WalkBuilder;

use crate::ingest::extract::{GLANCE, glance};

/// What was found under the given paths.
#[derive(Debug, Default, PartialEq)]
pub struct Found {
    /// In the order given, folders sorted by path. `-` is standard input.
    pub files: Vec<PathBuf>,
    /// Paths that cannot be read, and why.
    pub unreadable: Vec<(PathBuf, String)>,
    /// Files of folders that were left out because they are of no kind that is read, and what they are.
    pub left_out: Vec<(PathBuf, String)>,
}

/// Looks under `paths`. Folders are read with everything below; hidden files and what `.gitignore` and
/// `.ignore` exclude stay out, and links are not followed out of the folder. Unless `all` is wanted, of
/// a folder's files only those are taken that may be documents by what is in them. A file that is named
/// itself is taken whatever it is.
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
                let path = entry.into_path();
                if all {
                    found.files.push(path);
                    continue;
                }
                match look_at(&path) {
                    Ok(Ok(())) => found.files.push(path),
                    Ok(Err(what)) => found.left_out.push((path, what)),
                    Err(error) => found
                        .unreadable
                        .push((path, format!("cannot be read: {error}"))),
                }
            }
            Ok(_) => {}
            Err(error) => found
                .unreadable
                .push((folder.to_owned(), format!("cannot be read: {error}"))),
        }
    }
}

/// Whether the file may be a document; if not, what it is.
fn look_at(path: &Path) -> io::Result<Result<(), String>> {
    let mut head = Vec::new();
    File::open(path)?
        .take(GLANCE as u64)
        .read_to_end(&mut head)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(glance(&head, &name).map_err(|error| error.message))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn folders_without_what_is_ignored_hidden_or_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("sub/.hidden")).unwrap();
        for name in [
            "b.PDF",
            "a.md",
            "README",
            "query.sql",
            "secret.txt",
            "sub/c.html",
            "sub/.hidden/d.txt",
            ".e.txt",
        ] {
            fs::write(at(name), "some words").unwrap();
        }
        let jpeg = b"\xff\xd8\xff\xe0\0\x10JFIF\0";
        fs::write(at("photo.jpg"), jpeg).unwrap();
        fs::write(at("sub/photo.txt"), jpeg).unwrap();
        fs::write(at(".gitignore"), "secret.txt\n").unwrap();
        std::os::unix::fs::symlink("/etc", at("link")).unwrap();

        let relative = |path: &PathBuf| {
            let inside = path.strip_prefix(folder.path()).unwrap();
            inside.to_str().unwrap().to_owned()
        };
        let names = |found: &Found| found.files.iter().map(relative).collect::<Vec<_>>();
        let some = find(&[folder.path().to_owned()], false);
        assert_eq!(
            names(&some),
            ["README", "a.md", "b.PDF", "query.sql", "sub/c.html"]
        );
        assert_eq!(some.unreadable, []);
        let left: Vec<_> = some
            .left_out
            .iter()
            .map(|(path, _)| relative(path))
            .collect();
        assert_eq!(left, ["photo.jpg", "sub/photo.txt"]);
        for (_, reason) in &some.left_out {
            assert!(reason.contains("JPEG"), "{reason}");
        }

        let every = find(&[folder.path().to_owned()], true);
        assert_eq!(every.files.len(), 7);
        assert_eq!(every.left_out, []);

        let named = find(&[at("photo.jpg"), at("secret.txt"), "-".into()], false);
        assert_eq!(named.files, [at("photo.jpg"), at("secret.txt"), "-".into()]);

        let missing = find(&[at("nowhere")], false);
        assert_eq!(missing.unreadable.len(), 1);
    }
}
