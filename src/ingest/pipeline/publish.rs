//! The last stage: points first and durable, then the catalog's transaction that makes them count.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tracing::Instrument;

use super::{EMBEDDED, Embedded, unavailable};
use crate::{
    catalog::CatalogError,
    domain::{Component, Failure, FailureCode, Stage},
    failpoints::{Point as Failpoint, reach},
    ingest::{patience::Patience, shared::Shared},
    ports::{Filter, Point, PortError},
    tasks::Pulse,
};

/// Documents published after one flush of the store, which costs some milliseconds however little was
/// written.
const TOGETHER: usize = 16;

/// Points written at once.
const POINTS: usize = 256;

/// Points between two flushes: some 15 MB of the store's log, and as much again of the index. Until then the log
/// grows and deletes wait; and room on the disk is looked for as often.
const POINTS_A_FLUSH: usize = 4096;

/// As in the stage before: faults before the question whose fault it is, and how often it may be the
/// document's.
const TRIES: u32 = 3;
const STRIKES: u32 = 3;

/// Longer than a group takes, the wait for the upkeep of a large index included.
const LIMIT: Duration = Duration::from_secs(3600);

/// Why an attempt did not come to its end.
#[derive(Debug, thiserror::Error)]
enum Setback {
    #[error(transparent)]
    Store(#[from] PortError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

pub(super) async fn run(shared: Arc<Shared>, mut embedded: mpsc::Receiver<Embedded>) {
    let pulse = shared.tasks.pulse("ingest.publish", LIMIT);
    loop {
        let first = tokio::select! {
            first = embedded.recv() => first,
            () = shared.cancel.cancelled() => None,
        };
        let Some(first) = first else { return };
        let mut points = first.vectors.len();
        let mut group = vec![first];
        while group.len() < TOGETHER && points < POINTS_A_FLUSH {
            let Ok(next) = embedded.try_recv() else { break };
            points += next.vectors.len();
            group.push(next);
        }
        if !publish_group(&shared, group, &pulse).await {
            return;
        }
    }
}

/// Publishes documents, however long that takes. `false` when the daemon stops.
async fn publish_group(shared: &Arc<Shared>, mut group: Vec<Embedded>, pulse: &Pulse) -> bool {
    let mut patience = Patience::default();
    while !group.is_empty() {
        let span = tracing::info_span!(target: "griot::trace", "publish", documents = group.len());
        let attempt = tokio::select! {
            attempt = pulse.during(attempt(shared, &group)).instrument(span) => attempt,
            () = shared.cancel.cancelled() => return false,
        };
        let Err(setback) = attempt else {
            shared.retries.called(Component::VectorStore);
            return true;
        };
        if group.len() > 1 {
            // One at a time: what is wrong with one shall not hold up the others.
            for one in group {
                if !Box::pin(publish_group(shared, vec![one], pulse)).await {
                    return false;
                }
            }
            return true;
        }
        let one = &group[0];
        let error = match &setback {
            Setback::Store(error @ PortError::Refused { .. }) => {
                give_up(shared, one, error).await;
                return true;
            }
            Setback::Store(error) => Some(error),
            Setback::Catalog(_) => None,
        };
        if patience.tries == 0 {
            tracing::warn!(error = %setback, "a document waits to be stored");
        }
        shared.catalog.set_down(one.prepared.claim.id);
        if !patience.wait(error, &shared.retries, &shared.cancel).await {
            return false;
        }
        if let Setback::Catalog(error) = &setback
            && !matches!(error, CatalogError::DiskFull | CatalogError::Stopped(_))
            && patience.tries >= TRIES + STRIKES
            && forget_points(shared, one).await
        {
            // It takes what others write, so it is this document that it cannot take.
            let failure = Failure {
                code: FailureCode::Internal,
                message: format!("it was read, but the catalog could not take its text ({error})"),
            };
            shared.give_up(&one.prepared, failure).await;
            shared.sweep.notify_one();
            return true;
        }
        if let Some(error) = error
            // Every other document would meet the same.
            && !matches!(error, PortError::NoRoom { .. })
            && patience.tries >= TRIES + STRIKES
            && shared.store.count(Filter::default()).await.is_ok()
        {
            give_up(shared, one, error).await;
            return true;
        }
        group.retain(|one| !one.prepared.claim.cancelled.is_cancelled());
    }
    true
}

async fn give_up(shared: &Arc<Shared>, one: &Embedded, error: &PortError) {
    forget_points(shared, one).await;
    shared.give_up(&one.prepared, unavailable(error)).await;
    shared.sweep.notify_one();
}

/// Notes that points may be there of a document that is about to be given up. First: whoever hears of the
/// failure may look for them. Whether it could be noted.
async fn forget_points(shared: &Shared, one: &Embedded) -> bool {
    let id = one.prepared.claim.id;
    let noted = shared.catalog.call(move |c| c.note_leftovers(id)).await;
    if let Err(error) = &noted {
        tracing::warn!(document = %id, %error, "leftover points stay until it is processed again");
    }
    noted.is_ok()
}

/// Everything from the look at the catalog to the publication, with nobody else at the points. An
/// attempt that is broken off is repeated from its beginning.
async fn attempt(shared: &Arc<Shared>, group: &[Embedded]) -> Result<(), Setback> {
    look_for_room(shared).await?;
    let _points = shared.points.lock().await;
    shared.open_store().await?;
    let mut current = Vec::with_capacity(group.len());
    for one in group {
        if one.prepared.claim.cancelled.is_cancelled() {
            continue;
        }
        let id = one.prepared.claim.id;
        if one.prepared.epoch != shared.embedder.epoch() {
            // The index was exchanged on the way. It goes back to the queue with its claim.
            continue;
        }
        let visible = shared.catalog.call(move |c| c.visible_revision(id)).await?;
        // Deleted meanwhile, or published by an attempt whose end was not seen.
        if visible.is_some_and(|visible| visible < one.prepared.publication.revision) {
            let told = shared
                .catalog
                .progress(id, Stage::Publishing, EMBEDDED, None);
            debug_assert!(told.is_ok(), "progress is kept in memory");
            if one.prepared.claim.begun_before {
                shared.store.delete(id, visible.filter(|v| *v > 0)).await?;
            }
            current.push(one);
        }
    }
    let mut points = Vec::with_capacity(POINTS);
    let mut unflushed = 0;
    for point in current.iter().flat_map(|one| points_of(one)) {
        points.push(point);
        if points.len() == POINTS {
            shared.store.upsert(std::mem::take(&mut points)).await?;
            unflushed += POINTS;
        }
        // A book.
        if unflushed >= POINTS_A_FLUSH {
            shared.store.flush().await?;
            look_for_room(shared).await?;
            unflushed = 0;
        }
    }
    if !points.is_empty() {
        shared.store.upsert(points).await?;
    }
    if current.is_empty() {
        return Ok(());
    }
    shared.store.flush().await?;
    for one in current {
        let id = one.prepared.claim.id;
        let publication = Arc::clone(&one.prepared.publication);
        let reading = one.prepared.document.sha256;
        reach(Failpoint::FlipBefore);
        let changed = shared.changed.clone();
        let published = shared
            .catalog
            .call(move |c| {
                let published = c.publish_read(&publication, reading)?;
                if published {
                    // Here, because this stage may be broken off as soon as it is done, and who waits for the
                    // document would wait for ever. Nobody listening is the usual case.
                    let _ = changed.send(id);
                }
                Ok(published)
            })
            .await?;
        reach(Failpoint::FlipAfter);
        if published {
            shared.upkeep.notify_one();
            // Points and bytes of the revision before.
            shared.sweep.notify_one();
        } else {
            // It is to have other bytes by now: its next revision has the same number as these points.
            let visible = shared.catalog.call(move |c| c.visible_revision(id)).await?;
            shared.store.delete(id, visible.filter(|v| *v > 0)).await?;
        }
    }
    Ok(())
}

async fn look_for_room(shared: &Shared) -> Result<(), Setback> {
    let room = shared.room.for_documents().await;
    room.map_err(|_| Setback::Catalog(CatalogError::DiskFull))
}

fn points_of(one: &Embedded) -> impl Iterator<Item = Point> {
    let prepared = &one.prepared;
    let vectors = one.vectors.iter().zip(&prepared.sparse);
    let chunks = prepared.publication.chunks.iter().zip(vectors);
    chunks.map(|(chunk, (dense, sparse))| Point {
        key: chunk.key,
        collection: prepared.document.collection.clone(),
        dense: dense.clone(),
        sparse: sparse.clone(),
    })
}
