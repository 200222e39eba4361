//! The child's side: deny itself everything, read standard input to its end, say what it was.
//!
//! One thread, and the main one: a second thread would need another heap arena (64 MiB of the address
//! space) and the right to make threads. `griot extract` must therefore come here before any runtime is
//! started.

use std::{
    ffi::OsString,
    io::{self, Read},
    process::ExitCode,
};

use super::{
    super::{
        extract::{self, Engine, ExtractError, Extracted, Limits, Options},
        password::{MAX_PASSWORD, Password},
    },
    Confinement, confine, frames, picture, recognise, self_test,
};
use crate::domain::FailureCode;

/// What the child is told.
struct Orders {
    limits: Limits,
    memory_bytes: u64,
    cpu_s: u64,
    /// Of the file's name.
    extension: String,
    /// A password comes before the document, see [`preface`].
    locked: bool,
    only: Option<Engine>,
    self_test: Option<String>,
}

/// Before the document, where there is a password: its length (2 bytes, little-endian), the password,
/// and the length of the document (8 bytes).
pub(super) fn preface(password: &Password, document_bytes: u64) -> Vec<u8> {
    let password = password.as_str().as_bytes();
    let mut preface = Vec::with_capacity(password.len() + 10);
    preface.extend((password.len() as u16).to_le_bytes());
    preface.extend(password);
    preface.extend(document_bytes.to_le_bytes());
    preface
}

/// The reverse of [`preface`].
pub(super) fn read_preface(input: &mut impl Read) -> io::Result<(Password, u64)> {
    let mut length = [0; 2];
    input.read_exact(&mut length)?;
    let mut password = vec![0; usize::from(u16::from_le_bytes(length)).min(MAX_PASSWORD)];
    input.read_exact(&mut password)?;
    let mut size = [0; 8];
    input.read_exact(&mut size)?;
    let password = String::from_utf8(password).ok().and_then(Password::new);
    let password = password.ok_or(io::ErrorKind::InvalidData)?;
    Ok((password, u64::from_le_bytes(size)))
}

/// The arguments after `extract`; the reverse of [`parse`].
pub(super) fn arguments(
    limits: &Limits,
    confinement: &Confinement,
    extension: &str,
) -> Vec<OsString> {
    // Anything else would only be compared with the known ones.
    let plain = extension.len() <= 16 && extension.bytes().all(|b| b.is_ascii_alphanumeric());
    let cpu_s = confinement.timeout.as_secs_f64().ceil() as u64;
    [
        limits.max_file_bytes.to_string(),
        limits.max_pages.to_string(),
        limits.max_text_bytes.to_string(),
        confinement.memory_bytes.to_string(),
        cpu_s.max(1).to_string(),
        if plain {
            extension.to_owned()
        } else {
            String::new()
        },
    ]
    .into_iter()
    .map(OsString::from)
    .collect()
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Option<Orders> {
    let mut words = arguments.into_iter().map(|a| a.into_string().ok());
    let mut next = || words.next().flatten();
    let mut orders = Orders {
        limits: Limits {
            max_file_bytes: next()?.parse().ok()?,
            max_pages: next()?.parse().ok()?,
            max_text_bytes: next()?.parse().ok()?,
        },
        memory_bytes: next()?.parse().ok()?,
        cpu_s: next()?.parse().ok()?,
        extension: next()?,
        locked: false,
        only: None,
        self_test: None,
    };
    while let Some(flag) = next() {
        match flag.as_str() {
            "--locked" => orders.locked = true,
            "--only" => orders.only = Some(next()?.parse().ok()?),
            "--self-test" => orders.self_test = Some(next()?),
            _ => return None,
        }
    }
    Some(orders)
}

/// Runs `griot extract`: `arguments` are those after the subcommand, the document is on standard input,
/// frames go to standard output. Not for people.
///
/// Call it on the main thread, before anything else starts threads.
#[must_use]
pub fn child_main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter().peekable();
    match arguments.peek().and_then(|first| first.to_str()) {
        Some("picture") => return picture::main(arguments.skip(1)),
        Some("recognise") => return recognise::main(arguments.skip(1)),
        _ => {}
    }
    let Some(orders) = parse(arguments) else {
        // Somebody tried it by hand.
        eprintln!("griot extract is run by griot itself; use `griot ingest FILE`");
        return ExitCode::from(2);
    };
    match serve(&orders) {
        Ok(()) => ExitCode::SUCCESS,
        // The daemon hung up; there is nobody to tell.
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve(orders: &Orders) -> io::Result<()> {
    // Standard input itself and no copy of it: no other descriptor may be read once confined.
    let mut input = io::stdin().lock();
    let mut size = rustix::fs::fstat(&input)?.st_size.cast_unsigned();
    let notes = confine::confine(orders.memory_bytes, orders.cpu_s);
    // Panics are caught page by page; their messages may quote the document.
    std::panic::set_hook(Box::new(|_| {}));
    let mut out = frames::Writer::new(io::stdout().lock())?;
    for note in notes {
        out.note(&note)?;
    }
    if let Some(test) = &orders.self_test {
        self_test::run(test);
    }
    let mut password = None;
    if orders.locked {
        let (given, bytes) = read_preface(&mut input)?;
        (password, size) = (Some(given), bytes);
    }
    let options = Options {
        limits: orders.limits,
        password: password.as_ref(),
        only: orders.only,
    };
    match read(input, size, orders, &options, &mut out) {
        Ok(document) => out.document(document)?,
        Err(failure) => out.failure(&failure)?,
    }
    if let Some(test) = &orders.self_test {
        self_test::run_afterwards(test);
    }
    Ok(())
}

fn read(
    input: impl Read,
    size: u64,
    orders: &Orders,
    options: &Options<'_>,
    out: &mut frames::Writer<impl io::Write>,
) -> Result<Extracted, ExtractError> {
    let limits = &options.limits;
    // One byte more than allowed is enough to know; `extract` says so.
    let most = limits.max_file_bytes.saturating_add(1);
    // Reserved at once: a vector that doubles would need thrice the memory for a moment.
    let mut bytes = Vec::with_capacity(size.min(most) as usize + 1);
    input.take(most).read_to_end(&mut bytes).map_err(|error| {
        ExtractError::new(
            FailureCode::Internal,
            format!("the stored file could not be read ({error})"),
        )
    })?;
    let name = format!("document.{}", orders.extension);
    extract::extract_with(&bytes, &name, options, &mut |progress| {
        // A daemon that no longer listens kills this process.
        drop(out.progress(progress));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_come_through() {
        let given = arguments(&Limits::default(), &Confinement::default(), "PDF");
        let orders = parse(given.clone()).unwrap();
        assert_eq!(orders.limits, Limits::default());
        assert_eq!((orders.memory_bytes, orders.cpu_s), (512 * 1024 * 1024, 15));
        assert_eq!((orders.extension.as_str(), orders.self_test), ("PDF", None));
        assert_eq!((orders.locked, orders.only), (false, None));
        let more = ["--locked", "--only", "lopdf"].map(OsString::from);
        let orders = parse([given.clone(), more.into()].concat()).unwrap();
        assert_eq!((orders.locked, orders.only), (true, Some(Engine::Lopdf)));
        assert!(parse(given[..5].to_vec()).is_none());
        assert!(parse([given, vec!["--other".into()]].concat()).is_none());
    }

    #[test]
    fn a_password_comes_through() {
        let password = Password::new("pässword").unwrap();
        let preface = preface(&password, 1 << 33);
        let read = read_preface(&mut preface.as_slice()).unwrap();
        assert_eq!(read, (password, 1 << 33));
        for cut in 0..preface.len() {
            assert!(read_preface(&mut &preface[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn strange_extensions_do_not_travel() {
        for strange in ["--self-test", "a b", "ü", &"x".repeat(17)] {
            let given = arguments(&Limits::default(), &Confinement::default(), strange);
            assert_eq!(given[5], "");
        }
    }
}
