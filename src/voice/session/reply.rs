//! One answer, from its first clause to what was heard of it.

use super::{Effect, End, Ms, Part, ReplyId, TurnId};
use crate::voice::{
    playhead::{Playhead, Spoken, heard_text},
    words::fold,
};

/// Words before the place where the voice is that an echo may be of.
const ECHO_WORDS: usize = 40;

/// An answer in work. Until it is released nothing of it leaves the session.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    pub id: ReplyId,
    pub turn: TurnId,
    pub question: String,
    /// What came before it was released.
    held: Vec<Part>,
    released: bool,
    spoken: Vec<Spoken>,
    /// How much of `spoken`, from its beginning, is a phrase to fill the time.
    filling: usize,
    /// Length of the sound there is.
    sound: Ms,
    playhead: Playhead,
    /// A tool is called instead of an answer.
    calls: bool,
    end: Option<End>,
}

impl Reply {
    pub fn new(id: ReplyId, turn: TurnId, question: String) -> Self {
        Self {
            id,
            turn,
            question,
            held: Vec::new(),
            released: false,
            spoken: Vec::new(),
            filling: 0,
            sound: 0,
            playhead: Playhead::default(),
            calls: false,
            end: None,
        }
    }

    /// Takes a part: held back before the release, else told.
    pub fn take(&mut self, part: Part, out: &mut Vec<Effect>) {
        if !self.released {
            self.held.push(part);
            return;
        }
        match part {
            // One end is enough, and nothing comes after it.
            _ if self.end.is_some() => {}
            Part::Citation(citation) => out.push(Effect::Cite {
                reply: self.id,
                citation,
            }),
            Part::Clause { text, sound } => self.say(text, sound, out),
            Part::Acknowledgement { text, sound } => {
                // The answer was faster: nothing is to be filled.
                if self.spoken.is_empty() {
                    self.say(text, sound, out);
                    self.filling = 1;
                }
            }
            Part::Call => {
                out.push(Effect::Call { reply: self.id });
                self.calls = true;
                self.end = Some(End::Completed);
            }
            Part::Done => self.end = Some(End::Completed),
            Part::Failed => self.end = Some(End::Failed),
        }
    }

    fn say(&mut self, text: String, sound: Ms, out: &mut Vec<Effect>) {
        out.push(Effect::Say {
            reply: self.id,
            text: text.clone(),
            at: self.sound,
        });
        let until = self.sound + sound;
        self.spoken.push(Spoken {
            text,
            sound: self.sound..until,
        });
        self.sound = until;
    }

    /// The turn is decided: what was held back is told, and what comes is told at once.
    pub fn release(&mut self, guessed: bool, out: &mut Vec<Effect>) {
        self.released = true;
        out.push(Effect::Began {
            reply: self.id,
            turn: self.turn,
            guessed,
        });
        for part in std::mem::take(&mut self.held) {
            self.take(part, out);
        }
    }

    /// Whether there is anything to hear or read yet.
    pub fn has_begun(&self) -> bool {
        !self.spoken.is_empty()
    }

    /// Whether a tool is called instead of an answer: what may still be heard of it only filled the time.
    pub fn calls(&self) -> bool {
        self.calls
    }

    /// Sends what may be sent.
    pub fn pace(&mut self, out: &mut Vec<Effect>) {
        if let Some(sound) = self.playhead.send(self.sound) {
            out.push(Effect::Send {
                reply: self.id,
                sound,
            });
        }
    }

    pub fn advance(&mut self, by: Ms) {
        self.playhead.advance(by);
    }

    /// How it ended, once everything has been heard.
    pub fn over(&self) -> Option<End> {
        self.end
            .filter(|_| self.playhead.sent() == self.sound && self.playhead.is_quiet())
    }

    /// The words of the answer that were heard, with the length of their sound.
    pub fn heard(&self) -> (String, Ms) {
        let heard = self.playhead.heard();
        (heard_text(&self.spoken[self.filling..], heard), heard)
    }

    /// The words heard if the sound had ended at `at`; `None` where it never was that long.
    pub fn heard_until(&self, at: Ms) -> Option<String> {
        (at <= self.sound).then(|| heard_text(&self.spoken[self.filling..], at))
    }

    /// The last words that have left, which is what an echo would be of.
    pub fn last_words(&self) -> String {
        let sent = self.playhead.sent();
        let words: Vec<&str> = self
            .spoken
            .iter()
            .filter(|clause| clause.sound.start < sent)
            .flat_map(|clause| clause.text.split_whitespace())
            .collect();
        words[words.len().saturating_sub(ECHO_WORDS)..].join(" ")
    }

    /// Whether it began with a phrase to fill the time.
    pub fn is_filled(&self) -> bool {
        self.filling > 0
    }

    /// Whether it ends in a question.
    pub fn asks(&self) -> bool {
        let last = self
            .spoken
            .iter()
            .rev()
            .find(|clause| !fold(&clause.text).is_empty());
        last.is_some_and(|clause| clause.text.trim_end().ends_with('?'))
    }
}
