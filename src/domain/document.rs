//! A document as the library knows it: what it is, how far it has come, and what each page gave.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Collection, DocumentId};

/// The kinds of document that can be read. A closed set: each has one extractor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MediaType {
    #[serde(rename = "application/pdf")]
    Pdf,
    #[serde(rename = "application/vnd.openxmlformats-officedocument.wordprocessingml.document")]
    Docx,
    #[serde(rename = "application/vnd.openxmlformats-officedocument.presentationml.presentation")]
    Pptx,
    #[serde(rename = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")]
    Xlsx,
    #[serde(rename = "application/vnd.oasis.opendocument.text")]
    Odt,
    #[serde(rename = "application/rtf")]
    Rtf,
    #[serde(rename = "application/epub+zip")]
    Epub,
    /// One electronic mail.
    #[serde(rename = "message/rfc822")]
    Eml,
    #[serde(rename = "text/markdown")]
    Markdown,
    #[serde(rename = "text/html")]
    Html,
    #[serde(rename = "text/csv")]
    Csv,
    /// One value, or one on each line.
    #[serde(rename = "application/json")]
    Json,
    /// Also source code, which has no media type of its own.
    #[serde(rename = "text/plain")]
    Text,
}

impl MediaType {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 13] = [
        Self::Pdf,
        Self::Docx,
        Self::Pptx,
        Self::Xlsx,
        Self::Odt,
        Self::Rtf,
        Self::Epub,
        Self::Eml,
        Self::Markdown,
        Self::Html,
        Self::Csv,
        Self::Json,
        Self::Text,
    ];

    /// The registered media type (IANA).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Pptx => {
                "application/vnd.openxmlformats-officedocument.presentationml.presentation"
            }
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Odt => "application/vnd.oasis.opendocument.text",
            Self::Rtf => "application/rtf",
            Self::Epub => "application/epub+zip",
            Self::Eml => "message/rfc822",
            Self::Markdown => "text/markdown",
            Self::Html => "text/html",
            Self::Csv => "text/csv",
            Self::Json => "application/json",
            Self::Text => "text/plain",
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for MediaType {
    type Err = UnknownName;
    fn from_str(given: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == given)
            .ok_or_else(|| UnknownName(given.to_owned()))
    }
}

/// A word that is not one of a closed set (a media type, a status).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a name known here")]
pub struct UnknownName(pub String);

macro_rules! named_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// The word used in JSON, on the command line and in the catalog.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownName;
            fn from_str(given: &str) -> Result<Self, UnknownName> {
                match given {
                    $($text => Ok(Self::$variant),)+
                    other => Err(UnknownName(other.to_owned())),
                }
            }
        }
    };
}

named_enum!(
    /// How far a document has come. `Searchable` and `Failed` are final until it is processed again.
    Status {
        /// Acknowledged and durable; waits for its turn.
        Queued = "queued",
        /// In work; `Stage` says where.
        Processing = "processing",
        /// Every chunk is in the index, durably.
        Searchable = "searchable",
        /// It cannot be read or could not be stored; `Failure` says why.
        Failed = "failed",
    }
);

named_enum!(
    /// The step of the pipeline that a document is in.
    Stage {
        Waiting = "waiting",
        Extracting = "extracting",
        Chunking = "chunking",
        Embedding = "embedding",
        Publishing = "publishing",
        Done = "done",
    }
);

named_enum!(
    /// What reading one page gave.
    PageState {
        /// It has text.
        Text = "text",
        /// It was read and holds no text (blank, or a picture of text).
        Empty = "empty",
        /// It could not be read.
        Unreadable = "unreadable",
    }
);

named_enum!(
    /// The readers. One file may need several: each page keeps the best one's text.
    Engine {
        /// PDF, in the order of the content stream.
        Lopdf = "lopdf",
        /// PDF, with layout analysis, CJK and right-to-left text.
        Unpdf = "unpdf",
        /// DOCX.
        Docx = "docx",
        /// DOCX that the reader above cannot read whole.
        DocxRs = "docxrs",
        /// PPTX.
        Pptx = "pptx",
        /// XLSX.
        Xlsx = "xlsx",
        /// ODT.
        Odt = "odt",
        /// RTF.
        Rtf = "rtf",
        /// HTML, and the chapters of EPUB.
        Html = "html",
        /// Mail, whose parts are decoded and, where they are HTML, read as that.
        Eml = "eml",
        /// JSON.
        Json = "json",
        /// Markdown, CSV and plain text, which need decoding only.
        Text = "text",
        /// A picture of the page, whose letters were recognised (OCR).
        Tesseract = "tesseract",
    }
);

named_enum!(
    /// Why a document failed. Scripts match on these words: add to them, never rename one.
    FailureCode {
        /// The bytes are of no kind that can be read.
        UnsupportedType = "unsupported_type",
        /// The file is damaged or not what it says it is.
        Damaged = "damaged",
        /// It opens only with a password.
        Encrypted = "encrypted",
        /// It was read and holds no text at all.
        NoText = "no_text",
        /// More pages or more text than the limits allow.
        TooLarge = "too_large",
        /// Reading it took longer than the limit.
        TimedOut = "timed_out",
        /// Reading it needed more memory than the limit.
        OutOfMemory = "out_of_memory",
        /// The reader died on it.
        Crashed = "crashed",
        /// It was read, but it could not be embedded or stored after several tries.
        Unavailable = "unavailable",
        /// The daemon died each time it was in work.
        Quarantined = "quarantined",
        /// A fault of this program's own.
        Internal = "internal",
    }
);

/// Why a document failed, for scripts (`code`) and for people (`message`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub code: FailureCode,
    pub message: String,
}

/// What one page gave. Pages count from 1; documents without pages have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageReport {
    pub page: u32,
    /// Unicode scalar values of text, white space included.
    pub chars: u64,
    pub state: PageState,
    /// Whose text was kept; not known of documents that were read before it was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
}

/// SHA-256 of a document's original bytes; shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256Hash(pub [u8; 32]);

impl fmt::Display for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sha256Hash {
    type Err = UnknownName;
    fn from_str(given: &str) -> Result<Self, UnknownName> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(given, &mut bytes).map_err(|_| UnknownName(given.to_owned()))?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Sha256Hash {
    type Error = UnknownName;
    fn try_from(given: String) -> Result<Self, UnknownName> {
        given.parse()
    }
}

impl From<Sha256Hash> for String {
    fn from(hash: Sha256Hash) -> String {
        hash.to_string()
    }
}

/// A document and everything the library says about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    pub id: DocumentId,
    /// The file's name as given, without folders.
    pub name: String,
    pub media_type: Option<MediaType>,
    /// Size of the original.
    pub bytes: u64,
    pub sha256: Sha256Hash,
    pub collection: Collection,
    /// Whatever the uploader attached.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    pub status: Status,
    pub stage: Stage,
    /// From 0 to 1, over the whole pipeline.
    pub progress: f32,
    pub pages: Vec<PageReport>,
    /// Chunks in the visible revision.
    pub chunks: u64,
    /// Counts the times the document was processed to the end; 0 before the first.
    pub revision: u32,
    pub error: Option<Failure>,
    /// Numbers of its way through the pipeline, while it is on it.
    #[serde(default)]
    pub work: Option<Work>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// How far a document in work is, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Pages read.
    pub pages_done: u32,
    /// Pages there are; 0 before that is known.
    pub pages: u32,
    /// Chunks that have their vectors.
    pub chunks_done: u64,
    /// Chunks that its text was cut into; 0 before that is done.
    pub chunks: u64,
    /// What the pipeline gets done, over all documents.
    pub chunks_per_s: Option<f32>,
    /// An estimate, with what is before it in the pipeline.
    pub time_left_s: Option<u64>,
}

/// What waits and what is in work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    /// Documents whose turn has not come.
    pub waiting: u64,
    /// Documents in work.
    pub processing: u64,
    pub chunks_per_s: Option<f32>,
    /// An estimate for all of them; absent while there is nothing to base it on.
    pub time_left_s: Option<u64>,
    /// The first of those in work, in their order.
    pub documents: Vec<Document>,
}

/// Characters of a document's name that are kept.
const MAX_NAME_CHARS: usize = 255;

/// A file's name without folders and control characters. Bidirectional overrides go too: they make
/// `exe.fdp` look like another name.
#[must_use]
pub fn clean_name(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or(given);
    let unwanted = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let clean: String = last
        .chars()
        .filter(|c| !unwanted(*c))
        .take(MAX_NAME_CHARS)
        .collect();
    match clean.trim() {
        "" | "." | ".." => "unnamed".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
