//! The way into a conversation. What waits there is bounded by how much sound it is, not by its pieces: whoever
//! sends faster than is heard waits, and nothing is lost. It knows no wire format and no rate.

use std::{ops::Deref, sync::Arc};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::live::Input;
use crate::domain::audio::LISTEN_RATE;

/// Samples of one piece at most, which are heard without a break: a quarter of a second at 8 kHz.
pub const PIECE: usize = 2048;
/// Samples of a piece that only goes through, at most: what the caller is sent as one frame.
const VOICE_PIECE: usize = 4800;
/// Samples that wait to be heard, at most: half a minute at 16 kHz.
const WAITING: usize = 30 * LISTEN_RATE as usize;
/// What waits at all, at most.
const INPUTS: usize = 1500;

/// A piece of sound, with its place among what waits.
#[derive(Debug)]
pub struct Sound<S> {
    samples: Vec<S>,
    /// Somebody else's once the sound was heard.
    _place: OwnedSemaphorePermit,
}

impl<S> Deref for Sound<S> {
    type Target = [S];

    fn deref(&self) -> &[S] {
        &self.samples
    }
}

/// The conversation is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the conversation is over")]
pub struct Over;

/// A way in. Clones share what may wait.
#[derive(Debug, Clone)]
pub struct Inlet {
    inputs: mpsc::Sender<Input>,
    room: Arc<Semaphore>,
}

impl Inlet {
    /// A way in, and where it leads.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Input>) {
        let (inputs, come) = mpsc::channel(INPUTS);
        let room = Arc::new(Semaphore::new(WAITING));
        (Self { inputs, room }, come)
    }

    /// Sends sound, as long as it takes to be let in.
    ///
    /// # Errors
    /// When the conversation is [`Over`].
    pub async fn sound(&self, samples: &[f32]) -> Result<(), Over> {
        self.pieces(samples, PIECE, Input::Sound).await
    }

    /// Sends the voice of somebody who took over.
    ///
    /// # Errors
    /// When the conversation is [`Over`].
    pub async fn voice(&self, samples: &[i16]) -> Result<(), Over> {
        self.pieces(samples, VOICE_PIECE, Input::Operator).await
    }

    /// Sends what is no sound.
    ///
    /// # Errors
    /// When the conversation is [`Over`].
    pub async fn send(&self, input: Input) -> Result<(), Over> {
        self.inputs.send(input).await.map_err(|_| Over)
    }

    async fn pieces<S: Copy>(
        &self,
        samples: &[S],
        most: usize,
        input: fn(Sound<S>) -> Input,
    ) -> Result<(), Over> {
        for piece in samples.chunks(most) {
            let place = Arc::clone(&self.room)
                .acquire_many_owned(piece.len() as u32)
                .await
                .expect("the semaphore is never closed");
            let sound = Sound {
                samples: piece.to_vec(),
                _place: place,
            };
            self.send(input(sound)).await?;
        }
        Ok(())
    }

    /// A way in that does not keep the conversation going.
    #[must_use]
    pub fn downgrade(&self) -> WeakInlet {
        WeakInlet {
            inputs: self.inputs.downgrade(),
            room: Arc::clone(&self.room),
        }
    }
}

/// A way in for as long as somebody else holds one.
#[derive(Debug, Clone)]
pub struct WeakInlet {
    inputs: mpsc::WeakSender<Input>,
    room: Arc<Semaphore>,
}

impl WeakInlet {
    /// The way in, if there still is one.
    #[must_use]
    pub fn upgrade(&self) -> Option<Inlet> {
        Some(Inlet {
            inputs: self.inputs.upgrade()?,
            room: Arc::clone(&self.room),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::poll;

    use super::*;

    #[tokio::test]
    async fn sound_waits_for_what_came_before_it() {
        let (inlet, mut come) = Inlet::new();
        let long: Vec<f32> = (0..3 * WAITING).map(|n| n as f32).collect();
        let mut sending = pin!(inlet.sound(&long));
        let (mut waiting, mut heard) = (Vec::new(), Vec::new());
        while heard.len() < long.len() {
            tokio::task::yield_now().await;
            let _ = poll!(&mut sending);
            let before = heard.len();
            while let Ok(Input::Sound(sound)) = come.try_recv() {
                assert!(sound.len() <= PIECE);
                heard.extend_from_slice(&sound);
                waiting.push(sound);
            }
            let held: usize = waiting.iter().map(|sound| sound.len()).sum();
            assert!(held <= WAITING, "{held} samples wait");
            assert!(heard.len() > before || !waiting.is_empty(), "it is stuck");
            if heard.len() == before {
                waiting.clear();
            }
        }
        assert!(heard == long, "what comes out is what went in");
        drop((come, waiting));
        assert_eq!(inlet.sound(&[0.0]).await, Err(Over));
    }
}
