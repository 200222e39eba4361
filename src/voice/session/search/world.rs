//! A session with what its shell would do, and a witness of what it promises.

use std::collections::{BTreeMap, BTreeSet};

use super::{super::*, CLAUSE, Move};
use crate::voice::{
    hallucination::Hypothesis,
    playhead::AHEAD,
    turn::{Detection, Patience},
};

#[derive(Debug, Clone, Default)]
struct Known {
    guess: bool,
    dropped: bool,
    began: bool,
    ended: bool,
    /// A tool was called; so much sound there was then.
    called: Option<Ms>,
    sent: Ms,
    sound: Ms,
}

/// The session with what its shell would do, and a witness of all it says.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub session: Session,
    jobs: Vec<JobId>,
    judges: Vec<JobId>,
    replies: BTreeMap<ReplyId, Known>,
    speaking_since: Ms,
    started: BTreeSet<TurnId>,
    stopped: BTreeSet<TurnId>,
    committed: BTreeSet<TurnId>,
    closed: BTreeSet<TurnId>,
    ducked: bool,
}

impl World {
    pub fn new() -> Self {
        let tuning = Tuning {
            detection: Detection::Judged(Patience::default()),
            ..Tuning::default()
        };
        Self {
            session: Session::new(tuning),
            jobs: vec![],
            judges: vec![],
            replies: BTreeMap::new(),
            speaking_since: 0,
            started: BTreeSet::new(),
            stopped: BTreeSet::new(),
            committed: BTreeSet::new(),
            closed: BTreeSet::new(),
            ducked: false,
        }
    }

    pub fn make(&mut self, made: Move) {
        let heard = |speech, own| {
            Event::Heard(Frame {
                speech,
                level: if speech > 0.5 { -20.0 } else { -70.0 },
                own,
            })
        };
        let latest = self
            .replies
            .iter()
            .rev()
            .find(|(_, reply)| !reply.dropped && !reply.ended)
            .map(|(id, _)| *id);
        let part = |part| latest.map(|reply| Event::Reply { reply, part });
        let detected = |detection| {
            Event::Tuned(Tuning {
                detection,
                ..Tuning::default()
            })
        };
        let event = match made {
            Move::Speak(frames) => {
                for _ in 0..frames {
                    self.tell(heard(0.95, 0));
                }
                return;
            }
            Move::Own(frames) => {
                for _ in 0..frames {
                    self.tell(heard(0.95, FRAME_MS));
                }
                return;
            }
            Move::Hush(frames) => {
                for _ in 0..frames {
                    self.tell(heard(0.02, 0));
                }
                return;
            }
            Move::Words(text) if !self.jobs.is_empty() => Event::Transcribed {
                job: self.jobs.remove(0),
                hypothesis: Hypothesis {
                    text: text.to_owned(),
                    no_speech: 0.1,
                    avg_logprob: -0.2,
                    looped: false,
                },
                cost: 200,
            },
            Move::NoWords if !self.jobs.is_empty() => Event::TranscriptionFailed {
                job: self.jobs.remove(0),
            },
            Move::Judged(over) if !self.judges.is_empty() => Event::Judged {
                job: self.judges.remove(0),
                over: if over { 0.99 } else { 0.1 },
            },
            Move::Words(_) | Move::NoWords | Move::Judged(_) => return,
            Move::Clause => match part(Part::Clause {
                text: CLAUSE.to_owned(),
                sound: 1000,
            }) {
                Some(event) => {
                    self.replies.get_mut(&latest.unwrap()).unwrap().sound += 1000;
                    event
                }
                None => return,
            },
            Move::Fill => match part(Part::Acknowledgement {
                text: "Let me see. ".to_owned(),
                sound: 500,
            }) {
                Some(event) => {
                    self.replies.get_mut(&latest.unwrap()).unwrap().sound += 500;
                    event
                }
                None => return,
            },
            Move::Call => match part(Part::Call) {
                Some(event) => event,
                None => return,
            },
            Move::Returned => Event::Returned,
            Move::Done => match part(Part::Done) {
                Some(event) => event,
                None => return,
            },
            Move::Broken => match part(Part::Failed) {
                Some(event) => event,
                None => return,
            },
            Move::Late => {
                let gone: Vec<ReplyId> = self
                    .replies
                    .iter()
                    .filter(|(_, reply)| reply.dropped || reply.ended)
                    .map(|(id, _)| *id)
                    .collect();
                for reply in gone {
                    self.tell(Event::Reply {
                        reply,
                        part: Part::Clause {
                            text: "late".to_owned(),
                            sound: 400,
                        },
                    });
                }
                Event::Transcribed {
                    job: JobId(u32::MAX),
                    hypothesis: Hypothesis::default(),
                    cost: 1,
                }
            }
            Move::Typed => Event::Typed("What about dogs?".to_owned()),
            Move::Commit => Event::Commit,
            Move::Respond => Event::Respond {
                question: None,
                own_tools: false,
            },
            Move::Clear => Event::Clear,
            Move::Interrupt => Event::Interrupt,
            Move::Truncated => Event::Truncated {
                reply: self
                    .replies
                    .keys()
                    .next_back()
                    .copied()
                    .unwrap_or(ReplyId(9)),
                heard: 100,
            },
            Move::TakenOver => Event::TakenOver,
            Move::HandedBack => Event::HandedBack,
            Move::Manual => detected(Detection::Manual),
            Move::Auto => detected(Detection::Judged(Patience::default())),
        };
        self.tell(event);
    }

    pub fn tell(&mut self, event: Event) {
        for effect in self.session.on(event) {
            self.witness(effect);
        }
        assert!(self.active() <= 1, "two answers at once");
    }

    fn active(&self) -> usize {
        let active = |reply: &&Known| reply.began && !reply.ended;
        self.replies.values().filter(active).count()
    }

    fn alive(&mut self, reply: ReplyId, what: &str) -> &mut Known {
        let known = self.replies.get_mut(&reply).expect("it was asked for");
        assert!(
            known.began && !known.ended,
            "{what} of {reply:?}, which is not being given"
        );
        known
    }

    fn witness(&mut self, effect: Effect) {
        let now = self.session.now();
        match effect {
            Effect::SpeechStarted { turn, at } => {
                assert!(at <= now);
                assert!(self.started.insert(turn), "{turn:?} began twice");
            }
            Effect::SpeechStopped { turn, .. } => {
                assert!(
                    self.started.contains(&turn),
                    "{turn:?} ends without a beginning"
                );
                assert!(self.stopped.insert(turn), "{turn:?} ended twice");
            }
            Effect::Committed { turn } => {
                assert!(!self.closed.contains(&turn));
                assert!(self.committed.insert(turn), "{turn:?} committed twice");
            }
            Effect::Transcript { turn, text } => {
                assert!(!text.is_empty() && self.committed.contains(&turn));
                assert!(self.closed.insert(turn), "{turn:?} closed twice");
            }
            Effect::Dismissed { turn, .. } => {
                assert!(self.closed.insert(turn), "{turn:?} closed twice");
            }
            Effect::Caption { turn, text } => {
                assert!(
                    !text.is_empty() && !self.closed.contains(&turn),
                    "a caption of a closed turn"
                );
            }
            Effect::Transcribe { job, stretch, .. } => {
                assert!(
                    stretch.start < stretch.end && stretch.end <= now,
                    "{stretch:?}"
                );
                self.jobs.push(job);
            }
            Effect::Judge { job, stretch } => {
                assert!(stretch.start < stretch.end);
                self.judges.push(job);
            }
            Effect::ForgetJob(job) => {
                self.jobs.retain(|other| *other != job);
                self.judges.retain(|other| *other != job);
            }
            Effect::Ask { reply, guess, .. } => {
                let known = Known {
                    guess,
                    ..Known::default()
                };
                assert!(self.replies.insert(reply, known).is_none());
            }
            Effect::Relay { reply, .. } => {
                assert!(self.replies.insert(reply, Known::default()).is_none());
            }
            Effect::Began { reply, guessed, .. } => {
                let known = self.replies.get_mut(&reply).expect("it was asked for");
                assert!(
                    !known.began && !known.dropped,
                    "{reply:?} was withdrawn or begins twice"
                );
                assert_eq!(known.guess, guessed);
                known.began = true;
                self.speaking_since = now;
            }
            Effect::Say { reply, text, .. } => {
                assert!(!text.is_empty());
                let known = self.alive(reply, "words");
                assert_eq!(known.called, None, "words after the call");
            }
            Effect::Cite { reply, .. } => {
                let known = self.alive(reply, "a citation");
                assert_eq!(known.called, None, "a citation after the call");
            }
            Effect::Call { reply } => {
                let known = self.alive(reply, "a call");
                assert_eq!(known.called, None, "a second call");
                known.called = Some(known.sound);
            }
            Effect::Send { reply, sound } => {
                let since = self.speaking_since;
                let known = self.alive(reply, "sound");
                assert_eq!(
                    known.sent, sound.start,
                    "sound without a gap or a repetition"
                );
                // What filled the time before a call may still be heard after it, and nothing more.
                let there = known.called.unwrap_or(known.sound);
                assert!(sound.start < sound.end && sound.end <= there);
                known.sent = sound.end;
                assert!(sound.end <= now - since + AHEAD, "too far ahead");
            }
            Effect::Flush { reply } => {
                self.alive(reply, "a flush");
            }
            Effect::Drop { reply, why } => {
                let known = self.replies.get_mut(&reply).expect("it was asked for");
                assert!(!known.dropped, "{reply:?} dropped twice");
                // Who is told that it is over is told of its end next.
                assert_eq!(known.began, why == Why::Ended, "{reply:?}: {why:?}");
                known.dropped = true;
            }
            Effect::Ended {
                reply,
                heard_ms,
                end,
                ..
            } => {
                let known = self.alive(reply, "the end");
                assert!(
                    known.called.is_none() || end != End::Failed,
                    "a failed call"
                );
                known.ended = true;
                assert!(heard_ms <= known.sent);
                assert!(!self.ducked, "it ends while it is lowered");
            }
            Effect::Corrected { .. } | Effect::Acknowledge { .. } | Effect::Refused(_) => {}
            Effect::Duck(on) => {
                assert_ne!(self.ducked, on, "lowered twice");
                self.ducked = on;
            }
            Effect::Resumed { .. } => assert!(!self.ducked),
            Effect::State(_) | Effect::Foresee { .. } => {}
        }
    }

    /// The parts stop working, everybody goes quiet: the session comes back to listening.
    pub fn settles(mut self) {
        self.make(Move::HandedBack);
        self.make(Move::Auto);
        for _ in 0..4 {
            while !self.jobs.is_empty() {
                self.make(Move::NoWords);
            }
            self.make(Move::Done);
            self.make(Move::Hush(60));
        }
        self.make(Move::Hush(160));
        assert_eq!(self.session.word(), Word::Listening, "{:?}", self.session);
        assert_eq!(self.active(), 0, "an answer has no end");
        let open: Vec<_> = self.started.difference(&self.closed).collect();
        assert!(open.is_empty(), "{open:?} came to nothing");
        let open: Vec<_> = self.committed.difference(&self.closed).collect();
        assert!(
            open.is_empty(),
            "{open:?} were committed and nothing followed"
        );
        for (id, reply) in &self.replies {
            assert!(reply.ended || reply.dropped, "{id:?} is still worked on");
        }
        let before = self.started.len();
        self.make(Move::Speak(4));
        assert_eq!(
            self.started.len(),
            before + 1,
            "it does not listen any more"
        );
    }
}
