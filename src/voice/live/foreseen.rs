//! First words that are ready before it is known that they are wanted. While somebody speaks, what was understood so
//! far is looked up, and the clause with which its answer would begin is spoken into a drawer. If the answer to the
//! whole question begins with the same clause, its sound is there; if not, nobody hears of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{
    super::engine::Engine,
    answering::{Speaking, question_of},
    telling::Telling,
};
use crate::{
    answer::{Ask, Beginning},
    domain::{Collection, ConversationId},
    ports::Clause,
};

/// One clause and its sound, of which the newest is kept.
#[derive(Debug, Default)]
pub(super) struct Drawer {
    /// Held for a look or a change only, never across an await.
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug, Clone)]
struct Kept {
    clause: Clause,
    rate: u32,
    /// `None` while it is being spoken; closed without a sound where that failed or was given up.
    sound: watch::Receiver<Option<Arc<[i16]>>>,
}

impl Kept {
    fn is(&self, clause: &Clause, rate: u32) -> bool {
        self.clause == *clause && self.rate == rate
    }
}

impl Drawer {
    /// The sound of a clause at this rate, if it is there or on its way.
    pub async fn take(&self, clause: &Clause, rate: u32) -> Option<Vec<i16>> {
        let mut kept = self
            .kept()
            .clone()
            .filter(|kept| kept.is(clause, rate) && !kept.is_given_up())?;
        let sound = kept.sound.wait_for(Option::is_some).await.ok()?;
        sound.as_ref().map(|sound| sound.to_vec())
    }

    /// Room for a clause in place of the one before; `None` where it is there or on its way already.
    fn make_room(&self, clause: Clause, rate: u32) -> Option<watch::Sender<Option<Arc<[i16]>>>> {
        let mut kept = self.kept();
        if kept
            .as_ref()
            .is_some_and(|kept| kept.is(&clause, rate) && !kept.is_given_up())
        {
            return None;
        }
        let (room, sound) = watch::channel(None);
        *kept = Some(Kept {
            clause,
            rate,
            sound,
        });
        Some(room)
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn is_given_up(&self) -> bool {
        self.sound.borrow().is_none() && self.sound.has_changed().is_err()
    }
}

/// The work of having first words ready. Dropping it ends it.
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
        // Whoever has asked already goes first.
        let Some(_place) = parts.questions.enter() else {
            return;
        };
        let Some(question) = question_of(&self.question) else {
            return;
        };
        let ask = Ask {
            question,
            collection: self.collection.clone(),
            conversation: Some(self.conversation),
            top_k: None,
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
            self.prepare(&first).await;
        }
    }

    async fn prepare(&self, text: &str) {
        let Some(clause) = self.speaking.clause(text) else {
            return;
        };
        let Some(room) = self
            .speaking
            .drawer
            .make_room(clause.clone(), self.speaking.rate)
        else {
            return;
        };
        metrics::counter!("griot_voice_foreseen_total", "outcome" => "prepared").increment(1);
        if let Ok(sound) = self.speaking.speak(clause).await {
            let _ = room.send(Some(sound.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_clause_is_found_while_and_after_it_is_spoken() {
        let drawer = Drawer::default();
        let (rent, dogs) = (Clause::new("Rent is due"), Clause::new("Dogs are"));
        assert_eq!(drawer.take(&rent, 24_000).await, None, "it is empty");

        let room = drawer.make_room(rent.clone(), 24_000).unwrap();
        assert!(
            drawer.make_room(rent.clone(), 24_000).is_none(),
            "on its way"
        );
        let (found, ()) = tokio::join!(drawer.take(&rent, 24_000), async {
            tokio::task::yield_now().await;
            room.send(Some([1, 2].into())).unwrap();
        });
        assert_eq!(found, Some(vec![1, 2]));
        drop(room);
        assert_eq!(drawer.take(&rent, 24_000).await, Some(vec![1, 2]));
        assert!(
            drawer.make_room(rent.clone(), 24_000).is_none(),
            "it is there"
        );

        assert_eq!(drawer.take(&rent, 16_000).await, None, "another rate");
        assert_eq!(drawer.take(&dogs, 24_000).await, None, "another clause");
    }

    #[tokio::test]
    async fn a_clause_that_was_given_up_is_nowhere() {
        let drawer = Drawer::default();
        let rent = Clause::new("Rent is due");
        let room = drawer.make_room(rent.clone(), 24_000).unwrap();
        let (found, ()) = tokio::join!(drawer.take(&rent, 24_000), async {
            tokio::task::yield_now().await;
            drop(room);
        });
        assert_eq!(found, None);
        assert_eq!(drawer.take(&rent, 24_000).await, None);
        assert!(drawer.make_room(rent, 24_000).is_some(), "it is begun anew");
    }
}
