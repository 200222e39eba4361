//! Writing an archive.

use std::{
    fs::File,
    io::{self, Read, Write},
};

use sha2::{Digest, Sha256};
use tar::{EntryType, Header as TarHeader};

use super::format::{FORMAT, Header, Manifest, Member, Name};
use crate::{domain::Sha256Hash, ingest::Held};

/// 3 is zstd's own default: about as fast as a disk, and texts become a third.
const LEVEL: i32 = 3;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pub header: Header,
    pub missing: Vec<Sha256Hash>,
    pub damaged: Vec<Sha256Hash>,
}

/// Writes what is held. `settings` is the text of the settings' file, as it shall be in the archive.
/// What `out` holds after an error is cut short, and [`super::read`] says so of it.
pub fn write(held: &Held, settings: Option<&str>, out: impl Write) -> io::Result<Summary> {
    let mut zstd = zstd::Encoder::new(out, LEVEL)?;
    zstd.include_checksum(true)?;
    let mut tar = tar::Builder::new(zstd);

    let catalog = File::open(held.catalog())?;
    let catalog_bytes = catalog.metadata()?.len();
    // Sizes as they are, not as the catalog has them: a file that was cut short is damaged, not absent.
    let mut originals = Vec::with_capacity(held.contents().originals.len());
    for (sha256, _) in &held.contents().originals {
        if !held.missing().contains(sha256) {
            let bytes = std::fs::metadata(held.original(*sha256))?.len();
            originals.push((*sha256, bytes));
        }
    }
    let header = Header {
        format: FORMAT,
        griot: env!("CARGO_PKG_VERSION").to_owned(),
        schema: held.contents().schema,
        made_at: held.at(),
        documents: held.contents().totals.documents,
        chunks: held.contents().totals.chunks,
        members: 1 + u64::from(settings.is_some()) + originals.len() as u64,
        bytes: catalog_bytes
            + settings.map_or(0, |text| text.len() as u64)
            + originals.iter().map(|(_, bytes)| bytes).sum::<u64>(),
    };
    let mut manifest = Manifest {
        missing: held.missing().to_vec(),
        ..Manifest::default()
    };
    let text = serde_json::to_vec_pretty(&header)?;
    append(&mut tar, &header, Name::Header, text.len() as u64, &*text)?;
    let member = append(&mut tar, &header, Name::Catalog, catalog_bytes, catalog)?;
    manifest.members.push(member);
    if let Some(text) = settings {
        let bytes = text.len() as u64;
        let member = append(&mut tar, &header, Name::Settings, bytes, text.as_bytes())?;
        manifest.members.push(member);
    }
    for (sha256, bytes) in originals {
        let file = File::open(held.original(sha256))?;
        let member = append(&mut tar, &header, Name::Original(sha256), bytes, file)?;
        if member.sha256 != sha256 {
            manifest.damaged.push(sha256);
        }
        manifest.members.push(member);
    }
    let text = serde_json::to_vec(&manifest)?;
    append(&mut tar, &header, Name::Manifest, text.len() as u64, &*text)?;
    tar.into_inner()?.finish()?.flush()?;
    Ok(Summary {
        header,
        missing: manifest.missing,
        damaged: manifest.damaged,
    })
}

/// Appends one member of exactly `bytes` bytes.
fn append(
    tar: &mut tar::Builder<impl Write>,
    about: &Header,
    name: Name,
    bytes: u64,
    content: impl Read,
) -> io::Result<Member> {
    let path = name.path();
    let mut header = TarHeader::new_ustar();
    header.set_path(&path)?;
    header.set_entry_type(EntryType::Regular);
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(about.made_at.as_second().unsigned_abs());
    header.set_cksum();
    let mut content = Hashing::new(content.take(bytes));
    tar.append(&header, &mut content)?;
    let (read, sha256) = content.end();
    if read != bytes {
        let message = format!("{path} became shorter while it was read");
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
    }
    Ok(Member {
        name: path,
        bytes,
        sha256,
    })
}

/// Counts and hashes what is read through it.
pub(super) struct Hashing<R> {
    inner: R,
    hash: Sha256,
    bytes: u64,
}

impl<R: Read> Hashing<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            bytes: 0,
        }
    }

    pub(super) fn end(self) -> (u64, Sha256Hash) {
        (self.bytes, Sha256Hash(self.hash.finalize().into()))
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}
