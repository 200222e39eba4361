//! The one place where everything is put together: settings → adapters → guarded ports → services →
//! what the HTTP edge needs. The only module that names an adapter.

mod engines;
mod generations;
mod home;
mod resources;

use std::{fs::File, io, path::PathBuf, sync::Arc, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;

use crate::{
    adapters::ollama::Ollama,
    admission::Admission,
    alerts,
    answer::{AnswerError, Answerer, AnswererParts},
    catalog::{Catalog, CatalogError},
    config::{
        AlertsConfig, Config, IngestConfig, Loaded, NotAKeyHash, Profile, StoreKind, Upstream,
        UpstreamKind, network,
    },
    domain::Component,
    health::{
        Board, ChildSpec, Fallback, Gate, Guarded, Limits, Probe, Supervisor, Url,
        probes::one_token,
    },
    http,
    ingest::{
        IngestError, Library, LibraryParts, Reader, Reindex,
        extract::Limits as ReadLimits,
        jail::{Confinement, Extractor, Recognizer},
        ocr::WithPictures,
        reindex::{self, OpenError},
    },
    ports::{Embedder, LanguageModel, PortError, VectorStore},
    shutdown::Shutdown,
    voice::{Engine, EngineParts, recording::child::Decoder},
    wyoming,
};
use generations::Places;
pub use home::lock as lock_home;

/// The first question of a day loads the weights of the embedder, from a cold disk perhaps.
const EMBED_LIMIT: Duration = Duration::from_secs(30);

/// The daemon's parts, running.
pub struct App {
    state: http::State,
    board: Arc<Board>,
    /// Where the transcriber listens, if not in the home.
    _socket: Option<tempfile::TempDir>,
    alerts: watch::Sender<AlertsConfig>,
    wyoming: Option<wyoming::Parts>,
    /// Holds the home folder until this value is dropped, after every task has ended.
    _lock: File,
}

/// Why the daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(
        "the folder {path} cannot be used: {source}; check its owner and its permissions, or name another in GRIOT_HOME"
    )]
    Home { path: PathBuf, source: io::Error },
    #[error("another griot uses the folder {path}; stop it, or name another folder in GRIOT_HOME")]
    InUse { path: PathBuf },
    #[error(
        "a restore into {path} was not finished; run `griot restore` again, or remove {path}/{} to go on \
         with what is there",
        crate::backup::UNFINISHED
    )]
    HalfRestored { path: PathBuf },
    #[error("the catalog in {path} cannot be opened and was not changed: {source}")]
    Catalog { path: PathBuf, source: CatalogError },
    #[error(
        "the catalog {path} is missing, though originals of documents are there; nothing was changed. \
         Restore a backup (`griot restore`), or, where there is none, move the folder `originals` away and \
         ingest its files again"
    )]
    CatalogMissing { path: PathBuf },
    #[error("the vector store cannot be used: {0}")]
    Store(PortError),
    #[error("the language model {name} cannot be used: {reason}")]
    Model { name: String, reason: String },
    #[error(transparent)]
    Index(#[from] OpenError),
    #[error("the program's own file cannot be found, which reading documents needs: {0}")]
    Program(io::Error),
    #[error(transparent)]
    Ingest(#[from] IngestError),
    #[error(transparent)]
    Answer(#[from] AnswerError),
    #[error(transparent)]
    Key(#[from] NotAKeyHash),
}

impl App {
    /// Opens what is on disk, starts the worker and the queue. Loads no weights: they are read at the
    /// first use.
    ///
    /// # Errors
    /// As [`AppError`] says. A part that is only missing (a worker without weights, a server that is
    /// away) is no error: the board shows it and answers come at a lower level.
    pub async fn start(
        loaded: Loaded,
        shutdown: Shutdown,
        metrics: PrometheusHandle,
    ) -> Result<Self, AppError> {
        let Loaded { config, paths, .. } = &loaded;
        let home = &paths.home;
        let lock = lock_home(home)?;
        if home.join(crate::backup::UNFINISHED).exists() {
            return Err(AppError::HalfRestored { path: home.clone() });
        }
        let catalog_path = home.join("catalog.sqlite");
        if !catalog_path.exists() && home::holds_files(&home.join("originals")) {
            return Err(AppError::CatalogMissing { path: catalog_path });
        }
        let catalog = open_catalog(catalog_path).await?;
        let board = Board::new();
        board
            .incidents()
            .keep_in(
                Arc::clone(&catalog),
                &shutdown.tracker,
                shutdown.token.clone(),
            )
            .await
            .map_err(|source| AppError::Catalog {
                path: home.join("catalog.sqlite"),
                source,
            })?;

        resources::watch(&catalog, home, &config.health, &board, &shutdown);
        let places = places(&loaded, &board, &shutdown)?;
        let opened = reindex::open(&catalog, &*places, &config.embed.model).await?;
        let index = Arc::clone(&opened.index);
        let model = language_model(&loaded, &board, &shutdown)?;
        let voices = engines::start(&loaded, &board, &shutdown)?;

        let library = Library::start(LibraryParts {
            catalog: Arc::clone(&catalog),
            store: Arc::clone(&index) as Arc<dyn VectorStore>,
            embedder: Arc::clone(&index) as Arc<dyn Embedder>,
            reader: resources::watched_reader(
                reader(&config.ingest)?,
                &board,
                &config.health,
                &shutdown,
            ),
            home: home.clone(),
            config: config.ingest.clone(),
            tracker: shutdown.tracker.clone(),
            cancel: shutdown.token.clone(),
            tasks: shutdown.tasks.clone(),
        })
        .await?;
        let reindex = Reindex::start(&library, places, &config.embed.model, opened).await?;
        let answerer = Answerer::new(AnswererParts {
            catalog: Arc::clone(&catalog),
            index,
            model,
            config: config.answer.clone(),
            cancel: shutdown.token.clone(),
            tracker: shutdown.tracker.clone(),
        })?;
        let voice = Engine::new(EngineParts {
            answerer: Arc::clone(&answerer),
            engines: voices.engines.clone(),
            sessions: config.voice.sessions,
            questions: Admission::new("questions", config.server.max_questions),
            quote_first: config.voice.quote_first,
            cancel: shutdown.token.clone(),
            tracker: shutdown.tracker.clone(),
        });
        let for_wyoming = (Arc::clone(&answerer), voices.engines.clone());
        let state = http::State::new(http::Parts {
            library,
            reindex,
            answerer,
            engines: voices.engines,
            decoder: Arc::new(Decoder::new(
                std::env::current_exe().map_err(AppError::Program)?,
            )),
            board: Arc::clone(&board),
            catalog,
            server: config.server.clone(),
            default_collection: config.ingest.default_collection.clone(),
            settings_file: Some(paths.config_file.clone()),
            metrics,
            voice,
            tracker: shutdown.tracker.clone(),
        })?;
        let (answerer, engines) = for_wyoming;
        let wyoming = wyoming::Parts {
            engines,
            answerer,
            recordings: Arc::clone(state.recordings()),
            questions: Arc::clone(state.questions()),
            max_question_chars: config.server.max_question_chars,
            collection: config.wyoming.collection.clone(),
            allowed_peers: (config.wyoming.allowed_peers.iter())
                .filter_map(|peer| network(peer))
                .collect(),
        };
        let (alerts, rules) = watch::channel(config.alerts.clone());
        alerts::start(
            rules,
            Arc::clone(&board),
            home.clone(),
            &shutdown.tasks,
            &shutdown.tracker,
            shutdown.token.clone(),
        );
        let state = match http::LocalKey::issue(home) {
            Ok(key) => state.trusting(key),
            // On a full disk, say. Questions are answered all the same.
            Err(error) => {
                tracing::warn!(
                    %error,
                    "the owner's key could not be written: until the next start, what it is asked for \
                     (watching folders) needs an API key or allowed roots"
                );
                state
            }
        };
        Ok(Self {
            state,
            board,
            _socket: voices.socket,
            alerts,
            wyoming: Some(wyoming),
            _lock: lock,
        })
    }

    /// Goes by other settings, as far as that can be done while it runs: how many may be let in at once,
    /// and alerts.
    pub fn reload(&self, config: &Config) {
        self.state.change_limits(&config.server);
        self.alerts.send_replace(config.alerts.clone());
    }

    /// What the Wyoming edge works with, once.
    pub fn wyoming(&mut self) -> Option<wyoming::Parts> {
        self.wyoming.take()
    }

    /// What the HTTP edge works with.
    #[must_use]
    pub fn state(&self) -> http::State {
        self.state.clone()
    }

    /// What is known about every part.
    #[must_use]
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }
}

async fn open_catalog(path: PathBuf) -> Result<Arc<Catalog>, AppError> {
    let opened = tokio::task::spawn_blocking({
        let path = path.clone();
        move || Catalog::open(&path)
    })
    .await
    .unwrap_or_else(|stopped| Err(CatalogError::Stopped(stopped.to_string())));
    opened
        .map(Arc::new)
        .map_err(|source| AppError::Catalog { path, source })
}

/// What reads documents: this program again, as a limited child; pictures of text, where that is wished
/// and possible, with Tesseract.
fn reader(config: &IngestConfig) -> Result<Arc<dyn Reader>, AppError> {
    let limits = ReadLimits {
        max_file_bytes: config.max_file_bytes,
        max_pages: config.max_pages,
        max_text_bytes: config.max_text_bytes,
    };
    let confinement = Confinement {
        timeout: Duration::from_secs(config.extract_timeout_s),
        memory_bytes: config.extract_memory_mib * 1024 * 1024,
    };
    let extractor = Extractor::of_this_program(limits, confinement).map_err(AppError::Program)?;
    if !config.ocr {
        return Ok(Arc::new(extractor));
    }
    let Some(tesseract) = Recognizer::installed() else {
        tracing::warn!(
            "`ingest.ocr` is on, but there is no `tesseract` in PATH: pages without text stay empty"
        );
        return Ok(Arc::new(extractor));
    };
    let languages = config.ocr_languages.clone();
    Ok(Arc::new(WithPictures {
        recognizer: Recognizer::of(&extractor, tesseract, languages),
        extractor,
    }))
}

/// Where the index's generations are, with the store in use probed.
fn places(
    loaded: &Loaded,
    board: &Arc<Board>,
    shutdown: &Shutdown,
) -> Result<Arc<Places>, AppError> {
    let config = &loaded.config;
    let part = match config.store.kind {
        StoreKind::Edge => "edge",
        StoreKind::Qdrant => "qdrant",
    };
    let store_gate = Gate::new(
        board.slot(Component::VectorStore, part),
        Limits::call(Duration::from_secs(config.store.timeout_s)),
    );
    let embed_gate = Gate::new(
        board.slot(Component::Embedder, config.embed.model.clone()),
        Limits::call(EMBED_LIMIT),
    );
    let places = Places::new(loaded, Arc::clone(&store_gate), Arc::clone(&embed_gate))
        .map_err(AppError::Store)?;
    let places = Arc::new(places);
    let interval = Duration::from_secs(config.health.interval_s);
    Probe::new(store_gate, Places::check_of_store(&places))
        .pulse(&shutdown.tasks)
        .start(interval, &shutdown.tracker, shutdown.token.clone());
    Probe::new(embed_gate, Places::check_of_embedder(&places))
        .glance(Places::glance_at_embedder(&places))
        .pulse(&shutdown.tasks)
        .start(interval, &shutdown.tracker, shutdown.token.clone());
    Ok(places)
}

/// The upstreams in order, each behind a gate of its own; `None` where none is configured.
fn language_model(
    loaded: &Loaded,
    board: &Arc<Board>,
    shutdown: &Shutdown,
) -> Result<Option<Arc<dyn LanguageModel>>, AppError> {
    let config = &loaded.config.llm;
    if config.upstreams.is_empty() {
        board.off(Component::LanguageModel);
        return Ok(None);
    }
    let limits = Limits::stream(
        Duration::from_secs(config.first_token_timeout_s),
        Duration::from_secs(config.token_timeout_s),
    );
    let mut rungs: Vec<Arc<dyn LanguageModel>> = Vec::new();
    for upstream in &config.upstreams {
        let failed = |reason: String| AppError::Model {
            name: upstream
                .model
                .clone()
                .unwrap_or_else(|| "embedded".to_owned()),
            reason,
        };
        let (model, slot, worker) = match upstream.kind {
            UpstreamKind::Embedded => {
                let name = embedded_name(upstream, loaded.config.models.profile);
                let slot = board.slot(Component::LanguageModel, name.clone());
                let spec = worker(loaded, &name);
                let url = Supervisor::start(
                    spec,
                    slot.clone(),
                    &shutdown.tracker,
                    shutdown.token.clone(),
                );
                let model = Ollama::new(url.clone(), name)
                    .map_err(|error| failed(error.to_string()))?
                    .context(config.context);
                (model, slot, Some(url))
            }
            UpstreamKind::Ollama => {
                let url = upstream.url.as_deref().unwrap_or("http://127.0.0.1:11434");
                let url: Url = url
                    .parse()
                    .map_err(|error| failed(format!("{url}: {error}")))?;
                let name = upstream.model.clone().ok_or_else(|| {
                    failed("an upstream of kind ollama names no model".to_owned())
                })?;
                let slot = board.slot(Component::LanguageModel, format!("{name} at {url}"));
                let model = Ollama::new(url, name)
                    .map_err(|error| failed(error.to_string()))?
                    .context(config.context);
                (model, slot, None)
            }
        };
        rungs.push(guarded_model(
            model,
            Gate::new(slot, limits),
            worker,
            loaded,
            shutdown,
        ));
    }
    Ok(Some(match rungs.len() {
        1 => rungs.remove(0),
        _ => Arc::new(Fallback::new(rungs)),
    }))
}

fn guarded_model(
    model: Ollama,
    gate: Arc<Gate>,
    worker: Option<watch::Receiver<Option<Url>>>,
    loaded: &Loaded,
    shutdown: &Shutdown,
) -> Arc<dyn LanguageModel> {
    let glance = model.clone();
    let model: Arc<dyn LanguageModel> = Arc::new(model);
    let mut probe =
        Probe::new(Arc::clone(&gate), one_token(Arc::clone(&model))).glance(Box::new(move || {
            let model = glance.clone();
            Box::pin(async move { model.glance().await })
        }));
    if let Some(url) = worker {
        probe = probe.supervised(url);
    }
    let interval = Duration::from_secs(loaded.config.health.interval_s);
    probe
        .pulse(&shutdown.tasks)
        .start(interval, &shutdown.tracker, shutdown.token.clone());
    Arc::new(Guarded::new(model, gate))
}

/// The manifest's name of the embedded model.
fn embedded_name(upstream: &Upstream, profile: Profile) -> String {
    upstream.model.clone().unwrap_or_else(|| {
        match profile {
            Profile::Default => "qwen2.5-coder-1.5b-instruct",
            Profile::Small => "qwen2.5-coder-0.5b-instruct",
        }
        .to_owned()
    })
}

/// How the worker is started.
fn worker(loaded: &Loaded, name: &str) -> ChildSpec {
    let config = &loaded.config.llm;
    let weights = loaded.paths.models_dir.join(format!("{name}-q4_k_m.gguf"));
    let mut args = vec![
        "--model".to_owned(),
        format!("{name}={}", weights.display()),
        "--listen".to_owned(),
        "127.0.0.1:0".to_owned(),
        "--context".to_owned(),
        config.context.to_string(),
        "--stop-on-stdin-eof".to_owned(),
    ];
    for (flag, threads) in [
        ("--threads", config.threads),
        ("--threads-batch", config.threads_batch),
    ] {
        if threads > 0 {
            args.extend([flag.to_owned(), threads.to_string()]);
        }
    }
    let spec = ChildSpec::new("griot-llm", "GRIOT_LLM_BIN")
        .args(args)
        .needs(weights, format!("run `griot models pull {name}`"));
    match resources::worker_memory(&loaded.config.health) {
        Some(bytes) => spec.memory(bytes),
        None => spec,
    }
}
