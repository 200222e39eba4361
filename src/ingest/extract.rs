//! Reading documents: bytes in, stored text with pages and sections out.
//!
//! A format is a function `fn(bytes, limits, progress) -> Result<Extracted, ExtractError>`, chosen by
//! what the bytes are, never by what the name says. Everything here is plain computation: it opens no
//! file, knows no async runtime and no catalog. Hostile bytes may still exhaust memory or the stack of
//! the parsers used, which is why the daemon calls it only through [`super::jail`], in a limited child
//! process.
//!
//! # The stored text
//!
//! [`Extracted::text`] is what is kept, cut into chunks, searched and quoted. It is UTF-8, lines end in
//! `\n`, and it holds no control character but `\n` and `\t` and no byte order mark. Nothing is
//! normalised except what a font or a file format put there instead of the letters meant: ligature
//! characters of PDFs (`ﬁ`) become their letters. Every byte range of this module is half-open and
//! counts bytes of that text.

mod bidi;
mod csv;
mod decode;
mod docx;
mod draft;
mod eml;
mod epub;
mod glance;
mod html;
mod inline;
mod json;
mod markdown;
mod numbers;
mod odt;
mod ooxml;
mod package;
mod pages;
mod pdf;
mod pptx;
mod recognised;
mod rtf;
mod sniff;
mod table;
mod text;
mod xlsx;
mod xml;

pub use glance::{GLANCE, glance};

use serde::{Deserialize, Serialize};

use super::password::Password;
pub use crate::domain::Engine;
use crate::domain::{Failure, FailureCode, MediaType, PageReport, PageState};
pub(super) use pdf::{pictures, reads_like_text, tidied};

/// What a reader is told beside the bytes and their name.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    pub limits: Limits,
    /// Opens an encrypted file that does not open with the empty password.
    pub password: Option<&'a Password>,
    /// This engine alone reads, well or badly: for reports that compare them.
    pub only: Option<Engine>,
}

/// Reads a document, with the empty password where it is encrypted.
///
/// `name` is the file's name, which decides only between kinds of text. `progress` is called after each
/// page.
///
/// # Errors
/// See [`FailureCode`]; never `timed_out`, `out_of_memory` or `crashed`, which only the caller's limits
/// can tell.
pub fn extract(
    bytes: &[u8],
    name: &str,
    limits: &Limits,
    progress: &mut dyn FnMut(Progress),
) -> Result<Extracted, ExtractError> {
    let options = Options {
        limits: *limits,
        ..Options::default()
    };
    extract_with(bytes, name, &options, progress)
}

/// As [`extract`], with a password or an engine of one's choice. A document with pages comes back also
/// when none of them holds text, so that this can be told page by page; see
/// [`Extracted::without_text`].
///
/// # Errors
/// As [`extract`].
pub fn extract_with(
    bytes: &[u8],
    name: &str,
    options: &Options<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Extracted, ExtractError> {
    let limits = &options.limits;
    if bytes.len() as u64 > limits.max_file_bytes {
        return Err(ExtractError::new(
            FailureCode::TooLarge,
            format!(
                "the file is larger than the limit of {} MiB (`ingest.max_file_bytes`); split it or raise the limit",
                limits.max_file_bytes / (1024 * 1024)
            ),
        ));
    }
    let extracted = match sniff::media_type(bytes, name)? {
        MediaType::Pdf => pdf::extract(bytes, options, progress)?,
        MediaType::Docx => docx::extract(bytes, limits)?,
        MediaType::Pptx => pptx::extract(bytes, limits, progress)?,
        MediaType::Xlsx => xlsx::extract(bytes, limits, progress)?,
        MediaType::Odt => odt::extract(bytes, limits)?,
        MediaType::Rtf => rtf::extract(bytes, limits)?,
        MediaType::Epub => epub::extract(bytes, limits)?,
        MediaType::Eml => eml::extract(bytes, limits)?,
        MediaType::Json => json::extract(bytes, limits)?,
        MediaType::Markdown => markdown::extract(bytes, limits)?,
        MediaType::Html => html::extract(bytes, limits)?,
        MediaType::Csv => csv::extract(bytes, limits)?,
        MediaType::Text => text::extract(bytes, limits)?,
    };
    let extracted = Extracted {
        title: extracted.title.and_then(|title| presentable_title(&title)),
        ..extracted
    };
    if !extracted.paged {
        progress(Progress { page: 1, of: 1 });
    }
    match extracted.without_text() {
        Some(error) if !extracted.paged => Err(error),
        _ => Ok(extracted),
    }
}

/// The failure of a file that no password opened, the empty one included.
fn encrypted(password: Option<&Password>) -> ExtractError {
    let message = if password.is_some() {
        "the file is encrypted and the password given does not open it; give the right one"
    } else {
        "the file is encrypted and opens only with a password; give it with the upload, or save a copy without one"
    };
    ExtractError::new(FailureCode::Encrypted, message)
}

/// A document without pages: one range over the whole text.
fn unpaged(
    media_type: MediaType,
    engine: Engine,
    title: Option<String>,
    text: String,
    sections: Vec<Section>,
) -> Extracted {
    let page = ExtractedPage {
        page: 1,
        start: 0,
        end: text.len() as u64,
        state: if text.trim().is_empty() {
            PageState::Empty
        } else {
            PageState::Text
        },
        chars: text.chars().count() as u64,
        engine,
    };
    Extracted {
        media_type,
        title,
        text,
        paged: false,
        pages: vec![page],
        sections,
    }
}

/// A document's own title on one line, freed of control characters and cut where it is no title any
/// more.
fn presentable_title(given: &str) -> Option<String> {
    let title: String = inline::one_line(given)
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_TITLE_CHARS)
        .collect();
    let title = title.trim();
    (!title.is_empty()).then(|| title.to_owned())
}

/// Characters of a document's title.
const MAX_TITLE_CHARS: usize = 300;

/// Headings of a document that become sections. Text behind the last one stays under that one.
const MAX_SECTIONS: usize = 100_000;

/// What joins the headings of a section's path: `Chapter 2 › Results`.
pub const PATH_SEPARATOR: &str = " › ";

/// How much one document may hold. What is beyond ends as [`FailureCode::TooLarge`]: a document that is
/// searchable in part would answer "not in your documents" for the part that is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of the file.
    pub max_file_bytes: u64,
    /// Pages of a document that has pages.
    pub max_pages: u32,
    /// Bytes of the stored text.
    pub max_text_bytes: u64,
}

/// The same figures as the defaults of the settings `ingest.max_*`.
impl Default for Limits {
    fn default() -> Self {
        Self {
            max_file_bytes: 256 * 1024 * 1024,
            max_pages: 5000,
            max_text_bytes: 64 * 1024 * 1024,
        }
    }
}

/// A document that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extracted {
    pub media_type: MediaType,
    /// The title that the document gives itself, when it gives one.
    pub title: Option<String>,
    /// The stored text; see the module's comment.
    pub text: String,
    /// Whether the document has pages. Without, `pages` holds one that covers the whole text, and a
    /// chunk's `Locator::page` is `None`.
    pub paged: bool,
    /// In order, page numbers counting from 1 without gaps, ranges not overlapping. Text between two
    /// ranges is separating white space.
    pub pages: Vec<ExtractedPage>,
    /// In order of `start`, which may be equal (an empty section). A section ends where the next begins.
    pub sections: Vec<Section>,
}

/// One page of the stored text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtractedPage {
    /// Counting from 1.
    pub page: u32,
    /// Byte range `[start, end)` of the stored text; empty for a page without text.
    pub start: u64,
    pub end: u64,
    pub state: PageState,
    /// Unicode scalar values in the range.
    pub chars: u64,
    /// Which reader's text was kept.
    pub engine: Engine,
}

/// A heading and where its text begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Byte offset of the heading's line in the stored text.
    pub start: u64,
    /// From 1 (outermost) to 9.
    pub level: u8,
    /// The heading's own words, on one line.
    pub title: String,
    /// The headings above and this one, outermost first, joined by [`PATH_SEPARATOR`].
    pub path: String,
}

impl Extracted {
    /// The innermost section that byte `offset` of the stored text stands in; `None` before the first
    /// heading.
    #[must_use]
    pub fn section_at(&self, offset: u64) -> Option<&Section> {
        let after = self.sections.partition_point(|s| s.start <= offset);
        after.checked_sub(1).map(|last| &self.sections[last])
    }

    /// The text of a page.
    ///
    /// # Panics
    /// When the page is not one of this document's.
    #[must_use]
    pub fn page_text(&self, page: &ExtractedPage) -> &str {
        &self.text[page.start as usize..page.end as usize]
    }

    /// Why nothing of the document can be found or quoted; `None` when it holds text.
    #[must_use]
    pub fn without_text(&self) -> Option<ExtractError> {
        if !self.text.trim().is_empty() {
            return None;
        }
        let unreadable = |p: &ExtractedPage| p.state == PageState::Unreadable;
        Some(if self.pages.iter().any(unreadable) {
            ExtractError::new(
                FailureCode::Damaged,
                "its pages cannot be read, or their fonts do not say which characters they show",
            )
        } else if self.paged {
            ExtractError::new(
                FailureCode::NoText,
                "none of its pages holds text; pictures of text are read where Tesseract is installed and `ingest.ocr` is true",
            )
        } else {
            ExtractError::new(FailureCode::NoText, "the document holds no text")
        })
    }

    /// What is told about the pages in the library.
    #[must_use]
    pub fn page_reports(&self) -> Vec<PageReport> {
        let report = |p: &ExtractedPage| PageReport {
            page: p.page,
            chars: p.chars,
            state: p.state,
            engine: Some(p.engine),
        };
        self.pages.iter().map(report).collect()
    }

    /// Whether every byte range is in bounds, in order and on character boundaries, pages count up from
    /// 1, and the text keeps to the rule above. What comes out of the child process is believed only
    /// after this.
    ///
    /// # Errors
    /// What does not hold, in words.
    pub fn check(&self) -> Result<(), &'static str> {
        let on_boundary = |at: u64| {
            usize::try_from(at)
                .is_ok_and(|at| at <= self.text.len() && self.text.is_char_boundary(at))
        };
        let mut end = 0;
        for (page, number) in self.pages.iter().zip(1_u32..) {
            if page.page != number {
                return Err("pages do not count up from 1");
            }
            if page.start < end || page.end < page.start {
                return Err("the pages' ranges overlap");
            }
            if !on_boundary(page.start) || !on_boundary(page.end) {
                return Err("a page's range is outside the text");
            }
            if page.chars != self.page_text(page).chars().count() as u64 {
                return Err("a page's count of characters is wrong");
            }
            end = page.end;
        }
        if self.pages.is_empty() || (!self.paged && self.pages.len() != 1) {
            return Err("the number of pages is wrong");
        }
        if !self.sections.is_sorted_by_key(|s| s.start) {
            return Err("the sections are out of order");
        }
        if !self.sections.iter().all(|s| on_boundary(s.start)) {
            return Err("a section is outside the text");
        }
        let allowed = |c: char| !c.is_control() || c == '\n' || c == '\t';
        if !self.text.chars().all(allowed) {
            return Err("the text holds control characters");
        }
        let one_line = |words: &str| !words.chars().any(char::is_control);
        if let Some(title) = &self.title
            && !(one_line(title) && title.chars().count() <= MAX_TITLE_CHARS)
        {
            return Err("the title is not one line of words");
        }
        let well_formed =
            |s: &Section| (1..=9).contains(&s.level) && one_line(&s.title) && one_line(&s.path);
        if self.sections.len() > MAX_SECTIONS || !self.sections.iter().all(well_formed) {
            return Err("the sections are not what headings become");
        }
        Ok(())
    }
}

/// Why a document could not be read: a code that callers act on and a sentence for the person whose
/// document it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct ExtractError {
    pub code: FailureCode,
    pub message: String,
    /// The machine's fault and not the document's (no process could be started): it is tried again.
    #[serde(skip)]
    pub passing: bool,
}

impl ExtractError {
    /// `message` says what happened and what can be done, as part of a sentence that begins with the
    /// document's name.
    #[must_use]
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            passing: false,
        }
    }

    /// That it was not the document's fault, and passes.
    #[must_use]
    pub fn passing(message: impl Into<String>) -> Self {
        Self {
            passing: true,
            ..Self::new(FailureCode::Internal, message)
        }
    }
}

impl From<ExtractError> for Failure {
    fn from(error: ExtractError) -> Self {
        Self {
            code: error.code,
            message: error.message,
        }
    }
}

/// How far reading has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Pages read.
    pub page: u32,
    /// Pages there are; 1 for documents without pages.
    pub of: u32,
}
