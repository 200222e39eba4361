//! The sound of what a script says: recordings, or the daemon's own voice where there are none, each at the
//! same loudness and with the marks of its speech.

use std::{
    collections::HashMap,
    error::Error,
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    microphone,
    script::{Barge, Script, Turn},
    sound::{SPEECH_DB, gained, gap, level, read_wav, samples, speech},
};
use crate::daemon::Daemon;

/// A sound and where in it somebody speaks.
#[derive(Debug, Clone)]
pub struct Clip {
    pub samples: Vec<f32>,
    pub speech: Range<usize>,
    /// What is said, where anybody wrote it down.
    pub text: Option<String>,
}

/// A turn of a script, ready to be played.
pub struct Ready {
    pub name: String,
    pub clip: Clip,
    /// Texts of which a right answer holds one.
    pub accepted: Vec<String>,
    pub paused: bool,
    pub barge: Option<(Barge, Clip)>,
}

#[derive(Debug, Clone, Deserialize)]
struct Question {
    id: String,
    question: String,
    answer: Vec<String>,
}

/// Where sound comes from.
pub struct Clips<'d> {
    daemon: &'d Daemon,
    folder: PathBuf,
    texts: HashMap<String, String>,
    questions: Vec<Question>,
    spoken: HashMap<String, Clip>,
}

impl<'d> Clips<'d> {
    pub fn new(daemon: &'d Daemon, folder: &Path) -> Result<Self, Box<dyn Error>> {
        let manifest = fs::read_to_string(folder.join("manifest.tsv")).unwrap_or_default();
        let texts = manifest.lines().skip(1).filter_map(|line| {
            let mut columns = line.split('\t');
            let (file, text) = (columns.next()?, columns.nth(1)?);
            // Commands are labelled with what they mean.
            (!text.is_empty() && !text.contains("SLOTS"))
                .then(|| (file.to_owned(), text.to_owned()))
        });
        let questions = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/eval/questions.jsonl");
        let questions: Result<_, _> = fs::read_to_string(questions)?
            .lines()
            .map(serde_json::from_str)
            .collect();
        Ok(Self {
            daemon,
            folder: folder.to_owned(),
            texts: texts.collect(),
            questions: questions?,
            spoken: HashMap::new(),
        })
    }

    /// The turns of a script whose sounds there are.
    pub async fn ready(&mut self, script: &Script) -> Result<Vec<Ready>, Box<dyn Error>> {
        let mut found = Vec::new();
        for turn in &script.turns {
            if let Some(ready) = self.turn(turn).await? {
                found.push(ready);
            }
        }
        Ok(found)
    }

    async fn turn(&mut self, turn: &Turn) -> Result<Option<Ready>, Box<dyn Error>> {
        let question = turn.question.as_ref().map(|id| {
            let known = self.questions.iter().find(|question| question.id == *id);
            known
                .cloned()
                .ok_or_else(|| format!("there is no question {id}"))
        });
        let question = question.transpose()?;
        let text = question.as_ref().map(|question| &question.question);
        let clip = match (text.or(turn.say.as_ref()), &turn.play) {
            (Some(text), _) => self.spoken(text).await?,
            (None, Some(file)) => match self.recorded(file)? {
                Some(clip) => clip,
                None => return Ok(None),
            },
            (None, None) => return Ok(None),
        };
        let clip = match turn.ends_ms.map(samples) {
            Some(end) => Clip {
                speech: clip.speech.start..end.min(clip.samples.len()),
                ..clip
            },
            None => clip,
        };
        let barge = match &turn.barge {
            None => None,
            Some(barge) => match self.barge(barge).await? {
                Some(clip) => Some((barge.clone(), clip)),
                None => return Ok(None),
            },
        };
        let name = turn
            .question
            .as_ref()
            .or(turn.play.as_ref())
            .or(turn.say.as_ref());
        Ok(Some(Ready {
            name: name.cloned().unwrap_or_default(),
            clip: torn(louder(clip, turn.gain_db), turn.pause_ms),
            accepted: question.map(|question| question.answer).unwrap_or_default(),
            paused: turn.pause_ms.is_some(),
            barge,
        }))
    }

    async fn barge(&mut self, barge: &Barge) -> Result<Option<Clip>, Box<dyn Error>> {
        let clip = match (&barge.say, &barge.play) {
            (Some(text), _) => Some(self.spoken(text).await?),
            (None, Some(file)) => self.recorded(file)?,
            (None, None) => None,
        };
        Ok(clip.map(|clip| {
            let mut clip = louder(clip, barge.gain_db);
            if let Some(ms) = barge.for_ms {
                clip.samples.truncate(clip.speech.start + samples(ms));
                clip.speech.end = clip.speech.end.min(clip.samples.len());
            }
            clip
        }))
    }

    /// A text in the daemon's own voice.
    pub async fn spoken(&mut self, text: &str) -> Result<Clip, Box<dyn Error>> {
        if let Some(clip) = self.spoken.get(text) {
            return Ok(clip.clone());
        }
        let wav = self.daemon.speak(text).await?;
        let samples = read_wav(&wav).ok_or("the daemon's voice is no WAV file")?;
        let clip = marked(samples, Some(text.to_owned()));
        self.spoken.insert(text.to_owned(), clip.clone());
        Ok(clip)
    }

    /// A recording; `None` where it is not there.
    pub fn recorded(&self, file: &str) -> Result<Option<Clip>, Box<dyn Error>> {
        let Ok(bytes) = fs::read(self.folder.join(file)) else {
            return Ok(None);
        };
        let samples =
            read_wav(&bytes).ok_or_else(|| format!("{file} is no 16-bit mono WAV file"))?;
        Ok(Some(marked(samples, self.texts.get(file).cloned())))
    }

    /// The room of a script.
    pub fn room(&self, script: &Script) -> Result<Option<microphone::Room>, Box<dyn Error>> {
        let Some(file) = &script.room.play else {
            return Ok(Some(microphone::Room::White(script.room.level_db)));
        };
        let clip = self.recorded(file)?;
        Ok(clip.map(|clip| microphone::Room::looped(&clip.samples, script.room.level_db)))
    }
}

/// With the marks of its speech, at the usual loudness.
fn marked(sound: Vec<f32>, text: Option<String>) -> Clip {
    let speech = speech(&sound).unwrap_or(0..sound.len());
    let samples = gained(&sound, SPEECH_DB - level(&sound[speech.clone()]));
    Clip {
        samples,
        speech,
        text,
    }
}

fn louder(clip: Clip, db: f32) -> Clip {
    Clip {
        samples: gained(&clip.samples, db),
        ..clip
    }
}

/// With a pause in the middle.
fn torn(mut clip: Clip, pause_ms: Option<u64>) -> Clip {
    let Some(pause) = pause_ms.map(samples) else {
        return clip;
    };
    let at = gap(&clip.samples, &clip.speech);
    clip.samples.splice(at..at, std::iter::repeat_n(0.0, pause));
    clip.speech.end += pause;
    clip
}
