//! The keys: Space to speak, Q to leave. A terminal tells that a key is pressed, never that it is let go;
//! so Space begins and a second Space ends, and a Space that is held down (it repeats) ends soon after it
//! stops repeating.

use std::{
    io::Read,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

/// Repeats of a held key come closer than this.
const REPEAT: Duration = Duration::from_millis(120);
/// A held key that has not repeated for so long was let go.
const LET_GO: Duration = Duration::from_millis(250);

/// What a person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Space,
    Quit,
}

/// Whether somebody is speaking, by their Space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Talking {
    #[default]
    No,
    Yes,
    /// Space a second time, at this moment: the end, unless it turns out to be held.
    Ending(Instant),
    /// Held; repeated last at this moment.
    Held(Instant),
}

/// What a key or the time changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Begin,
    End,
}

impl Talking {
    /// Whether the microphone is open.
    pub fn is_on(self) -> bool {
        self != Self::No
    }

    /// Space, at `now`.
    pub fn space(&mut self, now: Instant) -> Option<Change> {
        let (next, change) = match *self {
            Self::No => (Self::Yes, Some(Change::Begin)),
            Self::Yes => (Self::Ending(now), None),
            Self::Ending(_) | Self::Held(_) => (Self::Held(now), None),
        };
        *self = next;
        change
    }

    /// Time has gone on to `now`.
    pub fn time(&mut self, now: Instant) -> Option<Change> {
        let over = match *self {
            Self::No | Self::Yes => false,
            Self::Ending(since) => now.duration_since(since) >= REPEAT,
            Self::Held(last) => now.duration_since(last) >= LET_GO,
        };
        if over {
            *self = Self::No;
        }
        over.then_some(Change::End)
    }
}

/// The terminal of the person, which gives every key at once and shows none of them. As before when dropped.
#[derive(Debug)]
pub struct Terminal {
    before: String,
}

impl Terminal {
    /// Takes it over, where standard input is one. `stty` does it: the program itself is free of unsafe code.
    pub fn take() -> Option<Self> {
        let saved = Command::new("stty")
            .arg("-g")
            .stdin(Stdio::inherit())
            .output();
        let saved = saved.ok().filter(|output| output.status.success())?;
        let before = String::from_utf8(saved.stdout).ok()?.trim().to_owned();
        // Ctrl-C stays what it is.
        stty(&["-icanon", "-echo", "min", "1"]).then_some(Self { before })
    }

    /// The keys, as they come.
    pub fn keys(&self) -> mpsc::Receiver<Key> {
        let (sender, keys) = mpsc::channel(16);
        // It ends with the program: nothing interrupts a read.
        std::thread::spawn(move || {
            for byte in std::io::stdin().lock().bytes() {
                let key = match byte {
                    Ok(b' ') => Key::Space,
                    Ok(b'q' | b'Q' | 4) => Key::Quit,
                    Ok(_) => continue,
                    Err(_) => return,
                };
                if sender.blocking_send(key).is_err() {
                    return;
                }
            }
        });
        keys
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        stty(&[&self.before]);
    }
}

fn stty(arguments: &[&str]) -> bool {
    let status = Command::new("stty")
        .args(arguments)
        .stdin(Stdio::inherit())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Presses of Space at these milliseconds; the changes with their times, looked at every 10 ms.
    fn changes(presses: &[u64]) -> Vec<(u64, Change)> {
        let begin = Instant::now();
        let mut talking = Talking::default();
        let mut changes = Vec::new();
        for ms in (0..3000).step_by(10) {
            let now = begin + Duration::from_millis(ms);
            let time = talking.time(now);
            let press = presses.contains(&ms).then(|| talking.space(now)).flatten();
            changes.extend(time.into_iter().chain(press).map(|change| (ms, change)));
        }
        changes
    }

    #[test]
    fn a_press_and_another() {
        let check = |presses: &[u64], expected: &[(u64, Change)]| {
            assert_eq!(changes(presses), expected, "{presses:?}");
        };
        use Change::{Begin, End};
        check(&[100], &[(100, Begin)]);
        check(&[100, 900], &[(100, Begin), (1020, End)]);
        check(
            &[100, 900, 1500, 2000],
            &[(100, Begin), (1020, End), (1500, Begin), (2120, End)],
        );
    }

    #[test]
    fn a_key_that_is_held() {
        // Half a second, and then 30 a second: as keyboards repeat.
        let held: Vec<u64> = std::iter::once(100)
            .chain((600..1600).step_by(30))
            .collect();
        let last = *held.last().unwrap();
        assert_eq!(
            changes(&held),
            [(100, Change::Begin), (last + 250, Change::End)]
        );
    }
}
