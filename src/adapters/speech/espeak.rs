//! espeak-ng, a process for each clause. It is not linked, because of its licence, and because its languages
//! are the user's choice.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    domain::{Pcm, audio},
    ports::Voice,
};

/// What its voices' names begin with; the language follows.
pub(super) const PREFIX: &str = "espeak-";
/// Samples a second of what it speaks.
const RATE: u32 = 22_050;
/// Words a minute at its own pace.
const PACE: f32 = 175.0;
/// Bytes of sound at most: ten minutes.
const MOST: u64 = 10 * 60 * 2 * RATE as u64;
/// How long one clause may take; it speaks several hundred times faster than it lasts.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where it is, and what it speaks.
#[derive(Debug, Clone)]
pub(super) struct Espeak {
    program: PathBuf,
    languages: Arc<[String]>,
}

/// Why it said nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum EspeakError {
    #[error("espeak-ng cannot be run: {0}")]
    Run(#[from] std::io::Error),
    #[error("espeak-ng did not end within {PATIENCE:?}")]
    Late,
    #[error("espeak-ng gave no sound")]
    Silent,
}

impl Espeak {
    /// The one in `PATH`, asked what it speaks. None where there is none.
    pub(super) fn installed() -> Option<Self> {
        let path = std::env::var_os("PATH")?;
        let program = std::env::split_paths(&path)
            .map(|folder| folder.join("espeak-ng"))
            .find(|program| program.is_file())?;
        let listed = plain(&program).arg("--voices").output().ok()?;
        let languages = languages(&String::from_utf8_lossy(&listed.stdout));
        (!languages.is_empty()).then(|| Self {
            program,
            languages: languages.into(),
        })
    }

    /// Its own name of a language: `de`, `en-us`; that of the family where the region is not known.
    pub(super) fn speaks(&self, language: &str) -> Option<String> {
        let wanted = language.to_ascii_lowercase().replace('_', "-");
        let family = wanted.split('-').next().unwrap_or_default();
        let find = |name: &str| self.languages.iter().find(|known| *known == name).cloned();
        let kin = || {
            let begins = |known: &&String| {
                known
                    .strip_prefix(family)
                    .is_some_and(|rest| rest.starts_with('-'))
            };
            self.languages.iter().find(begins).cloned()
        };
        find(&wanted).or_else(|| find(family)).or_else(kin)
    }

    pub(super) fn voices(&self) -> impl Iterator<Item = Voice> {
        self.languages.iter().map(|language| Voice {
            name: format!("{PREFIX}{language}"),
            language: language.clone(),
            rate: RATE,
        })
    }

    /// Speaks a clause in one of its languages. Dropping the future ends the process.
    pub(super) async fn speak(
        &self,
        text: &str,
        language: &str,
        speed: f32,
    ) -> Result<Pcm, EspeakError> {
        let mut command = tokio::process::Command::from(plain(&self.program));
        command
            .args([
                "-v",
                language,
                "-s",
                &format!("{:.0}", (PACE * speed).clamp(80.0, 450.0)),
            ])
            .args(["--stdin", "--stdout"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(EspeakError::Silent);
        };
        let work = async {
            let text = text.to_owned();
            // Beside the reading: a long text does not fit into the pipe before some of the sound is taken.
            let write = async move {
                let written = stdin.write_all(text.as_bytes()).await;
                drop(stdin);
                written
            };
            let mut wav = Vec::new();
            let mut sound = stdout.take(MOST);
            let (_, read) = tokio::join!(write, sound.read_to_end(&mut wav));
            read?;
            child.wait().await?;
            Ok::<_, std::io::Error>(wav)
        };
        let wav = tokio::time::timeout(PATIENCE, work)
            .await
            .map_err(|_| EspeakError::Late)??;
        let sound = data(&wav).ok_or(EspeakError::Silent)?;
        Ok(Pcm {
            samples: audio::from_s16le(sound).collect(),
            rate: RATE,
        })
    }

    /// The sounds of one English word. Blocks for some milliseconds.
    pub(super) fn sounds(&self, word: &str) -> Option<String> {
        // A word that begins with a dash would be taken for an option.
        if !word.starts_with(char::is_alphanumeric) || word.len() > 100 {
            return None;
        }
        let output = plain(&self.program)
            .args(["-q", "--ipa", "-v", "en-us", word])
            .output()
            .ok()?;
        let sounds = String::from_utf8(output.stdout).ok()?;
        let sounds: Vec<&str> = sounds.split_whitespace().collect();
        // Changes of language stand in brackets.
        let sounds: Vec<&str> = sounds.into_iter().filter(|s| !s.starts_with('(')).collect();
        (!sounds.is_empty()).then(|| sounds.join(" "))
    }
}

/// The program with nothing of this process's environment.
fn plain(program: &PathBuf) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// The second column of `espeak-ng --voices`.
fn languages(listed: &str) -> Vec<String> {
    listed
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(1))
        .filter(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
        .map(str::to_owned)
        .collect()
}

/// The samples of a WAV stream, whose sizes say nothing, because they were not known when it began.
fn data(wav: &[u8]) -> Option<&[u8]> {
    let at = wav.windows(4).take(256).position(|mark| mark == b"data")?;
    wav.get(at + 8..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn espeak(languages: &[&str]) -> Espeak {
        Espeak {
            program: PathBuf::from("/nowhere"),
            languages: languages.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn languages_are_found_by_name_or_kin() {
        let espeak = espeak(&["de", "en-gb", "en-us", "pt-br"]);
        let check = |given: &str, expected: Option<&str>| {
            assert_eq!(espeak.speaks(given).as_deref(), expected, "{given}");
        };
        check("de", Some("de"));
        check("de-AT", Some("de"));
        check("en_US", Some("en-us"));
        check("en", Some("en-gb"));
        check("pt", Some("pt-br"));
        check("xx", None);
        check("../../etc", None);
        check("", None);
    }

    #[test]
    fn the_list_is_read() {
        let listed = "Pty Language       Age/Gender VoiceName          File                 Other Languages\n \
                      5  af              --/M      Afrikaans          gmw/af\n \
                      2  en-gb           --/M      English_(Great_Britain) gmw/en  (en 2)\n";
        assert_eq!(languages(listed), ["af", "en-gb"]);
        assert!(languages("").is_empty());
    }

    #[test]
    fn samples_are_found_behind_their_header() {
        let mut wav = b"RIFF....WAVEfmt ................data\xff\xff\xff\xff".to_vec();
        wav.extend([1, 0, 2, 0]);
        assert_eq!(data(&wav), Some(&[1, 0, 2, 0][..]));
        assert_eq!(data(b"RIFF"), None);
    }
}
