//! One watched folder: a task that keeps its documents as its files are.
//!
//! It scans everything at the start, whenever events were lost, and now and then; in between it looks where
//! something happened. Scan and look are the same: a walk beside the catalog's rows, both in the order of
//! their keys, so that neither has to fit into memory.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Condition,
    beneath::{Presence, presence},
    debounce::{Debounce, QUIET, TooMany},
    events::{Event, Events, Unheard, tells_nothing},
    rows::{Rows, Step, step},
    take::{self, Taken},
    walk::{IGNORE_FILES, Rules, Seen, walk},
};
use crate::{
    catalog::WatchedFile,
    domain::{FileStamp, Watch},
    ingest::{IngestError, shared::Shared, upload::blocking},
};

/// Between two scans of a folder that is listened to: a net below the events.
const RESCAN: Duration = Duration::from_secs(600);

/// Between two scans of a folder that tells nothing; longer where a scan takes long.
const POLL: Duration = Duration::from_secs(10);
const POLL_SHARE: u32 = 20;

/// Until a folder that is away, or a catalog that fails, is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Files on the way from the walk.
const ON_THE_WAY: usize = 64;

/// A folder that changed so shortly before it was listened to may have changed before that.
const JUST_NOW: Duration = Duration::from_secs(5);

/// What others see of a keeper.
#[derive(Debug, Default)]
pub(super) struct Shown(Mutex<(Condition, bool)>);

impl Shown {
    pub(super) fn condition(&self) -> Condition {
        self.lock().0.clone()
    }

    /// Whether it is in the middle of something: a file that is gone under one name may be about to be
    /// found under another.
    pub(super) fn is_busy(&self) -> bool {
        self.lock().1
    }

    fn set(&self, condition: Condition) {
        self.lock().0 = condition;
    }

    fn busy(&self, busy: bool) {
        self.lock().1 = busy;
    }

    /// Never held across an `.await`.
    fn lock(&self) -> std::sync::MutexGuard<'_, (Condition, bool)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Keeper {
    shared: Arc<Shared>,
    watch: Watch,
    rules: Arc<Rules>,
    shown: Arc<Shown>,
    cancel: CancellationToken,
    events: Option<Events>,
    heard: Debounce,
    /// Why folders have to be scanned more often than events say.
    deaf: Option<String>,
    /// The next scan of everything, when nothing asks for one before.
    scan_at: Instant,
    /// Something does.
    rescan_at: Option<Instant>,
    /// Files whose disk is away.
    away: u64,
    /// Numbers of file systems before and after they were mounted again, as files prove.
    remounts: HashMap<u64, u64>,
}

/// Why a scan did not come to its end.
enum Broken {
    /// The folder is not there; people read why.
    Away(String),
    Error(IngestError),
    Stopped,
}

impl From<IngestError> for Broken {
    fn from(error: IngestError) -> Self {
        match error {
            IngestError::Stopping => Self::Stopped,
            error => Self::Error(error),
        }
    }
}

impl Keeper {
    pub(super) fn new(
        shared: Arc<Shared>,
        watch: Watch,
        rules: Arc<Rules>,
        shown: Arc<Shown>,
        cancel: CancellationToken,
    ) -> Self {
        let (events, deaf) = match Events::new() {
            Ok(events) => (Some(events), tells_nothing(&watch.rules.root)),
            Err(error) => (None, Some(format!("the system gives no events: {error}"))),
        };
        shown.busy(true);
        Self {
            shared,
            watch,
            rules,
            shown,
            cancel,
            events,
            heard: Debounce::default(),
            deaf,
            scan_at: Instant::now(),
            rescan_at: None,
            away: 0,
            remounts: HashMap::new(),
        }
    }

    pub(super) async fn run(mut self) {
        while !self.cancel.is_cancelled() {
            match self.turn().await {
                Ok(()) => {}
                Err(Broken::Stopped) => return,
                Err(Broken::Away(why)) => {
                    if !matches!(self.shown.condition(), Condition::Away(_)) {
                        tracing::warn!(
                            watch = %self.watch.id,
                            %why,
                            "a watched folder is away; its documents stay as they are"
                        );
                    }
                    self.shown.set(Condition::Away(why));
                    self.heard.forget();
                    self.rescan_at = None;
                    self.scan_at = Instant::now() + AGAIN;
                }
                Err(Broken::Error(error)) => {
                    tracing::warn!(watch = %self.watch.id, %error, "a watched folder could not be scanned");
                    self.shown.set(Condition::Failing(error.to_string()));
                    self.scan_at = Instant::now() + AGAIN;
                }
            }
            self.shown
                .busy(self.heard.next().is_some() || self.rescan_at.is_some());
            self.wait().await;
        }
    }

    /// Does what is due.
    async fn turn(&mut self) -> Result<(), Broken> {
        if self.next_scan() <= Instant::now() {
            self.rescan_at = None;
            self.scan_all().await?;
        }
        while let Some(path) = self.heard.take(Instant::now()) {
            self.look(path).await?;
        }
        Ok(())
    }

    /// Waits until something is due, and hears what happens.
    async fn wait(&mut self) {
        let scan = self.next_scan();
        let next = self.heard.next().map_or(scan, |heard| heard.min(scan));
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = self.cancel.cancelled() => {}
            happened = next_events(&mut self.events) => self.hear(happened),
        }
    }

    fn hear(&mut self, happened: io::Result<Vec<Event>>) {
        let now = Instant::now();
        match happened {
            Ok(events) => {
                for event in events {
                    let told = match event {
                        Event::At(path) => self.heard.hear(path, now),
                        Event::Somewhere => Err(TooMany),
                    };
                    if told == Err(TooMany) {
                        self.heard.forget();
                        self.rescan();
                    }
                }
            }
            Err(error) => {
                self.events = None;
                self.deaf = Some(format!("the system gives no events: {error}"));
                self.rescan();
            }
        }
    }

    /// Something may have changed anywhere, now or while a scan is under way.
    fn rescan(&mut self) {
        self.rescan_at.get_or_insert(Instant::now() + QUIET);
    }

    fn next_scan(&self) -> Instant {
        self.rescan_at
            .map_or(self.scan_at, |rescan| rescan.min(self.scan_at))
    }

    /// Something happened at `path`.
    async fn look(&mut self, path: PathBuf) -> Result<(), Broken> {
        let Ok(below) = path.strip_prefix(&self.watch.rules.root) else {
            return Ok(());
        };
        let name = path.file_name().unwrap_or_default();
        if below.as_os_str().is_empty() || IGNORE_FILES.iter().any(|file| name == *file) {
            self.rescan();
            return Ok(());
        }
        self.root_is_there().await?;
        if about(&path).await?.is_err()
            && let Some(events) = &mut self.events
        {
            events.forget(&path);
        }
        self.scan(below).await
    }

    async fn scan_all(&mut self) -> Result<(), Broken> {
        let begun = Instant::now();
        self.root_is_there().await?;
        if !matches!(
            self.shown.condition(),
            Condition::Listening | Condition::Polling(_)
        ) {
            self.shown.set(Condition::Scanning);
        }
        self.shown.busy(true);
        self.away = 0;
        self.remounts.clear();
        self.scan(Path::new("")).await?;
        let id = self.watch.id;
        if self.away > 0 {
            // The disk is back under another number: what is missing on it is missing.
            let remounts: Vec<_> = self.remounts.drain().collect();
            for (before, now) in &remounts {
                let (before, now) = (*before, *now);
                let catalog = &self.shared.catalog;
                let moved = catalog.call(move |c| c.remounted(id, before, now)).await;
                moved.map_err(IngestError::from)?;
            }
            if !remounts.is_empty() {
                self.rescan();
                return Ok(());
            }
        }
        let scanned = self.shared.catalog.call(move |c| c.scanned(id)).await;
        scanned.map_err(IngestError::from)?;
        self.shown.set(match (&self.deaf, self.away) {
            (_, 1..) => Condition::PartlyAway(self.away),
            (Some(why), _) => Condition::Polling(why.clone()),
            (None, _) => Condition::Listening,
        });
        let took = begun.elapsed();
        let pause = match &self.deaf {
            Some(_) => POLL.max(took.saturating_mul(POLL_SHARE)),
            None => RESCAN.max(took.saturating_mul(POLL_SHARE)),
        };
        self.scan_at = Instant::now() + pause;
        Ok(())
    }

    async fn root_is_there(&self) -> Result<(), Broken> {
        match about(&self.watch.rules.root).await? {
            Ok(about) if about.is_dir() => Ok(()),
            Ok(_) => Err(Broken::Away("it is not a folder any more".to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Broken::Away("it is not there".to_owned()))
            }
            Err(error) => Err(Broken::Away(format!("it cannot be reached: {error}"))),
        }
    }

    /// Holds what is at `below` against the rows of it.
    async fn scan(&mut self, below: &Path) -> Result<(), Broken> {
        let (tell, mut on_the_way) = mpsc::channel(ON_THE_WAY);
        let (rules, at) = (Arc::clone(&self.rules), below.to_owned());
        let walking = tokio::task::spawn_blocking(move || walk(&rules, &at, &tell));
        let mut rows = Rows::new(below);
        let mut file = self.next_file(&mut on_the_way, below).await?;
        loop {
            let row = rows.peek(&self.shared, &self.watch).await?;
            match step(
                row.as_ref().map(|row| &*row.path),
                file.as_ref().map(|(path, _)| &**path),
            ) {
                Step::Gone => self.gone(rows.take()).await?,
                Step::Both => {
                    let (path, stamp) = file.take().expect("step() saw it");
                    self.file(path, stamp, rows.take()).await?;
                    file = self.next_file(&mut on_the_way, below).await?;
                }
                Step::New => {
                    let (path, stamp) = file.take().expect("step() saw it");
                    self.file(path, stamp, None).await?;
                    file = self.next_file(&mut on_the_way, below).await?;
                }
                Step::End => break,
            }
        }
        // It has told everything.
        let _ = walking.await;
        Ok(())
    }

    /// The next file that the walk comes by. Folders on the way are listened to, and in a scan of everything
    /// what happens meanwhile is looked at.
    async fn next_file(
        &mut self,
        on_the_way: &mut mpsc::Receiver<Seen>,
        below: &Path,
    ) -> Result<Option<(PathBuf, FileStamp)>, Broken> {
        loop {
            if below.as_os_str().is_empty() {
                while let Some(path) = self.heard.take(Instant::now()) {
                    Box::pin(self.look(path)).await?;
                }
            }
            let seen = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(Broken::Stopped),
                happened = next_events(&mut self.events) => {
                    self.hear(happened);
                    continue;
                }
                seen = on_the_way.recv() => seen,
            };
            match seen {
                Some(Seen::File { path, stamp }) => return Ok(Some((path, stamp))),
                Some(Seen::Folder(path)) => self.listen(&path),
                None => return Ok(None),
            }
        }
    }

    fn listen(&mut self, folder: &Path) {
        let Some(events) = &mut self.events else {
            return;
        };
        match events.listen(folder) {
            Ok(false) => {}
            Ok(true) => {
                // What came between the walk's look and this is looked at once more.
                let changed = fs::symlink_metadata(folder).and_then(|about| about.modified());
                let just_now =
                    changed.is_ok_and(|at| at.elapsed().map_or(true, |since| since < JUST_NOW));
                if just_now && self.heard.hear(folder.to_owned(), Instant::now()) == Err(TooMany) {
                    self.rescan();
                }
            }
            Err(Unheard::Limit) => {
                if self.deaf.is_none() {
                    tracing::warn!(
                        watch = %self.watch.id,
                        "more folders than the system lets one program watch; raise \
                         `fs.inotify.max_user_watches`; until then the folder is scanned now and then"
                    );
                }
                self.deaf = Some(
                    "more folders than `fs.inotify.max_user_watches` of the system allows"
                        .to_owned(),
                );
            }
            Err(Unheard::Gone) => {}
        }
    }

    /// A file is there.
    async fn file(
        &mut self,
        path: PathBuf,
        stamp: FileStamp,
        row: Option<WatchedFile>,
    ) -> Result<(), Broken> {
        if let Some(row) = &row {
            if row.error.is_none() && row.document.is_some() && row.stamp.proves_same(&stamp) {
                return Ok(());
            }
            let elsewhere = FileStamp {
                device: stamp.device,
                ..row.stamp
            };
            if row.stamp.device != stamp.device && elsewhere.proves_same(&stamp) {
                self.remounts.insert(row.stamp.device, stamp.device);
            }
        } else {
            let renamed = take::take_renamed(&self.shared, &self.watch, path.clone(), stamp);
            if renamed.await?.is_some() {
                return Ok(());
            }
        }
        match take::take(&self.shared, &self.watch, &path).await? {
            Taken::Done | Taken::Gone => {}
            Taken::Later => {
                let full = self.watch.rules.root.join(&path);
                if self.heard.hear(full, Instant::now()) == Err(TooMany) {
                    self.rescan();
                }
            }
            // Photographs among the papers are no failures.
            Taken::NoDocument(_) if row.is_none() => {}
            Taken::NoDocument(why) | Taken::Failed(why) => {
                let id = self.watch.id;
                let noted = self
                    .shared
                    .catalog
                    .call(move |c| c.file_failed(id, &path, &stamp, &why))
                    .await;
                noted.map_err(IngestError::from)?;
            }
        }
        Ok(())
    }

    /// The walk did not come by a file that has a row.
    async fn gone(&mut self, row: Option<WatchedFile>) -> Result<(), Broken> {
        let Some(row) = row else { return Ok(()) };
        let (root, path) = (self.watch.rules.root.clone(), row.path.clone());
        let is = blocking(move || Ok(presence(&root, &path))).await?;
        let gone = match is {
            // It is there and the rules leave it out by now.
            Presence::There => true,
            Presence::Gone { device } if device == row.stamp.device => true,
            Presence::Gone { .. } => {
                self.away += 1;
                false
            }
            Presence::Unknown => false,
        };
        if gone {
            let (id, deleted) = (self.watch.id, self.watch.rules.deleted);
            let noted = self
                .shared
                .catalog
                .call(move |c| c.file_gone(id, &row.path, deleted))
                .await;
            noted.map_err(IngestError::from)?;
            self.shared.retire.notify_one();
        }
        Ok(())
    }
}

/// What there is; a disk that does not answer holds up nobody else.
async fn about(path: &Path) -> Result<io::Result<fs::Metadata>, IngestError> {
    let path = path.to_owned();
    blocking(move || Ok(fs::symlink_metadata(path))).await
}

async fn next_events(events: &mut Option<Events>) -> io::Result<Vec<Event>> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}
