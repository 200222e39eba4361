//! The vector store in process, in a folder of the home.
//!
//! Turns port types into those of `griot-edge` and its blocking calls into tasks of the blocking pool.
//! What has been begun there ends, also when its caller has gone away: at most a search or one batch.

use std::{io, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use griot_edge::{EdgeError, EdgeIndex, Entry, Exchange, Hit, Identity, Key, Only};
use tokio::sync::Mutex;

use crate::{
    domain::{ChunkKey, Component, DocumentId, EmbedderIdentity, Embedding},
    failpoints::{self, Point as Failpoint},
    ports::{Filter, Point, PortError, QueryVector, ScoredPoint, SearchRequest, VectorStore},
};

/// Points from which on building a graph is worth its minutes. Below it a search that looks at every
/// point takes less than 25 ms on two cores (measured here on 384 values a vector: see `make bench`).
const WORTH_A_GRAPH: u64 = 50_000;

/// A [`VectorStore`] in the folder it was given.
#[derive(Debug)]
pub struct EdgeStore {
    folder: PathBuf,
    /// `None` until it is opened. Held while it is opened, so that it is opened once.
    index: Mutex<Option<Arc<EdgeIndex>>>,
}

/// What is in a store's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    Nothing,
    /// An index that opens.
    Made(EmbedderIdentity),
    /// An index that does not, for a reason that does not pass.
    Damaged(String),
}

impl EdgeStore {
    /// A store in `folder`, which [`VectorStore::open`] makes where it is missing. Nothing is read yet.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            index: Mutex::new(None),
        }
    }

    /// What is in the folder. Makes nothing; what opens stays open.
    ///
    /// # Errors
    /// [`PortError::Unavailable`] where that cannot be told now.
    pub async fn recorded(&self) -> Result<Recorded, PortError> {
        let folder = self.folder.clone();
        let recorded =
            match tokio::task::spawn_blocking(move || griot_edge::recorded(&folder)).await {
                Ok(Ok(None)) => return Ok(Recorded::Nothing),
                Ok(Ok(Some(identity))) => EmbedderIdentity {
                    model: identity.model,
                    dimension: identity.dimension,
                    max_tokens: 0,
                },
                Ok(Err(EdgeError::Io { source, .. }))
                    if source.kind() == io::ErrorKind::InvalidData =>
                {
                    return Ok(Recorded::Damaged(source.to_string()));
                }
                Ok(Err(error)) => return Err(port_error(error)),
                Err(error) => return Err(PortError::unavailable(Component::VectorStore, error)),
            };
        match self.open_index(&recorded).await {
            Ok(_) => Ok(Recorded::Made(recorded)),
            Err(EdgeError::Broken { reason, .. }) => Ok(Recorded::Damaged(reason)),
            Err(error) => Err(port_error(error)),
        }
    }

    /// Closes it once the calls that have begun have ended; it can be opened again.
    pub async fn close(&self) {
        *self.index.lock().await = None;
    }

    /// Opens the index, once.
    async fn open_index(&self, identity: &EmbedderIdentity) -> Result<Arc<EdgeIndex>, EdgeError> {
        let asked = Identity {
            model: identity.model.clone(),
            dimension: identity.dimension,
        };
        let mut slot = self.index.lock().await;
        if let Some(index) = &*slot {
            if *index.identity() == asked {
                return Ok(Arc::clone(index));
            }
            return Err(EdgeError::OtherIdentity {
                folder: self.folder.clone(),
                recorded: index.identity().clone(),
                asked,
            });
        }
        let folder = self.folder.clone();
        let opened = tokio::task::spawn_blocking(move || EdgeIndex::open(&folder, &asked)).await;
        let index = opened.map_err(|ended| EdgeError::Broken {
            doing: "open",
            reason: ended.to_string(),
        })??;
        Ok(Arc::clone(slot.insert(Arc::new(index))))
    }

    /// Runs a blocking call of the opened index.
    async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce(&EdgeIndex) -> Result<T, EdgeError> + Send + 'static,
    ) -> Result<T, PortError> {
        let index = self.index.lock().await.clone();
        let Some(index) = index else {
            return Err(PortError::unavailable(
                Component::VectorStore,
                "the index was not opened",
            ));
        };
        blocking(move || call(&index)).await
    }
}

async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, EdgeError> + Send + 'static,
) -> Result<T, PortError> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result.map_err(port_error),
        Err(error) => Err(PortError::unavailable(Component::VectorStore, error)),
    }
}

/// Passes a failpoint of a write.
fn at(point: Failpoint) -> Result<(), EdgeError> {
    failpoints::pass(point).map_err(|source| EdgeError::Io {
        doing: "write",
        path: PathBuf::new(),
        source,
    })
}

fn port_error(error: EdgeError) -> PortError {
    match error {
        EdgeError::Io { source, .. }
            if matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ) =>
        {
            PortError::NoRoom {
                component: Component::VectorStore,
            }
        }
        EdgeError::OtherIdentity { .. }
        | EdgeError::WrongDimension { .. }
        | EdgeError::Invalid { .. } => PortError::Refused {
            component: Component::VectorStore,
            reason: error.to_string(),
        },
        EdgeError::Locked { .. }
        | EdgeError::Io { .. }
        | EdgeError::Broken { .. }
        | EdgeError::Closed { .. } => PortError::unavailable(Component::VectorStore, error),
    }
}

fn entry(point: Point) -> Entry {
    Entry {
        id: point.key.point_id(),
        key: Key {
            document: point.key.document.uuid(),
            revision: point.key.revision,
            ordinal: point.key.ordinal,
        },
        collection: point.collection.into(),
        dense: point.dense.0,
        indices: point.sparse.indices,
        values: point.sparse.values,
    }
}

fn only(filter: Filter) -> Only {
    Only {
        collection: filter.collection.map(String::from),
        document: filter.document.map(DocumentId::uuid),
    }
}

fn scored(hit: Hit) -> ScoredPoint {
    ScoredPoint {
        key: ChunkKey {
            document: DocumentId::from_uuid(hit.key.document),
            revision: hit.key.revision,
            ordinal: hit.key.ordinal,
        },
        score: hit.score,
    }
}

#[async_trait]
impl VectorStore for EdgeStore {
    async fn open(&self, identity: &EmbedderIdentity) -> Result<(), PortError> {
        match self.open_index(identity).await {
            Ok(_) => Ok(()),
            Err(error) => Err(port_error(error)),
        }
    }

    async fn upsert(&self, points: Vec<Point>) -> Result<(), PortError> {
        let entries = points.into_iter().map(entry).collect();
        self.run(|index| {
            at(Failpoint::StoreBeforeUpsert)?;
            index.upsert(entries)?;
            at(Failpoint::StoreAfterUpsert)
        })
        .await
    }

    async fn flush(&self) -> Result<(), PortError> {
        self.run(|index| {
            at(Failpoint::StoreBeforeFlush)?;
            index.flush()?;
            at(Failpoint::StoreAfterFlush)
        })
        .await
    }

    async fn search(&self, request: SearchRequest) -> Result<Vec<ScoredPoint>, PortError> {
        let SearchRequest {
            vector,
            filter,
            limit,
        } = request;
        let only = only(filter);
        let hits = self
            .run(move |index| match vector {
                QueryVector::Dense(vector) => index.search_dense(vector.0, &only, limit),
                QueryVector::Sparse(vector) => {
                    index.search_sparse(vector.indices, vector.values, &only, limit)
                }
            })
            .await?;
        Ok(hits.into_iter().map(scored).collect())
    }

    async fn delete(&self, document: DocumentId, keep: Option<u32>) -> Result<(), PortError> {
        self.run(move |index| {
            at(Failpoint::StoreBeforeDelete)?;
            index.delete(document.uuid(), keep)?;
            at(Failpoint::StoreAfterDelete)
        })
        .await
    }

    async fn vectors(&self, keys: &[ChunkKey]) -> Result<Vec<Option<Embedding>>, PortError> {
        let ids: Vec<_> = keys.iter().map(ChunkKey::point_id).collect();
        let found = self.run(move |index| index.vectors(&ids)).await?;
        Ok(found
            .into_iter()
            .map(|dense| dense.map(Embedding))
            .collect())
    }

    async fn count(&self, filter: Filter) -> Result<u64, PortError> {
        let only = only(filter);
        self.run(move |index| index.count(&only)).await
    }

    async fn upkeep(&self) -> Result<bool, PortError> {
        self.run(|index| {
            let purged = index.purge(|step| {
                failpoints::reach(match step {
                    Exchange::Written => Failpoint::IndexWritten,
                    Exchange::Aside => Failpoint::IndexAside,
                    Exchange::Done => Failpoint::IndexExchanged,
                });
            })?;
            let built = index.optimize_if_worth(WORTH_A_GRAPH)?;
            Ok(purged || built)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_no_fault_of_the_index() {
        let check = |kind: io::ErrorKind, is_fault: bool| {
            let error = port_error(EdgeError::Io {
                doing: "write to",
                path: PathBuf::new(),
                source: kind.into(),
            });
            assert_eq!(error.is_fault(), is_fault, "{error}");
            assert!(
                !matches!(error, PortError::Refused { .. }),
                "it is asked again"
            );
        };
        check(io::ErrorKind::StorageFull, false);
        check(io::ErrorKind::QuotaExceeded, false);
        check(io::ErrorKind::PermissionDenied, true);
    }
}
