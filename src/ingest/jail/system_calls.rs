//! The system calls that the child keeps. Everything it could do harm with goes through one that is not
//! here, or that is here for some arguments only: what is open may be read and written, memory may be
//! had but not executed, and a signal reaches nobody but the child itself.
//!
//! A reader that needs one more gets `EPERM` and usually goes on. Think twice before adding a call, and
//! add it with the narrowest arguments that do.

use std::collections::BTreeMap;

use rustix::process::getpid;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

/// Allowed with any arguments: closing, memory, time, randomness, itself, and ending.
const ALWAYS: [libc::c_long; 19] = [
    libc::SYS_close,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
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
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

const STDIN: u64 = 0;
const STDOUT: u64 = 1;
const STDERR: u64 = 2;

/// Allowed when the argument of that number is one of these values. A descriptor that came along by
/// mistake can thus not be read, and a limit's signal not be ignored: of the signals only those are the
/// child's to handle that tell a crash.
const ONLY_WITH: [(libc::c_long, u8, &[u64]); 7] = [
    (libc::SYS_read, 0, &[STDIN]),
    (libc::SYS_readv, 0, &[STDIN]),
    (libc::SYS_lseek, 0, &[STDIN]),
    (libc::SYS_fstat, 0, &[STDIN, STDOUT, STDERR]),
    (libc::SYS_write, 0, &[STDOUT, STDERR]),
    (libc::SYS_writev, 0, &[STDOUT, STDERR]),
    (
        libc::SYS_rt_sigaction,
        0,
        &[
            libc::SIGSEGV as u64,
            libc::SIGBUS as u64,
            libc::SIGABRT as u64,
        ],
    ),
];

/// Lets only these calls through from now on; every other one fails with `EPERM`.
pub(super) fn restrict() -> Result<(), String> {
    let own = getpid().as_raw_nonzero().get() as u64;
    let program = program(own).map_err(|e| e.to_string())?;
    seccompiler::apply_filter(&program).map_err(|e| e.to_string())
}

fn program(own: u64) -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALWAYS.into_iter().map(|call| (call, Vec::new())).collect();
    for (call, argument, values) in ONLY_WITH {
        let any = values
            .iter()
            .map(|value| SeccompRule::new(vec![equal(argument, *value)?]));
        rules.insert(call, any.collect::<Result<_, _>>()?);
    }
    let executable = libc::PROT_EXEC as u64;
    let anonymous = libc::MAP_ANONYMOUS as u64;
    rules.extend([
        // Fresh memory only: a file that is open could be read by mapping it.
        (
            libc::SYS_mmap,
            vec![SeccompRule::new(vec![
                masked(2, executable, 0)?,
                masked(3, anonymous, anonymous)?,
            ])?],
        ),
        // Code that a document smuggled in stays data.
        (
            libc::SYS_mprotect,
            vec![SeccompRule::new(vec![masked(2, executable, 0)?])?],
        ),
        // How a process aborts. Anybody else's process is out of reach.
        (
            libc::SYS_tgkill,
            vec![SeccompRule::new(vec![equal(0, own)?])?],
        ),
    ]);
    SeccompFilter::new(
        rules,
        SeccompAction::Errno(libc::EPERM as u32),
        SeccompAction::Allow,
        TargetArch::try_from(std::env::consts::ARCH)?,
    )?
    .try_into()
}

/// Descriptors, protections and numbers of processes are 32 bits wide; the kernel ignores the rest.
fn equal(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

fn masked(argument: u8, mask: u64, value: u64) -> Result<SeccompCondition, BackendError> {
    let operator = SeccompCmpOp::MaskedEq(mask);
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: u64 = 4711;

    /// What the kernel would do with a call: the program, run as the kernel runs it (classic BPF over
    /// `struct seccomp_data`, see seccomp(2)). Only the instructions that the compiler uses.
    fn verdict(program: &BpfProgram, architecture: u32, call: u32, arguments: [u64; 6]) -> u32 {
        let word = |offset: u32| match offset {
            0 => call,
            4 => architecture,
            16.. => {
                let argument = arguments[(offset as usize - 16) / 8];
                (argument >> (8 * (offset % 8))) as u32
            }
            other => panic!("{other} is not looked at"),
        };
        let (mut at, mut accumulator) = (0_usize, 0_u32);
        loop {
            let step = &program[at];
            at += 1;
            let jump = |taken: bool| usize::from(if taken { step.jt } else { step.jf });
            match step.code {
                0x20 => accumulator = word(step.k),
                0x54 => accumulator &= step.k,
                0x05 => at += step.k as usize,
                0x15 => at += jump(accumulator == step.k),
                0x25 => at += jump(accumulator > step.k),
                0x35 => at += jump(accumulator >= step.k),
                0x06 => return step.k,
                code => panic!("{code:#x} is no instruction of these"),
            }
        }
    }

    fn allowed(call: libc::c_long, arguments: [u64; 6]) -> bool {
        let program = program(OWN).unwrap();
        // The program begins by comparing the architecture with its own.
        let verdict = verdict(&program, program[1].k, call as u32, arguments);
        assert!(
            [
                libc::SECCOMP_RET_ALLOW,
                libc::SECCOMP_RET_ERRNO | libc::EPERM as u32
            ]
            .contains(&verdict)
        );
        verdict == libc::SECCOMP_RET_ALLOW
    }

    #[test]
    fn nothing_that_is_not_listed_is_allowed() {
        let program = program(OWN).unwrap();
        let listed = |call: i64| {
            let more = [libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_tgkill];
            ALWAYS.contains(&call)
                || ONLY_WITH.iter().any(|(only, _, _)| *only == call)
                || more.contains(&call)
        };
        // Twice the calls there are, and those of the 32-bit interface on x86-64.
        for call in (0..1000).chain(0x4000_0000..0x4000_0400) {
            for argument in [0, 1, 2, 3, OWN, u64::MAX] {
                let verdict = verdict(&program, program[1].k, call as u32, [argument; 6]);
                assert!(listed(call) || verdict != libc::SECCOMP_RET_ALLOW, "{call}");
            }
        }
        let foreign = verdict(&program, program[1].k ^ 1, libc::SYS_exit as u32, [0; 6]);
        assert_eq!(foreign, libc::SECCOMP_RET_KILL_PROCESS);
    }

    #[test]
    fn descriptors_that_came_along_are_of_no_use() {
        for (call, descriptor, expected) in [
            (libc::SYS_read, 0, true),
            (libc::SYS_read, 1, false),
            (libc::SYS_read, 3, false),
            (libc::SYS_read, 0x1_0000_0003, false),
            (libc::SYS_write, 0, false),
            (libc::SYS_write, 1, true),
            (libc::SYS_write, 2, true),
            (libc::SYS_write, 9, false),
            (libc::SYS_writev, 3, false),
            (libc::SYS_fstat, 3, false),
            (libc::SYS_lseek, 3, false),
            (libc::SYS_pread64, 0, false),
            (libc::SYS_sendto, 3, false),
            (libc::SYS_sendmsg, 3, false),
            (libc::SYS_dup, 0, false),
            (libc::SYS_fcntl, 0, false),
            (libc::SYS_ioctl, 0, false),
        ] {
            assert_eq!(
                allowed(call, [descriptor, 0, 0, 0, 0, 0]),
                expected,
                "{call} on {descriptor}"
            );
        }
    }

    #[test]
    fn memory_is_for_data() {
        let (read, write, execute) = (1, 2, 4);
        let (private, anonymous) = (2, 0x20);
        for (protection, flags, expected) in [
            (read | write, private | anonymous, true),
            (0, private | anonymous, true),
            (read | write | execute, private | anonymous, false),
            (execute, private | anonymous, false),
            (read, private, false),
        ] {
            let arguments = [0, 4096, protection, flags, u64::MAX, 0];
            assert_eq!(
                allowed(libc::SYS_mmap, arguments),
                expected,
                "{arguments:?}"
            );
        }
        assert!(allowed(
            libc::SYS_mprotect,
            [0, 4096, read | write, 0, 0, 0]
        ));
        assert!(!allowed(
            libc::SYS_mprotect,
            [0, 4096, read | execute, 0, 0, 0]
        ));
    }

    #[test]
    fn nobody_else_is_signalled_or_looked_into() {
        assert!(allowed(libc::SYS_tgkill, [OWN, OWN, 6, 0, 0, 0]));
        assert!(!allowed(libc::SYS_tgkill, [OWN - 1, OWN - 1, 9, 0, 0, 0]));
        // Neither the limit on time nor the end of the daemon can be ignored.
        for signal in [libc::SIGXCPU, libc::SIGTERM, libc::SIGALRM] {
            assert!(!allowed(
                libc::SYS_rt_sigaction,
                [signal as u64, 0, 0, 8, 0, 0]
            ));
        }
        for call in [
            libc::SYS_kill,
            libc::SYS_tkill,
            libc::SYS_rt_sigqueueinfo,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_pidfd_open,
            libc::SYS_pidfd_getfd,
            libc::SYS_clone,
            libc::SYS_clone3,
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_socket,
            libc::SYS_connect,
            libc::SYS_openat,
            libc::SYS_memfd_create,
            libc::SYS_io_uring_setup,
            libc::SYS_bpf,
            libc::SYS_userfaultfd,
            libc::SYS_prctl,
            libc::SYS_setrlimit,
            libc::SYS_prlimit64,
            libc::SYS_seccomp,
            libc::SYS_unshare,
            libc::SYS_mount,
        ] {
            assert!(!allowed(call, [0; 6]), "{call}");
        }
    }
}
