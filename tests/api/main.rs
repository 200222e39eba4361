//! Everything over HTTP: the router that ships, on a real socket, with fakes behind the ports.

mod app;
mod audio;
mod backup;
mod guard;
mod health;
mod knowledge;
mod passwords;
mod problems;
mod profiles;
mod query;
mod reindex;
mod schema;
mod sockets;
mod stop;
mod watches;
mod wyoming;
