//! From one sample rate to another, as a stream: pieces of any length give what the whole would.

use std::f64::consts::PI;

/// Zero crossings of the kernel on each side of its middle.
const REACH: f64 = 12.0;

/// A windowed sinc (Hann), tabled for each place that an output sample can have between two of the input.
#[derive(Debug, Clone)]
pub struct Resampler {
    /// The input's and the output's share of their common rate.
    from: u64,
    to: u64,
    /// `[to, 2 * half]`: the weights of the samples around each place.
    table: Vec<f32>,
    /// Input samples on each side that count.
    half: usize,
    /// Input that later output still needs; before the first there was silence.
    kept: Vec<f32>,
    /// The place of `kept[0]` in the input, moved by `half`.
    first: u64,
    /// The number of the next output sample.
    next: u64,
    /// Input samples so far.
    come: u64,
}

impl Resampler {
    /// From `from` to `to` samples a second, neither of which is 0.
    ///
    /// # Panics
    /// When one of them is 0.
    #[must_use]
    pub fn new(from: u32, to: u32) -> Self {
        assert!(from > 0 && to > 0, "a rate of 0 is no rate");
        let common = gcd(from, to);
        let (from, to) = (from / common, to / common);
        // Low enough for both.
        let cutoff = (f64::from(to) / f64::from(from)).min(1.0);
        let half = (REACH / cutoff).ceil() as usize;
        let mut table = Vec::new();
        if from != to {
            table.reserve(to as usize * 2 * half);
            for place in 0..to {
                let offset = f64::from(place) / f64::from(to);
                table.extend((0..2 * half).map(|k| {
                    let distance = offset + half as f64 - 1.0 - k as f64;
                    (kernel(distance * cutoff) * cutoff) as f32
                }));
            }
        }
        Self {
            from: u64::from(from),
            to: u64::from(to),
            table,
            half,
            kept: vec![0.0; half],
            first: 0,
            next: 0,
            come: 0,
        }
    }

    /// Takes the next samples, gives those that are certain now.
    pub fn push(&mut self, samples: &[f32]) -> Vec<f32> {
        if self.from == self.to {
            return samples.to_vec();
        }
        self.come += samples.len() as u64;
        self.take(samples, u64::MAX)
    }

    /// The rest, as if silence followed.
    pub fn finish(&mut self) -> Vec<f32> {
        if self.from == self.to {
            return Vec::new();
        }
        let most = (self.come * self.to).div_ceil(self.from);
        self.take(&vec![0.0; self.half + 1], most)
    }

    fn take(&mut self, samples: &[f32], most: u64) -> Vec<f32> {
        self.kept.extend_from_slice(samples);
        let width = 2 * self.half;
        let mut out = Vec::with_capacity(samples.len() * self.to as usize / self.from as usize + 1);
        while self.next < most {
            let scaled = self.next * self.from;
            // The first of the samples that count, in `kept`.
            let begin = (scaled / self.to + 1 - self.first) as usize;
            let Some(around) = self.kept.get(begin..begin + width) else {
                break;
            };
            let place = (scaled % self.to) as usize * width;
            let weights = &self.table[place..place + width];
            out.push(
                around
                    .iter()
                    .zip(weights)
                    .map(|(sample, weight)| sample * weight)
                    .sum(),
            );
            self.next += 1;
        }
        let needed = (self.next * self.from / self.to + 1 - self.first) as usize;
        let gone = needed.min(self.kept.len());
        self.kept.drain(..gone);
        self.first += gone as u64;
        out
    }
}

/// All of it at once.
#[must_use]
pub fn resampled(samples: &[f32], from: u32, to: u32) -> Vec<f32> {
    let mut resampler = Resampler::new(from, to);
    let mut out = resampler.push(samples);
    out.extend(resampler.finish());
    out
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn kernel(x: f64) -> f64 {
    if x.abs() >= REACH {
        return 0.0;
    }
    let window = 0.5 + 0.5 * (PI * x / REACH).cos();
    if x == 0.0 {
        window
    } else {
        window * (PI * x).sin() / (PI * x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hertz: f64, samples: usize) -> Vec<f32> {
        (0..samples)
            .map(|n| (0.5 * (n as f64 * hertz * 2.0 * PI / f64::from(rate)).sin()) as f32)
            .collect()
    }

    fn power(samples: &[f32]) -> f32 {
        samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32
    }

    #[test]
    fn tones_stay_and_what_is_too_high_goes() {
        let check = |from: u32, to: u32, hertz: f64, stays: bool| {
            let out = resampled(&tone(from, hertz, from as usize), from, to);
            assert_eq!(out.len(), to as usize, "a second stays a second");
            let wanted = tone(to, hertz, to as usize);
            let middle = to as usize / 4..to as usize / 2;
            let (out, wanted) = (&out[middle.clone()], &wanted[middle]);
            if stays {
                let difference: Vec<f32> = out.iter().zip(wanted).map(|(a, b)| a - b).collect();
                assert!(
                    power(&difference) < 1e-4 * power(wanted),
                    "{from} {to} {hertz}"
                );
            } else {
                assert!(power(out) < 1e-3 * power(wanted), "{from} {to} {hertz}");
            }
        };
        check(44_100, 16_000, 440.0, true);
        check(22_050, 24_000, 3000.0, true);
        check(8_000, 16_000, 1000.0, true);
        check(16_000, 16_000, 5000.0, true);
        check(11_025, 16_000, 100.0, true);
        check(48_000, 16_000, 12_000.0, false);
    }

    #[test]
    fn pieces_give_what_the_whole_does() {
        let sound = tone(44_100, 700.0, 10_000);
        let whole = resampled(&sound, 44_100, 16_000);
        for piece in [1, 7, 160, 4096] {
            let mut resampler = Resampler::new(44_100, 16_000);
            let mut out: Vec<f32> = sound
                .chunks(piece)
                .flat_map(|part| resampler.push(part))
                .collect();
            out.extend(resampler.finish());
            assert_eq!(out, whole, "{piece}");
        }
        assert!(resampled(&[], 44_100, 16_000).is_empty());
    }
}
