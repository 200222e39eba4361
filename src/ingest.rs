//! Documents in.
