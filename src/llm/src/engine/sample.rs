//! Choosing the next token from the model's logits.
//!
//! Pure: logits in, token out, randomness from a seed. The order is Ollama's: penalties, `top_k`,
//! temperature, softmax, `top_p`, `min_p`, draw. A grammar is asked only about the token that was
//! drawn; most of the time it agrees, and checking a whole vocabulary of 150,000 costs more than
//! the model's own work for a token. Where it does not, the draw is repeated among what it allows,
//! which gives the same distribution as asking first.

mod penalties;
mod random;

use crate::{prompt::Token, wire::options::Options};
use penalties::Penalties;
use random::SplitMix64;

/// When the grammar refuses the token drawn, it is asked about this many of the likeliest first.
const WIDER: usize = 256;

/// A token that may come next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    pub token: Token,
    pub logit: f32,
}

/// What a reply has to satisfy.
pub trait Rule {
    /// Takes out what may not come next.
    fn retain(&mut self, candidates: &mut Vec<Candidate>);
}

/// Draws tokens for one reply.
#[derive(Debug)]
pub struct Sampler {
    temperature: f32,
    top_k: Option<usize>,
    top_p: f32,
    min_p: f32,
    penalties: Option<Penalties>,
    random: SplitMix64,
}

impl Sampler {
    /// `seed` is used where the options hold none.
    pub fn new(options: &Options, seed: u64) -> Self {
        Self {
            temperature: options.temperature,
            top_k: options.top_k,
            top_p: options.top_p,
            min_p: options.min_p,
            penalties: Penalties::new(options),
            random: SplitMix64::new(options.seed.unwrap_or(seed)),
        }
    }

    /// Tells of a token that is now part of the text; penalties look back on them.
    pub fn observe(&mut self, token: Token) {
        if let Some(penalties) = &mut self.penalties {
            penalties.observe(token);
        }
    }

    /// Draws the next token. `logits[t]` belongs to token `t`. `None` when nothing may come next.
    pub fn choose(&mut self, logits: &[f32], rule: &mut impl Rule) -> Option<Token> {
        let penalised = self
            .penalties
            .as_ref()
            .map(|penalties| penalties.apply(logits));
        let logits = penalised.as_deref().unwrap_or(logits);

        let drawn = if self.temperature == 0.0 {
            likeliest(logits)
        } else {
            let candidates = self.narrow(logits);
            self.draw(&candidates)
        }?;
        let mut allowed = vec![drawn];
        rule.retain(&mut allowed);
        if !allowed.is_empty() {
            return Some(drawn.token);
        }

        let mut wider = likeliest_of(logits, Some(WIDER.max(self.top_k.unwrap_or(0))));
        rule.retain(&mut wider);
        if wider.is_empty() {
            wider = likeliest_of(logits, None);
            rule.retain(&mut wider);
        }
        wider.truncate(self.top_k.unwrap_or(usize::MAX));
        if self.temperature == 0.0 {
            wider.first().map(|candidate| candidate.token)
        } else {
            self.draw(&wider).map(|candidate| candidate.token)
        }
    }

    fn narrow(&self, logits: &[f32]) -> Vec<Candidate> {
        likeliest_of(logits, self.top_k)
    }

    /// Draws from candidates that come likeliest first.
    fn draw(&mut self, candidates: &[Candidate]) -> Option<Candidate> {
        let highest = candidates.first()?.logit;
        let mut weights: Vec<f32> = candidates
            .iter()
            .map(|candidate| ((candidate.logit - highest) / self.temperature).exp())
            .collect();
        let total: f32 = weights.iter().sum();
        let mut sum = 0.0;
        let mut kept = 0;
        for weight in &weights {
            // The first weight is 1: the likeliest. It always stays.
            if kept > 0 && (sum >= self.top_p * total || *weight < self.min_p) {
                break;
            }
            sum += weight;
            kept += 1;
        }
        weights.truncate(kept);
        let mut left = self.random.unit() * sum;
        let at = weights
            .iter()
            .position(|weight| {
                left -= weight;
                left < 0.0
            })
            // Rounding may leave a trace over.
            .unwrap_or(kept - 1);
        Some(candidates[at])
    }
}

/// Finite logits with their tokens.
fn finite(logits: &[f32]) -> impl Iterator<Item = Candidate> {
    logits
        .iter()
        .zip(0..)
        .filter(|(logit, _)| logit.is_finite())
        .map(|(&logit, token)| Candidate { token, logit })
}

/// Higher logits first; of equal ones the lower token, so that the order is one.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the sorting functions call it with references"
)]
fn by_likelihood(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.logit.total_cmp(&a.logit).then(a.token.cmp(&b.token))
}

fn likeliest(logits: &[f32]) -> Option<Candidate> {
    finite(logits).min_by(by_likelihood)
}

/// The `count` likeliest, or all, likeliest first.
pub fn likeliest_of(logits: &[f32], count: Option<usize>) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = finite(logits).collect();
    if let Some(count) = count.filter(|count| *count < candidates.len()) {
        if count == 0 {
            return Vec::new();
        }
        candidates.select_nth_unstable_by(count - 1, by_likelihood);
        candidates.truncate(count);
    }
    candidates.sort_unstable_by(by_likelihood);
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No rule.
    struct Anything;

    impl Rule for Anything {
        fn retain(&mut self, _: &mut Vec<Candidate>) {}
    }

    /// Allows only these.
    struct Only(&'static [Token]);

    impl Rule for Only {
        fn retain(&mut self, candidates: &mut Vec<Candidate>) {
            candidates.retain(|candidate| self.0.contains(&candidate.token));
        }
    }

    fn greedy() -> Options {
        Options {
            temperature: 0.0,
            ..Options::default()
        }
    }

    fn counts(options: &Options, logits: &[f32], rule: &mut impl Rule) -> Vec<usize> {
        let mut counts = vec![0; logits.len()];
        let mut sampler = Sampler::new(options, 1);
        for _ in 0..4000 {
            counts[usize::try_from(sampler.choose(logits, rule).unwrap()).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn greedy_takes_the_likeliest_that_is_allowed() {
        let check = |logits: &[f32], rule: &mut Only, expected| {
            assert_eq!(
                Sampler::new(&greedy(), 0).choose(logits, rule),
                expected,
                "{logits:?} {:?}",
                rule.0
            );
        };
        check(&[0.0, 3.0, 2.0], &mut Only(&[0, 1, 2]), Some(1));
        check(&[0.0, 3.0, 2.0], &mut Only(&[0, 2]), Some(2));
        check(&[1.0, 1.0], &mut Only(&[0, 1]), Some(0));
        check(&[0.0, 3.0], &mut Only(&[]), None);
        check(
            &[f32::NAN, f32::INFINITY, -1.0],
            &mut Only(&[0, 1, 2]),
            Some(2),
        );
        check(&[f32::NAN], &mut Only(&[0]), None);
        check(&[], &mut Only(&[0]), None);
    }

    #[test]
    fn a_rule_may_allow_only_the_unlikeliest() {
        let logits: Vec<f32> = (0..1000_u16).map(|n| -f32::from(n)).collect();
        let mut rule = Only(&[999]);
        assert_eq!(
            Sampler::new(&greedy(), 0).choose(&logits, &mut rule),
            Some(999)
        );
        assert_eq!(
            Sampler::new(&Options::default(), 0).choose(&logits, &mut rule),
            Some(999)
        );
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let logits = [1.0, 1.1, 0.9, 1.05];
        let draw = |seed: u64| -> Vec<Token> {
            let options = Options {
                seed: Some(seed),
                ..Options::default()
            };
            let mut sampler = Sampler::new(&options, 99);
            (0..50)
                .map(|_| sampler.choose(&logits, &mut Anything).unwrap())
                .collect()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let open = Options {
            temperature: 1.0,
            top_p: 1.0,
            top_k: None,
            ..Options::default()
        };
        // Probabilities 0.6, 0.3, 0.1; four thousand draws are within 0.03 of them.
        let logits = [0.6_f32.ln(), 0.3_f32.ln(), 0.1_f32.ln()];
        let near = |got: &[usize], expected: &[f32]| {
            for (got, expected) in got.iter().zip(expected) {
                assert!(
                    (*got as f32 / 4000.0 - expected).abs() < 0.03,
                    "{got} of 4000, expected {expected}"
                );
            }
        };
        near(&counts(&open, &logits, &mut Anything), &[0.6, 0.3, 0.1]);
        // With a rule: as if only the allowed had been there.
        near(
            &counts(&open, &logits, &mut Only(&[1, 2])),
            &[0.0, 0.75, 0.25],
        );
        near(
            &counts(
                &Options {
                    top_k: Some(2),
                    ..open.clone()
                },
                &logits,
                &mut Anything,
            ),
            &[0.667, 0.333, 0.0],
        );
        near(
            &counts(
                &Options {
                    top_p: 0.5,
                    ..open.clone()
                },
                &logits,
                &mut Anything,
            ),
            &[1.0, 0.0, 0.0],
        );
        near(
            &counts(
                &Options {
                    min_p: 0.4,
                    ..open.clone()
                },
                &logits,
                &mut Anything,
            ),
            &[0.667, 0.333, 0.0],
        );
        near(
            &counts(
                &Options {
                    temperature: 0.01,
                    ..open
                },
                &logits,
                &mut Anything,
            ),
            &[1.0, 0.0, 0.0],
        );
    }
}
