//! The vector index's generations: which one answers, and how another takes its place.
//!
//! Another embedding model makes other vectors, so all documents are embedded again, beside the index
//! that answers meanwhile. What is uploaded or processed again in the meantime goes into the index in
//! use and is caught up with; what is deleted goes from both. When the new one lacks nothing, one row of
//! the catalog changes while no document can be stored, and questions from then on are embedded by its
//! model and looked for in it. The one before is kept: going back is the same thing the other way round.
//!
//! ```text
//!            begin              lacks nothing             drop, or the next begin
//! (nothing) ──────► building ─────────────────► active ◄──────► kept ─────► dropped ──► (nothing)
//!                                                  roll back: catch up, then switch
//! ```
//!
//! An index that was lost or is damaged, or a library restored without one, is filled from the catalog in
//! its place; until it is whole, questions are answered by words.
//!
//! Not known here: where generations are ([`Generations`]), and what asks for one.

mod fill;
mod open;
mod report;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

pub use open::{OpenError, Opened, open};
pub use report::{Activity, ReindexError, Report, Standing};

use super::{IngestError, Library, shared::Shared};
use crate::{
    catalog::{Catalog, Coverage},
    domain::{Component, Generation, GenerationRole},
    ports::{Beside, EmbedKind, Embedder, Generations, Index, Pair, PortError},
};
use fill::Fill;

/// The service. One per daemon.
pub struct Reindex {
    shared: Arc<Shared>,
    index: Arc<Index>,
    generations: Arc<dyn Generations>,
    configured: String,
    /// One beginning, dropping or ending at a time.
    turn: tokio::sync::Mutex<()>,
    /// Never held across an `.await`.
    work: Mutex<Work>,
}

/// What is in work.
#[derive(Debug)]
struct Work {
    activity: Activity,
    trouble: Option<String>,
    began: Instant,
    /// Chunks embedded since.
    embedded: u64,
}

impl Reindex {
    /// Takes the index on as it was [opened](open), removes what is to be removed, and goes on with what
    /// an earlier run had begun.
    pub async fn start(
        library: &Library,
        generations: Arc<dyn Generations>,
        configured: &str,
        opened: Opened,
    ) -> Result<Arc<Self>, IngestError> {
        let Opened { index, closed } = opened;
        let shared = Arc::clone(&library.shared);
        let reindex = Arc::new(Self {
            index,
            generations,
            configured: configured.to_owned(),
            turn: tokio::sync::Mutex::new(()),
            work: Mutex::new(Work {
                activity: if closed.is_some() {
                    Activity::Closed
                } else {
                    Activity::Idle
                },
                trouble: closed,
                began: Instant::now(),
                embedded: 0,
            }),
            shared,
        });
        let turn = reindex.turn.lock().await;
        let rows = reindex.rows().await?;
        if let Some(building) = rows.of(GenerationRole::Building) {
            if building.model == reindex.configured {
                match reindex.embedder(&building.model) {
                    Ok(embedder) => reindex.go_on(Activity::Building, building.number, embedder),
                    Err(error) => {
                        tracing::warn!(%error, "an index that was begun cannot be gone on with");
                        reindex.drop_generation(building.number).await?;
                    }
                }
            } else {
                tracing::info!(
                    model = building.model,
                    "an index that was begun is not wanted any more"
                );
                reindex.drop_generation(building.number).await?;
            }
        }
        if let Some(active) = rows.of(GenerationRole::Active)
            && !active.complete
            && reindex.work().activity == Activity::Idle
        {
            let embedder = reindex.index.pair().embedder;
            reindex.go_on(Activity::Filling, active.number, embedder);
        }
        reindex.remove_dropped().await?;
        reindex.set_beside(&reindex.rows().await?);
        drop(turn);
        Ok(reindex)
    }

    /// Begins to build an index with the model that the settings name. An index that was kept goes.
    ///
    /// # Errors
    /// [`ReindexError::NothingToDo`] where the index in use is of that model, unless `anew`;
    /// [`ReindexError::Model`] where it gives no vector.
    pub async fn begin(self: &Arc<Self>, anew: bool) -> Result<Report, ReindexError> {
        {
            let _turn = self.turn.lock().await;
            self.refuse_when_busy()?;
            let rows = self.rows().await?;
            let model = self.configured.clone();
            let same = rows
                .of(GenerationRole::Active)
                .is_some_and(|active| active.model == model && active.complete);
            if same && !anew {
                return Err(ReindexError::NothingToDo { model });
            }
            let embedder = self.working_embedder(&model).await?;
            if let Some(kept) = rows.of(GenerationRole::Kept) {
                self.drop_generation(kept.number).await?;
                self.set_beside(&self.rows().await?);
                self.remove_dropped().await?;
            }
            let dimension = embedder.identity().dimension;
            let made_for = model.clone();
            let building = self
                .shared
                .catalog
                .call(move |c| {
                    c.begin_generation(None, &made_for, dimension, GenerationRole::Building, false)
                })
                .await?;
            tracing::info!(
                model,
                generation = building.number,
                "another index is being built"
            );
            self.set_beside(&self.rows().await?);
            self.go_on(Activity::Building, building.number, embedder);
        }
        self.report().await
    }

    /// Begins to go back to the index that is kept, which first takes in what came since.
    ///
    /// # Errors
    /// [`ReindexError::NothingKept`], [`ReindexError::Model`].
    pub async fn roll_back(self: &Arc<Self>) -> Result<Report, ReindexError> {
        {
            let _turn = self.turn.lock().await;
            self.refuse_when_busy()?;
            let rows = self.rows().await?;
            let kept = rows
                .of(GenerationRole::Kept)
                .ok_or(ReindexError::NothingKept)?;
            let embedder = self.working_embedder(&kept.model).await?;
            tracing::info!(
                model = kept.model,
                generation = kept.number,
                "going back to the index of before"
            );
            self.go_on(Activity::RollingBack, kept.number, embedder);
        }
        self.report().await
    }

    /// Removes the index that is kept.
    ///
    /// # Errors
    /// [`ReindexError::NothingKept`].
    pub async fn drop_kept(&self) -> Result<Report, ReindexError> {
        {
            let _turn = self.turn.lock().await;
            if self.work().activity == Activity::RollingBack {
                return Err(ReindexError::Busy("brought back"));
            }
            let rows = self.rows().await?;
            let kept = rows
                .of(GenerationRole::Kept)
                .ok_or(ReindexError::NothingKept)?;
            self.drop_generation(kept.number).await?;
            self.set_beside(&self.rows().await?);
            self.remove_dropped().await?;
        }
        self.report().await
    }

    /// Puts an empty index in the place of the one in use and fills it from the catalog: for one that is
    /// damaged. `reason` is told to whoever asks meanwhile.
    pub async fn rebuild(self: &Arc<Self>, reason: &str) -> Result<Report, ReindexError> {
        {
            let _turn = self.turn.lock().await;
            self.refuse_when_busy()?;
            tracing::warn!(reason, "the index is made anew from the catalog");
            let pair = self.index.pair();
            let made_for = pair.embedder.identity();
            let _points = self.shared.points.lock().await;
            let rows = self.rows().await?;
            let active = rows.of(GenerationRole::Active).map(|g| g.number);
            let fresh = self
                .shared
                .catalog
                .call(move |c| match active {
                    Some(number) => c.renew_generation(number, &made_for.model, made_for.dimension),
                    None => c.begin_generation(
                        None,
                        &made_for.model,
                        made_for.dimension,
                        GenerationRole::Active,
                        false,
                    ),
                })
                .await?;
            let raw = Pair {
                embedder: self.embedder(&fresh.model)?,
                store: self.generations.store(fresh.number),
            };
            let embedder = Arc::clone(&raw.embedder);
            let unready = format!("the index is being filled again: {reason}");
            self.index
                .switch(self.generations.guarded(raw), Some(unready));
            self.go_on(Activity::Filling, fresh.number, embedder);
            self.remove_dropped().await?;
        }
        self.report().await
    }

    /// How it is, without asking anybody.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let model = self.index.pair().embedder.identity().model;
        let configured = self.configured.clone();
        let (activity, trouble) = {
            let work = self.work();
            (work.activity, work.trouble.clone())
        };
        let notice = match activity {
            Activity::Closed => trouble,
            Activity::Filling => Some(
                "the index is being filled from the catalog; until it is whole, questions are answered \
                 by words"
                    .to_owned(),
            ),
            Activity::Idle if model != configured => Some(format!(
                "`embed.model` is {configured}, but the index was made with {model}, which goes on \
                 answering; run `griot reindex` to go over, or set `embed.model` back"
            )),
            Activity::Idle | Activity::Building | Activity::RollingBack => None,
        };
        Standing {
            activity,
            model,
            configured,
            notice,
        }
    }

    /// How it is, and how far.
    pub async fn report(&self) -> Result<Report, ReindexError> {
        let rows = self.rows().await?;
        let [active, building, kept] = [
            GenerationRole::Active,
            GenerationRole::Building,
            GenerationRole::Kept,
        ]
        .map(|role| rows.of(role).cloned());
        let (activity, trouble, rate) = {
            let work = self.work();
            let seconds = work.began.elapsed().as_secs_f32();
            let rate = (work.embedded > 0 && seconds > 0.0).then(|| work.embedded as f32 / seconds);
            (work.activity, work.trouble.clone(), rate)
        };
        let target = match activity {
            Activity::Idle | Activity::Closed => None,
            Activity::Building => building.as_ref(),
            Activity::RollingBack => kept.as_ref(),
            Activity::Filling => active.as_ref(),
        };
        let coverage = match target.map(|target| target.number) {
            Some(number) => {
                self.shared
                    .catalog
                    .call(move |c| c.coverage(number))
                    .await?
            }
            None => Coverage::default(),
        };
        let left = coverage.chunks.saturating_sub(coverage.chunks_held);
        Ok(Report {
            chunks_per_s: rate.filter(|_| target.is_some()),
            time_left_s: rate
                .filter(|_| target.is_some())
                .map(|rate| (left as f32 / rate).ceil() as u64),
            activity,
            configured: self.configured.clone(),
            active,
            building,
            kept,
            coverage,
            trouble,
        })
    }

    /// Works off an errand in a task of its own.
    fn go_on(self: &Arc<Self>, activity: Activity, number: u32, embedder: Arc<dyn Embedder>) {
        *self.work() = Work {
            activity,
            trouble: None,
            began: Instant::now(),
            embedded: 0,
        };
        let pair = Pair {
            embedder,
            store: self.generations.store(number),
        };
        let reindex = Arc::clone(self);
        self.shared.tracker.spawn(async move {
            let fill = Fill::new(&reindex, pair, number);
            if fill.run(activity).await {
                reindex.end(activity).await;
            }
            // Else the daemon stops, and the next one goes on.
        });
    }

    /// Something came to its end.
    async fn end(&self, activity: Activity) {
        let _turn = self.turn.lock().await;
        match self.rows().await {
            Ok(rows) => self.set_beside(&rows),
            Err(error) => tracing::warn!(%error, "the index's generations cannot be read"),
        }
        if let Err(error) = self.remove_dropped().await {
            tracing::warn!(%error, "an index that is not used any more stays until the next start");
        }
        self.work().activity = Activity::Idle;
        let model = self.index.pair().embedder.identity().model;
        match activity {
            Activity::Filling => tracing::info!(model, "the index is whole again"),
            _ => tracing::info!(model, "questions are answered from another index now"),
        }
    }

    fn refuse_when_busy(&self) -> Result<(), ReindexError> {
        match self.work().activity {
            Activity::Idle | Activity::Closed => Ok(()),
            Activity::Building => Err(ReindexError::Busy("built")),
            Activity::RollingBack => Err(ReindexError::Busy("brought back")),
            Activity::Filling => Err(ReindexError::Busy("filled")),
        }
    }

    fn embedder(&self, model: &str) -> Result<Arc<dyn Embedder>, PortError> {
        self.generations.embedder(model)
    }

    /// The embedder of that name, which has given a vector.
    async fn working_embedder(&self, model: &str) -> Result<Arc<dyn Embedder>, ReindexError> {
        let failed = |source| ReindexError::Model {
            model: model.to_owned(),
            source,
        };
        let embedder = self.embedder(model).map_err(failed)?;
        let vectors = embedder
            .embed(vec!["griot".to_owned()], EmbedKind::Passage)
            .await
            .map_err(failed)?;
        if vectors.len() == 1 && vectors[0].0.len() == embedder.identity().dimension {
            Ok(embedder)
        } else {
            Err(failed(PortError::Refused {
                component: Component::Embedder,
                reason: "it gave no vector".to_owned(),
            }))
        }
    }

    async fn rows(&self) -> Result<Rows, IngestError> {
        Ok(Rows(self.shared.catalog.call(Catalog::generations).await?))
    }

    /// Has deletes reach the generations that are built or kept.
    fn set_beside(&self, rows: &Rows) {
        self.index.set_beside(beside(&*self.generations, &rows.0));
    }

    async fn drop_generation(&self, number: u32) -> Result<(), IngestError> {
        self.shared
            .catalog
            .call(move |c| c.drop_generation(number))
            .await?;
        Ok(())
    }

    /// Removes what is to be removed. What cannot be is tried again at the next start.
    async fn remove_dropped(&self) -> Result<(), IngestError> {
        for row in self.rows().await?.0 {
            if row.role != GenerationRole::Dropped {
                continue;
            }
            let number = row.number;
            match self.generations.remove(number).await {
                Ok(()) => {
                    self.shared
                        .catalog
                        .call(move |c| c.forget_generation(number))
                        .await?;
                }
                Err(error) => {
                    tracing::warn!(generation = number, %error, "an index could not be removed");
                }
            }
        }
        Ok(())
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The generations that are built or kept.
fn beside(generations: &dyn Generations, rows: &[Generation]) -> Vec<Beside> {
    let roles = [GenerationRole::Building, GenerationRole::Kept];
    rows.iter()
        .filter(|row| roles.contains(&row.role))
        .map(|row| Beside {
            made_for: row.identity(),
            store: generations.store(row.number),
        })
        .collect()
}

/// The catalog's rows.
struct Rows(Vec<Generation>);

impl Rows {
    fn of(&self, role: GenerationRole) -> Option<&Generation> {
        self.0.iter().find(|row| row.role == role)
    }
}
