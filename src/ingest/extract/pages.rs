//! The pages of a document that is written page by page: slides, sheets.

use crate::domain::{FailureCode, PageState};

use super::{Engine, ExtractError, ExtractedPage, Limits, Progress, draft::Draft};

/// The pages written so far.
pub(super) struct Pages<'a> {
    pages: Vec<ExtractedPage>,
    /// Where the text of the open page can begin.
    from: usize,
    of: u32,
    engine: Engine,
    progress: &'a mut dyn FnMut(Progress),
}

impl<'a> Pages<'a> {
    /// For a document of `count` pages, called `what` in the message when they are too many.
    pub(super) fn new(
        count: usize,
        what: &str,
        engine: Engine,
        limits: &Limits,
        progress: &'a mut dyn FnMut(Progress),
    ) -> Result<Self, ExtractError> {
        let of = u32::try_from(count).unwrap_or(u32::MAX);
        if of > limits.max_pages {
            return Err(ExtractError::new(
                FailureCode::TooLarge,
                format!(
                    "the document has {of} {what}; the limit is {} (`ingest.max_pages`); split it or raise the limit",
                    limits.max_pages
                ),
            ));
        }
        if of == 0 {
            return Err(ExtractError::new(
                FailureCode::Damaged,
                format!("the file is damaged: it has no {what}"),
            ));
        }
        Ok(Self {
            pages: Vec::with_capacity(count),
            from: 0,
            of,
            engine,
            progress,
        })
    }

    /// What is written from here on stands on the next page, which begins after a blank line.
    pub(super) fn begin(&mut self, draft: &mut Draft) -> Result<(), ExtractError> {
        self.from = draft.text().len();
        draft.end_block()
    }

    /// The page ends. `state` says what to report when it holds no text.
    pub(super) fn end(&mut self, draft: &Draft, without_text: PageState) {
        let written = &draft.text()[self.from..];
        // White space belongs to no page, so that cutting it off at the end leaves each page whole.
        let start = self.from + (written.len() - written.trim_start().len());
        let (start, end) = if written.trim().is_empty() {
            let end = draft.text().trim_end().len();
            (end, end)
        } else {
            (start, self.from + written.trim_end().len())
        };
        let page = self.pages.len() as u32 + 1;
        self.pages.push(ExtractedPage {
            page,
            start: start as u64,
            end: end as u64,
            state: if start == end {
                without_text
            } else {
                PageState::Text
            },
            chars: draft.text()[start..end].chars().count() as u64,
            engine: self.engine,
        });
        (self.progress)(Progress { page, of: self.of });
    }

    pub(super) fn finish(self) -> Vec<ExtractedPage> {
        self.pages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(texts: &[&str]) -> (String, Vec<(u64, u64)>) {
        let limits = Limits::default();
        let mut told = Vec::new();
        let mut progress = |p: Progress| told.push((p.page, p.of));
        let mut pages =
            Pages::new(texts.len(), "slides", Engine::Pptx, &limits, &mut progress).unwrap();
        let mut draft = Draft::new(&limits);
        for text in texts {
            pages.begin(&mut draft).unwrap();
            draft.push(text).unwrap();
            pages.end(&draft, PageState::Empty);
        }
        let pages = pages.finish();
        assert_eq!(told.len(), texts.len());
        (
            draft.finish().0,
            pages.iter().map(|p| (p.start, p.end)).collect(),
        )
    }

    #[test]
    fn white_space_is_of_no_page() {
        let (text, ranges) = ranges(&["", "one\n\n", " ", "  two ", "", ""]);
        assert_eq!(text, "one\n\n \n\n  two");
        assert_eq!(
            ranges,
            [(0, 0), (0, 3), (3, 3), (10, 13), (13, 13), (13, 13)]
        );
    }

    #[test]
    fn too_many_pages_are_refused() {
        let limits = Limits {
            max_pages: 2,
            ..Limits::default()
        };
        let mut progress = |_| {};
        let refused = Pages::new(3, "sheets", Engine::Xlsx, &limits, &mut progress);
        assert_eq!(refused.err().unwrap().code, FailureCode::TooLarge);
    }
}
