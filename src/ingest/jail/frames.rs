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
mod tests {
    use super::*;
    use crate::{
        domain::{MediaType, PageState},
        ingest::extract::{Engine, ExtractedPage, Section},
    };

    fn sample() -> Extracted {
        Extracted {
            media_type: MediaType::Text,
            title: Some("T".into()),
            text: "Tëxt".repeat(400_000),
            paged: false,
            pages: vec![ExtractedPage {
                page: 1,
                start: 0,
                end: 2_000_000,
                state: PageState::Text,
                chars: 1_600_000,
                engine: Engine::Text,
            }],
            sections: vec![Section {
                start: 5,
                level: 1,
                title: "S".into(),
                path: "S".into(),
            }],
        }
    }

    fn stream(write: impl FnOnce(&mut Writer<&mut Vec<u8>>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut Writer::new(&mut out).unwrap());
        out
    }

    async fn parse(mut bytes: &[u8]) -> (Result<Outcome, Broken>, Vec<u32>) {
        let mut pages = Vec::new();
        let mut heard = |heard| match heard {
            Heard::Progress(progress) => pages.push(progress.page),
            Heard::Note(note) => assert_eq!(note, "no landlock"),
        };
        let read = read(&mut bytes, &Limits::default(), &mut heard).await;
        (read, pages)
    }

    #[tokio::test]
    async fn a_document_comes_through() {
        let bytes = stream(|w| {
            w.note("no landlock").unwrap();
            w.progress(Progress { page: 1, of: 2 }).unwrap();
            w.progress(Progress { page: 2, of: 2 }).unwrap();
            w.document(sample()).unwrap();
        });
        let (read, pages) = parse(&bytes).await;
        let Ok(Outcome::Read(extracted)) = read else {
            panic!("{read:?}");
        };
        assert_eq!(*extracted, sample());
        assert_eq!(pages, [1, 2]);
    }

    #[tokio::test]
    async fn a_failure_comes_through_on_one_line() {
        let failure = ExtractError::new(FailureCode::Damaged, "broken\n\u{1b}[31m");
        let bytes = stream(|w| w.failure(&failure).unwrap());
        let Ok(Outcome::Failed(failure)) = parse(&bytes).await.0 else {
            panic!("no failure");
        };
        assert_eq!(
            (failure.code, failure.message.as_str()),
            (FailureCode::Damaged, "broken  [31m")
        );
    }

    #[tokio::test]
    async fn a_failure_without_end_is_cut() {
        let failure = ExtractError::new(FailureCode::Damaged, "x".repeat(16 * 1024 * 1024));
        let bytes = stream(|w| w.failure(&failure).unwrap());
        let Ok(Outcome::Failed(failure)) = parse(&bytes).await.0 else {
            panic!("no failure");
        };
        assert_eq!(failure.message.len(), MAX_MESSAGE);
    }

    #[tokio::test]
    async fn every_cut_is_noticed() {
        let mut small = sample();
        small.text = "Text".into();
        small.pages[0].end = 4;
        small.pages[0].chars = 4;
        small.sections.clear();
        let bytes = stream(|w| w.document(small).unwrap());
        for cut in 0..bytes.len() {
            let (read, _) = parse(&bytes[..cut]).await;
            assert!(matches!(read, Err(Broken::Ended)), "{cut}: {read:?}");
        }
        assert!(matches!(parse(&bytes).await.0, Ok(Outcome::Read(_))));
    }

    #[tokio::test]
    async fn text_in_crumbs_is_refused() {
        let announced = serde_json::to_vec(&Announced {
            document: Extracted {
                text: String::new(),
                ..sample()
            },
            text_bytes: 4,
        });
        let bytes = stream(|w| {
            w.frame(DOCUMENT, &announced.unwrap()).unwrap();
            w.frame(TEXT, b"T").unwrap();
            w.frame(TEXT, b"ext").unwrap();
            w.frame(END, &[]).unwrap();
        });
        let (read, _) = parse(&bytes).await;
        assert!(matches!(read, Err(Broken::Unexpected(_))), "{read:?}");
    }

    #[tokio::test]
    async fn lies_are_noticed() {
        let lies: [(&str, fn(&mut Extracted)); 12] = [
            ("beyond the text", |e| e.pages[0].end += 1),
            ("inside a character", |e| e.pages[0].end = 2),
            ("a wrong count", |e| e.pages[0].chars -= 1),
            ("no pages", |e| e.pages.clear()),
            ("a section beyond", |e| e.sections[0].start = u64::MAX),
            ("control characters", |e| {
                e.text.replace_range(0..1, "\u{1}")
            }),
            ("a title that obeys nobody", |e| {
                e.title = Some("\u{1b}]0;x".into())
            }),
            ("a title without end", |e| {
                e.title = Some("x".repeat(100_000))
            }),
            ("a heading of two lines", |e| {
                e.sections[0].title = "a\nb".into()
            }),
            ("a path that repaints", |e| {
                e.sections[0].path = "a\u{9b}2J".into()
            }),
            ("a level that is none", |e| e.sections[0].level = 0),
            ("sections without end", |e| {
                e.sections = vec![e.sections[0].clone(); 100_001];
            }),
        ];
        for (what, lie) in lies {
            let mut lying = sample();
            lie(&mut lying);
            let bytes = stream(|w| w.document(lying).unwrap());
            let (read, _) = parse(&bytes).await;
            assert!(
                matches!(read, Err(Broken::Unexpected(_))),
                "{what}: {read:?}"
            );
        }
        let frames: [&[u8]; 6] = [
            b"GRIOTEX2",
            b"GRIOTEX1\x09\0\0\0\0",
            b"GRIOTEX1\x05\x01\0\0\0x",
            b"GRIOTEX1\x01\xff\xff\xff\xff",
            b"GRIOTEX1\x02\x08\0\0\0\x02\0\0\0\x01\0\0\0",
            b"GRIOTEX1\x04\x02\0\0\0{}",
        ];
        for bytes in frames {
            let (read, _) = parse(bytes).await;
            assert!(
                matches!(read, Err(Broken::Unexpected(_))),
                "{bytes:?}: {read:?}"
            );
        }
    }
}
