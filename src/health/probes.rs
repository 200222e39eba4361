//! Asks parts that nobody asks just now, so that a loss is noticed before the next question and a
//! recovery without one.
//!
//! Every interval a part does one unit of real work, unless a caller has just seen it work. What would
//! have to be loaded for that (weights) is left asleep where nobody has used it for a while, and only
//! glanced at: does it listen, are its files there? As soon as a caller meets a fault the part is probed
//! at once and often, by real work, so that a server that listens but hangs in its work does not pass for
//! healthy once it was caught, and no caller has to find out by waiting.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, future::BoxFuture};
use reqwest::Url;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::gate::Gate;
use crate::{
    domain::audio::LISTEN_RATE,
    ports::{
        ChatRequest, Clause, EmbedKind, Embedder, Filter, LanguageModel, Message, PortError, Role,
        Synthesizer, Transcriber, Utterance, VectorStore,
    },
    tasks::{Pulse, Tasks, kept_running},
};

/// A suspect part is probed this often at least, so that it does not stay under suspicion for long.
const SUSPECT_INTERVAL: Duration = Duration::from_millis(500);

/// No probe follows another sooner, whatever a server asks for.
const SOONEST: Duration = Duration::from_millis(100);

/// A part that was used within this is kept awake anyway, so that its probes may work.
const IN_USE: Duration = Duration::from_secs(300);

/// A worker of ours that gives no sign of life for so many probes in a row is started anew.
const SILENT: u32 = 2;

/// A probe that takes so much longer than its deadlines allow hangs.
const HANGS: Duration = Duration::from_secs(30);

/// A part that said why it cannot do its work (weights that are missing, a model that is not there) is
/// glanced at this often, so that it is not missed for long once that is mended.
const UNABLE_INTERVAL: Duration = Duration::from_secs(2);

/// What a probe calls.
pub type Check = Box<dyn Fn() -> BoxFuture<'static, Result<(), PortError>> + Send + Sync>;

/// The probe of one part. The checks call the part itself, not through its gate: the probe does that.
pub struct Probe {
    gate: Arc<Gate>,
    work: Check,
    glance: Option<Check>,
    url: Option<watch::Receiver<Option<Url>>>,
    sleeps: bool,
    pulse: Option<Pulse>,
}

/// What a probe has seen since it began.
struct Course {
    url: Option<watch::Receiver<Option<Url>>>,
    /// Probes in a row without a sign of life.
    silent: u32,
}

impl Probe {
    /// A probe that does `work`. From now on the gate lets callers through only while nothing speaks
    /// against the part: finding out is this one's business.
    #[must_use]
    pub fn new(gate: Arc<Gate>, work: Check) -> Self {
        gate.is_probed();
        Self {
            gate,
            work,
            glance: None,
            url: None,
            sleeps: false,
            pulse: None,
        }
    }

    /// For a part that has a quick way of saying that it is there, and would have to load weights for
    /// its work: `glance` alone while nobody uses the part and nothing speaks against it; before the
    /// work otherwise. Its good answers prove nothing.
    #[must_use]
    pub fn glance(mut self, glance: Check) -> Self {
        self.glance = Some(glance);
        self.sleeps = true;
        self
    }

    /// For a part that would have to load weights for its work, and has no quicker way of saying that it is
    /// there: it is left asleep while nobody uses it.
    #[must_use]
    pub fn sleeping(mut self) -> Self {
        self.sleeps = true;
        self
    }

    /// For a part that a supervisor keeps running: it is not asked while it does not run, and is
    /// asked at once, its rest ended, when it was started anew.
    #[must_use]
    pub fn supervised(mut self, url: watch::Receiver<Option<Url>>) -> Self {
        self.url = Some(url);
        self
    }

    /// Shows whether it gets on: each probe has a deadline, so one that takes many times as long hangs.
    #[must_use]
    pub fn pulse(mut self, tasks: &Tasks) -> Self {
        let limits = self.gate.limits();
        let limit = (limits.first + limits.glance) * 2 + HANGS;
        self.pulse = Some(tasks.pulse("probe", limit));
        self
    }

    /// Probes every `interval`, and more often while something speaks against the part, until
    /// `cancel`.
    pub fn start(self, interval: Duration, tracker: &TaskTracker, cancel: CancellationToken) {
        tracker.spawn(async move {
            // A probe under way is dropped, which cancels it.
            let probe = &self;
            let keep = kept_running("probe", &cancel, || probe.run(interval));
            cancel.run_until_cancelled(keep).await;
        });
    }

    async fn run(&self, interval: Duration) {
        let mut course = Course {
            url: self.url.clone(),
            silent: 0,
        };
        loop {
            let once = self.once(interval, &mut course);
            let wait = match &self.pulse {
                Some(pulse) => pulse.during(once).await,
                None => once.await,
            };
            let started_anew = async {
                if let Some(url) = &mut course.url
                    && url.changed().await.is_ok()
                {
                    return;
                }
                std::future::pending().await
            };
            let soonest = tokio::time::Instant::now() + SOONEST;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = started_anew => {
                    course.silent = 0;
                    self.gate.wake();
                }
                () = self.gate.noticed() => tokio::time::sleep_until(soonest).await,
            }
        }
    }

    /// Probes once. When to probe again.
    async fn once(&self, interval: Duration, course: &mut Course) -> Duration {
        // Seen now: only a later start is a reason to probe before the interval is over.
        let runs = course
            .url
            .as_mut()
            .is_none_or(|url| url.borrow_and_update().is_some());
        if !runs {
            return interval;
        }
        let result = if self.gate.is_suspect() || self.gate.was_doubted() {
            self.prove().await
        } else if self.gate.answered_within(interval) {
            Ok(())
        } else if self.sleeps && !self.gate.answered_within(IN_USE) {
            match &self.glance {
                Some(glance) => self.gate.glance(glance()).await,
                None => Ok(()),
            }
        } else {
            self.prove().await
        };
        self.listen_for_life(&result, course);
        match result {
            Err(PortError::Resting { retry_after, .. }) => retry_after.max(SOONEST).min(interval),
            _ if self.gate.is_suspect() => SUSPECT_INTERVAL.min(interval),
            _ if self.gate.slot().is_unable() => UNABLE_INTERVAL.min(interval),
            _ => interval,
        }
    }

    /// Has it do its work, after a glance that is quicker to say that nobody is there.
    async fn prove(&self) -> Result<(), PortError> {
        let limits = self.gate.limits();
        let component = self.gate.component();
        let work = async {
            if let Some(glance) = &self.glance {
                let seen = tokio::time::timeout(limits.glance, glance()).await;
                seen.unwrap_or(Err(PortError::TimedOut {
                    component,
                    limit: limits.glance,
                }))
                .inspect_err(|error| {
                    if let PortError::Refused { reason, .. } = error {
                        self.gate.slot().glanced(Err(reason));
                    }
                })?;
            }
            match (self.work)().await {
                // It answered, and that is all that is asked of it here.
                Err(PortError::Refused { .. }) => Ok(()),
                result => result,
            }
        };
        self.gate.probe(limits.first, work).await
    }

    /// A worker of ours that listens no more, or hangs in its work, is ended and started anew.
    fn listen_for_life(&self, result: &Result<(), PortError>, course: &mut Course) {
        match result {
            Err(PortError::TimedOut { limit, .. }) => {
                course.silent += 1;
                let whole = *limit >= self.gate.limits().first;
                if self.url.is_some() && (whole || course.silent >= SILENT) {
                    course.silent = 0;
                    self.gate
                        .slot()
                        .ask_for_restart(&format!("it gave no sign of life within {limit:?}"));
                }
            }
            Err(PortError::Resting { .. }) => {}
            Ok(()) | Err(_) => course.silent = 0,
        }
    }
}

/// A probe's work for a language model: one token.
#[must_use]
pub fn one_token(model: Arc<dyn LanguageModel>) -> Check {
    Box::new(move || {
        let model = Arc::clone(&model);
        Box::pin(async move {
            let mut reply = model
                .chat(ChatRequest {
                    messages: vec![Message {
                        role: Role::User,
                        content: "Say yes.".to_owned(),
                    }],
                    format: None,
                    max_tokens: 1,
                    temperature: 0.0,
                    seed: None,
                    stop: Vec::new(),
                    logprobs: false,
                })
                .await?;
            while let Some(event) = reply.next().await {
                event?;
            }
            Ok(())
        })
    })
}

/// A probe's work for an embedder: one vector.
#[must_use]
pub fn one_vector(embedder: Arc<dyn Embedder>) -> Check {
    Box::new(move || {
        let embedder = Arc::clone(&embedder);
        Box::pin(async move {
            embedder
                .embed(vec!["yes".to_owned()], EmbedKind::Query)
                .await
                .map(drop)
        })
    })
}

/// A probe's work for a transcriber: a tenth of a second of silence.
#[must_use]
pub fn one_silence(transcriber: Arc<dyn Transcriber>) -> Check {
    Box::new(move || {
        let transcriber = Arc::clone(&transcriber);
        Box::pin(async move {
            let silence = vec![0.0; LISTEN_RATE as usize / 10];
            transcriber
                .transcribe(Utterance::new(silence))
                .await
                .map(drop)
        })
    })
}

/// A probe's work for a synthesizer: one word.
#[must_use]
pub fn one_word(synthesizer: Arc<dyn Synthesizer>) -> Check {
    Box::new(move || {
        let synthesizer = Arc::clone(&synthesizer);
        Box::pin(async move { synthesizer.speak(Clause::new("Yes.")).await.map(drop) })
    })
}

/// A probe's work for a vector store: counting its points. Cheap enough for a glance too.
#[must_use]
pub fn count_points(store: Arc<dyn VectorStore>) -> Check {
    Box::new(move || {
        let store = Arc::clone(&store);
        Box::pin(async move { store.count(Filter::default()).await.map(drop) })
    })
}
