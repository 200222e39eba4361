//! The daemon is killed again and again, at moments of chance and at every named point, while clients
//! upload, delete, send again, process again and ask, and files in a watched folder come, change and go.
//!
//! `GRIOT_CRASH_KILLS` (200) says how often, `GRIOT_CRASH_SEED` (1) what chance does.

use std::{collections::BTreeMap, time::Duration};

use griot::failpoints::{Point, VARIABLE};

use crate::{
    audit,
    chance::Chance,
    daemon::{Client, Daemon, Home, entries, until},
    oracle::{Lost, Oracle},
    shelf::Shelf,
};

/// Clients that work at the same time.
const CLIENTS: u64 = 3;
/// Kills between two looks at everything.
const BETWEEN_CHECKS: u64 = 20;
/// How long a daemon may work before it counts as having missed a point it was to die at.
const LONG_ENOUGH: Duration = Duration::from_secs(15);
/// The same for the run that has to come by the point, on a machine that may be busy.
const LONGEST: Duration = Duration::from_secs(120);
/// Operations of each client in a run that is to come to rest.
const A_FEW: usize = 12;
/// Between two changes in the watched folder.
const EDIT: Duration = Duration::from_millis(100);
/// Documents in work at a kill of ours are innocent.
const NEVER_QUARANTINE: (&str, &str) = ("GRIOT__INGEST__MAX_TRIES", "1000");
const WATCH: &str = "GRIOT__INGEST__WATCH";

/// When a run ends.
#[derive(Debug)]
enum End {
    After(Duration),
    At {
        point: Point,
        time: u64,
        patience: Duration,
    },
}

impl End {
    /// Whether what it waits for comes when nothing else is done.
    fn comes_at_rest(&self) -> bool {
        let at_rest = [
            Point::IndexWritten,
            Point::IndexAside,
            Point::IndexExchanged,
        ];
        matches!(self, Self::At { point, .. } if at_rest.contains(point))
    }
}

struct World {
    home: Home,
    oracles: Vec<Oracle>,
    shelf: Shelf,
    chance: Chance,
}

impl World {
    /// One run of the daemon, from its start to its violent end. Whether it died at its point.
    async fn run(&mut self, end: &End) -> bool {
        let plan = match end {
            End::After(_) => String::new(),
            End::At { point, time, .. } => format!("{}@{time}=kill", point.name()),
        };
        let watch = self.shelf.setting();
        let environment = [
            (VARIABLE, plan.as_str()),
            NEVER_QUARANTINE,
            (WATCH, watch.as_str()),
        ];
        let mut daemon = match self
            .home
            .start(&environment[usize::from(plan.is_empty())..])
        {
            Ok(daemon) => daemon,
            Err(status) => {
                use std::os::unix::process::ExitStatusExt;
                assert_eq!(status.signal(), Some(9), "{end:?}: {}", self.home.said());
                return true;
            }
        };
        let client = daemon.client();
        if let Ok(listed) = client.documents().await {
            self.settle(listed);
        }
        let chances: Vec<_> = self.oracles.iter().map(|_| self.chance.branch()).collect();
        let operations = if end.comes_at_rest() {
            A_FEW
        } else {
            usize::MAX
        };
        let workers = self
            .oracles
            .iter_mut()
            .zip(chances)
            .map(|(oracle, mut chance)| {
                let client = client.clone();
                async move {
                    for _ in 0..operations {
                        if oracle.act(&client, &mut chance).await.is_err() {
                            break;
                        }
                    }
                }
            });
        let (shelf, mut chance) = (&mut self.shelf, self.chance.branch());
        let edits = async {
            for _ in 0..operations {
                shelf.act(&mut chance);
                tokio::time::sleep(EDIT).await;
            }
            std::future::pending().await
        };
        let end_of_it = async {
            tokio::select! {
                hit = die(&mut daemon, end) => hit,
                () = edits => unreachable!("it never ends"),
            }
        };
        let (_, hit) = tokio::join!(futures::future::join_all(workers), end_of_it);
        daemon.kill();
        hit
    }

    fn settle(&mut self, listed: Vec<serde_json::Value>) {
        let id = |document: &serde_json::Value| document["id"].as_str().unwrap().to_owned();
        let mut listed: BTreeMap<_, _> = listed.into_iter().map(|d| (id(&d), d)).collect();
        for oracle in &mut self.oracles {
            oracle.settle(&mut listed);
        }
        Shelf::settle(&mut listed);
        assert!(listed.is_empty(), "documents of nobody: {listed:?}");
    }

    /// A run in peace: everything becomes searchable, and everything is looked at.
    async fn check(&mut self) {
        let watch = self.shelf.setting();
        let daemon = self.home.run(&[NEVER_QUARANTINE, (WATCH, watch.as_str())]);
        let client = daemon.client();
        self.settle(client.documents().await.unwrap());
        for oracle in &self.oracles {
            oracle.check(&client).await.unwrap();
        }
        self.shelf.check(&client).await.unwrap();
        let path = &self.home.path;
        let catalog = audit::catalog(path);
        until("nothing is left over", async || {
            catalog.cleanups().unwrap().is_empty()
                && catalog.loose_originals().unwrap().is_empty()
                && entries(&path.join("in-work")).is_empty()
        })
        .await;
        drop(catalog);
        daemon.stop();
        audit::audit(path).await;
    }
}

/// Waits for the end of a daemon, or brings it about. Whether it came by itself.
async fn die(daemon: &mut Daemon, end: &End) -> bool {
    let patience = match end {
        End::After(time) => *time,
        End::At { patience, .. } => *patience,
    };
    let began = tokio::time::Instant::now();
    while began.elapsed() < patience {
        if daemon.is_dead() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    daemon.kill_now();
    false
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("it is a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_it_keeps_what_it_acknowledged() {
    let kills = setting("GRIOT_CRASH_KILLS", 200);
    let seed = setting("GRIOT_CRASH_SEED", 1);
    let home = Home::new();
    let mut world = World {
        shelf: Shelf::new(&home),
        home,
        oracles: (0..CLIENTS).map(|n| Oracle::new(n, CLIENTS)).collect(),
        chance: Chance::new(seed),
    };
    let began = std::time::Instant::now();
    let mut missed = Vec::new();
    for kill in 0..kills {
        let point = Point::ALL.get(kill as usize);
        let end = match (point, world.chance.below(2)) {
            // Each point once for sure.
            (Some(point), _) => End::At {
                point: *point,
                time: 1,
                patience: LONGEST,
            },
            (None, 0) => End::At {
                point: *world.chance.of(Point::ALL).unwrap(),
                time: 1 + world.chance.below(6),
                patience: LONG_ENOUGH,
            },
            (None, _) => End::After(Duration::from_millis(world.chance.below(600))),
        };
        let hit = world.run(&end).await;
        if let (Some(point), false) = (point, hit) {
            missed.push(point.name());
        }
        if (kill + 1) % BETWEEN_CHECKS == 0 || kill + 1 == kills {
            world.check().await;
        }
    }
    println!(
        "{kills} kills in {:.0} s (seed {seed}): {} operations answered, {} documents and {} watched files \
         there in the end",
        began.elapsed().as_secs_f64(),
        world
            .oracles
            .iter()
            .map(|oracle| oracle.answered)
            .sum::<u64>(),
        world
            .oracles
            .iter()
            .map(Oracle::present_count)
            .sum::<usize>(),
        world.shelf.files(),
    );
    assert_eq!(missed, [""; 0], "points that nothing came by");
}

/// So that `Lost` is what a client sees of a kill, and nothing else.
#[tokio::test]
async fn a_killed_daemon_is_lost_to_its_clients() {
    let home = Home::new();
    let daemon = home.run(&[]);
    let client: Client = daemon.client();
    daemon.kill();
    let Lost = client.documents().await.unwrap_err().into();
}
