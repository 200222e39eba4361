//! Sound comes in, or time goes by without.

use std::time::{Duration, Instant};

use super::{
    super::session::{Event, FRAME_MS, Frame, Ms},
    Live, Output, TICK,
};
use crate::{domain::audio::s16, ports::hearing::FRAME};

/// A client that sends nothing for so long is taken to be silent.
const STALL: Duration = Duration::from_millis(1000);
/// Time that is made up at once, at most: what was not ticked was not waited for.
const STEP: Ms = 100;

impl Live {
    /// Sound: into the ring, and frame after frame to the ears.
    pub(super) fn hear(&mut self, samples: &[f32]) {
        self.sound_at = Instant::now();
        let samples = self.resampler.push(samples);
        if let Some(operator) = &self.operator {
            let voice = s16(&samples).collect();
            // Who listens too slowly misses a bit; the caller must not wait for them.
            let _ = operator.try_send(Output::Voice(voice));
        }
        self.listen(samples);
    }

    fn listen(&mut self, samples: Vec<f32>) {
        self.ring.push(&samples);
        self.partial.extend(samples);
        while self.partial.len() >= FRAME {
            let frame: [f32; FRAME] = self.partial[..FRAME]
                .try_into()
                .expect("the length is checked");
            self.partial.drain(..FRAME);
            self.frame(&frame);
        }
    }

    fn frame(&mut self, frame: &[f32; FRAME]) {
        let Some(ears) = &mut self.ears else {
            self.tell(Event::Passed(FRAME_MS));
            return;
        };
        let speech = ears.probability(frame).unwrap_or_else(|error| {
            tracing::debug!(%error, "a frame was not heard");
            0.0
        });
        let power = frame.iter().map(|sample| sample * sample).sum::<f32>() / FRAME as f32;
        let level = 10.0 * power.max(1e-9).log10();
        let own = self.own.hears(self.session.now(), frame);
        self.tell(Event::Heard(Frame { speech, level, own }));
    }

    /// No sound has come for a while, but something is being said or awaited.
    pub(super) fn time_passes(&mut self) {
        let since = std::mem::replace(&mut self.ticked_at, Instant::now());
        let quiet = self.sound_at.elapsed();
        if quiet < TICK * 3 {
            return;
        }
        let passed = (since.elapsed().as_millis() as Ms).min(STEP);
        if quiet >= STALL && self.ears.is_some() && self.session.is_hearing() {
            // Whoever sends nothing more says nothing more.
            self.listen(vec![0.0; passed as usize * 16]);
        } else if self.session.is_at_work() && passed > 0 {
            self.ring.push(&vec![0.0; passed as usize * 16]);
            self.tell(Event::Passed(passed));
        }
    }
}
