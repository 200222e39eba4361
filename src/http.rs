//! The HTTP edge: routes, limits, who may call, and errors as problems. It turns requests into calls
//! of the services and their results into the shapes of the contract; it decides nothing else.

mod audio;
mod backup;
mod extract;
mod guard;
mod health;
mod knowledge;
mod linger;
mod local;
mod metrics;
mod openapi;
pub mod problem;
mod rag;
mod reindex;
mod serve;
mod upload;
mod voice;
mod watches;
mod wire;

use std::{any::Any, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, OriginalUri},
    http::Method,
    middleware,
    response::{IntoResponse, Response},
};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tower_http::{catch_panic::CatchPanicLayer, timeout::RequestBodyTimeoutLayer};
use utoipa::openapi::OpenApi;
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouterExt},
    routes,
};

use crate::{
    admission::Admission,
    answer::Answerer,
    catalog::Catalog,
    config::{NotAKeyHash, ServerConfig},
    domain::Collection,
    health::Board,
    ingest::{Library, Reindex},
    ports::Engines,
    voice::{
        Engine,
        recording::child::{Decoder, LARGEST},
    },
};
pub use local::{LOCAL_KEY_FILE, LOCAL_KEY_HEADER, LocalKey};
pub use problem::{Code, Problem};
pub use serve::serve;

/// How long the next bytes of a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Searches for passages at once, for each question that may be answered at once. They are short.
const SEARCHES_PER_QUESTION: usize = 4;

/// Recordings written down at once. Each is held whole, and one at a time has the transcriber anyway.
const RECORDINGS: usize = 4;

/// What the edge is given to work with.
pub struct Parts {
    pub library: Arc<Library>,
    pub reindex: Arc<Reindex>,
    pub answerer: Arc<Answerer>,
    pub engines: Engines,
    /// Decodes files of sound.
    pub decoder: Arc<Decoder>,
    pub board: Arc<Board>,
    pub catalog: Arc<Catalog>,
    pub server: ServerConfig,
    /// Where documents go when the request names no collection.
    pub default_collection: Collection,
    /// Goes into backups, where it is there.
    pub settings_file: Option<PathBuf>,
    pub metrics: PrometheusHandle,
    pub voice: Arc<Engine>,
    /// Holds the sockets, which outlive their requests.
    pub tracker: TaskTracker,
}

/// What every handler may use. Clones share everything.
#[derive(Clone)]
pub struct State(Arc<Shared>);

struct Shared {
    parts: Parts,
    guard: guard::Guard,
    questions: Arc<Admission>,
    searches: Arc<Admission>,
    uploads: Arc<Admission>,
    recordings: Arc<Admission>,
    backups: Arc<Semaphore>,
    sockets: voice::Sockets,
    openapi: std::sync::OnceLock<Arc<OpenApi>>,
    /// Tells the person whose daemon it is from others.
    local_key: std::sync::OnceLock<LocalKey>,
}

impl State {
    /// The state of one daemon.
    ///
    /// # Errors
    /// When an entry of `server.api_keys` is not a key's hash.
    pub fn new(parts: Parts) -> Result<Self, NotAKeyHash> {
        let questions = parts.server.max_questions.max(1);
        parts.voice.questions().set_limit(questions);
        Ok(Self(Arc::new(Shared {
            guard: guard::Guard::new(&parts.server)?,
            questions: Arc::clone(parts.voice.questions()),
            searches: Admission::new("searches", questions * SEARCHES_PER_QUESTION),
            uploads: Admission::new("uploads", parts.server.max_uploads.max(1)),
            recordings: Admission::new("recordings", RECORDINGS),
            backups: Arc::new(Semaphore::new(1)),
            sockets: voice::Sockets::new(parts.voice.places(), parts.tracker.clone()),
            openapi: std::sync::OnceLock::new(),
            local_key: std::sync::OnceLock::new(),
            parts,
        })))
    }

    /// From now on who shows this key may do what the daemon's owner may.
    #[must_use]
    pub fn trusting(self, key: LocalKey) -> Self {
        // Set once, before anything is served; a second key would change nothing.
        let _ = self.0.local_key.set(key);
        self
    }

    fn local_key(&self) -> Option<&LocalKey> {
        self.0.local_key.get()
    }

    fn library(&self) -> &Arc<Library> {
        &self.0.parts.library
    }

    fn reindex(&self) -> &Arc<Reindex> {
        &self.0.parts.reindex
    }

    fn answerer(&self) -> &Arc<Answerer> {
        &self.0.parts.answerer
    }

    fn decoder(&self) -> &Decoder {
        &self.0.parts.decoder
    }

    fn engines(&self) -> &Engines {
        &self.0.parts.engines
    }

    fn board(&self) -> &Arc<Board> {
        &self.0.parts.board
    }

    fn catalog(&self) -> &Arc<Catalog> {
        &self.0.parts.catalog
    }

    fn voice(&self) -> &Arc<Engine> {
        &self.0.parts.voice
    }

    fn secrets(&self) -> &voice::realtime::secrets::Secrets {
        self.0.guard.secrets()
    }

    fn tracker(&self) -> &TaskTracker {
        &self.0.parts.tracker
    }

    fn sockets(&self) -> &voice::Sockets {
        &self.0.sockets
    }

    fn metrics(&self) -> &PrometheusHandle {
        &self.0.parts.metrics
    }

    fn default_collection(&self) -> &Collection {
        &self.0.parts.default_collection
    }

    fn max_question_chars(&self) -> usize {
        self.0.parts.server.max_question_chars
    }

    /// Places for questions in work.
    pub(crate) fn questions(&self) -> &Arc<Admission> {
        &self.0.questions
    }

    /// Places for recordings in work.
    pub(crate) fn recordings(&self) -> &Arc<Admission> {
        &self.0.recordings
    }

    fn searches(&self) -> &Arc<Admission> {
        &self.0.searches
    }

    /// Goes by other limits of how many may be let in at once; the other settings stay.
    pub fn change_limits(&self, server: &ServerConfig) {
        let questions = server.max_questions.max(1);
        self.0.questions.set_limit(questions);
        self.0.searches.set_limit(questions * SEARCHES_PER_QUESTION);
        self.0.uploads.set_limit(server.max_uploads.max(1));
    }

    fn backups(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.backups)
    }

    fn settings_file(&self) -> Option<&PathBuf> {
        self.0.parts.settings_file.as_ref()
    }

    fn openapi(&self) -> Arc<OpenApi> {
        Arc::clone(
            self.0
                .openapi
                .get()
                .expect("router() sets it before any request"),
        )
    }
}

/// For a form with a recording in it.
fn recording_limit() -> DefaultBodyLimit {
    const FORM: usize = 1024 * 1024;
    DefaultBodyLimit::max(LARGEST + FORM)
}

/// All routes with everything around them.
pub fn router(state: State) -> Router {
    let server = &state.0.parts.server;
    let upload_limit =
        DefaultBodyLimit::max(usize::try_from(server.max_upload_bytes).unwrap_or(usize::MAX));
    let body_limit =
        DefaultBodyLimit::max(usize::try_from(server.max_body_bytes).unwrap_or(usize::MAX));
    let (router, api) = OpenApiRouter::<State>::with_openapi(openapi::beginning())
        .routes(routes!(knowledge::process))
        .routes(routes!(knowledge::queue))
        .routes(routes!(knowledge::status))
        .routes(routes!(knowledge::documents))
        .routes(routes!(knowledge::document, knowledge::delete))
        .routes(routes!(knowledge::text))
        .routes(routes!(knowledge::original))
        .routes(routes!(watches::list, watches::add))
        .routes(routes!(watches::remove))
        .routes(routes!(rag::query))
        .routes(routes!(rag::context))
        .routes(routes!(rag::context_search))
        .routes(routes!(audio::speech::speech))
        .routes(routes!(voice::realtime::secrets::make))
        .routes(routes!(
            voice::profile::get,
            voice::profile::put,
            voice::profile::delete
        ))
        .routes(routes!(backup::backup))
        .routes(routes!(reindex::report, reindex::begin))
        .routes(routes!(reindex::roll_back))
        .routes(routes!(reindex::drop_kept))
        .routes(routes!(health::health))
        .routes(routes!(health::hold))
        .routes(routes!(health::incidents))
        .routes(routes!(health::incident))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::metrics))
        .routes(routes!(openapi::openapi))
        .layer(body_limit)
        .routes(routes!(audio::transcriptions::transcriptions).layer(recording_limit()))
        .routes(routes!(audio::transcriptions::transcribe).layer(recording_limit()))
        .routes(
            routes!(upload::upload)
                .layer(upload_limit)
                .layer(middleware::from_fn_with_state(state.clone(), admit_upload)),
        )
        .split_for_parts();
    state
        .0
        .openapi
        .get_or_init(|| Arc::new(openapi::complete(api)));
    router
        // Sockets: OpenAPI has no words for them.
        .route(
            "/api/voice/stream",
            axum::routing::any(voice::simple::stream),
        )
        .route("/v1/realtime", axum::routing::any(voice::realtime::stream))
        .fallback(unknown_route)
        .method_not_allowed_fallback(unknown_method)
        // From the innermost to the outermost.
        .layer(RequestBodyTimeoutLayer::new(BODY_TIMEOUT))
        .layer(middleware::from_fn_with_state(
            state.0.guard.clone(),
            guard::check,
        ))
        .layer(middleware::from_fn_with_state(
            state.clone(),
            linger::linger,
        ))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(metrics::count))
        .layer(middleware::from_fn(guard::harden))
        .with_state(state)
}

/// Uploads hold a place from their first byte to their last.
async fn admit_upload(
    axum::extract::State(state): axum::extract::State<State>,
    request: axum::extract::Request,
    next: middleware::Next,
) -> Response {
    let Some(_place) = state.0.uploads.enter() else {
        return Problem::new(
            Code::TooManyUploads,
            "as many uploads are under way as `server.max_uploads` allows; send this one again shortly",
        )
        .retry_after(Duration::from_secs(2))
        .into_response();
    };
    next.run(request).await
}

async fn unknown_route(OriginalUri(uri): OriginalUri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(
        Code::RouteNotFound,
        format!("nothing is served at {path}; GET /openapi.json lists what is"),
    )
}

async fn unknown_method(method: Method, OriginalUri(uri): OriginalUri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(
        Code::MethodNotAllowed,
        format!("{method} does not work at {path}; the `Allow` header lists what does"),
    )
}

/// A handler panicked: a fault of ours that costs one response, not the daemon. The panic hook has
/// already written where.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request handler panicked");
    Problem::new(
        Code::Internal,
        "the request could not be served; the daemon's log says why",
    )
    .into_response()
}
