//! Room on the disk. Uploads leave some free, so that there is a way back from a full disk: deleting
//! needs room too, and the index writes through mapped files, where a full disk is a signal and not an
//! error.

use std::path::{Path, PathBuf};

use super::IngestError;

/// Bytes of an upload between two looks.
pub(super) const LOOK_EVERY: u64 = 1024 * 1024;

/// The disk that a home is on.
#[derive(Debug)]
pub(super) struct Room {
    home: PathBuf,
    keep_free: u64,
}

impl Room {
    pub(super) fn new(home: &Path, keep_free: u64) -> Self {
        Self {
            home: home.to_owned(),
            keep_free,
        }
    }

    /// # Errors
    /// [`IngestError::DiskFull`] when less is free than is to stay so.
    pub(super) async fn for_uploads(&self) -> Result<(), IngestError> {
        self.at_least(self.keep_free).await
    }

    /// What was accepted may take half of what uploads leave: the rest is for deletes.
    ///
    /// # Errors
    /// [`IngestError::DiskFull`].
    pub(super) async fn for_documents(&self) -> Result<(), IngestError> {
        self.at_least(self.keep_free / 2).await
    }

    /// As [`Self::for_uploads`], on a thread that may block.
    ///
    /// # Errors
    /// [`IngestError::DiskFull`].
    pub(super) fn for_uploads_blocking(&self) -> Result<(), IngestError> {
        at_least(&self.home, self.keep_free)
    }

    async fn at_least(&self, bytes: u64) -> Result<(), IngestError> {
        let home = self.home.clone();
        // A disk that is away (a network's) may keep whoever asks it for long.
        let asked = tokio::task::spawn_blocking(move || at_least(&home, bytes));
        asked.await.unwrap_or(Ok(()))
    }
}

fn at_least(home: &Path, bytes: u64) -> Result<(), IngestError> {
    // A file system that does not tell says so when it is full.
    match rustix::fs::statvfs(home) {
        Ok(disk) if disk.f_bavail.saturating_mul(disk.f_frsize) < bytes => {
            Err(IngestError::DiskFull)
        }
        _ => Ok(()),
    }
}
