//! A home folder with a library in it, which can be stopped and started again.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use griot::{
    catalog::Catalog,
    config::IngestConfig,
    domain::{
        ChunkKey, Collection, Document, DocumentId, EmbedderIdentity, Embedding, FailureCode,
        MediaType, PageState, Status,
    },
    ingest::{
        Accepted, IngestError, Library, LibraryParts, Password, Reader, Source,
        extract::{Engine, ExtractError, Extracted, ExtractedPage, Progress},
    },
    ports::{
        EmbedKind, Embedder, Filter, Point, PortError, ScoredPoint, SearchRequest, VectorStore,
        fakes::{Gate, HashEmbedder, MemoryStore},
    },
};
use tempfile::TempDir;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Reads text; `\x0c` begins a page. A file that begins with `DAMAGED` is, one that begins with `LOCKED`
/// opens with `key`, and `CRASH` is the reader's end.
#[derive(Default)]
pub struct PlainReader {
    /// Waited at before each reading.
    pub gate: Mutex<Option<Gate>>,
    /// How often reading a file that begins with `PANIC` does; then it is fine.
    pub panics: Mutex<u32>,
    /// Files that begin with `DAMAGED` are fine now.
    pub mended: Mutex<bool>,
    /// How often it came to its end.
    pub crashes: Mutex<u32>,
    /// How often it cannot be started from now on.
    pub unable: Mutex<u32>,
}

#[async_trait]
impl Reader for PlainReader {
    async fn read(
        &self,
        mut original: File,
        source: &Source,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Extracted, ExtractError> {
        let gate = self.gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.pass().await;
        }
        let mut bytes = Vec::new();
        original.read_to_end(&mut bytes).unwrap();
        if *self.unable.lock().unwrap() > 0 {
            *self.unable.lock().unwrap() -= 1;
            return Err(ExtractError::passing("no process could be started"));
        }
        if bytes.starts_with(b"CRASH") {
            *self.crashes.lock().unwrap() += 1;
            return Err(ExtractError::new(FailureCode::Crashed, "it crashed"));
        }
        if bytes.starts_with(b"DAMAGED") && !*self.mended.lock().unwrap() {
            return Err(ExtractError::new(
                FailureCode::Damaged,
                "the file is damaged",
            ));
        }
        let panics = *self.panics.lock().unwrap();
        if bytes.starts_with(b"PANIC") && panics > 0 {
            *self.panics.lock().unwrap() -= 1;
            panic!("as the test wants it");
        }
        if bytes.starts_with(b"LOCKED") && source.password != Password::new("key") {
            return Err(ExtractError::new(
                FailureCode::Encrypted,
                "the file is encrypted",
            ));
        }
        progress(Progress { page: 1, of: 2 });
        Ok(read_plain(&String::from_utf8_lossy(&bytes)))
    }
}

fn read_plain(source: &str) -> Extracted {
    let mut text = String::new();
    let mut pages = Vec::new();
    for (page, number) in source.split('\x0c').zip(1..) {
        let start = text.len() as u64;
        text.push_str(page);
        pages.push(ExtractedPage {
            page: number,
            start,
            end: text.len() as u64,
            state: if page.trim().is_empty() {
                PageState::Empty
            } else {
                PageState::Text
            },
            chars: page.chars().count() as u64,
            engine: Engine::Text,
        });
        text.push('\n');
    }
    Extracted {
        media_type: MediaType::Text,
        title: None,
        text,
        paged: pages.len() > 1,
        pages,
        sections: Vec::new(),
    }
}

/// The store in memory with gates before its steps.
#[derive(Default)]
pub struct Store {
    pub memory: MemoryStore,
    pub before_upsert: Mutex<Option<Gate>>,
    pub before_flush: Mutex<Option<Gate>>,
    /// How often from now on there is no room on the disk for another point.
    pub full: Mutex<u32>,
    /// When its upkeep was asked for.
    pub tended: Mutex<Vec<tokio::time::Instant>>,
    /// How its upkeep goes from now on, in order; then there is nothing to do.
    pub tending: Mutex<std::collections::VecDeque<PortError>>,
}

async fn pass(gate: &Mutex<Option<Gate>>) {
    let gate = gate.lock().unwrap().clone();
    if let Some(gate) = gate {
        gate.pass().await;
    }
}

#[async_trait]
impl VectorStore for Store {
    async fn open(&self, identity: &EmbedderIdentity) -> Result<(), PortError> {
        self.memory.open(identity).await
    }
    async fn upsert(&self, points: Vec<Point>) -> Result<(), PortError> {
        pass(&self.before_upsert).await;
        let left = self.full.lock().unwrap().checked_sub(1);
        if let Some(left) = left {
            *self.full.lock().unwrap() = left;
            let component = griot::domain::Component::VectorStore;
            return Err(PortError::NoRoom { component });
        }
        self.memory.upsert(points).await
    }
    async fn flush(&self) -> Result<(), PortError> {
        pass(&self.before_flush).await;
        self.memory.flush().await
    }
    async fn search(&self, request: SearchRequest) -> Result<Vec<ScoredPoint>, PortError> {
        self.memory.search(request).await
    }
    async fn delete(&self, document: DocumentId, keep: Option<u32>) -> Result<(), PortError> {
        self.memory.delete(document, keep).await
    }
    async fn vectors(&self, keys: &[ChunkKey]) -> Result<Vec<Option<Embedding>>, PortError> {
        self.memory.vectors(keys).await
    }
    async fn upkeep(&self) -> Result<bool, PortError> {
        self.tended
            .lock()
            .unwrap()
            .push(tokio::time::Instant::now());
        match self.tending.lock().unwrap().pop_front() {
            Some(error) => Err(error),
            None => Ok(false),
        }
    }
    async fn count(&self, filter: Filter) -> Result<u64, PortError> {
        self.memory.count(filter).await
    }
}

/// The embedder of hashed words with a gate before it. It refuses texts that say `REFUSED` and breaks
/// on those that say `POISON`; those that say `EXPLODE` make it panic.
#[derive(Default)]
pub struct Embed {
    pub words: HashEmbedder,
    pub gate: Mutex<Option<Gate>>,
}

#[async_trait]
impl Embedder for Embed {
    fn identity(&self) -> EmbedderIdentity {
        self.words.identity()
    }
    fn count_tokens(&self, text: &str) -> usize {
        self.words.count_tokens(text)
    }
    async fn embed(
        &self,
        texts: Vec<String>,
        kind: EmbedKind,
    ) -> Result<Vec<Embedding>, PortError> {
        pass(&self.gate).await;
        let component = griot::domain::Component::Embedder;
        if texts.iter().any(|t| t.contains("REFUSED")) {
            return Err(PortError::Refused {
                component,
                reason: "not this".to_owned(),
            });
        }
        let explodes = texts.iter().any(|t| t.contains("EXPLODE"));
        assert!(!explodes, "as the test wants it");
        if texts.iter().any(|t| t.contains("POISON")) {
            return Err(PortError::unavailable(component, "it broke"));
        }
        self.words.embed(texts, kind).await
    }
}

/// Everything that outlives one run of the daemon, and the run.
pub struct Home {
    pub folder: TempDir,
    pub config: IngestConfig,
    pub store: Arc<Store>,
    pub embed: Arc<Embed>,
    pub reader: Arc<PlainReader>,
    pub catalog: Arc<Catalog>,
    pub library: Arc<Library>,
    pub cancel: CancellationToken,
    pub tracker: TaskTracker,
}

impl Home {
    pub async fn new() -> Self {
        Self::with(IngestConfig::default()).await
    }

    pub async fn with(config: IngestConfig) -> Self {
        let folder = TempDir::new().unwrap();
        Self::start(
            folder,
            config,
            Arc::default(),
            Arc::default(),
            Arc::default(),
        )
        .await
    }

    async fn start(
        folder: TempDir,
        config: IngestConfig,
        store: Arc<Store>,
        embed: Arc<Embed>,
        reader: Arc<PlainReader>,
    ) -> Self {
        let catalog = Arc::new(Catalog::open(&folder.path().join("catalog.db")).unwrap());
        let (cancel, tracker) = (CancellationToken::new(), TaskTracker::new());
        let library = Library::start(LibraryParts {
            catalog: Arc::clone(&catalog),
            store: Arc::clone(&store) as Arc<dyn VectorStore>,
            embedder: Arc::clone(&embed) as Arc<dyn Embedder>,
            reader: Arc::clone(&reader) as Arc<dyn Reader>,
            home: folder.path().to_owned(),
            config: config.clone(),
            tracker: tracker.clone(),
            cancel: cancel.clone(),
            tasks: griot::tasks::Tasks::default(),
        })
        .await
        .unwrap();
        Self {
            folder,
            config,
            store,
            embed,
            reader,
            catalog,
            library,
            cancel,
            tracker,
        }
    }

    /// Stops the run, as a signal does.
    pub async fn stop(&self) {
        self.cancel.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Stops, loses what no flush confirmed, and starts again with everything in order.
    pub async fn crash_and_restart(self) -> Self {
        self.stop().await;
        self.store.memory.crash();
        self.store.memory.recover();
        self.embed.words.recover();
        let Self {
            folder,
            config,
            store,
            ..
        } = self;
        // Gates stay behind with the old reader and embedder.
        *store.before_upsert.lock().unwrap() = None;
        *store.before_flush.lock().unwrap() = None;
        Self::start(folder, config, store, Arc::default(), Arc::default()).await
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub async fn upload_to(
        &self,
        name: &str,
        text: &str,
        collection: &str,
    ) -> Result<Accepted, IngestError> {
        let collection: Collection = collection.parse().unwrap();
        let mut upload = self
            .library
            .begin_upload(name, collection, serde_json::Map::new())
            .await?;
        for part in text.as_bytes().chunks(1000) {
            upload.write(part).await?;
        }
        upload.finish().await
    }

    pub async fn upload(&self, name: &str, text: &str) -> Accepted {
        self.upload_to(name, text, "default").await.unwrap()
    }

    /// Uploads and waits until it is searchable.
    pub async fn add(&self, name: &str, text: &str) -> Document {
        let accepted = self.upload(name, text).await;
        let document = self.library.wait(accepted.id).await.unwrap();
        assert_eq!(document.status, Status::Searchable, "{:?}", document.error);
        document
    }

    pub fn found(&self, words: &str) -> Vec<ChunkKey> {
        let hits = self.catalog.search_words(words, None, 1000).unwrap();
        hits.into_iter().map(|(key, _)| key).collect()
    }

    /// The files under the home folder, by their path in it.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(self.path()).unwrap().to_owned();
                    files.insert(name, std::fs::read(&path).unwrap());
                }
            }
        }
        files
    }

    pub fn files_in(&self, folder: &str) -> usize {
        self.files()
            .keys()
            .filter(|name| name.starts_with(folder))
            .count()
    }

    /// The names of files that hold `needle`.
    pub fn files_with(&self, needle: &str) -> Vec<PathBuf> {
        let holds = |bytes: &Vec<u8>| bytes.windows(needle.len()).any(|w| w == needle.as_bytes());
        self.files()
            .into_iter()
            .filter(|(_, bytes)| holds(bytes))
            .map(|(name, _)| name)
            .collect()
    }

    /// Checks that catalog, store and files agree: every searchable document has its points, chunks
    /// and original, and nothing else is there.
    pub fn check_consistent(&self) {
        let listing = griot::catalog::Listing {
            limit: 10_000,
            ..Default::default()
        };
        let documents = self.catalog.documents(&listing).unwrap();
        let mut expected = Vec::new();
        for d in &documents {
            assert!(
                matches!(d.status, Status::Searchable | Status::Failed),
                "{d:?}"
            );
            expected.extend((0..d.chunks as u32).map(|ordinal| ChunkKey {
                document: d.id,
                revision: d.revision,
                ordinal,
            }));
        }
        expected.sort();
        assert_eq!(self.store.memory.keys(), expected, "points");
        assert_eq!(
            self.catalog.passages(&expected).unwrap().len(),
            expected.len(),
            "chunks"
        );
        let mut originals: Vec<_> = documents.iter().map(|d| d.sha256.to_string()).collect();
        originals.sort();
        originals.dedup();
        assert_eq!(self.files_in("originals"), originals.len(), "originals");
        assert_eq!(self.files_in("incoming"), 0, "incoming");
        assert_eq!(self.catalog.cleanups().unwrap(), [], "leftovers");
    }
}

/// Gives others their turn until `done`. Nothing here waits for time to pass.
pub async fn until(mut done: impl FnMut() -> bool) {
    while !done() {
        tokio::task::yield_now().await;
    }
}

/// The same where time is paused: it goes on by a tenth of a second at each look.
pub async fn until_later(mut done: impl FnMut() -> bool) {
    while !done() {
        tokio::time::advance(std::time::Duration::from_millis(100)).await;
    }
}

/// A text of some chunks.
pub fn long_text(word: &str) -> String {
    (0..200)
        .map(|i| format!("Sentence {i} of {word} says something. "))
        .collect()
}
