//! The vector store on a Qdrant server or cluster.
//!
//! One Qdrant collection holds all points; our collections are a field of them. What the vectors were
//! made with stands in the Qdrant collection's metadata (server 1.16 and later). Every write waits until
//! the server has applied it, and the server logs it before that: so there is nothing left to flush.

mod convert;
mod failure;

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use qdrant_client::{
    Qdrant, QdrantError,
    qdrant::{
        CollectionInfo, CountPointsBuilder, CreateCollectionBuilder,
        CreateFieldIndexCollectionBuilder, DeletePointsBuilder, Distance, FieldType,
        GetPointsBuilder, Modifier, PointId, Query, QueryPointsBuilder, SparseVectorParamsBuilder,
        SparseVectorsConfigBuilder, UpsertPointsBuilder, VectorInput, VectorParamsBuilder,
        VectorsConfigBuilder,
    },
};
use tonic::Code;

use crate::{
    config::StoreConfig,
    domain::{ChunkKey, Component, DocumentId, EmbedderIdentity, Embedding},
    ports::{Filter, Point, PortError, QueryVector, ScoredPoint, SearchRequest, VectorStore},
};
use convert::{COLLECTION, DOCUMENT, REVISION};

/// The names of the two vectors of a point.
const DENSE: &str = "dense";
const SPARSE: &str = "sparse";
/// Keys of the Qdrant collection's metadata.
const MODEL: &str = "griot_model";
const DIMENSION: &str = "griot_dimension";

/// Points a request: 256 of 1024 values are about 1.5 MB, well below the 32 MB a server takes.
const POINTS_PER_REQUEST: usize = 256;
/// How long to wait for a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long to wait for an answer. The guard around the port is usually stricter; this one also ends
/// requests whose caller has gone.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// A [`VectorStore`] on a server.
pub struct QdrantStore {
    client: Qdrant,
    collection: String,
    limit: Duration,
    /// Dimension of the opened collection. Held for a read or a write only.
    dimension: Mutex<Option<usize>>,
}

impl std::fmt::Debug for QdrantStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client's configuration holds the API key.
        f.debug_struct("QdrantStore")
            .field("url", &self.client.config.uri)
            .field("collection", &self.collection)
            .finish_non_exhaustive()
    }
}

impl QdrantStore {
    /// A client for the server and collection of `config`. Nothing is connected yet.
    ///
    /// # Errors
    /// [`PortError::Refused`] when `store.url` is not a URL.
    pub fn new(config: &StoreConfig) -> Result<Self, PortError> {
        Self::with_limit(config, ANSWER_LIMIT)
    }

    /// As [`Self::new`], with another limit for each answer.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_limit(config: &StoreConfig, limit: Duration) -> Result<Self, PortError> {
        let mut builder = Qdrant::from_url(&config.url)
            .timeout(limit)
            .connect_timeout(CONNECT_LIMIT)
            // The check would print to standard output, and block.
            .skip_compatibility_check();
        if let Some(key) = &config.api_key {
            builder.set_api_key(key);
        }
        let client = builder.build().map_err(|error| {
            refused(format!(
                "`store.url` {:?} is not the address of a Qdrant server, such as \
                 http://127.0.0.1:6334: {error}",
                config.url
            ))
        })?;
        Ok(Self {
            client,
            collection: config.collection.clone(),
            limit,
            dimension: Mutex::new(None),
        })
    }

    /// The dimension, once the collection was opened.
    fn opened(&self) -> Result<usize, PortError> {
        self.dimension
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .ok_or_else(|| {
                PortError::unavailable(Component::VectorStore, "the index was not opened")
            })
    }

    fn check_dimension(&self, given: usize) -> Result<(), PortError> {
        let dimension = self.opened()?;
        if given == dimension {
            Ok(())
        } else {
            Err(refused(format!(
                "a vector of {given} values was given to an index of {dimension}"
            )))
        }
    }

    fn failed(&self, error: QdrantError) -> PortError {
        failure::port_error(error, self.limit)
    }

    /// What the server says of the collection; `None` when there is none.
    async fn info(&self) -> Result<Option<CollectionInfo>, PortError> {
        match self.client.collection_info(&self.collection).await {
            Ok(answer) => answer
                .result
                .map(Some)
                .ok_or_else(|| failure::nonsense("it described a collection with nothing")),
            Err(error) if failure::code(&error) == Some(Code::NotFound) => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// What the collection was made for, if there is one.
    ///
    /// # Errors
    /// [`PortError::Refused`] where it is not ours, and as for any call.
    pub async fn recorded(&self) -> Result<Option<EmbedderIdentity>, PortError> {
        match self.info().await? {
            Some(info) => self.made_for(&info).map(Some),
            None => Ok(None),
        }
    }

    /// Removes the collection, if there is one.
    ///
    /// # Errors
    /// As for any call.
    pub async fn remove(&self) -> Result<(), PortError> {
        // Asked first: a server of before 1.16 would remove one that is not ours.
        if self.recorded().await?.is_some() {
            self.client
                .delete_collection(&self.collection)
                .await
                .map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    /// Makes the collection.
    async fn create(&self, identity: &EmbedderIdentity) -> Result<(), PortError> {
        let mut dense = VectorsConfigBuilder::default();
        dense.add_named_vector_params(
            DENSE,
            VectorParamsBuilder::new(identity.dimension as u64, Distance::Cosine),
        );
        let mut sparse = SparseVectorsConfigBuilder::default();
        sparse.add_named_vector_params(
            SPARSE,
            SparseVectorParamsBuilder::default().modifier(Modifier::Idf),
        );
        let metadata = HashMap::from([
            (MODEL.to_owned(), serde_json::json!(identity.model)),
            (DIMENSION.to_owned(), serde_json::json!(identity.dimension)),
        ]);
        let request = CreateCollectionBuilder::new(&self.collection)
            .vectors_config(dense)
            .sparse_vectors_config(sparse)
            .metadata(metadata);
        self.client
            .create_collection(request)
            .await
            .map(|_| ())
            .map_err(|error| self.failed(error))
    }

    /// What the collection was made for.
    fn made_for(&self, info: &CollectionInfo) -> Result<EmbedderIdentity, PortError> {
        let metadata = info.config.as_ref().map(|config| &config.metadata);
        let value = |key| metadata.and_then(|metadata| metadata.get(key));
        let model = value(MODEL).and_then(|value| value.as_str());
        let dimension = value(DIMENSION)
            .and_then(qdrant_client::qdrant::Value::as_integer)
            .and_then(|dimension| usize::try_from(dimension).ok());
        match (model, dimension) {
            (Some(model), Some(dimension)) => Ok(EmbedderIdentity {
                model: model.clone(),
                dimension,
                max_tokens: 0,
            }),
            _ => Err(refused(format!(
                "the Qdrant collection {:?} was not made by griot, or by a server older than 1.16; set \
                 `store.collection` to a name that is free",
                self.collection
            ))),
        }
    }

    /// Whether the collection is ours and was made for these vectors.
    fn check(&self, info: &CollectionInfo, identity: &EmbedderIdentity) -> Result<(), PortError> {
        let EmbedderIdentity {
            model, dimension, ..
        } = self.made_for(info)?;
        let name = &self.collection;
        if model == identity.model && dimension == identity.dimension {
            return Ok(());
        }
        Err(refused(format!(
            "the Qdrant collection {name:?} was made with {model} ({dimension} values), but {} ({} \
             values) is configured; set `embed.model` back, or `store.collection` to another name \
             and the documents are embedded again",
            identity.model, identity.dimension
        )))
    }

    /// Has the server index the fields that filters name. Done already, it does nothing.
    async fn index_fields(&self) -> Result<(), PortError> {
        for (field, kind) in [
            (DOCUMENT, FieldType::Uuid),
            (COLLECTION, FieldType::Keyword),
            (REVISION, FieldType::Integer),
        ] {
            let request = CreateFieldIndexCollectionBuilder::new(&self.collection, field, kind);
            self.client
                .create_field_index(request.wait(true))
                .await
                .map_err(|error| self.failed(error))?;
        }
        Ok(())
    }
}

fn refused(reason: String) -> PortError {
    PortError::Refused {
        component: Component::VectorStore,
        reason,
    }
}

#[async_trait]
impl VectorStore for QdrantStore {
    async fn open(&self, identity: &EmbedderIdentity) -> Result<(), PortError> {
        let info = if let Some(info) = self.info().await? {
            info
        } else {
            // Where this fails because another daemon was quicker, there is a collection all the same.
            let made = self.create(identity).await;
            match self.info().await? {
                Some(info) => info,
                None => {
                    return made.and(Err(failure::nonsense(
                        "a collection just made is not there",
                    )));
                }
            }
        };
        self.check(&info, identity)?;
        self.index_fields().await?;
        *self
            .dimension
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(identity.dimension);
        Ok(())
    }

    async fn upsert(&self, points: Vec<Point>) -> Result<(), PortError> {
        for point in &points {
            self.check_dimension(point.dense.0.len())?;
        }
        let mut points = points.into_iter().map(convert::point).peekable();
        while points.peek().is_some() {
            let some = points.by_ref().take(POINTS_PER_REQUEST).collect::<Vec<_>>();
            let request = UpsertPointsBuilder::new(&self.collection, some).wait(true);
            self.client
                .upsert_points(request)
                .await
                .map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    async fn flush(&self) -> Result<(), PortError> {
        // Each write was waited for.
        self.opened().map(|_| ())
    }

    async fn search(&self, request: SearchRequest) -> Result<Vec<ScoredPoint>, PortError> {
        let (name, vector) = match request.vector {
            QueryVector::Dense(vector) => {
                self.check_dimension(vector.0.len())?;
                (DENSE, VectorInput::new_dense(vector.0))
            }
            QueryVector::Sparse(vector) => {
                self.opened()?;
                if vector.indices.is_empty() {
                    return Ok(Vec::new());
                }
                (
                    SPARSE,
                    VectorInput::new_sparse(vector.indices, vector.values),
                )
            }
        };
        if request.limit == 0 {
            return Ok(Vec::new());
        }
        let mut query = QueryPointsBuilder::new(&self.collection)
            .query(Query::new_nearest(vector))
            .using(name)
            .limit(request.limit as u64)
            .with_payload(true);
        if let Some(filter) = convert::filter(&request.filter) {
            query = query.filter(filter);
        }
        let answer = self
            .client
            .query(query)
            .await
            .map_err(|error| self.failed(error))?;
        answer.result.iter().map(convert::hit).collect()
    }

    async fn delete(&self, document: DocumentId, keep: Option<u32>) -> Result<(), PortError> {
        self.opened()?;
        let request = DeletePointsBuilder::new(&self.collection)
            .points(convert::of_document(document, keep))
            .wait(true);
        self.client
            .delete_points(request)
            .await
            .map(|_| ())
            .map_err(|error| self.failed(error))
    }

    async fn vectors(&self, keys: &[ChunkKey]) -> Result<Vec<Option<Embedding>>, PortError> {
        self.opened()?;
        let mut found = HashMap::new();
        for some in keys.chunks(POINTS_PER_REQUEST) {
            let ids: Vec<PointId> = some
                .iter()
                .map(|key| key.point_id().to_string().into())
                .collect();
            let request = GetPointsBuilder::new(&self.collection, ids)
                .with_payload(false)
                .with_vectors(convert::dense_only());
            let answer = self
                .client
                .get_points(request)
                .await
                .map_err(|error| self.failed(error))?;
            found.extend(answer.result.into_iter().filter_map(convert::vector));
        }
        Ok(keys
            .iter()
            .map(|key| found.remove(&key.point_id()))
            .collect())
    }

    async fn count(&self, filter: Filter) -> Result<u64, PortError> {
        self.opened()?;
        let mut request = CountPointsBuilder::new(&self.collection).exact(true);
        if let Some(filter) = convert::filter(&filter) {
            request = request.filter(filter);
        }
        let answer = self
            .client
            .count(request)
            .await
            .map_err(|error| self.failed(error))?;
        answer
            .result
            .map(|result| result.count)
            .ok_or_else(|| failure::nonsense("it counted and said no number"))
    }
}
