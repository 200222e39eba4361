//! Who has the worker next. It writes one utterance down at a time, so only one is sent to it, and what it is
//! given it begins at once. What counts goes before looks, and of either the oldest.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::ports::Purpose;

/// Utterances that wait at most, of all callers.
const WAITING: usize = 64;

/// Those who wait for the worker.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Held for a look or a change, never across an await, nor while a turn is dropped.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: bool,
    finals: VecDeque<oneshot::Sender<Turn>>,
    looks: VecDeque<oneshot::Sender<Turn>>,
}

/// The worker is its holder's. Dropped, it goes to the next.
#[derive(Debug)]
pub(super) struct Turn(Option<Arc<Line>>);

impl Line {
    /// Waits for the worker; `None` when too many do.
    pub(super) async fn turn(self: &Arc<Self>, purpose: Purpose) -> Option<Turn> {
        let waiting = {
            let mut state = self.state();
            if !state.taken {
                state.taken = true;
                return Some(Turn(Some(Arc::clone(self))));
            }
            state.finals.retain(|waiting| !waiting.is_closed());
            state.looks.retain(|waiting| !waiting.is_closed());
            if state.finals.len() + state.looks.len() >= WAITING {
                return None;
            }
            let (turn, waiting) = oneshot::channel();
            match purpose {
                Purpose::Final => state.finals.push_back(turn),
                Purpose::Partial => state.looks.push_back(turn),
            }
            waiting
        };
        // Whoever waits is given it in the end: turns end with their calls.
        waiting.await.ok()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(mut line) = self.0.take() else {
            return;
        };
        loop {
            let next = {
                let mut state = line.state();
                let next = (state.finals.pop_front()).or_else(|| state.looks.pop_front());
                state.taken = next.is_some();
                next
            };
            let Some(next) = next else { return };
            match next.send(Self(Some(line))) {
                Ok(()) => return,
                // They wait no more.
                Err(mut turn) => match turn.0.take() {
                    Some(back) => line = back,
                    None => return,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn what_counts_goes_first_and_who_has_gone_not_at_all() {
        let line = Arc::new(Line::default());
        let first = line.turn(Purpose::Partial).await;
        let mut waiting = Vec::new();
        for (name, purpose) in [
            ("look", Purpose::Partial),
            ("gone", Purpose::Final),
            ("one", Purpose::Final),
            ("two", Purpose::Final),
        ] {
            let mut turn = Box::pin({
                let line = Arc::clone(&line);
                async move { line.turn(purpose).await }
            });
            assert!((&mut turn).now_or_never().is_none(), "{name}");
            waiting.push((name, turn));
        }
        drop(waiting.remove(1));
        let mut held = first;
        let mut order = Vec::new();
        while !waiting.is_empty() {
            drop(held.take());
            let next =
                (0..waiting.len()).find_map(|n| Some((n, (&mut waiting[n].1).now_or_never()?)));
            let (n, turn) = next.expect("somebody has it next");
            order.push(waiting.remove(n).0);
            held = turn;
        }
        assert_eq!(order, ["one", "two", "look"]);
        drop(held);
        assert!(line.turn(Purpose::Partial).now_or_never().is_some());
    }

    #[tokio::test]
    async fn it_is_bounded() {
        let line = Arc::new(Line::default());
        let held = line.turn(Purpose::Final).await;
        let mut waiting: Vec<_> = (0..WAITING)
            .map(|_| Box::pin(line.turn(Purpose::Partial)))
            .collect();
        for turn in &mut waiting {
            assert!(turn.now_or_never().is_none());
        }
        assert!(line.turn(Purpose::Final).await.is_none());
        waiting.clear();
        let next = line.turn(Purpose::Final);
        drop(held);
        assert!(next.await.is_some(), "nobody waits any more");
    }
}
