//! From the queue to searchable: read, embed, publish, each in tasks of its own, so that the next
//! documents are read while these are embedded. The catalog is the queue.
//!
//! ```text
//! catalog ─► read (child process, chunks) ─► embed (batches across documents) ─► publish
//! ```
//!
//! A fault of a part is waited out: the document stays queued. Only a refusal, or faults that one
//! document meets while the part works for others, fail it. Whatever stops a document on its way
//! (shutdown, a kill) leaves its row queued, and the way begins anew.

mod embed;
mod publish;
mod read;
mod reuse;

use std::sync::Arc;

use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
};

use super::{
    patience::Patience,
    shared::{Claim, Shared},
};
use crate::{
    catalog::Publication,
    domain::{Document, Embedding, Failure, FailureCode, PageReport, SparseVector},
    ports::PortError,
};

/// Bytes of stored text that may be between reading and publishing. One document may be larger; it is
/// alone then.
const TEXT_IN_WORK: usize = 64 * 1024 * 1024;

/// Documents between two stages. Small ones are embedded many at a time.
const DOCUMENTS_BETWEEN: usize = 64;

/// Documents read at the same time, however many cores there are.
const MOST_READERS: usize = 4;

/// Progress at the end of each stage. Embedding takes nearly all of the time.
const READ: f32 = 0.1;
const EMBEDDED: f32 = 0.95;

/// A document that was read and cut.
struct Prepared {
    claim: Claim,
    document: Document,
    publication: Arc<Publication>,
    /// The words' vector of each chunk; computed with the text at hand, off the async threads.
    sparse: Vec<SparseVector>,
    /// The vector of each chunk whose very text was embedded before; the others are to be embedded.
    known: Vec<Option<Embedding>>,
    /// The embedder's, from before it was cut: vectors of another one belong to another index.
    epoch: u64,
    /// Its share of [`TEXT_IN_WORK`].
    _room: OwnedSemaphorePermit,
}

/// A document with a vector per chunk.
struct Embedded {
    prepared: Prepared,
    vectors: Vec<Embedding>,
}

/// Starts the stages. They end when the daemon stops.
pub(super) fn start(shared: &Arc<Shared>) {
    shared.tracker.spawn(keep_running(Arc::clone(shared)));
}

/// Runs the stages until the daemon stops. One that panics takes the others along, since what was between
/// them is lost: their documents are back in the queue, and all begin anew.
async fn keep_running(shared: Arc<Shared>) {
    let mut patience = Patience::default();
    loop {
        let mut stages = stages(&shared);
        let mut panicked = false;
        while let Some(ended) = stages.join_next().await {
            if ended.is_err_and(|error| error.is_panic()) {
                panicked = true;
                stages.abort_all();
            }
        }
        if !panicked || shared.cancel.is_cancelled() {
            return;
        }
        metrics::counter!("griot_task_restarts_total", "task" => "ingest").increment(1);
        tracing::error!("taking documents in broke off, a fault of this program; it begins anew");
        if !patience.wait(None, &shared.retries, &shared.cancel).await {
            return;
        }
    }
}

fn stages(shared: &Arc<Shared>) -> JoinSet<()> {
    let (to_embed, prepared) = mpsc::channel(DOCUMENTS_BETWEEN);
    let (to_publish, embedded) = mpsc::channel(DOCUMENTS_BETWEEN);
    let room = Arc::new(Semaphore::new(room_for(TEXT_IN_WORK) as usize));
    let picking = Arc::new(Mutex::new(()));
    let mut stages = JoinSet::new();
    for _ in 0..readers() {
        let (room, picking) = (Arc::clone(&room), Arc::clone(&picking));
        stages.spawn(read::run(
            Arc::clone(shared),
            room,
            picking,
            to_embed.clone(),
        ));
    }
    stages.spawn(embed::run(Arc::clone(shared), prepared, to_publish));
    stages.spawn(publish::run(Arc::clone(shared), embedded));
    stages
}

/// Documents read at the same time: reading is work of one thread, and while the embedder waits for
/// documents there is a core for each. Each may take `ingest.extract_memory_mib`.
fn readers() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(MOST_READERS))
}

/// Permits (KiB) that a text of so many bytes takes.
fn room_for(bytes: usize) -> u32 {
    bytes.min(TEXT_IN_WORK).div_ceil(1024).max(1) as u32
}

impl Shared {
    /// Ends a document's processing with a reason.
    async fn give_up(&self, prepared: &Prepared, failure: Failure) {
        let pages = prepared.publication.pages.clone();
        self.fail(&prepared.claim, failure, pages).await;
    }

    async fn fail(&self, claim: &Claim, failure: Failure, pages: Vec<PageReport>) {
        let id = claim.id;
        let reading = claim.reading;
        tracing::info!(document = %id, code = failure.code.as_str(), "a document failed");
        let mut patience = Patience::default();
        loop {
            let (failure, pages) = (failure.clone(), pages.clone());
            let changed = self.changed.clone();
            match self
                .catalog
                .call(move |c| {
                    match reading {
                        Some(read) => c.fail_reading(id, read, &failure, &pages),
                        None => c.fail(id, &failure, &pages),
                    }?;
                    // Here, because a stage may be broken off as soon as this is done, and who waits for the
                    // document would wait for ever.
                    let _ = changed.send(id);
                    Ok(())
                })
                .await
            {
                Ok(()) => break,
                Err(error) => {
                    tracing::error!(document = %id, %error, "the catalog could not be written");
                    if !patience.wait(None, &self.retries, &claim.cancelled).await {
                        break;
                    }
                }
            }
        }
    }
}

/// What a person reads about a document that a part refused, or that it fails on again and again.
fn unavailable(error: &PortError) -> Failure {
    Failure {
        code: FailureCode::Unavailable,
        message: format!(
            "it was read, but it could not be made searchable: {error}; process it again when \
             that is mended"
        ),
    }
}
