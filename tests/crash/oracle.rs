//! What was acknowledged, and whether the library agrees.
//!
//! An oracle works on documents of its own, one operation after the other, so it knows what each answer
//! has to be. Where no answer came, both outcomes are right, until the library shows which it was.

use std::collections::BTreeMap;

use reqwest::StatusCode;
use serde_json::Value;

use crate::{
    chance::Chance,
    daemon::Client,
    document::{Made, made},
};

/// The daemon died before it answered.
#[derive(Debug)]
pub struct Lost;

impl From<reqwest::Error> for Lost {
    fn from(error: reqwest::Error) -> Self {
        assert!(!error.is_timeout(), "the daemon hangs: {error}");
        Self
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Known {
    Absent,
    Present(String),
    /// It was absent, and an upload was not answered.
    PerhapsPresent,
    /// It was this one, and a delete was not answered.
    PerhapsAbsent(String),
}

#[derive(Debug)]
struct Entry {
    made: Made,
    known: Known,
    /// Identifiers it had before it was deleted.
    gone: Vec<String>,
}

/// Documents of one client, and what is known of each.
#[derive(Debug)]
pub struct Oracle {
    collection: String,
    next: u64,
    step: u64,
    entries: Vec<Entry>,
    /// Operations that were answered.
    pub answered: u64,
}

/// Documents that one oracle has at most at a time, about.
const ENOUGH: usize = 12;

impl Oracle {
    /// One of `step` oracles, whose documents are numbered `first`, `first + step` and so on.
    pub fn new(first: u64, step: u64) -> Self {
        Self {
            collection: format!("shelf-{first}"),
            next: first,
            step,
            entries: Vec::new(),
            answered: 0,
        }
    }

    /// One operation, by chance.
    pub async fn act(&mut self, client: &Client, chance: &mut Chance) -> Result<(), Lost> {
        let present = self.those(|known| matches!(known, Known::Present(_)));
        let absent = self.those(|known| *known == Known::Absent);
        match chance.below(100) {
            0..35 if present.len() < ENOUGH => self.upload_new(client, chance).await?,
            0..55 => self.delete(client, chance.of(&present).copied()).await?,
            55..70 => {
                let known = if chance.below(2) == 0 {
                    &present
                } else {
                    &absent
                };
                if let Some(at) = chance.of(known) {
                    self.upload(client, &[*at]).await?;
                }
            }
            70..80 => {
                self.process_again(client, chance.of(&present).copied())
                    .await?
            }
            80..90 => {
                self.ask_for_gone(client, chance.of(&absent).copied())
                    .await?
            }
            _ => self.ask(client, chance.of(&present).copied()).await?,
        }
        self.answered += 1;
        Ok(())
    }

    fn those(&self, wanted: impl Fn(&Known) -> bool) -> Vec<usize> {
        let entries = self.entries.iter().enumerate();
        entries
            .filter(|(_, entry)| wanted(&entry.known))
            .map(|(at, _)| at)
            .collect()
    }

    async fn upload_new(&mut self, client: &Client, chance: &mut Chance) -> Result<(), Lost> {
        let mut fresh = Vec::new();
        for _ in 0..=chance.below(3) {
            fresh.push(self.entries.len());
            self.entries.push(Entry {
                made: made(self.next),
                known: Known::Absent,
                gone: Vec::new(),
            });
            self.next += self.step;
        }
        self.upload(client, &fresh).await
    }

    async fn upload(&mut self, client: &Client, which: &[usize]) -> Result<(), Lost> {
        let files: Vec<_> = which
            .iter()
            .map(|at| self.entries[*at].made.clone())
            .collect();
        let files: Vec<_> = files.iter().collect();
        let reply = client.upload(&files, &self.collection).await;
        let Ok((status, body)) = reply else {
            for at in which {
                let known = &mut self.entries[*at].known;
                if *known == Known::Absent {
                    *known = Known::PerhapsPresent;
                }
            }
            return reply.map(drop).map_err(Lost::from);
        };
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        for (at, accepted) in which.iter().zip(body["documents"].as_array().unwrap()) {
            let entry = &mut self.entries[*at];
            let id = accepted["id"].as_str().unwrap().to_owned();
            match &entry.known {
                Known::Present(before) => {
                    assert_eq!((&id, &accepted["duplicate"]), (before, &Value::Bool(true)));
                }
                _ => {
                    assert_eq!(accepted["duplicate"], false, "{accepted}");
                    assert!(!entry.gone.contains(&id), "{id} was deleted and is back");
                }
            }
            entry.known = Known::Present(id);
        }
        Ok(())
    }

    async fn delete(&mut self, client: &Client, which: Option<usize>) -> Result<(), Lost> {
        let Some((entry, id)) = which.and_then(|at| self.present(at)) else {
            return Ok(());
        };
        match client.delete(&id).await {
            Ok((status, body)) => {
                assert_eq!(status, StatusCode::OK, "{body}");
                assert_eq!(body["id"], id.as_str());
                entry.gone.push(id);
                entry.known = Known::Absent;
                Ok(())
            }
            Err(error) => {
                entry.known = Known::PerhapsAbsent(id);
                Err(error.into())
            }
        }
    }

    fn present(&mut self, at: usize) -> Option<(&mut Entry, String)> {
        let entry = &mut self.entries[at];
        match &entry.known {
            Known::Present(id) => {
                let id = id.clone();
                Some((entry, id))
            }
            _ => None,
        }
    }

    async fn process_again(&mut self, client: &Client, which: Option<usize>) -> Result<(), Lost> {
        if let Some((_, id)) = which.and_then(|at| self.present(at)) {
            let (status, body) = client.process(&id).await?;
            assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        }
        Ok(())
    }

    /// What is searchable is so with every passage, each once.
    async fn ask(&mut self, client: &Client, which: Option<usize>) -> Result<(), Lost> {
        let Some((entry, id)) = which.and_then(|at| self.present(at)) else {
            return Ok(());
        };
        let (status, document) = client.get(&format!("/api/knowledge/status/{id}")).await?;
        assert_eq!(status, StatusCode::OK, "{document}");
        if document["revision"] != 0 {
            entry.is_found(client, &id).await?;
        }
        Ok(())
    }

    async fn ask_for_gone(&mut self, client: &Client, which: Option<usize>) -> Result<(), Lost> {
        match which {
            Some(at) => self.entries[at].is_gone(client).await,
            None => Ok(()),
        }
    }

    /// Settles what was not answered by what the library lists, which is taken out of `listed`: what is
    /// left there is nobody's.
    pub fn settle(&mut self, listed: &mut BTreeMap<String, Value>) {
        for entry in &mut self.entries {
            let sha256 = entry.made.sha256.to_string();
            let mut found = listed.extract_if(.., |_, document| {
                document["sha256"] == sha256.as_str()
                    && document["collection"] == self.collection.as_str()
            });
            let document = found.next();
            assert_eq!(found.next(), None, "twice: {}", entry.made.name);
            drop(found);
            let id = document.as_ref().map(|(id, document)| {
                assert_eq!(document["name"], entry.made.name.as_str());
                assert_eq!(document["bytes"], entry.made.bytes.len());
                assert!(!entry.gone.contains(id), "{id} was deleted and is back");
                id.clone()
            });
            entry.known = match (&entry.known, id) {
                (Known::Absent | Known::PerhapsPresent, None) => Known::Absent,
                (Known::PerhapsPresent, Some(id)) => Known::Present(id),
                (Known::Present(before) | Known::PerhapsAbsent(before), Some(id)) => {
                    assert_eq!(*before, id, "{} has another identifier", entry.made.name);
                    Known::Present(id)
                }
                (Known::PerhapsAbsent(before), None) => {
                    entry.gone.push(before.clone());
                    Known::Absent
                }
                (Known::Absent, Some(id)) => {
                    panic!("{id}, {}, was deleted and is back", entry.made.name)
                }
                (Known::Present(id), None) => {
                    panic!("{id}, {}, was acknowledged and is lost", entry.made.name)
                }
            };
        }
    }

    /// Waits until everything is searchable, then looks at everything.
    pub async fn check(&self, client: &Client) -> Result<(), Lost> {
        for entry in &self.entries {
            match &entry.known {
                Known::Present(id) => {
                    let status = client.wait(id).await;
                    assert_eq!(status["status"], "searchable", "{status}");
                    assert!(status["chunks"].as_u64() >= Some(entry.made.words.len() as u64));
                    let path = format!("/api/knowledge/documents/{id}");
                    let (_, original) = client.bytes(&format!("{path}/original")).await?;
                    assert_eq!(original, entry.made.bytes, "{id}");
                    let (_, text) = client.bytes(&format!("{path}/text")).await?;
                    let text = String::from_utf8(text).unwrap();
                    for word in &entry.made.words {
                        assert_eq!(text.matches(word).count(), 1, "{word} in {text}");
                    }
                    entry.is_found(client, id).await?;
                }
                Known::Absent => entry.is_gone(client).await?,
                unsettled => panic!("{unsettled:?}"),
            }
        }
        Ok(())
    }

    /// Documents that are there for sure.
    pub fn present_count(&self) -> usize {
        self.those(|known| matches!(known, Known::Present(_))).len()
    }
}

impl Entry {
    async fn is_found(&self, client: &Client, id: &str) -> Result<(), Lost> {
        for word in &self.made.words {
            let (found, answer) = passages_with(client, word).await?;
            assert_eq!(found, [id], "{word} of {}: {answer}", self.made.name);
            assert_eq!(
                answer["degraded"].as_array().map(Vec::len),
                Some(0),
                "{answer}"
            );
        }
        Ok(())
    }

    async fn is_gone(&self, client: &Client) -> Result<(), Lost> {
        for word in &self.made.words {
            let (found, answer) = passages_with(client, word).await?;
            assert!(found.is_empty(), "{word} of {}: {answer}", self.made.name);
        }
        if let Some(id) = self.gone.last() {
            for path in ["", "/text", "/original"] {
                let path = format!("/api/knowledge/documents/{id}{path}");
                let (status, body) = client.get(&path).await?;
                assert_eq!(status, StatusCode::NOT_FOUND, "{body}");
            }
        }
        Ok(())
    }
}

/// The documents of the passages that hold a word, one for each passage.
pub async fn passages_with(client: &Client, word: &str) -> Result<(Vec<String>, Value), Lost> {
    let (status, answer) = client.search(word).await?;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let passages = answer["passages"].as_array().unwrap().iter();
    let found = passages
        .filter(|passage| {
            // Whole words: that of paper 1 begins that of paper 1275.
            let text = passage["text"].as_str().unwrap();
            text.split(|c: char| !c.is_alphanumeric())
                .any(|other| other == word)
        })
        .map(|passage| passage["document_id"].as_str().unwrap().to_owned())
        .collect();
    Ok((found, answer))
}
