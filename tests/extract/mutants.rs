//! Variants of the project's own good documents, damaged with knowledge of their structure, each read in
//! a child of its own: always the same ones, so that a failure stays one. `tests/hostile` does the same
//! with a whole daemon and with more documents.

use futures::StreamExt;
use griot::{domain::FailureCode, ingest::extract::Limits, ingest::jail::Confinement};

use crate::{
    documents::{mutate, samples},
    extractor, file_of,
};

/// Variants of each document.
const EACH: u64 = 24;

/// What the document's own faults come to. A reader that dies, runs out of time or out of memory on one
/// of these small files has a fault of its own.
const HONEST: [FailureCode; 5] = [
    FailureCode::Damaged,
    FailureCode::Encrypted,
    FailureCode::NoText,
    FailureCode::TooLarge,
    FailureCode::UnsupportedType,
];

#[tokio::test]
async fn no_variant_kills_its_reader() {
    let variants = samples::own_good().into_iter().flat_map(|sample| {
        (0..EACH).map(move |number| {
            let seed = mutate::seed_of(0, &sample.name, number);
            let mutant = mutate::mutant(&sample.name, &sample.bytes, seed);
            (
                format!("{} (seed {seed}: {})", sample.name, mutant.what),
                sample.name.clone(),
                mutant.bytes,
            )
        })
    });
    let reader = extractor(Limits::default(), Confinement::default());
    let reads = futures::stream::iter(variants).map(|(label, name, bytes)| {
        let reader = reader.clone();
        async move {
            let read = reader.extract(file_of(&bytes), &name, |_| {}).await;
            (
                label,
                read.map(|extracted| extracted.text.len())
                    .map_err(|e| e.code),
            )
        }
    });
    let outcomes: Vec<_> = reads.buffer_unordered(2).collect().await;
    let wrong: Vec<_> = outcomes
        .iter()
        .filter(|(_, outcome)| outcome.is_err_and(|code| !HONEST.contains(&code)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let read = outcomes
        .iter()
        .filter(|(_, outcome)| outcome.is_ok())
        .count();
    // Variants that no reader gets into would test nothing.
    assert!(
        read * 4 > outcomes.len(),
        "{read} of {} give text",
        outcomes.len()
    );
}
