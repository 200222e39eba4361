//! Where the index's generations are: folders of the home or collections of a Qdrant server, and the
//! embedding models by their name. Number 0 has the place that the only index had before there were
//! generations.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use async_trait::async_trait;

use crate::{
    adapters::{
        edge::{EdgeStore, Recorded},
        embed_local::{self, LocalEmbedder},
        qdrant::QdrantStore,
    },
    config::{EmbedConfig, Loaded, StoreConfig, StoreKind},
    domain::{Component, EmbedderIdentity},
    health::{
        Gate, Guarded,
        probes::{Check, one_vector},
    },
    ports::{Embedder, Filter, Found, Generations, Pair, PortError, VectorStore},
};

/// See the module.
pub(super) struct Places {
    home: PathBuf,
    models_dir: PathBuf,
    store: StoreConfig,
    embed: EmbedConfig,
    /// Those of the parts in use, whichever generation that is.
    store_gate: Arc<Gate>,
    embed_gate: Arc<Gate>,
    /// Held for a lookup only. Embedders not any longer than somebody uses them: each has a thread and
    /// weights.
    opened: Mutex<Opened>,
}

#[derive(Default)]
struct Opened {
    stores: BTreeMap<u32, Store>,
    /// The pair in use, as it is.
    in_use: Option<Pair>,
    embedders: BTreeMap<String, Weak<LocalEmbedder>>,
}

#[derive(Clone)]
enum Store {
    Edge(Arc<EdgeStore>),
    Qdrant(Arc<QdrantStore>),
}

impl Places {
    /// Nothing is opened yet.
    pub(super) fn new(
        loaded: &Loaded,
        store_gate: Arc<Gate>,
        embed_gate: Arc<Gate>,
    ) -> Result<Self, PortError> {
        let config = &loaded.config;
        if config.store.kind == StoreKind::Qdrant {
            // An address that is none is told at the start, not at the first question.
            QdrantStore::new(&config.store)?;
        }
        Ok(Self {
            home: loaded.paths.home.clone(),
            models_dir: loaded.paths.models_dir.clone(),
            store: config.store.clone(),
            embed: config.embed.clone(),
            store_gate,
            embed_gate,
            opened: Mutex::default(),
        })
    }

    fn folder(&self, number: u32) -> PathBuf {
        self.home.join(match number {
            0 => "index".to_owned(),
            number => format!("index-{number}"),
        })
    }

    fn place(&self, number: u32) -> Store {
        let mut opened = self.opened();
        let made = opened.stores.entry(number).or_insert_with(|| {
            if self.store.kind == StoreKind::Edge {
                return Store::Edge(Arc::new(EdgeStore::new(self.folder(number))));
            }
            let mut config = self.store.clone();
            if number > 0 {
                config.collection = format!("{}_g{number}", config.collection);
            }
            let store = QdrantStore::new(&config).expect("the same address was taken by `new`");
            Store::Qdrant(Arc::new(store))
        });
        made.clone()
    }

    /// A probe's work for whichever store is in use: opening it where that has not been done, and counting
    /// its points.
    pub(super) fn check_of_store(places: &Arc<Self>) -> Check {
        let places = Arc::clone(places);
        Box::new(move || {
            let in_use = places.opened().in_use.clone();
            Box::pin(async move {
                if let Some(pair) = in_use {
                    pair.open().await?;
                    pair.store.count(Filter::default()).await?;
                }
                Ok(())
            })
        })
    }

    /// A glance at the embedder in use: whether its files are there.
    pub(super) fn glance_at_embedder(places: &Arc<Self>) -> Check {
        let places = Arc::clone(places);
        Box::new(move || {
            let missing = {
                let opened = places.opened();
                let model = opened
                    .in_use
                    .as_ref()
                    .map(|pair| pair.embedder.identity().model);
                model
                    .and_then(|model| opened.embedders.get(&model)?.upgrade())
                    .and_then(|embedder| embedder.check().err())
            };
            Box::pin(async move {
                missing.map_or(Ok(()), |missing| {
                    Err(PortError::Refused {
                        component: Component::Embedder,
                        reason: missing.to_string(),
                    })
                })
            })
        })
    }

    /// A probe's work for the embedder in use: one vector.
    pub(super) fn check_of_embedder(places: &Arc<Self>) -> Check {
        let places = Arc::clone(places);
        Box::new(move || {
            let in_use = places.opened().in_use.clone();
            Box::pin(async move {
                match in_use {
                    Some(pair) => one_vector(pair.embedder)().await,
                    None => Ok(()),
                }
            })
        })
    }

    fn opened(&self) -> MutexGuard<'_, Opened> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Generations for Places {
    fn embedder(&self, model: &str) -> Result<Arc<dyn Embedder>, PortError> {
        let mut opened = self.opened();
        if let Some(embedder) = opened.embedders.get(model).and_then(Weak::upgrade) {
            return Ok(embedder);
        }
        let options = embed_local::Options {
            threads: self.embed.threads,
            batch: self.embed.batch,
        };
        let embedder = embed_local::load(&self.models_dir, model, options).map_err(|error| {
            PortError::Refused {
                component: Component::Embedder,
                reason: error.to_string(),
            }
        })?;
        if let Err(missing) = embedder.check() {
            // It is looked for again at each use, so a pull while the daemon runs is enough.
            tracing::warn!(%missing, "starting without the embedder");
        }
        let embedder = Arc::new(embedder);
        opened
            .embedders
            .insert(model.to_owned(), Arc::downgrade(&embedder));
        Ok(embedder)
    }

    fn store(&self, number: u32) -> Arc<dyn VectorStore> {
        match self.place(number) {
            Store::Edge(store) => store,
            Store::Qdrant(store) => store,
        }
    }

    fn guarded(&self, pair: Pair) -> Pair {
        self.opened().in_use = Some(pair.clone());
        Pair {
            embedder: Arc::new(Guarded::new(pair.embedder, Arc::clone(&self.embed_gate))),
            store: Arc::new(Guarded::new(pair.store, Arc::clone(&self.store_gate))),
        }
    }

    async fn found(&self, number: u32) -> Result<Found, PortError> {
        let made = |made: EmbedderIdentity| Found::Made {
            model: made.model,
            dimension: made.dimension,
        };
        match self.place(number) {
            Store::Edge(store) => Ok(match store.recorded().await? {
                Recorded::Nothing => Found::Nothing,
                Recorded::Made(identity) => made(identity),
                Recorded::Damaged(reason) => Found::Damaged(reason),
            }),
            Store::Qdrant(store) => Ok(store.recorded().await?.map_or(Found::Nothing, made)),
        }
    }

    async fn remove(&self, number: u32) -> Result<(), PortError> {
        let place = self.place(number);
        self.opened().stores.remove(&number);
        match place {
            Store::Edge(store) => {
                store.close().await;
                let folder = self.folder(number);
                let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(folder));
                match removed.await {
                    Ok(Err(error)) if error.kind() != io::ErrorKind::NotFound => {
                        Err(PortError::unavailable(Component::VectorStore, error))
                    }
                    Err(error) => Err(PortError::unavailable(Component::VectorStore, error)),
                    Ok(_) => Ok(()),
                }
            }
            Store::Qdrant(store) => store.remove().await,
        }
    }
}
