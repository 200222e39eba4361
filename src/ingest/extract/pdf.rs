//! PDF, page by page: two readers and a gate between them. A page keeps the better text; a page that no
//! reader can read is said to be unreadable, one that holds no text is said to be empty.
//!
//! What a page holds is what its reader can select and copy: text that is drawn white on white, too
//! small to see or behind a picture is kept like any other. It cannot be told from the invisible layer
//! under a scan or from white letters on a dark ground, and it does no harm: text of documents is
//! quoted, never obeyed.

mod by_lopdf;
mod by_unpdf;
mod entries;
mod gate;
mod mend;
mod picture;
mod tidy;

use std::ops::ControlFlow;

use crate::domain::{FailureCode, MediaType, PageState};

use super::{
    Engine, ExtractError, Extracted, ExtractedPage, Options, Password, Progress, draft::Draft,
    inline::one_line,
};
use gate::Quality;
pub(in crate::ingest) use picture::pictures;
use tidy::tidy;

/// The text of the second reader must be worth this much more than the first one's, which has the better
/// reading order: a hyphen or a folio more is not worth losing that.
const CLEARLY_MORE: f32 = 1.05;

/// A page with a larger share of undecoded characters has no text that could be found or quoted.
const MOSTLY_UNDECODED: f32 = 0.3;

/// Reads a PDF.
pub(super) fn extract(
    bytes: &[u8],
    options: &Options<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Extracted, ExtractError> {
    let limits = &options.limits;
    let files = Files::open(bytes, options)?;
    let count = files.page_count();
    if count == 0 {
        return Err(damaged("it has no pages"));
    }
    let of = u32::try_from(count).unwrap_or(u32::MAX);
    if of > limits.max_pages {
        return Err(ExtractError::new(
            FailureCode::TooLarge,
            format!(
                "the document has {of} pages; the limit is {} (`ingest.max_pages`); split it or raise the limit",
                limits.max_pages
            ),
        ));
    }
    let mut book = Book {
        draft: Draft::new(limits),
        pages: Vec::with_capacity(count),
    };
    let mut failure = None;
    if let Some(unpdf) = &files.unpdf {
        unpdf.pages(&mut |index, read| {
            let page = files.page(index, read);
            if let Err(error) = book.add(&page) {
                failure = Some(error);
                return ControlFlow::Break(());
            }
            progress(Progress {
                page: index as u32 + 1,
                of,
            });
            ControlFlow::Continue(())
        });
    }
    if let Some(error) = failure {
        return Err(error);
    }
    for index in book.pages.len()..count {
        book.add(&files.page(index, None))?;
        progress(Progress {
            page: index as u32 + 1,
            of,
        });
    }
    let title = files.lopdf.as_ref().and_then(by_lopdf::File::title);
    let title = title.map(|t| one_line(&tidy(&t))).filter(|t| !t.is_empty());
    Ok(book.finish(title))
}

/// Whether a text reads like one: neither undecoded nor a jumble of letters.
pub(in crate::ingest) fn reads_like_text(text: &str) -> bool {
    let quality = Quality::of(text);
    quality.chars > 0 && quality.passes(1)
}

/// A page's text by the rules of the stored text: ligatures as letters, divided words joined.
pub(in crate::ingest) fn tidied(text: &str) -> String {
    tidy(text)
}

/// The file, opened by each reader that could.
struct Files {
    unpdf: Option<by_unpdf::File>,
    lopdf: Option<by_lopdf::File>,
    /// The other one's text is not looked at.
    only: Option<Engine>,
}

/// A page's text, and whose it is.
struct Best {
    read: by_unpdf::Read,
    engine: Engine,
    state: PageState,
}

impl Files {
    fn open(bytes: &[u8], options: &Options<'_>) -> Result<Self, ExtractError> {
        let mut lopdf = by_lopdf::File::open(bytes, options.password);
        let unpdf = if options.only == Some(Engine::Lopdf) {
            Err(damaged("no reader was asked"))
        } else {
            let rewritten = lopdf.as_mut().ok().and_then(by_lopdf::File::rewritten);
            rewritten
                .and_then(|bytes| by_unpdf::File::open(&bytes, None).ok())
                .map_or_else(|| by_unpdf::File::open(bytes, options.password), Ok)
        };
        match (unpdf, lopdf) {
            (Err(first), Err(second)) => {
                // Each may take the other's encrypted file for a damaged one.
                let encrypted = second.code == FailureCode::Encrypted;
                Err(if encrypted { second } else { first })
            }
            (unpdf, lopdf) => Ok(Self {
                unpdf: unpdf.ok(),
                lopdf: lopdf.ok(),
                only: options.only,
            }),
        }
    }

    fn page_count(&self) -> usize {
        let unpdf = self.unpdf.as_ref().map_or(0, by_unpdf::File::page_count);
        let lopdf = self.lopdf.as_ref().map_or(0, by_lopdf::File::page_count);
        unpdf.max(lopdf)
    }

    /// Page `index` with what was written onto it; `first` is what unpdf gave.
    fn page(&self, index: usize, first: Option<by_unpdf::Read>) -> Best {
        let mut best = self.best(index, first);
        let written = self.lopdf.as_ref().map(|file| file.entries(index));
        let mut written = written.unwrap_or_default();
        // A viewer that saved the form may have painted the values into the page as well.
        written.retain(|entry| {
            let value = entry.split_once(": ").map_or(entry.as_str(), |(_, v)| v);
            !best.read.text.contains(value)
        });
        if !written.is_empty() {
            if !best.read.text.is_empty() {
                best.read.text.push_str("\n\n");
            }
            best.read.text.push_str(&written.join("\n"));
            best.state = PageState::Text;
        }
        best
    }

    /// The better text of page `index`; `first` is what unpdf gave.
    fn best(&self, index: usize, first: Option<by_unpdf::Read>) -> Best {
        let first = first.map(by_unpdf::Read::forwards);
        let quality = Quality::of(first.as_ref().map_or("", |r| &r.text));
        let drawn = self
            .lopdf
            .as_ref()
            .map(|f| f.drawn(index))
            .unwrap_or_default();
        if let Some(read) = &first
            && !read.incomplete
            && quality.passes(drawn.texts)
            && quality.chars > 0
        {
            return Best {
                read: read.clone(),
                engine: Engine::Unpdf,
                state: PageState::Text,
            };
        }
        let second = match self.only {
            Some(Engine::Unpdf) => None,
            _ => self.lopdf.as_ref().and_then(|f| f.page(index)),
        };
        let other = Quality::of(second.as_deref().unwrap_or(""));
        let nothing_read = first.is_none() && second.is_none();
        let second_is_better = other.worth() > quality.worth() * CLEARLY_MORE
            && (quality.chars == 0 || (other.rtl == 0 && quality.rtl == 0));
        let (read, engine, quality) = if second_is_better {
            let read = by_unpdf::Read {
                text: second.unwrap_or_default(),
                ..by_unpdf::Read::default()
            };
            (read, Engine::Lopdf, other)
        } else {
            let engine = if first.is_some() {
                Engine::Unpdf
            } else {
                Engine::Lopdf
            };
            (first.unwrap_or_default(), engine, quality)
        };
        let undecoded = quality.undecoded as f32 > MOSTLY_UNDECODED * quality.chars as f32;
        if nothing_read
            || undecoded
            || (quality.chars == 0 && (drawn.texts > 0 || drawn.undecodable))
        {
            return Best {
                read: by_unpdf::Read::default(),
                engine,
                state: PageState::Unreadable,
            };
        }
        Best {
            state: if quality.chars == 0 {
                PageState::Empty
            } else {
                PageState::Text
            },
            read,
            engine,
        }
    }
}

/// The document while its pages come in.
struct Book {
    draft: Draft,
    pages: Vec<ExtractedPage>,
}

impl Book {
    fn add(&mut self, page: &Best) -> Result<(), ExtractError> {
        if !page.read.text.is_empty() {
            self.draft.end_block()?;
        }
        let start = self.draft.position();
        self.draft.push(page.read.text.trim_end())?;
        for heading in &page.read.headings {
            let at = start + heading.start as u64;
            self.draft.heading_at(at, heading.level, &heading.words);
        }
        let end = self.draft.position();
        let text = &self.draft.text()[start as usize..end as usize];
        self.pages.push(ExtractedPage {
            page: self.pages.len() as u32 + 1,
            start,
            end,
            state: page.state,
            chars: text.chars().count() as u64,
            engine: page.engine,
        });
        Ok(())
    }

    fn finish(self, title: Option<String>) -> Extracted {
        let (text, sections) = self.draft.finish();
        Extracted {
            media_type: MediaType::Pdf,
            title,
            text,
            paged: true,
            pages: self.pages,
            sections,
        }
    }
}

fn damaged(why: &str) -> ExtractError {
    ExtractError::new(
        FailureCode::Damaged,
        format!("the file is damaged or no PDF: {why}"),
    )
}

fn encrypted(password: Option<&Password>) -> ExtractError {
    super::encrypted(password)
}
