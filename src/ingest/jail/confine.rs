//! What the child denies itself, before it reads a byte of the document.
//!
//! - what it did not ask for: descriptors that came along, a life beyond the daemon's, a memory image
//!   that others could take;
//! - resource limits: address space, CPU seconds, no new files, no core, nothing written to disk;
//! - Landlock: no file, no TCP port, no signal or abstract socket outside;
//! - seccomp: a short list of system calls (see `system_calls`); every other one fails with `EPERM`, so
//!   that a library that asks for more gets an error instead of a death.
//!
//! Where the kernel lacks one, the child goes on with the others and says so.

use std::{fs, os::fd::RawFd};

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, getrlimit, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit,
};

use super::system_calls;

/// The main thread's stack may grow to this. Parsers recurse; the kernel lets the main thread's stack
/// grow while the limit is raised, up to the 128 MiB it keeps free below it.
const STACK_BYTES: u64 = 64 * 1024 * 1024;

/// Behind questions that are being answered, which matter more than documents that wait.
pub const NICENESS: i32 = 10;

/// Applies all of it. Gives a note for each protection this system does not have.
pub fn confine(memory_bytes: u64, cpu_s: u64) -> Vec<String> {
    let mut notes = Vec::new();
    let mut try_to = |what: &str, done: Result<(), String>| {
        if let Err(why) = done {
            notes.push(format!("{what}: {why}"));
        }
    };
    // Before `/proc/self` is closed to a process whose image nobody may take.
    close_inherited();
    try_to(
        "end with the daemon",
        // A daemon that was killed leaves no reader behind that waits for ever. The thread that started
        // this process is one of the runtime's own, which last as long as the daemon.
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(|e| e.to_string()),
    );
    try_to(
        "no image",
        // The limit on cores does not hold where they go to a program; this does.
        set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|e| e.to_string()),
    );
    // Raised first, lowered last: a limit on open files would stop Landlock's own.
    try_to("stack limit", stack());
    try_to(
        "priority",
        rustix::process::nice(NICENESS)
            .map(drop)
            .map_err(|e| e.to_string()),
    );
    // Readers may ask for a pool of threads; they get the one thread there is.
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .use_current_thread()
        .build_global();
    try_to("one thread", pool.map_err(|e| e.to_string()));
    try_to("Landlock", landlock());
    for (resource, most, what) in [
        (Resource::As, memory_bytes, "address-space limit"),
        (Resource::Cpu, cpu_s, "CPU limit"),
        (Resource::Core, 0, "core limit"),
        (Resource::Fsize, 0, "file-size limit"),
        (Resource::Nproc, 0, "process limit"),
        (Resource::Nofile, 0, "open-files limit"),
    ] {
        try_to(what, limit(resource, most));
    }
    try_to("seccomp", system_calls::restrict());
    notes
}

/// The daemon's own descriptors end at the start of another program. One that the daemon itself
/// inherited (from a shell, a service manager) does not, and has no business here.
pub(super) fn close_inherited() {
    /// Descriptors looked at where `/proc` is not mounted.
    const MOST: RawFd = 4096;
    let open: Vec<RawFd> = match fs::read_dir("/proc/self/fd") {
        Ok(entries) => entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect(),
        Err(_) => (0..MOST).collect(),
    };
    for descriptor in open.into_iter().filter(|fd| *fd > 2) {
        // The list's own is closed already, which is no harm: this is the only thread.
        let _ = nix::unistd::close(descriptor);
    }
}

pub(super) fn limit(resource: Resource, most: u64) -> Result<(), String> {
    // The hard CPU limit is a second later: the soft one's signal (SIGXCPU) tells the parent why.
    let hard = most + u64::from(resource == Resource::Cpu);
    let wanted = Rlimit {
        current: Some(most),
        maximum: Some(
            getrlimit(resource)
                .maximum
                .map_or(hard, |now| now.min(hard)),
        ),
    };
    setrlimit(resource, wanted).map_err(|e| e.to_string())
}

fn stack() -> Result<(), String> {
    let now = getrlimit(Resource::Stack);
    let wanted = Rlimit {
        current: Some(
            now.maximum
                .map_or(STACK_BYTES, |hard| hard.min(STACK_BYTES)),
        ),
        maximum: now.maximum,
    };
    setrlimit(Resource::Stack, wanted).map_err(|e| e.to_string())
}

fn landlock() -> Result<(), String> {
    // The newest the crate knows; it asks for as much of it as the kernel has.
    let abi = ABI::V6;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(abi)))
        .and_then(|rules| rules.scope(Scope::from_all(abi)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(|e| e.to_string())?;
    match status.ruleset {
        RulesetStatus::NotEnforced => Err("this kernel does not have it".to_owned()),
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
    }
}
