//! A Piper voice: phonemes to sound.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rten::{Model, ModelOptions, NodeId, RunOptions, ThreadPool, ValueOrView};
use rten_tensor::{Layout, NdTensor};
use serde::Deserialize;

use super::{espeak::Espeak, phonemes::Phonemes};
use crate::domain::Pcm;

/// The voice's name.
pub(super) const NAME: &str = "en-us-joe";
/// Samples a second of what it speaks.
pub(super) const RATE: u32 = 22_050;
/// The folder, as the manifest names it.
const MODEL: &str = "piper-en-us-joe";
/// What to do where it is not there.
pub(super) const MISSING: &str =
    "there is no voice; fetch one with `griot models pull piper-en-us-joe`, or install espeak-ng";
/// Phonemes of one run at most: half a minute. More are cut at a space.
const RUN: usize = 400;

/// Of what nobody waits for: it gets a tenth of a core that somebody else wants too.
const NICENESS: i32 = 10;

/// Whether somebody waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Haste {
    Usual,
    /// It gives way to everything else.
    None,
}

/// Why nothing is spoken.
#[derive(Debug, thiserror::Error)]
pub(super) enum PiperError {
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "{} cannot be used: {reason}; check it with `griot models verify {MODEL}` and fetch it again with \
         `griot models pull {MODEL}`",
        path.display()
    )]
    Damaged { path: PathBuf, reason: String },
    #[error("the voice did not run: {0}")]
    Run(String),
}

/// What `voice.json` says, as far as it matters.
#[derive(Deserialize)]
struct Settings {
    audio: Audio,
    inference: Inference,
    phoneme_id_map: HashMap<String, Vec<i32>>,
}

#[derive(Deserialize)]
struct Audio {
    sample_rate: u32,
}

#[derive(Deserialize)]
struct Inference {
    noise_scale: f32,
    length_scale: f32,
    noise_w: f32,
}

/// The voice, read at the first use.
pub(super) struct Piper {
    folder: PathBuf,
    espeak: Option<Espeak>,
    /// Held while it is read.
    loaded: Mutex<Option<Arc<Loaded>>>,
}

struct Loaded {
    model: Model,
    /// Numbers, their count, the three scales.
    inputs: [NodeId; 3],
    output: NodeId,
    numbers: HashMap<char, i32>,
    settings: Settings,
    phonemes: Phonemes,
    /// A thread for each haste.
    usual: RunOptions,
    giving_way: RunOptions,
}

impl Piper {
    pub(super) fn new(dir: &Path, espeak: Option<Espeak>) -> Self {
        Self {
            folder: dir.join(MODEL),
            espeak,
            loaded: Mutex::default(),
        }
    }

    /// Whether its files are there.
    pub(super) fn is_there(&self) -> bool {
        self.folder.join("model.onnx").is_file() && self.folder.join("voice.json").is_file()
    }

    /// Speaks, as long as somebody wants it. Blocks.
    pub(super) fn speak(
        &self,
        text: &str,
        speed: f32,
        haste: Haste,
        is_wanted: impl Fn() -> bool,
    ) -> Result<Pcm, PiperError> {
        let loaded = self.loaded()?;
        let sounds = loaded.phonemes.of(text);
        let mut pcm = Pcm {
            samples: Vec::new(),
            rate: loaded.settings.audio.sample_rate,
        };
        for run in runs(&loaded.number(&sounds), loaded.numbers.get(&' ').copied()) {
            if !is_wanted() {
                break;
            }
            pcm.samples.extend(loaded.run(run, speed, haste)?);
        }
        Ok(pcm)
    }

    /// As while the voice is read: whoever speaks waits for the end of it.
    #[cfg(test)]
    pub(super) fn reading(&self) -> impl Sized + '_ {
        self.loaded.lock().unwrap()
    }

    fn loaded(&self) -> Result<Arc<Loaded>, PiperError> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = &*loaded {
            return Ok(Arc::clone(loaded));
        }
        let fresh = Arc::new(Loaded::read(&self.folder, self.espeak.clone())?);
        *loaded = Some(Arc::clone(&fresh));
        Ok(fresh)
    }
}

impl Loaded {
    fn read(folder: &Path, espeak: Option<Espeak>) -> Result<Self, PiperError> {
        let path = folder.join("voice.json");
        let settings = fs::read(&path).map_err(|source| PiperError::Read {
            path: path.clone(),
            source,
        })?;
        let damaged = |path: &Path, reason: String| PiperError::Damaged {
            path: path.to_owned(),
            reason,
        };
        let settings: Settings =
            serde_json::from_slice(&settings).map_err(|error| damaged(&path, error.to_string()))?;
        let path = folder.join("model.onnx");
        let model = ModelOptions::with_all_ops()
            .prepack_weights(true)
            .load_file(&path)
            .map_err(|error| damaged(&path, error.to_string()))?;
        let input = |name| {
            model
                .find_node(name)
                .ok_or_else(|| damaged(&path, format!("it has no input {name}")))
        };
        let inputs = [input("input")?, input("input_lengths")?, input("scales")?];
        let &[output] = model.output_ids() else {
            return Err(damaged(&path, "it has not one output".to_owned()));
        };
        let numbers = (settings.phoneme_id_map.iter())
            .filter_map(|(sign, numbers)| Some((sign.chars().next()?, *numbers.first()?)))
            .collect();
        let giving_way = ThreadPool::with_num_threads(1);
        giving_way.run(|| {
            // On Linux niceness is a thread's own. Without it it is only less polite.
            let _ = rustix::process::nice(NICENESS);
        });
        let on = |pool| RunOptions::default().with_thread_pool(Some(Arc::new(pool)));
        Ok(Self {
            inputs,
            output,
            numbers,
            settings,
            phonemes: Phonemes::new(espeak),
            usual: on(ThreadPool::with_num_threads(1)),
            giving_way: on(giving_way),
            model,
        })
    }

    /// The numbers of the sounds that the voice knows.
    fn number(&self, sounds: &str) -> Vec<i32> {
        let numbers: Vec<i32> = sounds
            .trim()
            .chars()
            .filter_map(|sound| self.numbers.get(&sound).copied())
            .collect();
        // Marks and spaces alone are not said.
        let is_said = sounds.chars().any(char::is_alphabetic);
        if is_said { numbers } else { Vec::new() }
    }

    fn run(&self, numbers: &[i32], speed: f32, haste: Haste) -> Result<Vec<f32>, PiperError> {
        let number = |sign| self.numbers.get(&sign).copied().unwrap_or(0);
        let (begin, pad, end) = (number('^'), number('_'), number('$'));
        let mut all = vec![begin, pad];
        all.extend(numbers.iter().flat_map(|number| [*number, pad]));
        all.push(end);
        let Inference {
            noise_scale,
            length_scale,
            noise_w,
        } = self.settings.inference;
        let [input, length, scales] = self.inputs;
        let count = all.len();
        let inputs: Vec<(NodeId, ValueOrView)> = vec![
            (input, NdTensor::from_data([1, count], all).into()),
            (length, NdTensor::from_data([1], vec![count as i32]).into()),
            (
                scales,
                NdTensor::from_data([3], vec![noise_scale, length_scale / speed, noise_w]).into(),
            ),
        ];
        let run = match haste {
            Haste::Usual => &self.usual,
            Haste::None => &self.giving_way,
        };
        let [output] = self
            .model
            .run_n(inputs, [self.output], Some(run.clone()))
            .map_err(|error| PiperError::Run(error.to_string()))?;
        let shape = output.shape().to_vec();
        let output: NdTensor<f32, 4> = output
            .try_into()
            .map_err(|_| PiperError::Run(format!("its output has the shape {shape:?}")))?;
        Ok(output.into_data())
    }
}

/// The numbers in stretches that are not too long, cut at a space where there is one.
fn runs(numbers: &[i32], space: Option<i32>) -> Vec<&[i32]> {
    let mut rest = numbers;
    let mut runs = Vec::new();
    while rest.len() > RUN {
        let cut = rest[..RUN]
            .iter()
            .rposition(|number| Some(*number) == space)
            .map_or(RUN, |at| at + 1);
        let (run, after) = rest.split_at(cut);
        runs.push(run);
        rest = after;
    }
    if !rest.is_empty() {
        runs.push(rest);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_stretches_are_cut_at_spaces() {
        let check = |numbers: &[i32], expected: &[usize]| {
            let lengths: Vec<usize> = runs(numbers, Some(3)).iter().map(|run| run.len()).collect();
            assert_eq!(lengths, expected);
        };
        check(&[], &[]);
        check(&[7; 400], &[400]);
        check(&[7; 900], &[400, 400, 100]);
        let mut numbers = [7; 500];
        numbers[350] = 3;
        check(&numbers, &[351, 149]);
    }
}
