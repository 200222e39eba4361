//! Vectors kept on disk between runs, so that a second run need not embed twenty thousand abstracts
//! again. A vector is looked up by the SHA-256 of the model's name and the text, so a change of the
//! model, the chunker or the context that chunks are embedded in is a miss and never a wrong hit.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use griot::{
    domain::{EmbedderIdentity, Embedding},
    ports::{EmbedKind, Embedder, PortError},
};
use sha2::{Digest, Sha256};

type Key = [u8; 32];

/// An embedder that asks another one only for what it has not seen yet.
pub struct Remembered {
    inner: Arc<dyn Embedder>,
    /// Never held across an `.await`.
    seen: Mutex<Seen>,
    embedded: AtomicUsize,
}

struct Seen {
    vectors: HashMap<Key, Vec<f32>>,
    file: BufWriter<File>,
}

impl Remembered {
    /// Reads what earlier runs left in `folder`. A record that was cut off is dropped.
    pub fn open(inner: Arc<dyn Embedder>, folder: &Path) -> io::Result<Self> {
        let identity = inner.identity();
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{}-{}.vectors", identity.model, identity.dimension));
        let record = 32 + identity.dimension * 4;
        let bytes = if path.exists() {
            fs::read(&path)?
        } else {
            Vec::new()
        };
        let whole = bytes.len() / record * record;
        let vectors = bytes[..whole]
            .chunks_exact(record)
            .map(|record| {
                let (key, values) = record.split_at(32);
                let key: Key = key.try_into().expect("a record begins with 32 bytes");
                let (values, _) = values.as_chunks::<4>();
                (
                    key,
                    values
                        .iter()
                        .map(|value| f32::from_le_bytes(*value))
                        .collect(),
                )
            })
            .collect();
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        file.set_len(whole as u64)?;
        Ok(Self {
            inner,
            seen: Mutex::new(Seen {
                vectors,
                file: BufWriter::new(file),
            }),
            embedded: AtomicUsize::new(0),
        })
    }

    /// Texts that had to be embedded since it was opened.
    pub fn embedded(&self) -> usize {
        self.embedded.load(Ordering::Relaxed)
    }

    fn key(&self, text: &str) -> Key {
        let mut hash = Sha256::new();
        hash.update(self.inner.identity().model.as_bytes());
        hash.update([0]);
        hash.update(text.as_bytes());
        hash.finalize().into()
    }

    fn remember(&self, key: Key, vector: &[f32]) -> io::Result<()> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.file.write_all(&key)?;
        for value in vector {
            seen.file.write_all(&value.to_le_bytes())?;
        }
        seen.vectors.insert(key, vector.to_owned());
        Ok(())
    }

    fn get(&self, key: &Key) -> Option<Vec<f32>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.vectors.get(key).cloned()
    }
}

#[async_trait]
impl Embedder for Remembered {
    fn identity(&self) -> EmbedderIdentity {
        self.inner.identity()
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.inner.count_tokens(text)
    }

    async fn embed(
        &self,
        texts: Vec<String>,
        kind: EmbedKind,
    ) -> Result<Vec<Embedding>, PortError> {
        let keys: Vec<Key> = texts.iter().map(|text| self.key(text)).collect();
        let mut missing: Vec<(Key, String)> = keys
            .iter()
            .zip(texts)
            .filter(|(key, _)| self.get(key).is_none())
            .map(|(key, text)| (*key, text))
            .collect();
        missing.dedup_by(|a, b| a.0 == b.0);
        if !missing.is_empty() {
            let (keys, texts): (Vec<Key>, Vec<String>) = missing.into_iter().unzip();
            self.embedded.fetch_add(texts.len(), Ordering::Relaxed);
            let vectors = self.inner.embed(texts, kind).await?;
            for (key, vector) in keys.into_iter().zip(vectors) {
                if let Err(error) = self.remember(key, &vector.0) {
                    eprintln!("bench: a vector could not be kept for the next run: {error}");
                }
            }
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = seen.file.flush() {
                eprintln!("bench: vectors could not be kept for the next run: {error}");
            }
        }
        let vectors = keys.iter().map(|key| {
            let vector = self
                .get(key)
                .expect("each missing vector was just remembered");
            Embedding(vector)
        });
        Ok(vectors.collect())
    }
}
