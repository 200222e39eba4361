//! The library's own parts put together for a measurement, as the daemon puts them together: the local
//! embedder, the embedded store, the catalog, and the services that fill and search them.

use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use griot::{
    adapters::{
        edge::EdgeStore,
        embed_local::{self, Options},
    },
    answer::{Answerer, AnswererParts},
    catalog::{Catalog, NewDocument, Publication},
    config::{Config, Env},
    domain::{
        Chunk, ChunkKey, Collection, DocumentId, Embedding, Locator, MediaType, PageReport,
        PageState, Sha256Hash, bm25::Bm25,
    },
    ingest::{
        Library, LibraryParts,
        chunk::{ChunkSize, Chunker},
        extract::{ExtractError, Limits, extract},
        jail::{Confinement, Extractor},
    },
    ports::{EmbedKind, Embedder, Index, Pair, Point, VectorStore},
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::args::Args;

/// Chunks embedded, stored and published at once while a shelf is filled.
const BATCH: usize = 256;

/// The default settings, the weights, and a folder that outlives the run.
pub struct Stack {
    pub config: Config,
    pub cache: PathBuf,
    embedder: Arc<dyn Embedder>,
}

/// A chunk with its vector, for libraries that are made and not read.
pub struct Ready {
    pub text: String,
    pub vector: Embedding,
}

impl Stack {
    /// With the weights of the user's folder, or `--models`.
    pub fn new(args: &Args) -> Result<Self, Box<dyn Error>> {
        let config = Config::default();
        let models = if let Some(folder) = &args.models {
            folder.clone()
        } else {
            let data = Env::of_process().data_dir();
            data.ok_or("there is no home folder to look for models in; use --models")?
                .join("models")
        };
        let options = Options {
            threads: config.embed.threads,
            batch: config.embed.batch,
        };
        let embedder = embed_local::load(&models, &config.embed.model, options)?;
        embedder.check()?;
        Ok(Self {
            config,
            cache: Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench-cache"),
            embedder: Arc::new(embedder),
        })
    }

    /// The local embedder.
    pub fn embedder(&self) -> Arc<dyn Embedder> {
        Arc::clone(&self.embedder)
    }

    /// Cuts as the default settings say.
    pub fn chunker(&self, embedder: Arc<dyn Embedder>) -> Chunker {
        let size = ChunkSize {
            tokens: self.config.ingest.chunk_tokens,
            overlap: self.config.ingest.chunk_overlap_tokens,
        };
        Chunker::new(embedder, size)
    }
}

/// A file read and cut into chunks, and what of it is stored. Only for files that can be trusted: it is
/// read in this process.
pub fn cut(
    chunker: &mut Chunker,
    document: DocumentId,
    name: &str,
    bytes: &[u8],
) -> Result<Publication, ExtractError> {
    let extracted = extract(bytes, name, &Limits::default(), &mut |_| {})?;
    Ok(Publication {
        document,
        revision: 1,
        media_type: extracted.media_type,
        pages: extracted.page_reports(),
        chunks: chunker.chunks(document, 1, name, &extracted),
        text: extracted.text,
        embedded: Vec::new(),
    })
}

/// A catalog and a store with documents in them, and the service over both. Documents are written by
/// the pipeline's own steps, without its queue, child processes and flush for each document.
pub struct Shelf {
    pub store: Arc<EdgeStore>,
    pub embedder: Arc<dyn Embedder>,
    pub answerer: Arc<Answerer>,
    catalog: Arc<Catalog>,
    chunker: Chunker,
    pending: Vec<Pending>,
    chunks: usize,
    /// Kept for as long as the shelf, then removed.
    temporary: Option<TempDir>,
}

struct Pending {
    name: String,
    publication: Publication,
    /// Empty until they are embedded.
    vectors: Vec<Embedding>,
}

impl Shelf {
    /// A new one, gone when it is dropped.
    pub async fn empty(stack: &Stack, embedder: Arc<dyn Embedder>) -> Result<Self, Box<dyn Error>> {
        std::fs::create_dir_all(&stack.cache)?;
        let folder = tempfile::tempdir_in(&stack.cache)?;
        let mut shelf = Self::open(stack, embedder, folder.path()).await?;
        shelf.temporary = Some(folder);
        Ok(shelf)
    }

    /// The one in this folder.
    pub async fn open(
        stack: &Stack,
        embedder: Arc<dyn Embedder>,
        folder: &Path,
    ) -> Result<Self, Box<dyn Error>> {
        let catalog = Arc::new(Catalog::open(&folder.join("catalog.sqlite"))?);
        let store = Arc::new(EdgeStore::new(folder.join("index")));
        store.open(&embedder.identity()).await?;
        let answerer = Answerer::new(AnswererParts {
            catalog: Arc::clone(&catalog),
            index: Index::new(Pair {
                store: Arc::clone(&store) as Arc<dyn VectorStore>,
                embedder: Arc::clone(&embedder),
            }),
            model: None,
            config: stack.config.answer.clone(),
            cancel: CancellationToken::new(),
            tracker: TaskTracker::new(),
        })?;
        Ok(Self {
            chunker: stack.chunker(Arc::clone(&embedder)),
            catalog,
            store,
            embedder,
            answerer,
            pending: Vec::new(),
            chunks: 0,
            temporary: None,
        })
    }

    /// Chunks added.
    pub fn chunks(&self) -> usize {
        self.chunks
    }

    /// Adds a file, read and cut as any upload is. `None` when it cannot be read or holds
    /// nothing.
    pub async fn add_file(
        &mut self,
        name: &str,
        bytes: &[u8],
    ) -> Result<Option<DocumentId>, Box<dyn Error>> {
        if bytes.trim_ascii().is_empty() {
            return Ok(None);
        }
        let id = self.record(name, bytes)?;
        let publication = match cut(&mut self.chunker, id, name, bytes) {
            Ok(publication) => publication,
            // As in the daemon, one file that cannot be read does not stop the others.
            Err(error) => {
                eprintln!("bench: {name} cannot be read: {error}");
                return Ok(None);
            }
        };
        self.add(name, publication, Vec::new()).await?;
        Ok(Some(id))
    }

    /// Adds a document of ready chunks.
    pub async fn add_ready(&mut self, name: &str, ready: Vec<Ready>) -> Result<(), Box<dyn Error>> {
        let mut text = String::new();
        let mut places = Vec::with_capacity(ready.len());
        for chunk in &ready {
            let start = text.len() as u64;
            text.push_str(&chunk.text);
            places.push((start, text.len() as u64));
            text.push_str("\n\n");
        }
        let document = self.record(name, text.as_bytes())?;
        let (chunks, vectors) = ready
            .into_iter()
            .zip(places)
            .zip(0..)
            .map(|((chunk, (start, end)), ordinal)| {
                let key = ChunkKey {
                    document,
                    revision: 1,
                    ordinal,
                };
                let locator = Locator {
                    page: None,
                    section: None,
                    start,
                    end,
                };
                (
                    Chunk {
                        key,
                        locator,
                        text: chunk.text,
                    },
                    chunk.vector,
                )
            })
            .unzip();
        let report = PageReport {
            page: 1,
            chars: text.chars().count() as u64,
            state: PageState::Text,
            engine: None,
        };
        let publication = Publication {
            document,
            revision: 1,
            media_type: MediaType::Text,
            text,
            pages: vec![report],
            chunks,
            embedded: Vec::new(),
        };
        self.add(name, publication, vectors).await
    }

    fn record(&self, name: &str, content: &[u8]) -> Result<DocumentId, Box<dyn Error>> {
        let mut hash = Sha256::new();
        hash.update(name);
        hash.update(content);
        let recorded = self.catalog.record(&NewDocument {
            name: name.to_owned(),
            bytes: content.len() as u64,
            sha256: Sha256Hash(hash.finalize().into()),
            collection: Collection::default(),
            metadata: serde_json::Map::new(),
        })?;
        Ok(recorded.document.id)
    }

    async fn add(
        &mut self,
        name: &str,
        publication: Publication,
        vectors: Vec<Embedding>,
    ) -> Result<(), Box<dyn Error>> {
        self.chunks += publication.chunks.len();
        self.pending.push(Pending {
            name: name.to_owned(),
            publication,
            vectors,
        });
        let waiting: usize = self
            .pending
            .iter()
            .map(|one| one.publication.chunks.len())
            .sum();
        if waiting >= BATCH {
            self.write().await
        } else {
            Ok(())
        }
    }

    /// Makes everything added searchable.
    pub async fn publish(&mut self) -> Result<(), Box<dyn Error>> {
        self.write().await?;
        self.store.flush().await?;
        // As the daemon does in a quiet moment.
        if self.store.upkeep().await? {
            eprintln!("bench: the store built its graph");
        }
        Ok(())
    }

    async fn write(&mut self) -> Result<(), Box<dyn Error>> {
        let pending = std::mem::take(&mut self.pending);
        let texts = pending
            .iter()
            .filter(|one| one.vectors.is_empty())
            .flat_map(|one| {
                let chunks = one.publication.chunks.iter();
                chunks.map(|chunk| chunk.in_context(&one.name))
            });
        let mut embedded = self
            .embedder
            .embed(texts.collect(), EmbedKind::Passage)
            .await?
            .into_iter();
        let mut points = Vec::new();
        for one in &pending {
            let mut ready = one.vectors.iter().cloned();
            for chunk in &one.publication.chunks {
                let vector = ready.next().or_else(|| embedded.next());
                points.push(Point {
                    key: chunk.key,
                    collection: Collection::default(),
                    dense: vector.ok_or("the embedder gave too few vectors")?,
                    sparse: Bm25::default().passage(&chunk.in_context(&one.name)),
                });
            }
        }
        self.store.upsert(points).await?;
        for one in pending {
            let publish = move |catalog: &Catalog| catalog.publish(&one.publication);
            if !self.catalog.call(publish).await? {
                return Err("a document was not published".into());
            }
        }
        Ok(())
    }
}

/// The whole of ingest, running: uploads in, documents searchable out.
pub struct Intake {
    pub library: Arc<Library>,
    pub catalog: Arc<Catalog>,
    pub answerer: Arc<Answerer>,
    cancel: CancellationToken,
    tracker: TaskTracker,
    _home: TempDir,
}

/// How long a stopping library may take.
const DRAIN: Duration = Duration::from_secs(10);

impl Intake {
    /// Starts one with an empty home.
    pub async fn start(stack: &Stack) -> Result<Self, Box<dyn Error>> {
        std::fs::create_dir_all(&stack.cache)?;
        let home = tempfile::tempdir_in(&stack.cache)?;
        let catalog = Arc::new(Catalog::open(&home.path().join("catalog.sqlite"))?);
        let store: Arc<dyn VectorStore> = Arc::new(EdgeStore::new(home.path().join("index")));
        let embedder = stack.embedder();
        store.open(&embedder.identity()).await?;
        let (cancel, tracker) = (CancellationToken::new(), TaskTracker::new());
        let answerer = Answerer::new(AnswererParts {
            catalog: Arc::clone(&catalog),
            index: Index::new(Pair {
                store: Arc::clone(&store),
                embedder: Arc::clone(&embedder),
            }),
            model: None,
            config: stack.config.answer.clone(),
            cancel: cancel.clone(),
            tracker: tracker.clone(),
        })?;
        let program = PathBuf::from(env!("CARGO_BIN_EXE_griot"));
        let extractor = Extractor::new(program, Limits::default(), Confinement::default());
        let library = Library::start(LibraryParts {
            catalog: Arc::clone(&catalog),
            store,
            embedder,
            reader: Arc::new(extractor),
            home: home.path().to_owned(),
            config: stack.config.ingest.clone(),
            tracker: tracker.clone(),
            cancel: cancel.clone(),
            tasks: griot::tasks::Tasks::default(),
        })
        .await?;
        Ok(Self {
            library,
            catalog,
            answerer,
            cancel,
            tracker,
            _home: home,
        })
    }

    /// Stops it and waits for its tasks.
    pub async fn stop(self) {
        self.cancel.cancel();
        self.tracker.close();
        if tokio::time::timeout(DRAIN, self.tracker.wait())
            .await
            .is_err()
        {
            eprintln!("bench: a library did not stop within {} s", DRAIN.as_secs());
        }
    }
}
