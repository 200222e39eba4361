//! `griot backup` and `griot restore`.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    process::Command,
};

use super::{LEASE, World, griot};

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A world with a document in it, and a backup of it.
async fn backed_up() -> (World, PathBuf) {
    let world = World::new().await;
    world.app.ingest("lease.txt", LEASE).await;
    let file = world.home.path().join("b/griot.tar.zst");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    let ran = world.run(&["backup", file.to_str().unwrap()]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("1 document, "), "{}", ran.stdout);
    assert!(
        ran.stdout.ends_with("read back and whole\n"),
        "{}",
        ran.stdout
    );
    assert_eq!(names(file.parent().unwrap()), ["griot.tar.zst"]);
    (world, file)
}

#[tokio::test]
async fn from_a_daemon_into_an_empty_home() {
    use std::os::unix::fs::PermissionsExt;
    let (world, file) = backed_up().await;
    let shown = file.to_str().unwrap();
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let checked = griot(
        world.home.path(),
        &["restore", "--check", shown, "--json"],
        "",
    )
    .await;
    let checked: serde_json::Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!(checked["documents"], 1);

    let person = tempfile::tempdir().unwrap();
    // Port 1 is privileged and nothing here serves it.
    let settings = person.path().join(".config/griot/griot.toml");
    std::fs::create_dir_all(settings.parent().unwrap()).unwrap();
    std::fs::write(settings, "[server]\nlisten = \"127.0.0.1:1\"\n").unwrap();
    let ran = griot(person.path(), &["restore", shown], "").await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stdout.contains("restored, 1 document"),
        "{}",
        ran.stdout
    );
    let home = person.path().join(".local/share/griot");
    assert_eq!(names(&home), ["catalog.sqlite", "lock", "originals"]);

    // Again into the same, which is no longer empty.
    let again = griot(person.path(), &["restore", shown], "").await;
    assert_eq!(again.code, 1);
    assert!(
        again.stderr.contains("holds a library already"),
        "{}",
        again.stderr
    );
    assert_eq!(names(&home), ["catalog.sqlite", "lock", "originals"]);

    // Where no daemon runs the folder itself is read.
    let second = person.path().join("second.tar.zst");
    let ran = griot(
        person.path(),
        &["backup", second.to_str().unwrap(), "--json"],
        "",
    )
    .await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let said: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(said["documents"], 1);
    assert_eq!(said["missing"], serde_json::json!([]));
}

#[tokio::test]
async fn a_broken_backup_leaves_nothing_behind() {
    let (world, file) = backed_up().await;
    let bytes = std::fs::read(&file).unwrap();
    let cut = world.home.path().join("cut.tar.zst");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let person = tempfile::tempdir().unwrap();
    for arguments in [
        &["restore", cut.to_str().unwrap()] as &[&str],
        &["restore", "--check", cut.to_str().unwrap()],
        &["restore", "/nowhere.tar.zst"],
    ] {
        let ran = griot(person.path(), arguments, "").await;
        assert_eq!(ran.code, 1, "{arguments:?}");
        assert!(
            !person.path().join(".local/share/griot").exists(),
            "{arguments:?}"
        );
    }
}

#[tokio::test]
async fn other_files_are_not_written_over() {
    let (world, file) = backed_up().await;
    let notes = world.write("b/notes.txt", "mine");
    let ran = world.run(&["backup", &notes]).await;
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("is no backup of griot"),
        "{}",
        ran.stderr
    );
    assert_eq!(std::fs::read_to_string(&notes).unwrap(), "mine");
    // An earlier backup is.
    world.app.ingest("second.txt", "Dogs sleep.").await;
    let ran = world.run(&["backup", file.to_str().unwrap()]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("2 documents"), "{}", ran.stdout);
}

#[tokio::test]
async fn a_full_disk_is_told() {
    let (world, _) = backed_up().await;
    let url = format!("http://{}", world.app.address);
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_griot"))
        .args(["backup", "-", "--url", &url])
        .env_clear()
        .env("HOME", world.home.path())
        .stdin(Stdio::null())
        .stdout(full)
        .stderr(Stdio::piped())
        // Not `output()`, which takes standard output for itself.
        .spawn()
        .unwrap()
        .wait_with_output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("the disk is full"), "{said}");
}

/// A daemon that dies in the middle of a backup.
#[tokio::test]
async fn half_a_backup_gets_no_name() {
    let (world, file) = backed_up().await;
    let bytes = std::fs::read(&file).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let dying = tokio::spawn(async move {
        for ends_well in [false, true] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await.unwrap();
            let half = &bytes[..bytes.len() / 2];
            let head = format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n{:x}\r\n",
                half.len()
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(half).await.unwrap();
            if ends_well {
                // As if half of it were all.
                stream.write_all(b"\r\n0\r\n\r\n").await.unwrap();
            }
        }
    });
    let folder = world.home.path().join("half");
    std::fs::create_dir(&folder).unwrap();
    let wanted = folder.join("griot.tar.zst");
    for _ in 0..2 {
        let arguments = ["backup", wanted.to_str().unwrap(), "--url", &url];
        let ran = griot(world.home.path(), &arguments, "").await;
        assert_eq!(ran.code, 1, "{}", ran.stdout);
        assert_eq!(names(&folder), [""; 0], "{}", ran.stderr);
    }
    dying.await.unwrap();
}

/// A home of a newer griot: nothing in it changes, whatever an older one is asked to do.
#[tokio::test]
async fn a_newer_home_is_refused_and_left_alone() {
    let (_world, file) = backed_up().await;
    let person = tempfile::tempdir().unwrap();
    let ran = griot(person.path(), &["restore", file.to_str().unwrap()], "").await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let home = person.path().join(".local/share/griot");
    let connection = rusqlite::Connection::open(home.join("catalog.sqlite")).unwrap();
    connection
        .pragma_update(None, "user_version", 1000)
        .unwrap();
    drop(connection);
    let files = || {
        let mut files = std::collections::BTreeMap::new();
        let mut folders = vec![home.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let hash = Sha256::digest(std::fs::read(&path).unwrap());
                    files.insert(path, hash);
                }
            }
        }
        files
    };
    let before = files();
    let other = person.path().join("other.tar.zst");
    for arguments in [
        &["serve", "--listen", "127.0.0.1:0"] as &[&str],
        &["backup", other.to_str().unwrap()],
        &["restore", file.to_str().unwrap()],
    ] {
        let settings = person.path().join(".config/griot/griot.toml");
        std::fs::create_dir_all(settings.parent().unwrap()).unwrap();
        std::fs::write(settings, "[server]\nlisten = \"127.0.0.1:1\"\n").unwrap();
        let ran = griot(person.path(), arguments, "").await;
        assert_eq!(ran.code, 1, "{arguments:?}");
        assert_eq!(files(), before, "{arguments:?}: {}", ran.stderr);
    }
    assert!(!other.exists());
}
