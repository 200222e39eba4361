//! Why a command failed, for the person who typed it, and the exit code that says so to scripts.

use std::{io, process::ExitCode};

use super::{client::ClientError, print::shown};
use crate::config::ConfigError;

/// A command's failure.
#[derive(Debug)]
pub enum Failure {
    /// What to tell, in one or more lines.
    Told(String),
    /// Everything was said already; only the exit code is left.
    Said,
    /// The reader of our output has gone (`griot docs ls | head`): not worth a word.
    OutputClosed,
}

impl Failure {
    /// A failure in words.
    pub fn told(message: impl Into<String>) -> Self {
        Self::Told(message.into())
    }

    /// What there is to say.
    pub fn message(&self) -> &str {
        match self {
            Self::Told(message) => message,
            Self::Said | Self::OutputClosed => "it was said already",
        }
    }

    /// Says it on standard error.
    pub fn report(self) -> ExitCode {
        match self {
            Self::Told(message) => {
                // It may quote a file's name, or what answered in the daemon's place.
                eprintln!("error: {}", shown(&message, true));
                ExitCode::FAILURE
            }
            Self::Said => ExitCode::FAILURE,
            Self::OutputClosed => ExitCode::SUCCESS,
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Told(error.to_string())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Told(error.to_string())
    }
}

/// Writing to standard output failed.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::OutputClosed
        } else {
            Self::Told(format!("the output cannot be written: {error}"))
        }
    }
}
