//! Where in a recording somebody speaks, from the probabilities of its frames. Pure.

use crate::{domain::audio::LISTEN_RATE, ports::hearing::FRAME, voice::hallucination::Voiced};

/// Milliseconds of a frame.
const FRAME_MS: u64 = FRAME as u64 * 1000 / LISTEN_RATE as u64;
/// A frame this likely is speech; speech goes on down to the other.
const BEGINS: f32 = 0.5;
const GOES_ON: f32 = 0.35;
/// Frames of silence that end a stretch: half a second.
const PAUSE: usize = 16;
/// Frames kept around a stretch: a fifth of a second, in which words begin and fade.
const MARGIN: usize = 6;
/// Frames of a stretch at most: 28 s, of the 30 that models hear at once.
const LONGEST: usize = 28 * LISTEN_RATE as usize / FRAME;
/// Where a stretch is too long it is cut where it is quietest, not before this: 18 s.
const SHORTEST: usize = 18 * LISTEN_RATE as usize / FRAME;

/// A stretch of speech, in frames.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stretch {
    pub(super) from: usize,
    /// The first frame after it.
    pub(super) to: usize,
    /// How much of it was speech; `None` where nobody knows.
    pub(super) voiced: Option<Voiced>,
}

/// Stretches that are worth listening to, in order.
pub(super) fn stretches(probabilities: &[f32]) -> Vec<Stretch> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    let mut begun: Option<usize> = None;
    let mut last = 0;
    for (n, probability) in probabilities.iter().enumerate() {
        match begun {
            None if *probability >= BEGINS => {
                begun = Some(n);
                last = n;
            }
            None => {}
            Some(_) if *probability >= GOES_ON => last = n,
            Some(from) if n - last >= PAUSE => {
                found.push((from, last + 1));
                begun = None;
            }
            Some(_) => {}
        }
    }
    found.extend(begun.map(|from| (from, last + 1)));
    let mut stretches = Vec::new();
    for (from, to) in found {
        let from = from.saturating_sub(MARGIN);
        let to = (to + MARGIN).min(probabilities.len());
        cut(probabilities, from, to, &mut stretches);
    }
    stretches.retain(|stretch| stretch.voiced.as_ref().is_some_and(Voiced::is_speech));
    stretches
}

/// All of so many frames, where nobody knows better.
pub(super) fn all(frames: usize) -> Vec<Stretch> {
    (0..frames)
        .step_by(LONGEST)
        .map(|from| Stretch {
            from,
            to: (from + LONGEST).min(frames),
            voiced: None,
        })
        .collect()
}

fn cut(probabilities: &[f32], from: usize, to: usize, stretches: &mut Vec<Stretch>) {
    let mut from = from;
    while to - from > LONGEST {
        let quietest = (from + SHORTEST..from + LONGEST)
            .min_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]))
            .unwrap_or(from + LONGEST);
        stretches.push(stretch(probabilities, from, quietest));
        from = quietest;
    }
    stretches.push(stretch(probabilities, from, to));
}

fn stretch(probabilities: &[f32], from: usize, to: usize) -> Stretch {
    let mut voiced = Voiced::default();
    for probability in &probabilities[from..to] {
        if *probability >= BEGINS {
            voiced.add(FRAME_MS, *probability);
        }
    }
    Stretch {
        from,
        to,
        voiced: Some(voiced),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of silence and of speech in turn, silence first.
    fn check(lengths: &[usize], expected: &[(usize, usize)]) {
        let mut probabilities = Vec::new();
        for (n, length) in lengths.iter().enumerate() {
            let value = if n % 2 == 1 { 0.9 } else { 0.05 };
            probabilities.resize(probabilities.len() + length, value);
        }
        let found: Vec<(usize, usize)> = stretches(&probabilities)
            .iter()
            .map(|stretch| (stretch.from, stretch.to))
            .collect();
        assert_eq!(found, expected, "{lengths:?}");
    }

    #[test]
    fn speech_is_found() {
        check(&[], &[]);
        check(&[100], &[]);
        check(&[20, 30, 40], &[(14, 56)]);
        check(&[0, 30], &[(0, 30)]);
        // A short pause is part of it, a long one is not.
        check(&[20, 20, 10, 20, 40], &[(14, 76)]);
        check(&[20, 20, 40, 20, 40], &[(14, 46), (74, 106)]);
        // Too short to be listened to.
        check(&[20, 5, 40], &[]);
    }

    #[test]
    fn long_speech_is_cut_where_it_is_quietest() {
        let mut probabilities = vec![0.9; 2000];
        probabilities[700] = 0.4;
        let found = stretches(&probabilities);
        assert_eq!((found[0].from, found[0].to), (0, 700));
        assert!(
            found
                .iter()
                .all(|stretch| stretch.to - stretch.from <= LONGEST)
        );
        assert_eq!(found.last().unwrap().to, 2000);
    }

    #[test]
    fn without_ears_it_is_all_in_pieces() {
        let pieces: Vec<(usize, usize)> = all(1000)
            .iter()
            .map(|piece| (piece.from, piece.to))
            .collect();
        assert_eq!(pieces, [(0, 875), (875, 1000)]);
        assert!(all(0).is_empty());
    }
}
