//! Answers when a part is missing, breaks or is no longer wanted.

use super::*;

#[tokio::test]
async fn without_a_model_the_answer_is_extractive() {
    let world = World::new().await;
    world.model.trouble(Trouble::Unavailable);
    let answer = world.ask("When is the rent payable?").await;
    assert_eq!(answer.degraded, [Component::LanguageModel]);
    assert_eq!(
        answer.answer,
        "“Rent is payable on the first day of each calendar month.” [1]"
    );
    assert!(answer.supported && answer.model.is_none());
    assert_proven(&world, &answer);
}

#[tokio::test]
async fn a_model_that_breaks_in_the_middle_leaves_the_quotation() {
    let world = World::new().await;
    let quote = "Dogs are allowed in the garden.";
    world.model.push(Script::text(
        &serde_json::json!({ "quote": quote }).to_string(),
    ));
    world
        .model
        .push(Script::text(r#"{"answer": "Yes they are"#).fail(Trouble::Unavailable));
    let answer = world.ask("Are dogs allowed?").await;
    assert_eq!(answer.degraded, [Component::LanguageModel]);
    assert_eq!(
        answer.answer,
        "Yes they … In the document's words: “Dogs are allowed in the garden.” [1]"
    );
    assert_proven(&world, &answer);
}

#[tokio::test]
async fn each_missing_part_lowers_the_level_and_is_named() {
    let world = World::new().await;
    let search = || Search {
        query: Question::parse("rent payable", 50).unwrap(),
        collection: None,
        top_k: Some(1),
    };

    world.embedder.trouble(Trouble::Unavailable);
    let found = world.answerer.search(search()).await.unwrap();
    assert_eq!(found.degraded, [Component::Embedder]);
    assert!(
        found.passages[0].text.contains("Rent is payable")
            && found.passages[0].scores.dense.is_none()
    );

    world.store.trouble(Trouble::Unavailable);
    let found = world.answerer.search(search()).await.unwrap();
    assert!(found.degraded.contains(&Component::VectorStore));
    assert!(found.passages[0].text.contains("Rent is payable"));

    world.embedder.recover();
    world.store.recover();
    let found = world.answerer.search(search()).await.unwrap();
    assert!(found.degraded.is_empty() && found.passages[0].scores.dense.is_some());
}

#[tokio::test]
async fn an_asker_who_leaves_cancels_the_generation() {
    let world = World::new().await;
    world
        .model
        .push(Script::new().delta("{\"quote\": \"").hang());
    let mut events = world.answerer.ask(ask("Are dogs allowed?", None));
    assert!(matches!(
        events.next().await,
        Some(Ok(AnswerEvent::Evidence(_)))
    ));
    {
        let next = events.next();
        tokio::pin!(next);
        assert!(futures::poll!(next.as_mut()).is_pending());
    }
    drop(events);
    world.model.until_cancelled(1).await;
}

#[tokio::test]
async fn stopping_ends_answers_in_work() {
    let world = World::new().await;
    world.model.push(Script::new().hang());
    let mut events = world.answerer.ask(ask("Are dogs allowed?", None));
    assert!(matches!(
        events.next().await,
        Some(Ok(AnswerEvent::Evidence(_)))
    ));
    world.cancel.cancel();
    assert!(matches!(
        events.next().await,
        Some(Err(super::super::AnswerError::Stopping))
    ));
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_catalog_that_another_program_holds_takes_no_answer_away() {
    let world = World::new().await;
    world.model.trouble(Trouble::Unavailable);
    let path = world.home.path().join("catalog.sqlite");
    let other = rusqlite::Connection::open(path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let most = super::super::generate::TURNS;
    for _ in 0..3 * most {
        let answer = world.ask("When is the rent payable?").await;
        assert!(answer.supported);
        // What waits to be written holds threads that the next answer reads with.
        assert!(world.tracker.len() <= most, "{}", world.tracker.len());
    }
    other.execute_batch("ROLLBACK").unwrap();
    world.tracker.close();
    world.tracker.wait().await;
}
