//! Somebody who goes on asking: a search or a question at a time, each answered or noted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

use crate::daemon::Asker;

/// The collection of documents that mean no harm.
pub const PAPERS: &str = "papers";

/// Between two of them, so that the asker is a person and not a load.
const PAUSE: Duration = Duration::from_millis(40);

/// What came of it.
#[derive(Debug, Default)]
pub struct Asked {
    pub searches: Vec<Duration>,
    pub questions: Vec<Duration>,
    pub unanswered: Vec<String>,
}

impl Asked {
    pub fn count(&self) -> usize {
        self.searches.len() + self.questions.len()
    }

    /// Of both kinds: the duration that 95 of 100 keep to.
    pub fn p95(&self) -> Duration {
        let mut all = [&self.searches[..], &self.questions].concat();
        all.sort_unstable();
        all.get(all.len() * 95 / 100).copied().unwrap_or_default()
    }
}

/// Asks until told to stop.
pub struct Questions {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<Asked>,
}

impl Questions {
    pub fn begin(asker: Asker) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let asking = tokio::spawn(async move {
            let mut asked = Asked::default();
            while !stopped.load(Ordering::Relaxed) {
                one_round(&asker, &mut asked).await;
                tokio::time::sleep(PAUSE).await;
            }
            asked
        });
        Self { stop, asking }
    }

    pub async fn end(self) -> Asked {
        self.stop.store(true, Ordering::Relaxed);
        self.asking.await.unwrap()
    }
}

/// The same words without anything else going on.
pub async fn idle(asker: &Asker, rounds: usize) -> Asked {
    let mut asked = Asked::default();
    for _ in 0..rounds {
        one_round(asker, &mut asked).await;
    }
    asked
}

/// Three searches in everything there is, and a question to the documents that were there from the
/// beginning, which must be answered whatever came since.
async fn one_round(asker: &Asker, asked: &mut Asked) {
    for words in ["rent deposit lease", "heat pump defrost", "monthly payment"] {
        let began = Instant::now();
        match asker.search(words).await {
            Ok(found) if found["passages"].as_array().is_some_and(|p| !p.is_empty()) => {
                asked.searches.push(began.elapsed());
            }
            Ok(found) => asked.unanswered.push(format!("search {words:?}: {found}")),
            Err(error) => asked.unanswered.push(error),
        }
    }
    let began = Instant::now();
    match asker
        .ask("When is the rent payable each month?", PAPERS)
        .await
    {
        Ok(answer) if answer["supported"] == true => asked.questions.push(began.elapsed()),
        Ok(answer) => asked.unanswered.push(format!("question: {answer}")),
        Err(error) => asked.unanswered.push(error),
    }
}
