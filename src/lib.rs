//! Griot keeps your documents and answers from them, showing the exact words each answer rests on.
//!
//! [`domain`] plain types and pure rules · [`ports`] the seams to what may fail · [`catalog`] the
//! truth, in SQLite · [`ingest`] documents in · [`answer`] questions to cited answers · [`health`]
//! breakers, supervision and the board · [`alerts`] telling people · [`voice`] a conversation aloud ·
//! [`backup`] the library as one file · [`adapters`] the implementations of the ports · [`http`],
//! [`wyoming`] and [`cli`] the edges · [`admission`] how many at once · [`weights`] the models' files · [`config`] every
//! setting · [`failpoints`] where tests make it die · [`tasks`] what lives as long as the daemon · [`app`] the
//! one place where all of it is put together. `ARCHITECTURE.md` says
//! who may name whom.

pub mod adapters;
pub mod admission;
pub mod alerts;
pub mod answer;
pub mod app;
pub mod backup;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod domain;
pub mod failpoints;
pub mod health;
pub mod http;
pub mod ingest;
pub mod ports;
pub mod shutdown;
pub mod tasks;
pub mod telemetry;
pub mod voice;
pub mod weights;
pub mod wyoming;
