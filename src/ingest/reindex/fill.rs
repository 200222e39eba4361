//! Filling an index from the catalog: the chunks' texts are there, so no document is read again.
//!
//! What the index lacks is asked again after each step, so documents that come, change or go meanwhile
//! are just more of the same. A step embeds without holding anything up, and writes while nobody else is
//! at the points, after another look at what is visible.

use std::sync::Arc;

use tokio::sync::MutexGuard;

use super::{Activity, Reindex, Rows};
use crate::{
    catalog::{Catalog, CatalogError, ChunkRun},
    domain::{DocumentId, Embedding, GenerationRole, SparseVector, bm25::Bm25},
    ingest::{patience::Patience, shared::Shared},
    ports::{EmbedKind, Pair, Point, PortError},
};

/// Chunks of one step, from however many documents.
const STEP: usize = 128;

/// Documents looked up for a step.
const DOCUMENTS: usize = 64;

/// Texts given to the embedder at once: few, so that questions and new documents have their turn.
const BATCH: usize = 16;

/// How often documents that came meanwhile are caught up with before the rest is done while none can
/// come.
const ROUNDS: usize = 3;

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
enum Setback {
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// One filling of one generation.
pub(super) struct Fill<'a> {
    reindex: &'a Reindex,
    /// As it is, without whatever watches over parts in use: its faults are not theirs.
    pair: Pair,
    number: u32,
    /// How far the first document is that the index lacks, where it is longer than a step.
    begun: Option<Begun>,
}

#[derive(Debug, Clone, Copy)]
struct Begun {
    document: DocumentId,
    revision: u32,
    /// The first chunk that is not written.
    next: u32,
    cut: bool,
}

/// Chunks with their vectors; `None` for one that the embedder refused.
struct Embedded {
    run: ChunkRun,
    dense: Vec<Option<Embedding>>,
    sparse: Vec<SparseVector>,
    /// The model does not read all of each chunk of the document.
    cut: bool,
}

impl<'a> Fill<'a> {
    pub(super) fn new(reindex: &'a Reindex, pair: Pair, number: u32) -> Self {
        Self {
            reindex,
            pair,
            number,
            begun: None,
        }
    }

    /// Fills the index and lets it answer, however long that takes. `false` when the daemon stops.
    pub(super) async fn run(mut self, activity: Activity) -> bool {
        let shared = Arc::clone(&self.reindex.shared);
        let mut patience = Patience::default();
        loop {
            let caught_up = tokio::select! {
                caught_up = self.catch_up(&shared) => caught_up,
                () = shared.cancel.cancelled() => return false,
            };
            let ended = match caught_up {
                // Whoever was at the points may have been broken off; the next start looks again.
                Ok(_) if shared.cancel.is_cancelled() => return false,
                Ok(points) => {
                    let taken = self.take_over(activity).await;
                    drop(points);
                    taken
                }
                Err(setback) => Err(setback),
            };
            let setback = match ended {
                Ok(()) => {
                    // Documents may have been queued to be cut anew.
                    shared.wake.notify_one();
                    return true;
                }
                Err(setback) => setback,
            };
            if patience.tries == 0 {
                tracing::warn!(error = %setback, "filling the index waits");
            }
            self.reindex.work().trouble = Some(setback.to_string());
            let error = match &setback {
                Setback::Port(error) => Some(error),
                Setback::Catalog(_) => None,
            };
            if !patience.wait(error, &shared.retries, &shared.cancel).await {
                return false;
            }
        }
    }

    /// Fills the index until it lacks nothing and nothing can come any more: while the value returned
    /// lives, nobody publishes or deletes.
    async fn catch_up<'s>(&mut self, shared: &'s Shared) -> Result<MutexGuard<'s, ()>, Setback> {
        self.pair.open().await?;
        for _ in 0..ROUNDS {
            while self.step(None).await? {}
        }
        // What is left is what came in the last moments.
        let points = shared.points.lock().await;
        while self.step(Some(&points)).await? {}
        Ok(points)
    }

    /// Lets the index answer. Nobody else is at the points.
    async fn take_over(&self, activity: Activity) -> Result<(), Setback> {
        let number = self.number;
        let catalog = &self.reindex.shared.catalog;
        let index = &self.reindex.index;
        if activity == Activity::Filling {
            catalog.call(move |c| c.complete_generation(number)).await?;
            index.set_ready();
        } else {
            let mut others = catalog.call(Catalog::generations).await?;
            others.retain(|row| row.number != number);
            catalog.call(move |c| c.switch_generation(number)).await?;
            let pair = self.reindex.generations.guarded(self.pair.clone());
            index.switch(pair, None);
            // Before anybody can delete: what is deleted from now on is to go from the one that is left, too.
            for row in &mut others {
                if row.role == GenerationRole::Active {
                    row.role = GenerationRole::Kept;
                }
            }
            self.reindex.set_beside(&Rows(others));
        }
        Ok(())
    }

    /// Embeds and writes some of what the index lacks. `false` when it lacks nothing.
    async fn step(&mut self, points: Option<&MutexGuard<'_, ()>>) -> Result<bool, Setback> {
        let runs = self.gather().await?;
        if runs.is_empty() {
            return Ok(false);
        }
        let mut embedded = Vec::with_capacity(runs.len());
        for run in runs {
            embedded.push(self.embed(run).await?);
        }
        if points.is_some() {
            self.write(embedded).await?;
        } else {
            let shared = Arc::clone(&self.reindex.shared);
            let _points = shared.points.lock().await;
            self.write(embedded).await?;
        }
        Ok(true)
    }

    /// The chunks of the next step.
    async fn gather(&self) -> Result<Vec<ChunkRun>, Setback> {
        let catalog = &self.reindex.shared.catalog;
        loop {
            let (number, begun) = (self.number, self.begun);
            let (lacking, runs) = catalog
                .call(move |c| {
                    let lacking = c.unindexed(number, DOCUMENTS)?;
                    Ok((lacking.len(), gather(c, &lacking, begun)?))
                })
                .await?;
            // Where documents went between two looks, there may be others.
            if lacking == 0 || !runs.is_empty() {
                return Ok(runs);
            }
            tokio::task::yield_now().await;
        }
    }

    async fn embed(&mut self, run: ChunkRun) -> Result<Embedded, Setback> {
        let texts: Vec<String> = run
            .chunks
            .iter()
            .map(|chunk| chunk.in_context(&run.document_name))
            .collect();
        let embedder = Arc::clone(&self.pair.embedder);
        let counted = tokio::task::spawn_blocking(move || {
            let words = Bm25::default();
            let sparse: Vec<_> = texts.iter().map(|text| words.passage(text)).collect();
            let most = embedder.identity().max_tokens;
            let cut = texts.iter().any(|text| embedder.count_tokens(text) > most);
            (texts, sparse, cut)
        });
        let (texts, sparse, mut cut) = counted
            .await
            .map_err(|ended| CatalogError::Stopped(ended.to_string()))?;
        let mut dense = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            let vectors = self.vectors(batch.to_vec()).await?;
            cut |= vectors.iter().any(Option::is_none);
            dense.extend(vectors);
            let mut work = self.reindex.work();
            work.embedded += batch.len() as u64;
            work.trouble = None;
        }
        Ok(Embedded {
            run,
            dense,
            sparse,
            cut,
        })
    }

    /// A vector for each text. One that the embedder refuses has none; the pipeline has the last word on
    /// its document, when that is processed again.
    async fn vectors(&self, texts: Vec<String>) -> Result<Vec<Option<Embedding>>, Setback> {
        match self.ask(texts.clone()).await {
            Ok(vectors) => Ok(vectors.into_iter().map(Some).collect()),
            Err(Setback::Port(PortError::Refused { .. })) => {
                let mut vectors = Vec::with_capacity(texts.len());
                for text in texts {
                    vectors.push(match self.ask(vec![text]).await {
                        Ok(vectors) => vectors.into_iter().next(),
                        Err(Setback::Port(PortError::Refused { .. })) => None,
                        Err(error) => return Err(error),
                    });
                }
                Ok(vectors)
            }
            Err(error) => Err(error),
        }
    }

    async fn ask(&self, texts: Vec<String>) -> Result<Vec<Embedding>, Setback> {
        let asked = texts.len();
        let vectors = self.pair.embedder.embed(texts, EmbedKind::Passage).await?;
        if vectors.len() == asked {
            Ok(vectors)
        } else {
            Err(Setback::Port(PortError::Refused {
                component: crate::domain::Component::Embedder,
                reason: format!("{} vectors came for {asked} texts", vectors.len()),
            }))
        }
    }

    /// Writes what is still visible and notes which documents are whole. Nobody else is at the points.
    async fn write(&mut self, embedded: Vec<Embedded>) -> Result<(), Setback> {
        let catalog = &self.reindex.shared.catalog;
        let mut whole = Vec::new();
        let mut points = Vec::new();
        let mut begun = None;
        for one in embedded {
            let run = one.run;
            let (document, revision) = (run.document, run.revision);
            let visible = catalog.call(move |c| c.visible_revision(document)).await?;
            if visible != Some(revision) {
                continue;
            }
            let before = self
                .begun
                .filter(|b| (b.document, b.revision) == (document, revision));
            let cut = one.cut || before.is_some_and(|before| before.cut);
            let next = run
                .chunks
                .last()
                .map_or(0, |last| last.key.ordinal.saturating_add(1));
            if run.ends {
                whole.push((document, revision, cut));
            } else {
                begun = Some(Begun {
                    document,
                    revision,
                    next,
                    cut,
                });
            }
            let vectors = one.dense.into_iter().zip(one.sparse);
            for (chunk, (dense, sparse)) in run.chunks.into_iter().zip(vectors) {
                if let Some(dense) = dense {
                    points.push(Point {
                        key: chunk.key,
                        collection: run.collection.clone(),
                        dense,
                        sparse,
                    });
                }
            }
        }
        if !points.is_empty() {
            self.pair.store.upsert(points).await?;
            self.pair.store.flush().await?;
        }
        if !whole.is_empty() {
            let number = self.number;
            catalog
                .call(move |c| c.note_indexed(number, &whole))
                .await?;
        }
        self.begun = begun;
        Ok(())
    }
}

/// Chunks of the first documents that are lacking, as many as a step takes.
fn gather(
    catalog: &Catalog,
    lacking: &[(DocumentId, u32)],
    begun: Option<Begun>,
) -> Result<Vec<ChunkRun>, CatalogError> {
    let mut runs = Vec::new();
    let mut room = STEP;
    for (document, revision) in lacking {
        let from = begun
            .filter(|begun| (begun.document, begun.revision) == (*document, *revision))
            .map_or(0, |begun| begun.next);
        if let Some(run) = catalog.chunk_run(*document, *revision, from, room)? {
            room -= run.chunks.len();
            runs.push(run);
        }
        if room == 0 {
            break;
        }
    }
    Ok(runs)
}
