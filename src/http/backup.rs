//! The whole library as one file, streamed while everything else goes on.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use axum::{
    body::{Body, Bytes},
    extract::State as Shared,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{
    State,
    problem::{Code, Problem},
};
use crate::{backup, ingest::Held};

/// Bytes sent at once, and how many such pieces wait for a slow client.
const PIECE: usize = 64 * 1024;
const PIECES: usize = 4;

/// Catalog, originals and settings (without `store.api_key`) of this moment, in one archive that
/// `griot restore` reads. One at a time. An archive that is cut short says so when it is read.
#[utoipa::path(get, path = "/api/backup", tag = "library",
    responses((status = 200, description = "A tar archive, compressed with zstd", content(
        (Vec<u8> = "application/zstd")))))]
pub async fn backup(Shared(state): Shared<State>) -> Result<Response, Problem> {
    let turn = state.backups().try_acquire_owned().map_err(|_| {
        Problem::new(
            Code::Conflict,
            "a backup is being made already; wait until it is done",
        )
    })?;
    let held = state.library().hold().await?;
    let name = format!(
        "attachment; filename=\"griot-{}.tar.zst\"",
        held.at().strftime("%Y-%m-%dT%H%M%SZ")
    );
    let settings_file = state.settings_file().cloned();
    let (sender, pieces) = mpsc::channel(PIECES);
    // It ends with the response: when nobody takes the pieces any more, sending one fails.
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let mut out = Pieces {
            sender,
            piece: Vec::with_capacity(PIECE),
        };
        if let Err(error) = send(&held, settings_file, &mut out)
            && !out.sender.is_closed()
        {
            tracing::warn!(%error, "a backup could not be made");
            let _ = out.sender.blocking_send(Err(error));
        }
    });
    Ok((
        [
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/zstd"),
            ),
            (
                header::CONTENT_DISPOSITION,
                HeaderValue::try_from(name).expect("a time is graphic ASCII"),
            ),
        ],
        Body::from_stream(ReceiverStream::new(pieces)),
    )
        .into_response())
}

fn send(held: &Held, settings_file: Option<PathBuf>, out: &mut Pieces) -> io::Result<()> {
    // A settings' file that is not there or cannot be read is no reason to have no backup.
    let settings = settings_file
        .and_then(|path| std::fs::read_to_string(path).ok())
        .and_then(|text| backup::without_secrets(&text));
    backup::write(held, settings.as_deref(), &mut *out)?;
    out.flush()
}

/// Turns writes into pieces of a body.
struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.sender
            .blocking_send(Ok(piece.into()))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}
