//! Sound between the devices and the daemon, as numbers: what a microphone gives becomes frames at the
//! protocol's rate with a level, what the daemon sends becomes what a loudspeaker takes. No device is known
//! here, and no clock.

use std::collections::VecDeque;

use crate::domain::{
    audio::{LISTEN_RATE, from_s16le, s16},
    resample::Resampler,
};

/// Samples of one frame that is sent: 20 ms.
const FRAME: usize = LISTEN_RATE as usize / 50;
/// Sound that waits to be heard, at most: the daemon sends 300 ms ahead; more is a loudspeaker that is gone.
const LONGEST_S: usize = 10;
/// An answer while somebody speaks into it: -12 dB, as the daemon lowers what it has not sent yet.
const LOWERED: f32 = 0.25;

/// Sound of a microphone, one channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// Samples a second.
    pub rate: u32,
    pub samples: Vec<f32>,
}

/// A microphone's sound on its way to the daemon.
#[derive(Debug)]
pub struct Ear {
    rate: u32,
    resampler: Resampler,
    /// No whole frame yet.
    partial: Vec<f32>,
    level: f32,
}

impl Default for Ear {
    fn default() -> Self {
        Self {
            rate: LISTEN_RATE,
            resampler: Resampler::new(LISTEN_RATE, LISTEN_RATE),
            partial: Vec::new(),
            level: f32::NEG_INFINITY,
        }
    }
}

impl Ear {
    /// Takes sound, gives whole frames: 16-bit samples at [`LISTEN_RATE`], the lower byte first.
    pub fn hear(&mut self, heard: &Heard) -> Vec<Vec<u8>> {
        if heard.rate != self.rate && heard.rate > 0 {
            // Another device than before.
            self.rate = heard.rate;
            self.resampler = Resampler::new(heard.rate, LISTEN_RATE);
        }
        let samples = self.resampler.push(&heard.samples);
        if !samples.is_empty() {
            let power = samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32;
            self.level = 10.0 * power.log10();
        }
        self.partial.extend(samples);
        let whole = self.partial.len() / FRAME * FRAME;
        let frames: Vec<f32> = self.partial.drain(..whole).collect();
        frames
            .chunks(FRAME)
            .map(|frame| s16(frame).flat_map(i16::to_le_bytes).collect())
            .collect()
    }

    /// How loud the last sound was, dBFS.
    pub fn level(&self) -> f32 {
        self.level
    }

    /// Forgets what is no whole frame: another turn begins.
    pub fn clear(&mut self) {
        self.partial.clear();
    }
}

/// The daemon's sound on its way to a loudspeaker.
#[derive(Debug)]
pub struct Mouth {
    /// Samples a second of what comes, and of what the loudspeaker takes.
    come: u32,
    taken: u32,
    resampler: Resampler,
    waiting: VecDeque<f32>,
}

impl Mouth {
    /// Nothing is to be said yet.
    pub fn new(come: u32, taken: u32) -> Self {
        Self {
            come,
            taken,
            resampler: Resampler::new(come.max(1), taken.max(1)),
            waiting: VecDeque::new(),
        }
    }

    /// Another rate of the daemon, or of the loudspeaker. What waits is forgotten.
    pub fn set_rates(&mut self, come: Option<u32>, taken: Option<u32>) {
        *self = Self::new(come.unwrap_or(self.come), taken.unwrap_or(self.taken));
    }

    /// Sound of the daemon: 16-bit samples, the lower byte first.
    pub fn say(&mut self, bytes: &[u8]) {
        let samples: Vec<f32> = from_s16le(bytes).collect();
        self.waiting.extend(self.resampler.push(&samples));
        let most = self.taken as usize * LONGEST_S;
        if self.waiting.len() > most {
            self.waiting.drain(..self.waiting.len() - most);
        }
    }

    /// Lowers what waits: somebody speaks into it.
    pub fn lower(&mut self) {
        self.waiting
            .iter_mut()
            .for_each(|sample| *sample *= LOWERED);
    }

    /// Silence, at once.
    pub fn hush(&mut self) {
        self.waiting.clear();
        self.resampler = Resampler::new(self.come.max(1), self.taken.max(1));
    }

    /// The next sample that is heard; silence where nothing waits.
    pub fn pull(&mut self) -> f32 {
        self.waiting.pop_front().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, seconds: f32) -> Vec<f32> {
        let samples = (rate as f32 * seconds) as usize;
        let step = 440.0 * std::f32::consts::TAU / rate as f32;
        (0..samples)
            .map(|n| (n as f32 * step).sin() * 0.5)
            .collect()
    }

    /// How often it goes through zero upwards, a second.
    fn pitch(samples: &[f32], rate: u32) -> f32 {
        let crossings = samples.windows(2).filter(|w| w[0] < 0.0 && w[1] >= 0.0);
        crossings.count() as f32 * rate as f32 / samples.len() as f32
    }

    #[test]
    fn whatever_the_microphone_s_rate_frames_are_at_ours() {
        for rate in [8_000, 16_000, 44_100, 48_000] {
            let mut ear = Ear::default();
            let mut bytes = Vec::new();
            for samples in tone(rate, 1.0).chunks(777) {
                let samples = samples.to_vec();
                for frame in ear.hear(&Heard { rate, samples }) {
                    assert_eq!(frame.len(), FRAME * 2);
                    bytes.extend(frame);
                }
            }
            let samples: Vec<f32> = from_s16le(&bytes).collect();
            assert!(samples.len() > 15_000, "{rate}: {}", samples.len());
            let heard = pitch(&samples, LISTEN_RATE);
            assert!((heard - 440.0).abs() < 5.0, "{rate}: {heard}");
            assert!((ear.level() + 9.0).abs() < 1.0, "{rate}: {}", ear.level());
        }
    }

    #[test]
    fn whatever_the_loudspeaker_s_rate_the_voice_keeps_its_pitch() {
        for rate in [16_000, 44_100, 48_000] {
            let mut mouth = Mouth::new(24_000, rate);
            let bytes: Vec<u8> = s16(&tone(24_000, 1.0)).flat_map(i16::to_le_bytes).collect();
            for piece in bytes.chunks(960) {
                mouth.say(piece);
            }
            let heard: Vec<f32> = (0..rate * 9 / 10).map(|_| mouth.pull()).collect();
            let pitch = pitch(&heard, rate);
            assert!((pitch - 440.0).abs() < 5.0, "{rate}: {pitch}");
        }
    }

    #[test]
    fn what_waits_is_lowered_and_hushed() {
        let mut mouth = Mouth::new(24_000, 24_000);
        mouth.say(&8192_i16.to_le_bytes().repeat(3));
        assert_eq!(mouth.pull(), 0.25);
        mouth.lower();
        assert_eq!(mouth.pull(), 0.0625);
        mouth.hush();
        assert_eq!(mouth.pull(), 0.0);
    }

    #[test]
    fn a_loudspeaker_that_is_gone_keeps_nothing_for_long() {
        let mut mouth = Mouth::new(8_000, 8_000);
        for n in 0..30_i16 {
            mouth.say(&(n * 1000).to_le_bytes().repeat(8_000));
        }
        let first = mouth.pull();
        assert!((first - 20_000.0 / 32_768.0).abs() < 0.001, "{first}");
    }
}
