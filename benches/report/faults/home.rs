//! What lies on the disk: the library's disk itself, full; the catalog, held by another program; the
//! embedder's weights, missing and damaged.

use std::{
    error::Error,
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use griot::domain::Component;

use super::{
    super::{
        args::Args,
        daemon::{Daemon, DaemonError, File},
    },
    LEASE, Plan, QUESTION, cell,
    endpoints::Servers,
    lease,
    report::Report,
};

/// A small disk in memory, mounted while this value lives.
struct Disk(PathBuf);

impl Disk {
    /// None where that is not allowed.
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).ok()?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=96m", "griot-bench"])
            .arg(at)
            .stderr(Stdio::null())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then(|| Self(at.to_owned()))
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Takes all that is free.
    fn fill(&self) {
        let Ok(mut file) = fs::File::create(self.ballast()) else {
            return;
        };
        let block = vec![0x5a; 1 << 16];
        while io::Write::write_all(&mut file, &block).is_ok() {}
    }

    fn empty(&self) {
        // It is there, unless it could not be made.
        let _ = fs::remove_file(self.ballast());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A disk that is really full: documents are refused, questions are answered.
pub async fn full_disk(
    args: &Args,
    plan: &Plan,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    for load in plan.loads() {
        if !plan.wants(&format!("disk: full, {load:?}")) {
            continue;
        }
        let folder = tempfile::tempdir()?;
        let Some(disk) = Disk::mount(&folder.path().join("disk")) else {
            eprintln!(
                "bench: faults: skipped: no file system can be mounted here, so no disk is filled"
            );
            return Ok(());
        };
        let servers = Servers::start().await?;
        let mut settings = servers.of_model(false);
        settings.extend([
            ("GRIOT__HEALTH__MIN_DISK_MIB", "16".to_owned()),
            ("GRIOT__INGEST__KEEP_FREE_MIB", "8".to_owned()),
        ]);
        let log = args.out.join("faults-disk.log");
        let home = disk.0.join("home");
        let daemon = Daemon::start_in(&home, args.models.as_deref(), &settings, &log)?;
        let ids = daemon.upload(vec![lease()], "default").await?;
        daemon.wait(&ids).await?;
        daemon.ask(QUESTION, "default").await?;
        let refused = async {
            // Well after it became full.
            tokio::time::sleep(plan.lasting / 2).await;
            daemon.upload(vec![one_more()], "default").await
        };
        let (cell, refused) = tokio::join!(
            cell::measure(&daemon, Component::Disk, *load, plan.lasting, |on| {
                if on { disk.fill() } else { disk.empty() }
            }),
            refused
        );
        report.cell("disk: full", *load, cell?);
        let told = match refused {
            Err(DaemonError::Refused { status, .. }) => format!("refused with {status}"),
            Err(error) => format!("failed: {error}"),
            Ok(_) => "taken".to_owned(),
        };
        let ids = daemon.upload(vec![one_more()], "default").await?;
        daemon.wait(&ids).await?;
        report.more(
            &format!("an upload to the full disk, {load:?}"),
            &format!("{told}; once there is room: searchable"),
        );
        drop(daemon);
        drop(disk);
    }
    Ok(())
}

fn one_more() -> File {
    File {
        name: "more.txt".to_owned(),
        bytes: format!("{LEASE} Cats are not.").into_bytes(),
    }
}

/// Another program (a backup, say) holds the catalog for writing.
pub async fn held_catalog(
    args: &Args,
    plan: &Plan,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    for load in plan.loads() {
        let what = "catalog: locked by another program";
        if !plan.wants(&format!("{what}, {load:?}")) {
            continue;
        }
        let folder = tempfile::tempdir()?;
        let servers = Servers::start().await?;
        let settings = servers.of_model(false);
        let log = args.out.join("faults-catalog.log");
        let daemon = Daemon::start_in(folder.path(), args.models.as_deref(), &settings, &log)?;
        let ids = daemon.upload(vec![lease()], "default").await?;
        daemon.wait(&ids).await?;
        daemon.ask(QUESTION, "default").await?;
        let other = Mutex::new(rusqlite::Connection::open(
            folder.path().join("catalog.sqlite"),
        )?);
        let cell = cell::measure(&daemon, Component::Catalog, *load, plan.lasting, |on| {
            let other = other.lock().expect("nothing panics with it");
            // Beside a writer it waits for its turn.
            let _ = other.busy_timeout(Duration::from_secs(5));
            let done = other.execute_batch(if on { "BEGIN IMMEDIATE" } else { "ROLLBACK" });
            if let Err(error) = done {
                eprintln!("bench: faults: the catalog could not be held: {error}");
            }
        })
        .await?;
        report.cell(what, *load, cell);
    }
    Ok(())
}

/// The embedder's weights: gone, and cut short, when the daemon wants them first.
pub async fn weights(args: &Args, plan: &Plan, report: &mut Report) -> Result<(), Box<dyn Error>> {
    for damaged in [false, true] {
        for load in plan.loads() {
            let what = format!(
                "embedder: weights {}",
                if damaged { "damaged" } else { "missing" }
            );
            if !plan.wants(&format!("{what}, {load:?}")) {
                continue;
            }
            let Some(models) = Models::linked(args)? else {
                eprintln!("bench: faults: skipped: the folder of the models is not known");
                return Ok(());
            };
            let servers = Servers::start().await?;
            let mut settings = servers.of_model(false);
            settings.extend(servers.of_store());
            let home = tempfile::tempdir()?;
            let log = args.out.join("faults-weights.log");
            let start =
                || Daemon::start_in(home.path(), Some(models.folder.path()), &settings, &log);
            let daemon = start()?;
            let ids = daemon.upload(vec![lease()], "default").await?;
            daemon.wait(&ids).await?;
            drop(daemon);
            models.spoil(damaged)?;
            let daemon = start()?;
            let lasting = plan.lasting;
            let cell = cell::spoilt(&daemon, Component::Embedder, *load, lasting, |on| {
                if !on {
                    models.mend();
                }
            })
            .await?;
            report.cell(&what, *load, cell);
        }
    }
    Ok(())
}

/// A folder of models that are those of this machine, and whose embedder can be spoilt.
struct Models {
    folder: tempfile::TempDir,
    embedder: PathBuf,
    model: PathBuf,
}

/// The embedder that the daemon uses by default.
const EMBEDDER: &str = "minilm-l6";

impl Models {
    fn linked(args: &Args) -> Result<Option<Self>, Box<dyn Error>> {
        let data = std::env::var_os("XDG_DATA_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".local/share")));
        let usual = data.map(|data| data.join("griot/models"));
        let Some(from) = args.models.clone().or(usual).filter(|from| from.is_dir()) else {
            return Ok(None);
        };
        let folder = tempfile::tempdir()?;
        let embedder = folder.path().join(EMBEDDER);
        for entry in fs::read_dir(&from)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name != EMBEDDER) {
                symlink(
                    &path,
                    folder.path().join(path.file_name().unwrap_or_default()),
                )?;
            }
        }
        fs::create_dir(&embedder)?;
        for entry in fs::read_dir(from.join(EMBEDDER))? {
            let path = entry?.path();
            symlink(&path, embedder.join(path.file_name().unwrap_or_default()))?;
        }
        let model = fs::canonicalize(embedder.join("model.onnx"))?;
        Ok(Some(Self {
            folder,
            embedder,
            model,
        }))
    }

    fn link(&self) -> PathBuf {
        self.embedder.join("model.onnx")
    }

    fn spoil(&self, damaged: bool) -> io::Result<()> {
        fs::remove_file(self.link())?;
        if damaged {
            let whole = fs::read(&self.model)?;
            fs::write(self.link(), &whole[..whole.len() / 2])?;
        }
        Ok(())
    }

    fn mend(&self) {
        let fresh = self.embedder.join("fresh");
        let mended = symlink(&self.model, &fresh).and_then(|()| fs::rename(&fresh, self.link()));
        if let Err(error) = mended {
            eprintln!("bench: faults: the weights could not be put back: {error}");
        }
    }
}
