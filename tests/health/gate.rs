//! Deadlines and breaker around ports that are in trouble. Time is paused.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use griot::{
    domain::{Component, EmbedderIdentity},
    health::{Board, BreakerState, ComponentState, Gate, Guarded, Hold, Limits},
    ports::{
        EmbedKind, Embedder, Filter, LanguageModel, PortError, VectorStore, Work,
        fakes::{Gate as Point, HashEmbedder, MemoryStore, Script, ScriptedModel, Trouble},
    },
};
use tokio::time::{Instant, advance};

use super::{read, request};

const FIRST: Duration = Duration::from_secs(60);
const BETWEEN: Duration = Duration::from_secs(10);

/// A scripted language model behind a gate.
struct Bench {
    model: Arc<ScriptedModel>,
    guarded: Guarded<dyn LanguageModel>,
    board: Arc<Board>,
}

fn bench() -> Bench {
    let board = Board::new();
    let model = Arc::new(ScriptedModel::new());
    let slot = board.slot(Component::LanguageModel, "fake");
    let gate = Gate::new(slot, Limits::stream(FIRST, BETWEEN));
    let guarded = Guarded::new(model.clone() as Arc<dyn LanguageModel>, gate);
    Bench {
        model,
        guarded,
        board,
    }
}

impl Bench {
    async fn ask(&self, script: Script) -> String {
        self.model.push(script);
        read(self.guarded.chat(request()).await).await
    }

    fn breaker(&self) -> BreakerState {
        self.board.report().components[0].breaker
    }

    /// Faults until it rests.
    async fn break_it(&self) {
        for _ in 0..3 {
            self.ask(Script::refuse(Trouble::Unavailable)).await;
        }
        assert_eq!(self.breaker(), BreakerState::Open);
    }
}

#[tokio::test(start_paused = true)]
async fn good_replies_pass_unchanged() {
    let bench = bench();
    assert_eq!(
        bench.ask(Script::text("On the first.")).await,
        "On the first.|done"
    );
    let component = &bench.board.report().components[0];
    assert_eq!(component.state, ComponentState::Ok);
    assert_eq!(component.latency_ms, Some(0));
    assert_eq!(bench.guarded.name(), "scripted");
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_does_not_begin_ends_at_its_deadline() {
    let bench = bench();
    let began = Instant::now();
    assert_eq!(
        bench.ask(Script::new().hang()).await,
        "|language_model gave no answer within 60s"
    );
    assert_eq!(began.elapsed().as_secs(), 60);
    assert_eq!(
        bench.model.cancelled(),
        1,
        "the generation was left running"
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_before_the_stream_ends_at_the_same_deadline() {
    let bench = bench();
    bench.model.trouble(Trouble::Hang);
    let began = Instant::now();
    assert_eq!(
        bench.ask(Script::text("never")).await,
        "|language_model gave no answer within 60s"
    );
    assert_eq!(began.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_stops_in_the_middle_ends_at_the_other_deadline() {
    let bench = bench();
    let began = Instant::now();
    assert_eq!(
        bench.ask(Script::new().delta("On ").hang()).await,
        "On |language_model gave no answer within 10s"
    );
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(
        bench.model.cancelled(),
        1,
        "the generation was left running"
    );
}

#[tokio::test(start_paused = true)]
async fn a_reply_may_take_long_as_long_as_it_goes_on() {
    let bench = bench();
    let points: Vec<Point> = (0..20).map(|_| Point::new()).collect();
    let mut script = Script::new();
    for point in &points {
        script = script.delta("x").wait(point);
    }
    bench.model.push(script);
    let releaser = {
        let points = points.clone();
        tokio::spawn(async move {
            for point in points {
                point.reached().await;
                tokio::time::sleep(BETWEEN.checked_sub(Duration::from_secs(1)).unwrap()).await;
                point.release();
            }
        })
    };
    let long = griot::ports::ChatRequest {
        max_tokens: 100,
        ..request()
    };
    let began = Instant::now();
    let said = read(bench.guarded.chat(long).await).await;
    releaser.await.unwrap();
    assert_eq!(said, format!("{}|done", "x".repeat(20)));
    assert_eq!(began.elapsed().as_secs(), 180);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_not_the_models_fault() {
    let bench = bench();
    bench.model.push(Script::text("On the first."));
    let mut reply = bench.guarded.chat(request()).await.unwrap();
    for _ in 0..3 {
        assert!(reply.next().await.unwrap().is_ok());
        advance(BETWEEN * 10).await;
    }
    assert!(reply.next().await.unwrap().is_ok(), "it was done");
    assert!(reply.next().await.is_none());
    assert_eq!(bench.breaker(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn faults_open_the_breaker_and_callers_are_told_at_once() {
    let bench = bench();
    bench.break_it().await;
    let began = Instant::now();
    let Err(error) = bench.guarded.chat(request()).await else {
        panic!("it rests");
    };
    assert!(
        matches!(error, PortError::Resting { retry_after, .. } if retry_after <= Duration::from_millis(2500)),
        "{error}"
    );
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(
        bench.model.requests().len(),
        3,
        "it was asked while it rests"
    );
    assert_eq!(
        bench.board.state(Component::LanguageModel),
        Some(ComponentState::Down)
    );
}

#[tokio::test(start_paused = true)]
async fn faults_in_the_middle_of_a_reply_count_as_well() {
    let bench = bench();
    for _ in 0..3 {
        bench
            .ask(Script::new().delta("On ").fail(Trouble::Unavailable))
            .await;
    }
    assert_eq!(bench.breaker(), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn one_probe_decides_after_the_rest() {
    let bench = bench();
    bench.break_it().await;
    advance(Duration::from_secs(3)).await;

    let point = Point::new();
    bench
        .model
        .push(Script::new().delta("On ").wait(&point).delta("it."));
    let mut probe = bench.guarded.chat(request()).await.unwrap();
    assert!(probe.next().await.unwrap().is_ok());
    assert_eq!(bench.breaker(), BreakerState::HalfOpen);
    let other = read(bench.guarded.chat(request()).await).await;
    assert!(other.starts_with("|language_model rests"), "{other}");

    point.release();
    assert_eq!(read(Ok(probe)).await, "it.|done");
    assert_eq!(bench.breaker(), BreakerState::Closed);
    assert_eq!(bench.ask(Script::text("yes")).await, "yes|done");
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_client_left_is_given_to_the_next() {
    let bench = bench();
    bench.break_it().await;
    advance(Duration::from_secs(3)).await;
    bench.model.push(Script::new().delta("On ").hang());
    let mut probe = bench.guarded.chat(request()).await.unwrap();
    assert!(probe.next().await.unwrap().is_ok());
    drop(probe);
    assert_eq!(bench.model.cancelled(), 1);
    assert_eq!(bench.ask(Script::text("yes")).await, "yes|done");
    assert_eq!(bench.breaker(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn clients_that_leave_and_refusals_never_count() {
    let bench = bench();
    for _ in 0..20 {
        bench.model.push(Script::new().hang());
        let mut reply = bench.guarded.chat(request()).await.unwrap();
        assert!(futures::poll!(reply.next()).is_pending());
        drop(reply);
        bench
            .ask(Script::refuse(Trouble::Refused("no such model".into())))
            .await;
    }
    bench.model.trouble(Trouble::Hang);
    for _ in 0..20 {
        let call = bench.guarded.chat(request());
        tokio::pin!(call);
        assert!(futures::poll!(call).is_pending());
    }
    assert_eq!(bench.breaker(), BreakerState::Closed);
    let component = &bench.board.report().components[0];
    assert_eq!(component.state, ComponentState::Ok, "{component:?}");
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_woken_is_asked_at_once() {
    let bench = bench();
    bench.break_it().await;
    bench.guarded.gate().wake();
    assert_eq!(bench.ask(Script::text("yes")).await, "yes|done");
}

#[tokio::test(start_paused = true)]
async fn every_method_of_a_store_has_its_deadline() {
    let board = Board::new();
    let store = Arc::new(MemoryStore::new());
    let slot = board.slot(Component::VectorStore, "fake");
    let gate = Gate::new(slot, Limits::call(Duration::from_secs(5)));
    // One missed deadline opens it, and here there are many.
    gate.hold(Some(Hold::Closed));
    let guarded = Guarded::new(store.clone() as Arc<dyn VectorStore>, gate);
    let identity = EmbedderIdentity {
        model: "m".to_owned(),
        dimension: 2,
        max_tokens: 8,
    };
    guarded.open(&identity).await.unwrap();
    assert_eq!(guarded.count(Filter::default()).await.unwrap(), 0);

    store.trouble(Trouble::Hang);
    let document = griot::domain::DocumentId::new();
    let search = griot::ports::SearchRequest {
        vector: griot::ports::QueryVector::Dense(griot::domain::Embedding(vec![1.0, 0.0])),
        filter: Filter::default(),
        limit: 1,
    };
    let limit = |result: Result<(), PortError>| match result {
        Err(PortError::TimedOut { limit, .. }) => limit.as_secs(),
        other => panic!("{other:?}"),
    };
    assert_eq!(limit(guarded.open(&identity).await), 500);
    assert_eq!(limit(guarded.upsert(Vec::new()).await), 30);
    assert_eq!(limit(guarded.flush().await), 30);
    assert_eq!(limit(guarded.delete(document, None).await), 30);
    assert_eq!(limit(guarded.search(search).await.map(drop)), 5);
    assert_eq!(limit(guarded.count(Filter::default()).await.map(drop)), 5);
}

#[tokio::test(start_paused = true)]
async fn a_large_batch_may_take_longer_than_a_question() {
    let board = Board::new();
    let embedder = Arc::new(HashEmbedder::new());
    let gate = Gate::new(
        board.slot(Component::Embedder, "fake"),
        Limits::call(Duration::from_secs(5)),
    );
    // One missed deadline opens it, and here there are several.
    gate.hold(Some(Hold::Closed));
    let guarded = Guarded::new(embedder.clone() as Arc<dyn Embedder>, gate);
    assert_eq!(guarded.identity(), embedder.identity());
    assert_eq!(guarded.count_tokens("one two"), 2);
    embedder.trouble(Trouble::Hang);
    // Passages give way to everything, so they may take twenty times as long.
    for (texts, kind, seconds) in [
        (1, EmbedKind::Query, 6),
        (8, EmbedKind::Query, 13),
        (8, EmbedKind::Passage, 260),
    ] {
        let texts = vec!["text".to_owned(); texts];
        let result = guarded.embed(texts, kind).await;
        assert!(
            matches!(result, Err(PortError::TimedOut { limit, .. }) if limit.as_secs() == seconds),
            "{result:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn one_missed_deadline_opens_it() {
    let bench = bench();
    bench.ask(Script::new().hang()).await;
    assert_eq!(bench.breaker(), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn an_operator_holds_it_and_lets_it_go() {
    let bench = bench();
    assert!(!bench.board.hold(Component::Embedder, Some(Hold::Open)));
    assert!(bench.board.hold(Component::LanguageModel, Some(Hold::Open)));
    advance(Duration::from_secs(600)).await;
    let said = read(bench.guarded.chat(request()).await).await;
    assert!(said.starts_with("|language_model rests"), "{said}");
    assert!(bench.model.requests().is_empty());
    let report = bench.board.report();
    assert_eq!(report.components[0].state, ComponentState::Down);
    assert!(report.components[0].held);
    assert_eq!(
        report.components[0].last_error.as_deref(),
        Some("an operator holds its breaker open")
    );

    bench
        .board
        .hold(Component::LanguageModel, Some(Hold::Closed));
    for _ in 0..10 {
        bench.ask(Script::refuse(Trouble::Unavailable)).await;
    }
    assert_eq!(bench.breaker(), BreakerState::Closed);
    bench.board.hold(Component::LanguageModel, None);
    assert!(!bench.board.report().components[0].held);
    bench.break_it().await;
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_turn_speaks_for_nobodys_illness() {
    let limit = Duration::from_secs(5);
    let board = Board::new();
    let slot = board.slot(Component::Synthesizer, "fake");
    let gate = Gate::new(slot, Limits::call(limit));
    let place = tokio::sync::Semaphore::new(1);
    let call = async |takes: u64| {
        let turn = async {
            let place = place.acquire().await.unwrap();
            let work = async move {
                tokio::time::sleep(Duration::from_secs(takes)).await;
                drop(place);
                Ok(())
            };
            Ok(Box::pin(work) as Work<'_, ()>)
        };
        gate.in_turn(limit, turn).await
    };
    let breaker = || board.report().components[0].breaker;
    let began = Instant::now();
    let (one, two, three, four) = tokio::join!(call(2), call(2), call(2), call(2));
    assert!(one.is_ok() && two.is_ok() && three.is_ok(), "{three:?}");
    assert!(matches!(four, Err(PortError::Busy { .. })), "{four:?}");
    assert_eq!(began.elapsed().as_secs(), 6, "the last one waited for 5 s");
    assert!(!gate.is_suspect(), "none of them was slow or hung");
    // What does not come back in its own time does count, and nobody stands in line for it then.
    let (hung, behind) = tokio::join!(call(60), call(1));
    assert!(matches!(hung, Err(PortError::TimedOut { .. })), "{hung:?}");
    assert!(matches!(
        behind,
        Err(PortError::Busy { .. } | PortError::Resting { .. })
    ));
    assert_eq!(breaker(), BreakerState::Open);
    assert!(matches!(call(1).await, Err(PortError::Resting { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_makes_searches_rest_no_more_than_deletes_work() {
    let board = Board::new();
    let store = Arc::new(MemoryStore::new());
    let slot = board.slot(Component::VectorStore, "fake");
    let gate = Gate::new(slot, Limits::call(Duration::from_secs(5)));
    let guarded = Guarded::new(store.clone() as Arc<dyn VectorStore>, gate);
    store.trouble(Trouble::NoRoom);
    for _ in 0..9 {
        let deleted = guarded.delete(griot::domain::DocumentId::new(), None).await;
        assert!(
            matches!(deleted, Err(PortError::NoRoom { .. })),
            "{deleted:?}"
        );
    }
    let part = &board.report().components[0];
    assert_eq!(
        (part.breaker, part.state),
        (BreakerState::Closed, ComponentState::Ok)
    );
    assert!(board.incidents().recent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_counts_neither_for_nor_against() {
    let board = Board::new();
    let slot = board.slot(Component::Synthesizer, "fake");
    let gate = Gate::new(slot, Limits::call(Duration::from_secs(5)));
    let breaker = || board.report().components[0].breaker;
    for _ in 0..10 {
        let slow = gate
            .aside(async {
                tokio::time::sleep(Duration::from_secs(60)).await;
                Ok(())
            })
            .await;
        assert!(slow.is_ok(), "it may take any time: {slow:?}");
        let failed: Result<(), _> = gate
            .aside(async {
                Err(PortError::Busy {
                    component: Component::Synthesizer,
                })
            })
            .await;
        assert!(failed.is_err());
    }
    assert_eq!(breaker(), BreakerState::Closed);
    assert!(!gate.is_suspect());
    // A part that rests has its rest.
    board.hold(Component::Synthesizer, Some(Hold::Open));
    let resting = gate.aside(async { panic!("it was asked") }).await;
    let resting: Result<(), _> = resting;
    assert!(matches!(resting, Err(PortError::Resting { .. })));
}
