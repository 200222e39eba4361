//! The library from an upload to a delete, with fakes for store and embedder, a real catalog and real
//! files.

mod deletes;
mod faults;
mod folders;
mod home;
mod kills;
mod pipeline;
mod reuse;
mod suspects;
mod uploads;
mod watches;
