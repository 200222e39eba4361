//! What goes over the socket. A request is a frame of its header's length, the header as JSON and the sound
//! as 32-bit floats; a reply is a frame of JSON. A frame begins with its length. All numbers have the lower
//! byte first.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

/// Samples a second.
pub const RATE: usize = 16_000;
/// Seconds of one utterance at most: what Whisper hears at once.
pub const LONGEST_S: usize = 30;
/// Bytes of a header at most.
const HEADER: usize = 64 * 1024;
/// Bytes of a request at most.
const REQUEST: usize = 4 + HEADER + 4 * RATE * LONGEST_S;

/// What to do with the sound.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Header {
    /// A look while somebody speaks: never tried again, and others go first.
    pub partial: bool,
    /// ISO 639-1.
    pub language: Option<String>,
    pub prompt: Option<String>,
    /// Tokens at most; else as many as anybody says in that time.
    pub max_tokens: Option<u32>,
    /// Whether words get times.
    pub words: bool,
    /// The whole 30 seconds that the model was trained with, however short the sound is.
    pub full_context: bool,
}

/// The end of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Done(Transcript),
    /// It cannot be done, and asking again changes nothing.
    Refused(String),
    /// It went wrong.
    Failed(String),
}

/// What was said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Transcript {
    pub segments: Vec<Segment>,
    pub language: Option<String>,
    /// The model repeated itself and was cut off there.
    pub looped: bool,
    /// It was tried twice, the second time with the whole context.
    pub retried: bool,
    /// Processor time of this process that it took, in milliseconds.
    pub cpu_ms: u64,
}

/// A part of it; seconds from the beginning.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    pub start: f32,
    pub end: f32,
    pub text: String,
    pub tokens: Vec<i32>,
    pub no_speech: f32,
    pub avg_logprob: f32,
    pub words: Vec<Word>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Word {
    pub start: f32,
    pub end: f32,
    pub text: String,
}

/// Why no request could be read.
#[derive(Debug, thiserror::Error)]
pub enum BadRequest {
    /// The caller is gone, or never said anything.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Form(String),
}

/// Reads one request.
pub fn read_request(input: &mut impl Read) -> Result<(Header, Vec<f32>), BadRequest> {
    let form = |why: &str| BadRequest::Form(why.to_owned());
    let length = read_length(input)?;
    if length > REQUEST {
        return Err(form("the request is longer than 30 s of sound"));
    }
    let header_length = read_length(input)?;
    let Some(sound) = length.checked_sub(4 + header_length) else {
        return Err(form("the header is longer than its request"));
    };
    if header_length > HEADER || !sound.is_multiple_of(4) || sound > 4 * RATE * LONGEST_S {
        return Err(form("the request has no whole header and samples"));
    }
    let mut header = vec![0; header_length];
    input.read_exact(&mut header)?;
    let header = serde_json::from_slice(&header)
        .map_err(|error| BadRequest::Form(format!("the header is not as it should be: {error}")))?;
    let mut bytes = vec![0; sound];
    input.read_exact(&mut bytes)?;
    let samples: Vec<f32> = bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .map(|sample| {
            if sample.is_finite() {
                sample.clamp(-1.0, 1.0)
            } else {
                0.0
            }
        })
        .collect();
    Ok((header, samples))
}

fn read_length(input: &mut impl Read) -> io::Result<usize> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes) as usize)
}

/// Writes one reply.
pub fn write_reply(output: &mut impl Write, reply: &Reply) -> io::Result<()> {
    let json = serde_json::to_vec(reply)?;
    output.write_all(&(json.len() as u32).to_le_bytes())?;
    output.write_all(&json)?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(header: &[u8], sound: &[u8]) -> Vec<u8> {
        let mut bytes = ((4 + header.len() + sound.len()) as u32)
            .to_le_bytes()
            .to_vec();
        bytes.extend((header.len() as u32).to_le_bytes());
        bytes.extend(header);
        bytes.extend(sound);
        bytes
    }

    #[test]
    fn a_request_is_read() {
        let sound: Vec<u8> = [0.5_f32, f32::NAN, 7.0]
            .iter()
            .flat_map(|sample| sample.to_le_bytes())
            .collect();
        let bytes = request(br#"{"partial":true,"language":"en"}"#, &sound);
        let (header, samples) = read_request(&mut bytes.as_slice()).unwrap();
        assert!(header.partial && !header.words && header.language.as_deref() == Some("en"));
        assert_eq!(samples, [0.5, 0.0, 1.0]);
    }

    #[test]
    fn what_is_no_request_is_refused_before_it_is_held_in_memory() {
        let check = |bytes: &[u8], expected: &str| {
            let error = read_request(&mut &*bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(b"", "connection broke");
        check(&u32::MAX.to_le_bytes(), "longer than 30 s");
        check(&[8, 0, 0, 0, 255, 255, 0, 0], "longer than its request");
        check(&request(b"{}", &[1, 2, 3]), "whole header");
        check(&request(b"nonsense", &[]), "not as it should be");
        check(
            &request(b"{}", &vec![0; 4 * RATE * LONGEST_S + 4]),
            "whole header",
        );
        check(&request(b"{}", &[0; 8])[..12], "connection broke");
    }
}
