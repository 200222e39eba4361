//! The implementations that the suites run against.

use std::{
    any::Any,
    env,
    path::PathBuf,
    process,
    sync::atomic::{AtomicUsize, Ordering},
};

use griot::{
    adapters::{edge::EdgeStore, qdrant::QdrantStore},
    config::{StoreConfig, StoreKind},
    ports::{VectorStore, fakes::MemoryStore},
};

use crate::qdrant_double;

/// An empty store, not opened yet, and what must outlive it.
pub struct Subject {
    pub store: Box<dyn VectorStore>,
    _keep: Box<dyn Any + Send>,
}

impl Subject {
    fn new(store: impl VectorStore + 'static, keep: impl Any + Send) -> Option<Self> {
        Some(Self {
            store: Box::new(store),
            _keep: Box::new(keep),
        })
    }
}

pub async fn fake() -> Option<Subject> {
    Subject::new(MemoryStore::new(), ())
}

pub async fn edge() -> Option<Subject> {
    let folder = tempfile::tempdir().unwrap();
    Subject::new(EdgeStore::new(folder.path().join("index")), folder)
}

/// The Qdrant adapter before the double.
pub async fn qdrant_double() -> Option<Subject> {
    let config = qdrant_double::serve().await;
    Subject::new(QdrantStore::new(&config).unwrap(), ())
}

/// The Qdrant adapter before a real server; each test in a collection of its own, which stays there.
pub async fn qdrant() -> Option<Subject> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let Ok(url) = env::var("GRIOT_TEST_QDRANT_URL") else {
        println!("skipped: GRIOT_TEST_QDRANT_URL does not name a Qdrant server");
        return None;
    };
    let n = COUNT.fetch_add(1, Ordering::SeqCst);
    let config = StoreConfig {
        kind: StoreKind::Qdrant,
        url,
        api_key: env::var("GRIOT_TEST_QDRANT_KEY").ok(),
        collection: format!("griot-test-{}-{n}", process::id()),
        ..StoreConfig::default()
    };
    Subject::new(QdrantStore::new(&config).unwrap(), ())
}

/// The folder with the weights of `model`, where there is one.
pub fn weights(model: &str) -> Option<PathBuf> {
    let data = env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".local/share")))
        .map(|data| data.join("griot/models"));
    let folder = env::var_os("GRIOT_TEST_MODELS")
        .map(PathBuf::from)
        .or(data)?;
    if folder.join(model).join("model.onnx").is_file() {
        return Some(folder);
    }
    println!("skipped: no weights of {model} in {}", folder.display());
    None
}
