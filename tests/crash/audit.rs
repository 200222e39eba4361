//! A stopped daemon's home, looked at from outside: catalog, originals and index agree to the last
//! point, and nothing else lies about.

use std::{collections::BTreeSet, fs, path::Path};

use griot::{
    adapters::edge::EdgeStore,
    catalog::{Catalog, Listing},
    domain::{ChunkKey, Document, EmbedderIdentity, GenerationRole, Sha256Hash, Status},
    ports::{Filter, VectorStore},
};
use sha2::{Digest, Sha256};

use crate::{daemon::entries, model};

/// What a home may hold.
const ENTRIES: [&str; 8] = [
    "catalog.sqlite",
    "catalog.sqlite-shm",
    "catalog.sqlite-wal",
    "in-work",
    "incoming",
    "local-key",
    "lock",
    "originals",
];

pub fn catalog(home: &Path) -> Catalog {
    Catalog::open(&home.join("catalog.sqlite")).unwrap()
}

/// The folder of the index in use.
pub fn index_name(home: &Path) -> String {
    let generations = catalog(home).generations().unwrap();
    let active = generations
        .iter()
        .find(|generation| generation.role == GenerationRole::Active);
    match active.map_or(0, |generation| generation.number) {
        0 => "index".to_owned(),
        number => format!("index-{number}"),
    }
}

pub async fn store(home: &Path) -> EdgeStore {
    let store = EdgeStore::new(home.join(index_name(home)));
    let identity = EmbedderIdentity {
        model: model::NAME.to_owned(),
        dimension: 384,
        max_tokens: 254,
    };
    store.open(&identity).await.unwrap();
    store
}

pub fn documents(catalog: &Catalog) -> Vec<Document> {
    let listing = Listing {
        limit: 1_000_000,
        ..Listing::default()
    };
    catalog.documents(&listing).unwrap()
}

/// Checks everything that can be checked without the daemon. Every document is to be searchable.
pub async fn audit(home: &Path) {
    let catalog = catalog(home);
    assert_eq!(catalog.cleanups().unwrap(), [], "leftovers");
    let documents = documents(&catalog);
    let store = store(home).await;
    let mut points = 0;
    for document in &documents {
        assert_eq!(document.status, Status::Searchable, "{document:?}");
        let keys: Vec<_> = (0..document.chunks as u32)
            .map(|ordinal| ChunkKey {
                document: document.id,
                revision: document.revision,
                ordinal,
            })
            .collect();
        assert_eq!(catalog.passages(&keys).unwrap().len(), keys.len());
        let of_document = Filter {
            document: Some(document.id),
            ..Filter::default()
        };
        let count = store.count(of_document).await.unwrap();
        assert_eq!(count, document.chunks, "points of {}", document.name);
        points += count;
    }
    let all = store.count(Filter::default()).await.unwrap();
    assert_eq!(all, points, "points of documents that are not there");

    let wanted: BTreeSet<_> = documents.iter().map(|d| d.sha256.to_string()).collect();
    let mut kept = BTreeSet::new();
    for folder in entries(&home.join("originals")) {
        for file in entries(&home.join("originals").join(&folder)) {
            let bytes = fs::read(home.join("originals").join(&folder).join(&file)).unwrap();
            let name = format!("{folder}{file}");
            assert_eq!(Sha256Hash(Sha256::digest(&bytes).into()).to_string(), name);
            kept.insert(name);
        }
    }
    assert_eq!(kept, wanted, "originals");
    assert_eq!(entries(&home.join("incoming")), [""; 0], "incoming");
    assert_eq!(entries(&home.join("in-work")), [""; 0], "in-work");
    let strange: Vec<_> = entries(home)
        .into_iter()
        .filter(|name| !ENTRIES.contains(&name.as_str()) && *name != index_name(home))
        .collect();
    assert_eq!(strange, [""; 0], "in the home folder");
}
