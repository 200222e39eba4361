//! The documents in work: how far each is, and how fast it goes. Only in memory: a row in work reads
//! `queued` on the disk, so that one whose process died is taken up again.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Catalog, CatalogError, documents};
use crate::domain::{Document, DocumentId, PageReport, Queue, Stage, Status, Work};

/// Seconds of work after which a measurement counts a third of a fresh one.
const FADE_S: f64 = 60.0;

/// Documents in work that [`Catalog::queue`] names.
const NAMED: usize = 16;

#[derive(Debug, Default)]
pub(super) struct InWork(Mutex<Desk>);

#[derive(Debug, Default)]
struct Desk {
    steps: HashMap<DocumentId, Step>,
    /// Grows with every document that is begun.
    begun: u64,
    pace: Pace,
    /// Chunks of the documents cut lately, and how many documents those were.
    cut: (f64, f64),
}

#[derive(Debug, Clone)]
struct Step {
    stage: Stage,
    progress: f32,
    /// What the pages gave, once they were read.
    pages: Option<Vec<PageReport>>,
    /// Pages read, of how many.
    read: (u32, u32),
    /// Chunks that have their vectors, of how many; `None` before the text is cut.
    chunks: Option<(u64, u64)>,
    /// Documents are worked off about in this order.
    number: u64,
}

impl Step {
    fn chunks_left(&self) -> u64 {
        self.chunks.map_or(0, |(done, of)| of.saturating_sub(done))
    }
}

/// Chunks a second; what was long ago counts less.
#[derive(Debug, Default, Clone, Copy)]
struct Pace {
    chunks: f64,
    seconds: f64,
}

impl Pace {
    fn add(&mut self, chunks: u64, took: Duration) {
        let took = took.as_secs_f64();
        let fade = (-took / FADE_S).exp();
        self.chunks = self.chunks * fade + chunks as f64;
        self.seconds = self.seconds * fade + took;
    }

    fn per_second(&self) -> Option<f64> {
        (self.seconds > 0.0 && self.chunks > 0.0).then(|| self.chunks / self.seconds)
    }

    fn seconds_for(&self, chunks: f64) -> Option<u64> {
        self.per_second().map(|pace| (chunks / pace).ceil() as u64)
    }
}

impl InWork {
    /// Never held across an `.await` or a call into SQLite.
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn forget(&self, id: DocumentId) {
        self.desk().steps.remove(&id);
    }

    pub(super) fn show_in(&self, document: &mut Document) {
        if document.status != Status::Queued {
            return;
        }
        let desk = self.desk();
        if let Some(step) = desk.steps.get(&document.id) {
            document.status = Status::Processing;
            document.stage = step.stage;
            document.progress = step.progress;
            document.work = Some(desk.work(step));
            if let Some(pages) = &step.pages {
                document.pages.clone_from(pages);
            }
        }
    }
}

impl Desk {
    fn work(&self, step: &Step) -> Work {
        let (chunks_done, chunks) = step.chunks.unwrap_or_default();
        let before = self.steps.values().filter(|s| s.number <= step.number);
        let left: u64 = before.map(Step::chunks_left).sum();
        Work {
            pages_done: step.read.0,
            pages: step.read.1,
            chunks_done,
            chunks,
            chunks_per_s: self.pace.per_second().map(|pace| pace as f32),
            time_left_s: step.chunks.and_then(|_| self.pace.seconds_for(left as f64)),
        }
    }

    /// Seconds until nothing waits any more: chunks that are known, and for documents that were not cut
    /// yet as many as documents had lately.
    fn time_left(&self, unfinished: u64) -> Option<u64> {
        let cut = self.steps.values().filter(|step| step.chunks.is_some());
        let uncut = unfinished.saturating_sub(cut.clone().count() as u64) as f64;
        let known: u64 = cut.map(Step::chunks_left).sum();
        let (chunks, documents) = self.cut;
        let expected = if uncut > 0.0 && documents > 0.0 {
            uncut * chunks / documents
        } else {
            0.0
        };
        self.pace.seconds_for(known as f64 + expected)
    }
}

impl Catalog {
    /// Says how far a document in work is. In memory only; the next start begins it anew.
    pub fn progress(
        &self,
        id: DocumentId,
        stage: Stage,
        progress: f32,
        pages: Option<&[PageReport]>,
    ) -> Result<(), CatalogError> {
        let mut desk = self.in_work.desk();
        let number = desk.begun;
        desk.begun += 1;
        let step = desk.steps.entry(id).or_insert(Step {
            stage,
            progress,
            pages: None,
            read: (0, 0),
            chunks: None,
            number,
        });
        step.stage = stage;
        step.progress = progress;
        if let Some(pages) = pages {
            step.pages = Some(pages.to_vec());
            step.read = (pages.len() as u32, pages.len() as u32);
        }
        Ok(())
    }

    /// Says how many pages of a document in work are read.
    pub fn count_pages(&self, id: DocumentId, done: u32, of: u32) {
        if let Some(step) = self.in_work.desk().steps.get_mut(&id) {
            step.read = (done.min(of), of);
        }
    }

    /// Says how many chunks of a document in work have their vectors.
    pub fn count_chunks(&self, id: DocumentId, done: u64, of: u64) {
        let mut desk = self.in_work.desk();
        let Some(step) = desk.steps.get_mut(&id) else {
            return;
        };
        let first = step.chunks.replace((done, of)).is_none();
        if first {
            // The last twenty or so decide.
            let (chunks, documents) = desk.cut;
            desk.cut = (chunks * 0.95 + of as f64, documents * 0.95 + 1.0);
        }
    }

    /// Says how long the embedder took for so many chunks, of whatever documents.
    pub fn count_time(&self, chunks: u64, took: Duration) {
        self.in_work.desk().pace.add(chunks, took);
    }

    /// The document waits again: it is no longer in work, and its row says queued.
    pub fn set_down(&self, id: DocumentId) {
        self.in_work.forget(id);
    }

    /// What waits, what is in work, and how long all of it will take.
    pub fn queue(&self) -> Result<Queue, CatalogError> {
        let mut numbered: Vec<(u64, DocumentId)> = {
            let desk = self.in_work.desk();
            let steps = desk.steps.iter();
            steps.map(|(id, step)| (step.number, *id)).collect()
        };
        numbered.sort_unstable();
        let (unfinished, mut documents) = self.connections.read(|t| {
            let mut documents = Vec::new();
            for (_, id) in numbered.iter().take(NAMED) {
                documents.extend(documents::select(t, *id)?);
            }
            Ok((documents::queued(t)?, documents))
        })?;
        for document in &mut documents {
            self.in_work.show_in(document);
        }
        // One that was finished between the two looks is none of these.
        documents.retain(|document| document.status == Status::Processing);
        let desk = self.in_work.desk();
        let processing = (desk.steps.len() as u64).min(unfinished);
        Ok(Queue {
            waiting: unfinished - processing,
            processing,
            chunks_per_s: desk.pace.per_second().map(|pace| pace as f32),
            time_left_s: (unfinished > 0)
                .then(|| desk.time_left(unfinished))
                .flatten(),
            documents,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_follows_what_was_lately() {
        let mut pace = Pace::default();
        assert_eq!((pace.per_second(), pace.seconds_for(10.0)), (None, None));
        let check = |pace: &Pace, expected: f64| {
            let is = pace.per_second().unwrap();
            assert!((is - expected).abs() < expected / 20.0, "{is}");
        };
        for _ in 0..10 {
            pace.add(64, Duration::from_secs(1));
        }
        check(&pace, 64.0);
        assert_eq!(pace.seconds_for(128.0), Some(2));
        // Ten minutes at another pace, and the first is forgotten.
        for _ in 0..600 {
            pace.add(10, Duration::from_secs(1));
        }
        check(&pace, 10.0);
        // Work that took no time that could be measured says nothing about the pace.
        let mut pace = Pace::default();
        pace.add(5, Duration::ZERO);
        assert_eq!(pace.per_second(), None);
    }

    fn step(number: u64, chunks: Option<(u64, u64)>) -> Step {
        Step {
            stage: Stage::Embedding,
            progress: 0.5,
            pages: None,
            read: (3, 3),
            chunks,
            number,
        }
    }

    #[test]
    fn what_comes_before_counts_in_the_time_left() {
        let mut desk = Desk::default();
        let ids: Vec<_> = (0..3).map(|_| DocumentId::new()).collect();
        desk.steps.insert(ids[0], step(1, Some((10, 50))));
        desk.steps.insert(ids[1], step(2, Some((0, 20))));
        desk.steps.insert(ids[2], step(3, None));
        let left = |desk: &Desk, place: usize| desk.work(&desk.steps[&ids[place]]).time_left_s;
        assert_eq!(left(&desk, 0), None, "nothing was measured yet");
        desk.pace.add(20, Duration::from_secs(2));
        assert_eq!((left(&desk, 0), left(&desk, 1)), (Some(4), Some(6)));
        assert_eq!(left(&desk, 2), None, "it was not cut yet");
        let work = desk.work(&desk.steps[&ids[0]]);
        assert_eq!(
            (work.pages_done, work.pages, work.chunks_done, work.chunks),
            (3, 3, 10, 50)
        );
        // Documents that were not cut yet are taken to be as long as those before.
        assert_eq!(desk.time_left(2), Some(6));
        desk.cut = (90.0, 3.0);
        assert_eq!(desk.time_left(4), Some(12));
    }
}
