//! The last half minute of what was heard, by its place in time.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use super::session::Ms;

/// Samples a millisecond, at the rate that ears work at.
const PER_MS: u64 = 16;
/// Samples kept: 30 s. A turn is written down in pieces shorter than this.
const KEPT: usize = 30_000 * PER_MS as usize;

/// A ring of samples at 16 kHz.
#[derive(Debug, Default)]
pub struct Ring {
    samples: VecDeque<f32>,
    /// Samples that came in, ever.
    heard: u64,
}

impl Ring {
    /// Takes what comes next; the oldest makes room.
    pub fn push(&mut self, samples: &[f32]) {
        self.heard += samples.len() as u64;
        self.samples.extend(samples);
        let over = self.samples.len().saturating_sub(KEPT);
        self.samples.drain(..over);
    }

    /// A stretch of it, of a long one the end; silence stands for what is lost or has not come.
    #[must_use]
    pub fn stretch(&self, stretch: Range<Ms>) -> Arc<[f32]> {
        let begins = self.heard - self.samples.len() as u64;
        let start = stretch
            .start
            .max(stretch.end.saturating_sub(KEPT as u64 / PER_MS));
        (start * PER_MS..stretch.end * PER_MS)
            .map(|at| {
                at.checked_sub(begins)
                    .and_then(|at| self.samples.get(at as usize))
                    .copied()
                    .unwrap_or(0.0)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_half_minute() {
        let mut ring = Ring::default();
        for second in 0..40 {
            ring.push(&vec![second as f32; 16_000]);
        }
        let at = |from: Ms, to: Ms| {
            let stretch = ring.stretch(from..to);
            (stretch.len(), stretch[0], stretch[stretch.len() - 1])
        };
        assert_eq!(at(39_000, 40_000), (16_000, 39.0, 39.0));
        assert_eq!(at(20_000, 21_010), (16_160, 20.0, 21.0));
        assert_eq!(
            at(0, 11_000),
            (176_000, 0.0, 10.0),
            "what is gone is silent"
        );
        assert_eq!(at(39_990, 40_010).2, 0.0, "what has not come is too");
        let long = ring.stretch(0..40_000);
        assert_eq!((long.len(), long[0], long[KEPT - 1]), (KEPT, 10.0, 39.0));
    }
}
