//! Generations in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;

use super::{HashEmbedder, MemoryStore};
use crate::{
    domain::{Component, EmbedderIdentity},
    ports::{Embedder, Found, Generations, PortError, VectorStore},
};

/// A [`Generations`] of [`MemoryStore`]s and the [`HashEmbedder`]s that it was given. It outlives a run
/// of the daemon as a disk does: [`Self::crash`] takes every store back to its last flush.
#[derive(Debug, Default)]
pub struct MemoryGenerations {
    /// Held for a lookup only.
    stores: Mutex<BTreeMap<u32, Arc<MemoryStore>>>,
    embedders: Mutex<Vec<Arc<HashEmbedder>>>,
}

impl MemoryGenerations {
    /// With embedders of these names and dimensions.
    #[must_use]
    pub fn new(models: &[(&str, usize)]) -> Arc<Self> {
        let embedder = |(model, dimension): &(&str, usize)| {
            Arc::new(HashEmbedder::with_identity(EmbedderIdentity {
                model: (*model).to_owned(),
                dimension: *dimension,
                max_tokens: 256,
            }))
        };
        Arc::new(Self {
            stores: Mutex::default(),
            embedders: Mutex::new(models.iter().map(embedder).collect()),
        })
    }

    /// Adds an embedder.
    pub fn add(&self, embedder: Arc<HashEmbedder>) {
        let mut embedders = self
            .embedders
            .lock()
            .expect("no holder of this lock panics");
        embedders.push(embedder);
    }

    /// The embedder of that name.
    #[must_use]
    pub fn hash_embedder(&self, model: &str) -> Option<Arc<HashEmbedder>> {
        let embedders = self
            .embedders
            .lock()
            .expect("no holder of this lock panics");
        embedders
            .iter()
            .find(|embedder| embedder.identity().model == model)
            .cloned()
    }

    /// The store of a generation, made where there is none.
    #[must_use]
    pub fn memory(&self, number: u32) -> Arc<MemoryStore> {
        Arc::clone(self.stores().entry(number).or_default())
    }

    /// The generations that something was stored for or that were opened.
    #[must_use]
    pub fn numbers(&self) -> Vec<u32> {
        let stores = self.stores();
        let opened = stores
            .iter()
            .filter(|(_, store)| store.made_for().is_some());
        opened.map(|(number, _)| *number).collect()
    }

    /// Forgets whatever no flush has confirmed.
    pub fn crash(&self) {
        self.stores().values().for_each(|store| store.crash());
    }

    fn stores(&self) -> MutexGuard<'_, BTreeMap<u32, Arc<MemoryStore>>> {
        self.stores.lock().expect("no holder of this lock panics")
    }
}

#[async_trait]
impl Generations for MemoryGenerations {
    fn embedder(&self, model: &str) -> Result<Arc<dyn Embedder>, PortError> {
        match self.hash_embedder(model) {
            Some(embedder) => Ok(embedder),
            None => Err(PortError::Refused {
                component: Component::Embedder,
                reason: format!("there is no embedding model {model:?}"),
            }),
        }
    }

    fn store(&self, number: u32) -> Arc<dyn VectorStore> {
        self.memory(number)
    }

    async fn found(&self, number: u32) -> Result<Found, PortError> {
        Ok(match self.memory(number).made_for() {
            Some(EmbedderIdentity {
                model, dimension, ..
            }) => Found::Made { model, dimension },
            None => Found::Nothing,
        })
    }

    async fn remove(&self, number: u32) -> Result<(), PortError> {
        self.stores().remove(&number);
        Ok(())
    }
}
