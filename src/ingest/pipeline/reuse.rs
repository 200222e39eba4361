//! Vectors that are there already: of the chunks of a document that did not change, of a copy, of the
//! page that every letter ends with. They are read back from the store, which is where they are kept.

use std::sync::Arc;

use crate::{
    catalog::Publication,
    domain::{ChunkKey, Embedding},
    ingest::shared::Shared,
};

/// For each chunk the vector that its text was given before. A part that does not answer only means
/// more work: the texts are embedded again.
pub(super) async fn known_vectors(
    shared: &Arc<Shared>,
    publication: &Arc<Publication>,
) -> Vec<Option<Embedding>> {
    let none = vec![None; publication.chunks.len()];
    let asked = Arc::clone(publication);
    let keys = match shared
        .catalog
        .call(move |c| c.embedded(&asked.embedded))
        .await
    {
        Ok(keys) => keys,
        Err(error) => {
            tracing::debug!(%error, "the catalog does not say which texts have a vector");
            return none;
        }
    };
    let places: Vec<(usize, ChunkKey)> = keys
        .into_iter()
        .enumerate()
        .filter_map(|(place, key)| Some((place, key?)))
        .collect();
    if places.is_empty() {
        return none;
    }
    let keys: Vec<ChunkKey> = places.iter().map(|(_, key)| *key).collect();
    // It opens for one model only, so what it gives was made by the one that is in use.
    let found = match shared.open_store().await {
        Ok(()) => shared.store.vectors(&keys).await,
        Err(error) => Err(error),
    };
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            tracing::debug!(%error, "the store does not give vectors back");
            return none;
        }
    };
    let mut known = none;
    for ((place, _), vector) in places.into_iter().zip(found) {
        known[place] = vector;
    }
    known
}
