//! What can be wrong with the settings, in words for the person who wrote them.

use std::{fmt, path::PathBuf};

use super::keys::Form;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    /// `line` counts from 1.
    File {
        path: PathBuf,
        line: usize,
    },
    /// The variable's name.
    Environment(String),
    /// The flag as typed, such as `--listen`.
    Flag(String),
}

impl Origin {
    /// The kind of place alone: `default`, `file`, `environment`, `flag`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File { .. } => "file",
            Self::Environment(_) => "environment",
            Self::Flag(_) => "flag",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(variable) => f.write_str(variable),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}:{line}:{column}: this is not TOML: {message}", path.display())]
    NotToml {
        path: PathBuf,
        line: usize,
        column: usize,
        message: String,
    },
    #[error("{at}: there is no setting `{name}`{}", suggestion(nearest.as_deref()))]
    UnknownKey {
        at: Origin,
        name: String,
        nearest: Option<String>,
    },
    #[error("{at}: `{name}` is {given}, but {wanted} is wanted")]
    WrongForm {
        at: Origin,
        name: String,
        given: String,
        wanted: Form,
    },
    #[error(
        "{at}: `{name}` is a single value here, but it is a section: write [{name}] and its settings below"
    )]
    NotASection { at: Origin, name: String },
    #[error("{at}: `{name}` {reason}")]
    Unfit {
        at: Origin,
        name: String,
        reason: String,
    },
    #[error("the environment variable {0} is not UTF-8 text")]
    NotText(String),
    #[error("no home folder is known: set HOME, or set XDG_CONFIG_HOME and XDG_DATA_HOME")]
    NoHome,
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// Everything that is wrong with the settings, at least one thing.
#[derive(Debug)]
pub struct ConfigError {
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.problems.as_slice() {
            return write!(f, "{only}");
        }
        write!(f, "{} settings are wrong:", self.problems.len())?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
