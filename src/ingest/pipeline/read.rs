//! The first stage: takes the document that waits longest, has it read in the jail, and cuts it.
//! Several do this side by side.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};
use tracing::Instrument;

use super::{Prepared, READ, reuse::known_vectors, room_for};
use crate::{
    catalog::{CatalogError, Publication},
    domain::{Document, DocumentId, Failure, FailureCode, Fingerprint, Stage, Status, bm25::Bm25},
    failpoints::{Point, reach},
    ingest::{
        background,
        chunk::{ChunkSize, Chunker},
        extract::{ExtractError, Extracted, Progress},
        originals::Unopened,
        patience::Patience,
        reader::Source,
        shared::{Claim, Shared},
        upload::blocking,
    },
    tasks::Pulse,
};

/// What became of a document in this stage.
enum Outcome {
    Prepared(Prepared),
    /// It failed, was deleted, or the daemon stops.
    Ended,
}

pub(super) async fn run(
    shared: Arc<Shared>,
    room: Arc<Semaphore>,
    picking: Arc<Mutex<()>>,
    to_embed: mpsc::Sender<Prepared>,
) {
    let size = ChunkSize {
        tokens: shared.config.chunk_tokens,
        overlap: shared.config.chunk_overlap_tokens,
    };
    let mut chunker = Chunker::new(Arc::clone(&shared.embedder), size);
    let pulse = shared.tasks.pulse("ingest.read", limit(&shared));
    let mut patience = Patience::default();
    while !shared.cancel.is_cancelled() {
        // One after the other, or two would look at the same end of the queue.
        let next = {
            let _turn = picking.lock().await;
            next(&shared).await
        };
        let (claim, document) = match next {
            Ok(Some(next)) => next,
            Ok(None) => {
                tokio::select! {
                    () = shared.wake.notified() => continue,
                    () = shared.cancel.cancelled() => return,
                }
            }
            Err(error) => {
                tracing::error!(%error, "the queue could not be read");
                if patience.wait(None, &shared.retries, &shared.cancel).await {
                    continue;
                }
                return;
            }
        };
        patience = Patience::default();
        // Where one document waited there may be more, for those who read beside this.
        shared.wake.notify_one();
        if chunker.epoch() != shared.embedder.epoch() {
            // Another model counts other tokens.
            chunker = Chunker::new(Arc::clone(&shared.embedder), size);
        }
        let id = document.id;
        let (outcome, back) = prepare(&shared, &room, claim, document, chunker, &pulse)
            .instrument(
                tracing::info_span!(target: "griot::trace", "read document", document = %id),
            )
            .await;
        chunker = back;
        if let Outcome::Prepared(prepared) = outcome {
            tokio::select! {
                sent = to_embed.send(prepared) => if sent.is_err() { return },
                () = shared.cancel.cancelled() => return,
            }
        }
    }
}

/// Longer than a page may take: the reader has deadlines of its own.
fn limit(shared: &Shared) -> Duration {
    Duration::from_secs(shared.config.extract_timeout_s) * 4 + Duration::from_secs(600)
}

/// The document that waits longest and is not in the pipeline already.
async fn next(shared: &Arc<Shared>) -> Result<Option<(Claim, Document)>, CatalogError> {
    let limit = shared.claimed() + 1;
    let waiting = shared.catalog.call(move |c| c.waiting(limit)).await?;
    for id in waiting {
        if shared.must_wait(id) {
            // Whatever leaves the pipeline wakes this stage.
            return Ok(None);
        }
        let Some(mut claim) = shared.claim(id) else {
            continue;
        };
        // Read under the claim: the row may have changed since the list was made.
        let document = shared.catalog.call(move |c| c.document_to_read(id)).await?;
        if let Some(document) = document.filter(|d| d.status == Status::Queued) {
            claim.reading = Some(document.sha256);
            return Ok(Some((claim, document)));
        }
    }
    Ok(None)
}

/// Why a document was not read.
enum Trouble {
    /// It was deleted, or the daemon stops.
    Stopped,
    OfTheDocument(Failure),
    /// Perhaps the document's, perhaps not: it is tried a few times, after the others.
    Suspicious(Failure),
    /// The machine's: it will pass.
    Passing(String),
}

/// Reads one document in the jail.
async fn read_once(
    shared: &Arc<Shared>,
    claim: &Claim,
    document: &Document,
    pulse: &Pulse,
) -> Result<Extracted, Trouble> {
    let id = claim.id;
    let working = pulse.begin();
    show(shared, id, Stage::Extracting, 0.0);
    reach(Point::ReadBefore);
    let (sha256, bytes) = (document.sha256, document.bytes);
    let originals = Arc::clone(shared);
    let opened = blocking(move || Ok(originals.originals.open_one(sha256, bytes))).await;
    let original = match opened.map_err(|_| Trouble::Stopped)? {
        Ok(original) => original,
        // It went with its document.
        Err(Unopened::Lost { .. }) if claim.cancelled.is_cancelled() => {
            return Err(Trouble::Stopped);
        }
        Err(error @ Unopened::Lost { .. }) => {
            tracing::warn!(document = %id, %error, "an original is lost");
            return Err(Trouble::OfTheDocument(Failure {
                code: FailureCode::Internal,
                message: "its stored original is missing or cut short; upload it again".to_owned(),
            }));
        }
        Err(error) if error.is_of_the_file() => {
            return Err(Trouble::Suspicious(Failure {
                code: FailureCode::Internal,
                message: format!(
                    "its stored original cannot be read from the disk ({error}); look at the disk, then \
                     process it again"
                ),
            }));
        }
        Err(error) => return Err(Trouble::Passing(error.to_string())),
    };
    let progress = |p: Progress| {
        let done = f64::from(p.page) / f64::from(p.of.max(1));
        show(shared, id, Stage::Extracting, done.min(1.0) as f32 * READ);
        shared.catalog.count_pages(id, p.page, p.of);
        working.goes_on();
    };
    let source = Source {
        name: document.name.clone(),
        password: shared.passwords.take(sha256, &document.collection),
    };
    let read = tokio::select! {
        read = shared.reader.read(original, &source, &progress) => read,
        () = claim.cancelled.cancelled() => return Err(Trouble::Stopped),
    };
    let error = match read.and_then(checked) {
        Ok(extracted) => return Ok(extracted),
        Err(error) => error,
    };
    if !error.passing && error.code != FailureCode::Crashed {
        return Err(Trouble::OfTheDocument(error.into()));
    }
    // It is read again, and needs its password again.
    if let Some(password) = source.password {
        shared
            .passwords
            .put_back(sha256, &document.collection, password);
    }
    Err(if error.passing {
        Trouble::Passing(error.message)
    } else {
        Trouble::Suspicious(error.into())
    })
}

/// Reads and cuts one document. The chunker comes back for the next.
async fn prepare(
    shared: &Arc<Shared>,
    room: &Arc<Semaphore>,
    claim: Claim,
    document: Document,
    chunker: Chunker,
    pulse: &Pulse,
) -> (Outcome, Chunker) {
    let id = claim.id;
    if shared.is_poison(id) {
        let failure = Failure {
            code: FailureCode::Internal,
            message:
                "this program broke off at it twice, which is a fault of the program; the log \
                      says where"
                    .to_owned(),
        };
        shared.fail(&claim, failure, Vec::new()).await;
        return (Outcome::Ended, chunker);
    }
    let mut patience = Patience::default();
    let extracted = loop {
        let trouble = match read_once(shared, &claim, &document, pulse).await {
            Ok(extracted) => break extracted,
            Err(trouble) => trouble,
        };
        let reason = match trouble {
            Trouble::Stopped => return (Outcome::Ended, chunker),
            Trouble::OfTheDocument(failure) => {
                shared.fail(&claim, failure, Vec::new()).await;
                return (Outcome::Ended, chunker);
            }
            Trouble::Suspicious(failure) => {
                match shared.catalog.call(move |c| c.postpone(id)).await {
                    Ok(Some(tries)) if tries >= shared.config.max_tries => {
                        drop(shared.passwords.take(document.sha256, &document.collection));
                        shared.fail(&claim, failure, Vec::new()).await;
                        return (Outcome::Ended, chunker);
                    }
                    Ok(_) => return (Outcome::Ended, chunker),
                    Err(error) => error.to_string(),
                }
            }
            Trouble::Passing(reason) => reason,
        };
        if patience.tries == 0 {
            tracing::warn!(document = %id, reason, "a document waits to be read");
        }
        shared.catalog.set_down(id);
        if !patience.wait(None, &shared.retries, &claim.cancelled).await {
            return (Outcome::Ended, chunker);
        }
    };
    reach(Point::ReadAfter);
    let pages = extracted.page_reports();
    if let Some(failure) = extracted.without_text() {
        shared.fail(&claim, failure.into(), pages).await;
        return (Outcome::Ended, chunker);
    }
    let told = shared
        .catalog
        .progress(id, Stage::Chunking, READ, Some(&pages));
    debug_assert!(told.is_ok(), "progress is kept in memory");
    let room = tokio::select! {
        room = Arc::clone(room).acquire_many_owned(room_for(extracted.text.len())) =>
            room.expect("the semaphore is never closed"),
        () = claim.cancelled.cancelled() => return (Outcome::Ended, chunker),
    };
    pulse
        .during(cut(shared, room, claim, document, extracted, chunker))
        .await
}

async fn cut(
    shared: &Arc<Shared>,
    room: OwnedSemaphorePermit,
    claim: Claim,
    document: Document,
    extracted: Extracted,
    mut chunker: Chunker,
) -> (Outcome, Chunker) {
    let id = claim.id;
    let epoch = chunker.epoch();
    let revision = document.revision + 1;
    let name = document.name.clone();
    let cutting = background::run(move || {
        let chunks = chunker.chunks(id, revision, &name, &extracted);
        let words = Bm25::default();
        let (sparse, embedded) = chunks
            .iter()
            .map(|chunk| chunk.in_context(&name))
            .map(|text| (words.passage(&text), Fingerprint::of(&text)))
            .unzip();
        let publication = Publication {
            document: id,
            revision,
            media_type: extracted.media_type,
            pages: extracted.page_reports(),
            text: extracted.text,
            chunks,
            embedded,
        };
        (publication, sparse, chunker)
    });
    let (publication, sparse, chunker) = match cutting.await {
        Ok(cut) => cut,
        Err(panicked) => {
            // The splitter met a text it was not made for. The document fails; the next one is fine.
            tracing::error!(document = %id, error = %panicked, "cutting a document failed");
            let failure = Failure {
                code: FailureCode::Internal,
                message:
                    "its text could not be cut into passages, which is a fault of this program"
                        .to_owned(),
            };
            shared.fail(&claim, failure, Vec::new()).await;
            let size = ChunkSize {
                tokens: shared.config.chunk_tokens,
                overlap: shared.config.chunk_overlap_tokens,
            };
            return (
                Outcome::Ended,
                Chunker::new(Arc::clone(&shared.embedder), size),
            );
        }
    };
    let publication = Arc::new(publication);
    let known = known_vectors(shared, &publication).await;
    let prepared = Prepared {
        claim,
        document,
        publication,
        sparse,
        known,
        epoch,
        _room: room,
    };
    if prepared.publication.chunks.is_empty() {
        let failure = Failure {
            code: FailureCode::NoText,
            message: "it holds no text; if it is a scan, recognise its text first".to_owned(),
        };
        shared.give_up(&prepared, failure).await;
        return (Outcome::Ended, chunker);
    }
    (Outcome::Prepared(prepared), chunker)
}

/// What came out of another process is believed only when it holds together.
fn checked(extracted: Extracted) -> Result<Extracted, ExtractError> {
    match extracted.check() {
        Ok(()) => Ok(extracted),
        Err(what) => Err(ExtractError::new(
            FailureCode::Internal,
            format!("what was read of it does not hold together ({what})"),
        )),
    }
}

fn show(shared: &Shared, id: DocumentId, stage: Stage, progress: f32) {
    let told = shared.catalog.progress(id, stage, progress, None);
    debug_assert!(told.is_ok(), "progress is kept in memory");
}
