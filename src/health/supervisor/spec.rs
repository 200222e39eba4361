//! What a supervisor starts, and how.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use super::super::restarts::Patience;

/// A file that the child cannot do without.
#[derive(Debug, Clone)]
struct Needed {
    path: PathBuf,
    otherwise: String,
}

/// What to start, and how.
#[derive(Debug, Clone)]
pub struct ChildSpec {
    pub(super) name: String,
    /// Where to look first; else beside this program, else in `PATH`.
    path_variable: String,
    /// Where it is, when that is known.
    path: Option<PathBuf>,
    pub(super) args: Vec<OsString>,
    needs: Vec<Needed>,
    pub(super) patience: Patience,
    pub(super) start_limit: Duration,
    pub(super) stop_limit: Duration,
    pub(super) look_again: Duration,
    pub(super) memory: Option<u64>,
    pub(super) look_at_it: Duration,
    pub(super) optional: bool,
}

impl ChildSpec {
    /// The program `name`, looked for at the path in the environment variable `path_variable`, then
    /// beside this program, then in `PATH`.
    pub fn new(name: impl Into<String>, path_variable: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            path_variable: path_variable.into(),
            path: None,
            args: Vec::new(),
            needs: Vec::new(),
            patience: Patience::default(),
            start_limit: Duration::from_secs(20),
            stop_limit: Duration::from_secs(3),
            look_again: Duration::from_secs(10),
            memory: None,
            look_at_it: Duration::from_secs(1),
            optional: false,
        }
    }

    /// The program at this path, looked for nowhere else.
    #[must_use]
    pub fn at(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Its arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// A file without which it is not started; `otherwise` says to a person what to do about it. The
    /// file is looked for again and again, so a download while the daemon runs is enough.
    #[must_use]
    pub fn needs(mut self, path: impl Into<PathBuf>, otherwise: impl Into<String>) -> Self {
        self.needs.push(Needed {
            path: path.into(),
            otherwise: otherwise.into(),
        });
        self
    }

    /// When it is started again after it ended.
    #[must_use]
    pub fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// How long it may take to say where it listens (20 s unless said otherwise).
    #[must_use]
    pub fn start_limit(mut self, limit: Duration) -> Self {
        self.start_limit = limit;
        self
    }

    /// How long it may take to end after its standard input closed, before it is killed (3 s).
    #[must_use]
    pub fn stop_limit(mut self, limit: Duration) -> Self {
        self.stop_limit = limit;
        self
    }

    /// How often missing files are looked for (10 s).
    #[must_use]
    pub fn look_again(mut self, every: Duration) -> Self {
        self.look_again = every;
        self
    }

    /// How many bytes of memory it may have resident; with more it is ended and started anew.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// How often its memory is looked at, and whether something stopped it (1 s).
    #[must_use]
    pub fn look_at_it(mut self, every: Duration) -> Self {
        self.look_at_it = every;
        self
    }

    /// What it needs may be missing without anybody minding: the board then shows it as off.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The program's path and that of every needed file checked, or what to do about what is missing.
    pub(super) fn program(&self) -> Result<PathBuf, String> {
        let program = match &self.path {
            Some(path) if path.is_file() => path.clone(),
            Some(path) => return Err(format!("the program {} is missing", path.display())),
            None => find_program(&self.name, &self.path_variable)?,
        };
        match self.needs.iter().find(|needed| !needed.path.is_file()) {
            Some(needed) => Err(format!(
                "{} is missing; {}",
                needed.path.display(),
                needed.otherwise
            )),
            None => Ok(program),
        }
    }
}

/// Finds a program as [`ChildSpec::new`] says.
///
/// # Errors
/// What was looked for and where, for the person who reads it.
pub fn find_program(name: &str, path_variable: &str) -> Result<PathBuf, String> {
    if let Some(path) = env::var_os(path_variable).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(format!(
                "{path_variable} names {}, which is not a file",
                path.display()
            ))
        };
    }
    let beside = env::current_exe()
        .ok()
        .and_then(|exe| exe.parent().map(Path::to_owned));
    let in_path = env::var_os("PATH").unwrap_or_default();
    beside
        .into_iter()
        .chain(env::split_paths(&in_path))
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            format!(
                "the program {name} was found neither beside griot nor in PATH; install it there \
                 or name it in {path_variable}"
            )
        })
}
