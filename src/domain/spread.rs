//! Spreading things over time, so that many who wait for the same do not come back at the same moment.

use std::time::Duration;

/// A number in `[0, 1)`. Not for secrets: where the system has no randomness to give it is the middle.
#[must_use]
pub fn jitter() -> f64 {
    getrandom::u32().map_or(0.5, |bits| f64::from(bits) / (f64::from(u32::MAX) + 1.0))
}

/// A wait, a quarter shorter or longer: as it is where `jitter` is 0.5.
#[must_use]
pub fn around(wait: Duration, jitter: f64) -> Duration {
    wait.mul_f64(0.75 + jitter.clamp(0.0, 1.0) / 2.0)
}
