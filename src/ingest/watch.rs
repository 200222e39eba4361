//! Folders that are watched: what is in them is in the library, as long as it is in them.
//!
//! [`Watches`] knows which folders there are, from the settings and from the catalog, and has a task for
//! each. A file that changes becomes the next revision of its document; one that is renamed keeps its
//! document, unread; one that is deleted takes its document with it. A folder whose disk is away loses
//! nothing.

mod beneath;
mod debounce;
mod events;
mod keeper;
mod rows;
mod take;
mod walk;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{IngestError, folder, removal, shared::Shared, upload::blocking};
use crate::{
    catalog::{Catalog, WatchCounts},
    config::WatchConfig,
    domain::{Deleted, Watch, WatchId, WatchRules},
};
use keeper::{Keeper, Shown};
use walk::Rules;

/// A file that is gone under one name may turn up under another within this time; its document waits.
const SETTLED_S: i64 = 2;

/// And while folders are being looked through, longer.
const SETTLED_BUSY_S: i64 = 60;

/// How often it is asked whether noted documents may be retired, while there are any.
const RETIRE_EVERY: Duration = Duration::from_millis(500);

/// How a watch is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Condition {
    /// Everything is looked at for the first time since the daemon began.
    #[default]
    Scanning,
    /// Changes are heard of at once.
    Listening,
    /// Changes are found by scans, and why.
    Polling(String),
    /// The folder is not there. Its documents stay.
    Away(String),
    /// So many of its files are on a disk that is not there. Their documents stay.
    PartlyAway(u64),
    /// It could not be scanned.
    Failing(String),
}

impl Condition {
    /// A word for scripts.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Scanning => "scanning",
            Self::Listening => "listening",
            Self::Polling(_) => "polling",
            Self::Away(_) => "away",
            Self::PartlyAway(_) => "partly_away",
            Self::Failing(_) => "failing",
        }
    }

    /// What people want to know beyond the word.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Scanning | Self::Listening => None,
            Self::Polling(why) => Some(format!("scanned now and then: {why}")),
            Self::Away(why) => Some(format!(
                "{why}; its documents stay as they are until it is back"
            )),
            Self::PartlyAway(files) => Some(format!(
                "{files} of its files are on a disk that is not there; their documents stay as they are"
            )),
            Self::Failing(why) => Some(why.clone()),
        }
    }

    /// Whether somebody should look at it.
    #[must_use]
    pub fn is_trouble(&self) -> bool {
        matches!(self, Self::Away(_) | Self::PartlyAway(_) | Self::Failing(_))
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A watch and how it is.
#[derive(Debug, Clone)]
pub struct WatchReport {
    pub watch: Watch,
    pub condition: Condition,
    pub counts: WatchCounts,
    /// When every file of it was last looked at.
    pub scanned_at: Option<Timestamp>,
}

/// Who asks for a folder to be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// Somebody who may read what the daemon's settings allow (`ingest.allowed_roots`).
    Anyone,
    /// The person whose daemon it is, who may read what the daemon may.
    Owner,
}

/// The watched folders. Part of a [`super::Library`].
pub(super) struct Watches {
    shared: Arc<Shared>,
    kept: Mutex<HashMap<WatchId, Kept>>,
    /// Held while a watch is added or removed.
    changing: tokio::sync::Mutex<()>,
}

struct Kept {
    cancel: CancellationToken,
    shown: Arc<Shown>,
}

impl Watches {
    /// Brings the catalog's watches in line with the settings and begins to keep them all.
    pub(super) async fn start(shared: &Arc<Shared>) -> Result<Arc<Self>, IngestError> {
        let watches = Arc::new(Self {
            shared: Arc::clone(shared),
            kept: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
        });
        let configured = shared.config.watch.clone();
        let default = shared.config.default_collection.clone();
        let catalog = Arc::clone(&shared.catalog);
        blocking(move || {
            settle(
                &catalog,
                configured
                    .into_iter()
                    .map(|one| rules_of(one, &default))
                    .collect(),
            )
        })
        .await?;
        for watch in shared.catalog.call(Catalog::watches).await? {
            if let Err(error) = watches.keep(watch) {
                // A pattern of the settings: it was checked when they were loaded.
                tracing::error!(%error, "a folder is not watched");
            }
        }
        let retiring = Arc::clone(&watches);
        shared.keep_running("ingest.retire", move |_| retire(Arc::clone(&retiring)));
        Ok(watches)
    }

    /// Watches a folder from now on.
    pub(super) async fn add(
        &self,
        mut rules: WatchRules,
        asker: Asker,
    ) -> Result<WatchReport, IngestError> {
        let (given, roots) = (rules.root.clone(), self.shared.config.allowed_roots.clone());
        rules.root = blocking(move || match asker {
            Asker::Anyone => Ok(folder::allow(&given, &roots)?.path),
            Asker::Owner => given
                .canonicalize()
                .map_err(|source| IngestError::PathUnreadable {
                    path: given.clone(),
                    source,
                }),
        })
        .await?;
        let is_folder = tokio::fs::metadata(&rules.root).await.map(|m| m.is_dir());
        match is_folder {
            Ok(true) => {}
            Ok(false) => {
                return Err(IngestError::PathUnreadable {
                    path: rules.root,
                    source: std::io::Error::other("it is not a folder"),
                });
            }
            Err(source) => {
                return Err(IngestError::PathUnreadable {
                    path: rules.root,
                    source,
                });
            }
        }
        Rules::new(&rules, self.shared.originals.home())
            .map_err(|reason| IngestError::WatchRules { reason })?;
        let _changing = self.changing.lock().await;
        let watch = Watch {
            id: WatchId::new(),
            rules,
            configured: false,
        };
        let new = watch.clone();
        if !self.shared.catalog.call(move |c| c.add_watch(&new)).await? {
            return Err(IngestError::WatchedAlready {
                path: watch.rules.root,
            });
        }
        let id = watch.id;
        self.keep(watch)?;
        self.one(id).await
    }

    /// Ends a watch. Its documents go or stay, as `deleted` says.
    pub(super) async fn remove(
        &self,
        id: WatchId,
        deleted: Deleted,
    ) -> Result<WatchReport, IngestError> {
        let _changing = self.changing.lock().await;
        let report = self.one(id).await?;
        if report.watch.configured {
            return Err(IngestError::WatchConfigured {
                path: report.watch.rules.root,
            });
        }
        if let Some(kept) = self.kept().remove(&id) {
            kept.cancel.cancel();
        }
        // A file that its task is in the middle of finds no watch any more.
        self.shared
            .catalog
            .call(move |c| c.remove_watch(id, deleted))
            .await?;
        self.shared.retire.notify_one();
        Ok(report)
    }

    /// All watches, the oldest first.
    pub(super) async fn all(&self) -> Result<Vec<WatchReport>, IngestError> {
        let watches = self.shared.catalog.call(Catalog::watches).await?;
        let mut reports = Vec::with_capacity(watches.len());
        for watch in watches {
            reports.push(self.report(watch).await?);
        }
        Ok(reports)
    }

    /// Watches that somebody should look at: the folder, the word and the details. From memory.
    pub(super) fn troubled(&self) -> Vec<(WatchId, Condition)> {
        let mut troubled: Vec<_> = self
            .kept()
            .iter()
            .map(|(id, kept)| (*id, kept.shown.condition()))
            .filter(|(_, condition)| condition.is_trouble())
            .collect();
        troubled.sort_by_key(|(id, _)| *id);
        troubled
    }

    async fn one(&self, id: WatchId) -> Result<WatchReport, IngestError> {
        let watches = self.shared.catalog.call(Catalog::watches).await?;
        match watches.into_iter().find(|watch| watch.id == id) {
            Some(watch) => self.report(watch).await,
            None => Err(IngestError::WatchNotFound(id)),
        }
    }

    async fn report(&self, watch: Watch) -> Result<WatchReport, IngestError> {
        let id = watch.id;
        let (counts, scanned_at) = self
            .shared
            .catalog
            .call(move |c| c.watch_counts(id))
            .await?;
        let shown = self.kept().get(&id).map(|kept| Arc::clone(&kept.shown));
        Ok(WatchReport {
            condition: shown.map_or_else(Condition::default, |shown| shown.condition()),
            watch,
            counts,
            scanned_at,
        })
    }

    /// Starts the task of a watch.
    fn keep(&self, watch: Watch) -> Result<(), IngestError> {
        let shared = Arc::clone(&self.shared);
        let rules = Rules::new(&watch.rules, shared.originals.home())
            .map_err(|reason| IngestError::WatchRules { reason })?;
        let (cancel, shown) = (shared.cancel.child_token(), Arc::new(Shown::default()));
        let kept = Kept {
            cancel: cancel.clone(),
            shown: Arc::clone(&shown),
        };
        self.kept().insert(watch.id, kept);
        let rules = Arc::new(rules);
        shared.keep_running("ingest.watch", move |shared| {
            let (watch, rules) = (watch.clone(), Arc::clone(&rules));
            Keeper::new(shared, watch, rules, Arc::clone(&shown), cancel.clone()).run()
        });
        Ok(())
    }

    fn is_busy(&self) -> bool {
        self.kept().values().any(|kept| kept.shown.is_busy())
    }

    /// Never held across an `.await`.
    fn kept(&self) -> MutexGuard<'_, HashMap<WatchId, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rules_of(one: WatchConfig, default: &crate::domain::Collection) -> WatchRules {
    WatchRules {
        // A folder that is away now is watched under the name it was given.
        root: one.path.canonicalize().unwrap_or(one.path),
        collection: one.collection.unwrap_or_else(|| default.clone()),
        include: one.include,
        exclude: one.exclude,
        deleted: one.deleted,
    }
}

/// What the settings say is watched, with their rules; what they no longer say is not. Documents of a
/// watch that was taken out of the settings stay: a slip there must not cost a library.
fn settle(catalog: &Catalog, configured: Vec<WatchRules>) -> Result<(), IngestError> {
    let known = catalog.watches()?;
    for rules in &configured {
        match known.iter().find(|watch| watch.rules.root == rules.root) {
            Some(watch) => {
                let watch = Watch {
                    id: watch.id,
                    rules: rules.clone(),
                    configured: true,
                };
                catalog.change_watch(&watch)?;
            }
            None => {
                catalog.add_watch(&Watch {
                    id: WatchId::new(),
                    rules: rules.clone(),
                    configured: true,
                })?;
            }
        }
    }
    for watch in known.iter().filter(|watch| watch.configured) {
        if !configured
            .iter()
            .any(|rules| rules.root == watch.rules.root)
        {
            catalog.remove_watch(watch.id, Deleted::Keep)?;
        }
    }
    Ok(())
}

/// Retires the documents that are noted to be, once files had the time to turn up elsewhere.
async fn retire(watches: Arc<Watches>) {
    let shared = Arc::clone(&watches.shared);
    loop {
        let noted = shared.catalog.call(Catalog::retires).await.unwrap_or(true);
        tokio::select! {
            () = shared.retire.notified(), if !noted => {}
            () = tokio::time::sleep(RETIRE_EVERY), if noted => {}
            () = shared.cancel.cancelled() => return,
        }
        let settled = if watches.is_busy() {
            SETTLED_BUSY_S
        } else {
            SETTLED_S
        };
        let due = match shared.catalog.call(move |c| c.to_retire(settled)).await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, "documents of deleted files stay for now");
                continue;
            }
        };
        for id in due {
            match removal::retire(&shared, id).await {
                Ok(receipt) => {
                    tracing::info!(document = %receipt.id, "retired: its file is gone");
                }
                // It has a file again, or was deleted.
                Err(IngestError::NotFound(_)) => {}
                Err(error) => {
                    tracing::warn!(document = %id, %error, "the document of a deleted file stays for now");
                }
            }
        }
    }
}
