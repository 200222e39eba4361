//! Reading letters out of pictures on pages: one child takes the picture out, what it writes is the input
//! of Tesseract, and neither the picture nor anything else of the document is kept or seen on this side but
//! the table of words at the end.

use std::{
    fs::File,
    io::{self, Seek},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
};

use super::{
    super::{extract::Limits, password::Password},
    Confinement, Extractor, WALL_PER_CPU, feed, picture, recognise,
};

/// Bytes of the table of words of one page. A dense page has 100 KiB.
const MAX_TABLE: u64 = 8 * 1024 * 1024;

/// CPU time that Tesseract may take for one page. A dense page takes 5 s.
const CPU: Duration = Duration::from_secs(60);

/// Bytes of address space of Tesseract. With one language and a picture of the largest size it takes
/// about 300 MiB.
const MEMORY: u64 = 1024 * 1024 * 1024;

/// Tesseract as it is installed here, and what takes pictures out for it.
#[derive(Debug, Clone)]
pub struct Recognizer {
    /// The `griot` binary.
    program: PathBuf,
    tesseract: PathBuf,
    /// As Tesseract wants them: `eng+deu`.
    languages: String,
    /// Where its models are, when not where it was installed to.
    models: Option<PathBuf>,
    limits: Limits,
    confinement: Confinement,
}

/// A picture, and how to look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Wanted {
    /// Counting from 1.
    pub(in super::super) page: u32,
    /// Which one of the page, counting from 0.
    pub(in super::super) nth: usize,
    /// Find out first which way up it is.
    pub(in super::super) turn: bool,
}

/// What Tesseract says about a picture.
#[derive(Debug)]
pub(in super::super) struct Table {
    pub(in super::super) text: String,
    /// There are further pictures on the page.
    pub(in super::super) more: bool,
}

/// Why a picture was not read. The page stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum NotRecognised {
    #[error("a program could not be started: {0}")]
    Start(#[source] io::Error),
    #[error("it took longer than {} s", CPU.as_secs() * u64::from(WALL_PER_CPU))]
    TimedOut,
    #[error("its picture could not be taken out ({0})")]
    Picture(ExitStatus),
    #[error(
        "Tesseract failed ({0}); is the model of each language of `ingest.ocr_languages` installed?"
    )]
    Tesseract(ExitStatus),
}

impl Recognizer {
    /// Reads pictures on the pages that `extractor` reads; taking one out may cost as much as reading the
    /// whole document.
    #[must_use]
    pub fn of(extractor: &Extractor, tesseract: PathBuf, languages: String) -> Self {
        Self {
            program: extractor.program.clone(),
            tesseract,
            languages,
            models: std::env::var_os("TESSDATA_PREFIX").map(PathBuf::from),
            limits: extractor.limits,
            confinement: extractor.confinement,
        }
    }

    /// Tesseract among the folders of `PATH`; `None` where it is not installed.
    #[must_use]
    pub fn installed() -> Option<PathBuf> {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path)
            .map(|folder| folder.join("tesseract"))
            .find(|file| file.is_file() && file.is_absolute())
    }

    /// The table of words (TSV) that Tesseract finds in a picture; `None` when there is no such picture.
    pub(in super::super) async fn words(
        &self,
        original: &File,
        password: Option<&Password>,
        wanted: Wanted,
    ) -> Result<Option<Table>, NotRecognised> {
        let taking = picture::Orders {
            max_file_bytes: self.limits.max_file_bytes,
            memory_bytes: self.confinement.memory_bytes,
            cpu_s: self.confinement.timeout.as_secs().max(1),
            page: wanted.page,
            nth: wanted.nth,
            locked: password.is_some(),
        };
        // The position is shared with whoever read it before.
        let mut file = original.try_clone().map_err(NotRecognised::Start)?;
        file.rewind().map_err(NotRecognised::Start)?;
        let mut command = child(&self.program, "picture");
        command.args(taking.arguments());
        let locked = match password {
            None => {
                command.stdin(Stdio::from(file));
                None
            }
            Some(password) => {
                command.stdin(Stdio::piped());
                Some((file, password))
            }
        };
        let mut taker = command.spawn().map_err(NotRecognised::Start)?;
        let feeding = taker.stdin.take().zip(locked);
        let taken = taker.stdout.take().expect("its output is piped");
        let taken: Stdio = taken.try_into().map_err(NotRecognised::Start)?;

        let reading = recognise::Orders {
            memory_bytes: MEMORY,
            cpu_s: CPU.as_secs(),
            program: self.tesseract.clone(),
            languages: self.languages.clone(),
            models: self.models.clone(),
            turn: wanted.turn,
        };
        let mut command = child(&self.program, "recognise");
        command.args(reading.arguments()).stdin(taken);
        let mut reader = command.spawn().map_err(NotRecognised::Start)?;
        // This side's end of the picture goes with it: else the reader would wait for ever.
        drop(command);
        let table = reader.stdout.take().expect("its output is piped");

        let all = async {
            let (table, (), taken, read) =
                tokio::join!(bounded(table), feed(feeding), taker.wait(), reader.wait());
            Ok((table, taken?, read?))
        };
        let done = tokio::time::timeout(CPU * WALL_PER_CPU, all).await;
        let Ok(done) = done else {
            kill(&mut taker).await;
            kill(&mut reader).await;
            return Err(NotRecognised::TimedOut);
        };
        let (text, taken, read) = done.map_err(NotRecognised::Start)?;
        let more = taken.code() == Some(i32::from(picture::MORE));
        if taken.code() == Some(i32::from(picture::NONE)) {
            Ok(None)
        } else if !taken.success() && !more {
            Err(NotRecognised::Picture(taken))
        } else if !read.success() {
            Err(NotRecognised::Tesseract(read))
        } else {
            Ok(Some(Table { text, more }))
        }
    }
}

/// This program again, as the named child.
fn child(program: &Path, role: &str) -> Command {
    let mut command = Command::new(program);
    command
        .args(["extract", role])
        .env_clear()
        .current_dir("/")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// What a stream says, up to a limit; the rest is read too, so that the writer does not block.
async fn bounded(mut stream: impl AsyncRead + Unpin) -> String {
    let mut kept = Vec::new();
    drop((&mut stream).take(MAX_TABLE).read_to_end(&mut kept).await);
    drop(tokio::io::copy(&mut stream, &mut tokio::io::sink()).await);
    String::from_utf8_lossy(&kept).into_owned()
}

async fn kill(child: &mut Child) {
    if let Err(error) = child.kill().await {
        tracing::warn!(%error, "a child that took too long could not be killed");
    }
}
