//! Smart Turn: eight seconds of sound as Whisper sees it, to the probability that the turn is over.

use rten::{Model, RunOptions, ValueOrView};
use rten_tensor::{AsView, NdTensor};

use super::{LoadError, features};
use crate::domain::mel;

const NAME: &str = "smart-turn";

/// The probability that who spoke these samples has said what they wanted to say.
pub(super) fn probability(
    model: &Model,
    samples: &[f32],
    run: RunOptions,
) -> Result<f32, LoadError> {
    let wrong = |reason: String| LoadError::Run {
        model: NAME,
        reason,
    };
    let features = features::of_turn(samples);
    let shape = [1, mel::BANDS, features.len() / mel::BANDS];
    let input: ValueOrView = NdTensor::from_data(shape, features).into();
    let (&[input_id], &[output_id]) = (model.input_ids(), model.output_ids()) else {
        return Err(wrong("it has not one input and one output".to_owned()));
    };
    let [output] = model
        .run_n(vec![(input_id, input)], [output_id], Some(run))
        .map_err(|error| wrong(error.to_string()))?;
    let output: NdTensor<f32, 2> =
        (output.try_into()).map_err(|_| wrong("its output has another shape".to_owned()))?;
    let probability = output.view().iter().next().copied();
    probability
        .map(|probability| probability.clamp(0.0, 1.0))
        .ok_or_else(|| wrong("its output is empty".to_owned()))
}
