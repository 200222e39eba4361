//! Conversations over WebSocket. Both protocols drive the same engine: [`simple`] for small clients,
//! [`realtime`] for those that speak OpenAI's.

mod g711;
pub mod profile;
pub mod realtime;
pub mod simple;
mod socket;

pub use socket::Sockets;
