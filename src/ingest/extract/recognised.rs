//! Texts that were found later, put in the places of their pages.

use super::{Engine, Extracted, ExtractedPage, Limits, draft::clean_into};
use crate::domain::PageState;

impl Extracted {
    /// The document with the text of pages that had none (their number, counting from 1, in order). What
    /// would outgrow the limit on the text is left out.
    #[must_use]
    pub fn with_recognised(self, recognised: Vec<(u32, String)>, limits: &Limits) -> Self {
        if recognised.is_empty() {
            return self;
        }
        let old = self;
        let mut text = String::with_capacity(old.text.len());
        let mut pages = Vec::with_capacity(old.pages.len());
        let mut found = recognised.into_iter().peekable();
        for page in &old.pages {
            let kept = old.page_text(page);
            let mut given = String::new();
            while found.next_if(|(number, _)| *number < page.page).is_some() {}
            if let Some((_, new)) = found.next_if(|(number, _)| *number == page.page)
                && kept.trim().is_empty()
            {
                clean_into(new.trim(), &mut given);
            }
            // What was there comes first, on the pages that follow, too.
            let follows = (old.text.len() as u64).saturating_sub(page.end);
            let room = limits
                .max_text_bytes
                .saturating_sub(text.len() as u64 + 2 + follows);
            let recognised = !given.is_empty() && given.len() as u64 <= room;
            let piece = if recognised { given.as_str() } else { kept };
            if !piece.is_empty() && !text.is_empty() {
                text.push_str("\n\n");
            }
            let start = text.len() as u64;
            text.push_str(piece);
            pages.push(ExtractedPage {
                start,
                end: text.len() as u64,
                chars: piece.chars().count() as u64,
                state: if recognised {
                    PageState::Text
                } else {
                    page.state
                },
                engine: if recognised {
                    Engine::Tesseract
                } else {
                    page.engine
                },
                page: page.page,
            });
        }
        let mut sections = old.sections;
        for section in &mut sections {
            // Pages were moved as wholes.
            let after = old.pages.partition_point(|p| p.start <= section.start);
            let at = after.saturating_sub(1);
            if let (Some(before), Some(now)) = (old.pages.get(at), pages.get(at)) {
                section.start =
                    (now.start + section.start.saturating_sub(before.start)).min(now.end);
            }
        }
        Self {
            text,
            pages,
            sections,
            media_type: old.media_type,
            title: old.title,
            paged: old.paged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Section, *};
    use crate::domain::MediaType;

    /// Pages of these texts, parted by blank lines, each with a section at its beginning.
    fn document(texts: &[&str]) -> Extracted {
        let mut text = String::new();
        let (mut pages, mut sections) = (Vec::new(), Vec::new());
        for (page, number) in texts.iter().zip(1..) {
            if !page.is_empty() && !text.is_empty() {
                text.push_str("\n\n");
            }
            let start = text.len() as u64;
            text.push_str(page);
            pages.push(ExtractedPage {
                page: number,
                start,
                end: text.len() as u64,
                state: if page.is_empty() {
                    PageState::Empty
                } else {
                    PageState::Text
                },
                chars: page.chars().count() as u64,
                engine: Engine::Unpdf,
            });
            if !page.is_empty() {
                let title = page.split_whitespace().collect::<Vec<_>>().join(" ");
                sections.push(Section {
                    start,
                    level: 1,
                    path: title.clone(),
                    title,
                });
            }
        }
        Extracted {
            media_type: MediaType::Pdf,
            title: None,
            text,
            paged: true,
            pages,
            sections,
        }
    }

    #[track_caller]
    fn check(texts: &[&str], recognised: &[(u32, &str)], expected: &str) {
        let given = recognised.iter().map(|(n, t)| (*n, (*t).to_owned()));
        let done = document(texts).with_recognised(given.collect(), &Limits::default());
        done.check().unwrap();
        assert_eq!(done.text, expected);
        for section in &done.sections {
            assert!(done.text[section.start as usize..].starts_with(&section.title));
        }
        for page in &done.pages {
            let by_picture = page.engine == Engine::Tesseract;
            let given = recognised.iter().any(|(n, t)| {
                *n == page.page && !t.is_empty() && texts[*n as usize - 1].is_empty()
            });
            assert_eq!(by_picture, given, "page {}", page.page);
        }
    }

    #[test]
    fn texts_take_the_places_of_their_pages() {
        check(
            &["", "b", ""],
            &[(1, "ä\u{1}"), (3, "c\r\n")],
            "ä\n\nb\n\nc",
        );
        check(
            &["a", "", "", "d"],
            &[(2, "b"), (3, "c")],
            "a\n\nb\n\nc\n\nd",
        );
        check(&["a", "", "c"], &[], "a\n\nc");
        check(&["", ""], &[(2, "only")], "only");
        check(&["a"], &[(1, "other")], "a");
        check(&["", "b"], &[(1, "")], "b");
    }

    #[test]
    fn the_limit_on_the_text_holds() {
        let limits = Limits {
            max_text_bytes: 10,
            ..Limits::default()
        };
        let recognised = vec![(1, "12345".to_owned()), (2, "6789".to_owned())];
        let done = document(&["", ""]).with_recognised(recognised, &limits);
        done.check().unwrap();
        assert_eq!(
            (done.text.as_str(), done.pages[1].state),
            ("12345", PageState::Empty)
        );
    }

    proptest::proptest! {
        /// Whatever was recognised where, the document holds together.
        #[test]
        fn every_document_holds_together(
            texts in proptest::collection::vec("[aß\\n ]{0,3}", 1..6),
            recognised in proptest::collection::btree_map(0_u32..8, "\\PC{0,4}|[\\x00-\\x20ß]{0,4}", 0..6),
            max_text_bytes in 0_u64..40,
        ) {
            let texts: Vec<&str> = texts.iter().map(|text| text.trim()).collect();
            let limits = Limits { max_text_bytes, ..Limits::default() };
            let document = document(&texts);
            let before = document.text.len() as u64;
            let done = document.with_recognised(recognised.into_iter().collect(), &limits);
            proptest::prop_assert_eq!(done.check(), Ok(()));
            // What was there stays, and what came is within the limit.
            proptest::prop_assert!(done.text.len() as u64 <= before.max(max_text_bytes) + 2 * texts.len() as u64);
        }
    }
}
