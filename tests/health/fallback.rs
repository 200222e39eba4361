//! Several language models in order.

use std::{sync::Arc, time::Duration};

use griot::{
    domain::Component,
    health::{Board, Fallback, Gate, Guarded, Limits},
    ports::{
        LanguageModel,
        fakes::{Script, ScriptedModel, Trouble},
    },
};

use super::{read, request};

struct Ladder {
    first: Arc<ScriptedModel>,
    second: Arc<ScriptedModel>,
    fallback: Fallback,
}

fn ladder() -> Ladder {
    let board = Board::new();
    let guard = |model: &Arc<ScriptedModel>, part: &str| -> Arc<dyn LanguageModel> {
        let slot = board.slot(Component::LanguageModel, part);
        let limits = Limits::stream(Duration::from_secs(60), Duration::from_secs(10));
        Arc::new(Guarded::new(
            model.clone() as Arc<dyn LanguageModel>,
            Gate::new(slot, limits),
        ))
    };
    let first = Arc::new(ScriptedModel::new());
    let second = Arc::new(ScriptedModel::answering(|_| {
        Script::text("from the second")
    }));
    let fallback = Fallback::new(vec![guard(&first, "first"), guard(&second, "second")]);
    Ladder {
        first,
        second,
        fallback,
    }
}

impl Ladder {
    async fn ask(&self, script: Script) -> String {
        self.first.push(script);
        read(self.fallback.chat(request()).await).await
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_that_works_is_asked() {
    let ladder = ladder();
    assert_eq!(
        ladder.ask(Script::text("from the first")).await,
        "from the first|done"
    );
    for trouble in [
        Trouble::Unavailable,
        Trouble::TimedOut(Duration::from_secs(1)),
        Trouble::Refused("no such model".to_owned()),
    ] {
        assert_eq!(
            ladder.ask(Script::refuse(trouble)).await,
            "from the second|done"
        );
    }
    // Broken off before anything was said, or saying nothing until its deadline.
    assert_eq!(
        ladder.ask(Script::new().fail(Trouble::Unavailable)).await,
        "from the second|done"
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_is_left_at_its_deadline() {
    let ladder = ladder();
    assert_eq!(
        ladder.ask(Script::new().hang()).await,
        "from the second|done"
    );
    assert_eq!(ladder.first.cancelled(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_never_continued_by_another_model() {
    let ladder = ladder();
    let said = ladder
        .ask(Script::new().delta("On ").fail(Trouble::Unavailable))
        .await;
    assert!(
        said.starts_with("On |language_model is unavailable"),
        "{said}"
    );
    assert!(ladder.second.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_that_rests_is_not_asked() {
    let ladder = ladder();
    ladder.first.trouble(Trouble::Unavailable);
    for _ in 0..10 {
        let said = read(ladder.fallback.chat(request()).await).await;
        assert_eq!(said, "from the second|done");
    }
    assert_eq!(ladder.first.requests().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn when_none_works_the_first_ones_reason_is_given() {
    let ladder = ladder();
    ladder.second.trouble(Trouble::Refused("second".to_owned()));
    assert_eq!(
        ladder
            .ask(Script::refuse(Trouble::Refused("first".to_owned())))
            .await,
        "|language_model refused: first"
    );
    let none = Fallback::new(Vec::new());
    assert_eq!(
        read(none.chat(request()).await).await,
        "|language_model is unavailable: none is configured"
    );
}
