//! The model itself: token numbers in, unit vectors out.

use std::path::{Path, PathBuf};

use rten::{Model, ModelOptions, NodeId, RunOptions, Value, ValueOrView};
use rten_tensor::{AsView, Layout, NdTensor, NdTensorView};

use super::{Known, LoadError};
use crate::domain::Embedding;

/// Where a model comes from and how it is run.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) known: Known,
}

/// A loaded model.
pub(super) struct Loaded {
    model: Model,
    ids: NodeId,
    mask: NodeId,
    /// Absent in models that have one type of token only.
    types: Option<NodeId>,
    output: NodeId,
    known: Known,
}

/// Why a batch gave no vectors: the model is not what its name says.
#[derive(Debug, thiserror::Error)]
#[error("the embedding model did not run: {0}")]
pub(super) struct RunFailed(String);

impl RunFailed {
    pub(super) fn panicked(message: &str) -> Self {
        Self(format!("it panicked: {message}"))
    }
}

impl Source {
    /// Reads the weights: about a tenth of a second, 135 MB for the 32-bit model.
    pub(super) fn load(&self) -> Result<Loaded, LoadError> {
        let damaged = |reason: String| LoadError::Damaged {
            path: self.path.clone(),
            model: self.known.name,
            reason,
        };
        if !self.path.is_file() {
            return Err(LoadError::Missing {
                path: self.path.clone(),
                model: self.known.name,
            });
        }
        let model = load_model(&self.path).map_err(damaged)?;
        let input = |name| {
            model
                .find_node(name)
                .ok_or_else(|| damaged(format!("it has no input {name}")))
        };
        let output = ["last_hidden_state", "sentence_embedding"]
            .into_iter()
            .find_map(|name| model.find_node(name))
            .ok_or_else(|| damaged("it has no output last_hidden_state".to_owned()))?;
        Ok(Loaded {
            ids: input("input_ids")?,
            mask: input("attention_mask")?,
            types: model.find_node("token_type_ids"),
            output,
            known: self.known,
            model,
        })
    }
}

fn load_model(path: &Path) -> Result<Model, String> {
    ModelOptions::with_all_ops()
        // Weights in the order that products want: 40 MB more once loaded, and a question of 16 tokens
        // takes 6 ms of one core in place of 10. Batches of passages gain nothing.
        .prepack_weights(true)
        .load_file(path)
        .map_err(|error| error.to_string())
}

impl Loaded {
    /// One unit vector per text, each given as its token numbers (special ones included, never empty).
    /// The texts are padded to the longest, so give such as are of a length.
    /// `options` say on which threads.
    pub(super) fn run(
        &self,
        batch: &[&[i32]],
        options: &RunOptions,
    ) -> Result<Vec<Embedding>, RunFailed> {
        let longest = batch.iter().map(|ids| ids.len()).max().unwrap_or(0);
        let shape = [batch.len(), longest];
        let padded = |value: &dyn Fn(i32) -> i32| {
            let mut cells = Vec::with_capacity(batch.len() * longest);
            for ids in batch {
                cells.extend(ids.iter().map(|id| value(*id)));
                cells.resize(cells.len() + longest - ids.len(), 0);
            }
            NdTensor::from_data(shape, cells)
        };
        let mut inputs: Vec<(NodeId, ValueOrView)> = vec![
            (self.ids, padded(&|id| id).into()),
            (self.mask, padded(&|_| 1).into()),
        ];
        if let Some(types) = self.types {
            inputs.push((types, NdTensor::<i32, 2>::zeros(shape).into()));
        }
        let [output] = self
            .model
            .run_n(inputs, [self.output], Some(options.clone()))
            .map_err(|error| RunFailed(error.to_string()))?;
        let lengths: Vec<usize> = batch.iter().map(|ids| ids.len()).collect();
        self.pool(output, &lengths)
    }

    /// Unit vectors of the output: the mean over each text's tokens where there is one vector a token.
    fn pool(&self, output: Value, lengths: &[usize]) -> Result<Vec<Embedding>, RunFailed> {
        let shape = output.shape().to_vec();
        let size = self.known.dimension;
        let wrong = || RunFailed(format!("its output has the shape {shape:?}"));
        match *shape {
            [texts, tokens, values] if texts == lengths.len() && values == size => {
                let output: NdTensor<f32, 3> = output.try_into().map_err(|_| wrong())?;
                let view: NdTensorView<f32, 3> = output.view();
                let cells = view.to_contiguous();
                let cells = cells.data();
                Ok(lengths
                    .iter()
                    .zip(cells.chunks_exact(tokens * size))
                    .map(|(length, text)| unit(mean(&text[..length * size], size)))
                    .collect())
            }
            [texts, values] if texts == lengths.len() && values == size => {
                let output: NdTensor<f32, 2> = output.try_into().map_err(|_| wrong())?;
                let cells = output.view().to_contiguous();
                Ok(cells
                    .data()
                    .chunks_exact(size)
                    .map(|text| unit(text.to_vec()))
                    .collect())
            }
            _ => Err(wrong()),
        }
    }
}

/// The mean of vectors of `size` values that lie one after another.
fn mean(vectors: &[f32], size: usize) -> Vec<f32> {
    let mut sum = vec![0.0; size];
    for vector in vectors.chunks_exact(size) {
        for (sum, value) in sum.iter_mut().zip(vector) {
            *sum += value;
        }
    }
    // Only the direction matters from here on, so the sum is not divided.
    sum
}

fn unit(mut vector: Vec<f32>) -> Embedding {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
    Embedding(vector)
}
