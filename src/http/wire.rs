//! What goes over HTTP, with its schema: the shapes of the contract, made from the domain's types.
//!
//! The domain knows nothing of OpenAPI, so the schemas stand here; a field that the domain gains is a
//! compile error in `From` only if it must be shown, never a silent change of the contract.

mod answer;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{
    ToSchema,
    openapi::schema::{Object, ObjectBuilder, Type},
};

use crate::domain::{
    self, Collection, Component, DocumentId, Engine, FailureCode, MediaType, PageState, Sha256Hash,
    Stage, Status,
};

pub use answer::{Answer, Citation, Context, Evidence};

/// A text that is one of a few words.
fn one_of(words: impl IntoIterator<Item = &'static str>) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words))
        .build()
}

fn status() -> Object {
    one_of(["queued", "processing", "searchable", "failed"])
}

fn stage() -> Object {
    one_of([
        "waiting",
        "extracting",
        "chunking",
        "embedding",
        "publishing",
        "done",
    ])
}

fn page_state() -> Object {
    one_of(["text", "empty", "unreadable"])
}

fn failure_code() -> Object {
    one_of([
        "unsupported_type",
        "damaged",
        "encrypted",
        "no_text",
        "too_large",
        "timed_out",
        "out_of_memory",
        "crashed",
        "unavailable",
        "quarantined",
        "internal",
    ])
}

pub fn component() -> Object {
    one_of(Component::ALL.map(Component::as_str))
}

/// A document that was taken in.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    #[schema(value_type = String, pattern = "^doc_[0-9a-f]{32}$")]
    pub id: DocumentId,
    pub name: String,
    #[schema(schema_with = status)]
    pub status: Status,
    /// The same bytes were in this collection already; the id is that document's.
    pub duplicate: bool,
    /// Where to ask how far it has come.
    pub location: String,
}

impl From<crate::ingest::Accepted> for Accepted {
    fn from(accepted: crate::ingest::Accepted) -> Self {
        Self {
            location: format!("/api/knowledge/status/{}", accepted.id),
            id: accepted.id,
            name: accepted.name,
            status: accepted.status,
            duplicate: accepted.duplicate,
        }
    }
}

/// The documents of one request, in its order.
#[derive(Debug, Serialize, ToSchema)]
pub struct AcceptedList {
    pub documents: Vec<Accepted>,
}

/// What became of a path, or of a document to be processed again.
#[derive(Debug, Serialize, ToSchema)]
pub struct Processed {
    pub documents: Vec<Accepted>,
    /// Files of the folder that were not taken.
    pub skipped: Vec<Skipped>,
}

/// A file that was not taken.
#[derive(Debug, Serialize, ToSchema)]
pub struct Skipped {
    pub path: String,
    /// Why, for people.
    pub reason: String,
}

impl From<crate::ingest::Skipped> for Skipped {
    fn from(skipped: crate::ingest::Skipped) -> Self {
        Self {
            path: skipped.path.to_string_lossy().into_owned(),
            reason: skipped.reason,
        }
    }
}

/// What one page gave.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page {
    /// Counting from 1.
    pub page: u32,
    /// Unicode characters of text.
    pub chars: u64,
    #[schema(schema_with = page_state)]
    pub state: PageState,
    /// Which reader's text was kept; `tesseract` where it was recognised in a picture of the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub engine: Option<Engine>,
}

/// Why a document failed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Failure {
    #[schema(schema_with = failure_code)]
    pub code: FailureCode,
    pub message: String,
}

/// How far a document in work is, in numbers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Work {
    /// Pages read.
    pub pages_done: u32,
    /// Pages there are; 0 before that is known.
    pub pages: u32,
    /// Chunks that have their vectors.
    pub chunks_done: u64,
    /// Chunks that its text was cut into; 0 before that is done.
    pub chunks: u64,
    /// What the pipeline gets done now, over all documents; null until that was measured.
    pub chunks_per_s: Option<f32>,
    /// An estimate, with what is before it in the pipeline; null while there is nothing to base it on.
    pub time_left_s: Option<u64>,
}

impl From<domain::Work> for Work {
    fn from(work: domain::Work) -> Self {
        Self {
            pages_done: work.pages_done,
            pages: work.pages,
            chunks_done: work.chunks_done,
            chunks: work.chunks,
            chunks_per_s: work.chunks_per_s,
            time_left_s: work.time_left_s,
        }
    }
}

/// What waits and what is in work.
#[derive(Debug, Serialize, ToSchema)]
pub struct Queue {
    /// Documents whose turn has not come.
    pub waiting: u64,
    /// Documents in work.
    pub processing: u64,
    /// What gets done now; null until that was measured.
    pub chunks_per_s: Option<f32>,
    /// An estimate for all of them; null while nothing waits or there is nothing to base it on.
    pub time_left_s: Option<u64>,
    /// The first of those in work, 16 at most, in their order.
    pub documents: Vec<Document>,
}

impl From<domain::Queue> for Queue {
    fn from(queue: domain::Queue) -> Self {
        Self {
            waiting: queue.waiting,
            processing: queue.processing,
            chunks_per_s: queue.chunks_per_s,
            time_left_s: queue.time_left_s,
            documents: queue.documents.into_iter().map(Document::from).collect(),
        }
    }
}

/// A document and how far it has come.
#[derive(Debug, Serialize, ToSchema)]
pub struct Document {
    #[schema(value_type = String, pattern = "^doc_[0-9a-f]{32}$")]
    pub id: DocumentId,
    pub name: String,
    #[schema(value_type = Option<String>)]
    pub media_type: Option<MediaType>,
    /// Size of the original.
    pub bytes: u64,
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub sha256: Sha256Hash,
    #[schema(value_type = String)]
    pub collection: Collection,
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    #[schema(schema_with = status)]
    pub status: Status,
    #[schema(schema_with = stage)]
    pub stage: Stage,
    /// Over the whole pipeline.
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub progress: f32,
    pub pages: Vec<Page>,
    pub chunks: u64,
    /// Times it was processed to the end.
    pub revision: u32,
    pub error: Option<Failure>,
    /// Numbers of its way through the pipeline; null unless it is on it.
    pub work: Option<Work>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl From<domain::Document> for Document {
    fn from(document: domain::Document) -> Self {
        Self {
            id: document.id,
            name: document.name,
            media_type: document.media_type,
            bytes: document.bytes,
            sha256: document.sha256,
            collection: document.collection,
            metadata: document.metadata,
            status: document.status,
            stage: document.stage,
            progress: document.progress,
            pages: document
                .pages
                .into_iter()
                .map(|page| Page {
                    page: page.page,
                    chars: page.chars,
                    state: page.state,
                    engine: page.engine,
                })
                .collect(),
            chunks: document.chunks,
            revision: document.revision,
            error: document.error.map(|failure| Failure {
                code: failure.code,
                message: failure.message,
            }),
            work: document.work.map(Work::from),
            created_at: document.created_at,
            updated_at: document.updated_at,
        }
    }
}

/// A page of the library, newest documents first.
#[derive(Debug, Serialize, ToSchema)]
pub struct DocumentList {
    pub documents: Vec<Document>,
    /// Give it as `cursor` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub next_cursor: Option<DocumentId>,
}

/// What a delete removed, and from where.
#[derive(Debug, Serialize, ToSchema)]
pub struct Receipt {
    #[schema(value_type = String, pattern = "^doc_[0-9a-f]{32}$")]
    pub id: DocumentId,
    pub name: String,
    /// Chunks in the catalog, their words in the full-text index with them.
    pub chunks: u64,
    /// Points in the vector store.
    pub points: u64,
    /// Bytes of stored text.
    pub text_bytes: u64,
    /// `false` where another document still needs the same bytes.
    pub original_removed: bool,
    /// Size of the original.
    pub original_bytes: u64,
    /// Conversation turns that quoted it.
    pub turns: u64,
    /// Parts that could not be reached: what they hold is removed as soon as they answer, and nothing
    /// of the document is shown any more.
    #[schema(schema_with = components)]
    pub pending: Vec<Component>,
    /// Parts whose files still hold traces that no search can reach (vectors of removed points, words in
    /// pages of the catalog); they are written anew in the background.
    #[schema(schema_with = components)]
    pub sweeping: Vec<Component>,
}

impl From<crate::ingest::Receipt> for Receipt {
    fn from(receipt: crate::ingest::Receipt) -> Self {
        Self {
            id: receipt.id,
            name: receipt.name,
            chunks: receipt.chunks,
            points: receipt.points,
            text_bytes: receipt.text_bytes,
            original_removed: receipt.original_removed,
            original_bytes: receipt.original_bytes,
            turns: receipt.turns,
            pending: receipt.pending,
            sweeping: receipt.sweeping,
        }
    }
}

fn components() -> utoipa::openapi::schema::Array {
    utoipa::openapi::schema::ArrayBuilder::new()
        .items(component())
        .build()
}

/// A question.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    #[schema(min_length = 1, example = "When is rent due?")]
    pub question: String,
    /// Only documents of this collection.
    #[serde(default)]
    pub collection: Option<String>,
    /// Follows up an earlier answer's `conversation_id`.
    #[serde(default)]
    pub conversation_id: Option<String>,
    /// Passages to consider, 1 to 50.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 50)]
    pub top_k: Option<u32>,
    /// Server-sent events instead of one object; also with `Accept: text/event-stream`.
    #[serde(default)]
    pub stream: Option<bool>,
}

/// A text that no log shows.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What to process: exactly one of `path` and `id`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// A file or folder on the daemon's machine, inside `ingest.allowed_roots`.
    #[serde(default)]
    pub path: Option<String>,
    /// A document to process again.
    #[serde(default)]
    pub id: Option<String>,
    /// Opens the original of `id`, where it is encrypted. It is not kept.
    #[serde(default)]
    #[schema(max_length = 1024)]
    #[schema(value_type = Option<String>)]
    pub password: Option<Secret>,
    /// Where documents found under `path` go.
    #[serde(default)]
    pub collection: Option<String>,
}

/// An upload. The order of the fields does not matter.
#[derive(Debug, ToSchema)]
#[expect(
    dead_code,
    reason = "describes the multipart form; the handler reads it as a stream"
)]
pub struct Upload {
    /// One part per file; the part's file name is the document's name.
    #[schema(value_type = Vec<String>, format = Binary)]
    file: Vec<String>,
    /// Where the files go.
    collection: Option<String>,
    /// A JSON object to keep with the files.
    metadata: Option<String>,
    /// Opens those of the files that are encrypted. It is not kept.
    #[schema(max_length = 1024)]
    password: Option<String>,
}
