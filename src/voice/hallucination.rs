//! Speech models write something for silence and noise too. What is not even given to them, and what of
//! theirs is not believed.

use super::{session::Ms, words::is_phantom};

/// How much of a stretch of sound was speech, as voice activity has it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Voiced {
    /// Frames that were speech, in milliseconds.
    pub length: Ms,
    /// The sum of their probabilities, a frame each.
    sum: f32,
    frames: u32,
}

impl Voiced {
    /// One more frame of speech.
    pub fn add(&mut self, length: Ms, probability: f32) {
        self.length += length;
        self.sum += probability;
        self.frames += 1;
    }

    /// So much of it was somebody else's after all.
    pub fn less(&mut self, length: Ms, frames: u32) {
        let mean = self.mean();
        self.length = self.length.saturating_sub(length);
        self.frames = self.frames.saturating_sub(frames);
        self.sum = mean * self.frames as f32;
    }

    /// The mean probability over those frames.
    #[must_use]
    pub fn mean(&self) -> f32 {
        self.sum / self.frames.max(1) as f32
    }

    /// Whether it is worth listening to at all.
    #[must_use]
    pub fn is_speech(&self) -> bool {
        self.length >= 200 && self.mean() >= 0.6
    }
}

/// What a model wrote, and how sure it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hypothesis {
    pub text: String,
    /// The probability that nobody speaks.
    pub no_speech: f32,
    /// The mean log-probability of the tokens.
    pub avg_logprob: f32,
    /// The model went round in a circle.
    pub looped: bool,
}

/// Why a text is not believed; the names are those of the metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Doubt {
    TooLittleVoice,
    Unsure,
    Phantom,
    Loop,
    Empty,
    Echo,
}

impl Doubt {
    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLittleVoice => "too_little_voice",
            Self::Unsure => "unsure",
            Self::Phantom => "phantom",
            Self::Loop => "loop",
            Self::Empty => "empty",
            Self::Echo => "echo",
        }
    }
}

/// Whether a hypothesis is believed, and if not, why. A short phrase that models make up for silence needs
/// a voice of 600 ms, so that a real "thank you" survives.
#[must_use]
pub fn doubt(hypothesis: &Hypothesis, voiced: &Voiced) -> Option<Doubt> {
    if !voiced.is_speech() {
        Some(Doubt::TooLittleVoice)
    } else if !hypothesis.text.chars().any(char::is_alphanumeric) || is_sound(&hypothesis.text) {
        Some(Doubt::Empty)
    } else if hypothesis.looped && hypothesis.avg_logprob < -0.8 {
        Some(Doubt::Loop)
    } else if hypothesis.no_speech > 0.6 && hypothesis.avg_logprob < -1.0 {
        Some(Doubt::Unsure)
    } else if voiced.length < 600 && is_phantom(&hypothesis.text) {
        Some(Doubt::Phantom)
    } else {
        None
    }
}

/// `(engine revving)`, `[MUSIC]`, `*sigh*`: a description of a sound, by nobody.
fn is_sound(text: &str) -> bool {
    let text = text.trim();
    [('(', ')'), ('[', ']'), ('*', '*'), ('♪', '♪')]
        .iter()
        .any(|(open, close)| text.len() > 1 && text.starts_with(*open) && text.ends_with(*close))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_believed() {
        let voiced = |length: Ms, mean: f32| {
            let mut voiced = Voiced::default();
            for _ in 0..length / 32 {
                voiced.add(32, mean);
            }
            voiced
        };
        let check =
            |text: &str, no_speech: f32, avg_logprob: f32, length: Ms, expected: Option<Doubt>| {
                let hypothesis = Hypothesis {
                    text: text.to_owned(),
                    no_speech,
                    avg_logprob,
                    looped: false,
                };
                assert_eq!(doubt(&hypothesis, &voiced(length, 0.9)), expected, "{text}");
            };
        check("When is rent due?", 0.1, -0.3, 800, None);
        check(
            "When is rent due?",
            0.1,
            -0.3,
            160,
            Some(Doubt::TooLittleVoice),
        );
        check("When is rent due?", 0.7, -1.2, 800, Some(Doubt::Unsure));
        check("Thank you.", 0.1, -0.3, 640, None);
        check("Thank you.", 0.1, -0.3, 320, Some(Doubt::Phantom));
        check(" ... ", 0.1, -0.3, 640, Some(Doubt::Empty));
        check("(wind blowing)", 0.1, -0.3, 900, Some(Doubt::Empty));
        let unsure = voiced(800, 0.55);
        assert_eq!(
            doubt(&Hypothesis::default(), &unsure),
            Some(Doubt::TooLittleVoice)
        );
    }
}
