//! The scale that hearing models see sound in: 80 bands, narrow where the ear is fine. The filters are those
//! of librosa (`filters.mel`, Slaney's scale and norm), bit for bit, as Whisper was trained with.

/// Samples of one look at the sound, at 16 kHz: 25 ms.
pub const WINDOW: usize = 400;
/// Frequencies of a look: 0 to 8 kHz in steps of 40 Hz.
pub const BINS: usize = WINDOW / 2 + 1;
/// Bands.
pub const BANDS: usize = 80;

/// Hz a bin.
const STEP: f64 = 40.0;
/// Mels are linear below, logarithmic above: `MEL` mels at `HZ`.
const HZ: f64 = 1000.0;
const MEL: f64 = 15.0;

/// How much of each frequency is in each band: `[BANDS, BINS]`, row after row.
#[must_use]
pub fn filters() -> Vec<f32> {
    // 27 mels for each factor of 6.4.
    let log_step = 6.4_f64.ln() / 27.0;
    let top = MEL + (8000.0 / HZ).ln() / log_step;
    let step = top / (BANDS + 1) as f64;
    let edges: Vec<f64> = (0..BANDS + 2)
        .map(|n| {
            let mel = if n == BANDS + 1 { top } else { n as f64 * step };
            if mel >= MEL {
                HZ * (log_step * (mel - MEL)).exp()
            } else {
                200.0 / 3.0 * mel
            }
        })
        .collect();
    let mut filters = Vec::with_capacity(BANDS * BINS);
    for band in edges.windows(3) {
        let [low, middle, high] = [band[0], band[1], band[2]];
        let area = 2.0 / (high - low);
        for bin in 0..BINS {
            let hz = bin as f64 * STEP;
            let rising = -(low - hz) / (middle - low);
            let falling = (high - hz) / (high - middle);
            // Rounded twice, as the original does it.
            let weight = rising.min(falling);
            let weight = if weight > 0.0 { weight as f32 } else { 0.0 };
            filters.push((f64::from(weight) * area) as f32);
        }
    }
    // The original has a negative zero here, and models are compared byte for byte.
    filters[0] = -0.0;
    filters
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_filters_are_those_of_the_published_file() {
        // `mel_80` of `mel_filters.npz` as openai-whisper 20250625 has it, hashed here.
        let bytes: Vec<u8> = filters().iter().flat_map(|w| w.to_le_bytes()).collect();
        assert_eq!(
            hex::encode(Sha256::digest(&bytes)),
            "4f2701b1d287d74a0dc9871026e9519d98cb76426615f2539b0d151a0ae4ec2e"
        );
    }
}
