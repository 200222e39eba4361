//! What is no port and can fail all the same: the catalog's file, room on the disk, memory, and the child
//! processes that read documents. Each has a place on the board, a breaker and a probe like any other part.

use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
    path::Path,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    catalog::Catalog,
    config::HealthConfig,
    domain::{Component, FailureCode},
    health::{
        Board, Gate, Limits, Probe,
        machine::{Memory, free_bytes},
        probes::Check,
    },
    ingest::{
        Reader, Source,
        extract::{ExtractError, Extracted, Progress},
    },
    ports::PortError,
    shutdown::Shutdown,
    tasks::Tasks,
};

/// How long a look at the catalog, the disk or the memory may take.
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// How long reading a few words in a child may take, on a busy machine too.
const READ_LIMIT: Duration = Duration::from_secs(30);

/// A document waits so long before the children are tried again.
const READ_AGAIN: Duration = Duration::from_secs(1);

const MIB: u64 = 1024 * 1024;

/// How often it is looked whether the daemon's own tasks get on.
const TASKS_INTERVAL: Duration = Duration::from_secs(5);

/// Room on the disk and in memory is looked at this often: a look costs microseconds, and a disk fills up
/// within seconds.
const ROOM_INTERVAL: Duration = Duration::from_secs(1);

/// Watches catalog, disk, memory, and the daemon's own tasks.
pub(super) fn watch(
    catalog: &Arc<Catalog>,
    home: &Path,
    config: &HealthConfig,
    board: &Arc<Board>,
    shutdown: &Shutdown,
) {
    let usual = Duration::from_secs(config.interval_s);
    let (disk, memory) = (check_of_disk(home, config), check_of_memory(config));
    let tasks = check_of_tasks(&shutdown.tasks);
    let parts = [
        (
            Component::Catalog,
            "sqlite",
            check_of_catalog(catalog),
            usual,
        ),
        (Component::Disk, "library", disk, ROOM_INTERVAL),
        (Component::Memory, "machine", memory, ROOM_INTERVAL),
        (Component::Tasks, "own", tasks, TASKS_INTERVAL),
    ];
    for (component, part, check, interval) in parts {
        let gate = Gate::new(board.slot(component, part), Limits::call(LOOK_LIMIT));
        probe(gate, check, interval.min(usual), shutdown);
    }
}

fn probe(gate: Arc<Gate>, check: Check, interval: Duration, shutdown: &Shutdown) {
    Probe::new(gate, check).pulse(&shutdown.tasks).start(
        interval,
        &shutdown.tracker,
        shutdown.token.clone(),
    );
}

/// Whether each of the daemon's own tasks gets on.
fn check_of_tasks(tasks: &Tasks) -> Check {
    let tasks = tasks.clone();
    Box::new(move || {
        let late = tasks.late();
        Box::pin(async move {
            let Some(first) = late.first() else {
                return Ok(());
            };
            let mut named: Vec<&str> = late.iter().map(|late| late.task).collect();
            named.dedup();
            Err(PortError::unavailable(
                Component::Tasks,
                format!(
                    "{} got no further for {} min; where it stays so, restart griot and tell its makers",
                    named.join(", "),
                    first.at_it_for.as_secs() / 60
                ),
            ))
        })
    })
}

fn check_of_catalog(catalog: &Arc<Catalog>) -> Check {
    let catalog = Arc::clone(catalog);
    Box::new(move || {
        let catalog = Arc::clone(&catalog);
        Box::pin(async move {
            let checked = catalog.call(Catalog::check).await;
            checked.map_err(|error| PortError::unavailable(Component::Catalog, error))
        })
    })
}

fn check_of_disk(home: &Path, config: &HealthConfig) -> Check {
    let (home, least) = (home.to_owned(), config.min_disk_mib);
    Box::new(move || {
        let home = home.clone();
        Box::pin(async move {
            let lost = |error: String| PortError::unavailable(Component::Disk, error);
            let free = tokio::task::spawn_blocking(move || free_bytes(&home))
                .await
                .map_err(|error| lost(error.to_string()))?
                .map_err(|error| {
                    lost(format!("the disk of the library cannot be asked: {error}"))
                })?;
            if free / MIB >= least {
                return Ok(());
            }
            Err(lost(format!(
                "only {} MiB are free where the library is, {least} should be \
                 (`health.min_disk_mib`); free some space",
                free / MIB
            )))
        })
    })
}

fn check_of_memory(config: &HealthConfig) -> Check {
    let most = config.max_memory_percent as f64;
    Box::new(move || {
        Box::pin(async move {
            // Where the kernel does not say, nothing speaks against it.
            let percent = Memory::now().map_or(0.0, Memory::percent);
            if percent <= most {
                return Ok(());
            }
            Err(PortError::unavailable(
                Component::Memory,
                format!(
                    "{percent:.0} % of it are used, {most:.0} may be (`health.max_memory_percent`)"
                ),
            ))
        })
    })
}

/// Bytes that the language model's worker may have resident.
pub(super) fn worker_memory(config: &HealthConfig) -> Option<u64> {
    match config.worker_memory_mib {
        0 => Memory::now().map(|memory| memory.of / 10 * 9),
        mib => Some(mib * MIB),
    }
}

/// A reader whose failures to read anything at all are told from those of a document.
pub(super) fn watched_reader(
    reader: Arc<dyn Reader>,
    board: &Arc<Board>,
    config: &HealthConfig,
    shutdown: &Shutdown,
) -> Arc<dyn Reader> {
    let gate = Gate::new(
        board.slot(Component::Extractor, "griot extract"),
        Limits::call(READ_LIMIT),
    );
    let check: Check = Box::new({
        let reader = Arc::clone(&reader);
        move || {
            let reader = Arc::clone(&reader);
            Box::pin(async move { read_a_few_words(&*reader).await })
        }
    });
    let interval = Duration::from_secs(config.interval_s);
    probe(Arc::clone(&gate), check, interval, shutdown);
    Arc::new(Watched { reader, gate })
}

struct Watched {
    reader: Arc<dyn Reader>,
    gate: Arc<Gate>,
}

#[async_trait]
impl Reader for Watched {
    /// While no document at all can be read (no process can be started), this one waits.
    async fn read(
        &self,
        mut original: File,
        source: &Source,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Extracted, ExtractError> {
        loop {
            let again = original.try_clone();
            let read = self.reader.read(original, source, progress).await;
            let Err(error) = &read else { return read };
            if error.code != FailureCode::Internal {
                return read;
            }
            // Is it the document's fault, or would every other fail as well?
            let check = self.gate.call(READ_LIMIT, read_a_few_words(&*self.reader));
            let (Err(_), Ok(again)) = (check.await, again) else {
                return read;
            };
            original = again;
            tokio::time::sleep(READ_AGAIN).await;
            if original.seek(SeekFrom::Start(0)).is_err() {
                return read;
            }
        }
    }
}

/// One unit of the readers' work.
async fn read_a_few_words(reader: &dyn Reader) -> Result<(), PortError> {
    let lost = |error: String| PortError::unavailable(Component::Extractor, error);
    let file = || -> std::io::Result<File> {
        let mut file = tempfile::tempfile()?;
        file.write_all(b"A few words.")?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    };
    let file =
        file().map_err(|error| lost(format!("a file to try it with cannot be made: {error}")))?;
    let source = Source {
        name: "probe.txt".to_owned(),
        password: None,
    };
    let read = reader.read(file, &source, &|_| {}).await;
    read.map(drop).map_err(|error| {
        lost(format!(
            "not even a few words can be read: {}",
            error.message
        ))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::{domain::MediaType, health::ComponentState};

    /// Fails so often whatever it is given, and always the documents called `bad`.
    struct Failing(AtomicUsize);

    #[async_trait]
    impl Reader for Failing {
        async fn read(
            &self,
            _: File,
            source: &Source,
            _: &(dyn Fn(Progress) + Send + Sync),
        ) -> Result<Extracted, ExtractError> {
            let left = self
                .0
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                    left.checked_sub(1)
                });
            if left.is_ok() || source.name == "bad" {
                return Err(ExtractError::new(
                    FailureCode::Internal,
                    "no process can be started",
                ));
            }
            Ok(Extracted {
                media_type: MediaType::Text,
                title: None,
                text: String::new(),
                paged: false,
                pages: Vec::new(),
                sections: Vec::new(),
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_document_waits_while_none_can_be_read_and_fails_where_it_alone_does() {
        let board = Board::new();
        let shutdown = Shutdown::new();
        let reader = watched_reader(
            Arc::new(Failing(AtomicUsize::new(20))),
            &board,
            &HealthConfig::default(),
            &shutdown,
        );
        let read = async |name: &str| {
            let source = Source {
                name: name.to_owned(),
                password: None,
            };
            reader
                .read(tempfile::tempfile().unwrap(), &source, &|_| {})
                .await
        };
        assert!(read("good").await.is_ok(), "it did not wait");
        assert_eq!(board.incidents().recent().len(), 1, "nobody was told");
        assert!(read("bad").await.is_err());
        let mut changes = board.changes();
        while board.state(Component::Extractor) != Some(ComponentState::Ok) {
            changes.changed().await.unwrap();
        }
        shutdown.drain(Duration::from_secs(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_gets_no_further_is_an_incident_until_it_does() {
        let (board, shutdown) = (Board::new(), Shutdown::new());
        let gate = Gate::new(
            board.slot(Component::Tasks, "own"),
            Limits::call(LOOK_LIMIT),
        );
        probe(
            gate,
            check_of_tasks(&shutdown.tasks),
            TASKS_INTERVAL,
            &shutdown,
        );
        let mut changes = board.changes();
        let mut until = async |state| {
            while board.state(Component::Tasks) != Some(state) {
                changes.changed().await.unwrap();
            }
        };
        let pulse = shutdown
            .tasks
            .pulse("ingest.embed", Duration::from_secs(60));
        let work = pulse.begin();
        until(ComponentState::Down).await;
        let incident = board.incidents().recent().remove(0);
        assert!(
            incident
                .cause
                .contains("ingest.embed got no further for 1 min"),
            "{}",
            incident.cause
        );
        drop(work);
        until(ComponentState::Ok).await;
        assert!(board.incidents().recent()[0].closed.is_some());
        shutdown.drain(Duration::from_secs(1)).await;
    }

    #[tokio::test]
    async fn what_is_left_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let config = HealthConfig::default();
        let modest = HealthConfig {
            min_disk_mib: 0,
            max_memory_percent: 100,
            worker_memory_mib: 7,
            ..config
        };
        let greedy = HealthConfig {
            min_disk_mib: u64::MAX,
            max_memory_percent: 0,
            ..modest.clone()
        };
        assert!(check_of_disk(folder.path(), &modest)().await.is_ok());
        assert!(check_of_memory(&modest)().await.is_ok());
        for error in [
            check_of_disk(folder.path(), &greedy)().await.unwrap_err(),
            check_of_memory(&greedy)().await.unwrap_err(),
        ] {
            assert!(
                error.is_fault() && error.to_string().contains("`health.m"),
                "{error}"
            );
        }
        let catalog = Arc::new(Catalog::open(&folder.path().join("catalog.sqlite")).unwrap());
        assert!(check_of_catalog(&catalog)().await.is_ok());
        assert_eq!(worker_memory(&modest), Some(7 * MIB));
    }
}
