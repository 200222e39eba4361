//! The second stage: a vector for each chunk, in batches that may span several documents.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::Instant};
use tracing::Instrument;

use super::{EMBEDDED, Embedded, Prepared, READ, unavailable};
use crate::{
    domain::{Component, Embedding, Stage},
    failpoints::{Point, reach},
    ingest::{chunk::embedding_text, patience::Patience, shared::Shared},
    ports::{EmbedKind, PortError},
    tasks::Pulse,
};

/// Texts given to the embedder at once. It runs them in smaller batches of like length, so more is
/// better; but each document waits for all of them.
const BATCH: usize = 64;

/// How many of them are always of the document that came first.
const FIRST: usize = BATCH / 4;

/// Documents on the table at most.
const TABLE: usize = 64;

/// Faults in a row before it is asked whether this document is the cause.
const TRIES: u32 = 3;

/// How often a document may fail while the embedder works for a harmless text.
const STRIKES: u32 = 3;

/// Longer than a batch may take that gives way to questions (its deadline is half an hour).
const LIMIT: Duration = Duration::from_secs(3600);

/// A document on the table.
struct Work {
    prepared: Prepared,
    /// One per chunk, as far as they are there.
    vectors: Vec<Option<Embedding>>,
    /// The chunks without one, in their order.
    missing: VecDeque<usize>,
    strikes: u32,
}

impl Work {
    fn new(mut prepared: Prepared) -> Self {
        let vectors = std::mem::take(&mut prepared.known);
        let missing = (0..vectors.len()).filter(|&n| vectors[n].is_none());
        Self {
            missing: missing.collect(),
            vectors,
            prepared,
            strikes: 0,
        }
    }

    /// The texts of the next `limit` chunks without a vector.
    fn texts(&self, limit: usize) -> impl Iterator<Item = String> {
        let chunks = &self.prepared.publication.chunks;
        let document = &self.prepared.document;
        self.missing
            .iter()
            .take(limit)
            .map(|&place| embedding_text(&chunks[place], document))
    }

    /// Takes vectors for the chunks that [`Self::texts`] told of first.
    fn take(&mut self, vectors: impl Iterator<Item = Embedding>) {
        for vector in vectors {
            if let Some(place) = self.missing.pop_front() {
                self.vectors[place] = Some(vector);
            }
        }
    }

    fn finished(self) -> Embedded {
        Embedded {
            prepared: self.prepared,
            vectors: self.vectors.into_iter().flatten().collect(),
        }
    }
}

/// How many chunks of each document go into the next batch, given how many each still needs, in the
/// order in which they came. The first one has a part of every batch, so that it comes to its end; the
/// rest goes to those that need least, so that a letter does not wait for a book.
fn deal(missing: &[usize]) -> Vec<usize> {
    let mut shares = vec![0; missing.len()];
    let mut left = BATCH;
    if let Some(first) = missing.first() {
        shares[0] = FIRST.min(*first);
        left -= shares[0];
    }
    let mut by_need: Vec<usize> = (0..missing.len()).collect();
    by_need.sort_by_key(|&place| missing[place]);
    for place in by_need {
        let more = (missing[place] - shares[place]).min(left);
        shares[place] += more;
        left -= more;
    }
    shares
}

pub(super) async fn run(
    shared: Arc<Shared>,
    mut prepared: mpsc::Receiver<Prepared>,
    to_publish: mpsc::Sender<Embedded>,
) {
    let pulse = shared.tasks.pulse("ingest.embed", LIMIT);
    let mut stage = EmbedStage {
        shared,
        pulse,
        table: VecDeque::new(),
        patience: Patience::default(),
        alone: false,
        since: Instant::now(),
    };
    while stage.fill(&mut prepared).await {
        for embedded in stage.finished() {
            tokio::select! {
                sent = to_publish.send(embedded) => if sent.is_err() { return },
                () = stage.shared.cancel.cancelled() => return,
            }
        }
        if !stage.table.is_empty() && !stage.step().await {
            return;
        }
    }
}

struct EmbedStage {
    shared: Arc<Shared>,
    /// In the order in which they came.
    table: VecDeque<Work>,
    patience: Patience,
    /// One document at a time, to find the one that the embedder cannot bear.
    alone: bool,
    /// When the batch before was done, or when there was something to do again.
    since: Instant,
    pulse: Pulse,
}

impl EmbedStage {
    /// Takes what is ready, or waits for something. `false` when the daemon stops.
    async fn fill(&mut self, prepared: &mut mpsc::Receiver<Prepared>) -> bool {
        self.table
            .retain(|work| !work.prepared.claim.cancelled.is_cancelled());
        if self.table.is_empty() {
            // Waiting for documents that are being read is a part of the time they take.
            let idle = self.shared.claimed() == 0;
            let next = tokio::select! {
                next = prepared.recv() => next,
                () = self.shared.cancel.cancelled() => None,
            };
            let Some(next) = next else {
                return false;
            };
            if idle {
                self.since = Instant::now();
            }
            self.table.push_back(Work::new(next));
        }
        while self.table.len() < TABLE {
            let Ok(next) = prepared.try_recv() else { break };
            self.table.push_back(Work::new(next));
        }
        for work in &self.table {
            self.show(work);
        }
        true
    }

    /// Embeds one batch, or waits after a fault. `false` when the daemon stops.
    async fn step(&mut self) -> bool {
        let missing: Vec<usize> = self.table.iter().map(|work| work.missing.len()).collect();
        let shares = deal(if self.alone {
            &missing[..1]
        } else {
            &missing[..]
        });
        let mut texts = Vec::with_capacity(BATCH);
        for (work, share) in self.table.iter().zip(&shares) {
            texts.extend(work.texts(*share));
        }
        let asked = texts.len();
        let embedding = self
            .pulse
            .during(self.shared.embedder.embed(texts, EmbedKind::Passage))
            .instrument(tracing::info_span!(target: "griot::trace", "embed", texts = asked));
        let answer = tokio::select! {
            answer = embedding => answer,
            () = self.shared.cancel.cancelled() => return false,
        };
        match answer {
            Ok(vectors) if vectors.len() == asked => {
                let took = self.since.elapsed();
                self.since = Instant::now();
                self.shared.retries.called(Component::Embedder);
                self.shared.catalog.count_time(asked as u64, took);
                let mut vectors = vectors.into_iter();
                for (work, share) in self.table.iter_mut().zip(shares) {
                    work.take(vectors.by_ref().take(share));
                }
                self.patience = Patience::default();
                self.alone = false;
                true
            }
            Ok(vectors) => {
                let component = Component::Embedder;
                let reason = format!("{} vectors came for {asked} texts", vectors.len());
                self.refused(&PortError::Refused { component, reason })
                    .await
            }
            Err(error @ PortError::Refused { .. }) => self.refused(&error).await,
            Err(error) => self.fault(&error).await,
        }
    }

    /// It answered no: to one of these documents, which is looked for, or to this one.
    async fn refused(&mut self, error: &PortError) -> bool {
        if self.table.len() > 1 && !self.alone {
            self.alone = true;
            return true;
        }
        self.alone = false;
        if let Some(work) = self.table.pop_front() {
            self.shared
                .give_up(&work.prepared, unavailable(error))
                .await;
        }
        true
    }

    /// It did not answer. Documents wait, in their rows' words `queued`.
    async fn fault(&mut self, error: &PortError) -> bool {
        if self.patience.tries == 0 {
            tracing::warn!(%error, "documents wait for the embedder");
        }
        for work in &self.table {
            self.shared.catalog.set_down(work.prepared.claim.id);
        }
        if !self
            .patience
            .wait(Some(error), &self.shared.retries, &self.shared.cancel)
            .await
        {
            return false;
        }
        self.since = Instant::now();
        if self.patience.tries < TRIES || matches!(error, PortError::Resting { .. }) {
            return true;
        }
        let harmless = vec!["griot".to_owned()];
        let works = tokio::select! {
            answer = self.shared.embedder.embed(harmless, EmbedKind::Passage) => answer.is_ok(),
            () = self.shared.cancel.cancelled() => return false,
        };
        if !works {
            return true;
        }
        if self.table.len() > 1 && !self.alone {
            self.alone = true;
        } else if let Some(mut work) = self.table.pop_front() {
            work.strikes += 1;
            if work.strikes < STRIKES {
                self.table.push_back(work);
            } else {
                self.shared
                    .give_up(&work.prepared, unavailable(error))
                    .await;
            }
        }
        true
    }

    /// Takes the documents that have all their vectors off the table.
    fn finished(&mut self) -> Vec<Embedded> {
        let (finished, rest) = std::mem::take(&mut self.table)
            .into_iter()
            .partition::<VecDeque<_>, _>(|work| work.missing.is_empty());
        self.table = rest;
        for _ in &finished {
            reach(Point::EmbedAfter);
        }
        finished.into_iter().map(Work::finished).collect()
    }

    fn show(&self, work: &Work) {
        let id = work.prepared.claim.id;
        let all = work.vectors.len();
        let done = all - work.missing.len();
        let share = done as f32 / all.max(1) as f32;
        let catalog = &self.shared.catalog;
        let told = catalog.progress(id, Stage::Embedding, READ + share * (EMBEDDED - READ), None);
        debug_assert!(told.is_ok(), "progress is kept in memory");
        catalog.count_chunks(id, done as u64, all as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_goes_on_and_the_short_do_not_wait() {
        let check = |missing: &[usize], expected: &[usize]| {
            assert_eq!(deal(missing), expected, "{missing:?}");
        };
        check(&[], &[]);
        check(&[3], &[3]);
        check(&[500], &[64]);
        check(&[0, 5], &[0, 5]);
        check(&[500, 2, 1], &[61, 2, 1]);
        // The book gets its part although there are letters enough.
        check(&[500, 40, 40], &[16, 40, 8]);
        check(&[500, 900, 10], &[54, 0, 10]);
        check(&[10, 20, 30, 40], &[10, 20, 30, 4]);
        for total in [0, 1, 63, 64, 65, 1000] {
            let given: usize = deal(&[total, total]).iter().sum();
            assert_eq!(given, BATCH.min(2 * total));
        }
    }
}
