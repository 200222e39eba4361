//! Turning away from what was said already, as `repeat_penalty`, `presence_penalty` and
//! `frequency_penalty` ask.

use std::collections::HashMap;

use crate::{prompt::Token, wire::options::Options};

/// Penalties that are on, and the text so far.
#[derive(Debug)]
pub struct Penalties {
    repeat: f32,
    presence: f32,
    frequency: f32,
    last_n: Option<usize>,
    seen: Vec<Token>,
}

impl Penalties {
    /// `None` where all of them are off.
    pub fn new(options: &Options) -> Option<Self> {
        let off = (options.repeat_penalty - 1.0).abs() < f32::EPSILON
            && options.presence_penalty == 0.0
            && options.frequency_penalty == 0.0;
        (!off && options.repeat_last_n != Some(0)).then(|| Self {
            repeat: options.repeat_penalty,
            presence: options.presence_penalty,
            frequency: options.frequency_penalty,
            last_n: options.repeat_last_n,
            seen: Vec::new(),
        })
    }

    /// Tells of a token that is now part of the text.
    pub fn observe(&mut self, token: Token) {
        self.seen.push(token);
    }

    /// The logits, less what was seen lately.
    pub fn apply(&self, logits: &[f32]) -> Vec<f32> {
        let from = self
            .last_n
            .map_or(0, |last| self.seen.len().saturating_sub(last));
        let mut times: HashMap<Token, f32> = HashMap::new();
        for token in &self.seen[from..] {
            *times.entry(*token).or_default() += 1.0;
        }
        let mut logits = logits.to_vec();
        for (token, times) in times {
            let Some(logit) = usize::try_from(token)
                .ok()
                .and_then(|index| logits.get_mut(index))
            else {
                continue;
            };
            if *logit > 0.0 {
                *logit /= self.repeat;
            } else {
                *logit *= self.repeat;
            }
            *logit -= self.presence + times * self.frequency;
        }
        logits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greedy() -> Options {
        Options {
            temperature: 0.0,
            ..Options::default()
        }
    }

    /// The token that is likeliest after `seen`, of logits 2, 1.9 and -1.
    fn check(options: &Options, seen: &[Token], expected: Token) {
        let logits = [2.0, 1.9, -1.0];
        let logits = Penalties::new(options).map_or(logits.to_vec(), |mut penalties| {
            for token in seen {
                penalties.observe(*token);
            }
            penalties.apply(&logits)
        });
        let likeliest = logits.iter().zip(0..).max_by(|a, b| a.0.total_cmp(b.0));
        assert_eq!(likeliest.unwrap().1, expected, "{options:?} after {seen:?}");
    }

    #[test]
    fn penalties_turn_away_from_what_was_said() {
        let repeat = Options {
            repeat_penalty: 1.2,
            ..greedy()
        };
        check(&greedy(), &[0], 0);
        check(&repeat, &[0], 1);
        check(&repeat, &[0, 1], 0);
        check(&repeat, &[9999, -5], 0);
        check(
            &Options {
                presence_penalty: 0.2,
                ..greedy()
            },
            &[0],
            1,
        );
        let frequency = Options {
            frequency_penalty: 0.06,
            ..greedy()
        };
        check(&frequency, &[0], 0);
        check(&frequency, &[0, 0], 1);
        check(
            &Options {
                repeat_last_n: Some(1),
                ..repeat.clone()
            },
            &[0, 2],
            0,
        );
        check(
            &Options {
                repeat_last_n: None,
                ..repeat.clone()
            },
            &[0, 2],
            1,
        );
        assert!(
            Penalties::new(&Options {
                repeat_last_n: Some(0),
                ..repeat
            })
            .is_none()
        );
    }
}
