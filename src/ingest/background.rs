//! Threads for work that takes long and can wait, such as cutting a text of megabytes: they give way to
//! whoever asks a question.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::LazyLock,
};

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::oneshot;

use super::jail::NICENESS;

/// As many threads as there are cores. None where the system gives no threads; then the work is done at the
/// usual priority.
static THREADS: LazyLock<Option<ThreadPool>> = LazyLock::new(|| {
    ThreadPoolBuilder::new()
        .thread_name(|number| format!("background-{number}"))
        // On Linux niceness is a thread's own.
        .start_handler(|_| {
            let _ = rustix::process::nice(NICENESS);
        })
        .build()
        .inspect_err(|error| tracing::warn!(%error, "no threads for background work"))
        .ok()
});

/// Runs `work` at a low priority. It runs to its end even when the caller is cancelled.
///
/// # Errors
/// When the work panicked.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let Some(threads) = &*THREADS else {
        return Ok(tokio::task::spawn_blocking(work).await?);
    };
    let (done, result) = oneshot::channel();
    // A panic that left this closure would end the program.
    threads.spawn(move || drop(catch_unwind(AssertUnwindSafe(|| done.send(work())))));
    result
        .await
        .map_err(|_| io::Error::other("the work panicked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_gives_way_and_a_panic_is_an_error() {
        let here = rustix::process::nice(0).unwrap();
        let there = run(|| rustix::process::nice(0).unwrap()).await;
        assert_eq!(there.unwrap(), (here + NICENESS).min(19));
        assert_eq!(rustix::process::nice(0).unwrap(), here);
        let panicked = run(|| panic!("on purpose")).await;
        assert!(panicked.is_err());
    }
}
