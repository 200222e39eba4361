//! What the port hears when the server is away, silent, strange or says no.

use std::time::Duration;

use griot::{
    adapters::qdrant::QdrantStore,
    config::StoreConfig,
    domain::Component,
    ports::{Filter, PortError, VectorStore},
};
use tokio::net::TcpListener;

use crate::{qdrant_double, sample::identity};

fn at(url: String) -> StoreConfig {
    StoreConfig {
        url,
        ..StoreConfig::default()
    }
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let store = QdrantStore::new(&at(format!("http://{address}"))).unwrap();
    let error = store.open(&identity()).await.unwrap_err();
    assert!(matches!(
        error,
        PortError::Unavailable {
            component: Component::VectorStore,
            ..
        }
    ));
    assert!(error.to_string().contains("refused"), "{error}");
}

/// The server takes the connection and never answers. Time is paused, so the limit passes at once.
#[tokio::test(start_paused = true)]
async fn nobody_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limit = Duration::from_secs(7);
    let store = QdrantStore::with_limit(&at(format!("http://{address}")), limit).unwrap();
    let error = store.open(&identity()).await.unwrap_err();
    match error {
        PortError::TimedOut { limit: said, .. } => assert_eq!(said, limit),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn the_key_is_wrong() {
    let config = StoreConfig {
        api_key: Some("not the key".to_owned()),
        ..qdrant_double::serve().await
    };
    let store = QdrantStore::new(&config).unwrap();
    match store.open(&identity()).await.unwrap_err() {
        PortError::Refused { reason, .. } => {
            assert!(reason.contains("store.api_key"), "{reason}");
            assert!(!reason.contains("not the key"), "{reason}");
        }
        other => panic!("{other}"),
    }
    assert!(!format!("{store:?}").contains("not the key"));
}

#[tokio::test]
async fn the_collection_is_somebody_elses() {
    use qdrant_client::{
        Qdrant,
        qdrant::{CreateCollectionBuilder, Distance, VectorParamsBuilder},
    };
    let config = qdrant_double::serve().await;
    let mut builder = Qdrant::from_url(&config.url).skip_compatibility_check();
    builder.set_api_key(config.api_key.as_ref().unwrap());
    let request = CreateCollectionBuilder::new(&config.collection)
        .vectors_config(VectorParamsBuilder::new(4, Distance::Cosine));
    builder
        .build()
        .unwrap()
        .create_collection(request)
        .await
        .unwrap();

    let store = QdrantStore::new(&config).unwrap();
    match store.open(&identity()).await.unwrap_err() {
        PortError::Refused { reason, .. } => {
            assert!(reason.contains("store.collection"), "{reason}");
        }
        other => panic!("{other}"),
    }
    let error = store.count(Filter::default()).await.unwrap_err();
    assert!(
        matches!(error, PortError::Unavailable { .. }),
        "it stays closed: {error}"
    );
}

#[tokio::test]
async fn the_address_is_none() {
    let error = QdrantStore::new(&at("not an address".to_owned())).unwrap_err();
    assert!(matches!(&error, PortError::Refused { reason, .. } if reason.contains("store.url")));
}
