//! Vectors from the Ollama API (`/api/embed`).

use async_trait::async_trait;
use ollama_rs::generation::embeddings::{
    GenerateEmbeddingsResponse,
    request::{EmbeddingsInput, GenerateEmbeddingsRequest},
};

use super::{Connection, Source, failure::Failure};
use crate::{
    domain::{Component, EmbedderIdentity, Embedding},
    ports::{EmbedKind, Embedder, PortError},
};

/// Tokens read of a text where the server does not say how long its model's context is: that of the
/// smallest models in use (MiniLM, BGE-small: 256 and 512).
const SMALLEST_CONTEXT: usize = 256;

/// An embedding model behind the Ollama API.
#[derive(Debug, Clone)]
pub struct OllamaEmbedder {
    connection: Connection,
    identity: EmbedderIdentity,
}

impl OllamaEmbedder {
    /// Asks `source` for one vector of `model`, which tells its dimension, and for its context.
    ///
    /// # Errors
    /// As [`PortError`] says: a vector store cannot be opened before the dimension is known.
    pub async fn connect(source: impl Into<Source>, model: &str) -> Result<Self, PortError> {
        let connection = Connection::new(source.into(), Component::Embedder)?;
        let mut embedder = Self {
            connection,
            identity: EmbedderIdentity {
                model: model.to_owned(),
                dimension: 0,
                max_tokens: SMALLEST_CONTEXT,
            },
        };
        let vectors = embedder.vectors(vec!["dimension".to_owned()]).await?;
        embedder.identity.dimension = vectors.first().map_or(0, Vec::len);
        if embedder.identity.dimension == 0 {
            return Err(PortError::Refused {
                component: Component::Embedder,
                reason: format!("the model {model} gives empty vectors; is it an embedding model?"),
            });
        }
        if let Some(tokens) = embedder.context().await {
            embedder.identity.max_tokens = tokens;
        }
        Ok(embedder)
    }

    /// The model's context in tokens, where the server says it.
    async fn context(&self) -> Option<usize> {
        let model = self.identity.model.clone();
        let details = self.connection.client().ok()?.show_model_info(model).await;
        let context = details
            .ok()?
            .model_info
            .iter()
            .find(|(key, _)| key.ends_with(".context_length"))?
            .1
            .as_u64()?;
        usize::try_from(context).ok().filter(|tokens| *tokens > 0)
    }

    async fn vectors(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, PortError> {
        let component = Component::Embedder;
        let count = texts.len();
        let request = GenerateEmbeddingsRequest::new(
            self.identity.model.clone(),
            EmbeddingsInput::Multiple(texts),
        )
        .truncate(true);
        let response = self.connection.post("api/embed", &request).await?;
        let bytes = response
            .bytes()
            .await
            .map_err(|error| Failure::Broken(error.without_url()).at(component))?;
        let response: GenerateEmbeddingsResponse = serde_json::from_slice(&bytes)
            .map_err(|error| Failure::Garbled(error).at(component))?;
        if response.embeddings.len() == count {
            Ok(response.embeddings)
        } else {
            Err(Failure::Miscounted {
                asked: count,
                given: response.embeddings.len(),
            }
            .at(component))
        }
    }
}

/// Scales to unit length; Ollama does so itself for most models, not for all.
fn unit(mut vector: Vec<f32>) -> Option<Embedding> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if !length.is_finite() || length == 0.0 {
        return None;
    }
    for x in &mut vector {
        *x /= length;
    }
    Some(Embedding(vector))
}

/// Tokens of a text, on the high side for the word pieces and byte pairs of embedding models: three
/// letters or digits a token, and each other character one of its own (two where it takes more than
/// two bytes, as CJK and emoji do).
fn estimate(text: &str) -> usize {
    let mut tokens = 0;
    let mut word = 0_usize;
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            word += 1;
            continue;
        }
        tokens += word.div_ceil(3);
        word = 0;
        if !c.is_whitespace() {
            tokens += if c.len_utf8() > 2 { 2 } else { 1 };
        }
    }
    tokens + word.div_ceil(3)
}

#[async_trait]
impl Embedder for OllamaEmbedder {
    fn identity(&self) -> EmbedderIdentity {
        self.identity.clone()
    }

    fn count_tokens(&self, text: &str) -> usize {
        estimate(text)
    }

    async fn embed(
        &self,
        texts: Vec<String>,
        _kind: EmbedKind,
    ) -> Result<Vec<Embedding>, PortError> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let dimension = self.identity.dimension;
        self.vectors(texts)
            .await?
            .into_iter()
            .map(|vector| {
                if vector.len() == dimension {
                    unit(vector)
                } else {
                    None
                }
            })
            .collect::<Option<_>>()
            .ok_or_else(|| Failure::NotAVector { dimension }.at(Component::Embedder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_estimates_are_on_the_high_side() {
        // Beside each, what MiniLM's word pieces make of it.
        for (text, word_pieces) in [
            ("", 0),
            ("Rent is due on the first day of each month.", 11),
            ("internationalisation", 3),
            ("§ 4.2 (b)", 7),
            ("家賃は毎月", 5),
        ] {
            assert!(estimate(text) >= word_pieces, "{text}: {}", estimate(text));
        }
    }

    #[test]
    fn vectors_are_scaled_to_unit_length() {
        assert_eq!(unit(vec![3.0, 4.0]), Some(Embedding(vec![0.6, 0.8])));
        assert_eq!(unit(vec![0.0, 0.0]), None);
        assert_eq!(unit(vec![f32::NAN, 1.0]), None);
    }
}
