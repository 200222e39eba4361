//! Files of sound to samples: WAV, MP3, FLAC, Ogg (Vorbis, Opus), MP4 (AAC), WebM and Matroska, told apart by
//! what is in them. Runs in a child process that has denied itself everything (see [`super::child`]): the
//! decoders are careful, but a file may still make one ask for more memory than there is.

use std::io::Cursor;

use opus_rs::OpusDecoder;
use symphonia::core::{
    audio::SampleBuffer,
    codecs::{CODEC_TYPE_NULL, CODEC_TYPE_OPUS, Decoder, DecoderOptions},
    errors::Error,
    formats::{FormatOptions, FormatReader, Packet, Track},
    io::{MediaSourceStream, MediaSourceStreamOptions},
    meta::MetadataOptions,
    probe::Hint,
};

use crate::domain::{
    audio::{LISTEN_RATE, s16},
    resample::Resampler,
};

/// Rates that are believed, in samples a second.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=384_000;
/// Damaged packets in a row after which a file is given up.
const DAMAGED: usize = 100;
/// Samples of an Opus packet at most, at 16 kHz: 120 ms.
const OPUS: usize = 1920;

/// Why a file cannot be heard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error(
        "the file is no sound that can be read; send WAV, MP3, FLAC, Ogg (Vorbis or Opus), M4A (AAC) or WebM"
    )]
    NotSound,
    #[error("the file has no track of sound in it that can be decoded")]
    NoTrack,
    #[error("the file is damaged: {0}")]
    Damaged(String),
    #[error("the recording is longer than {0} s; send it in parts")]
    TooLong(u32),
}

enum Voice {
    Known(Box<dyn Decoder>),
    Opus(Box<OpusDecoder>),
}

/// The sound of a file as 16-bit samples at 16 kHz, one channel, the lower byte first; `longest_s` seconds at
/// most.
///
/// # Errors
/// [`DecodeError`]. What was decoded before damage is kept.
pub fn decode(file: Vec<u8>, longest_s: u32) -> Result<Vec<u8>, DecodeError> {
    let stream = MediaSourceStream::new(
        Box::new(Cursor::new(file)),
        MediaSourceStreamOptions::default(),
    );
    let probed = symphonia::default::get_probe()
        .format(
            &Hint::new(),
            stream,
            &FormatOptions::default(),
            &MetadataOptions::default(),
        )
        .map_err(|_| DecodeError::NotSound)?;
    let mut format = probed.format;
    let (track, mut voice) = (format.tracks().iter())
        .find_map(|track| Some((track.id, voice_of(track)?)))
        .ok_or(DecodeError::NoTrack)?;
    let mut sink = Sink {
        bytes: Vec::new(),
        resampler: None,
        most: longest_s as usize * LISTEN_RATE as usize * 2,
    };
    let mut damaged = 0;
    let mut last_error = None;
    while let Some(packet) = next(&mut *format, &mut last_error) {
        if packet.track_id() != track {
            continue;
        }
        match voice.decode(&packet, &mut sink) {
            Ok(()) => damaged = 0,
            Err(Heard::TooLong) => return Err(DecodeError::TooLong(longest_s)),
            Err(Heard::Damaged(error)) => {
                last_error = Some(error);
                damaged += 1;
                if damaged > DAMAGED {
                    break;
                }
            }
        }
    }
    sink.finish();
    match last_error {
        Some(error) if sink.bytes.is_empty() => Err(DecodeError::Damaged(error)),
        _ => Ok(sink.bytes),
    }
}

/// What decodes a track, where something does.
fn voice_of(track: &Track) -> Option<Voice> {
    let parameters = &track.codec_params;
    if parameters.codec == CODEC_TYPE_OPUS {
        let decoder = OpusDecoder::new(LISTEN_RATE as i32, 1).ok()?;
        return Some(Voice::Opus(Box::new(decoder)));
    }
    if parameters.codec == CODEC_TYPE_NULL {
        return None;
    }
    let made = symphonia::default::get_codecs().make(parameters, &DecoderOptions::default());
    made.ok().map(Voice::Known)
}

/// The next packet; none at the end, however the file comes to it.
fn next(format: &mut dyn FormatReader, last_error: &mut Option<String>) -> Option<Packet> {
    match format.next_packet() {
        Ok(packet) => Some(packet),
        Err(Error::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => None,
        Err(error) => {
            *last_error = Some(error.to_string());
            None
        }
    }
}

/// What became of a packet.
enum Heard {
    TooLong,
    Damaged(String),
}

impl Voice {
    fn decode(&mut self, packet: &Packet, sink: &mut Sink) -> Result<(), Heard> {
        match self {
            Self::Opus(decoder) => {
                let mut samples = [0.0; OPUS];
                let count = decoder
                    .decode(&packet.data, OPUS, &mut samples)
                    .map_err(|error| Heard::Damaged(error.to_owned()))?;
                sink.take(&samples[..count.min(OPUS)], LISTEN_RATE)
            }
            Self::Known(decoder) => {
                let sound = decoder
                    .decode(packet)
                    .map_err(|error| Heard::Damaged(error.to_string()))?;
                let spec = *sound.spec();
                let channels = spec.channels.count();
                if !RATES.contains(&spec.rate) || channels == 0 {
                    return Err(Heard::Damaged(format!("{} samples a second", spec.rate)));
                }
                let mut samples = SampleBuffer::<f32>::new(sound.capacity() as u64, spec);
                samples.copy_interleaved_ref(sound);
                let mono: Vec<f32> = samples
                    .samples()
                    .chunks_exact(channels)
                    .map(|frame| frame.iter().sum::<f32>() / channels as f32)
                    .collect();
                sink.take(&mono, spec.rate)
            }
        }
    }
}

/// Where the samples go.
struct Sink {
    bytes: Vec<u8>,
    /// And the rate that it takes.
    resampler: Option<(u32, Resampler)>,
    most: usize,
}

impl Sink {
    fn take(&mut self, samples: &[f32], rate: u32) -> Result<(), Heard> {
        if self
            .resampler
            .as_ref()
            .is_none_or(|(known, _)| *known != rate)
        {
            self.finish();
            self.resampler = Some((rate, Resampler::new(rate, LISTEN_RATE)));
        }
        if let Some((_, resampler)) = &mut self.resampler {
            let samples = resampler.push(samples);
            self.put(&samples);
        }
        if self.bytes.len() > self.most {
            Err(Heard::TooLong)
        } else {
            Ok(())
        }
    }

    fn finish(&mut self) {
        if let Some((_, mut resampler)) = self.resampler.take() {
            let rest = resampler.finish();
            self.put(&rest);
        }
    }

    fn put(&mut self, samples: &[f32]) {
        self.bytes.extend(s16(samples).flat_map(i16::to_le_bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second of a tone as WAV.
    fn wav(rate: u32, channels: u16) -> Vec<u8> {
        let mut data = Vec::new();
        for n in 0..rate {
            let value = (f64::from(n) * 440.0 * std::f64::consts::TAU / f64::from(rate)).sin();
            for _ in 0..channels {
                data.extend(((value * 9000.0) as i16).to_le_bytes());
            }
        }
        let mut bytes = b"RIFF".to_vec();
        bytes.extend((36 + data.len() as u32).to_le_bytes());
        bytes.extend(b"WAVEfmt ");
        bytes.extend(16_u32.to_le_bytes());
        bytes.extend(1_u16.to_le_bytes());
        bytes.extend(channels.to_le_bytes());
        bytes.extend(rate.to_le_bytes());
        bytes.extend((rate * u32::from(channels) * 2).to_le_bytes());
        bytes.extend((channels * 2).to_le_bytes());
        bytes.extend(16_u16.to_le_bytes());
        bytes.extend(b"data");
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn any_rate_and_channels_come_out_as_one_at_16_khz() {
        for (rate, channels) in [(16_000, 1), (44_100, 2), (8_000, 1), (48_000, 2)] {
            let sound = decode(wav(rate, channels), 10).unwrap();
            assert_eq!(sound.len(), 32_000, "{rate} {channels}");
        }
    }

    #[test]
    fn what_is_no_sound_is_told() {
        assert_eq!(decode(b"hello".to_vec(), 10), Err(DecodeError::NotSound));
        assert_eq!(decode(Vec::new(), 10), Err(DecodeError::NotSound));
        assert_eq!(decode(wav(16_000, 1), 0), Err(DecodeError::TooLong(0)));
    }

    #[test]
    fn what_is_cut_off_is_heard_up_to_there() {
        let whole = wav(16_000, 1);
        let half = decode(whole[..16_044].to_vec(), 10).unwrap();
        assert!((12_000..=16_000).contains(&half.len()), "{}", half.len());
    }
}
