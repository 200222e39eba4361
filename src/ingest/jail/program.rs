//! What another program can live with, which this process is about to become: it opens the files that it
//! is made of and no others, writes none, and reaches neither the network nor other processes.

use std::{collections::BTreeMap, path::Path};

use landlock::{
    ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    Scope, path_beneath_rules,
};
use rustix::process::{Resource, Signal, set_parent_process_death_signal};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

use super::confine::{NICENESS, close_inherited, limit};

/// The network, other processes, and the kernel's own affairs.
const DENIED: [libc::c_long; 22] = [
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kill,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_mount,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_chroot,
];

/// Applies all of it; the files below `readable` may be read and run. What this system lacks is left
/// out: the child that read the document has told it.
pub(super) fn confine(memory_bytes: u64, cpu_s: u64, readable: &[&Path]) {
    close_inherited();
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let _ = rustix::process::nice(NICENESS);
    drop(landlock(readable));
    for (resource, most) in [
        (Resource::As, memory_bytes),
        (Resource::Cpu, cpu_s),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nproc, 0),
        // Its libraries and its models.
        (Resource::Nofile, 64),
    ] {
        drop(limit(resource, most));
    }
    drop(seccomp());
}

fn landlock(readable: &[&Path]) -> Result<RulesetStatus, landlock::RulesetError> {
    let abi = ABI::V6;
    let rules = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?
        // What is not there is left out.
        .add_rules(path_beneath_rules(readable, AccessFs::from_read(abi)))?;
    rules.restrict_self().map(|status| status.ruleset)
}

fn seccomp() -> Result<(), String> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| e.to_string())?;
    let rules: BTreeMap<i64, _> = DENIED.into_iter().map(|call| (call, Vec::new())).collect();
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM as u32),
        architecture,
    );
    let program: BpfProgram = filter
        .and_then(TryInto::try_into)
        .map_err(|e| e.to_string())?;
    seccompiler::apply_filter(&program).map_err(|e| e.to_string())
}
