//! Asks parts that nobody asks just now, so that a loss is noticed before the next question and a
//! recovery without one.
//!
//! Questions are the best probes. Real work is done by a probe only where something speaks against
//! the part; a part that nothing speaks against gets a glance (does it listen?) or is left alone.
//! So an idle daemon loads no weights and writes no tokens, and a server that listens but hangs in its
//! work does not pass for healthy once it was caught.

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
};

/// A suspect part is probed this often at least, so that it does not stay under suspicion for long.
const SUSPECT_INTERVAL: Duration = Duration::from_secs(2);

/// No probe follows another sooner, whatever a server asks for.
const SOONEST: Duration = Duration::from_millis(100);

/// What a probe calls.
pub type Check = Box<dyn Fn() -> BoxFuture<'static, Result<(), PortError>> + Send + Sync>;

/// The probe of one part. The checks call the part itself, not through its gate: the probe does that.
pub struct Probe {
    gate: Arc<Gate>,
    work: Check,
    glance: Option<Check>,
    url: Option<watch::Receiver<Option<Url>>>,
}

impl Probe {
    /// A probe that does `work` where something speaks against the part.
    #[must_use]
    pub fn new(gate: Arc<Gate>, work: Check) -> Self {
        Self {
            gate,
            work,
            glance: None,
            url: None,
        }
    }

    /// Asks `glance` while nothing speaks against the part. Its good answers prove nothing.
    #[must_use]
    pub fn glance(mut self, glance: Check) -> Self {
        self.glance = Some(glance);
        self
    }

    /// For a part that a supervisor keeps running: it is not asked while it does not run, and is
    /// asked at once, its rest ended, when it was started anew.
    #[must_use]
    pub fn supervised(mut self, url: watch::Receiver<Option<Url>>) -> Self {
        self.url = Some(url);
        self
    }

    /// Probes every `interval`, and more often while something speaks against the part, until
    /// `cancel`.
    pub fn start(self, interval: Duration, tracker: &TaskTracker, cancel: CancellationToken) {
        tracker.spawn(async move {
            // A probe under way is dropped, which cancels it.
            cancel.run_until_cancelled(self.run(interval)).await;
        });
    }

    async fn run(mut self, interval: Duration) {
        loop {
            let wait = self.once(interval).await;
            let started_anew = async {
                if let Some(url) = &mut self.url
                    && url.changed().await.is_ok()
                {
                    return;
                }
                std::future::pending().await
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = started_anew => self.gate.wake(),
            }
        }
    }

    /// Probes once. When to probe again.
    async fn once(&mut self, interval: Duration) -> Duration {
        // Seen now: only a later start is a reason to probe before the interval is over.
        let runs = self
            .url
            .as_mut()
            .is_none_or(|url| url.borrow_and_update().is_some());
        if !runs {
            return interval;
        }
        let limit = self.gate.limits().first;
        let result = if self.gate.is_suspect() {
            self.gate.call(limit, (self.work)()).await
        } else if let Some(glance) = &self.glance {
            self.gate.glance(limit, glance()).await
        } else {
            Ok(())
        };
        match result {
            Err(PortError::Resting { retry_after, .. }) => retry_after.max(SOONEST).min(interval),
            _ if self.gate.is_suspect() => SUSPECT_INTERVAL.min(interval),
            _ => interval,
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
