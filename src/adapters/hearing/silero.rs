//! Silero's voice detector, the version for 16 kHz alone.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use rten::{Model, NodeId, RunOptions, ValueOrView};
use rten_tensor::{AsView, NdTensor};

use super::LoadError;
use crate::{
    domain::audio::LISTEN_RATE,
    ports::{PortError, VoiceActivity, hearing::FRAME},
};

const NAME: &str = "silero-vad";
/// Samples before the frame that the model sees again.
const CONTEXT: usize = 64;
/// What it remembers: `[2, 1, 128]`.
const STATE: [usize; 3] = [2, 1, 128];

/// One stream's ears.
pub(super) struct Ears {
    model: Arc<Model>,
    run: RunOptions,
    inputs: [NodeId; 3],
    outputs: [NodeId; 2],
    state: Vec<f32>,
    /// The end of the frame before, then this one.
    sound: Vec<f32>,
}

impl Ears {
    pub(super) fn new(model: Arc<Model>, run: RunOptions) -> Result<Self, LoadError> {
        let wrong = |reason: &str| LoadError::Run {
            model: NAME,
            reason: reason.to_owned(),
        };
        let input = |name| {
            model
                .find_node(name)
                .ok_or_else(|| wrong("it lacks an input"))
        };
        let inputs = [input("input")?, input("state")?, input("sr")?];
        let &[probability, state] = model.output_ids() else {
            return Err(wrong("it has not two outputs"));
        };
        Ok(Self {
            inputs,
            outputs: [probability, state],
            state: vec![0.0; STATE.iter().product()],
            sound: vec![0.0; CONTEXT + FRAME],
            model,
            run,
        })
    }

    fn run(&self) -> Result<(f32, Vec<f32>), LoadError> {
        let wrong = |reason: String| LoadError::Run {
            model: NAME,
            reason,
        };
        let [sound, state, rate] = self.inputs;
        let inputs: Vec<(NodeId, ValueOrView)> = vec![
            (
                sound,
                NdTensor::from_data([1, CONTEXT + FRAME], self.sound.clone()).into(),
            ),
            (state, NdTensor::from_data(STATE, self.state.clone()).into()),
            (
                rate,
                NdTensor::from_data([], vec![LISTEN_RATE as i32]).into(),
            ),
        ];
        // A damaged model may make its interpreter panic, and this is the caller's thread.
        let ran = catch_unwind(AssertUnwindSafe(|| {
            self.model
                .run_n(inputs, self.outputs, Some(self.run.clone()))
        }));
        let [probability, state] = ran
            .map_err(|_| wrong("it panicked".to_owned()))?
            .map_err(|error| wrong(error.to_string()))?;
        let shape = |what: &str| wrong(format!("its {what} has another shape"));
        let probability: NdTensor<f32, 2> =
            (probability.try_into()).map_err(|_| shape("probability"))?;
        let state: NdTensor<f32, 3> = state.try_into().map_err(|_| shape("state"))?;
        let first = (probability.view().iter().next())
            .copied()
            .ok_or_else(|| shape("probability"))?;
        Ok((first, state.to_vec()))
    }
}

impl VoiceActivity for Ears {
    fn probability(&mut self, frame: &[f32; FRAME]) -> Result<f32, PortError> {
        self.sound.copy_within(FRAME.., 0);
        self.sound[CONTEXT..].copy_from_slice(frame);
        let (probability, state) = self.run()?;
        if state.len() == self.state.len() {
            self.state = state;
        }
        Ok(probability.clamp(0.0, 1.0))
    }

    fn reset(&mut self) {
        self.state.fill(0.0);
        self.sound.fill(0.0);
    }
}
