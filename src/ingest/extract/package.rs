//! A ZIP file of parts (OOXML, OpenDocument, EPUB), opened with suspicion: nothing is believed about
//! sizes, and each part is read through a bound.

use std::io::{self, BufReader, Cursor, Read};

use zip::{ZipArchive, result::ZipError};

use crate::domain::FailureCode;

use super::{ExtractError, xml};

/// Parts of one package.
const MAX_PARTS: usize = 20_000;

/// Bytes that one part may inflate to. Reading is a stream, so this bounds time more than memory.
const MAX_PART_BYTES: u64 = 512 * 1024 * 1024;

/// An open package.
pub(super) struct Package<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
}

impl<'a> Package<'a> {
    /// Reads the directory of parts.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, ExtractError> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| damaged(&e))?;
        if archive.len() > MAX_PARTS {
            return Err(ExtractError::new(
                FailureCode::TooLarge,
                format!("the file is a package of more than {MAX_PARTS} parts"),
            ));
        }
        Ok(Self { archive })
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.archive.index_for_name(name).is_some()
    }

    /// Whether the content types name a main part of this vocabulary (`wordprocessingml`).
    pub(super) fn main_part_is(&mut self, vocabulary: &str) -> bool {
        let mut types = String::new();
        let Ok(Some(part)) = self.part("[Content_Types].xml") else {
            return false;
        };
        let read = part.take(1024 * 1024).read_to_string(&mut types);
        read.is_ok() && types.contains(&format!("officedocument.{vocabulary}.document.main+xml"))
    }

    /// A part as a stream; `None` when there is no such part.
    pub(super) fn part<'p>(
        &'p mut self,
        name: &str,
    ) -> Result<Option<BufReader<impl Read + use<'p, 'a>>>, ExtractError> {
        match self.archive.by_name(name) {
            Ok(file) if file.encrypted() => Err(encrypted()),
            Ok(file) => Ok(Some(BufReader::new(Bounded {
                inner: file,
                left: MAX_PART_BYTES,
            }))),
            Err(ZipError::FileNotFound) => Ok(None),
            Err(error) => Err(damaged(&error)),
        }
    }

    /// A part as text, up to `most` bytes of it; `None` when there is no such part.
    pub(super) fn small_part(
        &mut self,
        name: &str,
        most: u64,
    ) -> Result<Option<Vec<u8>>, ExtractError> {
        let Some(part) = self.part(name)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        part.take(most + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| xml::unreadable(&e))?;
        if bytes.len() as u64 > most {
            return Err(xml::unreadable(&io::ErrorKind::FileTooLarge.into()));
        }
        Ok(Some(bytes))
    }

    /// The targets of the relationships of `part` whose type ends with `kind`, as names of parts.
    pub(super) fn related(&mut self, part: &str, kind: &str) -> Result<Vec<String>, ExtractError> {
        let relations = self.relations(part)?;
        let of_kind = relations.into_iter().filter(|r| r.kind.ends_with(kind));
        Ok(of_kind.map(|r| r.target).collect())
    }

    /// The relationships of `part`, in order. Only to parts of this package: what lies outside is never
    /// fetched.
    pub(super) fn relations(&mut self, part: &str) -> Result<Vec<Relation>, ExtractError> {
        let (folder, file) = part.rsplit_once('/').unwrap_or(("", part));
        let relations = if folder.is_empty() {
            format!("_rels/{file}.rels")
        } else {
            format!("{folder}/_rels/{file}.rels")
        };
        let mut found = Vec::new();
        let Some(source) = self.part(&relations)? else {
            return Ok(found);
        };
        xml::read(source, |node| {
            if let xml::Node::Open(tag) = node
                && tag.is("Relationship")
                && tag.attr("TargetMode").as_deref() != Some("External")
                && let Some(target) = tag.attr("Target")
                && found.len() < MAX_PARTS
            {
                found.push(Relation {
                    id: tag.attr("Id").unwrap_or_default(),
                    kind: tag.attr("Type").unwrap_or_default(),
                    target: resolve(folder, &target),
                });
            }
            Ok(())
        })?;
        Ok(found)
    }
}

/// From one part to another.
pub(super) struct Relation {
    pub(super) id: String,
    /// An address that ends with the kind of the target (`…/slide`).
    pub(super) kind: String,
    /// A part's name.
    pub(super) target: String,
}

/// `target` as seen from `folder` (OPC and EPUB: relative references, `/` for the root).
pub(super) fn resolve(folder: &str, target: &str) -> String {
    let joined = match target.strip_prefix('/') {
        Some(absolute) => absolute.to_owned(),
        None => format!("{folder}/{target}"),
    };
    let mut path: Vec<&str> = Vec::new();
    for step in joined.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            step => path.push(step),
        }
    }
    path.join("/")
}

fn damaged(error: &ZipError) -> ExtractError {
    match error {
        ZipError::UnsupportedArchive(why) if why.contains("assword") => encrypted(),
        _ => ExtractError::new(
            FailureCode::Damaged,
            format!("the file is damaged: its ZIP container cannot be read ({error})"),
        ),
    }
}

pub(super) fn encrypted() -> ExtractError {
    ExtractError::new(
        FailureCode::Encrypted,
        "the file is encrypted and opens only with a password; save a copy without one",
    )
}

/// Stops a stream that inflates for ever.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_stay_inside() {
        for (folder, target, part) in [
            ("word", "footnotes.xml", "word/footnotes.xml"),
            ("word", "/word/a.xml", "word/a.xml"),
            ("word", "../custom/./b.xml", "custom/b.xml"),
            ("", "word/document.xml", "word/document.xml"),
            ("word", "../../../../etc/passwd", "etc/passwd"),
        ] {
            assert_eq!(resolve(folder, target), part);
        }
    }

    #[test]
    fn a_stream_is_bounded() {
        let mut bounded = Bounded {
            inner: io::repeat(b'x'),
            left: 10_000,
        };
        let error = io::copy(&mut bounded, &mut io::sink()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
