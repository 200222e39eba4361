//! Sound as the harness needs it: reading recordings, where in them somebody speaks, when an answer becomes
//! audible, noise. Everything is at 16 kHz, samples from -1 to 1. Knows no daemon and no clock.

use std::ops::Range;

use griot::domain::{audio::from_s16le, resample::resampled};

/// Samples a second of everything here.
pub const RATE: u32 = 16_000;
/// Samples of the window that levels are taken over: 10 ms.
const WINDOW: usize = RATE as usize / 100;
/// A louder window is heard (dBFS, root mean square): `voice.md`'s FAP.
pub const AUDIBLE_DB: f32 = -45.0;
/// How loud recordings are played (dBFS, over the stretch in which somebody speaks), so that the distance
/// to a noise is known.
pub const SPEECH_DB: f32 = -23.0;

/// Milliseconds of so many samples.
pub fn ms(samples: u64) -> f64 {
    samples as f64 * 1000.0 / f64::from(RATE)
}

/// Samples of so many milliseconds.
pub fn samples(ms: u64) -> usize {
    ms as usize * RATE as usize / 1000
}

/// The level of samples, dBFS; -120 of silence.
pub fn level(samples: &[f32]) -> f32 {
    let power = samples.iter().map(|s| s * s).sum::<f32>() / samples.len().max(1) as f32;
    (10.0 * power.log10()).max(-120.0)
}

/// The samples, so many decibels louder.
pub fn gained(samples: &[f32], db: f32) -> Vec<f32> {
    let gain = 10_f32.powf(db / 20.0);
    samples
        .iter()
        .map(|s| (s * gain).clamp(-1.0, 1.0))
        .collect()
}

/// The first sample of the first 10 ms that are audible.
pub fn first_audible(samples: &[f32]) -> Option<usize> {
    let loud = |window: &[f32]| level(window) > AUDIBLE_DB;
    samples.chunks(WINDOW).position(loud).map(|at| at * WINDOW)
}

/// Where somebody speaks in a recording: from the first to the last of its windows that stand out, by 12 dB
/// from the quietest tenth and by no more than 35 dB below the loudest twentieth. A single window (a click)
/// does not count. `None` where nothing stands out.
///
/// This is the reference for onset and end of speech: it looks at the recording alone, never at what the
/// daemon heard.
pub fn speech(samples: &[f32]) -> Option<Range<usize>> {
    let levels: Vec<f32> = samples.chunks_exact(WINDOW).map(level).collect();
    let mut sorted = levels.clone();
    sorted.sort_by(f32::total_cmp);
    let (quiet, loud) = (
        sorted.get(sorted.len() / 10)?,
        sorted.get(sorted.len() * 19 / 20)?,
    );
    // Where there is hardly a pause the quietest tenth is speech too.
    let least = (quiet + 12.0).min(loud - 20.0).max(loud - 35.0).max(-60.0);
    let speaks = |at: usize| {
        let near = &levels[at.saturating_sub(2)..(at + 3).min(levels.len())];
        levels[at] >= least && near.iter().filter(|level| **level >= least).count() >= 3
    };
    let first = (0..levels.len()).find(|at| speaks(*at))?;
    let last = (0..levels.len()).rfind(|at| speaks(*at))?;
    Some(first * WINDOW..(last + 1) * WINDOW)
}

/// The middle of the quietest 60 ms between 35 and 65 % of what is spoken: where a sentence can be torn
/// apart without cutting a word.
pub fn gap(samples: &[f32], spoken: &Range<usize>) -> usize {
    const WIDTH: usize = 6 * WINDOW;
    let length = spoken.len();
    let from = spoken.start + length * 35 / 100;
    let until = spoken.start + length * 65 / 100;
    let level_at = |at: usize| level(&samples[at..(at + WIDTH).min(samples.len())]);
    (from..until)
        .step_by(WINDOW)
        .min_by(|a, b| level_at(*a).total_cmp(&level_at(*b)))
        .map_or(from, |at| at + WIDTH / 2)
}

/// A RIFF file of 16-bit mono samples, at any rate.
pub fn read_wav(bytes: &[u8]) -> Option<Vec<f32>> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let half = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    if bytes.get(..4)? != b"RIFF" || bytes.get(8..12)? != b"WAVE" {
        return None;
    }
    let (mut at, mut rate) = (12, None);
    loop {
        let (name, length) = (bytes.get(at..at + 4)?, word(at + 4)? as usize);
        let begin = at + 8;
        match name {
            b"fmt " => {
                let (format, channels, bits) = (half(begin)?, half(begin + 2)?, half(begin + 14)?);
                if (format, channels, bits) != (1, 1, 16) {
                    return None;
                }
                rate = word(begin + 4);
            }
            b"data" => {
                // A file that was streamed does not know its length.
                let end = begin.saturating_add(length).min(bytes.len());
                let samples: Vec<f32> = from_s16le(bytes.get(begin..end)?).collect();
                return Some(resampled(&samples, rate?, RATE));
            }
            _ => {}
        }
        at = begin.checked_add(length)?.next_multiple_of(2);
    }
}

/// Chance that is the same in every run: a linear congruential generator (Knuth's MMIX constants), whose
/// upper bits are used.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// From 0 to 1.
    pub fn share(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// One of `0..below`.
    pub fn below(&mut self, below: u64) -> u64 {
        ((f64::from(self.share()) * below as f64) as u64).min(below.saturating_sub(1))
    }

    /// White noise of this level, dBFS.
    pub fn noise(&mut self, db: f32) -> f32 {
        // Evenly from -1 to 1 has a power of a third.
        (self.share() * 2.0 - 1.0) * 3_f32.sqrt() * 10_f32.powf(db / 20.0)
    }
}
