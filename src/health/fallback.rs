//! Several language models in order: the first that works is asked.
//!
//! A model that rests is skipped without waiting, so after its first faults a lost server costs
//! nothing. The next one is asked only as long as nothing of a reply was seen: a reply is never
//! continued by another model. It does not know what the models are.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use futures::{StreamExt, stream};

use crate::{
    domain::Component,
    ports::{ChatRequest, ChatStream, LanguageModel, PortError},
};

/// A ladder of language models.
pub struct Fallback {
    rungs: Vec<Arc<dyn LanguageModel>>,
    /// The one that began the last reply, whose name is shown.
    last: AtomicUsize,
}

impl Fallback {
    /// Asks `rungs` in order. Each should be guarded by a gate of its own.
    #[must_use]
    pub fn new(rungs: Vec<Arc<dyn LanguageModel>>) -> Self {
        Self {
            rungs,
            last: AtomicUsize::new(0),
        }
    }
}

/// Begins a reply and waits for its first item, so that a model which breaks before it is left for
/// the next.
async fn begin(model: &dyn LanguageModel, request: ChatRequest) -> Result<ChatStream, PortError> {
    let mut reply = model.chat(request).await?;
    match reply.next().await {
        Some(Ok(first)) => Ok(Box::pin(stream::iter([Ok(first)]).chain(reply))),
        Some(Err(error)) => Err(error),
        None => Err(PortError::unavailable(
            Component::LanguageModel,
            "its reply ended before it began",
        )),
    }
}

#[async_trait]
impl LanguageModel for Fallback {
    /// Of the model that began the last reply; before any reply, of the first.
    fn name(&self) -> String {
        self.rungs
            .get(self.last.load(Ordering::Relaxed))
            .map(|model| model.name())
            .unwrap_or_default()
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, PortError> {
        let mut first_error = None;
        for (index, model) in self.rungs.iter().enumerate() {
            let is_last = index + 1 == self.rungs.len();
            let reply = if is_last {
                model.chat(request.clone()).await
            } else {
                begin(model.as_ref(), request.clone()).await
            };
            match reply {
                Ok(reply) => {
                    self.last.store(index, Ordering::Relaxed);
                    return Ok(reply);
                }
                Err(error) => {
                    tracing::debug!(model = model.name(), %error, "the next language model is asked");
                    first_error.get_or_insert(error);
                }
            }
        }
        // The preferred model's reason says most.
        Err(first_error.unwrap_or_else(|| {
            PortError::unavailable(Component::LanguageModel, "none is configured")
        }))
    }
}
