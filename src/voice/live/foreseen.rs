//! First words that are ready before it is known that they are wanted. While somebody speaks, what was understood so
//! far is looked up, and the clause with which its answer would begin is spoken into a drawer. If the answer to the
//! whole question begins with the same clause, its sound is there; if not, nobody hears of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{
    super::engine::Engine,
    Call,
    answering::{Speaking, ask_of},
    telling::Telling,
};
use crate::{
    answer::Beginning,
    domain::{Collection, ConversationId},
    ports::Clause,
};

/// One clause and its sound, of which the newest is kept.
#[derive(Debug, Default)]
pub(super) struct Drawer {
    /// Held for a look or a change only, never across an await.
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    clause: Clause,
    rate: u32,
    /// `None` while it is being spoken; closed without a sound where that failed.
    sound: watch::Receiver<Option<Arc<[i16]>>>,
    /// Ends with its place in the drawer.
    _speaking: Option<Call>,
}

impl Kept {
    /// Whether it is this clause, there or on its way.
    fn is(&self, clause: &Clause, rate: u32) -> bool {
        let has_failed = self.sound.borrow().is_none() && self.sound.has_changed().is_err();
        self.clause == *clause && self.rate == rate && !has_failed
    }
}

impl Drawer {
    /// The sound of a clause at this rate, if it is there or on its way.
    pub async fn take(&self, clause: &Clause, rate: u32) -> Option<Vec<i16>> {
        let mut sound = {
            let kept = self.kept();
            let kept = kept.as_ref().filter(|kept| kept.is(clause, rate))?;
            kept.sound.clone()
        };
        let sound = sound.wait_for(Option::is_some).await.ok()?;
        sound.as_ref().map(|sound| sound.to_vec())
    }

    /// Puts a clause in the place of the one before, whose work ends; not where it is there or on its way already.
    pub(super) fn put(
        &self,
        clause: Clause,
        rate: u32,
        speak: impl FnOnce(watch::Sender<Option<Arc<[i16]>>>) -> Option<Call>,
    ) {
        let mut kept = self.kept();
        if kept.as_ref().is_some_and(|kept| kept.is(&clause, rate)) {
            return;
        }
        let (room, sound) = watch::channel(None);
        *kept = Some(Kept {
            clause,
            rate,
            sound,
            _speaking: speak(room),
        });
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The work of finding out with which words an answer begins. Dropping it ends it, but not what is being spoken.
pub(super) struct Foreseeing {
    pub engine: Arc<Engine>,
    pub question: String,
    pub collection: Option<Collection>,
    pub conversation: ConversationId,
    pub speaking: Speaking,
}

impl Foreseeing {
    pub async fn run(self) {
        let parts = &self.engine.parts;
        // Not a place of those who have asked: nobody is to wait for a guess.
        let Ok(_place) = self.engine.foreseeing.try_acquire() else {
            return;
        };
        let Some(ask) = ask_of(&self.question, self.collection.clone(), self.conversation) else {
            return;
        };
        let beginning = Beginning::of(parts.quote_first);
        let events = match parts.answerer.foresee(ask, beginning).await {
            Ok(events) => events,
            Err(error) => {
                tracing::debug!(%error, "an answer could not be foreseen");
                return;
            }
        };
        let mut telling = Telling::new(parts.quote_first);
        let first = events
            .iter()
            .find_map(|event| telling.take(event).into_iter().next());
        if let Some(first) = first.or_else(|| telling.rest()) {
            self.prepare(&first);
        }
    }

    fn prepare(&self, text: &str) {
        let Some(clause) = self.speaking.clause(text) else {
            return;
        };
        let (speaking, rate) = (self.speaking.clone(), self.speaking.rate);
        let spoken = clause.clone();
        self.speaking.drawer.put(clause, rate, |room| {
            let work = async move {
                if let Ok(sound) = speaking.speak_ahead(spoken).await {
                    metrics::counter!("griot_voice_foreseen_total", "outcome" => "prepared")
                        .increment(1);
                    let _ = room.send(Some(sound.into()));
                }
            };
            Some(Call(self.engine.parts.tracker.spawn(work)))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts a clause in; gives where its sound is to come.
    fn put(drawer: &Drawer, clause: &Clause) -> Option<watch::Sender<Option<Arc<[i16]>>>> {
        let mut room = None;
        drawer.put(clause.clone(), 24_000, |given| {
            room = Some(given);
            None
        });
        room
    }

    #[tokio::test]
    async fn a_clause_is_found_while_and_after_it_is_spoken() {
        let drawer = Drawer::default();
        let (rent, dogs) = (Clause::new("Rent is due"), Clause::new("Dogs are"));
        assert_eq!(drawer.take(&rent, 24_000).await, None, "it is empty");

        let room = put(&drawer, &rent).unwrap();
        assert!(put(&drawer, &rent).is_none(), "it is on its way");
        let (found, ()) = tokio::join!(drawer.take(&rent, 24_000), async {
            tokio::task::yield_now().await;
            room.send(Some([1, 2].into())).unwrap();
        });
        assert_eq!(found, Some(vec![1, 2]));
        drop(room);
        assert_eq!(drawer.take(&rent, 24_000).await, Some(vec![1, 2]));
        assert!(put(&drawer, &rent).is_none(), "it is there");

        assert_eq!(drawer.take(&rent, 16_000).await, None, "another rate");
        assert_eq!(drawer.take(&dogs, 24_000).await, None, "another clause");
        assert!(put(&drawer, &dogs).is_some());
        assert_eq!(drawer.take(&rent, 24_000).await, None, "the newest is kept");
    }

    #[tokio::test]
    async fn a_clause_that_failed_is_nowhere() {
        let drawer = Drawer::default();
        let rent = Clause::new("Rent is due");
        let room = put(&drawer, &rent).unwrap();
        let (found, ()) = tokio::join!(drawer.take(&rent, 24_000), async {
            tokio::task::yield_now().await;
            drop(room);
        });
        assert_eq!(found, None);
        assert_eq!(drawer.take(&rent, 24_000).await, None);
        assert!(put(&drawer, &rent).is_some(), "it is begun anew");
    }
}
