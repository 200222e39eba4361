//! Vectors made of hashed words: texts that share words are alike.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use unicode_segmentation::UnicodeSegmentation;

use super::{
    gate::Gate,
    trouble::{Mood, Trouble},
};
use crate::{
    domain::{Component, EmbedderIdentity, Embedding, bm25},
    ports::{EmbedKind, Embedder, PortError},
};

/// An [`Embedder`] without a model. Each word adds ±1 at a few places given by its hash; the sum is
/// brought to unit length. A token is a word or a mark of punctuation.
#[derive(Debug)]
pub struct HashEmbedder {
    identity: EmbedderIdentity,
    mood: Mood,
    embedded: AtomicUsize,
    /// Calls that still pass, and the gate that the others wait at. Held for a look only.
    gate: Mutex<Option<(usize, Gate)>>,
    /// Kinds in the order of the calls. Held for a push or a clone only.
    calls: Mutex<Vec<(EmbedKind, usize)>>,
}

impl Default for HashEmbedder {
    fn default() -> Self {
        Self::new()
    }
}

impl HashEmbedder {
    /// 64 dimensions, 256 tokens, the name `hash-of-words`.
    #[must_use]
    pub fn new() -> Self {
        Self::with_identity(EmbedderIdentity {
            model: "hash-of-words".to_owned(),
            dimension: 64,
            max_tokens: 256,
        })
    }

    /// Any name and dimension.
    ///
    /// # Panics
    /// When the dimension is 0.
    #[must_use]
    pub fn with_identity(identity: EmbedderIdentity) -> Self {
        assert!(identity.dimension > 0, "a vector needs a dimension");
        Self {
            identity,
            mood: Mood::good(Component::Embedder),
            embedded: AtomicUsize::new(0),
            gate: Mutex::default(),
            calls: Mutex::default(),
        }
    }

    /// From now on every call to `embed` meets this.
    pub fn trouble(&self, trouble: Trouble) {
        self.mood.set(Some(trouble));
    }

    /// Ends the trouble; hanging calls go on.
    pub fn recover(&self) {
        self.mood.set(None);
    }

    /// Calls to `embed` wait at `gate` once `more` others have passed.
    pub fn hold_after(&self, more: usize, gate: &Gate) {
        *self.gate.lock().expect("no holder of this lock panics") = Some((more, gate.clone()));
    }

    /// The gate, when it is this call's turn to wait.
    fn held(&self) -> Option<Gate> {
        let mut gate = self.gate.lock().expect("no holder of this lock panics");
        match gate.as_mut() {
            Some((0, gate)) => Some(gate.clone()),
            Some((more, _)) => {
                *more -= 1;
                None
            }
            None => None,
        }
    }

    /// Texts embedded so far.
    #[must_use]
    pub fn embedded(&self) -> usize {
        self.embedded.load(Ordering::SeqCst)
    }

    /// Each call so far: its kind and its number of texts.
    #[must_use]
    pub fn calls(&self) -> Vec<(EmbedKind, usize)> {
        self.calls
            .lock()
            .expect("no holder of this lock panics")
            .clone()
    }

    /// The vector of one text.
    #[must_use]
    pub fn vector(&self, text: &str) -> Embedding {
        let dimension = self.identity.dimension;
        let mut sum = vec![0_f32; dimension];
        let words = text
            .split_word_bounds()
            .filter(|piece| !piece.trim().is_empty())
            .take(self.identity.max_tokens)
            .filter(|piece| piece.chars().any(char::is_alphanumeric));
        for word in words {
            let mut hash = bm25::term_id(&word.to_lowercase());
            // Four places a word: with 64 dimensions two different words are rarely alike.
            for _ in 0..4 {
                let sign = if hash & 1 == 0 { 1.0 } else { -1.0 };
                sum[(hash >> 1) as usize % dimension] += sign;
                hash = hash.wrapping_mul(0x9E37_79B1).rotate_left(13) ^ 0x85EB_CA6B;
            }
        }
        let length = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
        if length == 0.0 {
            // No words, or words that cancel out: still of unit length, as promised.
            sum[0] = 1.0;
        } else {
            sum.iter_mut().for_each(|x| *x /= length);
        }
        Embedding(sum)
    }
}

#[async_trait]
impl Embedder for HashEmbedder {
    fn identity(&self) -> EmbedderIdentity {
        self.identity.clone()
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.split_word_bounds()
            .filter(|piece| !piece.trim().is_empty())
            .count()
    }

    async fn embed(
        &self,
        texts: Vec<String>,
        kind: EmbedKind,
    ) -> Result<Vec<Embedding>, PortError> {
        self.calls
            .lock()
            .expect("no holder of this lock panics")
            .push((kind, texts.len()));
        if let Some(gate) = self.held() {
            gate.pass().await;
        }
        self.mood.check().await?;
        self.embedded.fetch_add(texts.len(), Ordering::SeqCst);
        Ok(texts.iter().map(|text| self.vector(text)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn likeness(a: &str, b: &str) -> f32 {
        let embedder = HashEmbedder::new();
        let (a, b) = (embedder.vector(a), embedder.vector(b));
        a.0.iter().zip(&b.0).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn shared_words_make_texts_alike() {
        assert!(likeness("the rent is due monthly", "when is the rent due") > 0.5);
        assert!(likeness("the rent is due monthly", "cats chase mice") < 0.3);
        assert!(likeness("Rent", "rent") > 0.999);
    }

    #[tokio::test]
    async fn a_hanging_call_goes_on_after_recovery() {
        let embedder = HashEmbedder::new();
        embedder.trouble(Trouble::Hang);
        let call = embedder.embed(vec!["a".into()], EmbedKind::Query);
        tokio::pin!(call);
        assert!(futures::poll!(&mut call).is_pending());
        embedder.recover();
        assert_eq!(call.await.unwrap().len(), 1);
        assert_eq!(embedder.calls(), [(EmbedKind::Query, 1)]);
    }
}
