//! What an archive consists of.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::Sha256Hash;

/// The version of the archive's form. An archive of a later one is refused.
pub(super) const FORMAT: u32 = 1;

/// The first member: what the archive is, and how much follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub format: u32,
    /// The version of the program that wrote it.
    pub griot: String,
    /// The version of the catalog's tables.
    pub schema: i64,
    /// The moment whose library this is.
    pub made_at: Timestamp,
    pub documents: u64,
    pub chunks: u64,
    /// Members between this one and the manifest, and their bytes together.
    pub members: u64,
    pub bytes: u64,
}

/// A member as the manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub name: String,
    pub bytes: u64,
    pub sha256: Sha256Hash,
}

/// The last member.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Manifest {
    /// Every member between the header and this one, in their order.
    pub members: Vec<Member>,
    /// Originals that the catalog names and that were not there when it was written.
    pub missing: Vec<Sha256Hash>,
    /// Originals whose bytes were not those that their names say, as they are in the archive.
    pub damaged: Vec<Sha256Hash>,
}

/// A member's name. There are no others, so no name can lead out of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Name {
    Header,
    Catalog,
    Settings,
    Original(Sha256Hash),
    Manifest,
}

impl Name {
    /// As it stands in the archive.
    #[must_use]
    pub fn path(self) -> String {
        match self {
            Self::Header => "griot-backup.json".to_owned(),
            Self::Catalog => "catalog.sqlite".to_owned(),
            Self::Settings => "griot.toml".to_owned(),
            Self::Original(sha256) => {
                let name = sha256.to_string();
                let (first, rest) = name.split_at(2);
                format!("originals/{first}/{rest}")
            }
            Self::Manifest => "manifest.json".to_owned(),
        }
    }

    /// The name written so and in no other way.
    #[must_use]
    pub fn parse(path: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(path).ok()?;
        let name = match text {
            "griot-backup.json" => Self::Header,
            "catalog.sqlite" => Self::Catalog,
            "griot.toml" => Self::Settings,
            "manifest.json" => Self::Manifest,
            _ => {
                let rest = text.strip_prefix("originals/")?;
                Self::Original(rest.replacen('/', "", 1).parse().ok()?)
            }
        };
        (name.path() == text).then_some(name)
    }
}
