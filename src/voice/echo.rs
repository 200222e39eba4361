//! Which of what is heard is our own voice, come back from a loudspeaker.
//!
//! What was sent and what is heard are compared as sound. Where one is the other, later and softer, their
//! generalised cross-correlation with phase transform (GCC-PHAT; Knapp and Carter, "The generalized correlation
//! method for estimation of time delay", 1976) has one sharp peak, whatever the room adds; somebody else's speech
//! has none. From the delay that it shows, and from how loud each band comes back, follows for each frame how
//! much of it is ours.
//!
//! The thresholds were chosen on recorded speech, as the echo (-6 to -24 dB, 20 to 400 ms, three rooms) and as
//! somebody else's. In 60 answers the echo was found 60 times, half of them within 128 ms of its beginning and nine
//! of ten within 448; then 97 % of its frames were taken for ours, and of those in which somebody else speaks into it
//! 24 %. Without an echo one was found three times, and no loud frame was taken for it
//! (`cargo test --release --lib voice::echo -- --nocapture` says the like).

mod spectra;

use std::{collections::VecDeque, sync::LazyLock};

use spectra::{BANDS, Powers, Spectra};

use super::session::{FRAME_MS, Ms};
use crate::{
    domain::{audio::LISTEN_RATE, resample::Resampler},
    ports::hearing::FRAME,
};

/// Samples a millisecond.
const PER_MS: u64 = LISTEN_RATE as u64 / 1000;
/// Samples of what is heard that are compared at once: half a second.
const SPAN: usize = 16 * FRAME;
/// The echo comes back after so many samples, at most: a second.
const LATEST: usize = LISTEN_RATE as usize;
/// Frames from one comparison to the next.
const EVERY: u32 = 4;
/// What is softer (mean square) is not compared: -50 and -60 dBFS.
const HEARD_LEAST: f32 = 1e-5;
const PLAYED_LEAST: f32 = 1e-6;
/// The peak over the root mean square of all delays: from here on it is an echo, and from here on if the
/// comparison before had its peak at the same delay.
const PLAIN: f32 = 18.0;
const TWICE: f32 = 11.0;
/// Samples that two peaks of the same delay are apart, at most.
const SAME: usize = 12;
/// The share of the frames compared that a new echo has to explain: a peak by chance explains few.
const EXPLAINS: f32 = 0.6;
/// And one whose peaks are not plain.
const EXPLAINS_ALL: f32 = 0.8;
/// The bands that have to sound (with this share of the power): tones are alike at many delays, voices at one.
const WIDE: usize = 4;
const SHARE: f32 = 3e-3;
/// Comparisons of two loud sounds after which an echo that was not found again is none.
const FORGOTTEN: u32 = 40;
/// Comparisons after which its loudness is known: half a second.
const SETTLED: u32 = 4;
/// What a room keeps of a sound's power from one frame to the next.
const RINGS: f32 = 0.5;
/// A band is explained by the echo up to 9 dB above what is expected of it.
const ABOVE: f32 = 8.0;
/// A frame that counts: the power of its bands at -50 dBFS.
const LOUD: f32 = 1e-5 * (FRAME * FRAME) as f32 * 3.0 / 16.0;
/// A frame is ours when no more of its power is unexplained.
const UNEXPLAINED: f32 = 0.3;

/// Planned once: they hold no sound.
static SPECTRA: LazyLock<Spectra> = LazyLock::new(Spectra::new);

/// What the caller plays, by the time of their microphone.
struct Played {
    samples: VecDeque<f32>,
    /// The place of its first sample.
    first: u64,
    /// The end of the last sound in it.
    sounds_until: u64,
}

impl Played {
    fn end(&self) -> u64 {
        self.first + self.samples.len() as u64
    }

    /// Sound that is played from a place on, or behind what is played already.
    fn push(&mut self, at: u64, sound: &[f32]) {
        if self.end() < at {
            let gap = (at - self.end()) as usize;
            if gap > SPAN + LATEST {
                self.samples.clear();
                self.first = at;
            } else {
                self.samples.resize(self.samples.len() + gap, 0.0);
            }
        }
        self.samples.extend(sound);
        self.sounds_until = self.end();
    }

    fn forget_before(&mut self, at: u64) {
        let gone = at.saturating_sub(self.first).min(self.samples.len() as u64);
        self.samples.drain(..gone as usize);
        self.first += gone;
    }

    fn forget_after(&mut self, at: u64) {
        let kept = at.saturating_sub(self.first) as usize;
        self.samples.truncate(kept);
        self.sounds_until = self.sounds_until.min(at);
    }

    /// A stretch; where nothing is played it is silent.
    fn read(&self, from: i64, into: &mut [f32]) {
        for (n, sample) in into.iter_mut().enumerate() {
            let place = from + n as i64 - self.first as i64;
            *sample = usize::try_from(place)
                .ok()
                .and_then(|place| self.samples.get(place))
                .copied()
                .unwrap_or(0.0);
        }
    }
}

/// The way from the loudspeaker back to the microphone.
struct Path {
    /// In samples.
    delay: usize,
    /// Of each band's power.
    gains: Powers,
    /// What still rings of what was played.
    tail: Powers,
    /// Comparisons since it was found.
    unseen: u32,
    /// Comparisons that found it.
    seen: u32,
}

/// Our own voice, as it is sent and as it may come back.
pub struct OwnVoice {
    played: Played,
    heard: VecDeque<f32>,
    /// Which of its frames were told to be ours.
    told: VecDeque<bool>,
    /// The end of what was heard.
    until: u64,
    rate: u32,
    resampler: Resampler,
    path: Option<Path>,
    /// The delay of the last comparison, if it had a peak.
    candidate: Option<usize>,
    frames: u32,
}

impl Default for OwnVoice {
    fn default() -> Self {
        Self {
            played: Played {
                samples: VecDeque::new(),
                first: 0,
                sounds_until: 0,
            },
            heard: VecDeque::new(),
            told: VecDeque::new(),
            until: 0,
            rate: LISTEN_RATE,
            resampler: Resampler::new(LISTEN_RATE, LISTEN_RATE),
            path: None,
            candidate: None,
            frames: 0,
        }
    }
}

impl OwnVoice {
    /// This is sent, to be played now or when what was sent before has been.
    pub fn says(&mut self, now: Ms, samples: &[i16], rate: u32) {
        if rate != self.rate {
            self.rate = rate;
            self.resampler = Resampler::new(rate, LISTEN_RATE);
        }
        let samples: Vec<f32> = samples.iter().map(|s| f32::from(*s) / 32768.0).collect();
        let sound = self.resampler.push(&samples);
        if !sound.is_empty() {
            self.played.push(now * PER_MS, &sound);
        }
    }

    /// What was sent and not played is void.
    pub fn hushes(&mut self, now: Ms) {
        self.played.forget_after(now * PER_MS);
    }

    /// Takes the frame that was heard from `now` on. Gives how much of what was heard until its end is ours:
    /// nothing, the frame, or, where an echo was just found or is just known better, more.
    pub fn hears(&mut self, now: Ms, frame: &[f32; FRAME]) -> Ms {
        let from = now * PER_MS;
        match from.checked_sub(self.until) {
            // What got lost on a busy machine: the rest still tells.
            Some(gap) if gap < SPAN as u64 => {
                self.heard.extend(std::iter::repeat_n(0.0, gap as usize));
                let frames = (gap as usize).div_ceil(FRAME);
                self.told.extend(std::iter::repeat_n(false, frames));
            }
            _ => {
                self.heard.clear();
                self.told.clear();
            }
        }
        self.until = from + FRAME as u64;
        self.heard.extend(frame);
        let surplus = self.heard.len().saturating_sub(SPAN);
        self.heard.drain(..surplus);
        self.told.push_back(false);
        let surplus = self.told.len().saturating_sub(SPAN / FRAME);
        self.told.drain(..surplus);
        self.played
            .forget_before(from.saturating_sub((SPAN + LATEST) as u64));
        // Nothing can come back any more.
        if from > self.played.sounds_until + LATEST as u64 {
            self.candidate = None;
            if let Some(path) = &mut self.path {
                path.tail = [0.0; BANDS];
            }
            return 0;
        }
        let explained = self.is_explained(from, frame);
        if let Some(told) = self.told.back_mut() {
            *told = explained;
        }
        let mut own = if explained { FRAME_MS } else { 0 };
        self.frames += 1;
        if self.frames.is_multiple_of(EVERY)
            && self.heard.len() == SPAN
            && let Some(peak) = self.compare()
        {
            own += self.learn(if peak >= PLAIN {
                EXPLAINS
            } else {
                EXPLAINS_ALL
            });
        }
        own
    }

    /// Whether most of a frame is what comes back of what was played.
    fn is_explained(&mut self, from: u64, frame: &[f32; FRAME]) -> bool {
        let Some(path) = &mut self.path else {
            return false;
        };
        let expected = SPECTRA.played(&self.played, from, path.delay);
        path.tail = ring(path.tail, expected);
        explains(path.tail, path.gains, SPECTRA.powers(frame))
    }

    /// Looks for the delay. Gives the peak where there is an echo.
    fn compare(&mut self) -> Option<f32> {
        let heard = self.heard.make_contiguous();
        if power(heard) < HEARD_LEAST {
            return None;
        }
        let mut played = vec![0.0; SPAN + LATEST];
        let from = self.until as i64 - (SPAN + LATEST) as i64;
        self.played.read(from, &mut played);
        if power(&played) < PLAYED_LEAST {
            return None;
        }
        let (delay, peak) = SPECTRA.delay(heard, &played);
        let before = self.candidate.take();
        let found = peak >= PLAIN
            || (peak >= TWICE && before.is_some_and(|before| before.abs_diff(delay) <= SAME));
        if peak >= TWICE {
            self.candidate = Some(delay);
        }
        match &mut self.path {
            Some(path) if found => {
                if path.delay.abs_diff(delay) > SAME {
                    // Another way, which has to explain what is heard like the first.
                    (path.gains, path.tail, path.seen) = ([0.0; BANDS], [0.0; BANDS], 0);
                }
                path.delay = delay;
                path.unseen = 0;
                path.seen += 1;
            }
            Some(path) => {
                path.unseen += 1;
                if path.unseen > FORGOTTEN {
                    self.path = None;
                }
            }
            None if found => {
                self.path = Some(Path {
                    delay,
                    gains: [0.0; BANDS],
                    tail: [0.0; BANDS],
                    unseen: 0,
                    seen: 1,
                });
            }
            None => {}
        }
        found.then_some(peak)
    }

    /// How loud each band comes back, by what was heard last. Gives how much of that is explained by it and was not
    /// told, while the echo is new: the first half a syllable tells little of how loud it comes back. An echo that
    /// explains less than this share of what is heard is none.
    fn learn(&mut self, least: f32) -> Ms {
        let Some(path) = &mut self.path else {
            return 0;
        };
        let begin = self.until - SPAN as u64;
        let heard = self.heard.make_contiguous();
        let mut tail = [0.0; BANDS];
        let frames: Vec<(Powers, Powers, Powers)> = heard
            .chunks_exact(FRAME)
            .enumerate()
            .map(|(n, frame)| {
                let from = begin + (n * FRAME) as u64;
                let expected = SPECTRA.played(&self.played, from, path.delay);
                tail = ring(tail, expected);
                (expected, tail, SPECTRA.powers(frame))
            })
            .collect();
        let unknown = path.gains == [0.0; BANDS];
        for (band, gain) in path.gains.iter_mut().enumerate() {
            let mut gains: Vec<f32> = frames
                .iter()
                // Where a syllable ends, how long the room rings tells nothing of how loud it is.
                .filter(|(played, tail, _)| played[band] > 1e-2 && played[band] >= tail[band])
                .map(|(played, _, heard)| heard[band] / played[band])
                .collect();
            gains.sort_by(f32::total_cmp);
            // The middle one: where somebody speaks into it, the louder ones are not ours.
            if let Some(now) = gains.get(gains.len() / 2) {
                *gain = if unknown { *now } else { (*gain + now) / 2.0 };
            }
        }
        path.tail = tail;
        if path.seen > SETTLED {
            return 0;
        }
        let loud = |heard: &Powers| heard.iter().sum::<f32>() > LOUD;
        let sounding = frames.iter().filter(|(.., heard)| loud(heard)).count();
        let ours: Vec<bool> = frames
            .iter()
            .map(|(_, tail, heard)| loud(heard) && explains(*tail, path.gains, *heard))
            .collect();
        if unknown {
            let explained = ours.iter().filter(|ours| **ours).count();
            let whole: f32 = frames.iter().flat_map(|(.., heard)| heard).sum();
            let wide = (0..BANDS)
                .filter(|band| {
                    frames.iter().map(|(.., heard)| heard[*band]).sum::<f32>() > SHARE * whole
                })
                .count();
            if (explained as f32) < least * sounding as f32 || wide < WIDE {
                self.path = None;
                return 0;
            }
        }
        let mut new = 0;
        for (told, ours) in self.told.iter_mut().zip(ours) {
            if ours && !*told {
                *told = true;
                new += FRAME_MS;
            }
        }
        new
    }
}

fn ring(tail: Powers, played: Powers) -> Powers {
    std::array::from_fn(|band| played[band].max(tail[band] * RINGS))
}

fn explains(played: Powers, gains: Powers, heard: Powers) -> bool {
    let all: f32 = heard.iter().sum();
    let unexplained: f32 = (0..BANDS)
        .filter(|band| heard[*band] > ABOVE * gains[*band] * played[*band])
        .map(|band| heard[band])
        .sum();
    all > 0.0 && unexplained < UNEXPLAINED * all
}

/// The mean square.
fn power(samples: &[f32]) -> f32 {
    samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32
}

#[cfg(test)]
mod tests;
