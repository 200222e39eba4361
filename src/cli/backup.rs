//! `griot backup`: the whole library into one file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, IsTerminal, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Method, Response};
use serde_json::json;

use super::{Context, Failure, client::ClientError, print};
use crate::{
    app,
    backup::{self, Header, Name, ReadError, Take, Whole},
    catalog::Catalog,
    config::{Loaded, Overrides},
    ingest::Held,
};

/// Write documents, conversations and settings into one file, while everything goes on
///
/// The running daemon is asked; where none runs, the library's folder is read. FILE gets its name only
/// when it was written, synced and read back, so a backup that is there is whole; an earlier one of the
/// same name stays until then. It is readable by you alone and not encrypted. `store.api_key` is not in
/// it, nor are the models.
///
/// Exit code 0: the backup is there and whole. 1: it is not.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  griot backup ~/griot.tar.zst\n  griot backup - | ssh nas 'cat > griot.tar.zst'"
)]
pub struct Backup {
    /// The file to write, or `-` for standard output (which is not read back).
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Backup {
    pub async fn run(self, context: Context) -> Result<(), Failure> {
        let source = Source::find(&context).await?;
        if self.file == Path::new("-") {
            if io::stdout().is_terminal() {
                return Err(Failure::told(
                    "a backup is nothing for a terminal; name a file, or send it through a pipe",
                ));
            }
            source.write_to(io::stdout(), &counting("sent")).await?;
            return Ok(());
        }
        refuse_other_file(&self.file)?;
        let mut part = Part::new(&self.file)?;
        let bar = counting("written");
        source.write_to(part.file()?, &bar).await?;
        bar.finish_and_clear();
        let whole = part.keep(&self.file).await?;
        self.report(&context, &whole)
    }

    fn report(&self, context: &Context, whole: &Whole) -> Result<(), Failure> {
        let (header, manifest) = (&whole.header, &whole.manifest);
        let bytes = fs::metadata(&self.file).map_or(0, |file| file.len());
        if context.json() {
            context.out.json(&json!({
                "file": self.file,
                "made_at": header.made_at,
                "documents": header.documents,
                "members": header.members,
                "bytes": header.bytes,
                "archive_bytes": bytes,
                "missing": manifest.missing,
                "damaged": manifest.damaged,
            }))?;
        } else {
            context.out.line(&format!(
                "{}: {}, {} ({} unpacked), read back and whole",
                self.file.display(),
                print::counted(header.documents, "document"),
                print::size(bytes),
                print::size(header.bytes),
            ))?;
        }
        warn_of_lost(whole);
        Ok(())
    }
}

/// Says on standard error what was lost before the backup was made: it holds everything that was there.
pub fn warn_of_lost(whole: &Whole) {
    for (lost, what) in [
        (&whole.manifest.missing, "missing"),
        (&whole.manifest.damaged, "damaged"),
    ] {
        if let Some(first) = lost.first() {
            eprintln!(
                "warning: {} {what} in the library when the backup was made ({first}…); upload them again",
                match lost.len() {
                    1 => "1 original was".to_owned(),
                    more => format!("{more} originals were"),
                },
            );
        }
    }
}

/// What is there under that name and is something else is not written over.
fn refuse_other_file(path: &Path) -> Result<(), Failure> {
    /// Reads no further than the beginning.
    struct Glance;
    impl Take for Glance {
        fn begin(&mut self, _: &Header) -> io::Result<()> {
            Err(io::Error::other("seen"))
        }
        fn take(&mut self, _: Name, _: u64, _: &mut dyn Read) -> io::Result<()> {
            Ok(())
        }
    }
    let is_file = match fs::metadata(path) {
        Ok(about) => about.is_file(),
        Err(_) => return Ok(()),
    };
    let is_backup = || {
        let read = File::open(path).map(|file| backup::read(file, &mut Glance));
        !matches!(
            read,
            Err(_) | Ok(Err(ReadError::NotABackup | ReadError::Io(_)))
        )
    };
    if is_file && is_backup() {
        return Ok(());
    }
    Err(Failure::told(format!(
        "{} is there already and is no backup of griot; move it away or name another file",
        path.display()
    )))
}

/// Where the library is read from.
enum Source {
    Daemon(Response),
    /// No daemon runs, and none can start while the lock is held.
    Home {
        settings: Box<Loaded>,
        _lock: File,
    },
}

impl Source {
    async fn find(context: &Context) -> Result<Self, Failure> {
        let client = context.client()?;
        let request = client.request(Method::GET, &["api", "backup"]);
        match client.send(request).await {
            Ok(response) => Ok(Self::Daemon(response)),
            Err(ClientError::NotRunning { url, .. }) if context.global.url.is_none() => {
                let settings = context.settings(&Overrides::default())?;
                let home = &settings.paths.home;
                if !home.join("catalog.sqlite").exists() {
                    return Err(Failure::told(format!(
                        "there is no library in {}, and no daemon answers at {url}",
                        home.display()
                    )));
                }
                let lock =
                    app::lock_home(home).map_err(|error| Failure::told(error.to_string()))?;
                Ok(Self::Home {
                    settings: Box::new(settings),
                    _lock: lock,
                })
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn write_to(
        self,
        mut out: impl Write + Send + 'static,
        bar: &ProgressBar,
    ) -> Result<(), Failure> {
        match self {
            Self::Daemon(mut response) => {
                while let Some(bytes) = response.chunk().await.map_err(ClientError::Broken)? {
                    out.write_all(&bytes).map_err(|error| unwritten(&error))?;
                    bar.inc(bytes.len() as u64);
                }
                out.flush().map_err(|error| unwritten(&error))
            }
            Self::Home { settings, _lock } => {
                let bar = bar.clone();
                let work = move || {
                    let home = &settings.paths.home;
                    let told = |error: &dyn std::error::Error| Failure::told(error.to_string());
                    let catalog =
                        Catalog::open(&home.join("catalog.sqlite")).map_err(|e| told(&e))?;
                    let held = Held::of_stopped(home, &catalog).map_err(|e| told(&e))?;
                    let text = fs::read_to_string(&settings.paths.config_file).ok();
                    let text = text.and_then(|text| backup::without_secrets(&text));
                    backup::write(&held, text.as_deref(), bar.wrap_write(&mut out))
                        .map_err(|error| unwritten(&error))?;
                    out.flush().map_err(|error| unwritten(&error))
                };
                tokio::task::spawn_blocking(work)
                    .await
                    .map_err(|error| Failure::told(format!("the backup broke off: {error}")))?
            }
        }
    }
}

fn unwritten(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Failure::told(
            "the disk is full; there is no new backup, and nothing was left of this one",
        ),
        _ => Failure::told(format!("the backup cannot be written: {error}")),
    }
}

/// The file while it has another name. It goes with this value.
struct Part {
    path: PathBuf,
    file: File,
}

impl Part {
    fn new(wanted: &Path) -> Result<Self, Failure> {
        let mut name = wanted
            .file_name()
            .ok_or_else(|| Failure::told(format!("{} is no file's name", wanted.display())))?
            .to_owned();
        name.push(".part");
        let path = wanted.with_file_name(name);
        // What a kill left of an earlier one.
        let _ = fs::remove_file(&path);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| {
                Failure::told(format!("{} cannot be written: {error}", path.display()))
            })?;
        Ok(Self { path, file })
    }

    fn file(&self) -> Result<File, Failure> {
        self.file.try_clone().map_err(|error| unwritten(&error))
    }

    /// Syncs it, reads it back, and gives it its name.
    async fn keep(&mut self, wanted: &Path) -> Result<Whole, Failure> {
        self.file.sync_all().map_err(|error| unwritten(&error))?;
        let whole = check(&self.path).await?;
        let renamed = fs::rename(&self.path, wanted).and_then(|()| {
            let folder = wanted.parent().filter(|f| !f.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        });
        renamed.map_err(|error| unwritten(&error))?;
        Ok(whole)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Gone already when it got its name.
        let _ = fs::remove_file(&self.path);
    }
}

/// Reads an archive whole.
pub async fn check(path: &Path) -> Result<Whole, Failure> {
    let shown = path.display().to_string();
    let failed = move |reason: &dyn std::fmt::Display| Failure::told(format!("{shown}: {reason}"));
    let file = File::open(path).map_err(|error| failed(&error))?;
    let bar = reading(file.metadata().map_or(0, |file| file.len()), "checked");
    let read = tokio::task::spawn_blocking(move || {
        let whole = backup::read(bar.wrap_read(file), &mut ());
        bar.finish_and_clear();
        whole
    });
    let read = read.await.map_err(|error| failed(&error))?;
    read.map_err(|error| failed(&error))
}

/// A bar on standard error for what has no known end; nothing where nobody looks.
fn counting(what: &'static str) -> ProgressBar {
    shown_bar(
        ProgressBar::no_length(),
        &format!("{{spinner}} {{decimal_bytes}} {what}, {{decimal_bytes_per_sec}}"),
    )
}

/// A bar on standard error for a file of known length.
pub fn reading(bytes: u64, what: &'static str) -> ProgressBar {
    shown_bar(
        ProgressBar::new(bytes),
        &format!("{{bar:30}} {{percent:>3}} % {what}, {{eta}} left"),
    )
}

fn shown_bar(bar: ProgressBar, template: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template).expect("the template is well formed");
    bar.enable_steady_tick(Duration::from_millis(200));
    bar.with_style(style)
}
