//! The child that takes a picture out of a PDF: as confined as the one that reads, and told as little. The
//! picture goes to its standard output, which is the input of whoever reads letters out of it.

use std::{
    ffi::OsString,
    io::{self, Read, Write},
    process::ExitCode,
};

use super::{
    super::extract::{Limits, Options, pictures},
    child::read_preface,
    confine,
};

/// There is no such picture, so nothing was written.
pub(super) const NONE: u8 = 3;

/// It was written, and there are more on the page.
pub(super) const MORE: u8 = 4;

/// What to take, and with how much of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Orders {
    pub(super) max_file_bytes: u64,
    pub(super) memory_bytes: u64,
    pub(super) cpu_s: u64,
    /// Counting from 1.
    pub(super) page: u32,
    /// Which one of the page, counting from 0.
    pub(super) nth: usize,
    /// A password comes before the document.
    pub(super) locked: bool,
}

impl Orders {
    /// The arguments after `extract picture`; the reverse of [`Self::parse`].
    pub(super) fn arguments(&self) -> [String; 6] {
        [
            self.max_file_bytes.to_string(),
            self.memory_bytes.to_string(),
            self.cpu_s.to_string(),
            self.page.to_string(),
            self.nth.to_string(),
            self.locked.to_string(),
        ]
    }

    fn parse(arguments: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let mut words = arguments.into_iter().map(|a| a.into_string().ok());
        let mut next = || words.next().flatten();
        Some(Self {
            max_file_bytes: next()?.parse().ok()?,
            memory_bytes: next()?.parse().ok()?,
            cpu_s: next()?.parse().ok()?,
            page: next()?.parse().ok()?,
            nth: next()?.parse().ok()?,
            locked: next()?.parse().ok()?,
        })
    }
}

pub(super) fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Orders::parse(arguments).map(|orders| take(&orders)) {
        None => ExitCode::from(2),
        Some(Ok(code)) => code,
        Some(Err(_)) => ExitCode::FAILURE,
    }
}

fn take(orders: &Orders) -> io::Result<ExitCode> {
    // Standard input itself and no copy of it: no other descriptor may be read once confined.
    let mut input = io::stdin().lock();
    let mut size = rustix::fs::fstat(&input)?.st_size.cast_unsigned();
    // What is missing was told by the child that read the document.
    drop(confine::confine(orders.memory_bytes, orders.cpu_s));
    std::panic::set_hook(Box::new(|_| {}));
    let mut password = None;
    if orders.locked {
        let (given, bytes) = read_preface(&mut input)?;
        (password, size) = (Some(given), bytes);
    }
    let mut bytes = Vec::with_capacity(size.min(orders.max_file_bytes) as usize + 1);
    input.take(orders.max_file_bytes).read_to_end(&mut bytes)?;
    let options = Options {
        limits: Limits::default(),
        password: password.as_ref(),
        only: None,
    };
    let found = pictures(&bytes, &options, orders.page).map_err(io::Error::other)?;
    let Some(picture) = found.get(orders.nth) else {
        return Ok(ExitCode::from(NONE));
    };
    let mut out = io::stdout().lock();
    out.write_all(picture)?;
    out.flush()?;
    Ok(if orders.nth + 1 < found.len() {
        ExitCode::from(MORE)
    } else {
        ExitCode::SUCCESS
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_come_through() {
        let orders = Orders {
            max_file_bytes: 1,
            memory_bytes: 2,
            cpu_s: 3,
            page: 4,
            nth: 5,
            locked: true,
        };
        let arguments = orders.arguments().map(OsString::from);
        assert_eq!(Orders::parse(arguments.clone()), Some(orders));
        assert_eq!(Orders::parse(arguments[..5].to_vec()), None);
        assert_eq!(Orders::parse([OsString::from("x")]), None);
    }
}
