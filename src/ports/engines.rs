//! What hears and speaks, as those who talk with people are given it.

use std::sync::Arc;

use super::{Hearing, Synthesizer, Transcriber, TurnEnd};

/// Ears, hand, manners and mouth. Each may be missing, which its calls say.
#[derive(Clone)]
pub struct Engines {
    pub transcriber: Arc<dyn Transcriber>,
    pub synthesizer: Arc<dyn Synthesizer>,
    pub hearing: Arc<dyn Hearing>,
    pub turn_end: Arc<dyn TurnEnd>,
}
