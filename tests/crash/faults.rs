//! The Nth write, sync, rename or open in the home folder fails, for N = 1 … until there are no more:
//! in the daemon, in SQLite and in the index alike.
//!
//! Whatever fails: no crash, nothing hangs, what is acknowledged is durable, refusals say why, questions
//! go on, and all is well again when the fault has passed.
//!
//! By default N grows by a third, so that a few hundred runs become a few dozen;
//! `GRIOT_CRASH_FAULTS=all` leaves none out.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Instant,
};

use reqwest::StatusCode;
use serde_json::Value;

use crate::{
    audit,
    daemon::{Client, Daemon, Home, PATIENCE, Reply},
    document::{Made, made},
};

const ENOSPC: i32 = 28;
const EIO: i32 = 5;
const EMFILE: i32 = 24;

/// What stands before the C library, built once.
struct Shim {
    library: PathBuf,
    _folder: tempfile::TempDir,
}

fn shim() -> Option<&'static Path> {
    static SHIM: OnceLock<Option<Shim>> = OnceLock::new();
    let shim = SHIM.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("faults.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/faults.c");
        let built = Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .status();
        match built {
            Ok(status) if status.success() => Some(Shim {
                library,
                _folder: folder,
            }),
            Ok(_) | Err(_) => None,
        }
    });
    if shim.is_none() {
        println!("skipped: there is no C compiler `cc` that builds tests/crash/faults.c");
    }
    shim.as_ref().map(|shim| shim.library.as_path())
}

/// What is to fail.
#[derive(Debug, Clone, Copy)]
struct Fault {
    class: &'static str,
    errno: i32,
    at: u64,
}

impl Fault {
    /// What a client is told of it, where it is told anything.
    fn check_refusal(self, status: StatusCode, problem: &Value) {
        assert!(status.is_server_error(), "{self:?}: {status} {problem}");
        let kind = problem["type"].as_str().unwrap_or_default();
        assert!(
            kind.starts_with("urn:griot:problem:"),
            "{self:?}: {problem}"
        );
        if self.errno == ENOSPC && self.class == "write" {
            assert_eq!(
                status,
                StatusCode::INSUFFICIENT_STORAGE,
                "{self:?}: {problem}"
            );
        }
    }
}

/// A daemon with faults before it, and a client that tries again.
struct Trial<'a> {
    fault: Fault,
    home: &'a Home,
    client: Client,
}

fn start(home: &Home, fault: Fault, until: Option<&Path>) -> Option<Daemon> {
    let at = fault.at.to_string();
    let errno = fault.errno.to_string();
    let mut environment = vec![
        ("LD_PRELOAD", shim().unwrap().to_str().unwrap()),
        ("FAULT_UNDER", home.path.to_str().unwrap()),
        ("FAULT_CLASS", fault.class),
        ("FAULT_AT", &at),
        ("FAULT_ERRNO", &errno),
    ];
    environment.extend(until.map(|until| ("FAULT_UNTIL", until.to_str().unwrap())));
    match home.start(&environment) {
        Ok(daemon) => Some(daemon),
        Err(status) => {
            // It may refuse to start, and says why.
            assert_eq!(status.code(), Some(1), "{fault:?}: {}", home.said());
            assert!(
                home.said().contains("error: "),
                "{fault:?}: {}",
                home.said()
            );
            None
        }
    }
}

impl Trial<'_> {
    /// Asks until it works, as whoever is refused does.
    async fn insist(&self, wanted: StatusCode, ask: impl AsyncFn(&Client) -> Reply) -> Value {
        let began = Instant::now();
        loop {
            let (status, body) = ask(&self.client)
                .await
                .unwrap_or_else(|error| panic!("{:?}: {error}\n{}", self.fault, self.home.said()));
            if status == wanted {
                return body;
            }
            self.fault.check_refusal(status, &body);
            assert!(began.elapsed() < PATIENCE, "{:?}: {body}", self.fault);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    async fn upload(&self, file: &Made) -> String {
        let upload = async |client: &Client| client.upload(&[file], "default").await;
        let accepted = self.insist(StatusCode::ACCEPTED, upload).await;
        accepted["documents"][0]["id"].as_str().unwrap().to_owned()
    }

    async fn searchable(&self, id: &str) {
        let status = self.client.wait(id).await;
        assert_eq!(status["status"], "searchable", "{:?}: {status}", self.fault);
    }

    /// Questions are answered whatever happens, and with the right passage when all is well.
    async fn ask(&self, file: &Made) {
        let began = Instant::now();
        loop {
            let (status, answer) = self.client.search(&file.words[0]).await.unwrap();
            assert_eq!(status, StatusCode::OK, "{:?}: {answer}", self.fault);
            let text = answer["passages"][0]["text"].as_str().unwrap_or_default();
            assert!(text.contains(&file.words[0]), "{:?}: {answer}", self.fault);
            if answer["degraded"].as_array().is_some_and(Vec::is_empty) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{:?}: {answer}", self.fault);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

/// A life of two documents with one fault in it. Whether there was one.
async fn live(fault: Fault) -> bool {
    let home = Home::new();
    let (first, second) = (made(2), made(3));
    if let Some(mut daemon) = start(&home, fault, None) {
        let trial = Trial {
            fault,
            home: &home,
            client: daemon.client(),
        };
        let id = trial.upload(&first).await;
        trial.searchable(&id).await;
        trial.ask(&first).await;
        let other = trial.upload(&second).await;
        trial
            .insist(StatusCode::ACCEPTED, async |client| {
                client.process(&id).await
            })
            .await;
        trial.searchable(&other).await;
        trial.searchable(&id).await;
        // One that was refused may have been done all the same.
        let began = Instant::now();
        loop {
            let (status, body) = trial.client.delete(&id).await.unwrap();
            if matches!(status, StatusCode::OK | StatusCode::NOT_FOUND) {
                break;
            }
            fault.check_refusal(status, &body);
            assert!(began.elapsed() < PATIENCE, "{fault:?}: {body}");
        }
        let again = trial.upload(&first).await;
        assert_ne!(again, id, "{fault:?}");
        trial.searchable(&again).await;
        trial.ask(&second).await;
        trial.ask(&first).await;
        assert!(!daemon.is_dead());
        daemon.kill();
    }
    let fault_was_met = home.log().contains(&format!("fault: {} ", fault.class));
    check_in_peace(&home, &[&first, &second], fault).await;
    fault_was_met
}

/// Starts it without faults: what was acknowledged is there, and all of it agrees.
async fn check_in_peace(home: &Home, files: &[&Made], fault: impl std::fmt::Debug) {
    let daemon = home.run(&[]);
    let client = daemon.client();
    for file in files {
        let (status, accepted) = client.upload(&[file], "default").await.unwrap();
        assert_eq!(status, StatusCode::ACCEPTED, "{fault:?}: {accepted}");
        let id = accepted["documents"][0]["id"].as_str().unwrap();
        assert_eq!(client.wait(id).await["status"], "searchable", "{fault:?}");
        let (_, answer) = client.search(&file.words[0]).await.unwrap();
        let text = answer["passages"][0]["text"].as_str().unwrap_or_default();
        assert!(text.contains(&file.words[0]), "{fault:?}: {answer}");
    }
    let listed = client.documents().await.unwrap();
    assert_eq!(listed.len(), files.len(), "{fault:?}: {listed:?}");
    let catalog = audit::catalog(&home.path);
    crate::daemon::until("nothing is left over", async || {
        catalog.cleanups().unwrap().is_empty()
    })
    .await;
    drop(catalog);
    daemon.stop();
    audit::audit(&home.path).await;
}

async fn each(class: &'static str, errno: i32) {
    if shim().is_none() {
        return;
    }
    let all = std::env::var("GRIOT_CRASH_FAULTS").is_ok_and(|which| which == "all");
    let began = Instant::now();
    let (mut at, mut runs) = (1, 0);
    while live(Fault { class, errno, at }).await {
        at += if all { 1 } else { 1 + at / 3 };
        runs += 1;
    }
    println!(
        "{class} with errno {errno}: {runs} faults, the last was met before operation {at}, {:.0} s",
        began.elapsed().as_secs_f64()
    );
    assert!(runs > 0, "{class}: nothing was failed");
}

#[tokio::test]
async fn a_write_fails_for_want_of_space() {
    each("write", ENOSPC).await;
}

#[tokio::test]
async fn a_write_fails() {
    each("write", EIO).await;
}

#[tokio::test]
async fn a_sync_fails() {
    each("sync", EIO).await;
}

#[tokio::test]
async fn a_rename_fails() {
    each("rename", EIO).await;
}

#[tokio::test]
async fn an_open_fails_for_want_of_descriptors() {
    each("open", EMFILE).await;
}

#[tokio::test]
async fn an_open_fails() {
    each("open", EIO).await;
}

/// From some moment on everything fails, for a while.
async fn check_outage(class: &'static str, errno: i32) {
    if shim().is_none() {
        return;
    }
    let home = Home::new();
    let file = made(2);
    {
        let daemon = home.run(&[]);
        let client = daemon.client();
        let (_, accepted) = client.upload(&[&file], "default").await.unwrap();
        client
            .wait(accepted["documents"][0]["id"].as_str().unwrap())
            .await;
        daemon.kill();
    }
    // After the start, which may refuse for its own reasons.
    for at in [1, 40, 80] {
        let fault = Fault { class, errno, at };
        let over = home.log.with_extension(format!("over-{at}"));
        let Some(mut daemon) = start(&home, fault, Some(&over)) else {
            continue;
        };
        let trial = Trial {
            fault,
            home: &home,
            client: daemon.client(),
        };
        let mut files = Vec::new();
        for serial in 0..8 {
            let file = made(1000 + at * 10 + serial);
            let (status, body) = trial.client.upload(&[&file], "default").await.unwrap();
            if status == StatusCode::ACCEPTED {
                files.push((
                    file,
                    body["documents"][0]["id"].as_str().unwrap().to_owned(),
                ));
            } else {
                fault.check_refusal(status, &body);
            }
            let (status, answer) = trial.client.search(&made(2).words[0]).await.unwrap();
            assert_eq!(status, StatusCode::OK, "{answer}");
            let text = answer["passages"][0]["text"].as_str().unwrap_or_default();
            assert!(text.contains(&made(2).words[0]), "{fault:?}: {answer}");
        }
        std::fs::write(&over, "").unwrap();
        let last = made(2000 + at);
        let id = trial.upload(&last).await;
        files.push((last, id));
        for (file, id) in &files {
            trial.searchable(id).await;
            trial.ask(file).await;
        }
        assert!(!daemon.is_dead());
        for (_, id) in &files {
            let delete = async |client: &Client| client.delete(id).await;
            trial.insist(StatusCode::OK, delete).await;
        }
        daemon.kill();
        check_in_peace(&home, &[&file], fault).await;
    }
}

#[tokio::test]
async fn no_space_for_a_while() {
    check_outage("write", ENOSPC).await;
}

#[tokio::test]
async fn no_descriptors_for_a_while() {
    check_outage("open", EMFILE).await;
}
