//! Which index answers, looked up when the daemon starts. Whatever is wrong with it is no reason not to
//! start: documents are found by words as long as the catalog opens.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::beside;
use crate::{
    catalog::{Catalog, CatalogError},
    domain::{Component, EmbedderIdentity, Embedding, Generation, GenerationRole},
    ports::{EmbedKind, Embedder, Filter, Found, Generations, Index, Pair, PortError},
};

/// How long a store may take to be looked at before the daemon starts without it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The index, opened.
pub struct Opened {
    pub index: Arc<Index>,
    /// Why it can be neither searched nor written to, if it cannot.
    pub(super) closed: Option<String>,
}

/// Why the daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The model that the settings name cannot be one.
    #[error("`embed.model`: {0}")]
    Model(PortError),
}

/// Opens the index that the catalog says is in use, with the model it was made with. Where the catalog
/// says nothing yet, whatever is found is taken, and a library without an index gets an empty one, to be
/// filled.
pub async fn open(
    catalog: &Arc<Catalog>,
    generations: &dyn Generations,
    configured: &str,
) -> Result<Opened, OpenError> {
    let wanted = generations.embedder(configured).map_err(OpenError::Model)?;
    let rows = catalog.call(Catalog::generations).await?;
    let opened = find(catalog, generations, configured, wanted, &rows).await?;
    // Before anybody deletes anything.
    opened.index.set_beside(beside(generations, &rows));
    Ok(opened)
}

async fn find(
    catalog: &Arc<Catalog>,
    generations: &dyn Generations,
    configured: &str,
    wanted: Arc<dyn Embedder>,
    rows: &[Generation],
) -> Result<Opened, OpenError> {
    let active = rows
        .iter()
        .find(|row| row.role == GenerationRole::Active)
        .cloned();
    let chunks = catalog.call(Catalog::totals).await?.chunks;
    let active = match active {
        Some(active) => active,
        None => match adopt(catalog, generations, &wanted.identity(), chunks).await? {
            Ok(active) => active,
            // What it was made with is not known, so it is left alone until the next start.
            Err(away) => {
                let pair = Pair {
                    embedder: wanted,
                    store: generations.store(0),
                };
                return Ok(closed(generations, pair, away.to_string()));
            }
        },
    };
    let embedder = if active.model == configured {
        wanted
    } else {
        match generations.embedder(&active.model) {
            Ok(embedder) => embedder,
            Err(error) => {
                let missing: Arc<dyn Embedder> = Arc::new(Missing(active.identity()));
                let pair = Pair {
                    embedder: missing,
                    store: generations.store(active.number),
                };
                let reason = format!(
                    "the index was made with {}, which cannot be used here ({error}); run `griot reindex`",
                    active.model
                );
                return Ok(closed(generations, pair, reason));
            }
        }
    };
    if active.model != configured {
        tracing::warn!(
            configured,
            answering = active.model,
            "the index was made with another embedding model than the settings name and goes on with it; \
             run `griot reindex` to go over"
        );
    }
    let number = active.number;
    let active = match looked_at(catalog, generations, active, chunks).await? {
        Ok(active) => active,
        Err(reason) => {
            let pair = Pair {
                embedder,
                store: generations.store(number),
            };
            return Ok(closed(generations, pair, reason));
        }
    };
    if embedder.identity().dimension != active.dimension {
        let number = active.number;
        catalog.call(move |c| c.doubt_generation(number)).await?;
        let reason = format!(
            "the index was made with {}, whose vectors had {} values and have {} now; run `griot reindex \
             --force`",
            active.model,
            active.dimension,
            embedder.identity().dimension
        );
        let store = generations.store(active.number);
        return Ok(closed(generations, Pair { embedder, store }, reason));
    }
    let raw = Pair {
        embedder,
        store: generations.store(active.number),
    };
    let complete = active.complete && !lacks_points(catalog, &raw, &active, chunks).await?;
    let index = Index::new(generations.guarded(raw));
    if !complete {
        index.set_unready("the index is being filled from the catalog");
    }
    Ok(Opened {
        index,
        closed: None,
    })
}

fn closed(generations: &dyn Generations, pair: Pair, reason: String) -> Opened {
    tracing::error!(
        reason,
        "starting without the index; questions are answered by words"
    );
    let index = Index::new(generations.guarded(pair));
    index.set_closed(reason.clone());
    Opened {
        index,
        closed: Some(reason),
    }
}

/// Looks at a store for as long as one may wait for that.
async fn found(generations: &dyn Generations, number: u32) -> Result<Found, PortError> {
    tokio::time::timeout(PATIENCE, generations.found(number))
        .await
        .unwrap_or(Err(PortError::TimedOut {
            component: Component::VectorStore,
            limit: PATIENCE,
        }))
}

/// Notes the first generation: of a library of before there were generations, of a restored one, or of
/// a new one. `Err` inside: it cannot be told now.
async fn adopt(
    catalog: &Arc<Catalog>,
    generations: &dyn Generations,
    wanted: &EmbedderIdentity,
    chunks: u64,
) -> Result<Result<Generation, PortError>, CatalogError> {
    let (number, made_for, complete) = match found(generations, 0).await {
        Ok(Found::Nothing) => (0, wanted.clone(), chunks == 0),
        Ok(Found::Made { model, dimension }) => {
            let made_for = EmbedderIdentity {
                model,
                dimension,
                max_tokens: 0,
            };
            (0, made_for, true)
        }
        Ok(Found::Damaged(reason)) => {
            tracing::error!(reason, "the index is damaged");
            let model = wanted.model.clone();
            let dimension = wanted.dimension;
            catalog
                .call(move |c| {
                    c.begin_generation(Some(0), &model, dimension, GenerationRole::Dropped, false)
                })
                .await?;
            (1, wanted.clone(), false)
        }
        Err(away) => return Ok(Err(away)),
    };
    let active = catalog
        .call(move |c| {
            c.begin_generation(
                Some(number),
                &made_for.model,
                made_for.dimension,
                GenerationRole::Active,
                complete,
            )
        })
        .await?;
    Ok(Ok(active))
}

/// Whether the index in use is where it should be; where not, what is in its place. `Err` inside: an
/// index of something else is there.
async fn looked_at(
    catalog: &Arc<Catalog>,
    generations: &dyn Generations,
    active: Generation,
    chunks: u64,
) -> Result<Result<Generation, String>, CatalogError> {
    let number = active.number;
    match found(generations, number).await {
        Ok(Found::Made { model, dimension })
            if (&model, dimension) == (&active.model, active.dimension) =>
        {
            Ok(Ok(active))
        }
        Ok(Found::Made { model, dimension }) => {
            // Nothing to go back to.
            catalog.call(move |c| c.doubt_generation(number)).await?;
            Ok(Err(format!(
                "where the index should be is one made with {model} ({dimension} values), but it was \
                 made with {} ({} values); put it back and restart griot, or run `griot reindex --force`",
                active.model, active.dimension
            )))
        }
        Ok(Found::Nothing) if chunks > 0 && active.complete => {
            tracing::error!("the index is gone");
            catalog.call(move |c| c.doubt_generation(number)).await?;
            Ok(Ok(Generation {
                complete: false,
                ..active
            }))
        }
        Ok(Found::Nothing) => Ok(Ok(active)),
        Ok(Found::Damaged(reason)) => {
            tracing::error!(reason, "the index is damaged");
            let renewed = catalog
                .call(move |c| c.renew_generation(number, &active.model, active.dimension))
                .await?;
            Ok(Ok(renewed))
        }
        // One that is away comes back.
        Err(error) => {
            tracing::warn!(%error, "starting without the vector store");
            Ok(Ok(active))
        }
    }
}

/// Whether an index that should be whole holds fewer points than there are chunks. Every visible
/// document's points were durable before it was visible, so fewer means that some were lost.
async fn lacks_points(
    catalog: &Arc<Catalog>,
    pair: &Pair,
    active: &Generation,
    chunks: u64,
) -> Result<bool, CatalogError> {
    let counted = async {
        pair.open().await?;
        pair.store.count(Filter::default()).await
    };
    match tokio::time::timeout(PATIENCE, counted).await {
        Ok(Ok(points)) if points < chunks => {
            tracing::error!(points, chunks, "the index has lost points");
            let number = active.number;
            catalog.call(move |c| c.doubt_generation(number)).await?;
            Ok(true)
        }
        Ok(Ok(_)) => Ok(false),
        Ok(Err(error)) => {
            tracing::warn!(%error, "starting without the vector store");
            Ok(false)
        }
        Err(_) => {
            tracing::warn!("the vector store does not answer; starting without it");
            Ok(false)
        }
    }
}

/// Stands for a model that there cannot be.
struct Missing(EmbedderIdentity);

#[async_trait]
impl Embedder for Missing {
    fn identity(&self) -> EmbedderIdentity {
        self.0.clone()
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.len()
    }

    async fn embed(&self, _: Vec<String>, _: EmbedKind) -> Result<Vec<Embedding>, PortError> {
        Err(PortError::unavailable(
            Component::Embedder,
            format!("there is no model {}", self.0.model),
        ))
    }
}
