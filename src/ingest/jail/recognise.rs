//! Becomes Tesseract, after denying it what it does not need: a program of the system's own, which runs
//! on pictures that strangers chose. It reads the picture from standard input and writes its table of
//! words to standard output.

use std::{
    ffi::OsString,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use super::program;

/// What to run, and with how much of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Orders {
    pub(super) memory_bytes: u64,
    pub(super) cpu_s: u64,
    pub(super) program: PathBuf,
    /// As Tesseract wants them: `eng+deu`.
    pub(super) languages: String,
    /// Find out first which way up the picture is, and turn it.
    pub(super) turn: bool,
    /// Where its models are, when not where it was installed to.
    pub(super) models: Option<PathBuf>,
}

impl Orders {
    /// The arguments after `extract recognise`; the reverse of [`Self::parse`].
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let mut arguments = vec![
            self.memory_bytes.to_string().into(),
            self.cpu_s.to_string().into(),
            self.program.clone().into_os_string(),
            self.languages.clone().into(),
            self.turn.to_string().into(),
        ];
        arguments.extend(self.models.clone().map(PathBuf::into_os_string));
        arguments
    }

    fn parse(arguments: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let mut words = arguments.into_iter();
        let mut number = || words.next()?.to_str()?.parse().ok();
        Some(Self {
            memory_bytes: number()?,
            cpu_s: number()?,
            program: words.next()?.into(),
            languages: words.next()?.into_string().ok()?,
            turn: words.next()?.to_str()?.parse().ok()?,
            models: words.next().map(PathBuf::from),
        })
    }
}

/// Where programs, their libraries and their models are installed. Nobody's papers are there.
const READABLE: [&str; 7] = [
    "/usr",
    "/lib",
    "/lib64",
    "/opt",
    "/nix/store",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
];

pub(super) fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Some(orders) = Orders::parse(arguments) else {
        return ExitCode::from(2);
    };
    let mut readable: Vec<&Path> = READABLE.iter().map(Path::new).collect();
    readable.extend(orders.program.parent());
    readable.extend(orders.models.as_deref());
    program::confine(orders.memory_bytes, orders.cpu_s, &readable);
    let mut tesseract = Command::new(&orders.program);
    tesseract
        .args(["stdin", "stdout", "-l", &orders.languages])
        .args(["-c", "tessedit_create_tsv=1"])
        .env_clear()
        // Threads of its own would only wait for the processor that it may use.
        .env("OMP_THREAD_LIMIT", "1")
        .env("LC_ALL", "C");
    if orders.turn {
        // Its own caution is for whoever does not read the picture the other way up too.
        tesseract
            .args(["--psm", "1", "-c", "min_orientation_margin=0"])
            .args(["-c", "min_characters_to_try=10"]);
    } else {
        tesseract.args(["--psm", "3"]);
    }
    if let Some(models) = &orders.models {
        tesseract.env("TESSDATA_PREFIX", models);
    }
    // Returns only when it could not be started.
    drop(tesseract.exec());
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_come_through() {
        let mut orders = Orders {
            memory_bytes: 1,
            cpu_s: 2,
            program: "/usr/bin/tesseract".into(),
            languages: "eng+deu".into(),
            turn: true,
            models: None,
        };
        assert_eq!(Orders::parse(orders.arguments()), Some(orders.clone()));
        orders.models = Some("/srv/tessdata".into());
        assert_eq!(Orders::parse(orders.arguments()), Some(orders.clone()));
        assert_eq!(Orders::parse(orders.arguments()[..3].to_vec()), None);
    }
}
