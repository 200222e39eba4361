//! The worker that ships, with real weights, over a real socket.
//!
//! Needs the 0.5B model: `GRIOT_TEST_LLM` names the file, else it is looked for where `griot models
//! pull` puts it. Each test says so and passes where there is none.
//!
//! No test knows the clock: that work was given up is seen in the counters of `/api/ps`.

mod chat;
mod client;
mod errors;
mod lifecycle;
mod models;
mod ollama;
mod reuse;
mod server;
