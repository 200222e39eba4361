//! How the daemon's memory allocator gives memory back.
//!
//! Each question asked aloud takes and frees some tens of megabytes (the speech, the models' layers). glibc learns
//! from that to keep such blocks (its threshold for a mapping of their own rises up to 32 MiB, and twice as much is
//! kept free at the end of each of up to eight arenas per core): a daemon that has talked for an hour held 170 MB more
//! than it used. With fixed thresholds and few arenas they go back to the system at once. glibc reads these settings
//! as a program starts ("Memory Allocation Tunables" in its manual), so the daemon starts itself once more with them;
//! its process id stays the same.

use std::{env, ffi::OsStr, os::unix::process::CommandExt, process::Command};

const TUNABLES: &str = "GLIBC_TUNABLES";
/// Blocks of 1 MiB and more have a mapping of their own; 1 MiB is kept free at an arena's end; four arenas.
const GIVE_BACK: &str = "glibc.malloc.mmap_threshold=1048576:glibc.malloc.trim_threshold=1048576:\
                         glibc.malloc.arena_max=4";

/// Starts this program anew with the settings above. Comes back where they are set, or whoever runs the daemon has
/// set some of their own, or it cannot be done: it works without them, too.
pub fn settle() {
    let own = |(name, _): (std::ffi::OsString, _)| is_setting(&name);
    if !cfg!(target_env = "gnu") || env::vars_os().any(own) {
        return;
    }
    let mut arguments = env::args_os();
    let (Some(name), Ok(program)) = (arguments.next(), env::current_exe()) else {
        return;
    };
    // It only comes back with an error.
    let _ = Command::new(program)
        .arg0(name)
        .args(arguments)
        .env(TUNABLES, GIVE_BACK)
        .exec();
}

fn is_setting(name: &OsStr) -> bool {
    name == TUNABLES || name.as_encoded_bytes().starts_with(b"MALLOC_")
}
