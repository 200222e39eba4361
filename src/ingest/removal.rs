//! Taking documents out again, and everything that is left over of them.
//!
//! The catalog's transaction comes first: from then on nothing of the document is visible, whatever
//! happens. It notes what is still to go elsewhere (points, original); the note is worked off here, by
//! the delete itself or by the sweeper, and survives a kill. What only the stores' files still hold goes
//! with [`super::upkeep`].

use std::{sync::Arc, time::Duration};

use super::{IngestError, Receipt, patience::Patience, shared::Shared, upkeep, upload::blocking};
use crate::{
    catalog::{Catalog, CatalogError, Cleanup, Removed},
    domain::{Component, DocumentId},
    failpoints::{Point, reach},
    ports::{Filter, PortError},
};

/// How long a delete waits for others at the points before it leaves them to the sweeper: the upkeep of
/// a large index takes minutes.
const POINTS_WAIT: Duration = Duration::from_secs(5);

/// Longer than working off what is noted takes, the wait for the upkeep of a large index included.
const LIMIT: Duration = Duration::from_secs(3600);

/// Deletes one document. It runs to its end even when the caller stops waiting.
pub(super) async fn delete(shared: &Arc<Shared>, id: DocumentId) -> Result<Receipt, IngestError> {
    remove(shared, id, Catalog::remove).await
}

/// Deletes one document that is noted to be retired, unless it is needed again.
///
/// # Errors
/// [`IngestError::NotFound`] when it is needed again, or gone.
pub(super) async fn retire(shared: &Arc<Shared>, id: DocumentId) -> Result<Receipt, IngestError> {
    remove(shared, id, Catalog::retire).await
}

/// The transaction that takes a document out of the catalog.
type Removal = fn(&Catalog, DocumentId) -> Result<Option<Removed>, CatalogError>;

async fn remove(
    shared: &Arc<Shared>,
    id: DocumentId,
    removal: Removal,
) -> Result<Receipt, IngestError> {
    let owned = Arc::clone(shared);
    let work = async move { remove_now(&owned, id, removal).await };
    shared
        .tracker
        .spawn(work)
        .await
        .unwrap_or(Err(IngestError::Stopping))
}

async fn remove_now(
    shared: &Arc<Shared>,
    id: DocumentId,
    removal: Removal,
) -> Result<Receipt, IngestError> {
    let not_found = || IngestError::NotFound(id);
    let document = shared
        .catalog
        .call(move |c| c.document(id))
        .await?
        .ok_or_else(not_found)?;
    let sha256 = document.sha256;

    // An upload of the same bytes either comes before and keeps the original, or after and brings it.
    let lock = shared.originals.lock(sha256).await;
    reach(Point::DeleteBeforeRow);
    let removed = shared
        .catalog
        .call(move |c| removal(c, id))
        .await?
        .ok_or_else(not_found)?;
    reach(Point::DeleteAfterRow);
    shared.stop(id);
    drop(shared.passwords.take(sha256, &document.collection));
    shared.announce(id);
    let cleanup = Cleanup {
        document: id,
        keep: None,
        original: Some(sha256),
    };
    let original_removed = remove_original(shared, &cleanup).await;
    drop(lock);
    reach(Point::DeleteAfterOriginal);

    let points = remove_points(shared, id).await;
    let mut pending = Vec::new();
    if let Err(error) = &points {
        tracing::warn!(document = %id, %error, "a deleted document's points wait to be removed");
        pending.push(error.component());
    }
    reach(Point::DeleteAfterPoints);
    let traces_gone = upkeep::remove_traces(shared).await;
    reach(Point::DeleteAfterTraces);
    if original_removed.is_ok() && points.is_ok() {
        shared.catalog.call(move |c| c.cleaned(&cleanup)).await?;
        reach(Point::DeleteAfterNote);
    } else {
        shared.sweep.notify_one();
    }
    shared.upkeep.notify_one();
    let points = points.unwrap_or(0);
    Ok(Receipt {
        id,
        name: document.name,
        chunks: removed.chunks,
        points,
        text_bytes: removed.text_bytes,
        original_removed: original_removed?,
        original_bytes: document.bytes,
        turns: removed.turns,
        pending,
        sweeping: upkeep::sweeping(traces_gone, points),
    })
}

/// Removes all points of a document, durably. How many there were.
async fn remove_points(shared: &Shared, id: DocumentId) -> Result<u64, PortError> {
    let waited = tokio::time::timeout(POINTS_WAIT, shared.points.lock()).await;
    let _points = waited.map_err(|_| PortError::TimedOut {
        component: Component::VectorStore,
        limit: POINTS_WAIT,
    })?;
    shared.open_store().await?;
    let filter = Filter {
        document: Some(id),
        collection: None,
    };
    let count = shared.store.count(filter).await?;
    shared.store.delete(id, None).await?;
    shared.store.flush().await?;
    Ok(count)
}

/// Removes a deleted document's original unless another document has the same bytes. The caller holds
/// the original's lock.
async fn remove_original(shared: &Arc<Shared>, cleanup: &Cleanup) -> Result<bool, IngestError> {
    let Some(sha256) = cleanup.original else {
        return Ok(false);
    };
    let shared = Arc::clone(shared);
    blocking(move || {
        if shared.catalog.needs_original(sha256)? {
            return Ok(false);
        }
        shared.originals.remove(sha256)
    })
    .await
}

/// Works off what is noted, at start and whenever something new is. Ends when the daemon stops.
pub(super) async fn sweep(shared: Arc<Shared>) {
    let pulse = shared.tasks.pulse("ingest.sweep", LIMIT);
    let mut patience = Patience::default();
    loop {
        match pulse.during(sweep_once(&shared)).await {
            Ok(()) => {
                patience = Patience::default();
                tokio::select! {
                    () = shared.sweep.notified() => {}
                    () = shared.cancel.cancelled() => return,
                }
            }
            Err(error) => {
                if patience.tries == 0 {
                    tracing::warn!(%error, "leftovers of documents wait to be removed");
                }
                let port = match &error {
                    IngestError::Port(error) => Some(error),
                    _ => None,
                };
                if !patience.wait(port, &shared.retries, &shared.cancel).await {
                    return;
                }
            }
        }
    }
}

async fn sweep_once(shared: &Arc<Shared>) -> Result<(), IngestError> {
    for sha256 in shared.catalog.call(Catalog::loose_originals).await? {
        let _lock = shared.originals.lock(sha256).await;
        let owned = Arc::clone(shared);
        blocking(move || {
            if !owned.catalog.needs_original(sha256)? {
                owned.originals.remove(sha256)?;
            }
            owned.catalog.not_loose(sha256)?;
            Ok(())
        })
        .await?;
    }
    for noted in shared.catalog.call(Catalog::cleanups).await? {
        tokio::select! {
            swept = sweep_one(shared, noted) => swept?,
            () = shared.cancel.cancelled() => return Ok(()),
        }
    }
    Ok(())
}

async fn sweep_one(shared: &Arc<Shared>, noted: Cleanup) -> Result<(), IngestError> {
    let id = noted.document;
    reach(Point::SweepBefore);
    if let Some(sha256) = noted.original {
        let _lock = shared.originals.lock(sha256).await;
        remove_original(shared, &noted).await?;
    }
    let _points = shared.points.lock().await;
    shared.open_store().await?;
    // Looked up here and not taken from the note: while the lock is held it cannot change.
    let keep = shared.catalog.call(move |c| c.visible_revision(id)).await?;
    shared
        .store
        .delete(id, keep.filter(|revision| *revision > 0))
        .await?;
    shared.store.flush().await?;
    shared.catalog.call(move |c| c.cleaned(&noted)).await?;
    reach(Point::SweepAfter);
    shared.upkeep.notify_one();
    Ok(())
}

/// Removes originals that were placed and never acknowledged: their upload was broken off between the
/// file's name and the row. For the start, before there are new uploads.
///
/// Other files that no document speaks of stay where they are. They may be all that is left of a library
/// whose catalog was exchanged for an older one.
pub(super) fn remove_unacknowledged(shared: &Shared) -> Result<(), IngestError> {
    for sha256 in shared.originals.unsettled()? {
        if shared.catalog.needs_original(sha256)? {
            shared.originals.settle(sha256);
        } else if let Err(error) = shared.originals.withdraw(sha256) {
            tracing::warn!(%error, "the file of a broken off upload waits to be removed");
        }
    }
    let mut strangers = 0_u64;
    for sha256 in shared.originals.all()? {
        strangers += u64::from(!shared.catalog.needs_original(sha256)?);
    }
    if strangers > 0 {
        tracing::warn!(
            files = strangers,
            "files in `originals/` belong to no document of the catalog and are left alone; if the \
             catalog is not the newest one, restore that"
        );
    }
    Ok(())
}
