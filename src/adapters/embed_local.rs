//! The embedding model in process: tokens, batches, the model, pooling.
//!
//! Knows the MiniLM models of the manifest by name. Nothing is read before it is needed: the tokenizer
//! at the first count, the weights at the first text (so a daemon that waits is small, and weights that
//! arrive later are found without a restart). The model runs on threads of its own; what waits for it
//! waits in two bounded queues. Questions do not wait for passages, and passages give way to them.

mod lane;
mod model;
mod task;
mod tokens;
mod worker;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::{
    domain::{Component, EmbedderIdentity, Embedding},
    ports::{EmbedKind, Embedder, PortError},
};
use lane::{Job, Lanes};
use tokens::Tokens;
use worker::Workers;

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No such model.
    #[error(
        "there is no embedding model {given:?}; `embed.model` can be {}",
        names()
    )]
    UnknownModel { given: String },
    /// Its files are not there.
    #[error(
        "{} is missing; fetch it with `griot models pull {model}`",
        path.display()
    )]
    Missing { path: PathBuf, model: &'static str },
    /// A file is there and cannot be used.
    #[error(
        "{} cannot be used: {reason}; check it with `griot models verify` and fetch it again with \
         `griot models pull {model}`",
        path.display()
    )]
    Damaged {
        path: PathBuf,
        model: &'static str,
        reason: String,
    },
}

/// A model by its name in the manifest.
#[derive(Debug, Clone, Copy)]
struct Known {
    name: &'static str,
    dimension: usize,
    /// Tokens of a text, `[CLS]` and `[SEP]` included. all-MiniLM-L6-v2 was trained on sequences of
    /// 256 (`max_seq_length` of its sentence-transformers configuration).
    sequence: usize,
}

const KNOWN: [Known; 2] = [
    Known {
        name: "minilm-l6",
        dimension: 384,
        sequence: 256,
    },
    Known {
        name: "minilm-l6-int8",
        dimension: 384,
        sequence: 256,
    },
];

/// Tokens that are added to every text.
const SPECIAL: usize = 2;

fn names() -> String {
    KNOWN.map(|known| format!("{:?}", known.name)).join(" or ")
}

/// How to run the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Threads for questions together, and for passages one each. 0: one per core.
    pub threads: usize,
    /// Texts of one run.
    pub batch: usize,
}

/// An [`Embedder`] on this machine's processor. Dropping it ends its threads, which finish the batch
/// they are at.
#[derive(Debug)]
pub struct LocalEmbedder {
    known: Known,
    folder: PathBuf,
    tokens: Arc<Tokens>,
    lanes: Arc<Lanes>,
    _workers: Workers,
}

/// The model `name` of the weights folder `dir`: `DIR/NAME/model.onnx` and `DIR/NAME/tokenizer.json`.
/// Only the name is looked at now; [`LocalEmbedder::check`] says whether the files are there.
///
/// # Errors
/// [`LoadError::UnknownModel`].
pub fn load(dir: &Path, name: &str, options: Options) -> Result<LocalEmbedder, LoadError> {
    let known = KNOWN
        .into_iter()
        .find(|known| known.name == name)
        .ok_or_else(|| LoadError::UnknownModel {
            given: name.to_owned(),
        })?;
    let folder = dir.join(known.name);
    let tokens = Arc::new(Tokens::new(&folder, known));
    let lanes = Arc::new(Lanes::new());
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let workers = Workers::start(
        model::Source {
            path: folder.join("model.onnx"),
            known,
        },
        Arc::clone(&lanes),
        options.batch.max(1),
        threads,
    );
    Ok(LocalEmbedder {
        known,
        folder,
        tokens,
        lanes,
        _workers: workers,
    })
}

impl LocalEmbedder {
    /// Whether the model's files are there (not whether they are whole).
    ///
    /// # Errors
    /// [`LoadError::Missing`], naming the first that is not.
    pub fn check(&self) -> Result<(), LoadError> {
        for file in ["model.onnx", "tokenizer.json"] {
            let path = self.folder.join(file);
            if !path.is_file() {
                return Err(LoadError::Missing {
                    path,
                    model: self.known.name,
                });
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Embedder for LocalEmbedder {
    /// `max_tokens` is without the two special tokens, as [`Self::count_tokens`] counts.
    fn identity(&self) -> EmbedderIdentity {
        EmbedderIdentity {
            model: self.known.name.to_owned(),
            dimension: self.known.dimension,
            max_tokens: self.known.sequence - SPECIAL,
        }
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.tokens.count(text)
    }

    async fn embed(
        &self,
        texts: Vec<String>,
        kind: EmbedKind,
    ) -> Result<Vec<Embedding>, PortError> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let permit = self.lanes.permit(kind).await;
        let (reply, answer) = oneshot::channel();
        self.lanes.push(Job {
            texts,
            kind,
            tokens: Arc::clone(&self.tokens),
            reply,
            permit,
        });
        answer
            .await
            // The workers answer every job, unless they are gone.
            .unwrap_or_else(|_| {
                Err(PortError::unavailable(
                    Component::Embedder,
                    "the embedding threads have stopped",
                ))
            })
    }
}
