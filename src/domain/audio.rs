//! Sound as numbers: one channel, a sample rate.

use std::time::Duration;

/// The rate that ears and the transcriber work at, in samples a second.
pub const LISTEN_RATE: u32 = 16_000;

/// One channel of sound; samples are from -1 to 1.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pcm {
    pub samples: Vec<f32>,
    /// Samples a second.
    pub rate: u32,
}

impl Pcm {
    /// How long it lasts.
    #[must_use]
    pub fn duration(&self) -> Duration {
        if self.rate == 0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64(self.samples.len() as f64 / f64::from(self.rate))
    }

    /// As 16-bit samples, the lower byte first. What is beyond the range is cut.
    #[must_use]
    pub fn to_s16le(&self) -> Vec<u8> {
        s16(&self.samples).flat_map(i16::to_le_bytes).collect()
    }
}

/// 16-bit samples; what is beyond the range is cut.
pub fn s16(samples: &[f32]) -> impl Iterator<Item = i16> {
    samples
        .iter()
        // A cast of what is no number gives 0, one beyond the range its end.
        .map(|sample| (sample * f32::from(i16::MAX)).round() as i16)
}

/// The samples of 16-bit PCM, the lower byte first; half a sample at the end is left out.
pub fn from_s16le(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes
        .chunks_exact(2)
        .map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32768.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_become_bytes_and_back() {
        let check = |samples: &[f32], expected: &[i16]| {
            let pcm = Pcm {
                samples: samples.to_vec(),
                rate: LISTEN_RATE,
            };
            let bytes: Vec<u8> = expected.iter().flat_map(|s| s.to_le_bytes()).collect();
            assert_eq!(pcm.to_s16le(), bytes);
        };
        check(&[0.0, 1.0, -1.0], &[0, 32767, -32767]);
        check(&[2.0, -7.0, f32::NAN], &[32767, -32768, 0]);
        let back: Vec<f32> = from_s16le(&[0, 0x80, 0, 0x40, 9]).collect();
        assert_eq!(back, [-1.0, 0.5]);
    }

    #[test]
    fn durations() {
        let pcm = |samples, rate| Pcm {
            samples: vec![0.0; samples],
            rate,
        };
        assert_eq!(pcm(8000, LISTEN_RATE).duration().as_millis(), 500);
        assert_eq!(pcm(8000, 0).duration(), Duration::ZERO);
    }
}
