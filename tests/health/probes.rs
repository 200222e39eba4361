//! When parts are probed, and how. Time is paused.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use griot::{
    domain::Component,
    health::{Board, ComponentState, Gate, Limits, Probe, Url, probes},
    ports::{
        Embedder, LanguageModel, PortError, VectorStore,
        fakes::{HashEmbedder, MemoryStore, Script, ScriptedModel, Trouble},
    },
};
use tokio::{
    sync::watch,
    time::{Instant, advance},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{check, until};

const INTERVAL: Duration = Duration::from_secs(10);

/// A part that counts how it is asked and can be broken.
#[derive(Default)]
struct Part {
    broken: AtomicBool,
    works: watch::Sender<usize>,
    glances: watch::Sender<usize>,
}

impl Part {
    fn answer(&self) -> Result<(), PortError> {
        if self.broken.load(Ordering::SeqCst) {
            Err(PortError::unavailable(Component::LanguageModel, "broken"))
        } else {
            Ok(())
        }
    }

    fn counts(&self) -> (usize, usize) {
        (*self.works.borrow(), *self.glances.borrow())
    }
}

struct Bench {
    part: Arc<Part>,
    board: Arc<Board>,
    gate: Arc<Gate>,
    url: watch::Sender<Option<Url>>,
    tracker: TaskTracker,
    cancel: CancellationToken,
}

fn url(port: u16) -> Option<Url> {
    Some(format!("http://127.0.0.1:{port}").parse().unwrap())
}

fn bench() -> Bench {
    let board = Board::new();
    let gate = Gate::new(
        board.slot(Component::LanguageModel, "fake"),
        Limits::call(Duration::from_secs(5)),
    );
    let bench = Bench {
        part: Arc::default(),
        board,
        gate,
        url: watch::Sender::new(None),
        tracker: TaskTracker::new(),
        cancel: CancellationToken::new(),
    };
    let (work, glance) = (bench.part.clone(), bench.part.clone());
    Probe::new(
        bench.gate.clone(),
        check(move || {
            work.works.send_modify(|n| *n += 1);
            work.answer()
        }),
    )
    .glance(check(move || {
        glance.glances.send_modify(|n| *n += 1);
        glance.answer()
    }))
    .supervised(bench.url.subscribe())
    .start(INTERVAL, &bench.tracker, bench.cancel.clone());
    bench
}

#[tokio::test(start_paused = true)]
async fn what_nobody_uses_is_glanced_at_and_not_made_to_work() {
    let bench = bench();
    bench.url.send_replace(url(1));
    let began = Instant::now();
    let mut glances = bench.part.glances.subscribe();
    glances.wait_for(|n| *n == 6).await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 50);
    assert_eq!(bench.part.counts(), (0, 6));
}

#[tokio::test(start_paused = true)]
async fn what_is_in_use_works_when_nobody_has_just_seen_it_work() {
    let bench = bench();
    bench.url.send_replace(url(1));
    let call = || bench.gate.call(Duration::from_secs(5), async { Ok(()) });
    // Somebody asks more often than the probe would.
    for _ in 0..10 {
        call().await.unwrap();
        advance(INTERVAL / 2).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.part.counts(), (0, 0), "callers saw it work");
    let mut works = bench.part.works.subscribe();
    works.wait_for(|n| *n == 3).await.unwrap();
    // Then nobody does, and it may go to sleep.
    advance(Duration::from_secs(300)).await;
    let (works, glances) = bench.part.counts();
    let mut more = bench.part.glances.subscribe();
    more.wait_for(|n| *n >= glances + 3).await.unwrap();
    assert!(bench.part.counts().0 <= works + 1, "it is kept awake");
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_a_caller_is_looked_into_at_once_and_nobody_else_finds_out_by_waiting() {
    let bench = bench();
    bench.url.send_replace(url(1));
    let mut glances = bench.part.glances.subscribe();
    glances.wait_for(|n| *n == 1).await.unwrap();
    bench.part.broken.store(true, Ordering::SeqCst);
    let began = Instant::now();
    let part = bench.part.clone();
    let call = bench
        .gate
        .call(Duration::from_secs(5), async move { part.answer() });
    assert!(call.await.is_err());
    until(&bench.board, |report| report.incidents_open == 1).await;
    assert!(
        began.elapsed() <= Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    // However long it rests: a caller is told, and never made a probe of.
    for _ in 0..100 {
        advance(Duration::from_millis(333)).await;
        let call = bench.gate.call(
            Duration::from_secs(5),
            std::future::pending::<Result<(), _>>(),
        );
        let result = tokio::time::timeout(Duration::ZERO, call).await;
        assert!(matches!(result, Ok(Err(PortError::Resting { .. }))));
    }
    bench.part.broken.store(false, Ordering::SeqCst);
    let back = Instant::now();
    until(&bench.board, |report| report.incidents_open == 0).await;
    assert!(
        back.elapsed() <= Duration::from_secs(3),
        "{:?}",
        back.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_part_that_does_not_run_is_not_asked() {
    let bench = bench();
    advance(INTERVAL * 10).await;
    assert_eq!(bench.part.counts(), (0, 0));
    bench.url.send_replace(url(1));
    let mut glances = bench.part.glances.subscribe();
    glances.wait_for(|n| *n == 1).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_loss_is_noticed_and_a_recovery_is_proven_by_work() {
    let bench = bench();
    bench.url.send_replace(url(1));
    bench.part.broken.store(true, Ordering::SeqCst);
    until(&bench.board, |report| report.incidents_open == 1).await;
    bench.part.broken.store(false, Ordering::SeqCst);
    let (works, _) = bench.part.counts();
    until(&bench.board, |report| {
        report.components[0].state == ComponentState::Ok
    })
    .await;
    assert!(bench.part.counts().0 > works, "nothing proved it");
    assert_eq!(bench.board.report().incidents_open, 0);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_was_started_anew_is_probed_at_once() {
    let bench = bench();
    bench.url.send_replace(url(1));
    bench.part.broken.store(true, Ordering::SeqCst);
    // Long enough broken for a long rest.
    let mut glances = bench.part.glances.subscribe();
    glances.wait_for(|n| *n == 8).await.unwrap();
    bench.part.broken.store(false, Ordering::SeqCst);
    let began = Instant::now();
    bench.url.send_replace(url(2));
    until(&bench.board, |report| {
        report.components[0].state == ComponentState::Ok
    })
    .await;
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn probing_ends_with_the_daemon() {
    let bench = bench();
    bench.cancel.cancel();
    bench.tracker.close();
    bench.tracker.wait().await;
}

#[tokio::test]
async fn the_work_of_each_port_is_real() {
    let model = Arc::new(ScriptedModel::answering(|_| Script::text("yes and more")));
    let work = probes::one_token(model.clone() as Arc<dyn LanguageModel>);
    work().await.unwrap();
    assert_eq!(model.requests()[0].max_tokens, 1);
    model.push(Script::new().delta("y").fail(Trouble::Unavailable));
    assert!(work().await.is_err(), "a reply that breaks is no proof");

    let embedder = Arc::new(HashEmbedder::new());
    let work = probes::one_vector(embedder.clone() as Arc<dyn Embedder>);
    work().await.unwrap();
    assert_eq!(embedder.embedded(), 1);
    embedder.trouble(Trouble::Unavailable);
    assert!(work().await.is_err());

    let store = Arc::new(MemoryStore::new());
    let work = probes::count_points(store.clone() as Arc<dyn VectorStore>);
    assert!(
        work().await.is_err(),
        "a store that is not open does not count"
    );
    store.open(&embedder.identity()).await.unwrap();
    work().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_somebody_waited_for_in_vain_is_made_to_work_though_nobody_uses_it() {
    let bench = bench();
    bench.url.send_replace(url(1));
    let mut glances = bench.part.glances.subscribe();
    glances.wait_for(|n| *n == 1).await.unwrap();
    let limit = Duration::from_secs(5);
    let waited = bench.gate.in_turn::<()>(limit, std::future::pending());
    assert!(matches!(waited.await, Err(PortError::Busy { .. })));
    let began = Instant::now();
    let mut works = bench.part.works.subscribe();
    works.wait_for(|n| *n == 1).await.unwrap();
    assert!(began.elapsed().as_secs() < 1, "it was asked at once");
    assert!(!bench.gate.is_suspect());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_do_its_work_is_glanced_at_often_until_it_can() {
    let board = Board::new();
    let gate = Gate::new(
        board.slot(Component::Embedder, "weights"),
        Limits::call(Duration::from_secs(5)),
    );
    let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
    let there = Arc::new(AtomicBool::new(false));
    let seen = there.clone();
    let glance = check(move || {
        seen.load(Ordering::SeqCst)
            .then_some(())
            .ok_or(PortError::Refused {
                component: Component::Embedder,
                reason: "model.onnx is missing".to_owned(),
            })
    });
    Probe::new(gate, check(|| Ok(()))).glance(glance).start(
        Duration::from_secs(600),
        &tracker,
        cancel.clone(),
    );
    until(&board, |report| {
        report.components[0].state == ComponentState::Down
    })
    .await;
    there.store(true, Ordering::SeqCst);
    let mended = Instant::now();
    until(&board, |report| {
        report.components[0].state == ComponentState::Ok
    })
    .await;
    assert!(mended.elapsed() <= Duration::from_secs(2));
    cancel.cancel();
    tracker.close();
    tracker.wait().await;
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_panics_is_begun_anew() {
    let board = Board::new();
    let gate = Gate::new(
        board.slot(Component::VectorStore, "faulty"),
        Limits::call(Duration::from_secs(5)),
    );
    let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
    let probed = watch::Sender::new(0);
    let mut seen = probed.subscribe();
    let work = check(move || {
        probed.send_modify(|n| *n += 1);
        assert!(*probed.borrow() > 2, "a fault of this test's");
        Ok(())
    });
    Probe::new(gate, work).start(INTERVAL, &tracker, cancel.clone());
    let began = Instant::now();
    seen.wait_for(|n| *n == 3).await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_millis(250 + 500));
    cancel.cancel();
    tracker.close();
    tracker.wait().await;
}
