//! A store that is damaged, gone or not whole is noticed and made again from the catalog, without an
//! upload. A catalog that is damaged is left alone.

use std::{
    fs,
    path::{Path, PathBuf},
};

use reqwest::StatusCode;

use crate::{
    audit,
    chance::Chance,
    daemon::{Client, Daemon, Home, entries, until},
    document::{Made, made},
};

/// Files of an index that are damaged, one at a time; `GRIOT_CRASH_FAULTS=all` damages each.
const ROUNDS: usize = 15;

/// A library of some documents, stopped in order.
async fn library(count: u64) -> (Home, Vec<Made>) {
    let home = Home::new();
    let files: Vec<_> = (1..=count).map(made).collect();
    let daemon = home.run(&[]);
    let client = daemon.client();
    for file in &files {
        let (status, accepted) = client.upload(&[file], "default").await.unwrap();
        assert_eq!(status, StatusCode::ACCEPTED);
        let id = accepted["documents"][0]["id"].as_str().unwrap();
        assert_eq!(client.wait(id).await["status"], "searchable");
    }
    daemon.stop();
    (home, files)
}

/// Whether each passage is found; `degraded` parts of the last answer.
async fn finds_all(client: &Client, files: &[Made]) -> (bool, Vec<String>) {
    let mut degraded = Vec::new();
    for word in files.iter().flat_map(|file| &file.words) {
        let (status, answer) = client.search(word).await.unwrap();
        assert_eq!(status, StatusCode::OK, "{answer}");
        let passages = answer["passages"].as_array().unwrap();
        let holds = |passage: &&serde_json::Value| passage["text"].as_str().unwrap().contains(word);
        if passages.iter().filter(holds).count() != 1 {
            return (false, degraded);
        }
        let parts = answer["degraded"].as_array().unwrap();
        degraded = parts
            .iter()
            .map(|part| part.as_str().unwrap().to_owned())
            .collect();
    }
    (true, degraded)
}

/// At every moment everything is found, by words at least; and soon nothing is missing.
async fn becomes_whole(home: &Home, daemon: Daemon, files: &[Made]) {
    let client = daemon.client();
    until("the index is whole", async || {
        let (found, degraded) = finds_all(&client, files).await;
        assert!(found, "{}", home.said());
        assert!(
            degraded.is_empty() || degraded == ["vector_store"],
            "{degraded:?}"
        );
        let (_, health) = client.get("/api/health").await.unwrap();
        degraded.is_empty() && health["status"] == "ok"
    })
    .await;
    daemon.stop();
    audit::audit(&home.path).await;
}

fn index_files(home: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![home.join("index/shard")];
    while let Some(folder) = folders.pop() {
        for name in entries(&folder) {
            let path = folder.join(name);
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[tokio::test]
async fn a_missing_index_is_made_again() {
    let (home, files) = library(5).await;
    fs::remove_dir_all(home.path.join("index")).unwrap();
    let daemon = home.run(&[]);
    becomes_whole(&home, daemon, &files).await;
}

#[tokio::test]
async fn missing_points_are_made_again() {
    use griot::ports::VectorStore;
    let (home, files) = library(5).await;
    let documents = audit::documents(&audit::catalog(&home.path));
    let store = audit::store(&home.path).await;
    store.delete(documents[1].id, None).await.unwrap();
    store.flush().await.unwrap();
    drop(store);
    let daemon = home.run(&[]);
    becomes_whole(&home, daemon, &files).await;
}

/// Wrong bytes anywhere in the index's files, files that are cut short, files that are gone.
#[tokio::test]
async fn wrong_bytes_in_the_index_end_nothing() {
    let (home, files) = library(6).await;
    let whole = home.path.with_extension("whole");
    copy(&home.path, &whole);
    let mut chance = Chance::new(5);
    let mut files_left = index_files(&home.path);
    let all = std::env::var("GRIOT_CRASH_FAULTS").is_ok_and(|which| which == "all");
    let rounds = if all { files_left.len() } else { ROUNDS };
    for round in 0..rounds.min(files_left.len()) {
        fs::remove_dir_all(&home.path).unwrap();
        copy(&whole, &home.path);
        let path = files_left.swap_remove(chance.below(files_left.len() as u64) as usize);
        let mut bytes = fs::read(&path).unwrap();
        let what = match round % 3 {
            0 => {
                for _ in 0..64.min(bytes.len()) {
                    let at = chance.below(bytes.len() as u64) as usize;
                    bytes[at] ^= 1 + chance.below(255) as u8;
                }
                fs::write(&path, &bytes).unwrap();
                "wrong bytes in"
            }
            1 => {
                bytes.truncate(bytes.len() / 2);
                fs::write(&path, &bytes).unwrap();
                "half of"
            }
            _ => {
                fs::remove_file(&path).unwrap();
                "without"
            }
        };
        survives(&home, &files, &format!("{what} {}", path.display())).await;
    }
}

/// The daemon may die of it, a few times; then it runs, and finds everything.
async fn survives(home: &Home, files: &[Made], what: &str) {
    let mut deaths = 0;
    loop {
        assert!(
            deaths <= 4,
            "{what}: it dies at each start: {}",
            home.said()
        );
        let Ok(mut daemon) = home.start(&[]) else {
            deaths += 1;
            continue;
        };
        let client = daemon.client();
        let began = std::time::Instant::now();
        let whole = loop {
            assert!(
                began.elapsed() < crate::daemon::PATIENCE,
                "{what}: {}",
                home.said()
            );
            let Some((found, degraded)) = try_all(&client, files).await else {
                break false;
            };
            // Vectors may be wrong without anybody knowing; words are in the index too.
            if found && degraded.is_empty() {
                break true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        };
        if whole {
            daemon.stop();
            return;
        }
        until("it ends", async || daemon.has_ended()).await;
        deaths += 1;
    }
}

async fn try_all(client: &Client, files: &[Made]) -> Option<(bool, Vec<String>)> {
    client.documents().await.ok()?;
    for word in files.iter().flat_map(|file| &file.words) {
        let (status, answer) = client.search(word).await.ok()?;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let degraded = answer["degraded"].as_array().unwrap();
        if !degraded.is_empty() {
            return Some((true, vec!["vector_store".to_owned()]));
        }
        let passages = answer["passages"].as_array().unwrap();
        if !passages
            .iter()
            .any(|p| p["text"].as_str().unwrap().contains(word))
        {
            return Some((false, Vec::new()));
        }
    }
    Some((true, Vec::new()))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in entries(from) {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

#[tokio::test]
async fn a_damaged_catalog_is_refused_and_left_alone() {
    let (home, _) = library(4).await;
    let path = home.path.join("catalog.sqlite");
    let whole = fs::read(&path).unwrap();
    assert!(whole.len() > 50_000, "{}", whole.len());
    let check = |damage: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        damage(&mut bytes);
        fs::write(&path, &bytes).unwrap();
        let said = home.refused(&[]);
        assert!(
            said.contains("catalog") && said.contains("backup"),
            "{said}"
        );
        assert!(fs::read(&path).unwrap() == bytes, "it was changed");
        assert_eq!(entries(&home.path.join("originals")).len(), 4);
    };
    check(&|bytes| bytes[..4096].fill(7));
    check(&|bytes| {
        let middle = bytes.len() / 2 / 4096 * 4096;
        bytes[middle..middle + 4096].fill(0xFF);
    });
    check(&|bytes| bytes.truncate(bytes.len() / 2 / 4096 * 4096));
    // Gone, with its log.
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let _ = fs::remove_file(home.path.join(name));
    }
    let said = home.refused(&[]);
    assert!(
        said.contains("is missing") && said.contains("originals"),
        "{said}"
    );
    assert!(!path.exists());
    // A backup in its place, and all is well.
    fs::write(&path, &whole).unwrap();
    let daemon = home.run(&[]);
    assert_eq!(daemon.client().documents().await.unwrap().len(), 4);
    daemon.stop();
    audit::audit(&home.path).await;
}
