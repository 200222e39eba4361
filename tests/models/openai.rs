//! The official Python client of OpenAI speaks and listens through a daemon, unmodified.
//!
//! It is installed into a virtual environment under `target/`, once. Where that cannot be done (no Python,
//! no package index) the test says so and passes.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::daemon::Daemon;

/// The version the script was written for.
const CLIENT: &str = "openai==3.52.0";

/// A Python that has the client, or why there is none.
fn python() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openai-client");
    let python = folder.join("bin/python");
    let run = |command: &mut Command| match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(error.to_string()),
    };
    if run(Command::new(&python).args(["-c", "import openai"])).is_ok() {
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
        CLIENT,
    ];
    run(Command::new(&python).args(install))?;
    Ok(python)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_client_speaks_and_listens() {
    let (Some(weights), Some(_), Some(_)) = (
        crate::weights(&["whisper-tiny.en/ggml-q8_0.bin"]),
        crate::weights(&["piper-en-us-joe/model.onnx"]),
        crate::program("griot-stt", "GRIOT_STT_BIN"),
    ) else {
        return;
    };
    let python = match python() {
        Ok(python) => python,
        Err(reason) => {
            println!("skipped: the OpenAI client for Python cannot be installed: {reason}");
            return;
        }
    };
    let home = tempfile::tempdir().unwrap();
    let models = weights
        .parent()
        .and_then(Path::parent)
        .expect("weights are in the models' folder");
    let daemon = Daemon::start(home.path(), models, &[]);
    daemon.ready().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/openai_audio.py");
    let run = tokio::process::Command::new(python)
        .arg(script)
        .arg(daemon.url())
        .output()
        .await
        .unwrap();
    assert!(
        run.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr)
    );
}
