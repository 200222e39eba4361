//! How llama.cpp's threads wait for each other.
//!
//! They meet some five hundred times a token. OpenMP lets them spin there, which on a machine that
//! does anything else burns the very core that the other thread is waiting for. Measured here on 2
//! cores with about four other busy processes, 0.5B Q4_K_M, 2 threads, tokens written a second
//! (a CPU second):
//!
//! | waiting | |
//! |---|---|
//! | as OpenMP comes (spins) | 4.0 (6.1) |
//! | `GOMP_SPINCOUNT=20000` | 3.7 (3.8) |
//! | `GOMP_SPINCOUNT=1000` | 17.0 (17.7) |
//! | `OMP_WAIT_POLICY=passive` (sleeps) | 21.3 (21.6) |
//! | one thread | 16.6 (24.9) |
//!
//! So they sleep, unless the environment says otherwise. Without OpenMP llama.cpp's own threads
//! always spin, so it stays on. OpenMP reads its environment when the program is loaded, before
//! `main`: hence a second start in place, which costs a millisecond.

use std::{env, io, os::unix::process::CommandExt, process::Command};

/// Either of these set means that somebody chose already (or that this is the second start).
const CHOSEN: [&str; 2] = ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"];

/// Starts this program again in place, with threads that sleep while they wait. Returns where that
/// was done already, or cannot be done: then it only runs slower.
pub fn settle() {
    if CHOSEN.iter().any(|name| env::var_os(name).is_some()) {
        return;
    }
    let error = env::current_exe().map_or_else(|error| error, again);
    eprintln!(
        "griot-llm: cannot start again with sleeping threads ({error}); going on with spinning ones"
    );
}

/// Returns only when it failed.
fn again(program: std::path::PathBuf) -> io::Error {
    Command::new(program)
        .args(env::args_os().skip(1))
        .env(CHOSEN[0], "passive")
        .exec()
}
