//! Texts to the model's token numbers, and their count.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use tokenizers::Tokenizer;

use super::{Known, LoadError, SPECIAL};

/// The tokenizer of a model, read at first use.
pub(super) struct Tokens {
    path: PathBuf,
    known: Known,
    loaded: OnceLock<Loaded>,
}

struct Loaded {
    tokenizer: Tokenizer,
    /// `[CLS]` and `[SEP]`, which stand around every text.
    first: u32,
    last: u32,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Tokens {
    pub(super) fn new(folder: &Path, known: Known) -> Self {
        Self {
            path: folder.join("tokenizer.json"),
            known,
            loaded: OnceLock::new(),
        }
    }

    /// Tokens of `text` without the special ones. Without the tokenizer's file it is an estimate on the
    /// high side: two letters a token, and one token for each letter of other scripts.
    pub(super) fn count(&self, text: &str) -> usize {
        let counted = self.loaded().ok().and_then(|loaded| {
            let encoding = loaded.tokenizer.encode_fast(text, false).ok()?;
            Some(encoding.len())
        });
        counted.unwrap_or_else(|| {
            let ascii = text.bytes().filter(u8::is_ascii).count();
            ascii.div_ceil(2) + text.chars().filter(|c| !c.is_ascii()).count()
        })
    }

    /// The numbers of `text` with the special ones around, cut to what the model reads.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<i32>, LoadError> {
        let loaded = self.loaded()?;
        let encoding = loaded
            .tokenizer
            .encode_fast(text, false)
            .map_err(|error| self.damaged(error.to_string()))?;
        let inner = encoding.get_ids();
        let inner = &inner[..inner.len().min(self.known.sequence - SPECIAL)];
        Ok(std::iter::once(loaded.first)
            .chain(inner.iter().copied())
            .chain(std::iter::once(loaded.last))
            .map(u32::cast_signed)
            .collect())
    }

    fn loaded(&self) -> Result<&Loaded, LoadError> {
        if let Some(loaded) = self.loaded.get() {
            return Ok(loaded);
        }
        // Two threads may read it at once; one copy is kept.
        let loaded = self.load()?;
        Ok(self.loaded.get_or_init(|| loaded))
    }

    fn load(&self) -> Result<Loaded, LoadError> {
        if !self.path.is_file() {
            return Err(LoadError::Missing {
                path: self.path.clone(),
                model: self.known.name,
            });
        }
        let mut tokenizer =
            Tokenizer::from_file(&self.path).map_err(|error| self.damaged(error.to_string()))?;
        // Files of sentence-transformers pad to a fixed length; here a batch is padded to its longest,
        // and a text is cut only when it is embedded.
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(None)
            .map_err(|error| self.damaged(error.to_string()))?;
        let special = |token| {
            tokenizer
                .token_to_id(token)
                .ok_or_else(|| self.damaged(format!("it has no token {token}")))
        };
        Ok(Loaded {
            first: special("[CLS]")?,
            last: special("[SEP]")?,
            tokenizer,
        })
    }

    fn damaged(&self, reason: String) -> LoadError {
        LoadError::Damaged {
            path: self.path.clone(),
            model: self.known.name,
            reason,
        }
    }
}
