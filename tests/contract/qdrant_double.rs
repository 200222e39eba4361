//! As much of a Qdrant server as the adapter uses, over a real socket and the real protocol.
//!
//! It keeps points as they were sent and searches them one by one. It is strict where a server is: a
//! write or a search before the collection is made fails, vectors must have the declared names and
//! lengths, filters may name indexed fields only (as in strict mode), and calls need the API key.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

use griot::{
    config::{StoreConfig, StoreKind},
    domain::bm25,
};
use qdrant_client::qdrant::{
    self as q, Filter, Modifier, PointId, PointStruct, ScoredPoint, Value,
    collections_server::{Collections, CollectionsServer},
    condition::ConditionOneOf,
    r#match::MatchValue,
    points_selector::PointsSelectorOneOf,
    points_server::{Points, PointsServer},
    vector_input, vectors, vectors_config,
};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

const KEY: &str = "a key for tests";

/// Starts a server on a free port; it ends with the runtime.
pub async fn serve() -> StoreConfig {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let double = Double::default();
    let guard = |request: Request<()>| match request.metadata().get("api-key") {
        Some(key) if key == KEY => Ok(request),
        _ => Err(Status::unauthenticated("Invalid API key or JWT")),
    };
    let server = Server::builder()
        .add_service(CollectionsServer::with_interceptor(double.clone(), guard))
        .add_service(PointsServer::with_interceptor(double, guard))
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(server);
    StoreConfig {
        kind: StoreKind::Qdrant,
        url: format!("http://{address}"),
        api_key: Some(KEY.to_owned()),
        collection: "griot".to_owned(),
        ..StoreConfig::default()
    }
}

#[derive(Clone, Default)]
struct Double(Arc<Mutex<HashMap<String, Collection>>>);

struct Collection {
    made: q::CreateCollection,
    indexed: BTreeSet<String>,
    /// By the text of the id.
    points: BTreeMap<String, Stored>,
}

struct Stored {
    point: PointStruct,
    dense: Vec<f32>,
    sparse: BTreeMap<u32, f32>,
}

impl Double {
    fn with<T>(
        &self,
        name: &str,
        work: impl FnOnce(&mut Collection) -> Result<T, Status>,
    ) -> Result<T, Status> {
        match self.0.lock().unwrap().get_mut(name) {
            Some(collection) => work(collection),
            None => Err(Status::not_found(format!(
                "Not found: Collection `{name}` doesn't exist!"
            ))),
        }
    }
}

impl Collection {
    fn dimension(&self) -> Option<u64> {
        let config = self.made.vectors_config.as_ref()?.config.as_ref()?;
        let vectors_config::Config::ParamsMap(map) = config else {
            return None;
        };
        Some(map.map.get("dense")?.size)
    }

    fn has_idf(&self) -> bool {
        self.made
            .sparse_vectors_config
            .as_ref()
            .and_then(|config| config.map.get("sparse")?.modifier)
            == Some(Modifier::Idf as i32)
    }

    fn store(&self, point: PointStruct) -> Result<Stored, Status> {
        let invalid = |text: &str| Status::invalid_argument(format!("Wrong input: {text}"));
        let options = point
            .vectors
            .as_ref()
            .and_then(|v| v.vectors_options.clone());
        let Some(vectors::VectorsOptions::Vectors(named)) = options else {
            return Err(invalid("vectors must be named"));
        };
        let (mut dense, mut sparse) = (Vec::new(), BTreeMap::new());
        for (name, vector) in named.vectors {
            match name.as_str() {
                "dense" => dense = vector.try_into_dense().map_err(|_| invalid("not dense"))?,
                "sparse" => {
                    let (indices, values) = vector
                        .try_into_sparse()
                        .map_err(|_| invalid("not sparse"))?;
                    if indices.is_empty() || indices.len() != values.len() {
                        return Err(invalid("sparse vector"));
                    }
                    sparse = indices.into_iter().zip(values).collect();
                }
                _ => return Err(invalid("Not existing vector name error")),
            }
        }
        if Some(dense.len() as u64) != self.dimension() {
            return Err(invalid("Vector dimension error"));
        }
        Ok(Stored {
            point,
            dense,
            sparse,
        })
    }

    fn matches(&self, filter: Option<&Filter>, stored: &Stored) -> Result<bool, Status> {
        let Some(filter) = filter else {
            return Ok(true);
        };
        assert!(filter.should.is_empty() && filter.min_should.is_none());
        for (conditions, wanted) in [(&filter.must, true), (&filter.must_not, false)] {
            for condition in conditions {
                if self.holds(condition, stored)? != wanted {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn holds(&self, condition: &q::Condition, stored: &Stored) -> Result<bool, Status> {
        let Some(ConditionOneOf::Field(field)) = &condition.condition_one_of else {
            return Err(Status::unimplemented("only field conditions"));
        };
        if !self.indexed.contains(&field.key) {
            return Err(Status::failed_precondition(format!(
                "Index required but not found for {:?}",
                field.key
            )));
        }
        let value = stored.point.payload.get(&field.key);
        match field.r#match.as_ref().and_then(|m| m.match_value.as_ref()) {
            Some(MatchValue::Keyword(word)) => Ok(value.and_then(Value::as_str) == Some(word)),
            Some(MatchValue::Integer(number)) => {
                Ok(value.and_then(Value::as_integer) == Some(*number))
            }
            _ => Err(Status::unimplemented("only keywords and integers")),
        }
    }

    fn score(&self, query: &Nearest, stored: &Stored) -> Option<f32> {
        match query {
            Nearest::Dense(query) => {
                let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
                let lengths = dot(query, query) * dot(&stored.dense, &stored.dense);
                Some(dot(query, &stored.dense) / lengths.sqrt())
            }
            Nearest::Sparse(query) => {
                let shared: Vec<_> = query
                    .iter()
                    .filter_map(|(term, weight)| {
                        Some(weight * stored.sparse.get(term)? * self.idf(*term))
                    })
                    .collect();
                (!shared.is_empty()).then(|| shared.iter().sum())
            }
        }
    }

    fn idf(&self, term: u32) -> f32 {
        let with_words = |stored: &&Stored| !stored.sparse.is_empty();
        let total = self.points.values().filter(with_words).count() as u64;
        let holding = |stored: &&Stored| stored.sparse.contains_key(&term);
        let holding = self.points.values().filter(holding).count() as u64;
        if self.has_idf() {
            bm25::idf(total, holding)
        } else {
            1.0
        }
    }
}

enum Nearest {
    Dense(Vec<f32>),
    Sparse(Vec<(u32, f32)>),
}

fn nearest(request: &q::QueryPoints) -> Option<Nearest> {
    let q::query::Variant::Nearest(input) = request.query.as_ref()?.variant.as_ref()? else {
        return None;
    };
    match (input.variant.as_ref()?, request.using.as_deref()?) {
        (vector_input::Variant::Dense(vector), "dense") => {
            Some(Nearest::Dense(vector.data.clone()))
        }
        (vector_input::Variant::Sparse(vector), "sparse") => {
            let pairs = vector.indices.iter().copied();
            Some(Nearest::Sparse(pairs.zip(vector.values.clone()).collect()))
        }
        _ => None,
    }
}

fn text(id: Option<&PointId>) -> String {
    format!("{:?}", id.and_then(|id| id.point_id_options.as_ref()))
}

/// A point with those of its vectors that were asked for: none unless any is.
fn retrieved(stored: &Stored, wanted: Option<&q::WithVectorsSelector>) -> q::RetrievedPoint {
    let include = match wanted.and_then(|wanted| wanted.selector_options.as_ref()) {
        Some(q::with_vectors_selector::SelectorOptions::Include(names)) => &names.names[..],
        _ => &[],
    };
    let mut vectors = HashMap::new();
    if include.iter().any(|name| name == "dense") {
        let dense = q::DenseVector {
            data: stored.dense.clone(),
        };
        let output = q::VectorOutput {
            vector: Some(q::vector_output::Vector::Dense(dense)),
            ..q::VectorOutput::default()
        };
        vectors.insert("dense".to_owned(), output);
    }
    let named = q::NamedVectorsOutput { vectors };
    q::RetrievedPoint {
        id: stored.point.id.clone(),
        vectors: Some(q::VectorsOutput {
            vectors_options: Some(q::vectors_output::VectorsOptions::Vectors(named)),
        }),
        ..q::RetrievedPoint::default()
    }
}

fn done(wait: Option<bool>) -> Result<Response<q::PointsOperationResponse>, Status> {
    if wait != Some(true) {
        // Otherwise a write may be lost that the adapter has called durable.
        return Err(Status::invalid_argument("the adapter must wait for writes"));
    }
    Ok(Response::new(q::PointsOperationResponse::default()))
}

/// A service of which some calls are written out and the others fail.
macro_rules! service {
    (impl $service:ident for Double { $($written:tt)* }
     unimplemented { $($name:ident($request:ident) -> $response:ident;)* }) => {
        #[tonic::async_trait]
        impl $service for Double {
            $($written)*
            $(
                async fn $name(
                    &self,
                    _: Request<q::$request>,
                ) -> Result<Response<q::$response>, Status> {
                    Err(Status::unimplemented(stringify!($name)))
                }
            )*
        }
    };
}

service! {
    impl Collections for Double {
        async fn create(
            &self,
            request: Request<q::CreateCollection>,
        ) -> Result<Response<q::CollectionOperationResponse>, Status> {
            let made = request.into_inner();
            let mut collections = self.0.lock().unwrap();
            let name = made.collection_name.clone();
            if collections.contains_key(&name) {
                return Err(Status::already_exists(format!("Collection `{name}` already exists!")));
            }
            let collection = Collection { made, indexed: BTreeSet::new(), points: BTreeMap::new() };
            collections.insert(name, collection);
            Ok(Response::new(q::CollectionOperationResponse { result: true, time: 0.0 }))
        }

        async fn get(
            &self,
            request: Request<q::GetCollectionInfoRequest>,
        ) -> Result<Response<q::GetCollectionInfoResponse>, Status> {
            self.with(&request.into_inner().collection_name, |collection| {
                let config = q::CollectionConfig {
                    metadata: collection.made.metadata.clone(),
                    ..q::CollectionConfig::default()
                };
                let info = q::CollectionInfo { config: Some(config), ..q::CollectionInfo::default() };
                let answer = q::GetCollectionInfoResponse { result: Some(info), time: 0.0 };
                Ok(Response::new(answer))
            })
        }
    }
    unimplemented {
        list(ListCollectionsRequest) -> ListCollectionsResponse;
        update(UpdateCollection) -> CollectionOperationResponse;
        delete(DeleteCollection) -> CollectionOperationResponse;
        update_aliases(ChangeAliases) -> CollectionOperationResponse;
        list_collection_aliases(ListCollectionAliasesRequest) -> ListAliasesResponse;
        list_aliases(ListAliasesRequest) -> ListAliasesResponse;
        collection_cluster_info(CollectionClusterInfoRequest) -> CollectionClusterInfoResponse;
        collection_exists(CollectionExistsRequest) -> CollectionExistsResponse;
        update_collection_cluster_setup(UpdateCollectionClusterSetupRequest)
            -> UpdateCollectionClusterSetupResponse;
        create_shard_key(CreateShardKeyRequest) -> CreateShardKeyResponse;
        delete_shard_key(DeleteShardKeyRequest) -> DeleteShardKeyResponse;
        list_shard_keys(ListShardKeysRequest) -> ListShardKeysResponse;
    }
}

service! {
    impl Points for Double {
        async fn upsert(
            &self,
            request: Request<q::UpsertPoints>,
        ) -> Result<Response<q::PointsOperationResponse>, Status> {
            let request = request.into_inner();
            self.with(&request.collection_name, |collection| {
                for point in request.points {
                    let stored = collection.store(point)?;
                    let id = text(stored.point.id.as_ref());
                    collection.points.insert(id, stored);
                }
                done(request.wait)
            })
        }

        async fn delete(
            &self,
            request: Request<q::DeletePoints>,
        ) -> Result<Response<q::PointsOperationResponse>, Status> {
            let request = request.into_inner();
            let selector = request.points.and_then(|points| points.points_selector_one_of);
            let Some(PointsSelectorOneOf::Filter(filter)) = selector else {
                return Err(Status::unimplemented("only by filter"));
            };
            self.with(&request.collection_name, |collection| {
                let mut gone = Vec::new();
                for (id, stored) in &collection.points {
                    if collection.matches(Some(&filter), stored)? {
                        gone.push(id.clone());
                    }
                }
                for id in gone {
                    collection.points.remove(&id);
                }
                done(request.wait)
            })
        }

        async fn create_field_index(
            &self,
            request: Request<q::CreateFieldIndexCollection>,
        ) -> Result<Response<q::PointsOperationResponse>, Status> {
            let request = request.into_inner();
            self.with(&request.collection_name, |collection| {
                collection.indexed.insert(request.field_name);
                done(request.wait)
            })
        }

        async fn count(
            &self,
            request: Request<q::CountPoints>,
        ) -> Result<Response<q::CountResponse>, Status> {
            let request = request.into_inner();
            assert_eq!(request.exact, Some(true), "an estimate is not a count");
            self.with(&request.collection_name, |collection| {
                let mut count = 0;
                for stored in collection.points.values() {
                    count += u64::from(collection.matches(request.filter.as_ref(), stored)?);
                }
                let result = Some(q::CountResult { count });
                Ok(Response::new(q::CountResponse { result, ..q::CountResponse::default() }))
            })
        }

        async fn get(
            &self,
            request: Request<q::GetPoints>,
        ) -> Result<Response<q::GetResponse>, Status> {
            let request = request.into_inner();
            self.with(&request.collection_name, |collection| {
                let found = request.ids.iter().filter_map(|id| {
                    let stored = collection.points.get(&text(Some(id)))?;
                    Some(retrieved(stored, request.with_vectors.as_ref()))
                });
                let result = found.collect();
                Ok(Response::new(q::GetResponse { result, ..q::GetResponse::default() }))
            })
        }

        async fn query(
            &self,
            request: Request<q::QueryPoints>,
        ) -> Result<Response<q::QueryResponse>, Status> {
            let request = request.into_inner();
            let query = nearest(&request)
                .ok_or_else(|| Status::invalid_argument("Wrong input: query"))?;
            self.with(&request.collection_name, |collection| {
                let mut result = Vec::new();
                for stored in collection.points.values() {
                    if !collection.matches(request.filter.as_ref(), stored)? {
                        continue;
                    }
                    if let Some(score) = collection.score(&query, stored) {
                        result.push(ScoredPoint {
                            id: stored.point.id.clone(),
                            payload: stored.point.payload.clone(),
                            score,
                            ..ScoredPoint::default()
                        });
                    }
                }
                result.sort_by(|a, b| b.score.total_cmp(&a.score));
                result.truncate(request.limit.unwrap_or(10) as usize);
                Ok(Response::new(q::QueryResponse { result, ..q::QueryResponse::default() }))
            })
        }
    }
    unimplemented {
        update_vectors(UpdatePointVectors) -> PointsOperationResponse;
        delete_vectors(DeletePointVectors) -> PointsOperationResponse;
        set_payload(SetPayloadPoints) -> PointsOperationResponse;
        overwrite_payload(SetPayloadPoints) -> PointsOperationResponse;
        delete_payload(DeletePayloadPoints) -> PointsOperationResponse;
        clear_payload(ClearPayloadPoints) -> PointsOperationResponse;
        delete_field_index(DeleteFieldIndexCollection) -> PointsOperationResponse;
        create_vector_name(CreateVectorNameRequest) -> PointsOperationResponse;
        delete_vector_name(DeleteVectorNameRequest) -> PointsOperationResponse;
        search(SearchPoints) -> SearchResponse;
        search_batch(SearchBatchPoints) -> SearchBatchResponse;
        search_groups(SearchPointGroups) -> SearchGroupsResponse;
        scroll(ScrollPoints) -> ScrollResponse;
        recommend(RecommendPoints) -> RecommendResponse;
        recommend_batch(RecommendBatchPoints) -> RecommendBatchResponse;
        recommend_groups(RecommendPointGroups) -> RecommendGroupsResponse;
        discover(DiscoverPoints) -> DiscoverResponse;
        discover_batch(DiscoverBatchPoints) -> DiscoverBatchResponse;
        update_batch(UpdateBatchPoints) -> UpdateBatchResponse;
        query_batch(QueryBatchPoints) -> QueryBatchResponse;
        query_groups(QueryPointGroups) -> QueryGroupsResponse;
        facet(FacetCounts) -> FacetResponse;
        search_matrix_pairs(SearchMatrixPoints) -> SearchMatrixPairsResponse;
        search_matrix_offsets(SearchMatrixPoints) -> SearchMatrixOffsetsResponse;
    }
}
