//! What the child and the daemon say to each other: one stream of frames from the child.
//!
//! The stream begins with [`MAGIC`]. A frame is a kind (1 byte), the length of its payload (4 bytes,
//! little-endian) and the payload. In order: any number of `Note` and `Progress`; then either one
//! `Failure`, or one `Document` (everything but the text, as JSON), `Text` until the length it announced
//! is reached, and `End`. Text travels raw because it is most of the bytes.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::super::extract::{ExtractError, Extracted, Limits, Progress};
use crate::domain::FailureCode;

const MAGIC: &[u8; 8] = b"GRIOTEX1";

/// Payloads are never longer, except that of `Document`.
const MAX_PAYLOAD: u32 = 1024 * 1024;

/// `Document` without its pages: as many sections as there may be, with the paths they may have. A
/// daemon reads it before it knows what it is, so the bound is what a hostile child can make it hold.
const MAX_DOCUMENT: u64 = 24 * 1024 * 1024;

/// Bytes of one page in `Document`, at most: six members, four of them numbers.
const MAX_PAGE: u64 = 160;

/// Notes of one child.
const MAX_NOTES: u32 = 8;

/// Characters of a message or a note that are shown.
const MAX_MESSAGE: usize = 500;

const NOTE: u8 = 1;
const PROGRESS: u8 = 2;
const FAILURE: u8 = 3;
const DOCUMENT: u8 = 4;
const TEXT: u8 = 5;
const END: u8 = 6;

/// How a complete stream ended.
#[derive(Debug)]
pub(super) enum Outcome {
    Read(Box<Extracted>),
    Failed(ExtractError),
}

/// Why a stream is not complete.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// The child ended, or its output did, before it was done.
    #[error("its output ended in the middle")]
    Ended,
    #[error("its output could not be read: {0}")]
    Io(#[source] io::Error),
    /// It said something it may not say.
    #[error("its output is not what it should be: {0}")]
    Unexpected(&'static str),
}

/// `Document`: the extracted document without its text, and how long the text is.
#[derive(Serialize, Deserialize)]
struct Announced {
    document: Extracted,
    text_bytes: u64,
}

/// Writes frames.
pub(super) struct Writer<W> {
    out: W,
}

impl<W: Write> Writer<W> {
    /// Begins a stream.
    pub(super) fn new(mut out: W) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        Ok(Self { out })
    }

    /// Something the daemon should log.
    pub(super) fn note(&mut self, note: &str) -> io::Result<()> {
        self.frame(NOTE, note.as_bytes())
    }

    pub(super) fn progress(&mut self, progress: Progress) -> io::Result<()> {
        let mut payload = [0; 8];
        payload[..4].copy_from_slice(&progress.page.to_le_bytes());
        payload[4..].copy_from_slice(&progress.of.to_le_bytes());
        self.frame(PROGRESS, &payload)
    }

    pub(super) fn failure(&mut self, failure: &ExtractError) -> io::Result<()> {
        // A parser may quote the whole document in its message.
        let failure = ExtractError::new(failure.code, presentable(&failure.message));
        self.frame(FAILURE, &serde_json::to_vec(&failure)?)
    }

    pub(super) fn document(&mut self, mut document: Extracted) -> io::Result<()> {
        let text = std::mem::take(&mut document.text);
        let announced = Announced {
            document,
            text_bytes: text.len() as u64,
        };
        self.frame(DOCUMENT, &serde_json::to_vec(&announced)?)?;
        for piece in text.as_bytes().chunks(MAX_PAYLOAD as usize) {
            self.frame(TEXT, piece)?;
        }
        self.frame(END, &[])
    }

    fn frame(&mut self, kind: u8, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
        let mut head = [kind; 5];
        head[1..].copy_from_slice(&length.to_le_bytes());
        self.out.write_all(&head)?;
        self.out.write_all(payload)?;
        self.out.flush()
    }
}

/// What a child says on the way.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Progress(Progress),
    /// Something the daemon should log, on one line.
    Note(String),
}

/// Reads a whole stream.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    limits: &Limits,
    heard: &mut (impl FnMut(Heard) + Send),
) -> Result<Outcome, Broken> {
    let mut magic = [0; MAGIC.len()];
    exact(stream, &mut magic).await?;
    if &magic != MAGIC {
        return Err(Broken::Unexpected("it does not begin as it should"));
    }
    let mut notes = 0;
    let mut told = 0;
    loop {
        let (kind, payload) = frame(stream, limits).await?;
        match kind {
            NOTE if notes < MAX_NOTES => {
                notes += 1;
                let note = String::from_utf8_lossy(&payload);
                heard(Heard::Note(presentable(&note)));
            }
            PROGRESS => {
                let eight: [u8; 8] = payload
                    .try_into()
                    .map_err(|_| Broken::Unexpected("progress of a wrong length"))?;
                let both = u64::from_le_bytes(eight);
                let (page, of) = (both as u32, (both >> 32) as u32);
                if page <= told || page > of || of > limits.max_pages.max(1) {
                    return Err(Broken::Unexpected("progress that goes nowhere"));
                }
                told = page;
                heard(Heard::Progress(Progress { page, of }));
            }
            FAILURE => {
                let mut failure: ExtractError = serde_json::from_slice(&payload)
                    .map_err(|_| Broken::Unexpected("a failure that is none"))?;
                failure.message = presentable(&failure.message);
                return Ok(Outcome::Failed(failure));
            }
            DOCUMENT => {
                let announced: Announced = serde_json::from_slice(&payload)
                    .map_err(|_| Broken::Unexpected("a document that is none"))?;
                drop(payload);
                return document(stream, limits, announced).await;
            }
            _ => return Err(Broken::Unexpected("a frame of the wrong kind")),
        }
    }
}

async fn document(
    stream: &mut (impl AsyncRead + Unpin),
    limits: &Limits,
    announced: Announced,
) -> Result<Outcome, Broken> {
    let Announced {
        document: mut extracted,
        text_bytes,
    } = announced;
    if text_bytes > limits.max_text_bytes
        || extracted.pages.len() > limits.max_pages.max(1) as usize
    {
        return Ok(Outcome::Failed(ExtractError::new(
            FailureCode::TooLarge,
            "the document holds more than the limits allow",
        )));
    }
    let mut text = Vec::new();
    while (text.len() as u64) < text_bytes {
        let (kind, piece) = frame(stream, limits).await?;
        // Whole pieces only: a text in pieces of one byte would cost this side more than the other.
        let expected = (text_bytes - text.len() as u64).min(MAX_PAYLOAD.into());
        if kind != TEXT || piece.len() as u64 != expected {
            return Err(Broken::Unexpected("text of the wrong length"));
        }
        text.extend_from_slice(&piece);
    }
    if frame(stream, limits).await?.0 != END {
        return Err(Broken::Unexpected("more after the end"));
    }
    extracted.text =
        String::from_utf8(text).map_err(|_| Broken::Unexpected("text that is not UTF-8"))?;
    extracted.check().map_err(Broken::Unexpected)?;
    Ok(Outcome::Read(Box::new(extracted)))
}

async fn frame(
    stream: &mut (impl AsyncRead + Unpin),
    limits: &Limits,
) -> Result<(u8, Vec<u8>), Broken> {
    let mut head = [0; 5];
    exact(stream, &mut head).await?;
    let [kind, a, b, c, d] = head;
    let length = u32::from_le_bytes([a, b, c, d]);
    let most = if kind == DOCUMENT {
        MAX_DOCUMENT + MAX_PAGE * u64::from(limits.max_pages)
    } else {
        MAX_PAYLOAD.into()
    };
    if u64::from(length) > most {
        return Err(Broken::Unexpected("a frame that is too long"));
    }
    // Grows with what arrives, not with what was announced.
    let mut payload = Vec::new();
    let read = stream
        .take(length.into())
        .read_to_end(&mut payload)
        .await
        .map_err(Broken::Io)?;
    if read < length as usize {
        return Err(Broken::Ended);
    }
    Ok((kind, payload))
}

async fn exact(stream: &mut (impl AsyncRead + Unpin), buffer: &mut [u8]) -> Result<(), Broken> {
    match stream.read_exact(buffer).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Broken::Ended),
        Err(error) => Err(Broken::Io(error)),
    }
}

/// A message for people: one line, no control characters, not too long.
fn presentable(message: &str) -> String {
    message
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_MESSAGE)
        .collect()
}

#[cfg(test)]
mod tests;
