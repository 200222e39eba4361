//! When to look at a path again: not while it still changes. A value; time is an argument.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use tokio::time::Instant;

/// A path is looked at when nothing was heard of it for this long: editors write in several steps.
pub(super) const QUIET: Duration = Duration::from_millis(400);

/// And at the latest so long after it was first heard of.
const LONGEST: Duration = Duration::from_secs(10);

/// Paths at most. When more change at once, looking at everything is cheaper.
const MANY: usize = 4096;

/// The paths of which something was heard.
#[derive(Debug, Default)]
pub(super) struct Debounce {
    heard: BTreeMap<PathBuf, Heard>,
}

#[derive(Debug)]
struct Heard {
    first: Instant,
    last: Instant,
}

impl Heard {
    fn due(&self) -> Instant {
        (self.last + QUIET).min(self.first + LONGEST)
    }
}

/// More changed than can be looked at one by one; everything that was heard is forgotten.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl Debounce {
    /// Something happened at `path`.
    pub(super) fn hear(&mut self, path: PathBuf, now: Instant) -> Result<(), TooMany> {
        if let Some(heard) = self.heard.get_mut(&path) {
            heard.last = now;
            return Ok(());
        }
        if self.heard.len() >= MANY {
            self.heard.clear();
            return Err(TooMany);
        }
        let heard = Heard {
            first: now,
            last: now,
        };
        self.heard.insert(path, heard);
        Ok(())
    }

    /// A path to be looked at now. It is forgotten.
    pub(super) fn take(&mut self, now: Instant) -> Option<PathBuf> {
        let due = self.heard.iter().find(|(_, heard)| heard.due() <= now);
        let path = due?.0.clone();
        self.heard.remove(&path);
        Some(path)
    }

    /// When the next path is to be looked at.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heard.values().map(Heard::due).min()
    }

    /// Everything will be looked at: forget what was heard of single paths.
    pub(super) fn forget(&mut self) {
        self.heard.clear();
    }

    #[cfg(test)]
    fn is_waiting(&self, path: &std::path::Path) -> bool {
        self.heard.contains_key(path)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Events as milliseconds and path; then what is taken at each millisecond asked for.
    fn check(events: &[(u64, &str)], looks: &[(u64, Option<&str>)]) {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut debounce = Debounce::default();
        let mut events = events.iter().peekable();
        for (ms, expected) in looks {
            while let Some((when, path)) = events.next_if(|(when, _)| when <= ms) {
                debounce.hear(PathBuf::from(path), at(*when)).unwrap();
            }
            let taken = debounce.take(at(*ms));
            assert_eq!(taken.as_deref(), expected.map(Path::new), "at {ms} ms");
        }
    }

    #[test]
    fn three_steps_of_an_editor_are_one_look() {
        check(
            &[(0, "a"), (100, "a"), (399, "a")],
            &[
                (0, None),
                (400, None),
                (798, None),
                (799, Some("a")),
                (5000, None),
            ],
        );
    }

    #[test]
    fn paths_do_not_wait_for_one_another() {
        check(
            &[(0, "b"), (300, "a"), (600, "a")],
            &[(400, Some("b")), (401, None), (1000, Some("a"))],
        );
    }

    #[test]
    fn what_never_rests_is_looked_at_all_the_same() {
        let events: Vec<(u64, &str)> = (0..200).map(|i| (i * 100, "log")).collect();
        check(&events, &[(9_999, None), (10_000, Some("log"))]);
    }

    #[test]
    fn too_many_are_forgotten_and_told_of() {
        let now = Instant::now();
        let mut debounce = Debounce::default();
        for i in 0..MANY {
            debounce.hear(PathBuf::from(i.to_string()), now).unwrap();
        }
        debounce.hear(PathBuf::from("7"), now).unwrap();
        assert!(debounce.is_waiting(Path::new("7")));
        assert_eq!(debounce.hear(PathBuf::from("x"), now), Err(TooMany));
        assert_eq!(debounce.next(), None);
    }
}
