//! The models' files: [`manifest`] says which there are and where they come from, [`pull`](pull())
//! fetches them, [`Library`] finds and checks them on the disk.
//!
//! A file has its final name only after its SHA-256 was right, so whoever finds one may load it.
//! Nothing here knows what a model does; only [`convert`] looks inside, where a source carries
//! another format than the program reads.

pub mod convert;
mod error;
mod hub;
mod library;
pub mod manifest;
pub mod minilm;
mod package;
mod partial;
mod pull;
pub mod whisper;

use crate::config::{Config, UpstreamKind};

pub use error::{Attempt, DiskError, PullError, SourceError};
pub use hub::HubOptions;
pub use library::{Library, NotThere, State, Verdict};
pub use manifest::{Manifest, Model, ModelFile, Role, Set};
pub use pull::{Event, Fetched, PullOptions, pull};

/// The models that these settings need: the profile's language model where the embedded worker is
/// an upstream, and the embedding model by its name.
pub fn wanted_by(config: &Config) -> Result<Vec<&'static Model>, PullError> {
    let embedded =
        (config.llm.upstreams.iter()).any(|upstream| upstream.kind == UpstreamKind::Embedded);
    let mut models: Vec<&Model> = Manifest::built_in()
        .of_profile(config.models.profile)
        .filter(|model| model.role == Role::LanguageModel && embedded)
        .collect();
    models.push(named(&config.embed.model)?);
    Ok(models)
}

/// The model of that name, or the nearest one's in the error.
pub fn named(name: &str) -> Result<&'static Model, PullError> {
    let manifest = Manifest::built_in();
    manifest.model(name).ok_or_else(|| {
        let nearest = (manifest.models.iter())
            .map(|model| (strsim::jaro_winkler(&model.name, name), &model.name))
            .filter(|(likeness, _)| *likeness > 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        PullError::UnknownModel {
            name: name.to_owned(),
            nearest: nearest.map(|(_, name)| name.clone()),
        }
    })
}

/// Bytes for people: decimal units, as disks and downloads are sold.
#[must_use]
pub fn size(bytes: u64) -> String {
    let value = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.0} kB", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", value / 1e6),
        _ => format!("{:.2} GB", value / 1e9),
    }
}

#[cfg(test)]
mod tests;
