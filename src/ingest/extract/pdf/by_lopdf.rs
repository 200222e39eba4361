//! PDF pages through lopdf: text in the order of the content stream, quick and tolerant of damage.

use std::panic::{AssertUnwindSafe, catch_unwind};

use lopdf::{Document, LoadOptions, ObjectId};

use super::{
    super::{ExtractError, Password, bidi},
    entries::entries,
    mend::mend,
    tidy::tidy,
};

/// Bytes that one stream may inflate to; an eighth of the child's memory by default.
const MAX_STREAM_BYTES: usize = 64 * 1024 * 1024;

/// A document that lopdf could open.
pub(super) struct File {
    document: Document,
    pages: Vec<(u32, ObjectId)>,
    /// It is no longer what the file says: decrypted, or mended.
    changed: bool,
}

/// What a page draws, as far as its operators tell.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Drawn {
    /// Operators that show text.
    pub(super) texts: usize,
    /// Its content could not be decoded.
    pub(super) undecodable: bool,
}

impl File {
    /// Opens a file, with the empty password or the one given where it is encrypted: the user's or the
    /// owner's.
    ///
    /// # Errors
    /// `encrypted` or `damaged`.
    pub(super) fn open(bytes: &[u8], password: Option<&Password>) -> Result<Self, ExtractError> {
        let given = password.map_or("", Password::as_str);
        let options = LoadOptions {
            password: Some(given.to_owned()),
            max_decompressed_size: Some(MAX_STREAM_BYTES),
            ..LoadOptions::default()
        };
        let loaded = catch_unwind(AssertUnwindSafe(|| {
            Document::load_mem_with_options(bytes, options)
        }));
        let mut document = match loaded {
            Ok(Ok(document)) => document,
            Ok(Err(lopdf::Error::InvalidPassword | lopdf::Error::Decryption(_))) => {
                return Err(super::encrypted(password));
            }
            Ok(Err(error)) => return Err(super::damaged(&error.to_string())),
            Err(_) => return Err(super::damaged("the reader gave up on it")),
        };
        // lopdf loads what it cannot decrypt, and then every page gives an empty text.
        if document.is_encrypted() && document.encryption_state.is_none() {
            return Err(super::encrypted(password));
        }
        let mended = catch_unwind(AssertUnwindSafe(|| mend(&mut document)));
        let changed = document.encryption_state.is_some() || mended.unwrap_or(false);
        let pages = catch_unwind(AssertUnwindSafe(|| document.get_pages()));
        let pages = pages.map_err(|_| super::damaged("its page tree cannot be read"))?;
        Ok(Self {
            pages: pages.into_iter().collect(),
            document,
            changed,
        })
    }

    pub(super) fn page_count(&self) -> usize {
        self.pages.len()
    }

    /// The text of page `index`, counting from 0; `None` when it cannot be read.
    pub(super) fn page(&self, index: usize) -> Option<String> {
        let (number, _) = self.pages.get(index)?;
        let chunks = catch_unwind(AssertUnwindSafe(|| {
            self.document
                .extract_text_chunks_with_limit(&[*number], MAX_STREAM_BYTES)
        }))
        .ok()?;
        let failed = chunks.iter().filter(|c| c.is_err()).count();
        let text: String = chunks.into_iter().flatten().collect();
        // The stream holds each line of Hebrew or Arabic as it is seen.
        let lines: Vec<String> = text.split('\n').map(bidi::logical_order).collect();
        let text = tidy(&lines.join("\n"));
        (failed == 0 || !text.is_empty()).then_some(text)
    }

    /// What was written onto page `index`.
    pub(super) fn entries(&self, index: usize) -> Vec<String> {
        let Some((_, id)) = self.pages.get(index) else {
            return Vec::new();
        };
        catch_unwind(AssertUnwindSafe(|| entries(&self.document, *id))).unwrap_or_default()
    }

    /// What page `index` draws.
    pub(super) fn drawn(&self, index: usize) -> Drawn {
        let Some((_, id)) = self.pages.get(index) else {
            return Drawn::default();
        };
        let content = catch_unwind(AssertUnwindSafe(|| {
            self.document
                .get_page_content_with_limit(*id, MAX_STREAM_BYTES)
                .and_then(|bytes| lopdf::content::Content::decode(&bytes))
        }));
        match content {
            Ok(Ok(content)) => Drawn {
                texts: content
                    .operations
                    .iter()
                    .filter(|o| matches!(o.operator.as_str(), "Tj" | "TJ" | "'" | "\""))
                    .count(),
                undecodable: false,
            },
            _ => Drawn {
                texts: 0,
                undecodable: true,
            },
        }
    }

    /// `Title` of the document's information dictionary.
    pub(super) fn title(&self) -> Option<String> {
        let info = self.document.trailer.get(b"Info").ok()?;
        let info = match info.as_reference() {
            Ok(id) => self.document.get_dictionary(id).ok()?,
            Err(_) => info.as_dict().ok()?,
        };
        let title = info.get(b"Title").ok()?;
        lopdf::decode_text_string(title).ok()
    }

    /// The file as this reader has it, for the other one: decrypted, its fonts mended. `None` when
    /// that is the file as it was given, or it cannot be written.
    pub(super) fn rewritten(&mut self) -> Option<Vec<u8>> {
        if !self.changed {
            return None;
        }
        catch_unwind(AssertUnwindSafe(|| {
            let mut bytes = Vec::new();
            self.document.save_to(&mut bytes).ok()?;
            Some(bytes)
        }))
        .ok()
        .flatten()
    }
}
