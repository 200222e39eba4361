//! Pages without text, read from the pictures on them: what to try, and what to believe of it.
//!
//! A page whose pictures give nothing, or nothing that reads like a text, stays as it was; no failure
//! here is the document's.

mod words;

use std::fs::File;

use async_trait::async_trait;

use super::{
    extract::{ExtractError, Extracted, Progress, reads_like_text, tidied},
    jail::{Extractor, NotRecognised, Recognizer, Wanted},
    reader::{Reader, Source},
};
use crate::domain::{MediaType, PageState};
use words::Page;

/// Mean confidence below which a page is not believed. Measured on the sample scans: 75 to 95 the right
/// way up, 12 to 27 upside down.
const MIN_CONFIDENCE: f32 = 50.0;

/// Mean confidence from which on a picture need not be tried the other way up.
const SURE: f32 = 70.0;

/// Pages that fail one after the other before the rest of the document is left alone: something is
/// wrong with the installation then, and each page would say so again.
const MAX_FAILURES: usize = 3;

/// Reads documents, and recognises the letters of those of their pages that hold none.
pub struct WithPictures {
    pub extractor: Extractor,
    pub recognizer: Recognizer,
}

#[async_trait]
impl Reader for WithPictures {
    async fn read(
        &self,
        original: File,
        source: &Source,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Extracted, ExtractError> {
        let again = original.try_clone();
        let extracted = self.extractor.read(original, source, progress).await?;
        match again {
            Ok(original) if extracted.media_type == MediaType::Pdf => {
                Ok(self.complete(extracted, &original, source, progress).await)
            }
            _ => Ok(extracted),
        }
    }
}

impl WithPictures {
    async fn complete(
        &self,
        extracted: Extracted,
        original: &File,
        source: &Source,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Extracted {
        let without: Vec<u32> = extracted
            .pages
            .iter()
            .filter(|page| page.state != PageState::Text)
            .map(|page| page.page)
            .collect();
        let of = extracted.pages.len() as u32;
        let mut recognised = Vec::new();
        let mut failures = 0;
        for (done, page) in without.iter().enumerate() {
            progress(Progress {
                page: of - (without.len() - done) as u32,
                of,
            });
            match self.page(original, source, *page).await {
                Ok(Some(text)) => recognised.push((*page, text)),
                Ok(None) => {}
                Err(error) => {
                    failures += 1;
                    if failures == 1 {
                        tracing::warn!(page, %error, "a page without text could not be read from its picture");
                    }
                    if failures == MAX_FAILURES && recognised.is_empty() {
                        break;
                    }
                }
            }
        }
        if !without.is_empty() {
            tracing::info!(
                without_text = without.len(),
                recognised = recognised.len(),
                failures,
                "pages without text were read from their pictures"
            );
        }
        extracted.with_recognised(recognised, self.extractor.limits())
    }

    /// The text of the pictures on a page, when there is any to believe.
    async fn page(
        &self,
        original: &File,
        source: &Source,
        page: u32,
    ) -> Result<Option<String>, NotRecognised> {
        let mut texts: Vec<String> = Vec::new();
        for nth in 0.. {
            let as_it_stands = Wanted {
                page,
                nth,
                turn: false,
            };
            let Some((mut best, more)) = self.look(original, source, as_it_stands).await? else {
                break;
            };
            // Upside down it looks like text, of which hardly a word can be read.
            if best.words > 0 && best.confidence < SURE {
                let turned = Wanted {
                    turn: true,
                    ..as_it_stands
                };
                if let Ok(Some((other, _))) = self.look(original, source, turned).await
                    && other.confidence > best.confidence
                {
                    best = other;
                }
            }
            let text = tidied(&best.text);
            if best.confidence >= MIN_CONFIDENCE && reads_like_text(&text) {
                texts.push(text);
            }
            if !more {
                break;
            }
        }
        Ok((!texts.is_empty()).then(|| texts.join("\n\n")))
    }

    /// What Tesseract makes of a picture, and whether there are further ones on the page.
    async fn look(
        &self,
        original: &File,
        source: &Source,
        wanted: Wanted,
    ) -> Result<Option<(Page, bool)>, NotRecognised> {
        let password = source.password.as_ref();
        let table = self.recognizer.words(original, password, wanted).await?;
        Ok(table.map(|table| (Page::of(&table.text), table.more)))
    }
}
