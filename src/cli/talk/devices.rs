//! Microphones and loudspeakers, through cpal. One thread owns what is open; a device that fails or falls silent is
//! opened anew once a second until it is back.

mod choice;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{self as std_mpsc, RecvTimeoutError, SyncSender},
    },
    time::Duration,
};

use cpal::{
    BufferSize, Device, ErrorKind, FromSample, Host, Sample, SampleFormat, SizedSample, Stream,
    StreamConfig, SupportedBufferSize, SupportedStreamConfig,
    traits::{DeviceTrait, StreamTrait},
};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::sound::{Heard, Mouth};
use choice::find;
pub use choice::list;

/// Between two looks at what is open.
const LOOK: Duration = Duration::from_secs(1);
/// Looks at which a device has neither given nor taken anything, after which it counts as gone.
const STILL_LOOKS: u32 = 3;
/// Milliseconds that a device hands over at once, where it lets us choose.
const PIECE_MS: u32 = 40;

/// Which way the sound goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Input,
    Output,
}

impl Side {
    fn noun(self) -> &'static str {
        match self {
            Self::Input => "microphone",
            Self::Output => "loudspeaker",
        }
    }
}

/// What the devices tell.
#[derive(Debug)]
pub enum Event {
    Heard(Heard),
    /// A device is gone, and why.
    Lost(Side, String),
    /// A device is there (again).
    Back(Side, String),
}

impl Event {
    /// As a person is told it; `None` for sound.
    pub fn told(&self) -> Option<String> {
        match self {
            Self::Heard(_) => None,
            Self::Lost(side, reason) => Some(format!(
                "the {} is gone ({reason}); waiting for it to come back",
                side.noun()
            )),
            Self::Back(side, name) => Some(format!("the {} is back: {name}", side.noun())),
        }
    }
}

/// The devices that are wanted, by a name or a part of it; `None`: the system's own choice.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub input: Option<String>,
    pub output: Option<String>,
}

/// Why there is no sound.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoDevice {
    #[error(
        "no {} can be used ({reason}); plug one in and see `griot talk --list-devices`, or ask in writing with \
         `griot ask`", .side.noun()
    )]
    Unusable { side: Side, reason: String },
    #[error("no {} is called {wanted:?}; `griot talk --list-devices` shows what there is", .side.noun())]
    Unknown { side: Side, wanted: String },
    #[error("{wanted:?} could be {}; name one of them", .found.join(" or "))]
    Ambiguous { wanted: String, found: Vec<String> },
}

/// A device as it is listed.
#[derive(Debug, Serialize)]
pub struct Listed {
    pub side: Side,
    pub id: String,
    pub name: String,
}

/// What is open. It is closed some time after this is dropped.
#[derive(Debug)]
pub struct Open(SyncSender<Order>);

impl Drop for Open {
    fn drop(&mut self) {
        // Where it cannot be told, it ends with the program.
        let _ = self.0.try_send(Order::Stop);
    }
}

/// Opens the devices. Without a microphone there is no conversation; without a loudspeaker answers are read.
pub async fn open(
    wanted: Wanted,
    mouth: Arc<Mutex<Mouth>>,
    events: mpsc::Sender<Event>,
) -> Result<Open, NoDevice> {
    let (orders, ordered) = std_mpsc::sync_channel(64);
    let (began, begun) = oneshot::channel();
    let work = Work {
        wanted,
        mouth,
        events,
        faults: orders.clone(),
        opened: 0,
    };
    std::thread::spawn(move || work.run(&ordered, began));
    let open = Open(orders);
    match begun.await {
        Ok(Ok(())) => Ok(open),
        Ok(Err(reason)) => Err(reason),
        Err(_) => Err(NoDevice::Unusable {
            side: Side::Input,
            reason: "the sound system broke".to_owned(),
        }),
    }
}

/// What the thread is told.
enum Order {
    /// A stream of this number has failed.
    Fault(u64, String),
    Stop,
}

/// A stream with its number.
struct Opened {
    number: u64,
    /// Pieces of sound that it gave or took, now and at the last look.
    pieces: Arc<AtomicU64>,
    before: u64,
    /// Looks at which there were no more.
    still: u32,
    _stream: Stream,
}

impl Opened {
    /// A look at it; whether it has stood still for too long. Not every device that is gone says so.
    fn stands_still(&mut self) -> bool {
        let pieces = self.pieces.load(Ordering::Relaxed);
        self.still = if pieces == self.before {
            self.still + 1
        } else {
            0
        };
        self.before = pieces;
        self.still >= STILL_LOOKS
    }
}

/// Closes what is gone. That may wait for ever (ALSA's plugin for PulseAudio does, for a server that died), so nobody
/// waits for it.
fn let_go(opened: Opened) {
    std::thread::spawn(move || drop(opened));
}

struct Work {
    wanted: Wanted,
    mouth: Arc<Mutex<Mouth>>,
    events: mpsc::Sender<Event>,
    faults: SyncSender<Order>,
    opened: u64,
}

impl Work {
    fn run(
        mut self,
        ordered: &std_mpsc::Receiver<Order>,
        began: oneshot::Sender<Result<(), NoDevice>>,
    ) {
        let host = cpal::default_host();
        let mut input = match self.open(&host, Side::Input) {
            Ok((opened, _)) => Some(opened),
            Err(reason) => {
                let _ = began.send(Err(reason));
                return;
            }
        };
        let (mut output, lacking) = match self.open(&host, Side::Output) {
            Ok((opened, _)) => (Some(opened), None),
            Err(NoDevice::Unusable { reason, .. }) => (None, Some(reason)),
            Err(reason) => {
                let _ = began.send(Err(reason));
                return;
            }
        };
        let _ = began.send(Ok(()));
        // Only now is there somebody who listens.
        if let Some(reason) = lacking {
            self.tell(Event::Lost(Side::Output, reason));
        }
        loop {
            let fault = match ordered.recv_timeout(LOOK) {
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Order::Fault(number, reason)) => Some((number, reason)),
                Err(RecvTimeoutError::Timeout) => None,
            };
            let looks = fault.is_none();
            for (side, place) in [(Side::Input, &mut input), (Side::Output, &mut output)] {
                let failed = fault
                    .as_ref()
                    .filter(|(number, _)| place.as_ref().is_some_and(|o| o.number == *number))
                    .map(|(_, reason)| reason.clone());
                let still = looks && place.as_mut().is_some_and(Opened::stands_still);
                let failed = failed.or_else(|| still.then(|| "it stands still".to_owned()));
                if let Some(reason) = failed {
                    if let Some(gone) = place.take() {
                        let_go(gone);
                    }
                    self.tell(Event::Lost(side, reason));
                } else if place.is_none() && looks {
                    // Why it does not open was said when it was lost.
                    if let Ok((opened, name)) = self.open(&host, side) {
                        *place = Some(opened);
                        self.tell(Event::Back(side, name));
                    }
                }
            }
        }
    }

    fn tell(&self, event: Event) {
        // Whoever does not listen has left; the order to stop is on its way.
        let _ = self.events.blocking_send(event);
    }

    fn open(&mut self, host: &Host, side: Side) -> Result<(Opened, String), NoDevice> {
        self.opened += 1;
        let number = self.opened;
        let pieces = Arc::<AtomicU64>::default();
        let wanted = match side {
            Side::Input => self.wanted.input.as_deref(),
            Side::Output => self.wanted.output.as_deref(),
        };
        let device = find(host, side, wanted)?;
        let unusable = |error: cpal::Error| NoDevice::Unusable {
            side,
            reason: error.to_string(),
        };
        let supported = match side {
            Side::Input => device.default_input_config(),
            Side::Output => device.default_output_config(),
        };
        let supported = supported.map_err(unusable)?;
        let build = |config: StreamConfig| match (side, supported.sample_format()) {
            (Side::Input, SampleFormat::I8) => self.input::<i8>(&device, config, number, &pieces),
            (Side::Input, SampleFormat::I16) => self.input::<i16>(&device, config, number, &pieces),
            (Side::Input, SampleFormat::I32) => self.input::<i32>(&device, config, number, &pieces),
            (Side::Input, SampleFormat::U8) => self.input::<u8>(&device, config, number, &pieces),
            (Side::Input, SampleFormat::U16) => self.input::<u16>(&device, config, number, &pieces),
            (Side::Input, SampleFormat::F32) => self.input::<f32>(&device, config, number, &pieces),
            (Side::Input, SampleFormat::F64) => self.input::<f64>(&device, config, number, &pieces),
            (Side::Output, SampleFormat::I8) => self.output::<i8>(&device, config, number, &pieces),
            (Side::Output, SampleFormat::I16) => {
                self.output::<i16>(&device, config, number, &pieces)
            }
            (Side::Output, SampleFormat::I32) => {
                self.output::<i32>(&device, config, number, &pieces)
            }
            (Side::Output, SampleFormat::U8) => self.output::<u8>(&device, config, number, &pieces),
            (Side::Output, SampleFormat::U16) => {
                self.output::<u16>(&device, config, number, &pieces)
            }
            (Side::Output, SampleFormat::F32) => {
                self.output::<f32>(&device, config, number, &pieces)
            }
            (Side::Output, SampleFormat::F64) => {
                self.output::<f64>(&device, config, number, &pieces)
            }
            (_, _) => Err(cpal::Error::new(ErrorKind::UnsupportedConfig)),
        };
        // Some devices name sizes that they then refuse.
        let stream = build(in_pieces(&supported))
            .or_else(|_| build(supported.config()))
            .and_then(|stream| stream.play().map(|()| stream))
            .map_err(unusable)?;
        let opened = Opened {
            number,
            pieces,
            before: 0,
            still: 0,
            _stream: stream,
        };
        Ok((opened, device.to_string()))
    }

    fn input<T>(
        &self,
        device: &Device,
        config: StreamConfig,
        number: u64,
        pieces: &Arc<AtomicU64>,
    ) -> Result<Stream, cpal::Error>
    where
        T: SizedSample,
        f32: FromSample<T>,
    {
        let (events, pieces) = (self.events.clone(), Arc::clone(pieces));
        let (rate, channels) = (config.sample_rate, usize::from(config.channels.max(1)));
        let take = move |data: &[T], _: &cpal::InputCallbackInfo| {
            pieces.fetch_add(1, Ordering::Relaxed);
            let samples = data
                .chunks(channels)
                .map(|frame| {
                    let sum: f32 = frame.iter().map(|s| f32::from_sample(*s)).sum();
                    sum / frame.len() as f32
                })
                .collect();
            // A conversation that does not keep up misses a bit; the device must not wait.
            let _ = events.try_send(Event::Heard(Heard { rate, samples }));
        };
        device.build_input_stream::<T, _, _>(config, take, self.fault(number), None)
    }

    fn output<T>(
        &self,
        device: &Device,
        config: StreamConfig,
        number: u64,
        pieces: &Arc<AtomicU64>,
    ) -> Result<Stream, cpal::Error>
    where
        T: SizedSample + FromSample<f32>,
    {
        let (mouth, pieces) = (Arc::clone(&self.mouth), Arc::clone(pieces));
        let channels = usize::from(config.channels.max(1));
        lock(&mouth).set_rates(None, Some(config.sample_rate));
        let give = move |data: &mut [T], _: &cpal::OutputCallbackInfo| {
            pieces.fetch_add(1, Ordering::Relaxed);
            let mut mouth = lock(&mouth);
            for frame in data.chunks_mut(channels) {
                frame.fill(T::from_sample(mouth.pull()));
            }
        };
        device.build_output_stream::<T, _, _>(config, give, self.fault(number), None)
    }

    /// What hears of a stream's faults. Some are none: it goes on by itself.
    fn fault(&self, number: u64) -> impl FnMut(cpal::Error) + Send + 'static {
        let faults = self.faults.clone();
        move |error| {
            let goes_on = matches!(
                error.kind(),
                ErrorKind::Xrun | ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied
            );
            if !goes_on {
                // One fault is enough to be told of.
                let _ = faults.try_send(Order::Fault(number, error.to_string()));
            }
        }
    }
}

/// The sound that waits to be heard. Held for as long as a piece of it is taken or put.
pub fn lock(mouth: &Mutex<Mouth>) -> std::sync::MutexGuard<'_, Mouth> {
    mouth.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The configuration with short pieces, if the device offers them.
fn in_pieces(supported: &SupportedStreamConfig) -> StreamConfig {
    let mut config = supported.config();
    let piece = config.sample_rate * PIECE_MS / 1000;
    if let SupportedBufferSize::Range { min, max } = supported.buffer_size()
        && (*min..=*max).contains(&piece)
    {
        config.buffer_size = BufferSize::Fixed(piece);
    }
    config
}

#[cfg(test)]
mod tests;
