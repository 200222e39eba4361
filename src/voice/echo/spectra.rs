//! The arithmetic of comparing sounds: their bands, and by how much one is later than the other.

use std::{ops::Range, sync::Arc};

use realfft::{ComplexToReal, RealFftPlanner, RealToComplex, num_complex::Complex};

use super::{LATEST, Played, SPAN};
use crate::{domain::audio::LISTEN_RATE, ports::hearing::FRAME};

/// Samples of a comparison: room for both, so that nothing wraps around.
const COMPARED: usize = 1 << 15;
/// The spectrum of the product is whitened by its magnitude to this power.
const WHITENING: f32 = 0.9;
/// Where there is speech, Hz.
const SPEECH: Range<f32> = 150.0..6000.0;
/// Bands, Hz.
const EDGES: [f32; 11] = [
    150.0, 300.0, 450.0, 650.0, 900.0, 1250.0, 1700.0, 2300.0, 3100.0, 4200.0, 6000.0,
];
pub(super) const BANDS: usize = EDGES.len() - 1;

/// The power of each band.
pub(super) type Powers = [f32; BANDS];

/// The transforms, and what they need.
pub(super) struct Spectra {
    small: Arc<dyn RealToComplex<f32>>,
    large: Arc<dyn RealToComplex<f32>>,
    back: Arc<dyn ComplexToReal<f32>>,
    /// Hann's, of a frame and of all that is compared.
    window: [f32; FRAME],
    span: Vec<f32>,
    /// The first bin of each band, and the one after the last.
    bins: [usize; EDGES.len()],
}

impl Spectra {
    pub fn new() -> Self {
        let mut planner = RealFftPlanner::new();
        let bin = |hertz: f32| (hertz * FRAME as f32 / LISTEN_RATE as f32).ceil() as usize;
        Self {
            small: planner.plan_fft_forward(FRAME),
            large: planner.plan_fft_forward(COMPARED),
            back: planner.plan_fft_inverse(COMPARED),
            window: std::array::from_fn(|n| hann(n, FRAME)),
            span: (0..SPAN).map(|n| hann(n, SPAN)).collect(),
            bins: EDGES.map(bin),
        }
    }

    /// The power of each band of a frame.
    pub fn powers(&self, frame: &[f32]) -> Powers {
        let mut input: Vec<f32> = frame.iter().zip(&self.window).map(|(s, w)| s * w).collect();
        let mut output = self.small.make_output_vec();
        self.small
            .process(&mut input, &mut output)
            .expect("the lengths are the plan's");
        std::array::from_fn(|band| {
            let bins = self.bins[band]..self.bins[band + 1];
            output[bins].iter().map(Complex::norm_sqr).sum()
        })
    }

    /// The power of what was played so much earlier than the frame at `from`, or up to 8 ms later: echoes are no
    /// whole frames late.
    pub fn played(&self, played: &Played, from: u64, delay: usize) -> Powers {
        let at = from as i64 - delay as i64;
        let mut sound = [0.0; FRAME + FRAME / 4];
        played.read(at, &mut sound);
        let now = self.powers(&sound[..FRAME]);
        let later = self.powers(&sound[FRAME / 4..]);
        std::array::from_fn(|band| now[band].max(later[band]))
    }

    /// By how many samples what was heard (`SPAN`) is later than what was played (`LATEST` more, with the same
    /// end), and how plain that is: the peak over the root mean square of all delays.
    pub fn delay(&self, heard: &[f32], played: &[f32]) -> (usize, f32) {
        let heard = heard.iter().zip(&self.span).map(|(s, w)| s * w);
        let heard = self.spectrum(heard);
        let played = self.spectrum(played.iter().copied());
        let hertz = LISTEN_RATE as f32 / COMPARED as f32;
        let mut product: Vec<Complex<f32>> = heard
            .iter()
            .zip(&played)
            .enumerate()
            .map(|(bin, (heard, played))| {
                if !SPEECH.contains(&(bin as f32 * hertz)) {
                    return Complex::default();
                }
                let both = heard * played.conj();
                both / (both.norm().powf(WHITENING) + 1e-9)
            })
            .collect();
        let mut correlation = self.back.make_output_vec();
        self.back
            .process(&mut product, &mut correlation)
            .expect("the lengths are the plan's, and the first and the last bin are 0");
        // What was heard begins `LATEST` after what was played: a delay of 0 is a shift of `LATEST` back.
        let at = |delay: usize| correlation[(COMPARED + delay - LATEST) % COMPARED].abs();
        let (mut best, mut squares) = ((0, 0.0), 0.0);
        for delay in 0..LATEST {
            let value = at(delay);
            squares += value * value;
            if value > best.1 {
                best = (delay, value);
            }
        }
        let usual = (squares / LATEST as f32).sqrt();
        (best.0, best.1 / usual.max(f32::MIN_POSITIVE))
    }

    fn spectrum(&self, sound: impl Iterator<Item = f32>) -> Vec<Complex<f32>> {
        let mut input = self.large.make_input_vec();
        for (place, sample) in input.iter_mut().zip(sound) {
            *place = sample;
        }
        let mut output = self.large.make_output_vec();
        self.large
            .process(&mut input, &mut output)
            .expect("the lengths are the plan's");
        output
    }
}

/// Hann's window, periodic.
fn hann(n: usize, length: usize) -> f32 {
    let angle = std::f32::consts::TAU * n as f32 / length as f32;
    0.5 - 0.5 * angle.cos()
}
