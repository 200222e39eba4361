//! When to stop: on SIGTERM or SIGINT what is in hand is finished; when standard input ends the
//! parent is gone, nobody reads the answers, and everything ends at once.

use std::{io::Read, thread, time::Duration};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The two ways to stop.
#[derive(Debug, Clone)]
pub struct Stopping {
    /// Take nothing new, finish what is in hand. Also cancelled with `now`.
    pub drain: CancellationToken,
    /// Drop everything.
    pub now: CancellationToken,
}

/// Starts to watch for signals and, where asked, for the end of standard input. The watchers end
/// with the process: one task that waits for a signal, one thread that waits for input.
pub fn watch(stdin: bool) -> std::io::Result<Stopping> {
    let drain = CancellationToken::new();
    let stopping = Stopping {
        now: CancellationToken::new(),
        drain,
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (signalled, now) = (stopping.drain.clone(), stopping.now.clone());
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = now.cancelled() => {}
        }
        signalled.cancel();
    });
    if stdin {
        let now = stopping.now.clone();
        thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(move || {
                until_end(std::io::stdin().lock());
                now.cancel();
            })?;
    }
    Ok(stopping)
}

/// Reads and forgets until there is no more.
fn until_end(mut input: impl Read) {
    let mut buffer = [0; 256];
    while matches!(input.read(&mut buffer), Ok(read) if read > 0) {}
}

/// Comes back when waiting is over: at once with `now`, `grace` after `drain`.
pub async fn deadline(stopping: &Stopping, grace: Duration) {
    let drained = async {
        stopping.drain.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        () = drained => {}
        () = stopping.now.cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stopping() -> Stopping {
        Stopping {
            drain: CancellationToken::new(),
            now: CancellationToken::new(),
        }
    }

    #[tokio::test]
    async fn a_drain_waits_for_its_grace_and_not_for_ever() {
        let stopping = stopping();
        let waiting = deadline(&stopping, Duration::ZERO);
        tokio::pin!(waiting);
        assert!(
            futures::poll!(&mut waiting).is_pending(),
            "nothing has happened yet"
        );
        stopping.drain.cancel();
        waiting.await;
    }

    #[tokio::test]
    async fn the_end_of_input_does_not_wait() {
        let stopping = stopping();
        stopping.now.cancel();
        deadline(&stopping, Duration::MAX).await;
    }

    #[test]
    fn input_is_read_to_its_end() {
        until_end(&b"anything at all"[..]);
    }
}
