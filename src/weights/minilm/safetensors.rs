//! The part of the safetensors format that is needed: named tensors of 32-bit floats.
//!
//! Eight bytes give the length of a JSON object (little endian), the object gives each tensor's type,
//! shape and byte range in what follows (the format's own description, "safetensors" by Hugging Face).

use std::{collections::HashMap, ops::Range};

use serde::Deserialize;

use super::ConvertError;

/// The weights of one file, by name, without the prefix `bert.` that some files have.
pub(super) struct Weights<'a> {
    tensors: HashMap<String, Entry>,
    bytes: &'a [u8],
}

struct Entry {
    dtype: String,
    shape: Vec<usize>,
    range: Range<usize>,
}

#[derive(Deserialize)]
struct RawEntry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

impl<'a> Weights<'a> {
    pub(super) fn parse(file: &'a [u8]) -> Result<Self, ConvertError> {
        let broken = ConvertError::NotSafetensors;
        let (length, rest) = file
            .split_first_chunk::<8>()
            .ok_or(broken("it is shorter than its header"))?;
        let (header, bytes) = usize::try_from(u64::from_le_bytes(*length))
            .ok()
            .and_then(|length| rest.split_at_checked(length))
            .ok_or(broken("its header is cut off"))?;
        let header: HashMap<String, serde_json::Value> =
            serde_json::from_slice(header).map_err(|_| broken("its header is not JSON"))?;
        let mut tensors = HashMap::new();
        for (name, value) in header {
            if name == "__metadata__" {
                continue;
            }
            let raw: RawEntry = serde_json::from_value(value)
                .map_err(|_| broken("its header does not describe tensors"))?;
            let range = raw.data_offsets.0..raw.data_offsets.1;
            if bytes.get(range.clone()).is_none() {
                return Err(broken("its tensors are cut off"));
            }
            let name = name.strip_prefix("bert.").unwrap_or(&name).to_owned();
            let entry = Entry {
                dtype: raw.dtype,
                shape: raw.shape,
                range,
            };
            tensors.insert(name, entry);
        }
        Ok(Self { tensors, bytes })
    }

    /// The values of a tensor as little-endian bytes, when it has this shape.
    pub(super) fn get(&self, name: &str, shape: &[usize]) -> Result<&'a [u8], ConvertError> {
        let wrong = |found| ConvertError::OtherModel {
            name: name.to_owned(),
            expected: shape.to_vec(),
            found,
        };
        let entry = self
            .tensors
            .get(name)
            .ok_or_else(|| wrong("but there is none".to_owned()))?;
        let bytes = &self.bytes[entry.range.clone()];
        let whole = bytes.len() == shape.iter().product::<usize>() * size_of::<f32>();
        if entry.dtype == "F32" && entry.shape == shape && whole {
            Ok(bytes)
        } else {
            let (dtype, shape) = (&entry.dtype, &entry.shape);
            Err(wrong(format!("but is {dtype} of {shape:?}")))
        }
    }
}
