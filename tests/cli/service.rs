//! The daemon under a service manager: what it says, and when. The manager is a socket of the test's own.

use std::{
    io::{BufRead, BufReader},
    os::unix::net::UnixDatagram,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

/// The messages until one says `wanted`.
fn until(manager: &UnixDatagram, wanted: &str) -> Vec<String> {
    let mut heard = Vec::new();
    loop {
        let mut message = [0; 4096];
        let length = manager
            .recv(&mut message)
            .unwrap_or_else(|error| panic!("{wanted} was not said ({error}), but {heard:?}"));
        let message = String::from_utf8_lossy(&message[..length]).into_owned();
        let found = message.lines().any(|line| line == wanted);
        heard.push(message);
        if found {
            return heard;
        }
    }
}

#[test]
fn a_service_manager_hears_how_the_daemon_is() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    // So that a silence ends the test, however slow the machine is.
    manager
        .set_read_timeout(Some(Duration::from_secs(120)))
        .unwrap();
    let settings = home.path().join("griot.toml");
    std::fs::write(&settings, "[llm]\nupstreams = []\n").unwrap();
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_griot"))
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(&settings)
        .env("GRIOT_HOME", home.path())
        .env_remove("GLIBC_TUNABLES")
        .env("NOTIFY_SOCKET", &socket)
        .env("WATCHDOG_USEC", "300000")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&daemon);
    until(&manager, "READY=1");
    until(&manager, "WATCHDOG=1");

    // Its process is the one that was started, and its allocator gives memory back.
    if cfg!(target_env = "gnu") {
        let environment = std::fs::read(format!("/proc/{}/environ", daemon.id())).unwrap();
        let environment = String::from_utf8_lossy(&environment);
        assert!(
            environment.contains("GLIBC_TUNABLES=glibc.malloc."),
            "{environment}"
        );
    }
    let mut log = BufReader::new(daemon.stderr.take().unwrap()).lines();
    let mut logged = |wanted: &str| {
        log.by_ref()
            .map_while(Result::ok)
            .find(|line| line.contains(wanted))
            .unwrap_or_else(|| panic!("{wanted:?} was not logged"))
    };
    // What cannot be read changes nothing and says so; what can be read counts at once.
    std::fs::write(&settings, "[log]\nlevel = 7\n").unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    assert!(
        until(&manager, "READY=1")
            .iter()
            .any(|said| said.contains("RELOADING=1"))
    );
    assert!(logged("the settings stay as they were").contains("log.level"));
    std::fs::write(&settings, "[log]\nlevel = \"griot=debug\"\n").unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    until(&manager, "READY=1");
    logged("the settings were read again");

    kill_process(pid, Signal::TERM).unwrap();
    until(&manager, "STOPPING=1");
    logged("stopped");
    assert!(daemon.wait().unwrap().success());
}
