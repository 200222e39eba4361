//! Sound that comes in pieces of any rate, width and number of channels, made into one recording.

use super::wire::Event;
use crate::{
    domain::{
        audio::{LISTEN_RATE, s16},
        resample::Resampler,
    },
    voice::recording::Sound,
};

/// Rates of sound that is taken: those that there are. Others would want large tables to be resampled with.
const RATES: [u32; 11] = [
    8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000,
];
/// Seconds of one recording.
const LONGEST_S: usize = 600;
/// Bytes that are turned into samples without a break.
const AT_A_TIME: usize = 16 * 1024;

/// How the samples of a piece stand in its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Form {
    rate: u32,
    /// Bytes of a sample, the lowest first; one byte is without a sign.
    width: usize,
    channels: usize,
}

impl Form {
    /// What an event says, and the usual for what it does not say.
    fn of(event: &Event) -> Result<Self, String> {
        let number = |key: &str, usual: u64| match event.data.get(key) {
            None => usual,
            Some(value) => value.as_u64().unwrap_or(0),
        };
        let (rate, width, channels) = (
            number("rate", u64::from(LISTEN_RATE)),
            number("width", 2),
            number("channels", 1),
        );
        let fits = u32::try_from(rate).is_ok_and(|rate| RATES.contains(&rate));
        if !fits || !(1..=4).contains(&width) || !(1..=8).contains(&channels) {
            return Err(format!(
                "sound of {rate} samples a second, {width} bytes a sample and {channels} channels is not taken; the \
                 usual rates from 8000 to 192000, 1 to 4 bytes and 1 to 8 channels are"
            ));
        }
        Ok(Self {
            rate: rate as u32,
            width: width as usize,
            channels: channels as usize,
        })
    }

    /// One channel of samples, the mean of all.
    fn samples(self, bytes: &[u8]) -> Vec<f32> {
        let sample = |bytes: &[u8]| match *bytes {
            [a] => (f32::from(a) - 128.0) / 128.0,
            [a, b] => f32::from(i16::from_le_bytes([a, b])) / 32_768.0,
            [a, b, c] => i32::from_le_bytes([0, a, b, c]) as f32 / 2_147_483_648.0,
            [a, b, c, d] => i32::from_le_bytes([a, b, c, d]) as f32 / 2_147_483_648.0,
            _ => 0.0,
        };
        bytes
            .chunks_exact(self.width * self.channels)
            .map(|frame| {
                let sum: f32 = frame.chunks_exact(self.width).map(sample).sum();
                sum / self.channels as f32
            })
            .collect()
    }
}

/// What was recorded so far.
pub(super) struct Recording {
    form: Form,
    resampler: Resampler,
    /// 16-bit samples at the rate of listening.
    s16le: Vec<u8>,
}

impl Recording {
    /// A recording that begins with this event, whose form it takes.
    ///
    /// # Errors
    /// For a form that is not taken, in words.
    pub fn begin(event: &Event) -> Result<Self, String> {
        let form = Form::of(event)?;
        Ok(Self {
            form,
            resampler: Resampler::new(form.rate, LISTEN_RATE),
            s16le: Vec::new(),
        })
    }

    /// Takes the next piece. Long ones leave others a chance in between.
    ///
    /// # Errors
    /// For a form that is not taken, and when it has grown too long, in words.
    pub async fn push(&mut self, event: &Event) -> Result<(), String> {
        // Without a word about its form a piece is like those before.
        if ["rate", "width", "channels"]
            .iter()
            .any(|key| event.data.contains_key(*key))
        {
            let form = Form::of(event)?;
            if form != self.form {
                self.finish();
                self.form = form;
                self.resampler = Resampler::new(form.rate, LISTEN_RATE);
            }
        }
        let frame = self.form.width * self.form.channels;
        for bytes in event.payload.chunks(AT_A_TIME / frame * frame) {
            let samples = self.resampler.push(&self.form.samples(bytes));
            self.take(&samples);
            if self.s16le.len() > LONGEST_S * LISTEN_RATE as usize * 2 {
                return Err(format!(
                    "a recording has {LONGEST_S} seconds at most; upload longer ones as files"
                ));
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// All of it.
    pub fn end(mut self) -> Sound {
        self.finish();
        Sound::new(self.s16le)
    }

    fn finish(&mut self) {
        let rest = self.resampler.finish();
        self.take(&rest);
    }

    fn take(&mut self, samples: &[f32]) {
        self.s16le.extend(s16(samples).flat_map(i16::to_le_bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(rate: u32, width: usize, channels: usize, payload: Vec<u8>) -> Event {
        Event {
            payload,
            ..Event::new("audio-chunk")
                .with("rate", rate)
                .with("width", width)
                .with("channels", channels)
        }
    }

    async fn recorded(pieces: &[Event]) -> Sound {
        let mut recording = Recording::begin(&pieces[0]).unwrap();
        for piece in pieces {
            recording.push(piece).await.unwrap();
        }
        recording.end()
    }

    #[tokio::test]
    async fn every_form_becomes_the_same_sound() {
        // A second at half of the loudness that there is.
        for (width, channels, frame) in [
            (2, 1, &[0, 0x40][..]),
            (1, 1, &[192]),
            (3, 1, &[0, 0, 0x40]),
            (4, 1, &[0, 0, 0, 0x40]),
            // One channel is full, the other silent.
            (2, 2, &[0, 0x7f, 0, 1]),
        ] {
            let sound = recorded(&[piece(16_000, width, channels, frame.repeat(16_000))]).await;
            assert_eq!(
                sound,
                Sound::new([0, 0x40].repeat(16_000)),
                "{width} {channels}"
            );
        }
        for rate in [8000, 22_050, 44_100, 48_000] {
            let sound = recorded(&[piece(rate, 2, 1, [0, 0x40].repeat(rate as usize))]).await;
            assert_eq!(sound.len(), 16_000, "{rate}");
        }
    }

    #[tokio::test]
    async fn a_form_may_change_and_a_piece_need_not_name_it() {
        let plain = Event {
            payload: vec![0; 3200],
            ..Event::new("audio-chunk")
        };
        let sound = recorded(&[
            piece(8000, 2, 1, vec![0; 1600]),
            plain.clone(),
            piece(48_000, 2, 2, vec![0; 19_200]),
        ])
        .await;
        // 100, 200 and 100 milliseconds.
        assert_eq!(sound.len(), 6400);
        assert_eq!(recorded(&[plain]).await.len(), 1600);
    }

    #[tokio::test]
    async fn what_is_not_taken() {
        for event in [
            piece(0, 2, 1, Vec::new()),
            piece(1, 2, 1, Vec::new()),
            piece(191_999, 2, 1, Vec::new()),
            piece(16_000, 0, 1, Vec::new()),
            piece(16_000, 5, 1, Vec::new()),
            piece(16_000, 2, 9, Vec::new()),
            Event::new("audio-start").with("rate", "fast"),
            Event::new("audio-start").with("rate", -1),
        ] {
            assert!(Recording::begin(&event).is_err(), "{event:?}");
        }
        let mut recording = Recording::begin(&Event::new("audio-start")).unwrap();
        let minute = piece(8000, 1, 1, vec![128; 60 * 8000]);
        for _ in 0..10 {
            recording.push(&minute).await.unwrap();
        }
        assert!(recording.push(&minute).await.is_err());
    }
}
