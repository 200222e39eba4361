//! Whether a pause is the end of a turn: how long silence must last, from what the turn's sound and words
//! look like. Pure arithmetic; the model's judgement is an argument.

use super::{session::Ms, words::looks_complete};

/// How the end of a turn is found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Detection {
    /// Sound and words decide how long to wait.
    Judged(Patience),
    /// After this much silence, whatever was said.
    Silence(Ms),
    /// The client says so.
    Manual,
}

/// How much longer or shorter than usual to wait.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Patience {
    /// 1 is usual; a slow speaker's is larger.
    pub factor: f32,
    /// No wait is longer.
    pub longest: Ms,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            factor: 1.0,
            longest: 3000,
        }
    }
}

/// From here on a pause sounds like an end and nothing else. Of 52 turns (19 recordings, 33 of a Piper voice) heard to
/// their end and torn apart at their quietest place, 62 % of the ends and one in ten of the middles reached it. A second
/// judgement a little later tells them apart better, but what it costs makes both come later than that is worth.
const SURE: f32 = 0.97;
/// Below this a pause sounds like the middle of a sentence.
const UNLIKELY: f32 = 0.3;

/// What is known of a turn at a pause.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Signs<'t> {
    /// The probability that it is over, from its sound; `None` while or where nobody judges.
    pub over: Option<f32>,
    /// All that was said, once it is known.
    pub text: Option<&'t str>,
    /// We asked something, and answers to questions take a while to think of.
    pub after_question: bool,
}

/// Silence that is waited for before a turn is over.
#[must_use]
pub fn wait(signs: Signs<'_>, detection: Detection) -> Option<Ms> {
    let patience = match detection {
        Detection::Manual => return None,
        Detection::Silence(wait) => return Some(wait),
        Detection::Judged(patience) => patience,
    };
    let complete = signs.text.map(looks_complete);
    let usual = match (signs.over, complete) {
        // The words come later than this; transcribers write a full stop after most halves of sentences, so that
        // its absence tells more than its presence.
        (Some(over), None | Some(true)) if over >= SURE => 200,
        (Some(over), None | Some(false)) if over < UNLIKELY => 1200,
        // Longer than most pauses inside sentences.
        (Some(_), _) => 800,
        // Without a judge, words alone must do.
        (None, Some(true)) => 550,
        (None, None) => 700,
        (None, Some(false)) => 1200,
    };
    let factor = patience.factor * if signs.after_question { 1.5 } else { 1.0 };
    Some(((usual as f32 * factor) as Ms).clamp(160, patience.longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_to_wait() {
        let check = |over: Option<f32>, text: Option<&str>, expected: Ms| {
            let signs = Signs {
                over,
                text,
                after_question: false,
            };
            let detection = Detection::Judged(Patience::default());
            assert_eq!(wait(signs, detection), Some(expected), "{over:?} {text:?}");
        };
        check(Some(0.98), Some("When is rent due?"), 200);
        check(Some(0.98), None, 200);
        check(Some(0.98), Some("When is the"), 800);
        check(Some(0.96), None, 800);
        check(Some(0.6), Some("When is rent due?"), 800);
        check(Some(0.2), Some("When is rent due?"), 800);
        check(Some(0.2), Some("When is the"), 1200);
        check(Some(0.2), None, 1200);
        check(None, Some("When is rent due?"), 550);
        check(None, Some("When is the"), 1200);
        check(None, None, 700);
    }

    #[test]
    fn patience_and_modes() {
        let signs = Signs {
            over: Some(0.1),
            text: None,
            after_question: true,
        };
        let patient = |factor| {
            Detection::Judged(Patience {
                factor,
                longest: 3000,
            })
        };
        assert_eq!(wait(signs, patient(1.0)), Some(1800));
        assert_eq!(wait(signs, patient(2.0)), Some(3000));
        assert_eq!(wait(signs, patient(0.01)), Some(160));
        assert_eq!(wait(signs, Detection::Silence(500)), Some(500));
        assert_eq!(wait(signs, Detection::Manual), None);
    }
}
