//! What the child denies itself, before it reads a byte of the document.
//!
//! - resource limits: address space, CPU seconds, no new files, no core, nothing written to disk;
//! - Landlock: no file, no TCP port, no signal or abstract socket outside;
//! - seccomp: a short list of system calls; every other one fails with `EPERM`, so that a library that
//!   asks for more gets an error instead of a death.
//!
//! Where the kernel lacks one, the child goes on with the others and says so.

use std::collections::BTreeMap;

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

/// The main thread's stack may grow to this. Parsers recurse; the kernel lets the main thread's stack
/// grow while the limit is raised, up to the 128 MiB it keeps free below it.
const STACK_BYTES: u64 = 64 * 1024 * 1024;

/// Behind questions that are being answered, which matter more than documents that wait.
const NICENESS: i32 = 10;

/// Applies all of it. Gives a note for each protection this system does not have.
pub(super) fn confine(memory_bytes: u64, cpu_s: u64) -> Vec<String> {
    let mut notes = Vec::new();
    let mut try_to = |what: &str, done: Result<(), String>| {
        if let Err(why) = done {
            notes.push(format!("{what}: {why}"));
        }
    };
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
    try_to("seccomp", seccomp());
    notes
}

fn limit(resource: Resource, most: u64) -> Result<(), String> {
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

/// Reading what is open, writing what is open, memory, time, randomness, and ending.
const ALLOWED: [libc::c_long; 29] = [
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_tgkill,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

fn seccomp() -> Result<(), String> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| e.to_string())?;
    let rules: BTreeMap<i64, _> = ALLOWED.into_iter().map(|call| (call, Vec::new())).collect();
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Errno(libc::EPERM as u32),
        SeccompAction::Allow,
        architecture,
    );
    let program: BpfProgram = filter
        .and_then(TryInto::try_into)
        .map_err(|e| e.to_string())?;
    seccompiler::apply_filter(&program).map_err(|e| e.to_string())
}
