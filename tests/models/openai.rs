//! The official clients of OpenAI (Python, Node, the Agents SDK) and the reference client of the Wyoming protocol
//! speak and listen through a daemon, unmodified.
//!
//! They are installed into environments under `target/`, once. Where that cannot be done (no Python, no Node, no
//! package index) the test says so and passes.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use tempfile::TempDir;

use crate::daemon::Daemon;

/// The versions that the scripts were written for.
const PYTHON: [&str; 2] = ["openai[realtime]==3.52.0", "wyoming==1.10.2"];
const NODE: [&str; 4] = [
    "openai@6.49.0",
    "@openai/agents-realtime@0.20.0",
    "ws@8.18.3",
    "zod@4.1.12",
];

fn run(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(format!(
            "{}: {error}",
            command.get_program().to_string_lossy()
        )),
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// A Python that has the client, or why there is none.
fn python() -> Result<PathBuf, String> {
    // Tests run beside each other, and it is installed once.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _one = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = folder("openai-client");
    let python = folder.join("bin/python");
    if run(Command::new(&python).args(["-c", "import openai, websockets, wyoming"])).is_ok() {
        return Ok(python);
    }
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&folder))?;
    let install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ];
    run(Command::new(&python).args(install).args(PYTHON))?;
    Ok(python)
}

/// A folder in which Node finds the clients, or why there is none.
fn node() -> Result<PathBuf, String> {
    run(Command::new("node").arg("--version"))?;
    let folder = folder("openai-node");
    let looks =
        "for (const name of ['openai', '@openai/agents-realtime', 'ws']) await import(name)";
    let has = |folder: &Path| {
        run(Command::new("node")
            .args(["--input-type=module", "--eval", looks])
            .current_dir(folder))
    };
    if folder.is_dir() && has(&folder).is_ok() {
        return Ok(folder);
    }
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    std::fs::write(folder.join("package.json"), r#"{ "private": true }"#)
        .map_err(|error| error.to_string())?;
    // Nothing of theirs is run before the test itself.
    run(Command::new("npm")
        .args([
            "install",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--silent",
            "--save-exact",
        ])
        .args(NODE)
        .current_dir(&folder))?;
    has(&folder)?;
    Ok(folder)
}

/// A daemon that hears and speaks, with one document; none and a printed reason where something is missing.
async fn daemon() -> Option<(Daemon, TempDir)> {
    let weights = crate::weights(&["whisper-tiny.en/ggml-q8_0.bin"])?;
    for needed in ["piper-en-us-joe", "silero-vad", "smart-turn"] {
        crate::weights(&[&format!("{needed}/model.onnx")])?;
    }
    crate::program("griot-stt", "GRIOT_STT_BIN")?;
    let models = weights.parent().and_then(Path::parent);
    let models = models.expect("weights are in the models' folder");
    let settings = [
        ("GRIOT__LLM__UPSTREAMS", "[]"),
        ("GRIOT__WYOMING__LISTEN", "127.0.0.1:0"),
    ];
    Some(with_rules(models, &settings).await)
}

/// A daemon that writes, with the same document.
async fn writing_daemon() -> Option<(Daemon, TempDir)> {
    let weights = crate::weights(&["qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"])?;
    crate::weights(&["minilm-l6/model.onnx"])?;
    crate::program("griot-llm", "GRIOT_LLM_BIN")?;
    let models = weights.parent().expect("weights are in the models' folder");
    Some(with_rules(models, &[]).await)
}

async fn with_rules(models: &Path, settings: &[(&str, &str)]) -> (Daemon, TempDir) {
    let home = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(home.path(), models, settings);
    daemon.ready().await;
    let rules = home.path().join("rules.txt");
    std::fs::write(
        &rules,
        "Drop the two when you add the figures. Keep the ledger dry.",
    )
    .unwrap();
    daemon.take_in(&rules).await;
    (daemon, home)
}

/// Runs a script that says `ok` at its end.
async fn passes(program: impl AsRef<std::ffi::OsStr>, script: &Path, url: &str) {
    let run = tokio::process::Command::new(program)
        .arg(script)
        .arg(url)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    println!("{said}");
    assert!(
        run.status.success() && said.trim_end().ends_with("ok"),
        "{said}\n{}",
        String::from_utf8_lossy(&run.stderr)
    );
}

/// Runs scripts with the official clients, or says why they are not there.
async fn python_passes(scripts: &[&str], url: &str) {
    let python = match python() {
        Ok(python) => python,
        Err(reason) => {
            println!("skipped: the clients for Python cannot be installed: {reason}");
            return;
        }
    };
    for name in scripts {
        passes(&python, &script(name), url).await;
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/models")
        .join(name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_python_client_speaks_and_listens() {
    let Some((daemon, _home)) = daemon().await else {
        return;
    };
    python_passes(&["openai_audio.py", "openai_realtime.py"], daemon.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wyoming_reference_client_speaks_listens_and_asks() {
    let Some((daemon, _home)) = daemon().await else {
        return;
    };
    python_passes(&["wyoming_client.py"], daemon.wyoming()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_python_client_runs_a_tool() {
    let Some((daemon, _home)) = writing_daemon().await else {
        return;
    };
    python_passes(&["openai_tools.py"], daemon.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_node_client_and_the_agents_sdk_hold_a_conversation() {
    let Some((daemon, _home)) = daemon().await else {
        return;
    };
    let folder = match node() {
        Ok(folder) => folder,
        Err(reason) => {
            println!("skipped: the OpenAI clients for Node cannot be installed: {reason}");
            return;
        }
    };
    // Node looks for packages beside the script.
    let copy = folder.join("openai_realtime.mjs");
    std::fs::copy(script("openai_realtime.mjs"), &copy).unwrap();
    passes("node", &copy, daemon.url()).await;
}
