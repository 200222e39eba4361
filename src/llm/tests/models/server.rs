//! The worker as a child process.

use std::{
    env,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use serde_json::{Value, json};

use crate::client::{Response, send};

/// The name the worker serves the weights under.
pub const MODEL: &str = "small";

/// The file of the 0.5B model, or `None` after saying what to do. The fast tier has no models
/// (`scripts/test.sh` says which tier it is).
pub fn weights() -> Option<PathBuf> {
    if env::var_os("GRIOT_TEST_TIER").is_some_and(|tier| tier == "fast") {
        println!("skipped: this is the fast tier, which runs no models");
        return None;
    }
    let path = env::var_os("GRIOT_TEST_LLM")
        .map(PathBuf::from)
        .or_else(|| {
            let data = env::var_os("XDG_DATA_HOME")
                .map(PathBuf::from)
                .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".local/share")))?;
            Some(data.join("griot/models/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"))
        })?;
    if path.is_file() {
        return Some(path);
    }
    println!(
        "skipped: {} is not there; run `griot models pull --profile small` or set GRIOT_TEST_LLM",
        path.display()
    );
    None
}

/// A running worker. It ends when this is dropped, and when the test process does, because its
/// standard input ends.
pub struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
    pub address: SocketAddr,
}

impl Server {
    /// Starts a worker of this test's own; `None` where there are no weights.
    pub fn start(flags: &[&str]) -> Option<Self> {
        let weights = weights()?;
        let model = format!("{MODEL}={}", weights.display());
        Some(Self::start_with(&[&["--model", &model], flags].concat()))
    }

    pub fn start_with(flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_griot-llm"))
            .args(["--listen", "127.0.0.1:0", "--stop-on-stdin-eof"])
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .strip_prefix("listening http://")
            .and_then(|address| address.trim().parse().ok())
            .unwrap_or_else(|| panic!("the worker said {line:?}"));
        Self {
            child,
            stdin,
            address,
        }
    }

    pub fn get(&self, path: &str) -> Response {
        send(self.address, "GET", path, &[], b"")
    }

    pub fn post(&self, path: &str, body: &Value) -> Response {
        send(self.address, "POST", path, &[], body.to_string().as_bytes())
    }

    /// A whole reply; its status has to be 200.
    pub fn chat(&self, mut body: Value) -> Value {
        body["model"] = json!(MODEL);
        body["stream"] = json!(false);
        let response = self.post("/api/chat", &body);
        let status = response.status;
        let reply = response.json();
        assert_eq!(status, 200, "{reply}");
        reply
    }

    /// `/api/ps`.
    pub fn ps(&self) -> Value {
        self.get("/api/ps").json()
    }

    /// A counter of `/api/ps`.
    pub fn count(&self, name: &str) -> u64 {
        self.ps()["requests"][name]
            .as_u64()
            .unwrap_or_else(|| panic!("no counter {name}"))
    }

    /// Asks `/api/ps` until a counter is as it should be.
    pub fn until(&self, name: &str, holds: impl Fn(u64) -> bool) {
        while !holds(self.count(name)) {
            std::thread::yield_now();
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends standard input, as the end of the parent does.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stdin = None;
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// One worker for all tests that do not mind what others left in its cache, one test at a time.
pub fn shared() -> Option<MutexGuard<'static, Server>> {
    static SHARED: OnceLock<Option<Mutex<Server>>> = OnceLock::new();
    let server = SHARED
        .get_or_init(|| Server::start(&["--context", "2048"]).map(Mutex::new))
        .as_ref();
    if server.is_none() {
        weights();
    }
    // A test that failed leaves a server that works.
    server.map(|server| server.lock().unwrap_or_else(PoisonError::into_inner))
}

/// One message of a user.
pub fn user(content: &str) -> Value {
    json!([{"role": "user", "content": content}])
}

/// The text of a reply, or of a line of one.
pub fn content(reply: &Value) -> &str {
    reply["message"]["content"]
        .as_str()
        .unwrap_or_else(|| panic!("no content in {reply}"))
}
