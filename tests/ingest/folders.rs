//! Files and folders of this machine: what may be read and what is taken.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use griot::{config::IngestConfig, domain::Collection, ingest::IngestError};
use tempfile::TempDir;

use crate::home::Home;

/// `root/` may be read, `outside/` may not.
struct Disk {
    folder: TempDir,
    home: Home,
}

impl Disk {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        for name in ["root/deep/er", "outside"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("outside/secret.txt"), "A secret.").unwrap();
        let config = IngestConfig {
            allowed_roots: vec![folder.path().join("root"), folder.path().join("missing")],
            max_file_bytes: 1000,
            ..IngestConfig::default()
        };
        Self {
            folder,
            home: Home::with(config).await,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// The names taken.
    async fn take(&self, path: &Path) -> Result<Vec<String>, IngestError> {
        let accepted = self
            .home
            .library
            .process_path(path, Collection::default())
            .await?;
        Ok(accepted.into_iter().map(|a| a.name).collect())
    }
}

#[tokio::test]
async fn a_folder_with_everything_in_it() {
    let disk = Disk::new().await;
    disk.write("root/b.txt", "Second.");
    disk.write("root/a.txt", "First.");
    disk.write("root/deep/er/c.txt", "Third.");
    disk.write("root/.hidden", "Hidden.");
    disk.write("root/.gitignore", "*.log\n/deep/skip/\n");
    disk.write("root/x.log", "Ignored.");
    disk.write("root/empty.txt", "");
    disk.write("root/large.txt", &"x".repeat(1001));
    fs::create_dir(disk.path("root/deep/skip")).unwrap();
    disk.write("root/deep/skip/d.txt", "Ignored too.");
    symlink(disk.path("outside"), disk.path("root/link")).unwrap();
    symlink(disk.path("outside/secret.txt"), disk.path("root/link.txt")).unwrap();
    let taken = disk
        .home
        .library
        .take_path(&disk.path("root"), Collection::default())
        .await
        .unwrap();
    let names: Vec<_> = taken.accepted.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["a.txt", "b.txt", "c.txt"]);
    let skipped: Vec<_> = taken
        .skipped
        .iter()
        .map(|s| s.path.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(skipped, ["empty.txt", "large.txt"]);
    for accepted in taken.accepted {
        disk.home.library.wait(accepted.id).await.unwrap();
    }
    assert_eq!(disk.home.files_with("secret"), Vec::<PathBuf>::new());
    disk.home.check_consistent();
    disk.home.stop().await;
}

#[tokio::test]
async fn only_inside_the_allowed_roots() {
    let disk = Disk::new().await;
    disk.write("root/a.txt", "First.");
    symlink(disk.path("outside/secret.txt"), disk.path("root/link.txt")).unwrap();
    symlink(disk.path("root/a.txt"), disk.path("outside/inward.txt")).unwrap();
    for name in [
        "outside/secret.txt",
        "outside",
        "root/link.txt",
        "root/../outside/secret.txt",
        "",
        "missing/x",
        "outside/not-there",
    ] {
        let answer = disk.take(&disk.path(name)).await;
        assert!(
            matches!(answer, Err(IngestError::OutsideRoots { .. })),
            "{name}: {answer:?}"
        );
    }
    // What counts is where the file really is.
    for name in ["root/a.txt", "root/deep/../a.txt", "outside/inward.txt"] {
        assert_eq!(
            disk.take(&disk.path(name)).await.unwrap(),
            ["a.txt"],
            "{name}"
        );
    }
    let missing = disk.take(&disk.path("root/none")).await;
    assert!(
        matches!(missing, Err(IngestError::PathUnreadable { .. })),
        "{missing:?}"
    );
    let nothing_allowed = Home::new().await;
    let answer = nothing_allowed
        .library
        .process_path(&disk.path("root"), Collection::default())
        .await;
    assert!(
        matches!(answer, Err(IngestError::OutsideRoots { .. })),
        "{answer:?}"
    );
    nothing_allowed.stop().await;
    disk.home.stop().await;
}

#[tokio::test]
async fn a_pipe_keeps_nobody_waiting() {
    let disk = Disk::new().await;
    let pipe = disk.path("root/pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let answer = disk.take(&pipe).await;
    assert!(
        matches!(answer, Err(IngestError::PathUnreadable { .. })),
        "{answer:?}"
    );
    assert_eq!(
        disk.take(&disk.path("root")).await.unwrap(),
        Vec::<String>::new()
    );
    disk.home.stop().await;
}

#[tokio::test]
async fn a_single_file_answers_as_its_upload_would() {
    let disk = Disk::new().await;
    disk.write("root/empty.txt", "");
    disk.write("root/large.txt", &"x".repeat(1001));
    let empty = disk.take(&disk.path("root/empty.txt")).await;
    assert!(matches!(empty, Err(IngestError::EmptyFile)), "{empty:?}");
    let large = disk.take(&disk.path("root/large.txt")).await;
    assert!(
        matches!(large, Err(IngestError::TooLarge { limit: 1000 })),
        "{large:?}"
    );
    disk.home.check_consistent();
    disk.home.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_left_where_it_is() {
    let disk = Disk::new().await;
    disk.write("root/notes.xyz", "Words, whatever the name says.");
    fs::write(disk.path("root/song.txt"), b"OggS\0\0\0").unwrap();
    let root = disk.path("root");
    let taken = disk
        .home
        .library
        .take_path(&root, Collection::default())
        .await
        .unwrap();
    let names: Vec<_> = taken.accepted.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["notes.xyz"]);
    assert_eq!(taken.skipped.len(), 1);
    assert!(
        taken.skipped[0].reason.contains("Ogg"),
        "{:?}",
        taken.skipped
    );
    assert_eq!(
        disk.home.files_in("originals"),
        1,
        "nothing was copied of it"
    );
    // Named itself it is taken, and fails with the same reason when it is read.
    assert_eq!(
        disk.take(&disk.path("root/song.txt")).await.unwrap(),
        ["song.txt"]
    );
    for accepted in taken.accepted {
        disk.home.library.wait(accepted.id).await.unwrap();
    }
    disk.home.stop().await;
}
