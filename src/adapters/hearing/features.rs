//! Sound as Whisper sees it: the logarithm of its power in 80 bands, every 10 ms.
//!
//! As `WhisperFeatureExtractor` of the transformers library makes it with `do_normalize`, which is what Smart
//! Turn was trained with.

use std::{
    f64::consts::PI,
    sync::{Arc, LazyLock},
};

use realfft::{RealFftPlanner, RealToComplex};

use crate::{
    domain::{
        audio::LISTEN_RATE,
        mel::{self, BANDS, BINS, WINDOW},
    },
    ports::hearing::TURN_S,
};

/// Samples from one look to the next: 10 ms.
const HOP: usize = 160;
/// Samples that are looked at.
const SAMPLES: usize = (TURN_S * LISTEN_RATE) as usize;
/// Looks.
const LOOKS: usize = SAMPLES / HOP;

/// What does not depend on the sound.
struct Tables {
    /// Hann's, periodic.
    window: Vec<f64>,
    /// Of each band, its first bin and the weights from there.
    bands: Vec<(usize, Vec<f64>)>,
    transform: Arc<dyn RealToComplex<f64>>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let angle = |n: usize| 2.0 * PI * n as f64 / WINDOW as f64;
    let filters = mel::filters();
    Tables {
        window: (0..WINDOW).map(|n| 0.5 - 0.5 * angle(n).cos()).collect(),
        bands: filters
            .chunks_exact(BINS)
            .map(|band| {
                let heard = |weight: &f32| *weight > 0.0;
                let first = band.iter().position(heard).unwrap_or(0);
                let last = band.iter().rposition(heard).unwrap_or(0);
                (
                    first,
                    band[first..=last].iter().map(|w| f64::from(*w)).collect(),
                )
            })
            .collect(),
        transform: RealFftPlanner::new().plan_fft_forward(WINDOW),
    }
});

/// The last eight seconds, `[BANDS, LOOKS]`; what is missing to eight is silence before.
pub(super) fn of_turn(samples: &[f32]) -> Vec<f32> {
    let last = &samples[samples.len().saturating_sub(SAMPLES)..];
    let mut sound = vec![0.0_f32; SAMPLES];
    sound[SAMPLES - last.len()..].copy_from_slice(last);
    normalise(&mut sound);
    log_mel(&sound)
}

/// To a mean of 0 and a variance of 1.
fn normalise(sound: &mut [f32]) {
    let count = sound.len() as f64;
    let mean = sound.iter().map(|s| f64::from(*s)).sum::<f64>() / count;
    let variance = sound
        .iter()
        .map(|s| (f64::from(*s) - mean).powi(2))
        .sum::<f64>()
        / count;
    let deviation = (variance + 1e-7).sqrt();
    for sample in sound {
        *sample = ((f64::from(*sample) - mean) / deviation) as f32;
    }
}

fn log_mel(sound: &[f32]) -> Vec<f32> {
    let tables = &*TABLES;
    let mut features = vec![0.0; BANDS * LOOKS];
    let mut most = f64::NEG_INFINITY;
    let mut look = tables.transform.make_input_vec();
    let mut spectrum = tables.transform.make_output_vec();
    let mut scratch = tables.transform.make_scratch_vec();
    let mut power = [0.0; BINS];
    for n in 0..LOOKS {
        let middle = n * HOP;
        for (k, (value, weight)) in look.iter_mut().zip(&tables.window).enumerate() {
            // What lies before the beginning and after the end is what lies beside them, mirrored.
            let at = (middle + k).abs_diff(WINDOW / 2);
            let at = if at < sound.len() {
                at
            } else {
                2 * sound.len() - 2 - at
            };
            *value = f64::from(sound[at]) * weight;
        }
        tables
            .transform
            .process_with_scratch(&mut look, &mut spectrum, &mut scratch)
            .expect("the lengths are the plan's");
        for (power, value) in power.iter_mut().zip(&spectrum) {
            *power = value.norm_sqr();
        }
        for (band, (first, weights)) in tables.bands.iter().enumerate() {
            let sum: f64 = weights
                .iter()
                .zip(&power[*first..])
                .map(|(w, p)| w * p)
                .sum();
            let log = sum.max(1e-10).log10();
            most = most.max(log);
            features[band * LOOKS + n] = log;
        }
    }
    let least = most - 8.0;
    (features.iter())
        .map(|log| ((log.max(least) + 4.0) / 4.0) as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sound that anybody can make again: two tones, one of which gets louder, for five seconds.
    fn sound() -> Vec<f32> {
        (0..5 * LISTEN_RATE)
            .map(|n| {
                let t = f64::from(n) / f64::from(LISTEN_RATE);
                let tone = |hz: f64| (2.0 * PI * hz * t).sin();
                (0.3 * tone(440.0) + 0.05 * t * tone(2500.0)) as f32
            })
            .collect()
    }

    #[test]
    fn the_features_are_those_of_the_reference() {
        // (band, look, value) as numpy 2 makes them of the same sound, following the transformers library.
        let reference: &[(usize, usize, f32)] = &[
            (0, 0, -0.30760),
            (0, 299, 0.57475),
            (5, 300, 1.15191),
            (10, 400, 1.60293),
            (17, 500, -0.30760),
            (17, 799, 0.65863),
            (30, 350, -0.30760),
            (45, 640, -0.17147),
            (56, 500, -0.30760),
            (57, 799, 0.30429),
            (60, 700, -0.30760),
            (79, 301, -0.30760),
            (79, 799, -0.03475),
        ];
        let features = of_turn(&sound());
        assert_eq!(features.len(), BANDS * LOOKS);
        for (band, look, expected) in reference {
            let value = features[band * LOOKS + look];
            assert!(
                (value - expected).abs() < 1e-4,
                "{band} {look}: {value}, not {expected}"
            );
        }
    }

    #[test]
    fn any_length_will_do() {
        for samples in [0, 1, 160, SAMPLES - 1, SAMPLES, SAMPLES + 12_345] {
            let features = of_turn(&vec![0.1; samples]);
            assert!(features.iter().all(|value| value.is_finite()), "{samples}");
        }
    }
}
