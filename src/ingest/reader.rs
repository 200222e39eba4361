//! What reads an original: the jail, or in tests something simpler.

use std::fs::File;

use async_trait::async_trait;

use super::{
    extract::{ExtractError, Extracted, Progress},
    jail::Extractor,
    password::Password,
};

/// What is known of an original before it is read.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// The file's name, which may tell a text's kind by its ending.
    pub name: String,
    pub password: Option<Password>,
}

/// Reads one original. Not a port: there is one real implementation, the limited child process; this
/// lets the pipeline be tested without starting any.
#[async_trait]
pub trait Reader: Send + Sync {
    /// The document in a file, from its beginning. Dropping the future stops the reading.
    ///
    /// # Errors
    /// Why this document cannot be read. Final, unless it says that it passes: the document fails with it.
    async fn read(
        &self,
        original: File,
        source: &Source,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Extracted, ExtractError>;
}

#[async_trait]
impl Reader for Extractor {
    async fn read(
        &self,
        original: File,
        source: &Source,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Extracted, ExtractError> {
        let password = source.password.as_ref();
        self.extract_locked(original, &source.name, password, progress)
            .await
    }
}
