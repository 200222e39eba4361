//! Documents in.

pub mod extract;
