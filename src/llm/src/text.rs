//! From the model's bytes to text that may be shown: whole characters, nothing from a stop text on.
//!
//! Pure. Knows no model, no token and no channel.

pub mod stop;
pub mod utf8;
