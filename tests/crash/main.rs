//! The daemon's own program, with its real catalog, index and embedding engine, killed and hurt in every
//! way that can be thought of, and compared with what it had acknowledged. Needs no weights.

mod audit;
mod chance;
mod daemon;
mod damage;
mod document;
mod faults;
mod full_disk;
mod gone;
mod kills;
mod model;
mod oracle;
mod quarantine;
mod shelf;
mod startup;
mod watched;
