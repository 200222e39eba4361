//! Plain text: decoded and otherwise kept as it is.

use crate::domain::MediaType;

use super::{Engine, ExtractError, Extracted, Limits, decode, draft::Draft, unpaged};

/// Reads a plain text in any encoding.
pub(super) fn extract(bytes: &[u8], limits: &Limits) -> Result<Extracted, ExtractError> {
    let mut draft = Draft::new(limits);
    draft.push(&decode::decode(bytes, None))?;
    let (text, sections) = draft.finish();
    Ok(unpaged(MediaType::Text, Engine::Text, None, text, sections))
}
