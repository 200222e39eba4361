//! Sound as bytes of events.

use serde_json::{Value, json};

use super::{super::super::g711, Refused};

/// How sound is written in events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// 16-bit PCM at 24 kHz.
    Pcm,
    Ulaw,
    Alaw,
}

impl Format {
    pub fn rate(self) -> u32 {
        match self {
            Self::Pcm => 24_000,
            Self::Ulaw | Self::Alaw => 8_000,
        }
    }

    pub fn bytes_per_second(self) -> usize {
        match self {
            Self::Pcm => 2 * self.rate() as usize,
            Self::Ulaw | Self::Alaw => self.rate() as usize,
        }
    }

    pub(super) fn parse(value: &Value) -> Result<Self, Refused> {
        match value["type"].as_str() {
            Some("audio/pcm") => match value["rate"].as_u64() {
                None | Some(24_000) => Ok(Self::Pcm),
                Some(rate) => Err(Refused::value(format!(
                    "audio/pcm is at 24000 samples a second, not {rate}"
                ))),
            },
            Some("audio/pcmu") => Ok(Self::Ulaw),
            Some("audio/pcma") => Ok(Self::Alaw),
            _ => Err(Refused::value(
                "a format is audio/pcm, audio/pcmu or audio/pcma".to_owned(),
            )),
        }
    }

    pub(super) fn written(self) -> Value {
        match self {
            Self::Pcm => json!({ "type": "audio/pcm", "rate": 24_000 }),
            Self::Ulaw => json!({ "type": "audio/pcmu" }),
            Self::Alaw => json!({ "type": "audio/pcma" }),
        }
    }

    /// Samples from -1 to 1; `None` where the bytes are no whole samples.
    pub fn read(self, bytes: &[u8]) -> Option<Vec<f32>> {
        let f = |sample: i16| f32::from(sample) / 32768.0;
        match self {
            Self::Pcm if !bytes.len().is_multiple_of(2) => None,
            Self::Pcm => Some(
                bytes
                    .chunks_exact(2)
                    .map(|b| f(i16::from_le_bytes([b[0], b[1]])))
                    .collect(),
            ),
            Self::Ulaw => Some(bytes.iter().map(|byte| f(g711::from_ulaw(*byte))).collect()),
            Self::Alaw => Some(bytes.iter().map(|byte| f(g711::from_alaw(*byte))).collect()),
        }
    }

    pub fn write(self, samples: &[i16]) -> Vec<u8> {
        match self {
            Self::Pcm => samples
                .iter()
                .flat_map(|sample| sample.to_le_bytes())
                .collect(),
            Self::Ulaw => samples
                .iter()
                .map(|sample| g711::to_ulaw(*sample))
                .collect(),
            Self::Alaw => samples
                .iter()
                .map(|sample| g711::to_alaw(*sample))
                .collect(),
        }
    }
}
