//! The official Python client of Ollama works against the worker, unmodified.
//!
//! It is installed into a virtual environment under `target/`, once. Where that cannot be done (no
//! Python, no package index) the test says so and passes.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::server::{MODEL, Server};

/// The version the script was written for.
const CLIENT: &str = "ollama==0.6.3";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A Python that has the client, or why there is none.
fn python() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ollama-client");
    let python = folder.join("bin/python");
    let run = |command: &mut Command| match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(error.to_string()),
    };
    if run(Command::new(&python).args(["-c", "import ollama"])).is_ok() {
        return Ok(python);
    }
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&folder))?;
    run(Command::new(&python).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        CLIENT,
    ]))?;
    Ok(python)
}

#[test]
fn the_official_client_works() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let python = match python() {
        Ok(python) => python,
        Err(reason) => {
            println!("skipped: the Ollama client for Python cannot be installed: {reason}");
            return;
        }
    };
    let run = Command::new(python)
        .arg(repository().join("tests/models/ollama_client.py"))
        .arg(format!("http://{}", server.address))
        .arg(MODEL)
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr),
    );
    assert!(run.status.success(), "{out}\n{err}");
    assert!(out.contains("10 checks passed"), "{out}");
}
