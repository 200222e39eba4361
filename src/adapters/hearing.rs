//! Ears in process: Silero's voice detector and Smart Turn's judge of turns, both small enough to run beside
//! everything else. Nothing is read before it is needed.

mod features;
mod silero;
mod smart_turn;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use rten::{Model, ModelOptions, RunOptions, ThreadPool};
use tokio::sync::Semaphore;

use crate::{
    domain::Component,
    ports::{Hearing, PortError, TurnEnd, VoiceActivity},
};

/// Judgements at once. Each takes 44 ms of one core.
const AT_ONCE: usize = 2;

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error("{} is missing; fetch it with `griot models pull {model}`", path.display())]
    Missing { path: PathBuf, model: &'static str },
    #[error(
        "{} cannot be used: {reason}; check it with `griot models verify {model}` and fetch it again with \
         `griot models pull {model}`",
        path.display()
    )]
    Damaged {
        path: PathBuf,
        model: &'static str,
        reason: String,
    },
    #[error("the model {model} did not run: {reason}")]
    Run { model: &'static str, reason: String },
}

impl From<LoadError> for PortError {
    fn from(error: LoadError) -> Self {
        match error {
            // Nothing broke: it was never there.
            LoadError::Missing { .. } => Self::Refused {
                component: Component::Transcriber,
                reason: error.to_string(),
            },
            _ => Self::unavailable(Component::Transcriber, error),
        }
    }
}

/// A file that is read at the first use, and once.
struct Lazy {
    path: PathBuf,
    name: &'static str,
    /// Held while it is read.
    model: Mutex<Option<Arc<Model>>>,
}

impl Lazy {
    fn new(dir: &Path, name: &'static str) -> Self {
        Self {
            path: dir.join(name).join("model.onnx"),
            name,
            model: Mutex::default(),
        }
    }

    /// The model. Blocks while it is read: some tens of milliseconds.
    fn get(&self) -> Result<Arc<Model>, LoadError> {
        let mut model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = &*model {
            return Ok(Arc::clone(model));
        }
        if !self.path.is_file() {
            return Err(LoadError::Missing {
                path: self.path.clone(),
                model: self.name,
            });
        }
        let loaded = ModelOptions::with_all_ops()
            .prepack_weights(true)
            .load_file(&self.path)
            .map_err(|error| LoadError::Damaged {
                path: self.path.clone(),
                model: self.name,
                reason: error.to_string(),
            })?;
        let loaded = Arc::new(loaded);
        *model = Some(Arc::clone(&loaded));
        Ok(loaded)
    }
}

/// Both models of a weights folder: `DIR/silero-vad/model.onnx` and `DIR/smart-turn/model.onnx`.
pub struct LocalHearing {
    voice: Arc<Lazy>,
    turn: Arc<Lazy>,
    /// A thread for all ears: a frame is too little work to be shared out, and never waits for a judgement, which is
    /// a hundred times as much.
    hearing: RunOptions,
    /// Another one for judgements.
    turning: RunOptions,
    /// A judgement's place goes with its work, which nothing stops once it has begun.
    judging: Arc<Semaphore>,
}

impl LocalHearing {
    /// Looks at nothing yet.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        let one_thread = || {
            let pool = ThreadPool::with_num_threads(1);
            RunOptions::default().with_thread_pool(Some(Arc::new(pool)))
        };
        Self {
            voice: Arc::new(Lazy::new(dir, "silero-vad")),
            turn: Arc::new(Lazy::new(dir, "smart-turn")),
            hearing: one_thread(),
            turning: one_thread(),
            judging: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

#[async_trait]
impl Hearing for LocalHearing {
    async fn ears(&self) -> Result<Box<dyn VoiceActivity>, PortError> {
        let (voice, run) = (Arc::clone(&self.voice), self.hearing.clone());
        blocking(move || {
            let ears = silero::Ears::new(voice.get()?, run)?;
            Ok(Box::new(ears) as Box<dyn VoiceActivity>)
        })
        .await
    }
}

#[async_trait]
impl TurnEnd for LocalHearing {
    async fn probability(&self, samples: Arc<[f32]>) -> Result<f32, PortError> {
        let place = (Arc::clone(&self.judging).acquire_owned().await)
            .expect("this semaphore is never closed");
        let (turn, run) = (Arc::clone(&self.turn), self.turning.clone());
        blocking(move || {
            let _place = place;
            smart_turn::probability(&*turn.get()?, &samples, run)
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, PortError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Ok(result?),
        // A damaged model may make its interpreter panic.
        Err(stopped) => Err(PortError::unavailable(Component::Transcriber, stopped)),
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_judgement_that_nobody_wants_any_more_keeps_its_place_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let hearing = LocalHearing::new(folder.path());
        let model = Arc::clone(&hearing.turn);
        let judge = || hearing.probability(Arc::from([0.0_f32; 16]));
        let reading = model.model.lock().unwrap();
        for _ in 0..AT_ONCE {
            // Polled once, which begins the work, and dropped.
            assert!(judge().now_or_never().is_none());
        }
        assert_eq!(hearing.judging.available_permits(), 0, "the work goes on");
        drop(reading);
        // The places come back with the end of the work, which there is no model for.
        assert!(matches!(judge().await, Err(PortError::Refused { .. })));
    }
}
