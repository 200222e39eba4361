//! Faults on demand.

use std::time::Duration;

use tokio::sync::watch;

use crate::{domain::Component, ports::PortError};

/// What a fake does instead of its work until `recover` is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Every call fails as when nothing listens.
    Unavailable,
    /// Every call fails as after this deadline (without waiting for it).
    TimedOut(Duration),
    /// Every call is answered with a no.
    Refused(String),
    /// Every call is told that there is no room on the disk.
    NoRoom,
    /// Calls do not return before `recover`; then they do their work.
    Hang,
    /// Every call panics, as a fault of the program does.
    Panic,
}

/// The present trouble of one fake; shared by its calls.
#[derive(Debug)]
pub(super) struct Mood {
    component: Component,
    trouble: watch::Sender<Option<Trouble>>,
}

impl Mood {
    pub(super) fn good(component: Component) -> Self {
        Self {
            component,
            trouble: watch::Sender::new(None),
        }
    }

    pub(super) fn set(&self, trouble: Option<Trouble>) {
        self.trouble.send_replace(trouble);
    }

    /// Ok when there is no trouble (any more).
    pub(super) async fn check(&self) -> Result<(), PortError> {
        let mut watcher = self.trouble.subscribe();
        let trouble = watcher
            .wait_for(|trouble| *trouble != Some(Trouble::Hang))
            .await
            .expect("the sender lives as long as the fake borrowed here")
            .clone();
        match trouble {
            None => Ok(()),
            Some(Trouble::Panic) => panic!("the {} was told to panic", self.component),
            Some(trouble) => Err(error(self.component, &trouble)),
        }
    }
}

/// The error that callers see.
pub(super) fn error(component: Component, trouble: &Trouble) -> PortError {
    match trouble {
        Trouble::Unavailable | Trouble::Hang | Trouble::Panic => PortError::unavailable(
            component,
            std::io::Error::from(std::io::ErrorKind::ConnectionRefused),
        ),
        Trouble::TimedOut(limit) => PortError::TimedOut {
            component,
            limit: *limit,
        },
        Trouble::NoRoom => PortError::NoRoom { component },
        Trouble::Refused(reason) => PortError::Refused {
            component,
            reason: reason.clone(),
        },
    }
}
