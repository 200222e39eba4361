//! The journal: every incident reaches the catalog as it finally was. Time is paused.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use griot::{
    catalog::Catalog,
    domain::{Component, Incident, IncidentId},
    health::{Board, Gate, Limits},
    ports::PortError,
};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

fn limits() -> Limits {
    Limits::call(Duration::from_secs(5))
}

async fn lose(gate: &Arc<Gate>) {
    for _ in 0..3 {
        let component = gate.component();
        let _ = gate
            .call(limits().first, async {
                Err::<(), _>(PortError::unavailable(component, "gone"))
            })
            .await;
    }
}

async fn find(gate: &Arc<Gate>) {
    gate.wake();
    gate.call(limits().first, async { Ok(()) }).await.unwrap();
}

/// What a catalog would hold, and whether its disk works.
#[derive(Default)]
struct Disk {
    full: AtomicBool,
    rows: Mutex<BTreeMap<IncidentId, Incident>>,
    writes: watch::Sender<usize>,
    refusals: watch::Sender<usize>,
}

#[derive(Debug, thiserror::Error)]
#[error("the disk is full")]
struct Full;

impl Disk {
    fn write(&self, batch: Vec<Incident>) -> Result<(), Full> {
        if self.full.load(Ordering::SeqCst) {
            self.refusals.send_modify(|n| *n += 1);
            return Err(Full);
        }
        let rows = batch.into_iter().map(|incident| (incident.id, incident));
        self.rows.lock().unwrap().extend(rows);
        self.writes.send_modify(|n| *n += 1);
        Ok(())
    }

    async fn written(&self, times: usize) {
        let mut writes = self.writes.subscribe();
        writes.wait_for(|n| *n >= times).await.unwrap();
    }

    fn rows(&self) -> Vec<Incident> {
        self.rows.lock().unwrap().values().cloned().collect()
    }
}

struct Bench {
    board: Arc<Board>,
    gate: Arc<Gate>,
    disk: Arc<Disk>,
    tracker: TaskTracker,
    cancel: CancellationToken,
}

fn bench() -> Bench {
    let board = Board::new();
    let gate = Gate::new(board.slot(Component::VectorStore, "edge"), limits());
    let disk = Arc::new(Disk::default());
    let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
    let write = {
        let disk = disk.clone();
        move |batch| {
            let result = disk.write(batch);
            async move { result }
        }
    };
    board.incidents().journal(write, &tracker, cancel.clone());
    Bench {
        board,
        gate,
        disk,
        tracker,
        cancel,
    }
}

#[tokio::test(start_paused = true)]
async fn an_incident_is_written_when_it_opens_and_when_it_closes() {
    let bench = bench();
    lose(&bench.gate).await;
    bench.disk.written(1).await;
    assert_eq!(bench.disk.rows()[0].closed, None);
    find(&bench.gate).await;
    bench.disk.written(2).await;
    assert!(bench.disk.rows()[0].closed.is_some());
    assert_eq!(bench.disk.rows(), bench.board.incidents().recent());
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_written_is_written_later_as_it_then_is() {
    let bench = bench();
    bench.disk.full.store(true, Ordering::SeqCst);
    lose(&bench.gate).await;
    let mut refusals = bench.disk.refusals.subscribe();
    refusals.wait_for(|n| *n >= 2).await.unwrap();
    bench.board.answered_without(&[Component::VectorStore]);
    bench.disk.full.store(false, Ordering::SeqCst);
    bench.disk.written(1).await;
    assert_eq!(bench.disk.rows(), bench.board.incidents().recent());
    assert_eq!(bench.disk.rows()[0].degraded_answers, 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_change_before_the_stop_is_written() {
    let bench = bench();
    lose(&bench.gate).await;
    bench.cancel.cancel();
    bench.tracker.close();
    bench.tracker.wait().await;
    assert_eq!(bench.disk.rows(), bench.board.incidents().recent());
    assert_eq!(bench.disk.rows().len(), 1);
}

#[tokio::test]
async fn incidents_are_kept_in_the_catalog_and_those_of_a_run_that_broke_off_are_closed() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Arc::new(Catalog::open(&folder.path().join("catalog.sqlite")).unwrap());
    // A run that ends without recovering, by being dropped as a whole.
    for _ in 0..2 {
        let board = Board::new();
        let gate = Gate::new(board.slot(Component::Embedder, "local"), limits());
        let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
        board
            .incidents()
            .keep_in(catalog.clone(), &tracker, cancel.clone())
            .await
            .unwrap();
        lose(&gate).await;
        cancel.cancel();
        tracker.close();
        tracker.wait().await;
    }
    let incidents = catalog.incidents(10).unwrap();
    assert_eq!(incidents.len(), 2);
    assert_eq!(incidents[0].closed, None, "the second run's, newest first");
    assert!(incidents[1].closed.is_some(), "the first run's");
    assert!(incidents[1].cause.contains("gone"));
}
