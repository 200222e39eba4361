//! What conversations are made with, and the list of those that are going on. It opens them, counts them and
//! lets a second client into one; what happens in them is [`super::live`]'s.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{
    inlet::{Inlet, WeakInlet},
    live::{self, Output},
    session::Tuning,
};
use crate::{
    admission::Admission,
    answer::Answerer,
    domain::{Collection, Component, ConversationId, Offer, Profile},
    ports::{Engines, Voice},
};

/// Looks at what may be asked, at once: each is a search and takes some 20 ms.
const FORESEEING: usize = 2;
/// What a client may leave unread: half a minute of sound and words.
const OUTLET: usize = 1500;

/// What conversations are made with. Whatever is missing lowers the level, and is told.
pub struct EngineParts {
    pub answerer: Arc<Answerer>,
    /// What hears and speaks.
    pub engines: Engines,
    /// Conversations at once.
    pub sessions: usize,
    /// Places for questions in work, shared with whoever asks in writing.
    pub questions: Arc<Admission>,
    /// Whether a proven quotation is said before the model has written.
    pub quote_first: bool,
    pub cancel: CancellationToken,
    pub tracker: TaskTracker,
}

/// Opens conversations.
pub struct Engine {
    pub(super) parts: EngineParts,
    places: Arc<Semaphore>,
    /// For looking up what may be asked.
    pub(super) foreseeing: Semaphore,
    /// Held for a look or a change only, never across an await.
    open: Mutex<HashMap<Uuid, Opened>>,
}

struct Opened {
    token: String,
    /// Weak: a conversation ends when its client lets go of it.
    inlet: WeakInlet,
}

/// How one conversation is to be.
#[derive(Debug, Clone)]
pub struct Options {
    pub tuning: Tuning,
    pub collection: Option<Collection>,
    /// A new one is begun without.
    pub conversation: Option<ConversationId>,
    /// Samples a second of what the client sends.
    pub rate_in: u32,
    /// Samples a second of what it hears: a multiple of 1,000.
    pub rate_out: u32,
    /// Whether answers are spoken.
    pub aloud: bool,
    pub voice: Option<String>,
    /// As [`Engine::language`] gives it; `None`: found out.
    pub language: Option<String>,
    pub speed: f32,
    /// The client's tools, one of which may be called instead of an answer.
    pub offer: Arc<Offer>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tuning: Tuning::default(),
            collection: None,
            conversation: None,
            rate_in: 16_000,
            rate_out: 24_000,
            aloud: true,
            voice: None,
            language: None,
            speed: 1.0,
            offer: Arc::default(),
        }
    }
}

/// The name of the voice that somebody wants: the one they named, or else one that speaks their language; `None`
/// where there is neither.
#[must_use]
pub fn voice_of(profile: &Profile, voices: &[Voice]) -> Option<String> {
    let named = voices
        .iter()
        .find(|voice| profile.voice.as_ref() == Some(&voice.name));
    let speaks = |voice: &&Voice| {
        let wanted = profile.language.as_deref();
        wanted.is_some_and(|language| voice.language.split('-').next() == Some(language))
    };
    let voice = named.or_else(|| voices.iter().find(speaks))?;
    Some(voice.name.clone())
}

/// One conversation, as its client holds it. Dropping the inlet ends it.
pub struct Conversation {
    pub id: Uuid,
    /// Lets a second client take over.
    pub token: String,
    pub conversation: ConversationId,
    pub inlet: Inlet,
    /// Closed when the conversation is over, or when it was left unread for too long.
    pub outlet: mpsc::Receiver<Output>,
    /// What is missing from the start.
    pub missing: Vec<Component>,
}

/// A language that the model that writes down does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the speech model does not know the language {wanted:?}; it knows: {known}")]
pub struct UnknownLanguage {
    wanted: String,
    known: String,
}

/// A language that somebody asks for, as the one who writes down knows it: `en-US` is `en`.
///
/// # Errors
/// When it is not known.
pub fn language_of(engines: &Engines, wanted: &str) -> Result<String, UnknownLanguage> {
    let known = engines.transcriber.languages();
    let language = wanted.split(['-', '_']).next().unwrap_or_default();
    let language = language.trim().to_ascii_lowercase();
    if known.contains(&language) {
        return Ok(language);
    }
    Err(UnknownLanguage {
        wanted: wanted.chars().take(40).collect(),
        known: known.join(", "),
    })
}

/// Why a conversation cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error(
        "as many conversations are going on as `voice.sessions` allows; try again when one has ended"
    )]
    Full,
    #[error("the daemon is stopping")]
    Stopping,
}

impl Engine {
    #[must_use]
    pub fn new(parts: EngineParts) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(parts.sessions)),
            foreseeing: Semaphore::new(FORESEEING),
            open: Mutex::default(),
            parts,
        })
    }

    /// Places for questions in work, spoken or written.
    #[must_use]
    pub fn questions(&self) -> &Arc<Admission> {
        &self.parts.questions
    }

    /// The voices that there are, the usual one first.
    #[must_use]
    pub fn voices(&self) -> Vec<String> {
        let voices = self.parts.engines.synthesizer.voices();
        voices.into_iter().map(|voice| voice.name).collect()
    }

    /// A language that somebody asks for, as the one who writes down knows it: `en-US` is `en`.
    ///
    /// # Errors
    /// When it is not known: nothing of what is said would be understood.
    pub fn language(&self, wanted: &str) -> Result<String, UnknownLanguage> {
        language_of(&self.parts.engines, wanted)
    }

    /// The voice that somebody wants.
    #[must_use]
    pub fn voice_of(&self, profile: &Profile) -> Option<String> {
        voice_of(profile, &self.parts.engines.synthesizer.voices())
    }

    /// Begins a conversation. The model that hears is read first, so that nothing is missed.
    ///
    /// # Errors
    /// As [`OpenError`] says. A part that is missing is no error.
    pub async fn open(self: &Arc<Self>, options: Options) -> Result<Conversation, OpenError> {
        if self.parts.cancel.is_cancelled() {
            return Err(OpenError::Stopping);
        }
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| OpenError::Full)?;
        let mut missing = Vec::new();
        let ears = match self.parts.engines.hearing.ears().await {
            Ok(ears) => Some(ears),
            Err(error) => {
                tracing::warn!(%error, "a conversation begins without ears: it takes questions in writing");
                missing.push(Component::Transcriber);
                None
            }
        };
        if self.voices().is_empty() {
            missing.push(Component::Synthesizer);
        }
        let (inlet, input) = Inlet::new();
        let (output, outlet) = mpsc::channel(OUTLET);
        let (id, token) = (Uuid::new_v4(), Uuid::new_v4().simple().to_string());
        let conversation = options.conversation.unwrap_or_else(ConversationId::new);
        let listed = Listed {
            engine: Arc::clone(self),
            id,
            _place: place,
        };
        self.list().insert(
            id,
            Opened {
                token: token.clone(),
                inlet: inlet.downgrade(),
            },
        );
        let live = live::Live::new(Arc::clone(self), options, conversation, ears, output);
        self.parts.tracker.spawn(async move {
            let _listed = listed;
            live.run(input).await;
        });
        Ok(Conversation {
            id,
            token,
            conversation,
            inlet,
            outlet,
            missing,
        })
    }

    /// The way into a conversation for somebody who takes it over; `None` where the token is not its own.
    #[must_use]
    pub fn find(&self, id: Uuid, token: &str) -> Option<Inlet> {
        use subtle::ConstantTimeEq;
        self.list()
            .get(&id)
            .filter(|open| open.token.as_bytes().ct_eq(token.as_bytes()).into())
            .and_then(|open| open.inlet.upgrade())
    }

    /// Conversations that may go on at once.
    #[must_use]
    pub fn places(&self) -> usize {
        self.parts.sessions
    }

    /// Cancelled when all of them are to end.
    #[must_use]
    pub fn stop(&self) -> &CancellationToken {
        &self.parts.cancel
    }

    /// Conversations that are going on.
    #[must_use]
    pub fn count(&self) -> usize {
        self.list().len()
    }

    fn list(&self) -> MutexGuard<'_, HashMap<Uuid, Opened>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A conversation's place among those that are going on; given back when it is dropped.
struct Listed {
    engine: Arc<Engine>,
    id: Uuid,
    _place: OwnedSemaphorePermit,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.engine.list().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_voice() {
        let voices = [("joe", "en-us"), ("anna", "de")].map(|(name, language)| Voice {
            name: name.to_owned(),
            language: language.to_owned(),
            rate: 16_000,
        });
        let check = |voice: Option<&str>, language: Option<&str>, expected: Option<&str>| {
            let profile = Profile {
                voice: voice.map(str::to_owned),
                language: language.map(str::to_owned),
                ..Profile::default()
            };
            assert_eq!(voice_of(&profile, &voices).as_deref(), expected);
        };
        check(None, None, None);
        check(Some("anna"), Some("en"), Some("anna"));
        check(None, Some("de"), Some("anna"));
        check(None, Some("en"), Some("joe"));
        // It was there when the profile was kept.
        check(Some("gone"), None, None);
        check(Some("gone"), Some("de"), Some("anna"));
        check(None, Some("fr"), None);
    }
}
