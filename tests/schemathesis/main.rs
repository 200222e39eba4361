//! Requests made up from `/openapi.json` by schemathesis, sent to a running daemon: none may answer
//! 5xx, and none may answer what its description does not allow.
//!
//! Part of the full tier. schemathesis comes by pip,
//! with the user's own settings; where that does not work the test says so and skips.

#[path = "../api/app.rs"]
#[expect(dead_code, reason = "shared with tests/api, which uses all of it")]
mod app;

use std::{
    fmt::Write,
    path::{Path, PathBuf},
    process::Stdio,
};

use app::{LEASE, TestApp};
use tokio::process::Command;

/// The version that this was written for; its options change between major versions.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// No 5xx, nothing undescribed, nothing accepted that the description forbids, and 405 with `Allow`.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,negative_data_rejection,\
    unsupported_method,allow_header_conformance";

/// Examples per operation. Together with the fixed seed they make the run short and the same each time.
const EXAMPLES: &str = "40";

#[tokio::test]
async fn no_request_breaks_the_daemon_or_its_description() {
    let program = match install().await {
        Ok(program) => program,
        Err(reason) => {
            // scripts/test.sh counts lines that begin so.
            println!("skipped: schemathesis cannot be installed: {reason}");
            return;
        }
    };
    let app = TestApp::start().await;
    let document = app.ingest("lease.txt", LEASE).await;
    // A document that exists, so that the routes with an id do not all end in 404.
    let settings = app.home.path().join("schemathesis.toml");
    let parameters = format!("[parameters]\n\"path.id\" = \"{}\"\n", document.id);
    std::fs::write(&settings, parameters).unwrap();
    let settings = settings
        .to_str()
        .expect("temporary folders have plain names");
    let mut failures = String::new();
    for (what, globals, rest) in [
        ("made-up ids", &[] as &[&str], &[] as &[&str]),
        // Deleting would leave the other routes without their document.
        (
            "an id that exists",
            &["--config-file", settings],
            &["--exclude-method", "DELETE"],
        ),
    ] {
        let output = Command::new(&program)
            .arg("--no-color")
            .args(globals)
            .arg("run")
            .arg(format!("http://{}/openapi.json", app.address))
            .args(["--checks", CHECKS, "--max-examples", EXAMPLES])
            .args(["--phases", "examples,coverage,fuzzing", "--seed", "7470"])
            .args([
                "--request-timeout",
                "60",
                "--workers",
                "1",
                "--warnings",
                "off",
            ])
            .args(rest)
            .current_dir(app.home.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        if !output.status.success() {
            write!(
                failures,
                "==== with {what}\n{}\n{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            )
            .unwrap();
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// The program, in a virtual environment below `target` that later runs find again.
async fn install() -> Result<PathBuf, String> {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis");
    let program = venv.join("bin").join("schemathesis");
    let mark = venv.join(SCHEMATHESIS);
    if mark.exists() {
        return Ok(program);
    }
    let venv_text = venv
        .to_str()
        .ok_or("the path of the target folder is not UTF-8")?;
    run("python3", &["-m", "venv", venv_text]).await?;
    let pip = venv.join("bin").join("pip");
    run(
        pip.to_str()
            .ok_or("the path of the target folder is not UTF-8")?,
        &[
            "install",
            "--quiet",
            "--disable-pip-version-check",
            SCHEMATHESIS,
        ],
    )
    .await?;
    std::fs::write(mark, "").map_err(|error| error.to_string())?;
    Ok(program)
}

async fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        let text = String::from_utf8_lossy(&output.stderr);
        Err(text.lines().last().unwrap_or("no message").to_owned())
    }
}
