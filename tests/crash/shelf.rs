//! A watched folder whose files come, change, move and go, whether the daemon lives or not. What is in
//! the folder is what the library has to hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use serde_json::Value;

use crate::{
    chance::Chance,
    daemon::{Client, Home, until},
    document::{Made, made},
    oracle::{Lost, passages_with},
};

const COLLECTION: &str = "watched";

/// Files at a time, about.
const ENOUGH: usize = 8;

/// Numbers of its documents begin here, away from those of the oracles.
const FIRST: u64 = 1_000_000;

#[derive(Debug)]
pub struct Shelf {
    folder: PathBuf,
    /// What each file holds.
    files: BTreeMap<String, Made>,
    /// What was in files since the last look and is not any more.
    gone: Vec<Made>,
    next: u64,
}

impl Shelf {
    pub fn new(home: &Home) -> Self {
        let folder = home.log.with_file_name("shelf");
        fs::create_dir(&folder).unwrap();
        Self {
            folder: folder.canonicalize().unwrap(),
            files: BTreeMap::new(),
            gone: Vec::new(),
            next: FIRST,
        }
    }

    /// `ingest.watch`, for the daemon's environment.
    pub fn setting(&self) -> String {
        format!(
            "[{{ path = {:?}, collection = {COLLECTION:?} }}]",
            self.folder
                .to_str()
                .expect("temporary folders have plain names")
        )
    }

    /// One change, by chance.
    pub fn act(&mut self, chance: &mut Chance) {
        let names: Vec<String> = self.files.keys().cloned().collect();
        let name = chance.of(&names).cloned();
        match (chance.below(10), name) {
            (0..4, _) if names.len() < ENOUGH => self.write(None),
            (_, None) => self.write(None),
            (0..6, Some(name)) => self.write(Some(name)),
            (6..8, Some(name)) => {
                let fresh = self.fresh_name();
                fs::rename(self.folder.join(&name), self.folder.join(&fresh)).unwrap();
                let made = self.files.remove(&name).expect("it was listed above");
                self.files.insert(fresh, made);
            }
            (_, Some(name)) => {
                fs::remove_file(self.folder.join(&name)).unwrap();
                self.gone.extend(self.files.remove(&name));
            }
        }
    }

    fn fresh_name(&mut self) -> String {
        self.next += 1;
        format!("note-{}.md", self.next)
    }

    /// Writes a file, or new bytes to one that is there.
    fn write(&mut self, name: Option<String>) {
        let name = name.unwrap_or_else(|| self.fresh_name());
        self.next += 1;
        let made = made(self.next);
        fs::write(self.folder.join(&name), &made.bytes).unwrap();
        self.gone.extend(self.files.insert(name, made));
    }

    /// Takes what is of this folder out of what the library lists. The same bytes are never there twice.
    pub fn settle(listed: &mut BTreeMap<String, Value>) {
        let mut seen = BTreeSet::new();
        listed.retain(|id, document| {
            let ours = document["collection"] == COLLECTION;
            if ours {
                let sha256 = document["sha256"].as_str().unwrap().to_owned();
                assert!(seen.insert(sha256), "{id} is there twice");
            }
            !ours
        });
    }

    /// Waits until the library holds what the folder does, then looks at everything.
    pub async fn check(&mut self, client: &Client) -> Result<(), Lost> {
        let wanted: BTreeSet<_> = self
            .files
            .iter()
            .map(|(name, made)| (made.sha256.to_string(), name.clone()))
            .collect();
        until("the library is as the folder is", async || {
            let listed = client.documents().await.unwrap();
            let ours = listed.iter().filter(|one| one["collection"] == COLLECTION);
            let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
            let there: BTreeSet<_> = ours
                .filter(|one| one["status"] == "searchable")
                .map(|one| (text(one, "sha256"), text(one, "name")))
                .collect();
            let waits = listed.iter().any(|one| one["status"] != "searchable");
            there == wanted && !waits
        })
        .await;
        for made in self.files.values() {
            for word in &made.words {
                let (found, answer) = passages_with(client, word).await?;
                assert_eq!(found.len(), 1, "{word} of {}: {answer}", made.name);
            }
        }
        for made in self.gone.drain(..) {
            for word in &made.words {
                let (found, answer) = passages_with(client, word).await?;
                assert!(found.is_empty(), "{word} of {}: {answer}", made.name);
            }
        }
        Ok(())
    }

    pub fn files(&self) -> usize {
        self.files.len()
    }
}
