//! One conversation as a task: it owns the machine and does what the machine wants done. Sound comes in and is
//! cut into frames; calls of the models run beside it, each with its number, and are given up by being
//! dropped; what is said goes out at the pace at which it is heard.
//!
//! It knows no socket and no wire format: both protocols drive it.

mod answering;
mod doing;
mod foreseen;
mod io;
mod learn;
mod sound;
mod telling;
mod trace;
mod work;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::mpsc,
    task::{JoinHandle, yield_now},
    time::{MissedTickBehavior, interval},
};

use super::{
    echo::OwnVoice,
    engine::{Engine, Options},
    hallucination::Hypothesis,
    ring::Ring,
    session::{Event, JobId, ReplyId, Session, Tuning},
};
use crate::{
    domain::{
        Call as ToolCall, Citation, Component, ConversationId, DocumentId, Offer, Outcome,
        audio::LISTEN_RATE, resample::Resampler,
    },
    ports::{PortError, VoiceActivity},
};
use foreseen::Drawer;
pub use io::{Input, Output};
pub use trace::Timings;
use trace::Trace;

/// News of the models that were not taken yet, at most.
const NEWS: usize = 64;
/// What calls have brought and nobody wanted to hear yet, at most: the newest.
const OUTCOMES: usize = 16;
/// Time goes on in such steps where no sound comes.
const TICK: Duration = Duration::from_millis(20);

/// What the work beside the machine tells it.
enum News {
    Words {
        job: JobId,
        result: Result<Hypothesis, PortError>,
        cost: Duration,
    },
    Judged {
        job: JobId,
        result: Result<f32, PortError>,
    },
    Reply {
        reply: ReplyId,
        news: answering::News,
    },
    /// At so many samples a second.
    Filling(Vec<i16>, u32),
}

/// A call that ends when it is not wanted any more.
#[derive(Debug)]
struct Call(JoinHandle<()>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What the shell keeps of an answer in work.
struct Answering {
    _call: Call,
    question: String,
    sound: Vec<i16>,
    /// Samples a second of it: those that were wanted when it was begun.
    rate: u32,
    citations: Vec<Citation>,
    documents: Vec<DocumentId>,
    degraded: Vec<Component>,
    /// A tool that is called instead.
    calls: Option<ToolCall>,
}

/// A turn that was answered, and what was heard of it: recorded once it cannot change any more.
struct Heard {
    reply: ReplyId,
    question: String,
    heard: String,
    documents: Vec<DocumentId>,
}

/// One conversation.
pub(super) struct Live {
    engine: Arc<Engine>,
    options: Options,
    conversation: ConversationId,
    session: Session,
    ears: Option<Box<dyn VoiceActivity>>,
    resampler: Resampler,
    ring: Ring,
    own: OwnVoice,
    /// Samples that are no whole frame yet.
    partial: Vec<f32>,
    output: mpsc::Sender<Output>,
    operator: Option<mpsc::Sender<Output>>,
    news: mpsc::Sender<News>,
    jobs: HashMap<JobId, Call>,
    answers: HashMap<ReplyId, Answering>,
    filling: Option<(Vec<i16>, u32)>,
    filler: Option<Call>,
    /// Has the tools read before they are needed.
    reader: Option<Call>,
    /// First words that may be wanted, and the work on them.
    drawer: Arc<Drawer>,
    foreseeing: Option<Call>,
    last: Option<Heard>,
    /// The tools for the next answer alone.
    offer: Option<Arc<Offer>>,
    /// What calls have brought and nobody asked to hear of yet.
    outcomes: Vec<Outcome>,
    said: Vec<(String, String)>,
    sources: Vec<Citation>,
    ducked: bool,
    told: Vec<Component>,
    trace: Trace,
    /// When sound came last, and when time was made up for it last.
    sound_at: Instant,
    ticked_at: Instant,
    /// The client does not read: the conversation ends.
    unread: bool,
}

impl Live {
    pub fn new(
        engine: Arc<Engine>,
        mut options: Options,
        conversation: ConversationId,
        ears: Option<Box<dyn VoiceActivity>>,
        output: mpsc::Sender<Output>,
    ) -> Self {
        options.tuning.hears = ears.is_some();
        options.aloud &= !engine.voices().is_empty();
        // The channel of a conversation that has not begun to run.
        let (news, _) = mpsc::channel(1);
        let now = Instant::now();
        Self {
            session: Session::new(options.tuning),
            resampler: Resampler::new(options.rate_in, LISTEN_RATE),
            engine,
            options,
            conversation,
            ears,
            ring: Ring::default(),
            own: OwnVoice::default(),
            partial: Vec::new(),
            output,
            operator: None,
            news,
            jobs: HashMap::new(),
            answers: HashMap::new(),
            filling: None,
            filler: None,
            reader: None,
            drawer: Arc::default(),
            foreseeing: None,
            last: None,
            offer: None,
            outcomes: Vec::new(),
            said: Vec::new(),
            sources: Vec::new(),
            ducked: false,
            told: Vec::new(),
            trace: Trace::default(),
            sound_at: now,
            ticked_at: now,
            unread: false,
        }
    }

    /// Runs until the client has left, or everything ends.
    pub async fn run(mut self, mut input: mpsc::Receiver<Input>) {
        metrics::gauge!("griot_voice_sessions").increment(1.0);
        let _open = scopeguard();
        let (news, mut told) = mpsc::channel(NEWS);
        self.news = news;
        self.prepare_filling();
        self.prepare_tools();
        let stop = self.engine.parts.cancel.clone();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while !self.unread {
            tokio::select! {
                come = input.recv() => match come {
                    Some(come) => {
                        let sound = matches!(come, Input::Sound(_));
                        self.take(come);
                        if sound {
                            // Ears hold the thread: whoever else has work goes first.
                            yield_now().await;
                        }
                    }
                    None => break,
                },
                Some(news) = told.recv() => self.learn(news),
                _ = tick.tick(), if self.session.is_at_work() || self.session.is_hearing() => {
                    self.time_passes();
                }
                () = stop.cancelled() => break,
                // Whoever took over holds the inlet too: without a caller it ends all the same.
                () = self.output.closed() => break,
                () = gone(self.operator.as_ref()), if self.operator.is_some() => self.hand_back(),
            }
        }
        if self.unread {
            tracing::info!("a client that did not read what was said was cut off");
        }
        if let Some(work) = self.settle() {
            work.await;
        }
    }

    fn take(&mut self, come: Input) {
        match come {
            Input::Sound(samples) => self.hear(&samples),
            Input::Typed(text) => self.tell(Event::Typed(text)),
            Input::Commit => self.tell(Event::Commit),
            Input::Respond { question, offer } => {
                self.offer = offer;
                let own_tools = self.offer.is_some();
                self.tell(Event::Respond {
                    question,
                    own_tools,
                });
            }
            Input::Returned(outcome) => {
                if self.outcomes.len() == OUTCOMES {
                    self.outcomes.remove(0);
                }
                self.outcomes.push(*outcome);
                self.tell(Event::Returned);
            }
            Input::Clear => self.tell(Event::Clear),
            Input::Interrupt => self.tell(Event::Interrupt),
            Input::Truncated { reply, heard } => self.tell(Event::Truncated { reply, heard }),
            Input::Tuned(tuning) => {
                let hears = self.ears.is_some();
                self.options.tuning = Tuning { hears, ..*tuning };
                self.tell(Event::Tuned(self.options.tuning));
            }
            Input::Changed(options) => {
                if options.rate_in != self.options.rate_in {
                    self.resampler = Resampler::new(options.rate_in, LISTEN_RATE);
                }
                let aloud = options.aloud && !self.engine.voices().is_empty();
                let tuning = self.options.tuning;
                let other_tools = options.offer != self.options.offer;
                self.options = Options {
                    tuning,
                    aloud,
                    ..*options
                };
                self.prepare_filling();
                if other_tools {
                    self.prepare_tools();
                }
            }
            Input::TakeOver(operator) => {
                let so_far = Output::SoFar {
                    turns: self.so_far(),
                    sources: self.sources.clone(),
                    rate: self.options.rate_out,
                };
                if operator.try_send(so_far).is_ok() {
                    self.operator = Some(operator);
                    self.tell(Event::TakenOver);
                    self.send(Output::Handoff(true));
                }
            }
            Input::Operator(samples) => {
                if self.operator.is_some() {
                    // What the caller cannot take in time is lost; it must not end their conversation.
                    let _ = self.output.try_send(Output::Voice(samples.to_vec()));
                }
            }
            Input::HandBack => self.hand_back(),
        }
    }

    fn hand_back(&mut self) {
        if self.operator.take().is_some() {
            self.tell(Event::HandedBack);
            self.send(Output::Handoff(false));
        }
    }

    fn so_far(&self) -> Vec<(String, String)> {
        let mut turns = self.said.clone();
        if let Some(last) = &self.last {
            turns.push((last.question.clone(), last.heard.clone()));
        }
        turns
    }

    fn tell(&mut self, event: Event) {
        for effect in self.session.on(event) {
            self.act(effect);
        }
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> Call {
        Call(self.engine.parts.tracker.spawn(work))
    }

    fn send(&mut self, output: Output) {
        if let Some(operator) = &self.operator {
            let _ = operator.try_send(output.clone());
        }
        if self.output.try_send(output).is_err() {
            self.unread = true;
        }
    }
}

/// Returns when the one who took over has left.
async fn gone(operator: Option<&mpsc::Sender<Output>>) {
    match operator {
        Some(operator) => operator.closed().await,
        None => std::future::pending().await,
    }
}

/// Counts the conversation as over, however its task ends.
fn scopeguard() -> impl Drop {
    struct Open;
    impl Drop for Open {
        fn drop(&mut self) {
            metrics::gauge!("griot_voice_sessions").decrement(1.0);
        }
    }
    Open
}
