//! Recordings: files of sound to text. Where somebody speaks is found first, each stretch of speech is
//! written down for itself, and what the model makes up for silence and noise is left out.
//!
//! Files come from outside, so they are decoded in a child process (see [`child`]); here come samples.

pub mod child;
pub mod decode;
mod stretches;

use std::sync::Arc;

use super::hallucination::{Hypothesis, doubt};
use crate::{
    domain::{
        Component,
        audio::{LISTEN_RATE, from_s16le},
    },
    ports::{Engines, PortError, Segment, Utterance, hearing::FRAME},
};
use stretches::{Stretch, stretches};

/// Frames that the ears hear without a break: ten seconds of sound, some tens of milliseconds of work.
/// Whoever hangs up is noticed between two.
const AT_A_TIME: usize = 10 * LISTEN_RATE as usize / FRAME;

/// A recording that was decoded: 16-bit samples at 16 kHz, one channel, the lower byte first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sound {
    s16le: Vec<u8>,
}

impl Sound {
    #[must_use]
    pub fn new(s16le: Vec<u8>) -> Self {
        Self { s16le }
    }

    /// Samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.s16le.len() / 2
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[must_use]
    pub fn seconds(&self) -> f32 {
        self.len() as f32 / LISTEN_RATE as f32
    }

    /// The samples from one place to another, as far as there are any.
    fn samples(&self, from: usize, to: usize) -> Vec<f32> {
        let to = to.min(self.len());
        from_s16le(&self.s16le[2 * from.min(to)..2 * to]).collect()
    }
}

/// How it is written down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    pub language: Option<String>,
    pub prompt: Option<String>,
    /// Whether words get times.
    pub words: bool,
}

/// What was said in a recording.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Written {
    /// Times from the beginning of the recording.
    pub segments: Vec<Segment>,
    pub language: Option<String>,
}

impl Written {
    /// All of it.
    #[must_use]
    pub fn text(&self) -> String {
        let texts: Vec<&str> = (self.segments.iter())
            .map(|segment| segment.text.trim())
            .filter(|text| !text.is_empty())
            .collect();
        texts.join(" ")
    }
}

/// Writes a recording down, one stretch of speech after another; `each` sees the segments as they come, and
/// ends the work by answering no. Dropping the future cancels.
///
/// # Errors
/// As the transcriber's. Without ears all of it is taken for speech.
pub async fn write_down(
    engines: &Engines,
    sound: &Arc<Sound>,
    options: &Options,
    mut each: impl FnMut(&Segment) -> bool + Send,
) -> Result<Written, PortError> {
    let mut written = Written::default();
    for stretch in speech(engines, sound).await? {
        let (from, to) = (stretch.from * FRAME, stretch.to * FRAME);
        let transcript = engines
            .transcriber
            .transcribe(Utterance {
                language: options.language.clone(),
                prompt: options.prompt.clone(),
                words: options.words,
                ..Utterance::new(sound.samples(from, to))
            })
            .await?;
        written.language = transcript.language.clone().or(written.language);
        let hypothesis = Hypothesis {
            text: transcript.text.clone(),
            no_speech: transcript.no_speech,
            avg_logprob: transcript.avg_logprob,
            looped: transcript.looped,
        };
        if let Some(voiced) = &stretch.voiced
            && let Some(doubt) = doubt(&hypothesis, voiced)
        {
            metrics::counter!("hallucination_dropped_total", "rule" => doubt.as_str()).increment(1);
            continue;
        }
        let offset = from as f32 / LISTEN_RATE as f32;
        for mut segment in transcript.segments {
            if segment.text.trim().is_empty() {
                continue;
            }
            segment.start += offset;
            segment.end += offset;
            for word in &mut segment.words {
                word.start += offset;
                word.end += offset;
            }
            let goes_on = each(&segment);
            written.segments.push(segment);
            if !goes_on {
                return Ok(written);
            }
        }
    }
    Ok(written)
}

/// Where somebody speaks.
async fn speech(engines: &Engines, sound: &Arc<Sound>) -> Result<Vec<Stretch>, PortError> {
    let frames = sound.len().div_ceil(FRAME);
    let mut ears = match engines.hearing.ears().await {
        Ok(ears) => ears,
        Err(error) => {
            tracing::debug!(%error, "a recording is written down without ears");
            return Ok(stretches::all(frames));
        }
    };
    let mut heard = Vec::with_capacity(frames);
    while heard.len() < frames {
        let part = heard.len()..frames.min(heard.len() + AT_A_TIME);
        let sound = Arc::clone(sound);
        let work = tokio::task::spawn_blocking(move || {
            let heard: Result<Vec<f32>, PortError> = part
                .map(|n| {
                    let mut frame = [0.0; FRAME];
                    let samples = sound.samples(n * FRAME, (n + 1) * FRAME);
                    frame[..samples.len()].copy_from_slice(&samples);
                    ears.probability(&frame)
                })
                .collect();
            (ears, heard)
        });
        let (back, part) = work
            .await
            .map_err(|stopped| PortError::unavailable(Component::Transcriber, stopped))?;
        ears = back;
        heard.extend(part?);
    }
    Ok(stretches(&heard))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::ports::{
        Hearing, Transcript, VoiceActivity,
        fakes::{LoudnessHearing, ScriptedTranscriber, ScriptedTurnEnd, ToneVoice, Trouble},
    };

    fn engines(transcriber: &Arc<ScriptedTranscriber>, hearing: LoudnessHearing) -> Engines {
        Engines {
            transcriber: Arc::clone(transcriber) as _,
            synthesizer: Arc::new(ToneVoice::new()),
            hearing: Arc::new(hearing),
            turn_end: Arc::new(ScriptedTurnEnd::new(0.9)),
        }
    }

    /// Seconds of sound and of silence in turn, silence first.
    fn sound(seconds: &[f32]) -> Arc<Sound> {
        let mut bytes = Vec::new();
        for (n, length) in seconds.iter().enumerate() {
            let value: i16 = if n % 2 == 1 { 9000 } else { 0 };
            for _ in 0..(length * LISTEN_RATE as f32) as usize {
                bytes.extend(value.to_le_bytes());
            }
        }
        Arc::new(Sound::new(bytes))
    }

    #[tokio::test]
    async fn stretches_are_written_down_with_their_times() {
        let transcriber = Arc::new(ScriptedTranscriber::answering(|heard| {
            ScriptedTranscriber::said("Rent is due", heard)
        }));
        let engines = engines(&transcriber, LoudnessHearing::new());
        let sound = sound(&[1.0, 2.0, 3.0, 1.5, 1.0]);
        let mut seen = 0;
        let written = write_down(&engines, &sound, &Options::default(), |_| {
            seen += 1;
            true
        })
        .await
        .unwrap();
        assert_eq!(
            (written.text().as_str(), seen),
            ("Rent is due Rent is due", 2)
        );
        let starts: Vec<f32> = written
            .segments
            .iter()
            .map(|segment| segment.start)
            .collect();
        assert!(
            (starts[0] - 0.8).abs() < 0.1 && (starts[1] - 5.8).abs() < 0.1,
            "{starts:?}"
        );
    }

    #[tokio::test]
    async fn silence_and_what_is_made_up_give_nothing() {
        let transcriber = Arc::new(ScriptedTranscriber::answering(|heard| {
            ScriptedTranscriber::said("Thank you.", heard)
        }));
        let engines = engines(&transcriber, LoudnessHearing::new());
        let check = async |seconds: &[f32], asked: usize| {
            let before = transcriber.heard().len();
            let written =
                write_down(&engines, &sound(seconds), &Options::default(), |_| true).await;
            assert_eq!(written.unwrap().text(), "", "{seconds:?}");
            assert_eq!(transcriber.heard().len() - before, asked, "{seconds:?}");
        };
        check(&[5.0], 0).await;
        check(&[1.0, 0.1, 1.0], 0).await;
        // Long enough to be asked about, too short for a phrase that models make up.
        check(&[1.0, 0.4, 1.0], 1).await;
        transcriber.push(Transcript {
            no_speech: 0.9,
            avg_logprob: -1.5,
            ..ScriptedTranscriber::said("something", &Utterance::new(vec![0.1; 9]))
        });
        check(&[1.0, 2.0, 1.0], 1).await;
    }

    #[tokio::test]
    async fn without_ears_all_of_it_is_heard() {
        let transcriber = Arc::new(ScriptedTranscriber::answering(|heard| {
            ScriptedTranscriber::said("yes", heard)
        }));
        let deaf = LoudnessHearing::new();
        deaf.trouble(Trouble::Refused("no model".to_owned()));
        let engines = engines(&transcriber, deaf);
        let written = write_down(&engines, &sound(&[1.0, 60.0]), &Options::default(), |_| {
            true
        })
        .await;
        assert_eq!(written.unwrap().text(), "yes yes yes");
    }

    /// Ears that say of each frame that they heard it, and wait until that is noticed.
    struct Slow(std::sync::mpsc::SyncSender<()>);

    #[async_trait::async_trait]
    impl Hearing for Slow {
        async fn ears(&self) -> Result<Box<dyn VoiceActivity>, PortError> {
            Ok(Box::new(Self(self.0.clone())))
        }
    }

    impl VoiceActivity for Slow {
        fn reset(&mut self) {}

        fn probability(&mut self, _: &[f32; FRAME]) -> Result<f32, PortError> {
            let _ = self.0.send(());
            Ok(0.0)
        }
    }

    #[tokio::test]
    async fn whoever_hangs_up_is_not_listened_to_any_more() {
        let transcriber = Arc::new(ScriptedTranscriber::new());
        let (sender, heard) = std::sync::mpsc::sync_channel(0);
        let mut engines = engines(&transcriber, LoudnessHearing::new());
        engines.hearing = Arc::new(Slow(sender));
        let sound = sound(&[60.0]);
        let options = Options::default();
        let mut work = Box::pin(write_down(&engines, &sound, &options, |_| true));
        assert!((&mut work).now_or_never().is_none());
        drop(work);
        drop(engines);
        assert_eq!(heard.iter().count(), AT_A_TIME);
    }
}
