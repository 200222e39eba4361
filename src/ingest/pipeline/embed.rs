//! The second stage: a vector for each chunk, in batches that may span several documents.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::mpsc;

use super::{EMBEDDED, Embedded, Prepared, READ, unavailable};
use crate::{
    domain::{Embedding, Stage},
    ingest::{chunk::embedding_text, patience::Patience, shared::Shared},
    ports::{EmbedKind, PortError},
};

/// Texts given to the embedder at once. It runs them in smaller batches of like length, so more is
/// better; but a question that comes meanwhile waits for one of those at most, a shutdown for all.
const BATCH: usize = 32;

/// Faults in a row before it is asked whether this document is the cause.
const TRIES: u32 = 3;

/// How often a document may fail while the embedder works for a harmless text.
const STRIKES: u32 = 3;

/// A document on the table.
struct Work {
    prepared: Prepared,
    vectors: Vec<Embedding>,
    strikes: u32,
}

impl Work {
    fn missing(&self) -> usize {
        self.prepared.publication.chunks.len() - self.vectors.len()
    }

    /// The texts of the next `limit` chunks without a vector.
    fn texts(&self, limit: usize) -> impl Iterator<Item = String> {
        let chunks = &self.prepared.publication.chunks[self.vectors.len()..];
        let document = &self.prepared.document;
        chunks
            .iter()
            .take(limit)
            .map(|chunk| embedding_text(chunk, document))
    }
}

pub(super) async fn run(
    shared: Arc<Shared>,
    mut prepared: mpsc::Receiver<Prepared>,
    to_publish: mpsc::Sender<Embedded>,
) {
    let mut stage = EmbedStage {
        shared,
        table: VecDeque::new(),
        patience: Patience::default(),
        alone: false,
    };
    while stage.fill(&mut prepared).await {
        if !stage.step().await {
            return;
        }
        for embedded in stage.finished() {
            tokio::select! {
                sent = to_publish.send(embedded) => if sent.is_err() { return },
                () = stage.shared.cancel.cancelled() => return,
            }
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
}

impl EmbedStage {
    /// Takes what is ready, or waits for something. `false` when the daemon stops.
    async fn fill(&mut self, prepared: &mut mpsc::Receiver<Prepared>) -> bool {
        self.table
            .retain(|work| !work.prepared.claim.cancelled.is_cancelled());
        if self.table.is_empty() {
            let next = tokio::select! {
                next = prepared.recv() => next,
                () = self.shared.cancel.cancelled() => None,
            };
            let Some(next) = next else {
                return false;
            };
            self.add(next);
        }
        while self.table.iter().map(Work::missing).sum::<usize>() < BATCH {
            let Ok(next) = prepared.try_recv() else { break };
            self.add(next);
        }
        true
    }

    fn add(&mut self, prepared: Prepared) {
        let vectors = Vec::with_capacity(prepared.publication.chunks.len());
        self.table.push_back(Work {
            prepared,
            vectors,
            strikes: 0,
        });
    }

    /// Embeds one batch, or waits after a fault. `false` when the daemon stops.
    async fn step(&mut self) -> bool {
        let mut shares = Vec::new();
        let mut texts = Vec::with_capacity(BATCH);
        let documents = if self.alone { 1 } else { usize::MAX };
        for work in self.table.iter().take(documents) {
            let before = texts.len();
            texts.extend(work.texts(BATCH - before));
            shares.push(texts.len() - before);
            self.show(work, READ);
        }
        let asked = texts.len();
        let answer = tokio::select! {
            answer = self.shared.embedder.embed(texts, EmbedKind::Passage) => answer,
            () = self.shared.cancel.cancelled() => return false,
        };
        match answer {
            Ok(vectors) if vectors.len() == asked => {
                let mut vectors = vectors.into_iter();
                for (work, share) in self.table.iter_mut().zip(shares) {
                    work.vectors.extend(vectors.by_ref().take(share));
                }
                self.patience = Patience::default();
                self.alone = false;
                true
            }
            Ok(vectors) => {
                let component = crate::domain::Component::Embedder;
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
        if !self.patience.wait(Some(error), &self.shared.cancel).await {
            return false;
        }
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
        let mut finished = Vec::new();
        while self.table.front().is_some_and(|work| work.missing() == 0) {
            let Work {
                prepared, vectors, ..
            } = self.table.pop_front().expect("it is there");
            finished.push(Embedded { prepared, vectors });
        }
        finished
    }

    fn show(&self, work: &Work, from: f32) {
        let all = work.prepared.publication.chunks.len().max(1);
        let done = work.vectors.len() as f32 / all as f32;
        let told = self.shared.catalog.progress(
            work.prepared.claim.id,
            Stage::Embedding,
            from + done * (EMBEDDED - from),
            None,
        );
        debug_assert!(told.is_ok(), "progress is kept in memory");
    }
}
