//! What somebody is saying: how much voice was in it, which of its words are known, what is guessed.

use super::{JobId, Ms, TurnId, reply::Reply};
use crate::voice::{
    captions::Captions,
    hallucination::{Doubt, Hypothesis, Voiced},
    words::{fold, looks_complete},
};

/// Between two looks at what is being said, at least.
const LOOK_EVERY: Ms = 400;
/// Looks take this part of a core at most, as its inverse: 1.3 times their cost lies between two.
const LOOK_COST: f32 = 1.3;
/// Guesses of one turn at most.
pub(super) const GUESSES: u8 = 3;

/// What is known of the words of a turn.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Finale {
    /// Not asked for: the speaker goes on, or there was too little voice.
    #[default]
    None,
    Asked(JobId),
    Text(String),
    Doubted(Doubt),
    Failed,
}

/// A piece of a long turn that is written down on its own.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    pub job: JobId,
    /// `Some` once it is known; empty where nothing was in it.
    pub text: Option<String>,
}

/// A turn that is being spoken, or was.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Utterance {
    pub turn: TurnId,
    /// Where its sound begins (of a long turn: the piece that is not written down yet).
    pub began: Ms,
    /// Where the last frame of speech ended.
    pub last_voice: Ms,
    pub voiced: Voiced,
    pub captions: Captions,
    /// Words of a turn before it that this one goes on with.
    pub carried: Option<String>,
    pub pieces: Vec<Piece>,
    /// Pieces whose words are a part of `finale` already.
    joined: Vec<Piece>,
    /// The look in work, and when the last one began.
    pub look: Option<JobId>,
    looked: Ms,
    cost: Ms,
    /// The last hypothesis of a look.
    pub latest: Option<String>,
    pub finale: Finale,
    /// When its words were asked for.
    asked: Ms,
    /// The judgement in work, and what it came to at this pause.
    pub judge: Option<JobId>,
    pub over: Option<f32>,
    /// An answer to words that may turn out to be the turn's.
    pub guess: Option<Reply>,
    pub guesses: u8,
    /// The words whose answer was foreseen last.
    pub foreseen: Vec<String>,
}

impl Utterance {
    pub fn new(turn: TurnId, began: Ms, now: Ms, carried: Option<String>) -> Self {
        Self {
            turn,
            began,
            last_voice: now,
            voiced: Voiced::default(),
            captions: Captions::default(),
            carried,
            pieces: Vec::new(),
            joined: Vec::new(),
            look: None,
            looked: now,
            cost: 0,
            latest: None,
            finale: Finale::None,
            asked: 0,
            judge: None,
            over: None,
            guess: None,
            guesses: 0,
            foreseen: Vec::new(),
        }
    }

    /// Whether nothing was said in it yet, or nothing after its last piece.
    pub fn is_silent(&self) -> bool {
        self.voiced.length == 0 || self.last_voice <= self.began
    }

    /// Whether it is time for another look.
    pub fn wants_look(&self, now: Ms) -> bool {
        let pause = LOOK_EVERY.max((self.cost as f32 * LOOK_COST) as Ms);
        self.look.is_none()
            && now >= self.looked + pause
            && self.last_voice > self.looked
            && !self.is_silent()
            && self.voiced.is_speech()
    }

    pub fn look_begun(&mut self, job: JobId, now: Ms) {
        self.look = Some(job);
        self.looked = now;
    }

    pub fn asked_for_words(&mut self, job: JobId, now: Ms) {
        self.finale = Finale::Asked(job);
        self.asked = now;
    }

    /// Whether words may be asked for although speech may go on: no more often than looks.
    pub fn wants_words_early(&self, now: Ms) -> bool {
        self.finale == Finale::None && (self.asked == 0 || now >= self.asked + LOOK_EVERY)
    }

    /// Speech after words were asked for early: what is asked for becomes a look. Whether an answer may have been
    /// begun.
    pub fn goes_on(&mut self) -> bool {
        self.unjoin();
        match std::mem::take(&mut self.finale) {
            Finale::None => false,
            Finale::Asked(job) => {
                self.look_begun(job, self.asked);
                false
            }
            Finale::Text(_) | Finale::Doubted(_) | Finale::Failed => true,
        }
    }

    /// Takes the result of a look. Gives the text to show, and whether the words look like a whole turn
    /// that stays as it is.
    pub fn looked(&mut self, hypothesis: &Hypothesis, cost: Ms) -> (Option<String>, bool) {
        self.look = None;
        self.cost = cost;
        let text = hypothesis.text.trim();
        if hypothesis.looped || !text.chars().any(char::is_alphanumeric) {
            return (None, false);
        }
        let stays = self
            .latest
            .as_deref()
            .is_some_and(|before| fold(before) == fold(text));
        self.latest = Some(text.to_owned());
        (self.captions.hear(text), stays && looks_complete(text))
    }

    /// Whether a call is for one of its pieces.
    pub fn awaits(&self, job: JobId) -> bool {
        self.pieces.iter().any(|piece| piece.job == job)
    }

    /// The words of a piece are known.
    pub fn piece(&mut self, job: JobId, text: String) {
        if let Some(piece) = self.pieces.iter_mut().find(|piece| piece.job == job) {
            piece.text = Some(text);
        }
    }

    /// Makes the words of the pieces and those of the end one text, once all are known, and gives it.
    pub fn join(&mut self) -> Option<String> {
        let Finale::Text(last) = &self.finale else {
            return None;
        };
        let whole = self.whole(last)?;
        if !self.pieces.is_empty() {
            self.joined = std::mem::take(&mut self.pieces);
        }
        self.finale = match whole.is_empty() {
            true => Finale::Doubted(Doubt::Empty),
            false => Finale::Text(whole.clone()),
        };
        Some(whole)
    }

    /// The speaker goes on: what was joined is the beginning of more.
    pub fn unjoin(&mut self) {
        if self.pieces.is_empty() {
            self.pieces = std::mem::take(&mut self.joined);
        }
    }

    /// The pieces' words and `last`, after what was carried over; `None` while a piece is still in work.
    fn whole(&self, last: &str) -> Option<String> {
        let mut words = Vec::new();
        for piece in &self.pieces {
            words.push(piece.text.as_deref()?);
        }
        words.push(last.trim());
        words.retain(|text| !text.is_empty());
        Some(words.join(" "))
    }

    /// The words as a question, with those of the turn that this one goes on with.
    pub fn question(&self, text: &str) -> String {
        match &self.carried {
            Some(before) => format!("{before} {text}"),
            None => text.to_owned(),
        }
    }

    /// All its words, once they are known.
    pub fn text(&self) -> Option<&str> {
        match &self.finale {
            Finale::Text(text) => Some(text),
            _ => None,
        }
    }
}
