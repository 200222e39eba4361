//! Reading an archive from front to back, believing nothing of it: every member is one that there can
//! be, in its place, of the size that was announced, with the hash that the manifest says, and nothing
//! follows.

use std::io::{self, BufRead, BufReader, Read};

use tar::{Archive, Entries, Entry, EntryType};

use super::{
    format::{FORMAT, Header, Manifest, Member, Name},
    write::Hashing,
};

/// Bytes of the first member and of the settings' file at most.
const MAX_HEADER: u64 = 64 * 1024;
const MAX_SETTINGS: u64 = 1024 * 1024;

/// Bytes of the manifest at most, beside [`MAX_HEADER`]: for each member (one takes 180), and for each
/// document whose original may be said to be missing (67), of which a million are believed.
const MANIFEST_PER_MEMBER: u64 = 512;
const MANIFEST_PER_DOCUMENT: u64 = 80;
const MAX_DOCUMENTS: u64 = 1_000_000;

/// What may follow the last member: the two blocks of zeros that end a tar archive, filled up by some
/// programs to a record of 10 KiB.
const MAX_END: u64 = 64 * 1024;

/// How a zstd frame begins (RFC 8878, 3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Why an archive is refused.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("it is not a backup of griot")]
    NotABackup,
    #[error("it was written by a newer griot ({griot}); use that one to restore it")]
    Newer { griot: String },
    #[error("it is cut short; take another one")]
    CutShort,
    #[error("it is damaged: {0}; take another one")]
    Damaged(String),
    #[error("it cannot be read: {0}")]
    Io(#[source] io::Error),
    /// Whoever took the members could not keep one.
    #[error(transparent)]
    Taking(io::Error),
}

/// An archive that was read to its end and is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    pub header: Header,
    pub manifest: Manifest,
}

/// What is given the members. The header comes first, before anything is to be kept.
pub trait Take {
    /// What follows. An error ends the reading.
    fn begin(&mut self, header: &Header) -> io::Result<()>;
    /// One member, of `bytes` bytes; what is not read of it is skipped.
    fn take(&mut self, name: Name, bytes: u64, content: &mut dyn Read) -> io::Result<()>;
}

/// Keeps nothing: for whoever only wants to know whether an archive is whole.
impl Take for () {
    fn begin(&mut self, _: &Header) -> io::Result<()> {
        Ok(())
    }
    fn take(&mut self, _: Name, _: u64, _: &mut dyn Read) -> io::Result<()> {
        Ok(())
    }
}

/// Reads an archive. Whatever `take` was given may only be believed when this has returned `Ok`.
pub fn read(input: impl Read, take: &mut impl Take) -> Result<Whole, ReadError> {
    let mut input = BufReader::new(input);
    let beginning = input.fill_buf().map_err(ReadError::Io)?;
    let known = beginning.len().min(MAGIC.len());
    if beginning[..known] != MAGIC[..known] {
        return Err(ReadError::NotABackup);
    }
    let mut zstd = zstd::Decoder::with_buffer(input).map_err(ReadError::Io)?;
    let whole = members(&mut zstd, take)?;
    // The frame's own checksum stands at its end, so it is read to there.
    let mut end = Vec::new();
    zstd.take(MAX_END + 1)
        .read_to_end(&mut end)
        .map_err(broken)?;
    if end.len() as u64 > MAX_END || end.iter().any(|byte| *byte != 0) {
        return Err(ReadError::Damaged("something follows its end".to_owned()));
    }
    Ok(whole)
}

fn members(input: impl Read, take: &mut impl Take) -> Result<Whole, ReadError> {
    let mut archive = Archive::new(input);
    // Raw: names that do not fit a header are not ours, and collecting them would cost memory.
    let mut entries = archive.entries().map_err(broken)?.raw(true);
    let header = match next(&mut entries)? {
        Some((Name::Header, entry)) => header(entry)?,
        Some(_) => return Err(ReadError::NotABackup),
        None => return Err(ReadError::CutShort),
    };
    take.begin(&header).map_err(ReadError::Taking)?;
    let mut seen: Vec<Member> = Vec::new();
    let mut last = Name::Header;
    let mut left = header.bytes;
    loop {
        let Some((name, entry)) = next(&mut entries)? else {
            return Err(ReadError::CutShort);
        };
        if name == Name::Manifest {
            let manifest = manifest(entry, &header, &seen)?;
            if next(&mut entries)?.is_some() {
                return Err(ReadError::Damaged("something follows its end".to_owned()));
            }
            return Ok(Whole { header, manifest });
        }
        if !may_follow(last, name) || seen.len() as u64 >= header.members {
            let message = format!("{} is not in its place", name.path());
            return Err(ReadError::Damaged(message));
        }
        last = name;
        let bytes = entry.size();
        left = left
            .checked_sub(bytes)
            .filter(|_| name != Name::Settings || bytes <= MAX_SETTINGS)
            .ok_or_else(|| {
                ReadError::Damaged(format!("{} is larger than announced", name.path()))
            })?;
        seen.push(member(name, entry, bytes, take)?);
    }
}

fn next<'a, R: Read>(
    entries: &mut Entries<'a, R>,
) -> Result<Option<(Name, Entry<'a, R>)>, ReadError> {
    let Some(entry) = entries.next() else {
        return Ok(None);
    };
    let entry = entry.map_err(broken)?;
    let path = entry.path_bytes();
    let name = Name::parse(&path).filter(|_| entry.header().entry_type() == EntryType::Regular);
    let Some(name) = name else {
        let path = String::from_utf8_lossy(&path).escape_debug().to_string();
        let message = format!("it holds {path:.100}, which no backup does");
        return Err(ReadError::Damaged(message));
    };
    drop(path);
    Ok(Some((name, entry)))
}

fn may_follow(last: Name, name: Name) -> bool {
    match (last, name) {
        (Name::Header, Name::Catalog) => true,
        (Name::Catalog, Name::Settings | Name::Original(_)) => true,
        (Name::Settings, Name::Original(_)) => true,
        // Ascending, so none comes twice.
        (Name::Original(last), Name::Original(next)) => last.0 < next.0,
        _ => false,
    }
}

/// Hands one member over and hashes it on the way.
fn member(
    name: Name,
    entry: impl Read,
    bytes: u64,
    take: &mut impl Take,
) -> Result<Member, ReadError> {
    let mut content = Watched {
        inner: Hashing::new(entry),
        failed: None,
    };
    let taken = take.take(name, bytes, &mut content);
    if let Some(error) = content.failed.take() {
        return Err(broken(error));
    }
    taken.map_err(ReadError::Taking)?;
    io::copy(&mut content, &mut io::sink())
        .map_err(|error| broken(content.failed.take().unwrap_or(error)))?;
    let (read, sha256) = content.inner.end();
    if read != bytes {
        return Err(ReadError::CutShort);
    }
    Ok(Member {
        name: name.path(),
        bytes,
        sha256,
    })
}

fn header(entry: impl Read) -> Result<Header, ReadError> {
    let value: serde_json::Value =
        serde_json::from_slice(&small(entry, MAX_HEADER)?).map_err(|_| ReadError::NotABackup)?;
    // The format before the rest: a later one may have other fields.
    match value.get("format").and_then(serde_json::Value::as_u64) {
        Some(format) if format > u64::from(FORMAT) => {
            let griot = value.get("griot").and_then(serde_json::Value::as_str);
            return Err(ReadError::Newer {
                griot: griot
                    .unwrap_or("of unknown version")
                    .chars()
                    .take(40)
                    .collect(),
            });
        }
        Some(_) => {}
        None => return Err(ReadError::NotABackup),
    }
    serde_json::from_value(value)
        .map_err(|error| ReadError::Damaged(format!("its first member says nothing: {error}")))
}

fn manifest(entry: impl Read, header: &Header, seen: &[Member]) -> Result<Manifest, ReadError> {
    let limit = MAX_HEADER
        + MANIFEST_PER_MEMBER * seen.len() as u64
        + MANIFEST_PER_DOCUMENT * header.documents.min(MAX_DOCUMENTS);
    let manifest: Manifest = serde_json::from_slice(&small(entry, limit)?)
        .map_err(|error| ReadError::Damaged(format!("its manifest cannot be read: {error}")))?;
    let differing = manifest
        .members
        .iter()
        .zip(seen)
        .find(|(said, seen)| said != seen)
        .map(|(_, seen)| seen.name.as_str());
    if let Some(name) = differing {
        return Err(ReadError::Damaged(format!(
            "{name} is not what was written"
        )));
    }
    let bytes: u64 = seen.iter().map(|member| member.bytes).sum();
    let count = seen.len() as u64;
    if manifest.members.len() as u64 != count || count != header.members || bytes != header.bytes {
        return Err(ReadError::Damaged("not all of it is there".to_owned()));
    }
    Ok(manifest)
}

/// A member that is held in memory.
fn small(entry: impl Read, limit: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    entry
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(broken)?;
    if bytes.len() as u64 > limit {
        return Err(ReadError::Damaged("its description is too long".to_owned()));
    }
    Ok(bytes)
}

/// What an error of reading means: of the disk or the network it has a number, of the archive none.
fn broken(error: io::Error) -> ReadError {
    if error.raw_os_error().is_some() {
        return ReadError::Io(error);
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => ReadError::CutShort,
        _ => ReadError::Damaged(error.to_string()),
    }
}

/// Tells failures of reading from those of whoever reads.
struct Watched<R> {
    inner: R,
    failed: Option<io::Error>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            if error.kind() == io::ErrorKind::Interrupted {
                return error;
            }
            let copy = io::Error::new(error.kind(), error.to_string());
            self.failed = Some(error);
            copy
        })
    }
}
