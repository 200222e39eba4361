//! The promises of `Embedder`, and what the local model adds to them.

use std::path::Path;

use griot::{
    adapters::embed_local::{self, LocalEmbedder, Options},
    ports::{EmbedKind, Embedder, PortError, fakes::HashEmbedder},
};

use crate::subjects::weights;

const TEXTS: [&str; 4] = [
    "Rent is payable on the first day of each calendar month.",
    "The tenant pays the rent monthly, on the first.",
    "Cats chase mice.",
    "",
];

fn local(folder: &Path, model: &str) -> LocalEmbedder {
    let options = Options {
        threads: 1,
        batch: 3,
    };
    embed_local::load(folder, model, options).unwrap()
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// What every embedder keeps.
async fn keeps_the_contract(embedder: &dyn Embedder) {
    let identity = embedder.identity();
    assert_eq!(identity, embedder.identity());
    assert!(
        embedder
            .embed(Vec::new(), EmbedKind::Passage)
            .await
            .unwrap()
            .is_empty()
    );

    let all = embedder
        .embed(owned(&TEXTS), EmbedKind::Passage)
        .await
        .unwrap();
    assert_eq!(all.len(), TEXTS.len());
    for vector in &all {
        assert_eq!(vector.0.len(), identity.dimension);
        assert!(
            (dot(&vector.0, &vector.0) - 1.0).abs() < 1e-4,
            "of unit length"
        );
    }
    assert!(
        dot(&all[0].0, &all[1].0) > dot(&all[0].0, &all[2].0),
        "likeness"
    );

    // In order, and whatever stands beside a text.
    for (text, vector) in TEXTS.iter().zip(&all) {
        let alone = embedder
            .embed(owned(&[text]), EmbedKind::Passage)
            .await
            .unwrap();
        assert!(dot(&alone[0].0, &vector.0) > 0.999, "{text:?}");
    }

    // What is beyond the limit is cut.
    let within = vec!["word"; identity.max_tokens].join(" ");
    let beyond = format!("{within} and some more that nobody reads");
    let pair = embedder
        .embed(vec![within.clone(), beyond], EmbedKind::Passage)
        .await
        .unwrap();
    assert!(dot(&pair[0].0, &pair[1].0) > 0.9999);

    assert_eq!(embedder.count_tokens(""), 0);
    assert_eq!(embedder.count_tokens(&within), identity.max_tokens);
    let (a, b) = ("The rent is due.", "On the first day, as always.");
    let together = embedder.count_tokens(&format!("{a} {b}"));
    assert_eq!(
        together,
        embedder.count_tokens(a) + embedder.count_tokens(b)
    );
}

#[tokio::test]
async fn fake() {
    keeps_the_contract(&HashEmbedder::new()).await;
}

#[tokio::test]
async fn minilm() {
    if let Some(folder) = weights("minilm-l6") {
        keeps_the_contract(&local(&folder, "minilm-l6")).await;
    }
}

#[tokio::test]
async fn minilm_int8() {
    if let Some(folder) = weights("minilm-l6-int8") {
        keeps_the_contract(&local(&folder, "minilm-l6-int8")).await;
    }
}

/// The first values of the vector that onnxruntime 1.2x gives with the same weights (2026-11-21), pooled
/// and normalised with numpy.
#[tokio::test]
async fn minilm_agrees_with_onnxruntime() {
    let Some(folder) = weights("minilm-l6") else {
        return;
    };
    let embedder = local(&folder, "minilm-l6");
    let texts = owned(&[TEXTS[0], "What is the capital of France?", "東京都"]);
    let vectors = embedder.embed(texts, EmbedKind::Query).await.unwrap();
    for (vector, expected) in vectors.iter().zip([
        [0.035_169_54, -0.006_826_41, -0.010_840_37, 0.082_335_04],
        [0.082_048_12, 0.036_055_48, -0.003_892_90, -0.004_881_08],
        [0.086_986_68, 0.035_956_38, 0.020_629_43, -0.007_262_58],
    ]) {
        for (value, expected) in vector.0.iter().zip(expected) {
            assert!(
                (value - expected as f32).abs() < 1e-5,
                "{:?}",
                &vector.0[..4]
            );
        }
    }
    let across = dot(&vectors[0].0, &vectors[1].0);
    assert!((across - 0.079_829_84).abs() < 1e-5, "{across}");
}

#[tokio::test]
async fn missing_weights_say_how_to_get_them() {
    let folder = tempfile::tempdir().unwrap();
    let embedder = local(folder.path(), "minilm-l6");
    assert_eq!(embedder.identity().dimension, 384);
    let said = embedder.check().unwrap_err().to_string();
    assert!(said.contains("griot models pull minilm-l6"), "{said}");
    let error = embedder
        .embed(owned(&["a"]), EmbedKind::Query)
        .await
        .unwrap_err();
    assert!(matches!(error, PortError::Unavailable { .. }), "{error}");
    assert!(
        error.to_string().contains("griot models pull minilm-l6"),
        "{error}"
    );
    assert!(
        embedder.count_tokens("three short words") >= 3,
        "an estimate on the high side"
    );
}

#[tokio::test]
async fn damaged_weights_are_an_error_and_the_thread_lives_on() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("minilm-l6");
    std::fs::create_dir(&model).unwrap();
    std::fs::write(model.join("model.onnx"), "not a model").unwrap();
    std::fs::write(model.join("tokenizer.json"), "{}").unwrap();
    let embedder = local(folder.path(), "minilm-l6");
    for _ in 0..2 {
        let error = embedder
            .embed(owned(&["a"]), EmbedKind::Passage)
            .await
            .unwrap_err();
        assert!(matches!(error, PortError::Unavailable { .. }));
        assert!(error.to_string().contains("griot models verify"), "{error}");
    }
}

#[test]
fn an_unknown_model_is_named_with_those_that_there_are() {
    let options = Options {
        threads: 1,
        batch: 1,
    };
    let error = embed_local::load(Path::new("/nowhere"), "minilm", options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no embedding model \"minilm\"; `embed.model` can be \"minilm-l6\" or \
         \"minilm-l6-int8\""
    );
}

/// Niceness of this process's threads of one name (`proc(5)`, field 19 of `stat`).
fn niceness(name: &str) -> Vec<i32> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok())
        .filter_map(|stat| {
            let (before, after) = stat.rsplit_once(") ")?;
            let nice = after.split(' ').nth(16)?.parse().ok()?;
            before.ends_with(name).then_some(nice)
        })
        .collect()
}

#[tokio::test]
async fn passages_give_way_on_the_processor() {
    let folder = tempfile::tempdir().unwrap();
    let embedder = local(folder.path(), "minilm-l6");
    // Whoever answers has begun, and set its priority before that.
    for kind in [EmbedKind::Passage, EmbedKind::Query] {
        assert!(embedder.embed(owned(&["a"]), kind).await.is_err());
    }
    let usual = rustix::process::getpriority_process(None).unwrap();
    let lowered = (usual + 10).min(19);
    let passages = niceness("(embed-passages");
    assert!(passages.contains(&lowered), "{passages:?} beside {usual}");
    let questions = niceness("(embed-question");
    assert!(
        !questions.is_empty() && questions.iter().all(|nice| *nice == usual),
        "{questions:?} beside {usual}"
    );
}

#[tokio::test]
async fn a_question_does_not_wait_for_passages() {
    let Some(folder) = weights("minilm-l6") else {
        return;
    };
    let embedder = local(&folder, "minilm-l6");
    let passages = vec!["a long passage of many words ".repeat(40); 16];
    let passages = embedder.embed(passages, EmbedKind::Passage);
    tokio::pin!(passages);
    let question = async {
        // Not before the passages are at it.
        while niceness("(embed-passages").is_empty() {
            tokio::task::yield_now().await;
        }
        embedder.embed(owned(&[TEXTS[0]]), EmbedKind::Query).await
    };
    // Dropped, the passages stop after the batch that they are at.
    tokio::select! {
        biased;
        _ = &mut passages => panic!("the question waited for the passages"),
        answer = question => assert_eq!(answer.unwrap().len(), 1),
    }
}
