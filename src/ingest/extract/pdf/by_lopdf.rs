//! PDF pages through lopdf: text in the order of the content stream, quick and tolerant of damage.

use std::panic::{AssertUnwindSafe, catch_unwind};

use lopdf::{Document, LoadOptions, ObjectId};

use super::{
    super::{ExtractError, bidi},
    tidy::tidy,
};

/// Bytes that one stream may inflate to; an eighth of the child's memory by default.
const MAX_STREAM_BYTES: usize = 64 * 1024 * 1024;

/// Fonts of one file that are looked at for ligatures.
const MAX_FONTS: usize = 2_000;

/// Bytes of one font's map to Unicode. A map of all 65,536 codes, one line each, has about 1 MiB.
const MAX_MAP_BYTES: usize = 4 * 1024 * 1024;

/// A document that lopdf could open.
pub(super) struct File {
    document: Document,
    pages: Vec<(u32, ObjectId)>,
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
    /// Opens a file, with the empty password where it is encrypted.
    ///
    /// # Errors
    /// `encrypted` or `damaged`.
    pub(super) fn open(bytes: &[u8]) -> Result<Self, ExtractError> {
        let options = LoadOptions {
            password: Some(String::new()),
            max_decompressed_size: Some(MAX_STREAM_BYTES),
            ..LoadOptions::default()
        };
        let loaded = catch_unwind(AssertUnwindSafe(|| {
            Document::load_mem_with_options(bytes, options)
        }));
        let document = match loaded {
            Ok(Ok(document)) => document,
            Ok(Err(lopdf::Error::InvalidPassword | lopdf::Error::Decryption(_))) => {
                return Err(super::encrypted());
            }
            Ok(Err(error)) => return Err(super::damaged(&error.to_string())),
            Err(_) => return Err(super::damaged("the reader gave up on it")),
        };
        // lopdf loads what it cannot decrypt, and then every page gives an empty text.
        if document.is_encrypted() && document.encryption_state.is_none() {
            return Err(super::encrypted());
        }
        let pages = catch_unwind(AssertUnwindSafe(|| document.get_pages()));
        let pages = pages.map_err(|_| super::damaged("its page tree cannot be read"))?;
        Ok(Self {
            pages: pages.into_iter().collect(),
            document,
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

    /// The file once more, with every font telling the ligatures of lam and alef as one character.
    ///
    /// A font maps that glyph to two letters in reading order. unpdf turns a line of Arabic around
    /// letter by letter, so the two would change places (`اإل` for `الإ`); one character cannot. It is
    /// unfolded to its letters afterwards. `None` when no font has such a mapping, or the file is
    /// encrypted.
    pub(super) fn with_whole_ligatures(&self) -> Option<Vec<u8>> {
        if self.document.encryption_state.is_some() {
            return None;
        }
        let maps = self.document.objects.values().filter_map(|object| {
            let font = object.as_dict().ok()?;
            font.get(b"ToUnicode").ok()?.as_reference().ok()
        });
        let mut changed = Vec::new();
        for id in maps.take(MAX_FONTS) {
            let Ok(stream) = self
                .document
                .get_object(id)
                .and_then(lopdf::Object::as_stream)
            else {
                continue;
            };
            let plain = stream.decompressed_content_with_limit(MAX_MAP_BYTES);
            if let Some(map) = plain.ok().as_deref().and_then(with_one_character) {
                changed.push((id, map));
            }
        }
        if changed.is_empty() {
            return None;
        }
        catch_unwind(AssertUnwindSafe(|| {
            let mut document = self.document.clone();
            for (id, map) in changed {
                let stream = document.get_object_mut(id).ok()?.as_stream_mut().ok()?;
                stream.set_plain_content(map);
            }
            let mut bytes = Vec::new();
            document.save_to(&mut bytes).ok()?;
            Some(bytes)
        }))
        .ok()
        .flatten()
    }
}

/// A font's map with lam and alef (U+0644 and one of four) as the isolated ligature of the two.
fn with_one_character(map: &[u8]) -> Option<Vec<u8>> {
    const LIGATURES: [(&str, &str); 4] = [
        ("<06440622>", "<FEF5>"),
        ("<06440623>", "<FEF7>"),
        ("<06440625>", "<FEF9>"),
        ("<06440627>", "<FEFB>"),
    ];
    let text = std::str::from_utf8(map).ok()?;
    // Digits only: these numbers have no letters to differ in case.
    let found = LIGATURES.iter().any(|(two, _)| text.contains(two));
    found.then(|| {
        let mut text = text.to_owned();
        for (two, one) in LIGATURES {
            text = text.replace(two, one);
        }
        text.into_bytes()
    })
}
