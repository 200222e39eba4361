//! Log-probabilities of tokens: log-softmax over the raw logits, `x_i − max − ln Σ exp(x_j − max)`.

use super::sample::{Candidate, likeliest_of};
use crate::prompt::Token;

/// Stands in for minus infinity, which JSON cannot say.
const NEVER: f32 = -1e9;

/// How likely the model finds `token`, and the `top` likeliest, likeliest first. In the candidates
/// returned `logit` is the log-probability.
pub fn of(logits: &[f32], token: Token, top: usize) -> (f32, Vec<Candidate>) {
    let highest = logits
        .iter()
        .copied()
        .filter(|logit| logit.is_finite())
        .fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits
        .iter()
        .filter(|logit| logit.is_finite())
        .map(|logit| f64::from(logit - highest).exp())
        .sum();
    let total = highest + sum.ln() as f32;
    let log = |logit: f32| {
        if logit.is_finite() {
            (logit - total).max(NEVER)
        } else {
            NEVER
        }
    };
    let own = usize::try_from(token)
        .ok()
        .and_then(|index| logits.get(index))
        .map_or(NEVER, |logit| log(*logit));
    let top = likeliest_of(logits, Some(top))
        .into_iter()
        .map(|candidate| Candidate {
            token: candidate.token,
            logit: log(candidate.logit),
        })
        .collect();
    (own, top)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f32, expected: f32) {
        assert!((got - expected).abs() < 1e-5, "{got} is not {expected}");
    }

    #[test]
    fn is_a_log_softmax() {
        let logits = [
            1000.0 + 0.7_f32.ln(),
            1000.0 + 0.2_f32.ln(),
            1000.0 + 0.1_f32.ln(),
        ];
        let (own, top) = of(&logits, 1, 2);
        assert!((own - 0.2_f32.ln()).abs() < 1e-3, "{own}");
        assert_eq!(
            top.iter()
                .map(|candidate| candidate.token)
                .collect::<Vec<_>>(),
            [0, 1]
        );
        let (own, top) = of(&[0.0, 0.0], 0, 0);
        near(own, 0.5_f32.ln());
        assert!(top.is_empty());
    }

    #[test]
    fn is_finite_for_any_logits() {
        for logits in [&[f32::NEG_INFINITY, 1.0][..], &[f32::NAN, 1.0], &[]] {
            let (own, _) = of(logits, 0, 5);
            near(own / NEVER, 1.0);
        }
    }
}
