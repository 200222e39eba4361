//! What tells speech from other sound, and the end of a turn from a pause. Both see sound only, never text.

use std::sync::Arc;

use async_trait::async_trait;

use super::PortError;

/// Samples of one frame, at [`LISTEN_RATE`](crate::domain::audio::LISTEN_RATE): 32 ms.
pub const FRAME: usize = 512;

/// Hears one stream of sound, frame after frame; what it heard before counts.
pub trait VoiceActivity: Send {
    /// The probability that somebody speaks in this frame, the next of the stream. Takes a fraction of a
    /// millisecond, on the caller's thread.
    ///
    /// # Errors
    /// [`PortError::Unavailable`] when the model broke; the stream can be gone on with.
    fn probability(&mut self, frame: &[f32; FRAME]) -> Result<f32, PortError>;

    /// Forgets what it heard, for another stream.
    fn reset(&mut self);
}

/// What sessions listen with.
#[async_trait]
pub trait Hearing: Send + Sync {
    /// A fresh pair of ears, one for each stream of sound. The model is read at the first call.
    ///
    /// # Errors
    /// [`PortError::Unavailable`], where there is no model.
    async fn ears(&self) -> Result<Box<dyn VoiceActivity>, PortError>;
}

/// Judges whether who spoke has said all they wanted to say.
#[async_trait]
pub trait TurnEnd: Send + Sync {
    /// The probability that the turn is over, from its sound up to now; of more than [`TURN_S`] seconds the
    /// last count. Dropping the future costs what is begun, and no more.
    ///
    /// # Errors
    /// [`PortError::Unavailable`], where there is no model: then only the length of a pause tells.
    async fn probability(&self, samples: Arc<[f32]>) -> Result<f32, PortError>;
}

/// Seconds of a turn that [`TurnEnd`] hears.
pub const TURN_S: u32 = 8;
