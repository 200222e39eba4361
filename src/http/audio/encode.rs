//! Sound for people's players, as a stream: each clause can be heard before the next is spoken. Knows no
//! HTTP.

use flacenc::{
    bitsink::ByteSink,
    component::{BitRepr, Stream, StreamInfo},
    error::Verify,
    source::{Fill, FrameBuf},
};
use ogg::writing::{PacketWriteEndInfo, PacketWriter};
use opus_rs::{Application, OpusEncoder};

use crate::domain::{Pcm, audio};

/// How sound is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Wav,
    /// 16-bit samples alone.
    Pcm,
    Flac,
    /// In Ogg.
    Opus,
}

/// What PCM without a header is understood as, and what Opus is made of, in samples a second.
const PLAIN_RATE: u32 = 24_000;
/// Samples of a FLAC frame: a sixth of a second.
const FLAC_FRAME: usize = 4096;
/// Samples of an Opus frame, at 24 kHz: 20 ms.
const OPUS_FRAME: usize = 480;
/// Opus counts in samples of 48 kHz, whatever it is made of.
const OPUS_STEP: u64 = 960;
/// Samples of 48 kHz before which a player says nothing, while the decoder settles (RFC 7845, section 5.1).
const OPUS_SKIP: u16 = 312;
/// Enough for speech.
const OPUS_BITS: i32 = 32_000;
/// One stream a file, so any number will do.
const SERIAL: u32 = 0x4752_494f;

impl Format {
    /// By its name in requests.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "wav" => Self::Wav,
            "pcm" => Self::Pcm,
            "flac" => Self::Flac,
            "opus" => Self::Opus,
            _ => return None,
        })
    }

    /// Its media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Wav => "audio/wav",
            Self::Pcm => "audio/pcm",
            Self::Flac => "audio/flac",
            Self::Opus => "audio/ogg",
        }
    }

    /// Samples a second that it is written with, of a voice that speaks at `rate`.
    #[must_use]
    pub fn rate(self, rate: u32) -> u32 {
        match self {
            Self::Wav | Self::Flac => rate,
            Self::Pcm | Self::Opus => PLAIN_RATE,
        }
    }
}

/// Why sound cannot be written. Neither happens with rates that voices have.
#[derive(Debug, thiserror::Error)]
#[error("the sound cannot be written as {format:?}: {reason}")]
pub struct EncodeError {
    format: Format,
    reason: String,
}

/// Writes one stream of sound. All that is pushed has the rate of [`Format::rate`].
pub struct Encoder {
    format: Format,
    writer: Writer,
}

enum Writer {
    Wav { rate: u32, begun: bool },
    Pcm,
    Flac(Box<Flac>),
    Opus(Box<Opus>),
}

impl Encoder {
    /// A writer of `rate` samples a second.
    ///
    /// # Errors
    /// [`EncodeError`], where the format does not know the rate.
    pub fn new(format: Format, rate: u32) -> Result<Self, EncodeError> {
        let writer = match format {
            Format::Wav => Writer::Wav { rate, begun: false },
            Format::Pcm => Writer::Pcm,
            Format::Flac => Writer::Flac(Box::new(Flac::new(rate).map_err(failed(format))?)),
            Format::Opus => Writer::Opus(Box::new(Opus::new().map_err(failed(format))?)),
        };
        Ok(Self { format, writer })
    }

    /// The bytes that can be written now that these samples have come.
    ///
    /// # Errors
    /// [`EncodeError`], where the encoder broke.
    pub fn push(&mut self, samples: &[f32]) -> Result<Vec<u8>, EncodeError> {
        let plain = || {
            Pcm {
                samples: samples.to_vec(),
                rate: 0,
            }
            .to_s16le()
        };
        match &mut self.writer {
            Writer::Pcm => Ok(plain()),
            Writer::Wav { rate, begun } => {
                let mut bytes = if *begun {
                    Vec::new()
                } else {
                    wav_header(*rate)
                };
                *begun = true;
                bytes.extend(plain());
                Ok(bytes)
            }
            Writer::Flac(flac) => flac.push(samples).map_err(failed(self.format)),
            Writer::Opus(opus) => opus.push(samples).map_err(failed(self.format)),
        }
    }

    /// The rest.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn finish(&mut self) -> Result<Vec<u8>, EncodeError> {
        match &mut self.writer {
            Writer::Pcm => Ok(Vec::new()),
            Writer::Wav { .. } => self.push(&[]),
            Writer::Flac(flac) => flac.finish().map_err(failed(self.format)),
            Writer::Opus(opus) => opus.finish().map_err(failed(self.format)),
        }
    }
}

fn failed<E: ToString>(format: Format) -> impl Fn(E) -> EncodeError {
    move |reason| EncodeError {
        format,
        reason: reason.to_string(),
    }
}

/// Of a file whose length is not known when it begins: the sizes are the largest there are, which players
/// read as "to the end".
fn wav_header(rate: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(44);
    bytes.extend(b"RIFF\xff\xff\xff\xffWAVEfmt ");
    bytes.extend(16_u32.to_le_bytes());
    // PCM, one channel.
    bytes.extend([1, 0, 1, 0]);
    bytes.extend(rate.to_le_bytes());
    bytes.extend((rate * 2).to_le_bytes());
    // Bytes of a sample, bits of a sample.
    bytes.extend([2, 0, 16, 0]);
    bytes.extend(b"data\xff\xff\xff\xff");
    bytes
}

struct Flac {
    info: StreamInfo,
    config: flacenc::error::Verified<flacenc::config::Encoder>,
    waiting: Vec<i32>,
    frames: usize,
    begun: bool,
}

impl Flac {
    fn new(rate: u32) -> Result<Self, String> {
        let mut info = StreamInfo::new(rate as usize, 1, 16).map_err(|error| error.to_string())?;
        (info.set_block_sizes(FLAC_FRAME, FLAC_FRAME)).map_err(|error| error.to_string())?;
        let config = flacenc::config::Encoder::default()
            .into_verified()
            .map_err(|(_, error)| error.to_string())?;
        Ok(Self {
            info,
            config,
            waiting: Vec::new(),
            frames: 0,
            begun: false,
        })
    }

    fn push(&mut self, samples: &[f32]) -> Result<Vec<u8>, String> {
        let mut sink = ByteSink::new();
        self.begin(&mut sink)?;
        self.waiting.extend(audio::s16(samples).map(i32::from));
        let whole = self.waiting.len() / FLAC_FRAME * FLAC_FRAME;
        let now: Vec<i32> = self.waiting.drain(..whole).collect();
        for frame in now.chunks(FLAC_FRAME) {
            self.frame(frame, &mut sink)?;
        }
        Ok(sink.as_slice().to_vec())
    }

    fn finish(&mut self) -> Result<Vec<u8>, String> {
        let mut sink = ByteSink::new();
        self.begin(&mut sink)?;
        let rest = std::mem::take(&mut self.waiting);
        if !rest.is_empty() {
            // The last frame is as short as it has to be; sixteen samples are the least there is.
            let mut rest = rest;
            rest.resize(rest.len().max(16), 0);
            self.frame(&rest, &mut sink)?;
        }
        Ok(sink.as_slice().to_vec())
    }

    fn begin(&mut self, sink: &mut ByteSink) -> Result<(), String> {
        if !self.begun {
            self.begun = true;
            let header = Stream::with_stream_info(self.info.clone());
            header.write(sink).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn frame(&mut self, samples: &[i32], sink: &mut ByteSink) -> Result<(), String> {
        let mut buffer =
            FrameBuf::with_size(1, samples.len()).map_err(|error| error.to_string())?;
        buffer
            .fill_interleaved(samples)
            .map_err(|error| error.to_string())?;
        let frame =
            flacenc::encode_fixed_size_frame(&self.config, &buffer, self.frames, &self.info)
                .map_err(|error| error.to_string())?;
        self.frames += 1;
        frame.write(sink).map_err(|error| error.to_string())
    }
}

struct Opus {
    encoder: OpusEncoder,
    writer: PacketWriter<'static, Vec<u8>>,
    waiting: Vec<f32>,
    /// A packet that is written once it is known whether it is the last.
    held: Option<Vec<u8>>,
    /// Samples of 48 kHz up to the end of the packet held.
    position: u64,
    /// Samples of 24 kHz that have come.
    come: u64,
    begun: bool,
}

impl Opus {
    fn new() -> Result<Self, String> {
        let mut encoder = OpusEncoder::new(PLAIN_RATE as i32, 1, Application::Audio)?;
        encoder.bitrate_bps = OPUS_BITS;
        Ok(Self {
            encoder,
            writer: PacketWriter::new(Vec::new()),
            waiting: Vec::new(),
            held: None,
            position: 0,
            come: 0,
            begun: false,
        })
    }

    fn push(&mut self, samples: &[f32]) -> Result<Vec<u8>, String> {
        self.begin()?;
        self.come += samples.len() as u64;
        self.waiting.extend_from_slice(samples);
        self.encode_whole()?;
        Ok(std::mem::take(self.writer.inner_mut()))
    }

    fn finish(&mut self) -> Result<Vec<u8>, String> {
        self.begin()?;
        // What the decoder leaves out at the beginning has to come out at the end.
        let needed = self.come * 2 + u64::from(OPUS_SKIP);
        let frames = needed.div_ceil(OPUS_STEP).max(1);
        self.waiting.resize(
            (frames as usize * OPUS_FRAME) - (self.position / 2) as usize,
            0.0,
        );
        self.encode_whole()?;
        if let Some(packet) = self.held.take() {
            // The position of the last page says where the sound ends inside it.
            self.packet(packet, PacketWriteEndInfo::EndStream, needed)?;
        }
        Ok(std::mem::take(self.writer.inner_mut()))
    }

    fn begin(&mut self) -> Result<(), String> {
        if self.begun {
            return Ok(());
        }
        self.begun = true;
        let mut head = b"OpusHead\x01\x01".to_vec();
        head.extend(OPUS_SKIP.to_le_bytes());
        head.extend(PLAIN_RATE.to_le_bytes());
        // No gain, one stream.
        head.extend([0, 0, 0]);
        self.packet(head, PacketWriteEndInfo::EndPage, 0)?;
        let mut tags = b"OpusTags".to_vec();
        tags.extend(5_u32.to_le_bytes());
        tags.extend(b"griot");
        tags.extend(0_u32.to_le_bytes());
        self.packet(tags, PacketWriteEndInfo::EndPage, 0)
    }

    fn encode_whole(&mut self) -> Result<(), String> {
        let whole = self.waiting.len() / OPUS_FRAME * OPUS_FRAME;
        let now: Vec<f32> = self.waiting.drain(..whole).collect();
        let mut frames = now.chunks(OPUS_FRAME).peekable();
        while let Some(frame) = frames.next() {
            if let Some(packet) = self.held.take() {
                // A page for each fifth of a second, so that players have something to play.
                let end = if self.position.is_multiple_of(10 * OPUS_STEP) || frames.peek().is_none()
                {
                    PacketWriteEndInfo::EndPage
                } else {
                    PacketWriteEndInfo::NormalPacket
                };
                self.packet(packet, end, self.position)?;
            }
            let mut packet = vec![0; 1500];
            let length = self.encoder.encode(frame, OPUS_FRAME, &mut packet)?;
            packet.truncate(length);
            self.held = Some(packet);
            self.position += OPUS_STEP;
        }
        Ok(())
    }

    fn packet(
        &mut self,
        packet: Vec<u8>,
        end: PacketWriteEndInfo,
        position: u64,
    ) -> Result<(), String> {
        self.writer
            .write_packet(packet, SERIAL, end, position)
            .map_err(|error| error.to_string())
    }
}
