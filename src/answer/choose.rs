//! Which sentence is quoted: the one the model points at, or another one of the evidence that
//! answers far more plainly by every other sign.
//!
//! A small model points past the answer now and then, or writes a sentence of its own that stands
//! nowhere. On 21 questions of the articles that `support` was fitted on, its own choice held the answer
//! in 17, and in 18 with this second look (19 was possible with their evidence).

use std::ops::Range;

use tracing::debug;

use super::{
    Answerer,
    sentence::sentences,
    support::{SURE, Signals},
};
use crate::{
    domain::{Embedding, Evidence},
    ports::{EmbedKind, Embedder as _},
};

/// By how much more, in log-odds, another sentence must answer than the model's own.
const FAR_MORE: f32 = 1.0;
/// Sentences that are looked at, and the bytes of one.
const MOST: usize = 48;
const BYTES: Range<usize> = 12..600;

/// Sentences that are looked at while somebody waits to hear one: each costs about 8 ms.
const AT_ONCE: usize = 12;

/// A sentence, and what speaks for it.
pub(super) struct Candidate<'e> {
    pub item: &'e Evidence,
    pub range: Range<usize>,
    pub signals: Signals,
}

impl Answerer {
    /// The sentence to be quoted, out of the model's choice (`None`: it points nowhere) and the others.
    /// Without an embedder the model's choice stands.
    pub(super) async fn choose_sentence<'e>(
        &self,
        question: &str,
        evidence: &'e [Evidence],
        pointed: Option<(&'e Evidence, Range<usize>)>,
    ) -> Option<Candidate<'e>> {
        let pointed = match pointed {
            Some(place) => Some(self.measured(question, place).await),
            None => None,
        };
        let sure = pointed
            .as_ref()
            .is_some_and(|pointed| pointed.signals.probability() >= SURE);
        if sure {
            return pointed;
        }
        let other = self.most_plain(question, evidence, MOST).await;
        match (pointed, other) {
            (Some(pointed), Some(other)) => {
                let gain = other.signals.log_odds() - pointed.signals.log_odds();
                Some(if gain > FAR_MORE { other } else { pointed })
            }
            (pointed, other) => pointed.or(other),
        }
    }

    /// The sentence that answers so plainly that nobody needs to be asked; `None` where there is doubt.
    pub(super) async fn plain<'e>(
        &self,
        question: &str,
        evidence: &'e [Evidence],
    ) -> Option<Candidate<'e>> {
        let best = self.most_plain(question, evidence, AT_ONCE).await?;
        let probability = best.signals.probability();
        debug!(probability, "the sentence that answers most plainly");
        (probability >= SURE).then_some(best)
    }

    /// What speaks for one sentence.
    async fn measured<'e>(
        &self,
        question: &str,
        (item, range): (&'e Evidence, Range<usize>),
    ) -> Candidate<'e> {
        let quote = &item.text[range.clone()];
        let near = self.nearness(question, quote, item).await;
        let signals = Signals {
            near_quote: near.map(|(quote, _)| quote),
            near_passage: near.map(|(_, passage)| passage),
            ..Signals::of_texts(question, quote, &item.text)
        };
        Candidate {
            item,
            range,
            signals,
        }
    }

    /// The sentence of the evidence for which most speaks, out of the `most` that share most with the question;
    /// `None` without an embedder.
    async fn most_plain<'e>(
        &self,
        question: &str,
        evidence: &'e [Evidence],
        most: usize,
    ) -> Option<Candidate<'e>> {
        let mut places: Vec<(&Evidence, Range<usize>)> = evidence
            .iter()
            .flat_map(|item| {
                sentences(&item.text)
                    .into_iter()
                    .map(move |range| (item, range))
            })
            .filter(|(_, range)| BYTES.contains(&range.len()))
            .take(MOST)
            .collect();
        if places.len() > most {
            let by_words = |(item, range): &(&Evidence, Range<usize>)| {
                Signals::of_texts(question, &item.text[range.clone()], &item.text).log_odds()
            };
            places.sort_by(|a, b| by_words(b).total_cmp(&by_words(a)));
            places.truncate(most);
        }
        let mut texts = vec![question.to_owned()];
        texts.extend(
            places
                .iter()
                .map(|(item, range)| item.text[range.clone()].to_owned()),
        );
        // Passages that were found by their words alone have no cosine yet.
        let strange = || evidence.iter().filter(|item| item.scores.dense.is_none());
        texts.extend(strange().map(|item| item.text.clone()));
        let vectors = self.parts.index.embed(texts, EmbedKind::Query).await.ok()?;
        let (asked, others) = vectors.split_first()?;
        let (of_sentences, of_passages) = others.split_at_checked(places.len())?;
        places
            .into_iter()
            .zip(of_sentences)
            .map(|((item, range), near)| {
                let passage = strange()
                    .zip(of_passages)
                    .find_map(|(other, near)| (other.n == item.n).then(|| cosine(asked, near)));
                let signals = Signals {
                    near_quote: Some(cosine(asked, near)),
                    near_passage: item.scores.dense.or(passage),
                    ..Signals::of_texts(question, &item.text[range.clone()], &item.text)
                };
                Candidate {
                    item,
                    range,
                    signals,
                }
            })
            .max_by(|a, b| a.signals.log_odds().total_cmp(&b.signals.log_odds()))
    }

    /// How near question and quotation, and question and passage, are in meaning (cosines); `None`
    /// when the embedder is missing.
    async fn nearness(&self, question: &str, quote: &str, item: &Evidence) -> Option<(f32, f32)> {
        let mut texts = vec![question.to_owned(), quote.to_owned()];
        if item.scores.dense.is_none() {
            texts.push(item.text.clone());
        }
        let vectors = self.parts.index.embed(texts, EmbedKind::Query).await.ok()?;
        let near_quote = cosine(vectors.first()?, vectors.get(1)?);
        let near_passage = match item.scores.dense {
            Some(cosine) => cosine,
            None => cosine(vectors.first()?, vectors.get(2)?),
        };
        Some((near_quote, near_passage))
    }
}

/// The cosine of two unit vectors.
fn cosine(a: &Embedding, b: &Embedding) -> f32 {
    a.0.iter().zip(&b.0).map(|(a, b)| a * b).sum()
}
