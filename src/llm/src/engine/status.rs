//! What the engine is at, for `/api/ps`.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{shelf::Weights, wire::keep_alive::KeepAlive};

/// Written by the engine, read by anyone.
#[derive(Debug, Default)]
pub struct Status {
    /// Held for moments, never across an await.
    loaded: Mutex<Option<Loaded>>,
    running: AtomicUsize,
    served: AtomicU64,
    cancelled: AtomicU64,
    read_tokens: AtomicU64,
    written_tokens: AtomicU64,
}

/// The model in memory.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub weights: Arc<Weights>,
    /// Tokens.
    pub context_length: usize,
    /// `None`: never, or not while it is at work.
    pub expires_at: Option<jiff::Timestamp>,
}

/// Requests since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// At work now: 0 or 1.
    pub running: usize,
    /// Worked off to the end, well or with an error.
    pub served: u64,
    /// Given up because the client had left.
    pub cancelled: u64,
    /// Tokens of prompts that were evaluated; those found in the cache are not.
    pub read_tokens: u64,
    /// Tokens of replies that were evaluated.
    pub written_tokens: u64,
}

impl Status {
    fn lock(&self) -> MutexGuard<'_, Option<Loaded>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn model(&self) -> Option<Loaded> {
        self.lock().clone()
    }

    pub fn requests(&self) -> Requests {
        Requests {
            running: self.running.load(Ordering::Relaxed),
            served: self.served.load(Ordering::Relaxed),
            cancelled: self.cancelled.load(Ordering::Relaxed),
            read_tokens: self.read_tokens.load(Ordering::Relaxed),
            written_tokens: self.written_tokens.load(Ordering::Relaxed),
        }
    }

    pub(super) fn loaded(&self, weights: &Arc<Weights>, context_length: usize) {
        *self.lock() = Some(Loaded {
            weights: Arc::clone(weights),
            context_length,
            expires_at: None,
        });
    }

    pub(super) fn unloaded(&self) {
        *self.lock() = None;
    }

    /// The model stays for `keep_alive` from now. Returns when it has to go.
    pub(super) fn kept(&self, keep_alive: KeepAlive) -> Option<Instant> {
        let time = match keep_alive {
            KeepAlive::Forever => None,
            KeepAlive::For(time) => Some(time),
        };
        if let Some(loaded) = self.lock().as_mut() {
            loaded.expires_at = time.and_then(later);
        }
        time.and_then(|time| Instant::now().checked_add(time))
    }

    pub(super) fn begins(&self) {
        self.running.store(1, Ordering::Relaxed);
        if let Some(loaded) = self.lock().as_mut() {
            loaded.expires_at = None;
        }
    }

    pub(super) fn ends(&self, left: bool) {
        self.running.store(0, Ordering::Relaxed);
        let counter = if left { &self.cancelled } else { &self.served };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self, tokens: usize) {
        self.read_tokens.fetch_add(tokens as u64, Ordering::Relaxed);
    }

    pub(super) fn wrote_one(&self) {
        self.written_tokens.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn cancelled_many(&self, count: usize) {
        self.cancelled.fetch_add(count as u64, Ordering::Relaxed);
    }
}

fn later(time: Duration) -> Option<jiff::Timestamp> {
    jiff::Timestamp::now()
        .checked_add(jiff::SignedDuration::try_from(time).ok()?)
        .ok()
}
