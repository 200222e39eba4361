//! From a question to ranked passages, by the best way that works now.
//!
//! Dense and BM25 together while embedder and store work; BM25 alone while only the store does; the
//! catalog's own word index when the store does not. What was missing is reported, never hidden.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use super::{
    AnswerError, Answerer,
    rank::{Candidate, Seen, fuse},
};
use crate::{
    catalog::Passage,
    domain::{ChunkKey, Collection, Component, Evidence, Scores, bm25},
    ports::{
        EmbedKind, Embedder as _, Filter, Pair, PortError, QueryVector, ScoredPoint, SearchRequest,
    },
};

/// Hits asked for on each side before fusing. Beyond 100 nothing changed on SciFact.
const DEPTH: usize = 100;
/// Candidates looked at per passage wanted: some are near-duplicates, some of a revision just retired.
const SPARE: usize = 4;

/// What retrieval gives: passages best first, and the parts that were missing.
#[derive(Debug, Clone, Default)]
pub(super) struct Retrieved {
    pub passages: Vec<(Passage, Candidate)>,
    pub degraded: Vec<Component>,
    pub took: Duration,
}

impl Answerer {
    /// Ranked passages of visible documents, at most `top_k`, without near-duplicates.
    pub(super) async fn retrieve(
        &self,
        query: &str,
        collection: Option<&Collection>,
        top_k: usize,
    ) -> Result<Retrieved, AnswerError> {
        let began = Instant::now();
        let mut degraded = Vec::new();
        let candidates = match self.search_store(query, collection, &mut degraded).await {
            Ok(candidates) => candidates,
            Err(error) => {
                note(&mut degraded, &error);
                self.search_words(query, collection).await?
            }
        };
        let passages = self.choose(candidates, top_k).await?;
        Ok(Retrieved {
            passages,
            degraded,
            took: began.elapsed(),
        })
    }

    async fn search_store(
        &self,
        query: &str,
        collection: Option<&Collection>,
        degraded: &mut Vec<Component>,
    ) -> Result<Vec<Candidate>, PortError> {
        let filter = Filter {
            collection: collection.cloned(),
            document: None,
        };
        // Both, once: whatever takes their place meanwhile is for the next question.
        let Pair { embedder, store } = self.parts.index.ready()?;
        let lexical = store.search(SearchRequest {
            vector: QueryVector::Sparse(bm25::Bm25::default().query(query)),
            filter: filter.clone(),
            limit: DEPTH,
        });
        let dense = async {
            let vectors = embedder
                .embed(vec![query.to_owned()], EmbedKind::Query)
                .await?;
            let Some(vector) = vectors.into_iter().next() else {
                let reason = "it gave no vector for the question".to_owned();
                return Err(PortError::Refused {
                    component: Component::Embedder,
                    reason,
                });
            };
            let request = SearchRequest {
                vector: QueryVector::Dense(vector),
                filter,
                limit: DEPTH,
            };
            store.search(request).await
        };
        let (dense, lexical) = tokio::join!(dense, lexical);
        let lexical = lexical?;
        let dense = match dense {
            Ok(hits) => hits,
            Err(error) if error.component() == Component::Embedder => {
                note(degraded, &error);
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        Ok(fuse(&dense, &lexical))
    }

    /// The last rung: needs nothing but the catalog.
    async fn search_words(
        &self,
        query: &str,
        collection: Option<&Collection>,
    ) -> Result<Vec<Candidate>, AnswerError> {
        let (query, collection) = (query.to_owned(), collection.cloned());
        let hits = self
            .parts
            .catalog
            .call(move |catalog| catalog.search_words(&query, collection.as_ref(), DEPTH))
            .await?;
        let hits: Vec<ScoredPoint> = hits
            .into_iter()
            .map(|(key, score)| ScoredPoint { key, score })
            .collect();
        Ok(fuse(&[], &hits))
    }

    async fn choose(
        &self,
        mut candidates: Vec<Candidate>,
        top_k: usize,
    ) -> Result<Vec<(Passage, Candidate)>, AnswerError> {
        candidates.truncate(top_k.saturating_mul(SPARE));
        let keys: Vec<ChunkKey> = candidates.iter().map(|candidate| candidate.key).collect();
        let passages = self
            .parts
            .catalog
            .call(move |catalog| catalog.passages(&keys))
            .await?;
        let mut seen = Seen::default();
        let mut by_key: std::collections::HashMap<ChunkKey, Passage> = passages
            .into_iter()
            .map(|passage| (passage.key, passage))
            .collect();
        Ok(candidates
            .into_iter()
            .filter_map(|candidate| Some((by_key.remove(&candidate.key)?, candidate)))
            .filter(|(passage, _)| seen.insert(passage))
            .take(top_k)
            .collect())
    }

    /// The evidence for a prompt: the best passages that fit the budget, neighbours joined to one
    /// piece, short ones widened by what stands around them, numbered from 1 in order of rank.
    pub(super) async fn evidence(
        &self,
        retrieved: &Retrieved,
    ) -> Result<Vec<Evidence>, AnswerError> {
        let mut spans = self.within_budget(&retrieved.passages);
        let short: Vec<usize> = spans
            .iter()
            .enumerate()
            .filter(|(_, span)| span.tokens < SHORT)
            .map(|(at, _)| at)
            .collect();
        for at in short {
            self.widen(&mut spans[at]).await?;
        }
        let spans = join(spans);
        let mut evidence = Vec::with_capacity(spans.len());
        for span in spans {
            let (document, start, end) = (span.first.key.document, span.start, span.end);
            let read = move |catalog: &crate::catalog::Catalog| {
                catalog.text(document, Some(start), Some(end))
            };
            let bytes = self.parts.catalog.call(read).await?;
            // The text may be gone or changed if the document was deleted or processed again since.
            let Some(text) = bytes.and_then(|bytes| String::from_utf8(bytes).ok()) else {
                continue;
            };
            if !text.contains(&span.first.text) {
                continue;
            }
            evidence.push(Evidence {
                n: evidence.len() as u32 + 1,
                document_id: document,
                document: span.first.document_name,
                page: span.first.locator.page,
                section: span.first.locator.section,
                start,
                end,
                text,
                score: span.score,
                scores: span.scores,
            });
        }
        Ok(evidence)
    }

    fn within_budget(&self, passages: &[(Passage, Candidate)]) -> Vec<Span> {
        let mut left = self.parts.config.evidence_tokens;
        let mut spans = Vec::new();
        for (passage, candidate) in passages {
            let tokens = self.parts.index.count_tokens(&passage.text);
            // The best passage is always given, even where it alone is over the budget.
            if tokens > left && !spans.is_empty() {
                continue;
            }
            left = left.saturating_sub(tokens);
            spans.push(Span {
                start: passage.locator.start,
                end: passage.locator.end,
                ordinals: (passage.key.ordinal, passage.key.ordinal),
                tokens,
                score: candidate.score,
                scores: candidate.scores,
                first: passage.clone(),
            });
        }
        spans
    }

    /// Adds the neighbours on the same page to a passage too short to be understood alone.
    async fn widen(&self, span: &mut Span) -> Result<(), AnswerError> {
        let key = span.first.key;
        let around = self
            .parts
            .catalog
            .call(move |catalog| catalog.neighbours(key, 1, 1))
            .await?;
        for passage in around
            .iter()
            .filter(|near| near.locator.page == span.first.locator.page)
        {
            if self.parts.index.count_tokens(&passage.text) + span.tokens > WIDENED {
                continue;
            }
            span.start = span.start.min(passage.locator.start);
            span.end = span.end.max(passage.locator.end);
            span.ordinals.0 = span.ordinals.0.min(passage.key.ordinal);
            span.ordinals.1 = span.ordinals.1.max(passage.key.ordinal);
            span.tokens += self.parts.index.count_tokens(&passage.text);
        }
        Ok(())
    }
}

/// Tokens under which a passage is shown with its neighbours.
const SHORT: usize = 48;
/// Tokens that a widened passage has at most.
const WIDENED: usize = 256;

/// A stretch of one document, on its way to become evidence.
#[derive(Debug, Clone)]
struct Span {
    first: Passage,
    start: u64,
    end: u64,
    /// First and last chunk in it.
    ordinals: (u32, u32),
    tokens: usize,
    score: f32,
    scores: Scores,
}

/// Joins spans that touch or overlap on one page of one document; the best rank is kept.
fn join(spans: Vec<Span>) -> Vec<Span> {
    let mut joined: Vec<Span> = Vec::with_capacity(spans.len());
    for mut span in spans {
        // A span may close the gap between two: look again until nothing touches it.
        let mut place = joined.len();
        while let Some(at) = joined.iter().position(|other| touches(other, &span)) {
            let other = joined.remove(at);
            place = place.min(at);
            span = other.with(&span);
        }
        joined.insert(place.min(joined.len()), span);
    }
    joined
}

fn touches(a: &Span, b: &Span) -> bool {
    a.first.key.document == b.first.key.document
        && a.first.key.revision == b.first.key.revision
        && a.first.locator.page == b.first.locator.page
        && a.ordinals.0 <= b.ordinals.1.saturating_add(1)
        && b.ordinals.0 <= a.ordinals.1.saturating_add(1)
}

impl Span {
    fn with(mut self, other: &Self) -> Self {
        self.start = self.start.min(other.start);
        self.end = self.end.max(other.end);
        self.ordinals = (
            self.ordinals.0.min(other.ordinals.0),
            self.ordinals.1.max(other.ordinals.1),
        );
        self.tokens += other.tokens;
        self.score = self.score.max(other.score);
        self
    }
}

/// Passages as they were found, numbered from 1, for a search.
pub(super) fn as_found(passages: Vec<(Passage, Candidate)>) -> Vec<Evidence> {
    passages
        .into_iter()
        .zip(1..)
        .map(|((passage, candidate), n)| Evidence {
            n,
            document_id: passage.key.document,
            document: passage.document_name,
            page: passage.locator.page,
            section: passage.locator.section,
            start: passage.locator.start,
            end: passage.locator.end,
            text: passage.text,
            score: candidate.score,
            scores: candidate.scores,
        })
        .collect()
}

/// Records the part whose failure lowered the level, once.
pub(super) fn note(degraded: &mut Vec<Component>, error: &PortError) {
    tracing::debug!(component = %error.component(), %error, "answering without a part");
    let known: HashSet<Component> = degraded.iter().copied().collect();
    if !known.contains(&error.component()) {
        degraded.push(error.component());
    }
}
