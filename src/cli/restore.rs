//! `griot restore`: a backup into an empty home.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use super::{
    Context, Failure,
    backup::{check, reading, warn_of_lost},
    print,
};
use crate::{
    app,
    backup::{self, Restored, Settings, Whole},
    config::Overrides,
};

/// Put a backup into an empty library folder
///
/// Everything is written beside its place and checked before it takes it: a backup that is damaged or
/// cut short changes nothing. A folder that holds a library already, or that a daemon uses, is refused.
/// The index of meanings is made anew when the daemon starts; until then questions are answered by words.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  griot restore ~/griot.tar.zst\n  GRIOT_HOME=/srv/griot griot restore griot.tar.zst\n  griot restore --check griot.tar.zst"
)]
pub struct Restore {
    /// The backup, or `-` for standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only read it and say whether it is whole.
    #[arg(long)]
    check: bool,
}

impl Restore {
    pub async fn run(self, context: Context) -> Result<(), Failure> {
        if self.check {
            let whole = if self.file == Path::new("-") {
                let read = tokio::task::spawn_blocking(|| backup::read(io::stdin(), &mut ()));
                told(
                    read.await
                        .map_err(|error| Failure::told(error.to_string()))?,
                )?
            } else {
                check(&self.file).await?
            };
            return report(&context, &self.file.display().to_string(), &whole, None);
        }
        let settings = context.settings(&Overrides::default())?;
        let home = settings.paths.home.clone();
        let settings_file = settings.paths.config_file.clone();
        let (input, length): (Box<dyn Read + Send>, _) = if self.file == Path::new("-") {
            (Box::new(io::stdin()), 0)
        } else {
            let file = File::open(&self.file).map_err(|error| {
                Failure::told(format!("{} cannot be read: {error}", self.file.display()))
            })?;
            let length = file.metadata().map_or(0, |file| file.len());
            (Box::new(file), length)
        };
        let made_here = !home.exists();
        let lock = told(app::lock_home(&home))?;
        let bar = reading(length, "restored");
        let place = home.clone();
        let restored = tokio::task::spawn_blocking(move || {
            let restored = backup::restore(bar.wrap_read(input), &place, &settings_file);
            bar.finish_and_clear();
            restored
        });
        let restored = restored
            .await
            .map_err(|error| Failure::told(format!("the restore broke off: {error}")))?;
        if restored.is_err() && made_here {
            // Only what this command made goes; anything else in it keeps the folder.
            let _ = fs::remove_file(home.join("lock"));
            let _ = fs::remove_dir(&home);
        }
        drop(lock);
        let Restored { whole, settings } = told(restored)?;
        report(
            &context,
            &home.display().to_string(),
            &whole,
            Some(&settings),
        )
    }
}

fn told<T, E: std::error::Error>(result: Result<T, E>) -> Result<T, Failure> {
    result.map_err(|error| Failure::told(error.to_string()))
}

fn report(
    context: &Context,
    place: &str,
    whole: &Whole,
    settings: Option<&Settings>,
) -> Result<(), Failure> {
    let header = &whole.header;
    if context.json() {
        let settings = match settings {
            Some(Settings::Placed(path) | Settings::Beside(path)) => Some(path),
            Some(Settings::None) | None => None,
        };
        context.out.json(&json!({
            "place": place,
            "made_at": header.made_at,
            "griot": header.griot,
            "documents": header.documents,
            "members": header.members,
            "bytes": header.bytes,
            "settings": settings,
            "missing": whole.manifest.missing,
            "damaged": whole.manifest.damaged,
        }))?;
    } else {
        let what = if settings.is_some() {
            "restored"
        } else {
            "a whole backup"
        };
        context.out.line(&format!(
            "{place}: {what}, {}, {} of {}",
            print::counted(header.documents, "document"),
            print::size(header.bytes),
            header.made_at,
        ))?;
        match settings {
            Some(Settings::Placed(path)) => {
                context.out.line(&format!("settings: {}", path.display()))?
            }
            Some(Settings::Beside(path)) => context.out.line(&format!(
                "settings: yours stay; those of the backup are in {}",
                path.display()
            ))?,
            Some(Settings::None) | None => {}
        }
    }
    warn_of_lost(whole);
    Ok(())
}
