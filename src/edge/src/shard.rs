//! One `qdrant-edge` shard: its schema, and our requests in its words.

use std::{
    any::Any,
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use qdrant_edge::{
    Condition, CountRequest, CreateIndex, Distance, EdgeConfig, EdgeOptimizersConfig, EdgeShard,
    EdgeSparseVectorParams, EdgeVectorParams, FieldCondition, FieldIndexOperations, Filter,
    JsonPath, Match, MatchValue, Modifier, NamedQuery, OperationError, Payload, PayloadFieldSchema,
    PayloadSchemaType, PointId, PointInsertOperations, PointOperations, PointStruct,
    PointStructPersisted, QueryEnum, ScrollRequest, SearchRequest, UpdateOperation, ValueVariants,
    Vector, VectorInternal, VectorStructInternal, Vectors, WalOptions, WithPayloadInterface,
    WithVector,
    external::{serde_json::json, uuid::Uuid},
};

use crate::{EdgeError, Entry, Hit, Key, Only, log};

const DENSE: &str = "dense";
const SPARSE: &str = "sparse";
const DOCUMENT: &str = "document";
const REVISION: &str = "revision";
const ORDINAL: &str = "ordinal";
const COLLECTION: &str = "collection";

/// Points given to the shard in one update. Each update is one entry of its log, and an entry has to
/// fit a file of it: 256 points of 1024 values are about 2 MB.
const POINTS_PER_UPDATE: usize = 256;

/// An open shard. Dropping it flushes it.
#[derive(Debug)]
pub(crate) struct Shard {
    /// `None` only while it is dropped.
    inner: Option<EdgeShard>,
}

impl Shard {
    /// Makes a shard in the empty folder `path`.
    pub(crate) fn create(path: &Path, dimension: usize) -> Result<Self, EdgeError> {
        let dense = EdgeVectorParams::builder(dimension, Distance::Cosine)
            // Files mapped into memory: what is not searched does not stay in memory.
            .on_disk(true)
            .build();
        let mut sparse = EdgeSparseVectorParams::builder().modifier(Modifier::Idf);
        sparse = sparse.on_disk(false);
        let config = EdgeConfig::builder()
            .on_disk_payload(true)
            .vector(DENSE, dense)
            .sparse_vector(SPARSE, sparse.build())
            .optimizers(EdgeOptimizersConfig {
                // One segment (and one to write to): a person's machine has few cores, and one graph
                // is searched faster than several.
                default_segment_number: Some(1),
                ..EdgeOptimizersConfig::default()
            })
            .wal_options(WalOptions {
                segment_capacity: log::SEGMENT_BYTES,
                ..WalOptions::default()
            })
            .build();
        let shard = guarded("make the index", || EdgeShard::new(path, config))?;
        let shard = Self { inner: Some(shard) };
        shard.index_field(DOCUMENT, PayloadSchemaType::Uuid)?;
        shard.index_field(COLLECTION, PayloadSchemaType::Keyword)?;
        Ok(shard)
    }

    /// Opens the shard in `path`.
    pub(crate) fn load(path: &Path) -> Result<Self, EdgeError> {
        let shard = guarded("open", || EdgeShard::load(path, None))?;
        Ok(Self { inner: Some(shard) })
    }

    fn edge(&self) -> &EdgeShard {
        self.inner.as_ref().expect("it is taken out only in drop")
    }

    fn index_field(&self, name: &str, kind: PayloadSchemaType) -> Result<(), EdgeError> {
        self.update(
            "make the index",
            UpdateOperation::FieldIndexOperation(FieldIndexOperations::CreateIndex(CreateIndex {
                field_name: field(name),
                field_schema: Some(PayloadFieldSchema::FieldType(kind)),
            })),
        )
    }

    pub(crate) fn upsert(&self, entries: Vec<Entry>) -> Result<(), EdgeError> {
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            let points = entries
                .by_ref()
                .take(POINTS_PER_UPDATE)
                .map(|entry| point(entry).map(Into::into))
                .collect::<Result<Vec<_>, EdgeError>>()?;
            self.update(
                "write",
                UpdateOperation::PointOperation(PointOperations::UpsertPoints(
                    PointInsertOperations::PointsList(points),
                )),
            )?;
        }
        Ok(())
    }

    pub(crate) fn delete(&self, document: Uuid, keep: Option<u32>) -> Result<(), EdgeError> {
        let filter = doomed(document, keep);
        self.update(
            "delete",
            UpdateOperation::PointOperation(PointOperations::DeletePointsByFilter(filter)),
        )
    }

    /// How many points [`Self::delete`] would remove.
    pub(crate) fn count_doomed(&self, document: Uuid, keep: Option<u32>) -> Result<u64, EdgeError> {
        self.count_where(Some(doomed(document, keep)))
    }

    pub(crate) fn search_dense(
        &self,
        vector: Vec<f32>,
        only: &Only,
        limit: usize,
    ) -> Result<Vec<Hit>, EdgeError> {
        self.search(DENSE, VectorInternal::Dense(vector), only, limit)
    }

    pub(crate) fn search_sparse(
        &self,
        indices: Vec<u32>,
        values: Vec<f32>,
        only: &Only,
        limit: usize,
    ) -> Result<Vec<Hit>, EdgeError> {
        let vector = Vector::new_sparse(indices, values)
            .map_err(|source| EdgeError::operation("search", source))?;
        self.search(SPARSE, vector.0, only, limit)
    }

    fn search(
        &self,
        vector_name: &str,
        vector: VectorInternal,
        only: &Only,
        limit: usize,
    ) -> Result<Vec<Hit>, EdgeError> {
        let request = SearchRequest {
            query: QueryEnum::Nearest(NamedQuery {
                query: vector,
                using: Some(vector_name.into()),
            }),
            filter: filter(only),
            params: None,
            limit,
            offset: 0,
            with_payload: Some(WithPayloadInterface::Bool(true)),
            with_vector: None,
            score_threshold: None,
        };
        guarded("search", || self.edge().search(request))?
            .into_iter()
            .map(|hit| {
                Ok(Hit {
                    key: hit
                        .payload
                        .as_ref()
                        .and_then(key)
                        .ok_or_else(|| no_key("search", &hit.id))?,
                    score: hit.score,
                })
            })
            .collect()
    }

    pub(crate) fn vectors(&self, ids: &[Uuid]) -> Result<Vec<Option<Vec<f32>>>, EdgeError> {
        let points: Vec<PointId> = ids.iter().copied().map(PointId::Uuid).collect();
        let wanted = WithVector::Selector(vec![DENSE.to_owned()]);
        let no_payload = WithPayloadInterface::Bool(false);
        let records = guarded("read", || {
            self.edge()
                .retrieve(&points, Some(no_payload), Some(wanted))
        })?;
        let mut found: HashMap<PointId, Vec<f32>> = records
            .into_iter()
            .filter_map(|record| Some((record.id, dense(record.vector?)?)))
            .collect();
        Ok(points.iter().map(|id| found.remove(id)).collect())
    }

    pub(crate) fn count(&self, only: &Only) -> Result<u64, EdgeError> {
        self.count_where(filter(only))
    }

    fn count_where(&self, filter: Option<Filter>) -> Result<u64, EdgeError> {
        let request = CountRequest {
            filter,
            exact: true,
        };
        guarded("count", || self.edge().count(request)).map(|count| count as u64)
    }

    /// Finds out whether it can be searched at all, by each kind of search once.
    pub(crate) fn try_out(&self, dimension: usize) -> Result<(), EdgeError> {
        let all = Only::default();
        let mut vector = vec![0.0; dimension];
        if let Some(first) = vector.first_mut() {
            *first = 1.0;
        }
        self.count(&all)?;
        self.search_dense(vector, &all, 1)?;
        self.search_sparse(vec![0], vec![1.0], &all, 1).map(drop)
    }

    /// Points that a dense search looks at one by one.
    pub(crate) fn unindexed(&self) -> u64 {
        let info = self.edge().info();
        // Both vectors of a point are counted where they have an index, and a sparse one always has.
        let dense_indexed = info.indexed_vectors_count.saturating_sub(info.points_count);
        info.points_count.saturating_sub(dense_indexed) as u64
    }

    pub(crate) fn optimize(&self) -> Result<bool, EdgeError> {
        guarded("optimise", || self.edge().optimize())
    }

    /// Writes every point of this shard to `other`.
    pub(crate) fn copy_into(&self, other: &Self) -> Result<(), EdgeError> {
        let mut from = None;
        loop {
            let request = ScrollRequest {
                offset: from,
                limit: Some(POINTS_PER_UPDATE),
                filter: None,
                with_payload: Some(WithPayloadInterface::Bool(true)),
                with_vector: WithVector::Bool(true),
                order_by: None,
            };
            let (records, next) = guarded("read", || self.edge().scroll(request))?;
            let points: Vec<PointStructPersisted> = records
                .into_iter()
                .filter_map(|record| {
                    Some(PointStructPersisted {
                        id: record.id,
                        vector: record.vector?.into(),
                        payload: record.payload,
                    })
                })
                .collect();
            if !points.is_empty() {
                other.update(
                    "write",
                    UpdateOperation::PointOperation(PointOperations::UpsertPoints(
                        PointInsertOperations::PointsList(points),
                    )),
                )?;
            }
            from = next;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    pub(crate) fn flush(&self) -> Result<(), EdgeError> {
        guarded("write to disk", || {
            self.edge().flush();
            Ok(())
        })
    }

    fn update(&self, doing: &'static str, operation: UpdateOperation) -> Result<(), EdgeError> {
        guarded(doing, || self.edge().update(operation))
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        // The shard flushes when it is dropped, and panics where it cannot; a panic while another one
        // unwinds would end the process.
        let shard = self.inner.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(shard)));
    }
}

/// Runs a call of the shard; a panic in it is an error like any other.
fn guarded<T>(
    doing: &'static str,
    call: impl FnOnce() -> Result<T, OperationError>,
) -> Result<T, EdgeError> {
    // The shard is not used as if nothing had happened by what shares memory with this: its locks do
    // not poison, and its state on disk is that of its last flush.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|source| EdgeError::operation(doing, source)),
        Err(panic) => Err(EdgeError::Broken {
            doing,
            reason: message(&*panic),
        }),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "it panicked".to_owned())
}

fn point(entry: Entry) -> Result<PointStruct, EdgeError> {
    let mut vectors = vec![(DENSE, Vector::new_dense(entry.dense))];
    // A text of stop words only has no sparse vector, and an empty one is not stored.
    if !entry.indices.is_empty() {
        let sparse = Vector::new_sparse(entry.indices, entry.values)
            .map_err(|source| EdgeError::operation("write", source))?;
        vectors.push((SPARSE, sparse));
    }
    Ok(PointStruct::new(
        PointId::Uuid(entry.id),
        Vectors::new_named(vectors),
        json!({
            DOCUMENT: entry.key.document.to_string(),
            REVISION: entry.key.revision,
            ORDINAL: entry.key.ordinal,
            COLLECTION: entry.collection,
        }),
    ))
}

fn dense(vectors: VectorStructInternal) -> Option<Vec<f32>> {
    let VectorStructInternal::Named(mut named) = vectors else {
        return None;
    };
    match named.remove(DENSE)? {
        VectorInternal::Dense(values) => Some(values),
        VectorInternal::Sparse(_) | VectorInternal::MultiDense(_) => None,
    }
}

fn no_key(doing: &'static str, id: &PointId) -> EdgeError {
    EdgeError::Broken {
        doing,
        reason: format!("point {id} carries no key"),
    }
}

fn key(payload: &Payload) -> Option<Key> {
    let number = |name| {
        payload
            .0
            .get(name)?
            .as_u64()
            .and_then(|n| u32::try_from(n).ok())
    };
    Some(Key {
        document: Uuid::parse_str(payload.0.get(DOCUMENT)?.as_str()?).ok()?,
        revision: number(REVISION)?,
        ordinal: number(ORDINAL)?,
    })
}

/// A document's points, those of revision `keep` excepted.
fn doomed(document: Uuid, keep: Option<u32>) -> Filter {
    Filter {
        must: Some(vec![is(DOCUMENT, document.to_string())]),
        must_not: keep.map(|revision| {
            vec![Condition::Field(FieldCondition::new_match(
                field(REVISION),
                Match::Value(MatchValue {
                    value: ValueVariants::Integer(i64::from(revision)),
                }),
            ))]
        }),
        ..Filter::default()
    }
}

fn filter(only: &Only) -> Option<Filter> {
    let mut must = Vec::new();
    if let Some(collection) = &only.collection {
        must.push(is(COLLECTION, collection.clone()));
    }
    if let Some(document) = only.document {
        must.push(is(DOCUMENT, document.to_string()));
    }
    (!must.is_empty()).then(|| Filter {
        must: Some(must),
        ..Filter::default()
    })
}

fn is(name: &str, value: String) -> Condition {
    Condition::Field(FieldCondition::new_match(
        field(name),
        Match::Value(MatchValue {
            value: ValueVariants::String(value),
        }),
    ))
}

fn field(name: &str) -> JsonPath {
    name.parse().expect("a plain word is a path")
}
