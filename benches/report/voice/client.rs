//! A client of a conversation: sends a frame of the microphone every 20 ms of a monotonic clock, keeps
//! everything it is told with the time at which it came, and knows what its loudspeaker plays.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::{SinkExt, StreamExt};
use griot::domain::{
    audio::{from_s16le, s16},
    resample::Resampler,
};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

use super::{
    log::{Came, Entry, Said},
    microphone::{FRAME_MS, Microphone},
    sound::{RATE, ms},
};

/// A frame that leaves so much later than it should is late.
const LATE: Duration = Duration::from_millis(10);
/// A daemon that has not begun a conversation by then will not.
const READY: Duration = Duration::from_secs(60);

/// Which protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// `/api/voice/stream`.
    Simple,
    /// `/v1/realtime`.
    Realtime,
}

/// Why a conversation could not be held.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no conversation could be opened: {0}")]
    NotOpened(String),
    #[error("the socket broke: {0}")]
    Socket(#[from] Box<Error>),
    #[error("the daemon ended the conversation")]
    Ended,
}

impl From<Error> for ClientError {
    fn from(error: Error) -> Self {
        Self::Socket(Box::new(error))
    }
}

/// One conversation.
pub struct Client {
    socket: WebSocketStream<TcpStream>,
    wire: Wire,
    pub microphone: Microphone,
    began: Instant,
    frames: u64,
    /// Frames that left too late.
    pub late: u64,
    /// Up to when the loudspeaker has something to play.
    plays_until: f64,
    /// What is heard is at 24 kHz in the realtime protocol, and brought to 16 here.
    up: Resampler,
    down: Resampler,
    pub log: Vec<Entry>,
}

impl Client {
    /// Opens a conversation and the microphone. `start` are further fields of the simple protocol's `start`.
    pub async fn open(
        address: &str,
        wire: Wire,
        microphone: Microphone,
        start: &Value,
    ) -> Result<Self, ClientError> {
        let path = match wire {
            Wire::Simple => "/api/voice/stream",
            Wire::Realtime => "/v1/realtime?model=griot",
        };
        let request = format!("ws://{address}{path}").into_client_request()?;
        let stream = TcpStream::connect(address).await.map_err(Error::Io)?;
        // Twenty milliseconds are small packets; none of them is to wait for the next.
        stream.set_nodelay(true).map_err(Error::Io)?;
        let (mut socket, _) = client_async(request, stream).await?;
        let first = match wire {
            Wire::Simple => {
                let mut message = json!({
                    "type": "start", "sample_rate": RATE, "sample_rate_out": RATE,
                });
                for (name, value) in start.as_object().into_iter().flatten() {
                    message[name] = value.clone();
                }
                socket.send(Message::text(message.to_string())).await?;
                "ready"
            }
            Wire::Realtime => "session.created",
        };
        let ready = async {
            loop {
                match socket.next().await.ok_or(ClientError::Ended)?? {
                    Message::Text(text) => return Ok::<_, ClientError>(text.as_str().to_owned()),
                    Message::Close(_) => return Err(ClientError::Ended),
                    _ => {}
                }
            }
        };
        let told = tokio::time::timeout(READY, ready)
            .await
            .map_err(|_| ClientError::NotOpened("nothing came for a minute".to_owned()))??;
        let value: Value = serde_json::from_str(&told).unwrap_or_default();
        if value["type"] != first {
            return Err(ClientError::NotOpened(told));
        }
        let now = Instant::now();
        Ok(Self {
            socket,
            wire,
            microphone,
            began: now,
            frames: 0,
            late: 0,
            plays_until: 0.0,
            up: Resampler::new(RATE, 24_000),
            down: Resampler::new(24_000, RATE),
            log: Vec::new(),
        })
    }

    /// Milliseconds since the microphone was opened.
    pub fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64() * 1e3
    }

    /// Says a clip whose speech is at `speech`; gives when that is, on the clock of the log.
    pub fn say(&mut self, clip: &[f32], speech: &std::ops::Range<usize>) -> Said {
        let at = self.microphone.say(clip);
        Said {
            onset: ms(at + speech.start as u64),
            eos: ms(at + speech.end as u64),
        }
    }

    /// Frames sent so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Sends and listens until this is so, at most for so long. Gives whether it became so.
    pub async fn until(
        &mut self,
        limit: Duration,
        mut so: impl FnMut(&Self) -> bool,
    ) -> Result<bool, ClientError> {
        let end = Instant::now() + limit;
        while !so(self) {
            if Instant::now() >= end {
                return Ok(false);
            }
            self.step().await?;
        }
        Ok(true)
    }

    /// Sends and listens for so long.
    pub async fn wait(&mut self, ms: u64) -> Result<(), ClientError> {
        let end = self.now() + ms as f64;
        self.until(Duration::from_secs(3600), |client| client.now() >= end)
            .await
            .map(drop)
    }

    /// One frame, or one message.
    async fn step(&mut self) -> Result<(), ClientError> {
        // A microphone gives a frame when its last sample is there.
        let due = self.began + Duration::from_millis((self.frames + 1) * FRAME_MS);
        tokio::select! {
            biased;
            () = sleep_until(due) => {
                self.late += u64::from(due.elapsed() > LATE);
                self.frames += 1;
                let frame = self.microphone.frame();
                self.send_frame(frame).await
            }
            message = self.socket.next() => {
                let message = message.ok_or(ClientError::Ended)??;
                self.hear(message)
            }
        }
    }

    fn send_frame(&mut self, frame: Vec<f32>) -> impl Future<Output = Result<(), ClientError>> {
        let bytes = |samples: &[f32]| s16(samples).flat_map(i16::to_le_bytes).collect::<Vec<u8>>();
        let message = match self.wire {
            Wire::Simple => Message::binary(bytes(&frame)),
            Wire::Realtime => {
                let audio = STANDARD.encode(bytes(&self.up.push(&frame)));
                let append = json!({ "type": "input_audio_buffer.append", "audio": audio });
                Message::text(append.to_string())
            }
        };
        async move { Ok(self.socket.send(message).await?) }
    }

    fn hear(&mut self, message: Message) -> Result<(), ClientError> {
        let at = self.now();
        let came = match message {
            Message::Binary(bytes) => self.play(at, from_s16le(&bytes).collect()),
            Message::Text(text) => {
                let mut told: Value = serde_json::from_str(text.as_str()).unwrap_or_default();
                if told["type"] == "response.output_audio.delta" {
                    let audio = told["delta"].as_str().unwrap_or_default();
                    let bytes = STANDARD.decode(audio).unwrap_or_default();
                    let samples: Vec<f32> = from_s16le(&bytes).collect();
                    let samples = self.down.push(&samples);
                    // Not its text: a log holds minutes of it.
                    told["delta"] = Value::Null;
                    self.log.push(Entry {
                        at,
                        came: Came::Told(told),
                    });
                    self.play(at, samples)
                } else {
                    let hushes = ["interrupted", "input_audio_buffer.speech_started"];
                    if hushes.iter().any(|kind| told["type"] == *kind) {
                        self.plays_until = self.plays_until.min(at);
                        self.microphone.hushed();
                    }
                    Came::Told(told)
                }
            }
            Message::Close(_) => return Err(ClientError::Ended),
            _ => return Ok(()),
        };
        self.log.push(Entry { at, came });
        Ok(())
    }

    fn play(&mut self, at: f64, samples: Vec<f32>) -> Came {
        let plays_at = self.plays_until.max(at);
        self.plays_until = plays_at + ms(samples.len() as u64);
        let position = plays_at * f64::from(RATE) / 1000.0;
        self.microphone.played(&samples, position as u64);
        Came::Sound { samples, plays_at }
    }
}
