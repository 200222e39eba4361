//! The models this server was given: names, files, and what the files say about themselves without
//! being loaded.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

use llama_cpp_2::gguf::GgufContext;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Why a `--model NAME=PATH` cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    #[error("--model {given:?} has to be NAME=PATH, for example qwen=/models/qwen.gguf")]
    Argument { given: String },
    #[error("the model name {name:?} was given twice")]
    Twice { name: String },
    #[error("{name}: cannot read {}: {source}", path.display())]
    Unreadable {
        name: String,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{name}: {} is not a GGUF file, or a broken one; pull it again", path.display())]
    NotGguf { name: String, path: PathBuf },
}

/// One model that can be loaded.
#[derive(Debug)]
pub struct Weights {
    /// As it was given; `:latest` is understood.
    pub name: String,
    pub path: PathBuf,
    pub bytes: u64,
    pub modified: jiff::Timestamp,
    /// Names these weights: SHA-256 over the file's length and its first and last mebibyte. Not the
    /// digest of the whole file, which would mean reading gigabytes before the first listing.
    pub digest: String,
    /// `general.architecture`, for example `qwen2`.
    pub family: String,
    /// For example `0.5B`; empty where the file does not say.
    pub parameter_size: String,
    /// For example `Q4_K_M`; empty where the file does not say.
    pub quantization: String,
    /// Jinja, as the file has it; empty for a base model.
    pub template: String,
    /// The file's scalar metadata: numbers and short texts.
    pub metadata: BTreeMap<String, Value>,
}

/// All of them, in the order given.
#[derive(Debug)]
pub struct Shelf {
    weights: Vec<Arc<Weights>>,
}

impl Shelf {
    /// Reads the metadata of every `NAME=PATH`.
    pub fn open(given: &[String]) -> Result<Self, ShelfError> {
        let mut weights: Vec<Arc<Weights>> = Vec::new();
        for argument in given {
            let wrong = || ShelfError::Argument {
                given: argument.clone(),
            };
            let (name, path) = argument.split_once('=').ok_or_else(wrong)?;
            if name.is_empty() || path.is_empty() {
                return Err(wrong());
            }
            if weights
                .iter()
                .any(|known| tagged(&known.name) == tagged(name))
            {
                return Err(ShelfError::Twice {
                    name: name.to_owned(),
                });
            }
            weights.push(Arc::new(Weights::read(name, Path::new(path))?));
        }
        Ok(Self { weights })
    }

    /// Finds a model by name, as leniently as Ollama: letters of any case, `:latest` or not.
    pub fn find(&self, name: &str) -> Option<&Arc<Weights>> {
        self.weights
            .iter()
            .find(|weights| tagged(&weights.name) == tagged(name.trim()))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Weights>> {
        self.weights.iter()
    }
}

/// A name with its tag, in small letters.
fn tagged(name: &str) -> String {
    let name = name.to_lowercase();
    let last = name.rsplit('/').next().unwrap_or(&name);
    if last.contains(':') {
        name
    } else {
        name + ":latest"
    }
}

const MEBIBYTE: u64 = 1 << 20;

impl Weights {
    fn read(name: &str, path: &Path) -> Result<Self, ShelfError> {
        let unreadable = |source| ShelfError::Unreadable {
            name: name.to_owned(),
            path: path.to_owned(),
            source,
        };
        let facts = fs::metadata(path).map_err(unreadable)?;
        let digest = digest(path, facts.len()).map_err(unreadable)?;
        let modified = facts
            .modified()
            .ok()
            .and_then(|time| jiff::Timestamp::try_from(time).ok())
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let file = GgufContext::from_file(path).ok_or_else(|| ShelfError::NotGguf {
            name: name.to_owned(),
            path: path.to_owned(),
        })?;
        let metadata = metadata(&file);
        let text = |key: &str| {
            metadata
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Ok(Self {
            name: name.to_owned(),
            path: path.to_owned(),
            bytes: facts.len(),
            modified,
            digest,
            family: text("general.architecture"),
            parameter_size: text("general.size_label"),
            quantization: metadata
                .get("general.file_type")
                .and_then(Value::as_u64)
                .map(quantization)
                .unwrap_or_default(),
            template: text(TEMPLATE),
            metadata,
        })
    }

    /// Whether the file says how its embeddings are pooled, that is, whether it is an embedding model.
    pub fn pools(&self) -> bool {
        self.metadata
            .contains_key(&format!("{}.pooling_type", self.family))
    }
}

const TEMPLATE: &str = "tokenizer.chat_template";

fn digest(path: &Path, bytes: u64) -> std::io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut hash = Sha256::new();
    hash.update(bytes.to_le_bytes());
    for from in [0, bytes.saturating_sub(MEBIBYTE)] {
        file.seek(SeekFrom::Start(from))?;
        let mut part = Vec::new();
        (&file).take(MEBIBYTE).read_to_end(&mut part)?;
        hash.update(&part);
    }
    Ok(hex::encode(hash.finalize()))
}

/// Value types of the GGUF format (ggml/include/gguf.h).
const UINT32: u32 = 4;
const INT32: u32 = 5;
const STRING: u32 = 8;
const UINT64: u32 = 10;

/// Longest text taken over, other than the chat template.
const LONGEST_TEXT: usize = 1024;

fn metadata(file: &GgufContext) -> BTreeMap<String, Value> {
    let mut metadata = BTreeMap::new();
    for index in 0..file.n_kv() {
        let Some(key) = file.key_at(index) else {
            continue;
        };
        // Each getter aborts on a value of another type, so ask for the type first.
        let value = match file.kv_type(index) {
            UINT32 => Value::from(file.val_u32(index)),
            INT32 => Value::from(file.val_i32(index)),
            UINT64 => Value::from(file.val_u64(index)),
            STRING => match file.val_str(index) {
                Some(text) if key == TEMPLATE || text.len() <= LONGEST_TEXT => Value::from(text),
                _ => continue,
            },
            _ => continue,
        };
        metadata.insert(key.to_owned(), value);
    }
    metadata
}

/// `general.file_type` in words (`enum llama_ftype` in llama.h).
fn quantization(file_type: u64) -> String {
    match file_type {
        0 => "F32",
        1 => "F16",
        2 => "Q4_0",
        3 => "Q4_1",
        7 => "Q8_0",
        8 => "Q5_0",
        9 => "Q5_1",
        10 => "Q2_K",
        11 => "Q3_K_S",
        12 => "Q3_K_M",
        13 => "Q3_K_L",
        14 => "Q4_K_S",
        15 => "Q4_K_M",
        16 => "Q5_K_S",
        17 => "Q5_K_M",
        18 => "Q6_K",
        25 => "IQ4_NL",
        30 => "IQ4_XS",
        32 => "BF16",
        38 => "MXFP4",
        _ => "",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_with_and_without_a_tag() {
        let check =
            |a: &str, b: &str, same: bool| assert_eq!(tagged(a) == tagged(b), same, "{a} and {b}");
        check("qwen", "qwen:latest", true);
        check("Qwen", "qwen", true);
        check("qwen:0.5b", "qwen", false);
        check("qwen:0.5b", "QWEN:0.5B", true);
        check("host:80/qwen", "host:80/qwen:latest", true);
        check("qwen", "qwen2", false);
    }

    #[test]
    fn what_cannot_be_served_says_why() {
        let check = |given: &[&str], word: &str| {
            let given: Vec<String> = given.iter().map(ToString::to_string).collect();
            let error = Shelf::open(&given).unwrap_err().to_string();
            assert!(error.contains(word), "{given:?} gave {error:?}");
        };
        check(&["qwen"], "NAME=PATH");
        check(&["=x"], "NAME=PATH");
        check(&["qwen="], "NAME=PATH");
        check(&["qwen=/no/such/file"], "/no/such/file");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        check(&[&format!("qwen={source}")], "not a GGUF file");
    }
}
