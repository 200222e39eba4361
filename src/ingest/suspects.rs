//! Documents that were in work when the daemon died. One of them may be the reason.
//!
//! A file of the document's name lies in `in-work/` as long as it is in the pipeline, so the next start
//! sees who was there. Who was there alone is blamed; who was there among others is suspected, and goes
//! through the pipeline alone from then on, behind all others. So the innocent are soon acquitted, and
//! a document that kills the daemon is set aside after a few starts instead of killing each.
//!
//! The files are not synced: they are for the death of this process. A power cut is nobody's fault.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{IngestError, shared::Shared};
use crate::domain::DocumentId;

/// The names of the documents in work, for the next start.
#[derive(Debug)]
pub(super) struct InWork {
    folder: PathBuf,
}

impl InWork {
    pub(super) fn open(home: &Path) -> Result<Self, IngestError> {
        let folder = home.join("in-work");
        fs::create_dir_all(&folder)
            .map_err(|e| IngestError::io("the folder could not be made", &folder, e))?;
        Ok(Self { folder })
    }

    pub(super) fn begin(&self, id: DocumentId) {
        // Without it nobody is blamed, which is the lesser evil on a full disk.
        let _ = fs::File::create(self.folder.join(id.to_string()));
    }

    pub(super) fn end(&self, id: DocumentId) {
        let _ = fs::remove_file(self.folder.join(id.to_string()));
    }

    /// Those that an earlier run began and did not end.
    fn left(&self) -> Vec<DocumentId> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect()
    }
}

/// Blames whoever was in work when the last run died, and sets aside who was there too often. For the
/// start, before there is new work.
pub(super) fn judge(shared: &Shared) -> Result<(), IngestError> {
    let left = shared.in_work.left();
    if !left.is_empty() {
        match shared.catalog.blame(&left, shared.config.max_tries) {
            Ok(quarantined) => {
                tracing::warn!(
                    documents = left.len(),
                    "the last run ended with documents in work; they are tried again, behind the others"
                );
                for id in quarantined {
                    tracing::error!(
                        document = %id,
                        "a document is set aside: the daemon died each time it was in work"
                    );
                }
                left.into_iter().for_each(|id| shared.in_work.end(id));
            }
            // On a full disk nobody can be blamed; the names stay for the next start.
            Err(error) => tracing::warn!(%error, "documents left in work could not be noted"),
        }
    }
    shared.suspect(shared.catalog.tried()?);
    Ok(())
}
