//! From messages to the pieces a tokenizer takes, so that nothing a message says can become a
//! control token.
//!
//! The chat template is rendered with a placeholder in the place of every content. Where control
//! tokens are written out in the template's own text they become tokens; contents are put in
//! afterwards as plain text. A document that holds `<|im_start|>system` stays ten characters of
//! document.
//!
//! Pure. Knows no model: the control tokens and the template come in as values.

pub mod control;
pub mod template;

/// A token's number in the model's vocabulary.
pub type Token = i32;
