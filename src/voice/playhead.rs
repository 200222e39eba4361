//! How much of an answer may be sent, and how much of it has been heard. Nobody tells us where a client's
//! loudspeaker is: it is taken to play what it was sent without a pause.

use std::ops::Range;

use super::session::Ms;

/// Sent ahead of what is being heard, at most: enough for a network that stumbles, so little that
/// interrupting is exact.
pub const AHEAD: Ms = 300;

/// Where the voice is in one answer, in milliseconds of its sound.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Playhead {
    sent: Ms,
    heard: Ms,
    /// How often the client had nothing left to play in the middle of the answer.
    stalls: u32,
}

impl Playhead {
    /// Time goes by.
    pub fn advance(&mut self, by: Ms) {
        self.heard = (self.heard + by).min(self.sent);
    }

    /// What of `available` is to be sent now; `None` while there is enough ahead.
    pub fn send(&mut self, available: Ms) -> Option<Range<Ms>> {
        let until = available.min(self.heard + AHEAD);
        if until <= self.sent {
            return None;
        }
        if self.sent > 0 && self.heard == self.sent {
            self.stalls += 1;
        }
        let range = self.sent..until;
        self.sent = until;
        Some(range)
    }

    /// Milliseconds that have been heard.
    #[must_use]
    pub fn heard(&self) -> Ms {
        self.heard
    }

    /// Milliseconds that have been sent.
    #[must_use]
    pub fn sent(&self) -> Ms {
        self.sent
    }

    /// Whether everything that was sent has been heard.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.heard == self.sent
    }

    /// How often the client ran dry.
    #[must_use]
    pub fn stalls(&self) -> u32 {
        self.stalls
    }
}

/// A stretch of words and the stretch of sound that says them.
#[derive(Debug, Clone, PartialEq)]
pub struct Spoken {
    pub text: String,
    pub sound: Range<Ms>,
}

/// The words that were heard when the sound ended at `heard`: whole clauses, and of the one in which it
/// ended the part that fits, back to the end of a word.
#[must_use]
pub fn heard_text<'s>(spoken: impl IntoIterator<Item = &'s Spoken>, heard: Ms) -> String {
    let mut text = String::new();
    for clause in spoken {
        if clause.sound.end <= heard {
            text.push_str(&clause.text);
            continue;
        }
        let length = clause.sound.end - clause.sound.start;
        let share = heard.saturating_sub(clause.sound.start) as f64 / length as f64;
        let until = (clause.text.chars().count() as f64 * share) as usize;
        let cut: String = clause.text.chars().take(until).collect();
        // In the middle of a word: it was not heard.
        let whole = match clause.text.chars().nth(until) {
            Some(next) if !next.is_whitespace() => cut.rfind(char::is_whitespace).unwrap_or(0),
            _ => cut.len(),
        };
        text.push_str(cut[..whole].trim_end());
        break;
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_is_sent_ahead() {
        let mut playhead = Playhead::default();
        assert_eq!(playhead.send(1000), Some(0..300));
        assert_eq!(playhead.send(1000), None);
        playhead.advance(20);
        assert_eq!(playhead.send(1000), Some(300..320));
        playhead.advance(5000);
        assert_eq!((playhead.heard(), playhead.stalls()), (320, 0));
        assert_eq!(playhead.send(330), Some(320..330));
        assert_eq!(playhead.stalls(), 1, "the client had nothing left to play");
        playhead.advance(10);
        assert!(playhead.is_quiet());
    }

    #[test]
    fn what_was_heard() {
        let spoken = [
            Spoken {
                text: "Rent is due. ".to_owned(),
                sound: 0..600,
            },
            Spoken {
                text: "Dogs are allowed.".to_owned(),
                sound: 600..1600,
            },
            Spoken {
                text: " [1]".to_owned(),
                sound: 1600..1600,
            },
        ];
        let check = |heard: Ms, expected: &str| {
            assert_eq!(heard_text(&spoken, heard), expected, "{heard} ms");
        };
        check(0, "");
        check(200, "Rent");
        check(600, "Rent is due.");
        check(900, "Rent is due. Dogs");
        check(1599, "Rent is due. Dogs are");
        check(1600, "Rent is due. Dogs are allowed. [1]");
    }
}
