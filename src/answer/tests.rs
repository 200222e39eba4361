//! Whole answers, with fakes behind the ports and a real catalog in a temporary folder.

mod levels;
mod tools;

use std::sync::Arc;

use futures::StreamExt;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    AnswerEvent, Answerer, AnswererParts, Ask, Beginning, Search, generate::NOT_IN_DOCUMENTS,
};
use crate::{
    catalog::{Catalog, NewDocument, Publication},
    config::AnswerConfig,
    domain::{
        Answer, Chunk, ChunkKey, Collection, Component, ConversationId, Locator, MediaType,
        PageReport, PageState, Question, Sha256Hash, bm25::Bm25,
    },
    ports::{
        EmbedKind, Embedder, Index, LanguageModel, Pair, Point, Role, VectorStore,
        fakes::{Gate, HashEmbedder, MemoryStore, Script, ScriptedModel, Trouble},
    },
};

const LEASE: &str = "The flat has two rooms and a kitchen.\n\nRent is payable on the first day of each \
                     calendar month. Dogs are allowed in the garden.";
const MANUAL: &str = "The boiler must be serviced each autumn by a qualified engineer.";

/// A library of two documents, the services around it, and handles to what they are made of.
struct World {
    answerer: Arc<Answerer>,
    model: Arc<ScriptedModel>,
    store: Arc<MemoryStore>,
    embedder: Arc<HashEmbedder>,
    catalog: Arc<Catalog>,
    tracker: TaskTracker,
    cancel: CancellationToken,
    home: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        Self::with(AnswerConfig {
            threshold: 0.0,
            ..AnswerConfig::default()
        })
        .await
    }

    async fn with(config: AnswerConfig) -> Self {
        let home = tempfile::tempdir().unwrap();
        let catalog = Arc::new(Catalog::open(&home.path().join("catalog.sqlite")).unwrap());
        let store = Arc::new(MemoryStore::new());
        let embedder = Arc::new(HashEmbedder::new());
        let model = Arc::new(ScriptedModel::new());
        store.open(&embedder.identity()).await.unwrap();
        for (name, text) in [("lease.txt", LEASE), ("manual.txt", MANUAL)] {
            publish(&catalog, &store, &embedder, name, text).await;
        }
        let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
        let answerer = Answerer::new(AnswererParts {
            catalog: Arc::clone(&catalog),
            index: Index::new(Pair {
                store: Arc::clone(&store) as Arc<dyn VectorStore>,
                embedder: Arc::clone(&embedder) as Arc<dyn Embedder>,
            }),
            model: Some(Arc::clone(&model) as Arc<dyn LanguageModel>),
            config,
            cancel: cancel.clone(),
            tracker: tracker.clone(),
        })
        .unwrap();
        Self {
            answerer,
            model,
            store,
            embedder,
            catalog,
            tracker,
            cancel,
            home,
        }
    }

    /// The calls of an answer: quotation, verdict where there is doubt, answer.
    fn script(&self, quote: &str, verdict: Option<&str>, answer: &str) {
        self.model
            .push(Script::new().token(&serde_json::json!({ "quote": quote }).to_string(), -0.1));
        if let Some(verdict) = verdict {
            self.model.push(Script::new().token(verdict, -0.1));
        }
        self.model.push(Script::text(
            &serde_json::json!({ "answer": answer }).to_string(),
        ));
    }

    async fn ask(&self, question: &str) -> Answer {
        self.answerer.answer(ask(question, None)).await.unwrap()
    }
}

/// One document of paragraphs, each a chunk.
async fn publish(
    catalog: &Catalog,
    store: &MemoryStore,
    embedder: &HashEmbedder,
    name: &str,
    text: &str,
) {
    let mut sha256 = [0; 32];
    sha256[..name.len()].copy_from_slice(name.as_bytes());
    let recorded = catalog
        .record(&NewDocument {
            name: name.to_owned(),
            bytes: text.len() as u64,
            sha256: Sha256Hash(sha256),
            collection: Collection::default(),
            metadata: serde_json::Map::new(),
        })
        .unwrap();
    let document = recorded.document.id;
    let mut at = 0;
    let mut chunks = Vec::new();
    for part in text.split_inclusive("\n\n") {
        let trimmed = part.trim_end();
        chunks.push(Chunk {
            key: ChunkKey {
                document,
                revision: 1,
                ordinal: chunks.len() as u32,
            },
            locator: Locator {
                page: Some(1),
                section: None,
                start: at as u64,
                end: (at + trimmed.len()) as u64,
            },
            text: trimmed.to_owned(),
        });
        at += part.len();
    }
    for chunk in &chunks {
        let dense = embedder
            .embed(vec![chunk.text.clone()], EmbedKind::Passage)
            .await
            .unwrap()
            .remove(0);
        let sparse = Bm25::default().passage(&chunk.text);
        let point = Point {
            key: chunk.key,
            collection: Collection::default(),
            dense,
            sparse,
        };
        store.upsert(vec![point]).await.unwrap();
    }
    store.flush().await.unwrap();
    let page = PageReport {
        page: 1,
        chars: text.chars().count() as u64,
        state: PageState::Text,
        engine: None,
    };
    let publication = Publication {
        document,
        revision: 1,
        media_type: MediaType::Text,
        text: text.to_owned(),
        pages: vec![page],
        chunks,
        embedded: Vec::new(),
    };
    assert!(catalog.publish(&publication).unwrap());
}

fn ask(question: &str, conversation: Option<ConversationId>) -> Ask {
    Ask {
        question: Question::parse(question, 500).unwrap(),
        collection: None,
        conversation,
        top_k: None,
    }
}

/// Every citation's bytes are its quotation, in the stored text and in its evidence.
fn assert_proven(world: &World, answer: &Answer) {
    for citation in &answer.citations {
        let stored = world
            .catalog
            .text(
                citation.document_id,
                Some(citation.start),
                Some(citation.end),
            )
            .unwrap()
            .unwrap();
        assert_eq!(String::from_utf8(stored).unwrap(), citation.quote);
        let item = answer
            .evidence
            .iter()
            .find(|item| item.n == citation.n)
            .unwrap();
        assert!(item.start <= citation.start && citation.end <= item.end);
        assert!(item.text.contains(&citation.quote));
    }
}

#[tokio::test]
async fn answers_with_a_proven_quotation() {
    let world = World::new().await;
    world.script(
        "rent is payable on the FIRST day of each calendar month",
        None,
        "Rent is due on the first day of each month.",
    );
    let answer = world.ask("When is the rent payable?").await;
    assert_eq!(
        answer.answer,
        "Rent is due on the first day of each month. [1]"
    );
    assert!(answer.supported && answer.degraded.is_empty());
    assert_eq!(
        answer.citations[0].quote,
        "Rent is payable on the first day of each calendar month."
    );
    assert_eq!(answer.citations[0].document, "lease.txt");
    assert_eq!(answer.model.as_deref(), Some("scripted"));
    assert_proven(&world, &answer);
}

#[tokio::test]
async fn the_stream_adds_up_to_the_answer() {
    let world = World::new().await;
    world.script(
        "Dogs are allowed in the garden.",
        Some("yes"),
        "Yes, in the garden.",
    );
    let events: Vec<_> = world
        .answerer
        .ask(ask("Are dogs allowed?", None))
        .collect()
        .await;
    let mut text = String::new();
    let mut kinds = Vec::new();
    for event in events {
        kinds.push(match event.unwrap() {
            AnswerEvent::Evidence(evidence) => {
                assert!(!evidence.is_empty());
                "evidence"
            }
            AnswerEvent::Citation(_) => "citation",
            AnswerEvent::Delta(delta) => {
                text.push_str(&delta);
                "delta"
            }
            AnswerEvent::Done(answer) => {
                assert_eq!(answer.answer, text);
                "done"
            }
        });
    }
    kinds.dedup();
    assert_eq!(kinds, ["evidence", "citation", "delta", "done"]);
}

#[tokio::test]
async fn a_quotation_that_stands_nowhere_is_not_shown() {
    let invented = "Cats must be kept on a lead at all times of day";
    // The document's own nearest sentence is judged in its place, and refused …
    let world = World::with(AnswerConfig {
        threshold: 1.1,
        ..AnswerConfig::default()
    })
    .await;
    world.script(invented, Some("yes"), "On a lead.");
    let answer = world.ask("Are dogs allowed?").await;
    assert_eq!(answer.answer, NOT_IN_DOCUMENTS);
    assert!(!answer.supported && answer.citations.is_empty());
    assert!(
        !answer.evidence.is_empty(),
        "the nearest passages are shown"
    );

    // … or quoted.
    let world = World::new().await;
    world.script(invented, Some("yes"), "Yes.");
    let answer = world.ask("Are dogs allowed in the garden?").await;
    assert_eq!(answer.citations[0].quote, "Dogs are allowed in the garden.");
    assert_proven(&world, &answer);
}

#[tokio::test]
async fn the_model_is_stopped_when_it_is_plain_what_it_copies() {
    let world = World::new().await;
    world
        .model
        .push(Script::text(r#"{"quote": "Rent is payable on the first day and so"#).hang());
    world
        .model
        .push(Script::text(r#"{"answer": "On the first day."}"#));
    let answer = world.ask("When is the rent payable?").await;
    assert_eq!(
        answer.citations[0].quote,
        "Rent is payable on the first day of each calendar month."
    );
    assert_eq!(world.model.cancelled(), 1);
    assert_proven(&world, &answer);
}

#[tokio::test]
async fn a_quotation_that_does_not_support_is_refused() {
    let world = World::with(AnswerConfig {
        threshold: 1.1,
        ..AnswerConfig::default()
    })
    .await;
    world.script("Dogs are allowed in the garden.", Some("no"), "Yes.");
    let answer = world.ask("Are dogs allowed?").await;
    assert!(!answer.supported);
    assert_eq!(answer.answer, NOT_IN_DOCUMENTS);
}

#[tokio::test]
async fn an_answer_beyond_doubt_is_streamed_as_it_is_written() {
    let world = World::new().await;
    let sentence = "Rent is payable on the first day of each calendar month.";
    let gate = Gate::new();
    world.model.push(Script::text(
        &serde_json::json!({ "quote": sentence }).to_string(),
    ));
    world.model.push(
        Script::text(r#"{"answer": "On the first"#)
            .wait(&gate)
            .delta(r#" day."}"#),
    );
    // The question is the sentence itself: nothing is lacking, nothing is nearer.
    let mut events = world.answerer.ask(ask(sentence, None));
    let mut shown = String::new();
    while shown != "On the" {
        if let AnswerEvent::Delta(delta) = events.next().await.unwrap().unwrap() {
            shown.push_str(&delta);
        }
    }
    gate.release();
    let rest: Vec<_> = events.collect().await;
    assert!(
        matches!(rest.last(), Some(Ok(AnswerEvent::Done(answer))) if answer.answer == "On the first day. [1]")
    );
    assert_eq!(world.model.requests().len(), 2, "no verdict was asked for");
}

#[tokio::test]
async fn names_and_numbers_of_the_models_own_are_cut() {
    let world = World::new().await;
    let quote = "Rent is payable on the first day of each calendar month.";
    world.script(quote, None, "Rent of 900 euros is due.");
    let answer = world.ask("When is the rent payable?").await;
    assert_eq!(
        answer.answer,
        "Rent of … In the document's words: “Rent is payable on the first day of each calendar month.” [1]"
    );
    world.script(quote, None, "900 euros.");
    let answer = world.ask("When is the rent payable?").await;
    assert_eq!(
        answer.answer,
        "“Rent is payable on the first day of each calendar month.” [1]"
    );
}

#[tokio::test]
async fn a_follow_up_is_made_to_stand_alone() {
    let world = World::new().await;
    world.script(
        "Rent is payable on the first day of each calendar month.",
        None,
        "On the first day.",
    );
    let first = world.ask("When is the rent payable?").await;
    world.tracker.close();
    world.tracker.wait().await;

    world.model.push(Script::text(
        r#"{"question": "Are dogs allowed in the garden?"}"#,
    ));
    world.script("Dogs are allowed in the garden.", Some("yes"), "Yes.");
    let second = world
        .answerer
        .answer(ask(
            "And are they allowed there?",
            Some(first.conversation_id),
        ))
        .await
        .unwrap();
    assert_eq!(second.conversation_id, first.conversation_id);
    assert_eq!(second.question, "And are they allowed there?");
    let requests = world.model.requests();
    assert!(
        requests[2].messages[0]
            .content
            .contains("When is the rent payable?")
    );
    let quoting = requests[3]
        .messages
        .iter()
        .rfind(|message| message.role == Role::User)
        .unwrap();
    assert!(
        quoting
            .content
            .contains("Question: Are dogs allowed in the garden?")
    );
}

#[tokio::test]
async fn an_empty_library_asks_no_model() {
    let world = World::new().await;
    let elsewhere = Ask {
        collection: Some("elsewhere".parse().unwrap()),
        ..ask("Are dogs allowed?", None)
    };
    let answer = world.answerer.answer(elsewhere).await.unwrap();
    assert_eq!(answer.answer, NOT_IN_DOCUMENTS);
    assert!(world.model.requests().is_empty());
}

#[tokio::test]
async fn a_spoken_answer_begins_with_what_plainly_answers() {
    let world = World::new().await;
    world
        .model
        .push(Script::text(r#"{"answer": "Yes, each autumn."}"#));
    let question = "Must the boiler be serviced each autumn by a qualified engineer?";
    let aloud = |question: &str, beginning| {
        world
            .answerer
            .ask_aloud(ask(question, None), beginning)
            .map(Result::unwrap)
    };
    let mut events = aloud(question, Beginning::Plain);
    assert!(matches!(
        events.next().await,
        Some(AnswerEvent::Evidence(_))
    ));
    let Some(AnswerEvent::Citation(cited)) = events.next().await else {
        panic!("no citation");
    };
    assert_eq!(cited.quote, MANUAL);
    assert!(world.model.requests().is_empty(), "nobody had to be asked");
    let rest: Vec<AnswerEvent> = events.collect().await;
    let Some(AnswerEvent::Done(answer)) = rest.last() else {
        panic!("no end: {rest:?}");
    };
    assert_eq!(answer.answer, "Yes, each autumn. [1]");
    assert_proven(&world, answer);
    assert_eq!(world.model.requests().len(), 1, "for the answer alone");

    // Where there is doubt, or where it is not wanted, the model points.
    for (question, beginning, verdict) in [
        ("Where may dogs be?", Beginning::Plain, Some("yes")),
        (question, Beginning::Pointed, None),
    ] {
        let before = world.model.requests().len();
        world.script(MANUAL, verdict, "Yes.");
        let events: Vec<AnswerEvent> = aloud(question, beginning).collect().await;
        assert!(matches!(events.last(), Some(AnswerEvent::Done(_))));
        let asked = world.model.requests().len() - before;
        assert_eq!(asked, 2 + usize::from(verdict.is_some()), "{question}");
    }
}
