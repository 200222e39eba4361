//! Telling a finding from what a reader copes with: panics that it catches itself are no findings, and the
//! message of one that is stands in the log.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, set_hook},
    sync::{Mutex, PoisonError},
};

/// What the last panic said and where.
static SAID: Mutex<String> = Mutex::new(String::new());

/// Called once before the first input, instead of libFuzzer's hook, which ends the process at every panic.
pub fn begin() {
    set_hook(Box::new(|panic| {
        *SAID.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
    }));
    notice_overflows();
}

/// Runs what is tested; a panic that leaves it ends the process, and libFuzzer keeps the input.
pub fn guard(test: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(test)).is_err() {
        let said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
        eprintln!("==== finding: {said}");
        std::process::abort();
    }
}

/// Gives signals a stack of their own. Otherwise a reader that recurses too deep ends the process before
/// libFuzzer has kept the input: it asks for such a stack only where the handler before it did.
fn notice_overflows() {
    const BYTES: usize = 256 * 1024;
    let stack = libc::stack_t {
        ss_sp: Box::leak(vec![0_u8; BYTES].into_boxed_slice())
            .as_mut_ptr()
            .cast(),
        ss_flags: 0,
        ss_size: BYTES,
    };
    // SAFETY: the stack is never freed, and the action is the default one with one flag more.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = libc::SIG_DFL;
        action.sa_flags = libc::SA_ONSTACK;
        assert_eq!(libc::sigaltstack(&stack, std::ptr::null_mut()), 0);
        for signal in [libc::SIGSEGV, libc::SIGBUS] {
            assert_eq!(
                libc::sigaction(signal, &action, std::ptr::null_mut()),
                0
            );
        }
    }
}
