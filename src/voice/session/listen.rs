//! From the first sound of a turn to the decision that it is over.

use super::{
    Dismissal, Effect, FRAME_MS, Frame, Ms, Session, State, Why,
    think::{Awaited, Thought},
    utterance::{Finale, Piece, Utterance},
};
use crate::voice::{
    hallucination::Doubt,
    turn::{Detection, Signs, wait},
};

/// Speech that begins a turn.
const ONSET: Ms = 96;
/// Silence after which the words are asked for: if the speaker goes on, that was a look.
const EARLY: Ms = 64;
/// Silence after which a turn may be over.
const PAUSE: Ms = 96;
/// Speech that ends a pause.
const RESUME: Ms = 64;
/// Sound after the last speech that is given to the transcriber: soft endings are part of words.
const TAIL: Ms = 160;
/// A turn this long is written down in pieces: models hear 30 s at once.
const PIECE: Ms = 26_000;
/// Sound that the judge of turns hears.
const JUDGED: Ms = 8000;

impl Session {
    pub(super) fn while_idle(&mut self, frame: Frame) -> State {
        if self.run.speech < ONSET || !self.tuning.hears {
            return State::Idle;
        }
        self.begin_turn(frame, None)
    }

    /// Speech has begun: a new turn.
    pub(super) fn begin_turn(&mut self, frame: Frame, carried: Option<String>) -> State {
        let began = self
            .now
            .saturating_sub(self.run.speech + self.tuning.preroll);
        let turn = self.turn();
        self.out.push(Effect::SpeechStarted { turn, at: began });
        let mut utterance = Utterance::new(turn, began, self.now, carried);
        for _ in 0..self.run.speech / FRAME_MS {
            utterance.voiced.add(FRAME_MS, frame.speech);
        }
        State::Listening(utterance)
    }

    pub(super) fn while_listening(
        &mut self,
        mut utterance: Utterance,
        frame: Frame,
        speech: bool,
    ) -> State {
        if speech {
            utterance.last_voice = self.now;
            utterance.voiced.add(FRAME_MS, frame.speech);
            if utterance.goes_on() {
                self.withdraw(&mut utterance, Why::WentOn);
            }
        }
        if self.run.silence >= PAUSE {
            return self.pause(utterance);
        }
        if self.run.silence >= EARLY && utterance.wants_words_early(self.now) {
            if let Some(job) = utterance.look.take() {
                self.out.push(Effect::ForgetJob(job));
            }
            if self.tuning.hears && utterance.voiced.is_speech() {
                self.ask_for_words(&mut utterance);
            }
        }
        self.look(&mut utterance);
        State::Listening(utterance)
    }

    /// A look at what is being said, when it is time; a turn that grows too long loses its beginning to
    /// a piece of its own.
    pub(super) fn look(&mut self, utterance: &mut Utterance) {
        // The words of all of it are on their way.
        if utterance.finale != Finale::None {
            return;
        }
        if self.tuning.hears && !self.cut(utterance) && utterance.wants_look(self.now) {
            let job = self.job();
            self.out.push(Effect::Transcribe {
                job,
                whole: false,
                stretch: utterance.began..self.now,
            });
            utterance.look_begun(job, self.now);
        }
    }

    /// Cuts the beginning off, as a piece of its own, of what has grown too long to be heard at once.
    fn cut(&mut self, utterance: &mut Utterance) -> bool {
        let long = self.now - utterance.began >= PIECE;
        if !long || !self.tuning.hears || !utterance.voiced.is_speech() {
            return false;
        }
        if let Some(job) = utterance.look.take() {
            self.out.push(Effect::ForgetJob(job));
        }
        let job = self.job();
        self.out.push(Effect::Transcribe {
            job,
            whole: true,
            stretch: utterance.began..self.now,
        });
        utterance.pieces.push(Piece { job, text: None });
        utterance.began = self.now;
        utterance.captions.turn_over();
        utterance.latest = None;
        true
    }

    /// Silence: the words are asked for at once, and whether that was all.
    fn pause(&mut self, mut utterance: Utterance) -> State {
        if let Some(job) = utterance.look.take() {
            self.out.push(Effect::ForgetJob(job));
        }
        if utterance.voiced.is_speech() {
            if utterance.finale == Finale::None {
                self.ask_for_words(&mut utterance);
            }
            let job = self.job();
            utterance.judge = Some(job);
            let from = match utterance.pieces.is_empty() {
                true => utterance.began.max(self.now.saturating_sub(JUDGED)),
                false => self.now.saturating_sub(JUDGED),
            };
            self.out.push(Effect::Judge {
                job,
                stretch: from..self.now,
            });
        }
        self.decide_if_time(utterance)
    }

    fn ask_for_words(&mut self, utterance: &mut Utterance) {
        let job = self.job();
        utterance.asked_for_words(job, self.now);
        self.out.push(Effect::Transcribe {
            job,
            whole: true,
            stretch: utterance.began..self.now.min(utterance.last_voice + TAIL),
        });
    }

    pub(super) fn while_paused(
        &mut self,
        mut utterance: Utterance,
        frame: Frame,
        speech: bool,
    ) -> State {
        if speech {
            utterance.voiced.add(FRAME_MS, frame.speech);
        }
        if self.run.speech >= RESUME {
            utterance.last_voice = self.now;
            self.forget_finale(&mut utterance);
            self.withdraw(&mut utterance, Why::WentOn);
            return State::Listening(utterance);
        }
        self.decide_if_time(utterance)
    }

    fn forget_finale(&mut self, utterance: &mut Utterance) {
        utterance.unjoin();
        if let Finale::Asked(job) = std::mem::take(&mut utterance.finale) {
            self.out.push(Effect::ForgetJob(job));
        }
        if let Some(job) = utterance.judge.take() {
            self.out.push(Effect::ForgetJob(job));
        }
        utterance.over = None;
    }

    pub(super) fn withdraw(&mut self, utterance: &mut Utterance, why: Why) {
        if let Some(guess) = utterance.guess.take() {
            self.out.push(Effect::Drop {
                reply: guess.id,
                why,
            });
        }
    }

    /// Decides the turn when the silence has lasted long enough for what is known of it.
    pub(super) fn decide_if_time(&mut self, utterance: Utterance) -> State {
        if self.run.speech > 0 {
            // Perhaps they go on: the next frames tell.
            return State::MaybeEnd(utterance);
        }
        let signs = Signs {
            over: utterance.over,
            text: utterance.text(),
            after_question: self.asked_back,
        };
        match wait(signs, self.tuning.detection) {
            Some(wait) if self.now - utterance.last_voice >= wait => self.decide(utterance, true),
            _ => State::MaybeEnd(utterance),
        }
    }

    /// The turn is over. `heard`: its beginning was told, so its end is.
    fn decide(&mut self, mut utterance: Utterance, heard: bool) -> State {
        let turn = utterance.turn;
        if heard {
            self.out.push(Effect::SpeechStopped {
                turn,
                at: utterance.last_voice,
            });
        }
        self.run.speech = 0;
        if let Some(job) = utterance.judge.take() {
            self.out.push(Effect::ForgetJob(job));
        }
        let awaited = matches!(utterance.finale, Finale::Asked(_))
            || utterance.pieces.iter().any(|piece| piece.text.is_none());
        if awaited {
            self.out.push(Effect::Committed { turn });
            let respond = self.tuning.respond;
            let awaited = Awaited::Words(utterance, respond);
            return State::Thinking(Thought::new(self.now, awaited));
        }
        match utterance.finale.clone() {
            Finale::Text(text) => {
                self.out.push(Effect::Committed { turn });
                let respond = self.tuning.respond;
                self.answer(utterance, &text, respond)
            }
            Finale::Failed => self.dismiss(utterance, Dismissal::Failed),
            Finale::Doubted(doubt) => self.dismiss(utterance, Dismissal::Doubted(doubt)),
            Finale::None | Finale::Asked(_) => {
                self.dismiss(utterance, Dismissal::Doubted(Doubt::TooLittleVoice))
            }
        }
    }

    /// Nothing comes of the turn, but an answer to the question before it that it cut off.
    pub(super) fn dismiss(&mut self, mut utterance: Utterance, why: Dismissal) -> State {
        if let Some(job) = utterance.look.take() {
            self.out.push(Effect::ForgetJob(job));
        }
        for piece in &utterance.pieces {
            if piece.text.is_none() {
                self.out.push(Effect::ForgetJob(piece.job));
            }
        }
        self.forget_finale(&mut utterance);
        self.withdraw(&mut utterance, Why::WentOn);
        let turn = utterance.turn;
        let is_noise = matches!(why, Dismissal::Doubted(_) | Dismissal::Failed);
        self.out.push(Effect::Dismissed { turn, why });
        match utterance.carried.take() {
            // A cough took the answer away that was being made: it is still wanted.
            Some(question) if is_noise && !self.operator && self.tuning.respond => {
                let reply = self.reply(turn, question, false);
                self.give(reply, false)
            }
            _ => State::Idle,
        }
    }

    /// Sound where only the client knows where turns end.
    pub(super) fn recorded(&mut self, state: State, frame: Frame, speech: bool) -> State {
        let (mut utterance, answering) = match state {
            State::Listening(utterance) => (utterance, None),
            State::Idle => (self.recording(), None),
            other => (self.recording(), Some(other)),
        };
        // Silence before the first word is no part of what is said, however long it was, and of noises not all.
        let before = match utterance.is_silent() {
            true => FRAME_MS + self.tuning.preroll,
            false if !utterance.voiced.is_speech() => PIECE / 2,
            false => Ms::MAX,
        };
        utterance.began = utterance.began.max(self.now.saturating_sub(before));
        if speech {
            utterance.last_voice = self.now;
            utterance.voiced.add(FRAME_MS, frame.speech);
        }
        match answering {
            None => {
                self.look(&mut utterance);
                State::Listening(utterance)
            }
            Some(state) => {
                self.cut(&mut utterance);
                self.buffered = Some(utterance);
                state
            }
        }
    }

    /// What was recorded since the last commit, or nothing yet.
    fn recording(&mut self) -> Utterance {
        self.buffered.take().unwrap_or_else(|| {
            let turn = self.turn();
            let began = self.now.saturating_sub(FRAME_MS);
            Utterance::new(turn, began, self.now, None)
        })
    }

    /// What was said into an answer is not wanted.
    pub(super) fn forget_buffered(&mut self) {
        let Some(utterance) = self.buffered.take() else {
            return;
        };
        for piece in utterance.pieces {
            if piece.text.is_none() {
                self.out.push(Effect::ForgetJob(piece.job));
            }
        }
    }

    pub(super) fn commit(&mut self, state: State) -> State {
        let manual = self.tuning.detection == Detection::Manual;
        let mut utterance = match state {
            State::Listening(utterance) | State::MaybeEnd(utterance) => utterance,
            State::Idle | State::Thinking(_) | State::Speaking(_) | State::Ducked(..)
                if manual && self.buffered.is_some() =>
            {
                // One thing at a time: who speaks anew does not want the old answer.
                self.stop_answering(state);
                self.recording()
            }
            other => {
                self.out.push(Effect::Refused(super::Refusal::NothingSaid));
                return other;
            }
        };
        if let Some(job) = utterance.look.take() {
            self.out.push(Effect::ForgetJob(job));
        }
        if utterance.finale == Finale::None && utterance.voiced.is_speech() {
            if !utterance.pieces.is_empty() && utterance.is_silent() {
                // All of it is in the pieces.
                utterance.finale = Finale::Text(String::new());
                utterance.join();
            } else if self.tuning.hears {
                self.ask_for_words(&mut utterance);
            } else {
                utterance.finale = Finale::Failed;
            }
        }
        self.decide(utterance, !manual)
    }

    pub(super) fn clear(&mut self, state: State) -> State {
        self.forget_buffered();
        match state {
            State::Listening(utterance) | State::MaybeEnd(utterance) => {
                self.run.speech = 0;
                self.dismiss(utterance, Dismissal::Cleared)
            }
            other => other,
        }
    }
}
