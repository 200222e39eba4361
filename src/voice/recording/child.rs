//! The only way a file of sound is decoded: a child process, `griot hear`, that reads it from standard input
//! and has no files, no network, no environment and little memory and time. It is given the bytes and
//! answers with a sign and either the samples or why there are none.

use std::{
    io::{self, Read, Write},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
    sync::Semaphore,
};

use super::{
    Sound,
    decode::{DecodeError, decode},
};
use crate::domain::audio::LISTEN_RATE;

/// Seconds of a recording at most: half an hour.
pub const LONGEST_S: u32 = 30 * 60;
/// Bytes of a file at most.
pub const LARGEST: usize = 64 * 1024 * 1024;
/// Bytes of address space of the child: the file, the samples, the program.
pub const MEMORY: u64 = 768 * 1024 * 1024;
/// Processor seconds of the child.
pub const CPU_S: u64 = 60;
/// Wall-clock time: the child gives way to whatever else there is to do.
const PATIENCE: Duration = Duration::from_secs(180);
/// Recordings that are decoded at once; the others wait.
const AT_ONCE: usize = 2;
/// Bytes of a reason.
const REASON: usize = 1000;

/// What the child's answer begins with.
const SAMPLES: u8 = b'S';
const REFUSED: u8 = b'R';

/// Why there is no sound.
#[derive(Debug, thiserror::Error)]
pub enum HearError {
    /// The file's fault.
    #[error("{0}")]
    Refused(String),
    /// Ours.
    #[error("a file of sound could not be decoded: {0}")]
    Broken(#[from] io::Error),
}

/// Decodes files in children.
#[derive(Debug)]
pub struct Decoder {
    program: PathBuf,
    places: Semaphore,
}

impl Decoder {
    /// `program` is the `griot` binary.
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        Self {
            program,
            places: Semaphore::new(AT_ONCE),
        }
    }

    /// The sound of a file. Dropping the future ends the child.
    ///
    /// # Errors
    /// [`HearError::Refused`], where the file is at fault.
    pub async fn decode(&self, file: &[u8]) -> Result<Sound, HearError> {
        if file.len() > LARGEST {
            return Err(HearError::Refused(format!(
                "the file has more than {} MiB; send it in parts, or as FLAC, MP3 or Opus",
                LARGEST >> 20
            )));
        }
        let _place = (self.places.acquire().await).expect("this semaphore is never closed");
        let mut child = Command::new(&self.program)
            .arg("hear")
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("its pipes are missing").into());
        };
        let most = u64::from(LONGEST_S + 1) * u64::from(LISTEN_RATE) * 2 + 1;
        let mut answer = Vec::new();
        let talk = async {
            let write = async move {
                // A child that has heard enough closes its end; what it says tells why.
                let _ = stdin.write_all(file).await;
                drop(stdin);
            };
            let mut limited = stdout.take(most);
            let ((), read) = tokio::join!(write, limited.read_to_end(&mut answer));
            read?;
            child.wait().await
        };
        let ended = tokio::time::timeout(PATIENCE, talk).await;
        let gave_up = |what: &str| {
            HearError::Refused(format!("the file took more {what} than a recording may"))
        };
        let Ok(status) = ended else {
            return Err(gave_up("time"));
        };
        if !status?.success() {
            return Err(gave_up("memory or time"));
        }
        match answer.split_first() {
            Some((&SAMPLES, samples)) => Ok(Sound::new(samples.to_vec())),
            Some((&REFUSED, reason)) => {
                let reason = String::from_utf8_lossy(&reason[..reason.len().min(REASON)]);
                Err(HearError::Refused(reason.into_owned()))
            }
            _ => Err(io::Error::other("the child said nothing").into()),
        }
    }
}

/// The child's side, once it has denied itself what it does not need.
pub fn child_main() -> io::Result<()> {
    let mut file = Vec::new();
    io::stdin()
        .take(LARGEST as u64 + 1)
        .read_to_end(&mut file)?;
    let heard = std::panic::catch_unwind(|| decode(file, LONGEST_S))
        .unwrap_or_else(|_| Err(DecodeError::Damaged("the decoder gave up".to_owned())));
    let mut out = io::stdout().lock();
    match heard {
        Ok(samples) => {
            out.write_all(&[SAMPLES])?;
            out.write_all(&samples)?;
        }
        Err(error) => {
            out.write_all(&[REFUSED])?;
            out.write_all(error.to_string().as_bytes())?;
        }
    }
    out.flush()
}
