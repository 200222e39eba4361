//! While an answer is heard: somebody speaks into it, and either means it or does not.

use super::{
    By, Effect, End, FRAME_MS, Frame, JobId, Ms, Session, State, reply::Reply, utterance::Utterance,
};
use crate::voice::{
    hallucination::{Hypothesis, Voiced},
    words::{begins_nod, begins_with_stop, is_echo, is_nod, is_phantom},
};

/// Speech after which the answer is lowered.
const DUCK: Ms = 64;
/// Silence after which it goes on.
const GOES_ON: Ms = 300;
/// Silence after which it goes on although the words are not known.
const GIVES_UP: Ms = 1500;
/// Nobody nods for so long.
const CERTAIN: Ms = 800;
/// No echo goes on for so long after the answer has stopped: the words that tell need not be waited for.
const OVERDUE: Ms = 1200;
/// Between two looks at what is said into the answer.
const LOOK_EVERY: Ms = 300;

/// How loud our own voice comes back through the microphone: what is not louder is no interruption.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct EchoFloor(f32);

/// Above the floor, dB.
const ABOVE: f32 = 6.0;

impl Default for EchoFloor {
    fn default() -> Self {
        Self(-70.0)
    }
}

impl EchoFloor {
    /// A slow mean (about 0.6 s) over what is heard while we speak.
    pub fn learn(&mut self, level: f32) {
        self.0 += (level.clamp(-90.0, 0.0) - self.0) * 0.05;
    }

    /// It was an echo: this loud they are.
    pub fn was(&mut self, level: f32) {
        self.0 = self.0.max(level.clamp(-90.0, 0.0));
    }

    pub fn covers(self, level: f32) -> bool {
        level < self.0 + ABOVE
    }
}

/// Somebody speaks into an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Barge {
    began: Ms,
    last_voice: Ms,
    voiced: Voiced,
    /// The loudest frame, dBFS.
    level: f32,
    /// The answer waits.
    pub paused: bool,
    pub job: Option<JobId>,
    looked: Ms,
    /// Its words are a nod.
    nod: bool,
    /// So much of it is our own voice, by its sound.
    own: Ms,
}

impl Session {
    pub(super) fn heard_while_speaking(&mut self, reply: Reply, frame: Frame) -> State {
        if self.run.speech < DUCK || !self.tuning.interruptible {
            return State::Speaking(reply);
        }
        self.out.push(Effect::Duck(true));
        let mut voiced = Voiced::default();
        for _ in 0..self.run.speech / FRAME_MS {
            voiced.add(FRAME_MS, frame.speech);
        }
        let barge = Barge {
            began: self.now - self.run.speech,
            last_voice: self.now,
            voiced,
            level: frame.level,
            paused: false,
            job: None,
            looked: 0,
            nod: false,
            own: 0,
        };
        State::Ducked(reply, barge)
    }

    pub(super) fn heard_while_ducked(
        &mut self,
        reply: Reply,
        mut barge: Barge,
        frame: Frame,
        speech: bool,
    ) -> State {
        if speech {
            barge.voiced.add(FRAME_MS, frame.speech);
            barge.last_voice = self.now;
            barge.level = barge.level.max(frame.level);
        }
        barge.own += frame.own;
        // What turns out to be ours was taken for somebody's.
        let earlier = frame.own.saturating_sub(FRAME_MS);
        barge.voiced.less(earlier, (earlier / FRAME_MS) as u32);
        // Once somebody has said enough, our voice going on does not speak against them: their words decide, unless
        // an echo has just been found, which may be all there was.
        let asked = barge.job.is_some() && frame.own <= FRAME_MS;
        if !asked && 2 * barge.own > self.now - barge.began {
            self.unduck(&barge);
            self.out.push(Effect::Resumed { echo: true });
            self.run.speech = 0;
            return State::Speaking(reply);
        }
        let voiced = barge.voiced.length;
        let enough = voiced >= self.tuning.interrupt_after;
        let certain = match barge.job {
            None => voiced >= CERTAIN && !barge.nod,
            Some(_) => voiced >= OVERDUE && !barge.nod,
        };
        if enough && (!self.tuning.hears || certain) {
            return self.interrupted(reply, barge);
        }
        // From here on the answer waits; whether it ends is for the words to say.
        barge.paused |= enough;
        let due = barge.looked == 0 || (speech && self.now >= barge.looked + LOOK_EVERY);
        if enough && barge.job.is_none() && due {
            let job = self.job();
            barge.job = Some(job);
            barge.looked = self.now;
            self.out.push(Effect::Transcribe {
                job,
                // On one thread: the voice is at work beside it, and both on all cores would slow both.
                whole: false,
                stretch: barge.began.saturating_sub(self.tuning.preroll)..self.now,
            });
        }
        let silence = self.now - barge.last_voice;
        if silence >= GIVES_UP && barge.job.is_some() && voiced >= CERTAIN && !barge.nod {
            // So much was no noise. Whether it was an echo is found out with all its words.
            return self.interrupted(reply, barge);
        }
        if silence >= GIVES_UP || (silence >= GOES_ON && barge.job.is_none()) {
            self.unduck(&barge);
            self.out.push(Effect::Resumed { echo: false });
            return State::Speaking(reply);
        }
        State::Ducked(reply, barge)
    }

    pub(super) fn heard_words_while_ducked(
        &mut self,
        state: State,
        job: JobId,
        hypothesis: &Hypothesis,
    ) -> State {
        let State::Ducked(reply, mut barge) = state else {
            return state;
        };
        if barge.job != Some(job) {
            return State::Ducked(reply, barge);
        }
        barge.job = None;
        let text = hypothesis.text.trim();
        let unsure = hypothesis.looped
            || (hypothesis.no_speech > 0.6 && hypothesis.avg_logprob < -1.0)
            || !text.chars().any(char::is_alphanumeric);
        if unsure {
            return State::Ducked(reply, barge);
        }
        if begins_with_stop(text) {
            return self.interrupted(reply, barge);
        }
        // By its words, or by its sound: what is not our own voice would not have been asked about.
        let by_sound = barge.own > 0 && barge.voiced.length < self.tuning.interrupt_after;
        if by_sound || is_echo(text, &reply.last_words()) {
            self.echo.was(barge.level);
            self.unduck(&barge);
            self.out.push(Effect::Resumed { echo: true });
            self.run.speech = 0;
            return State::Speaking(reply);
        }
        // Of what may become one the next look tells.
        barge.nod = is_nod(text) || begins_nod(text);
        // A word or two that models make up for a short noise are not enough.
        if barge.nod || (is_phantom(text) && barge.voiced.length < 600) {
            return State::Ducked(reply, barge);
        }
        self.interrupted(reply, barge)
    }

    /// They mean it: the answer ends, and what they say is a turn.
    fn interrupted(&mut self, reply: Reply, barge: Barge) -> State {
        let began = barge.began.saturating_sub(self.tuning.preroll);
        let turn = self.turn();
        if self.tuning.hears {
            self.out.push(Effect::SpeechStarted { turn, at: began });
        }
        self.unduck(&barge);
        self.end(reply, End::Cancelled(By::Speech));
        if !self.tuning.hears {
            return State::Idle;
        }
        let mut utterance = Utterance::new(turn, began, self.now, None);
        utterance.last_voice = barge.last_voice;
        utterance.voiced = barge.voiced;
        State::Listening(utterance)
    }

    pub(super) fn unduck(&mut self, barge: &Barge) {
        if let Some(job) = barge.job {
            self.out.push(Effect::ForgetJob(job));
        }
        self.out.push(Effect::Duck(false));
    }
}
