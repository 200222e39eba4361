//! What the transcriber and the judge of turns say of a turn.

use super::{
    Effect, JobId, Ms, Session, State, Why,
    think::{Awaited, Thought},
    utterance::{Finale, GUESSES, Utterance},
};
use crate::voice::{
    hallucination::{Doubt, Hypothesis, doubt},
    words::{fold, is_echo, looks_complete, says_stop},
};

/// So long after the last word of an answer its echo may still be heard.
const ECHO_TAIL: Ms = 500;
/// Fewer words say too little of what is asked.
const FORESEEN_WORDS: usize = 3;

impl Session {
    pub(super) fn transcribed(
        &mut self,
        mut state: State,
        job: JobId,
        hypothesis: &Hypothesis,
        cost: Ms,
    ) -> State {
        if self.buffered_piece(job, Some(hypothesis)) {
            return state;
        }
        match &mut state {
            State::Listening(utterance) | State::MaybeEnd(utterance)
                if utterance.look == Some(job) =>
            {
                let (caption, stays) = utterance.looked(hypothesis, cost);
                if let Some(text) = caption {
                    self.out.push(Effect::Caption {
                        turn: utterance.turn,
                        text,
                    });
                }
                if let Some(text) = utterance.latest.clone() {
                    match stays {
                        true => self.guess(utterance, &text),
                        false => self.foresee(utterance, &text),
                    }
                }
                state
            }
            State::Listening(_) | State::MaybeEnd(_) | State::Thinking(_) => {
                self.words(state, job, Some(hypothesis))
            }
            State::Ducked(..) => self.heard_words_while_ducked(state, job, hypothesis),
            State::Idle | State::Speaking(_) => state,
        }
    }

    pub(super) fn not_transcribed(&mut self, mut state: State, job: JobId) -> State {
        if self.buffered_piece(job, None) {
            return state;
        }
        match &mut state {
            State::Listening(utterance) | State::MaybeEnd(utterance)
                if utterance.look == Some(job) =>
            {
                utterance.look = None;
                state
            }
            State::Listening(_) | State::MaybeEnd(_) | State::Thinking(_) => {
                self.words(state, job, None)
            }
            State::Ducked(_, barge) if barge.job == Some(job) => {
                barge.job = None;
                state
            }
            _ => state,
        }
    }

    /// The words of a piece of what was said into an answer, or the news that there will be none.
    fn buffered_piece(&mut self, job: JobId, hypothesis: Option<&Hypothesis>) -> bool {
        let Some(mut utterance) = self.buffered.take_if(|buffered| buffered.awaits(job)) else {
            return false;
        };
        let believed = hypothesis.map(|hypothesis| self.believed(&utterance, hypothesis));
        utterance.piece(job, believed.and_then(Result::ok).unwrap_or_default());
        self.buffered = Some(utterance);
        true
    }

    /// The words, if they are believed.
    fn believed(&self, utterance: &Utterance, hypothesis: &Hypothesis) -> Result<String, Doubt> {
        let text = hypothesis.text.trim();
        let (said, until) = &self.last_said;
        let echo = utterance.began <= until + ECHO_TAIL && is_echo(text, said);
        match doubt(hypothesis, &utterance.voiced) {
            None if echo => Err(Doubt::Echo),
            None => Ok(text.to_owned()),
            Some(doubt) => Err(doubt),
        }
    }

    /// The words of a piece or of a whole turn, or the news that there will be none.
    fn words(&mut self, mut state: State, job: JobId, hypothesis: Option<&Hypothesis>) -> State {
        let utterance = match &mut state {
            State::Listening(utterance) | State::MaybeEnd(utterance) => utterance,
            State::Thinking(Thought {
                awaited: Awaited::Words(utterance, _),
                ..
            }) => utterance,
            _ => return state,
        };
        let doubted = hypothesis.map(|hypothesis| self.believed(utterance, hypothesis));
        if utterance.awaits(job) {
            utterance.piece(job, doubted.and_then(Result::ok).unwrap_or_default());
        } else if utterance.finale == Finale::Asked(job) {
            let long = !utterance.pieces.is_empty();
            utterance.finale = match doubted {
                Some(Ok(text)) => Finale::Text(text),
                // Of a long turn the end may be nothing.
                _ if long => Finale::Text(String::new()),
                Some(Err(doubt)) => Finale::Doubted(doubt),
                None => Finale::Failed,
            };
        } else {
            return state;
        }
        if let Some(whole) = utterance.join()
            // What is plainly the half of a sentence is not worth a guess.
            && let State::Listening(utterance) | State::MaybeEnd(utterance) = &mut state
            && !whole.is_empty()
        {
            match looks_complete(&whole) || utterance.over.is_some_and(|over| over >= 0.5) {
                true => self.guess(utterance, &whole),
                false => self.foresee(utterance, &whole),
            }
        }
        match state {
            State::MaybeEnd(utterance) => self.decide_if_time(utterance),
            State::Thinking(thought) => self.words_while_thinking(thought),
            other => other,
        }
    }

    /// Begins an answer to words that will be the turn's if nothing more comes.
    fn guess(&mut self, utterance: &mut Utterance, text: &str) {
        let question = utterance.question(text);
        if let Some(guess) = &utterance.guess
            && fold(&guess.question) == fold(&question)
        {
            return;
        }
        self.withdraw(utterance, Why::OtherWords);
        if self.operator || !self.tuning.respond || utterance.guesses >= GUESSES || says_stop(text)
        {
            return;
        }
        utterance.guesses += 1;
        utterance.guess = Some(self.reply(utterance.turn, question, true));
    }

    /// Has the first words of an answer to this made ready, which takes no model and is never heard of: also to
    /// half a question, whose answer often is the whole one's.
    fn foresee(&mut self, utterance: &mut Utterance, text: &str) {
        let question = utterance.question(text);
        let words = fold(&question);
        if self.operator
            || !self.tuning.respond
            || words.len() < FORESEEN_WORDS
            || words == utterance.foreseen
        {
            return;
        }
        utterance.foreseen = words;
        self.out.push(Effect::Foresee { question });
    }

    pub(super) fn judged(&mut self, mut state: State, job: JobId, over: f32) -> State {
        match &mut state {
            State::MaybeEnd(utterance) if utterance.judge == Some(job) => {
                utterance.judge = None;
                utterance.over = Some(over);
            }
            _ => return state,
        }
        match state {
            State::MaybeEnd(utterance) => self.decide_if_time(utterance),
            other => other,
        }
    }
}
