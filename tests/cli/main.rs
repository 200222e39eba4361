//! Whole commands: arguments in, output and exit code out. The daemon they talk to runs in this process,
//! with fakes behind its ports.

#[path = "../api/app.rs"]
#[expect(dead_code, reason = "shared with tests/api, which uses all of it")]
mod app;
mod backup;
mod service;
mod traces;

use std::{fmt::Write, path::Path, process::Stdio};

use app::{LEASE, QUESTION, Settings, TestApp};
use griot::{
    config::{ServerConfig, new_api_key},
    domain::Component,
};
use tokio::{io::AsyncWriteExt, process::Command};

/// What a command printed and how it ended.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ran {
    /// For snapshots: everything, without what differs from run to run.
    fn shown(&self) -> String {
        let mut text = format!("exit code {}\n", self.code);
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !stream.is_empty() {
                write!(text, "---- {name}\n{}", redacted(stream)).unwrap();
            }
        }
        text
    }
}

/// Runs `griot` in an empty environment, with `home` as the person's home folder.
async fn griot(home: &Path, arguments: &[&str], input: &str) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_griot"))
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that reads nothing may be gone already.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    Ran {
        code: output.status.code().expect("it ended by itself"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A daemon, an empty home folder, and commands that talk to the one from the other.
struct World {
    app: TestApp,
    home: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        Self {
            app: TestApp::start().await,
            home: tempfile::tempdir().unwrap(),
        }
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "").await
    }

    async fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        let url = format!("http://{}", self.app.address);
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--url", &url]).collect();
        let mut ran = griot(self.home.path(), &arguments, input).await;
        let home = self.home.path().to_str().unwrap();
        for stream in [&mut ran.stdout, &mut ran.stderr] {
            *stream = stream.replace(home, "~").replace(&url, "URL");
        }
        ran
    }

    fn write(&self, name: &str, content: &str) -> String {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// Identifiers become `doc_…`, times `TIME`, durations in milliseconds `N ms`.
fn redacted(text: &str) -> String {
    let mut clean = String::new();
    for line in text.split_inclusive('\n') {
        let mut words = Vec::new();
        for word in line.split(' ') {
            words.push(redacted_word(word));
        }
        clean.push_str(&words.join(" "));
    }
    clean
}

fn redacted_word(word: &str) -> String {
    for prefix in ["doc_", "conv_", "ans_", "inc_"] {
        if let Some(at) = word.find(prefix) {
            let id = &word[at + prefix.len()..];
            let digits = id.bytes().take_while(u8::is_ascii_hexdigit).count();
            if digits == 32 {
                return format!("{}{prefix}…{}", &word[..at], &id[32..]);
            }
        }
    }
    let is_time = word.len() >= 20
        && word.as_bytes()[4] == b'-'
        && word.as_bytes()[10] == b'T'
        && word.trim_end().ends_with('Z');
    if is_time {
        format!("TIME{}", &word[word.trim_end().len()..])
    } else {
        word.to_owned()
    }
}

#[tokio::test]
async fn help() {
    let home = tempfile::tempdir().unwrap();
    let mut seen = String::new();
    for command in [
        &[] as &[&str],
        &["serve"],
        &["ingest"],
        &["ask"],
        &["search"],
        &["docs"],
        &["docs", "ls"],
        &["docs", "show"],
        &["docs", "rm"],
        &["docs", "text"],
        &["status"],
        &["doctor"],
    ] {
        let arguments: Vec<&str> = command.iter().copied().chain(["--help"]).collect();
        let ran = griot(home.path(), &arguments, "").await;
        assert_eq!(ran.code, 0);
        writeln!(
            seen,
            "==== griot {}\n{}",
            arguments.join(" "),
            ran.stdout.trim_end()
        )
        .unwrap();
    }
    insta::assert_snapshot!(seen);
}

#[tokio::test]
async fn wrong_usage_is_exit_code_2() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [
        &[] as &[&str],
        &["fly"],
        &["ask"],
        &["ingest"],
        &["docs"],
        &["docs", "show", "lease.pdf"],
        &["search", "x", "-k", "0"],
        &["search", "x", "-k", "51"],
        &["serve", "--listen", "here"],
        &["extract"],
    ] {
        let ran = griot(home.path(), arguments, "").await;
        assert_eq!(ran.code, 2, "{arguments:?}\n{}", ran.stderr);
        assert_eq!(ran.stdout, "", "{arguments:?}");
    }
}

#[tokio::test]
async fn where_no_daemon_runs() {
    let home = tempfile::tempdir().unwrap();
    // Port 1 is privileged and nothing here serves it.
    let nowhere = ["--url", "http://127.0.0.1:1"];
    for command in [
        &["ask", "x"] as &[&str],
        &["search", "x"],
        &["docs", "ls"],
        &["status"],
    ] {
        let arguments: Vec<&str> = command.iter().copied().chain(nowhere).collect();
        let ran = griot(home.path(), &arguments, "").await;
        assert_eq!(ran.code, 1, "{command:?}");
        assert!(
            ran.stderr.contains("start one with `griot serve`"),
            "{command:?}: {}",
            ran.stderr
        );
        assert_eq!(ran.stdout, "");
    }
}

#[tokio::test]
async fn a_library_from_ingest_to_rm() {
    let world = World::new().await;
    world.write("papers/lease.txt", LEASE);
    world.write("papers/sub/notes.md", "Dogs sleep.");
    world.write("papers/photo.gif", "GIF89a\0\0\0");
    world.write("papers/really-a-photo.txt", "GIF89a\0\0\0");
    world.write("papers/query.sql", "SELECT 1;");
    world.write("papers/broken.txt", "!");
    let papers = world.home.path().join("papers");
    let papers = papers.to_str().unwrap();

    let ingested = world
        .run(&[
            "ingest",
            papers,
            "/nowhere/at/all",
            "--wait",
            "--collection",
            "home",
        ])
        .await;
    insta::assert_snapshot!("ingest", ingested.shown());
    let again = world
        .run(&["ingest", papers, "--wait", "--json", "--collection", "home"])
        .await;
    let outcomes: serde_json::Value = serde_json::from_str(&again.stdout).unwrap();
    assert!(
        outcomes
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["duplicate"] == true),
        "{outcomes}"
    );

    insta::assert_snapshot!("docs_ls", world.run(&["docs", "ls"]).await.shown());
    let list = world.run(&["docs", "ls", "--json"]).await;
    let list: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    let id_of = |name: &str| {
        let documents = list["documents"].as_array().unwrap();
        let one = documents.iter().find(|one| one["name"] == name).unwrap();
        one["id"].as_str().unwrap().to_owned()
    };
    let (lease, broken) = (id_of("lease.txt"), id_of("broken.txt"));
    insta::assert_snapshot!(
        "docs_show",
        world.run(&["docs", "show", &broken]).await.shown()
    );
    let text = world
        .run(&["docs", "text", &lease, "--start", "4", "--end", "8"])
        .await;
    assert_eq!((text.code, text.stdout.as_str()), (0, "flat"));

    insta::assert_snapshot!("ask", world.run(&["ask", QUESTION]).await.shown());
    let json = world.run(&["ask", QUESTION, "--json"]).await;
    let answer: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(answer["supported"], true);

    insta::assert_snapshot!("docs_rm", world.run(&["docs", "rm", &lease]).await.shown());
    let gone = world.run(&["docs", "show", &lease]).await;
    insta::assert_snapshot!("docs_show_gone", gone.shown());
}

#[tokio::test]
async fn documents_cannot_speak_to_the_terminal() {
    let world = World::new().await;
    let hostile = "Rent \u{202e}is due.";
    let ran = world
        .run_with(
            &["ingest", "-", "--name", "evil\u{1b}[31m.txt", "--wait"],
            hostile,
        )
        .await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let found = world.run(&["search", "rent due"]).await;
    let listed = world.run(&["docs", "ls"]).await;
    for output in [ran.stdout, found.stdout.clone(), listed.stdout] {
        assert!(
            !output.contains('\u{1b}') && !output.contains('\u{202e}'),
            "{output}"
        );
    }
    assert!(
        found.stdout.contains("Rent \\u{202e}is due."),
        "{}",
        found.stdout
    );
}

#[tokio::test]
async fn status_of_the_parts() {
    let world = World::new().await;
    let _slot = world.app.board.slot(Component::Embedder, "here");
    let ran = world.run(&["status"]).await;
    assert_eq!(ran.code, 0);
    assert!(
        ran.stdout.contains("embedder  ok     closed"),
        "{}",
        ran.stdout
    );
    let json = world.run(&["status", "--json"]).await;
    let health: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(health["components"][0]["name"], "embedder");
}

#[tokio::test]
async fn keys_go_with_every_request() {
    let (key, hash) = new_api_key().unwrap();
    let world = World {
        app: TestApp::with(Settings {
            server: ServerConfig {
                api_keys: vec![hash.to_string()],
                ..ServerConfig::default()
            },
            ..Settings::default()
        })
        .await,
        home: tempfile::tempdir().unwrap(),
    };
    let without = world.run(&["docs", "ls"]).await;
    assert_eq!(without.code, 1);
    assert!(without.stderr.contains("API key"), "{}", without.stderr);
    let with = world.run(&["docs", "ls", "--api-key", &key]).await;
    assert_eq!(with.code, 0, "{}", with.stderr);
}

#[tokio::test]
async fn doctor_on_a_fresh_machine() {
    let world = World::new().await;
    let ran = world.run(&["doctor", "--json"]).await;
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let verdicts: Vec<(&str, &str)> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["what"].as_str().unwrap(),
                one["verdict"].as_str().unwrap(),
            )
        })
        .collect();
    assert!(verdicts.contains(&("settings", "ok")), "{verdicts:?}");
    assert!(verdicts.contains(&("library", "ok")), "{verdicts:?}");
    assert!(
        verdicts.contains(&("embedding model", "bad")),
        "{verdicts:?}"
    );
    assert!(
        verdicts.contains(&("language model", "note")),
        "{verdicts:?}"
    );
    assert!(verdicts.contains(&("daemon", "ok")), "{verdicts:?}");
    assert_eq!(ran.code, 1, "what is missing must show in the exit code");

    world.write(
        ".config/griot/griot.toml",
        "[server]\nlissen = \"127.0.0.1:1\"\n",
    );
    let ran = world.run(&["doctor"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("BAD   settings:"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("listen"),
        "the nearest key is named: {}",
        ran.stdout
    );
}
