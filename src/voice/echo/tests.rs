use std::f32::consts::TAU;

use super::*;
use crate::{domain::audio::from_s16le, voice::recording::decode::decode};

/// Numbers by chance, the same each time, from -1 to 1 (xorshift; Marsaglia 2003).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / 8_388_608.0 - 1.0
    }

    fn between(&mut self, least: f32, most: f32) -> f32 {
        least + (most - least) * self.next().midpoint(1.0)
    }
}

/// Something like a voice: syllables with a gliding pitch, two formants and a hiss now and then. Its power is
/// that of speech at -23 dBFS.
fn voice(seconds: f32, seed: u64) -> Vec<f32> {
    let mut chance = Chance(seed | 1);
    let total = (seconds * LISTEN_RATE as f32) as usize;
    let mut sound = Vec::with_capacity(total);
    let (mut phase, mut drift) = (0.0_f32, 0.0);
    while sound.len() < total {
        let length = chance.between(0.08, 0.28) * LISTEN_RATE as f32;
        let (from, to) = (chance.between(90.0, 240.0), chance.between(90.0, 240.0));
        let formants = [chance.between(300.0, 900.0), chance.between(1000.0, 2800.0)];
        let hiss = chance.next() > 0.4;
        let loud = chance.between(0.3, 1.0);
        for n in 0..length as usize {
            let part = n as f32 / length;
            let envelope = (part * std::f32::consts::PI).sin() * loud;
            // No voice is as even as that.
            drift = 0.995 * drift + 0.05 * chance.next();
            let pitch = (from + (to - from) * part) * (1.0 + 0.05 * drift);
            phase = (phase + pitch / LISTEN_RATE as f32).fract();
            let value: f32 = if hiss {
                chance.next()
            } else {
                (1..30)
                    .map(|k| {
                        let hertz = pitch * k as f32;
                        let near = |formant: f32| 1.0 / (1.0 + ((hertz - formant) / 120.0).powi(2));
                        (near(formants[0]) + 0.6 * near(formants[1]))
                            * (phase * TAU * k as f32).sin()
                    })
                    .sum()
            };
            let breath = 0.3 * chance.next();
            sound.push((value + breath) * envelope);
        }
        let silence = chance.between(0.0, 0.12) * LISTEN_RATE as f32;
        sound.extend(std::iter::repeat_n(0.0, silence as usize));
    }
    sound.truncate(total);
    let gain = (0.005 / power(&sound)).sqrt();
    sound.iter().map(|sample| sample * gain).collect()
}

/// A sound as it comes back: later, softer, and from the walls.
fn returned(sound: &[f32], delay_ms: usize, gain_db: f32) -> Vec<f32> {
    let mut chance = Chance(77);
    let walls: Vec<(usize, f32)> = (0..60)
        .map(|n| {
            let at = 60 * (n + 1) + (chance.between(0.0, 59.0) as usize);
            (at, chance.next() * 0.5 * (-(at as f32) / 1200.0).exp())
        })
        .collect();
    let delay = delay_ms * PER_MS as usize;
    let gain = 10f32.powf(gain_db / 20.0);
    let mut back = vec![0.0; sound.len()];
    for (n, sample) in sound.iter().enumerate() {
        for (at, weight) in std::iter::once((0, 1.0)).chain(walls.iter().copied()) {
            if let Some(place) = back.get_mut(n + delay + at) {
                *place += sample * weight * gain;
            }
        }
    }
    back
}

/// Which frames are taken for ours while `said` is played and `heard` heard, from the same moment on.
fn ours(own: &mut OwnVoice, from: Ms, said: &[f32], heard: &[f32]) -> Vec<Ms> {
    let samples: Vec<i16> = said.iter().map(|s| (s * 32767.0) as i16).collect();
    let mut sent = samples.chunks(4 * FRAME);
    heard
        .as_chunks::<FRAME>()
        .0
        .iter()
        .enumerate()
        .map(|(n, frame)| {
            let now = from + n as Ms * FRAME_MS;
            // As it is paced: a bit ahead of what is heard.
            if n % 4 == 0
                && let Some(chunk) = sent.next()
            {
                own.says(now, chunk, LISTEN_RATE);
            }
            own.hears(now, frame)
        })
        .collect()
}

fn share(frames: &[Ms]) -> f32 {
    frames.iter().filter(|ms| **ms > 0).count() as f32 / frames.len() as f32
}

/// With the noise of a quiet room.
fn mixed(sounds: &[&[f32]]) -> Vec<f32> {
    let mut chance = Chance(5);
    (0..sounds[0].len())
        .map(|n| chance.next() * 1e-3 + sounds.iter().map(|sound| sound[n]).sum::<f32>())
        .collect()
}

#[test]
fn an_echo_is_found_and_then_known() {
    for (delay, gain) in [(20, -6.0), (120, -12.0), (400, -20.0), (900, -12.0)] {
        let said = voice(4.0, 3);
        let heard = mixed(&[&returned(&said, delay, gain)]);
        let mut own = OwnVoice::default();
        let frames = ours(&mut own, 0, &said, &heard);
        let first = frames.iter().position(|ms| *ms > 0);
        let found = first.expect("it is found") as Ms * FRAME_MS;
        assert!(
            found < delay as Ms + 800,
            "{delay} ms, {gain} dB: only after {found} ms"
        );
        let most = *frames.iter().max().unwrap();
        assert!(
            most >= 96,
            "what came before it was found is ours, too: {most}"
        );
        let after = share(&frames[first.unwrap()..]);
        assert!(after > 0.9, "{delay} ms, {gain} dB: {after} of the frames");
        // The next answer's is known from its beginning.
        let said = voice(1.0, 4);
        let heard = mixed(&[&returned(&said, delay, gain)]);
        let frames = ours(&mut own, 8000, &said, &heard);
        let sounds = delay / FRAME_MS as usize + 1;
        if sounds < frames.len() {
            let known = share(&frames[sounds..]);
            assert!(known > 0.9, "{delay} ms, {gain} dB: {known} of the next");
        }
    }
}

#[test]
fn an_echo_is_found_though_some_of_it_got_lost() {
    let said = voice(4.0, 3);
    let heard = mixed(&[&returned(&said, 120, -12.0)]);
    let mut own = OwnVoice::default();
    let samples: Vec<i16> = said.iter().map(|s| (s * 32767.0) as i16).collect();
    own.says(0, &samples, LISTEN_RATE);
    // 20 ms more than a frame are lost each 400 ms: never is half a second heard without a gap.
    let step = (400 + 20) * PER_MS as usize;
    let found = heard.chunks(step).enumerate().any(|(n, part)| {
        let begin = n as Ms * 420;
        let mut frames = part.as_chunks::<FRAME>().0.iter().take(12).enumerate();
        frames.any(|(n, frame)| own.hears(begin + n as Ms * FRAME_MS, frame) > 0)
    });
    assert!(found);
}

#[test]
fn somebody_else_is_not_our_echo() {
    let mut own = OwnVoice::default();
    let (said, other) = (voice(20.0, 3), voice(20.0, 8));
    let frames = ours(&mut own, 0, &said, &mixed(&[&other]));
    assert_eq!(share(&frames), 0.0);
    // Nor is anything when nothing is said.
    let mut own = OwnVoice::default();
    assert_eq!(share(&ours(&mut own, 0, &[], &mixed(&[&other]))), 0.0);
}

#[test]
fn a_tone_is_not_our_echo_though_it_is_like_another() {
    let tones = |hertz: f32, length: usize, silence: usize| -> Vec<f32> {
        (0..6 * LISTEN_RATE as usize)
            .map(|n| {
                let sounds = n % (length + silence) < length;
                let angle = TAU * hertz * n as f32 / LISTEN_RATE as f32;
                if sounds { 0.3 * angle.sin() } else { 0.0 }
            })
            .collect()
    };
    let said = tones(330.0, 2400, 800);
    for other in [tones(330.0, 96_000, 0), tones(220.0, 2000, 300)] {
        let frames = ours(&mut OwnVoice::default(), 0, &said, &mixed(&[&other]));
        assert_eq!(share(&frames), 0.0);
    }
}

#[test]
fn somebody_who_speaks_into_the_echo_is_heard() {
    let said = voice(6.0, 3);
    let back = returned(&said, 120, -12.0);
    let mut other = vec![0.0; 3 * LISTEN_RATE as usize];
    other.extend(voice(3.0, 8));
    let mut own = OwnVoice::default();
    let frames = ours(&mut own, 0, &said, &mixed(&[&back, &other]));
    let (alone, both): (Vec<_>, Vec<_>) = frames
        .iter()
        .zip(other.as_chunks::<FRAME>().0)
        .skip(LISTEN_RATE as usize / FRAME)
        .partition(|(_, other)| power(*other) == 0.0);
    let alone: Vec<Ms> = alone.iter().map(|(ms, _)| **ms).collect();
    let both: Vec<Ms> = both
        .iter()
        .filter(|(_, other)| power(*other) > 3e-4)
        .map(|(ms, _)| **ms)
        .collect();
    let (alone, both) = (share(&alone), share(&both));
    assert!(alone > 0.9 && both < 0.4, "alone {alone}, both {both}");
}

#[test]
fn what_is_void_does_not_come_back() {
    let said = voice(3.0, 3);
    let mut own = OwnVoice::default();
    let back = mixed(&[&returned(&said, 120, -12.0)]);
    let half = LISTEN_RATE as usize / FRAME * FRAME;
    let frames = ours(&mut own, 0, &said[..half], &back[..half]);
    assert!(share(&frames) > 0.3);
    let now = half as u64 / PER_MS;
    own.says(now, &[8000; 4 * FRAME], LISTEN_RATE);
    own.hushes(now);
    assert_eq!(own.played.end(), now * PER_MS);
    // The old sound still rings, and then whoever speaks is somebody else.
    let later = now + 1200;
    let frames = ours(&mut own, later, &[], &mixed(&[&voice(1.0, 8)]));
    assert_eq!(share(&frames), 0.0);
}

/// Recorded speech, each as loud as the others, and what rooms make of a click.
fn recordings() -> Option<(Vec<Vec<f32>>, Vec<Vec<f32>>)> {
    let folder = std::path::Path::new("../shared/data/speech");
    let read = |path: &std::path::Path| {
        let pcm = decode(std::fs::read(path).ok()?, 60).ok()?;
        let sound: Vec<f32> = from_s16le(&pcm).collect();
        let gain = (0.005 / power(&sound)).sqrt();
        Some(sound.iter().map(|sample| sample * gain).collect())
    };
    let mut voices: Vec<_> = ["speech", "commands"]
        .iter()
        .flat_map(|below| std::fs::read_dir(folder.join(below)).into_iter().flatten())
        .map(|entry| entry.unwrap().path())
        .collect();
    voices.sort();
    let rooms = ["noise/rir1.wav", "noise/rir2.wav"];
    let rooms = rooms.iter().map(|room| read(&folder.join(room)));
    let rooms = std::iter::once(Some(vec![1.0]))
        .chain(rooms)
        .collect::<Option<_>>()?;
    let voices = voices
        .iter()
        .map(|path| read(path))
        .collect::<Option<_>>()?;
    Some((voices, rooms))
}

/// A sound as a room gives it back, so many milliseconds later.
fn in_room(said: &[f32], room: &[f32], delay_ms: usize) -> Vec<f32> {
    let mut back = vec![0.0; said.len()];
    for (at, weight) in room.iter().enumerate().filter(|(_, w)| w.abs() > 1e-2) {
        let at = at + delay_ms * PER_MS as usize;
        for (place, sample) in back.iter_mut().skip(at).zip(said) {
            *place += sample * weight;
        }
    }
    back
}

#[test]
fn on_recorded_speech() {
    let Some((voices, rooms)) = recordings() else {
        println!("skipped: ../shared/data/speech is not there");
        return;
    };
    let mut chance = Chance(99);
    for (what, echoes, speaks) in [
        ("an echo", true, false),
        ("somebody else", false, true),
        ("somebody who speaks into it", true, true),
    ] {
        let (mut found, mut ours_of_it, mut frames_of_it) = (0, 0, 0);
        for _ in 0..12 {
            let said = chance.between(0.0, voices.len() as f32) as usize % voices.len();
            let by = chance.between(1.0, voices.len() as f32) as usize;
            let other = &voices[(said + by) % voices.len()][..];
            let said = &voices[said][..];
            let said = &said[..said.len().min(6 * LISTEN_RATE as usize)];
            let delay = chance.between(20.0, 400.0) as usize;
            let gain = 10f32.powf(chance.between(-24.0, -6.0) / 20.0);
            let room = &rooms[chance.between(0.0, rooms.len() as f32) as usize % rooms.len()];
            let mut heard: Vec<f32> = (0..said.len()).map(|_| chance.next() * 2e-3).collect();
            if echoes {
                let back = in_room(said, room, delay);
                let gain = gain * (0.005 / power(&back)).sqrt();
                for (place, sample) in heard.iter_mut().zip(&back) {
                    *place += sample * gain;
                }
            }
            if speaks {
                for (place, sample) in heard.iter_mut().skip(LISTEN_RATE as usize).zip(other) {
                    *place += sample;
                }
            }
            let frames = ours(&mut OwnVoice::default(), 0, said, &heard);
            let Some(first) = frames.iter().position(|ms| *ms > 0) else {
                continue;
            };
            found += 1;
            for (n, ms) in frames.iter().enumerate().skip(first + 1) {
                let frame = n * FRAME..(n + 1) * FRAME;
                let theirs = (n * FRAME).checked_sub(LISTEN_RATE as usize);
                let theirs = theirs.and_then(|at| other.get(at..at + FRAME));
                let counts = match speaks {
                    true => theirs.is_some_and(|theirs| power(theirs) > 3e-4),
                    false => power(&heard[frame]) > 3e-5,
                };
                if counts {
                    frames_of_it += 1;
                    ours_of_it += usize::from(*ms > 0);
                }
            }
        }
        let share = ours_of_it as f32 / frames_of_it.max(1) as f32;
        println!("{what}: found in {found} of 12, {share:.2} of {frames_of_it} frames ours");
        match (echoes, speaks) {
            (true, false) => assert!(found == 12 && share > 0.9),
            (true, true) => assert!(share < 0.4),
            _ => assert!(found <= 2 && ours_of_it < 10),
        }
    }
}

/// An answer that waits is heard for half a second more: by then it has to be known for what it is.
#[test]
fn a_word_or_two_are_known() {
    let Some((voices, rooms)) = recordings() else {
        println!("skipped: ../shared/data/speech is not there");
        return;
    };
    let mut chance = Chance(41);
    for (room, room_name) in rooms.iter().zip(["none", "small", "large"]) {
        let (mut known, mut cases, mut unknown) = (0, 0, Vec::new());
        for voice in voices
            .iter()
            .filter(|voice| voice.len() > LISTEN_RATE as usize)
        {
            let begin = voice.iter().position(|s| s.abs() > 0.05).unwrap_or(0);
            let length = chance.between(0.4, 0.9) * LISTEN_RATE as f32;
            let mut said = vec![0.0; LISTEN_RATE as usize / 4];
            said.extend(voice.iter().skip(begin).take(length as usize));
            said.resize(said.len() + LISTEN_RATE as usize, 0.0);
            let delay = chance.between(20.0, 300.0) as usize;
            let back = in_room(&said, room, delay);
            let gain = 0.25 * (power(&said) / power(&back)).sqrt();
            let heard: Vec<f32> = back
                .iter()
                .map(|sample| sample * gain + chance.next() * 5e-4)
                .collect();
            let frames = ours(&mut OwnVoice::default(), 0, &said, &heard);
            let own: Ms = frames.iter().sum();
            let loud = heard
                .as_chunks::<FRAME>()
                .0
                .iter()
                .filter(|frame| power(*frame) > 3e-5)
                .count() as Ms
                * FRAME_MS;
            cases += 1;
            known += usize::from(own > 0);
            unknown.push(loud.saturating_sub(own));
        }
        unknown.sort_unstable();
        println!(
            "room {room_name}: known {known} of {cases}, loud and not ours {} {} {} ms",
            unknown[cases / 2],
            unknown[cases * 9 / 10],
            unknown[cases - 1]
        );
        assert_eq!(known, cases);
        if room_name != "large" {
            // Less than it takes to end an answer.
            assert!(unknown[cases * 9 / 10] < 200);
        }
    }
}
