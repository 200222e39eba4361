//! What uploads, the pipeline and deletes have in common.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, broadcast};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    IngestError, originals::Originals, password::Passwords, reader::Reader, retries::Retries,
    room::Room, suspects::InWork, upkeep::Pace,
};
use crate::{
    catalog::Catalog,
    config::IngestConfig,
    domain::{DocumentId, Sha256Hash},
    ports::{Embedder, PortError, VectorStore},
    tasks::{Tasks, kept_running},
};

/// Changes of documents' states that a slow listener may be behind; one further behind looks anew.
const CHANGES: usize = 256;

/// A document that was in work alone at so many panics is not tried again.
const PANICS: u32 = 2;

/// When to ask again after [`IngestError::QueueFull`]: some documents are done by then.
const QUEUE_RETRY: Duration = Duration::from_secs(10);

pub(super) struct Shared {
    pub(super) catalog: Arc<Catalog>,
    pub(super) store: Arc<dyn VectorStore>,
    pub(super) embedder: Arc<dyn Embedder>,
    pub(super) reader: Arc<dyn Reader>,
    pub(super) home: PathBuf,
    pub(super) originals: Originals,
    pub(super) passwords: Passwords,
    pub(super) in_work: InWork,
    pub(super) room: Room,
    pub(super) config: IngestConfig,
    pub(super) tracker: TaskTracker,
    pub(super) cancel: CancellationToken,
    pub(super) tasks: Tasks,
    pub(super) retries: Retries,
    /// There may be something in the queue. The queue itself is the catalog.
    pub(super) wake: Notify,
    /// There may be something to clean up, see [`Catalog::cleanups`].
    pub(super) sweep: Notify,
    /// The stores' files may want to be put in order, see [`super::upkeep`].
    pub(super) upkeep: Notify,
    /// Held by whoever removes the catalog's traces, see [`Catalog::remove_traces`].
    pub(super) traces: tokio::sync::Mutex<Pace>,
    /// Files of watched folders are gone, see [`Catalog::to_retire`].
    pub(super) retire: Notify,
    /// Documents whose state changed (searchable, failed, deleted).
    pub(super) changed: broadcast::Sender<DocumentId>,
    /// Held by whoever changes the points of documents, from the look at the catalog that decides it
    /// to the end: so a delete never comes between a document's points and its publication.
    pub(super) points: tokio::sync::Mutex<()>,
    claims: Mutex<Claims>,
}

#[derive(Default)]
struct Claims {
    /// Documents in the pipeline, with what stops each.
    held: HashMap<DocumentId, CancellationToken>,
    /// Documents that an earlier run may have left points of.
    begun_before: HashSet<DocumentId>,
    /// Documents that may have killed an earlier run, or were in work when a stage panicked; they go through the
    /// pipeline alone.
    suspects: HashSet<DocumentId>,
    /// How often each was in work alone when a stage panicked.
    panicked: HashMap<DocumentId, u32>,
}

impl Shared {
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of `LibraryParts`, taken apart once"
    )]
    pub(super) fn new(
        catalog: Arc<Catalog>,
        store: Arc<dyn VectorStore>,
        embedder: Arc<dyn Embedder>,
        reader: Arc<dyn Reader>,
        home: PathBuf,
        originals: Originals,
        in_work: InWork,
        config: IngestConfig,
        tracker: TaskTracker,
        cancel: CancellationToken,
        tasks: Tasks,
    ) -> Self {
        let room = Room::new(&home, config.keep_free_mib * 1024 * 1024);
        Self {
            catalog,
            store,
            embedder,
            reader,
            home,
            originals,
            passwords: Passwords::default(),
            in_work,
            room,
            config,
            tracker,
            cancel,
            tasks,
            retries: Retries::default(),
            wake: Notify::new(),
            sweep: Notify::new(),
            upkeep: Notify::new(),
            retire: Notify::new(),
            traces: tokio::sync::Mutex::default(),
            changed: broadcast::Sender::new(CHANGES),
            points: tokio::sync::Mutex::new(()),
            claims: Mutex::default(),
        }
    }

    /// Starts a task that lives as long as the daemon, and begins it anew when it panics.
    pub(super) fn keep_running<F>(
        self: &Arc<Self>,
        name: &'static str,
        task: impl Fn(Arc<Self>) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let shared = Arc::clone(self);
        self.tracker.spawn(async move {
            kept_running(name, &shared.cancel, || task(Arc::clone(&shared))).await;
        });
    }

    /// Tells whoever waits for this document.
    pub(super) fn announce(&self, id: DocumentId) {
        // Nobody listening is the usual case.
        let _ = self.changed.send(id);
    }

    /// # Errors
    /// [`IngestError::QueueFull`] when as many documents wait as may.
    pub(super) async fn refuse_when_full(&self) -> Result<(), IngestError> {
        let queued = self.catalog.call(Catalog::queued).await?;
        if queued < self.config.max_queue as u64 {
            Ok(())
        } else {
            Err(IngestError::QueueFull {
                retry_after: QUEUE_RETRY,
            })
        }
    }

    /// Opens the index when that has not been done. Implementations answer at once when it has.
    pub(super) async fn open_store(&self) -> Result<(), PortError> {
        self.store.open(&self.embedder.identity()).await
    }

    pub(super) fn begun_before(&self, ids: impl IntoIterator<Item = DocumentId>) {
        self.claims().begun_before.extend(ids);
    }

    pub(super) fn suspect(&self, ids: impl IntoIterator<Item = DocumentId>) {
        self.claims().suspects.extend(ids);
    }

    /// Whether a document has to wait until the pipeline is empty: it may kill the daemon, or one that
    /// may is in there, and nobody else shall be blamed for that.
    pub(super) fn must_wait(&self, id: DocumentId) -> bool {
        let claims = self.claims();
        let others = claims.held.keys().filter(|held| **held != id);
        let mut others = others.peekable();
        others.peek().is_some()
            && (claims.suspects.contains(&id) || others.any(|held| claims.suspects.contains(held)))
    }

    /// Takes a document into the pipeline; `None` when it is there already.
    pub(super) fn claim(self: &Arc<Self>, id: DocumentId) -> Option<Claim> {
        let mut claims = self.claims();
        if claims.held.contains_key(&id) {
            return None;
        }
        let cancelled = self.cancel.child_token();
        claims.held.insert(id, cancelled.clone());
        self.in_work.begin(id);
        Some(Claim {
            id,
            cancelled,
            begun_before: claims.begun_before.remove(&id),
            reading: None,
            shared: Arc::clone(self),
        })
    }

    /// Stops the processing of a document, if there is any.
    pub(super) fn stop(&self, id: DocumentId) {
        if let Some(cancelled) = self.claims().held.get(&id) {
            cancelled.cancel();
        }
    }

    /// Whether a document was alone in work each time that a stage panicked, and is why.
    pub(super) fn is_poison(&self, id: DocumentId) -> bool {
        let panics = self.claims().panicked.get(&id).copied();
        panics.is_some_and(|panics| panics >= PANICS)
    }

    pub(super) fn claimed(&self) -> usize {
        self.claims().held.len()
    }

    /// Never held across an `.await`.
    fn claims(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A document's way through the pipeline. It travels with the document; when it is dropped, wherever
/// that is, the document is out of the pipeline and, if its row still says so, in the queue.
pub(super) struct Claim {
    pub(super) id: DocumentId,
    /// The document was deleted, has other bytes by now, or the daemon stops.
    pub(super) cancelled: CancellationToken,
    /// An earlier run may have left points of it.
    pub(super) begun_before: bool,
    /// The bytes that are read. A watched file may get others meanwhile; what was made of these does not
    /// count then.
    pub(super) reading: Option<Sha256Hash>,
    shared: Arc<Shared>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        // It went out of the pipeline and the daemon lives. First crossed out: whoever may begin because this
        // is gone shall not be found beside it.
        self.shared.in_work.end(self.id);
        {
            let mut claims = self.shared.claims();
            claims.held.remove(&self.id);
            let was_alone = claims.suspects.remove(&self.id);
            if std::thread::panicking() {
                // Of a crowd each may be why, so each is tried alone before one is blamed.
                claims.suspects.insert(self.id);
                if was_alone {
                    *claims.panicked.entry(self.id).or_default() += 1;
                }
            }
        }
        self.shared.catalog.set_down(self.id);
        self.shared.wake.notify_one();
    }
}
