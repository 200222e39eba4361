//! What an index was made for, in a file beside the shard.
//!
//! The file is written last when an index is made: where it is missing, the making was interrupted.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use qdrant_edge::external::serde_json::{self, Value, json};

use crate::EdgeError;

const FILE: &str = "identity.json";

/// The model and the length of its vectors. Vectors of different identities cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub model: String,
    pub dimension: usize,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} values)", self.model, self.dimension)
    }
}

/// The recorded identity, or `None` where none was recorded.
pub(crate) fn read(folder: &Path) -> Result<Option<Identity>, EdgeError> {
    let path = folder.join(FILE);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(EdgeError::io("read", &path, error)),
    };
    parse(&text)
        .ok_or_else(|| {
            let said = "it is not the JSON that was written there; remove the index's folder and \
                        the documents are embedded again";
            EdgeError::io(
                "read",
                &path,
                io::Error::new(io::ErrorKind::InvalidData, said),
            )
        })
        .map(Some)
}

fn parse(text: &[u8]) -> Option<Identity> {
    let value: Value = serde_json::from_slice(text).ok()?;
    Some(Identity {
        model: value.get("model")?.as_str()?.to_owned(),
        dimension: usize::try_from(value.get("dimension")?.as_u64()?).ok()?,
    })
}

/// Records the identity; on return it is on disk.
pub(crate) fn write(folder: &Path, identity: &Identity) -> Result<(), EdgeError> {
    let path = folder.join(FILE);
    let new = folder.join("identity.json.new");
    let text = json!({ "model": identity.model, "dimension": identity.dimension }).to_string();
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(folder)?.sync_all()
    });
    written.map_err(|source| EdgeError::io("write", &path, source))
}
