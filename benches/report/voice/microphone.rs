//! What the microphone hears, frame after frame: somebody who speaks, the room, and our own voice from the
//! loudspeaker.

use std::collections::VecDeque;

use super::{
    script::Echo,
    sound::{Chance, RATE, gained, level, samples},
};

/// Milliseconds of a frame.
pub const FRAME_MS: u64 = 20;
/// Samples of a frame.
pub const FRAME: usize = RATE as usize / 1000 * FRAME_MS as usize;

/// What is heard when nobody speaks.
#[derive(Debug, Clone)]
pub enum Room {
    Silence,
    /// White noise of this level, dBFS.
    White(f32),
    /// A recording, over and over.
    Loop(Vec<f32>),
    /// A short loud click, each so many samples.
    Clicks(usize),
}

impl Room {
    /// A recording at this level.
    pub fn looped(recording: &[f32], level_db: f32) -> Self {
        Self::Loop(gained(recording, level_db - level(recording)))
    }
}

/// The microphone of one conversation.
pub struct Microphone {
    room: Room,
    chance: Chance,
    /// Samples given so far.
    position: u64,
    speech: VecDeque<f32>,
    echo: Option<Echo>,
    /// What comes back from the loudspeaker, from `position` on.
    returning: VecDeque<f32>,
}

impl Microphone {
    pub fn new(room: Room, echo: Option<Echo>, seed: u64) -> Self {
        Self {
            room,
            chance: Chance::new(seed),
            position: 0,
            speech: VecDeque::new(),
            echo,
            returning: VecDeque::new(),
        }
    }

    /// Somebody says this, from the next frame on, or after what they are saying. Gives the position of its
    /// first sample.
    pub fn say(&mut self, clip: &[f32]) -> u64 {
        let at = self.position + self.speech.len() as u64;
        self.speech.extend(clip);
        at
    }

    /// The loudspeaker plays this, from a position of the microphone's on.
    pub fn played(&mut self, sound: &[f32], at: u64) {
        let Some(echo) = self.echo else { return };
        let from = at.saturating_sub(self.position) as usize + samples(echo.delay_ms);
        if self.returning.len() < from + sound.len() {
            self.returning.resize(from + sound.len(), 0.0);
        }
        for (place, sample) in gained(sound, echo.gain_db).into_iter().enumerate() {
            self.returning[from + place] += sample;
        }
    }

    /// The loudspeaker stops.
    pub fn hushed(&mut self) {
        let in_the_air = self.echo.map_or(0, |echo| samples(echo.delay_ms));
        self.returning.truncate(in_the_air);
    }

    /// The next frame.
    pub fn frame(&mut self) -> Vec<f32> {
        (0..FRAME)
            .map(|_| {
                let room = match &self.room {
                    Room::Silence => 0.0,
                    Room::White(db) => self.chance.noise(*db),
                    Room::Loop(recording) => recording[self.position as usize % recording.len()],
                    Room::Clicks(every) if self.position as usize % every < 32 => 0.7,
                    Room::Clicks(_) => 0.0,
                };
                self.position += 1;
                let speech = self.speech.pop_front().unwrap_or(0.0);
                let echo = self.returning.pop_front().unwrap_or(0.0);
                (room + speech + echo).clamp(-1.0, 1.0)
            })
            .collect()
    }
}
