//! Real child processes, small ones: shell scripts that behave, die, hang and lie. The clock is real
//! here; nothing sleeps and nothing depends on how fast the machine is.

use std::{path::Path, sync::Arc, time::Duration};

use griot::{
    domain::Component,
    health::{Board, ChildSpec, ComponentState, HealthReport, Supervisor, Url, restarts::Patience},
};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::until;

/// No such variable is set anywhere.
const NO_VARIABLE: &str = "GRIOT_TEST_NO_SUCH_VARIABLE";

/// Restarts at once, and gives up as the real one does.
const HASTY: Patience = Patience {
    first: Duration::from_millis(1),
    longest: Duration::from_millis(2),
    most: 5,
    within: Duration::from_secs(3600),
    given_up: Duration::from_secs(3600),
    healthy: Duration::from_secs(3600),
};

struct Bench {
    board: Arc<Board>,
    url: watch::Receiver<Option<Url>>,
    tracker: TaskTracker,
    cancel: CancellationToken,
}

fn start(spec: ChildSpec) -> Bench {
    let board = Board::new();
    let slot = board.slot(Component::LanguageModel, "embedded");
    let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
    let url = Supervisor::start(spec.patience(HASTY), slot, &tracker, cancel.clone());
    Bench {
        board,
        url,
        tracker,
        cancel,
    }
}

/// A shell that runs `script` in `folder`.
fn shell(folder: &Path, script: &str) -> ChildSpec {
    let script = format!("cd '{}'; {script}", folder.display());
    ChildSpec::new("sh", NO_VARIABLE).args(["-c", &script])
}

impl Bench {
    async fn listening(&mut self, port: u16) {
        let at = move |url: &Option<Url>| url.as_ref().is_some_and(|u| u.port() == Some(port));
        self.url.wait_for(at).await.expect("the supervisor runs");
    }

    async fn until(&self, wanted: impl FnMut(&HealthReport) -> bool) -> HealthReport {
        until(&self.board, wanted).await
    }

    async fn stop(self) {
        self.cancel.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

fn state(report: &HealthReport) -> ComponentState {
    report.components[0].state
}

fn error(report: &HealthReport) -> &str {
    report.components[0].last_error.as_deref().unwrap_or("")
}

#[tokio::test]
async fn a_child_is_started_and_ends_when_its_input_closes() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo starting; echo listening http://127.0.0.1:1; cat; echo bye > bye";
    let mut bench = start(shell(folder.path(), script));
    assert_eq!(bench.board.ready(), Err(vec![Component::LanguageModel]));
    bench.listening(1).await;
    assert_eq!(bench.board.ready(), Ok(()));
    assert_eq!(state(&bench.board.report()), ComponentState::Ok);
    bench.stop().await;
    // Written after its input closed, before the supervisor's task ended: it was waited for.
    assert!(folder.path().join("bye").exists());
}

#[tokio::test]
async fn a_child_that_does_not_end_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo $$ > pid; echo listening http://127.0.0.1:1; exec sleep 3600";
    let spec = shell(folder.path(), script).stop_limit(Duration::from_millis(10));
    let mut bench = start(spec);
    bench.listening(1).await;
    let pid = std::fs::read_to_string(folder.path().join("pid")).unwrap();
    bench.stop().await;
    assert!(!Path::new("/proc").join(pid.trim()).exists());
}

#[tokio::test]
async fn a_child_that_dies_is_started_again_and_the_incident_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let script = "if [ -e died ]; then echo listening http://127.0.0.1:2; exec cat; fi; \
         touch died; echo listening http://127.0.0.1:1; echo loading >&2; echo out of memory >&2; exit 3";
    let mut bench = start(shell(folder.path(), script));
    bench.listening(2).await;
    let report = bench
        .until(|report| state(report) == ComponentState::Ok)
        .await;
    assert_eq!(report.components[0].restarts, 1);
    assert_eq!(report.components[0].last_error, None);
    assert_eq!(report.incidents_open, 0);
    let incidents = bench.board.incidents().recent();
    assert_eq!(incidents.len(), 1);
    assert_eq!(
        incidents[0].cause,
        "sh ended (exit status: 3): out of memory"
    );
    assert_eq!(incidents[0].action, "restarted once");
    assert!(incidents[0].closed.is_some());
    bench.stop().await;
}

#[tokio::test]
async fn a_child_that_keeps_dying_is_left_alone_for_everybody_to_see() {
    let folder = tempfile::tempdir().unwrap();
    let bench = start(shell(
        folder.path(),
        "echo x >> starts; echo no luck >&2; exit 1",
    ));
    let report = bench
        .until(|report| error(report).contains("ended more than 5 times"))
        .await;
    assert_eq!(state(&report), ComponentState::Down);
    assert_eq!(report.incidents_open, 1);
    assert!(error(&report).ends_with("Last: sh ended (exit status: 1): no luck"));
    let starts = std::fs::read_to_string(folder.path().join("starts")).unwrap();
    assert_eq!(starts.lines().count(), 6, "the first start and 5 restarts");
    assert_eq!(bench.board.ready(), Ok(()), "answers go on without it");
    bench.stop().await;
}

#[tokio::test]
async fn a_child_that_was_left_alone_gets_another_chance() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo x >> starts; [ $(wc -l < starts) -gt 6 ] || exit 1; \
         echo listening http://127.0.0.1:1; exec cat";
    let patient = Patience {
        given_up: Duration::from_millis(1),
        ..HASTY
    };
    let board = Board::new();
    let slot = board.slot(Component::LanguageModel, "embedded");
    let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
    let spec = shell(folder.path(), script).patience(patient);
    let url = Supervisor::start(spec, slot, &tracker, cancel.clone());
    let mut bench = Bench {
        board,
        url,
        tracker,
        cancel,
    };
    bench.listening(1).await;
    let report = bench
        .until(|report| state(report) == ComponentState::Ok)
        .await;
    assert_eq!(report.incidents_open, 0);
    bench.stop().await;
}

#[tokio::test]
async fn a_child_that_never_says_where_it_listens_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    for (script, why) in [
        ("exec cat", "did not say within 10ms where it listens"),
        (
            // Neither addresses elsewhere nor other noise are believed.
            "echo listening http://192.0.2.1:80; echo listening; echo listening nowhere; \
             echo listening ftp://127.0.0.1:1; echo listening http://127.0.0.1; exec cat",
            "did not say within 10ms where it listens",
        ),
        ("exec >/dev/null; exec cat", "closed its output"),
    ] {
        let spec = shell(folder.path(), script).start_limit(Duration::from_millis(10));
        let bench = start(spec);
        bench.until(|report| error(report).contains(why)).await;
        assert_eq!(*bench.url.borrow(), None);
        bench.stop().await;
    }
}

#[tokio::test]
async fn a_missing_program_or_file_is_named_with_what_to_do() {
    let spec = ChildSpec::new("griot-no-such-worker", NO_VARIABLE);
    let bench = start(spec);
    let report = bench
        .until(|report| state(report) == ComponentState::Down)
        .await;
    assert_eq!(
        error(&report),
        "the program griot-no-such-worker was found neither beside griot nor in PATH; install it \
         there or name it in GRIOT_TEST_NO_SUCH_VARIABLE"
    );
    assert_eq!(report.incidents_open, 0, "nothing was lost");
    assert_eq!(bench.board.ready(), Ok(()));
    bench.stop().await;
}

#[tokio::test]
async fn a_file_that_arrives_later_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("weights.gguf");
    let spec = shell(folder.path(), "echo listening http://127.0.0.1:1; exec cat")
        .needs(&weights, "run `griot models pull`")
        .look_again(Duration::from_millis(1));
    let mut bench = start(spec);
    let report = bench
        .until(|report| state(report) == ComponentState::Down)
        .await;
    assert_eq!(
        error(&report),
        format!("{} is missing; run `griot models pull`", weights.display())
    );
    std::fs::write(&weights, "weights").unwrap();
    bench.listening(1).await;
    let report = bench
        .until(|report| state(report) == ComponentState::Ok)
        .await;
    assert_eq!(report.components[0].restarts, 0, "its first start");
    bench.stop().await;
}

#[tokio::test]
async fn a_child_that_talks_without_end_is_read_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    // Far more than a pipe holds, in lines and without an end of line, on both outputs. A child that
    // is blocked by a full pipe never comes to its second run.
    let script = "if [ -e said ]; then echo listening http://127.0.0.1:2; exec cat; fi; \
         echo listening http://127.0.0.1:1; yes | head -c 1000000; head -c 1000000 /dev/zero; \
         yes | head -c 1000000 >&2; head -c 1000000 /dev/zero >&2; touch said";
    let mut bench = start(shell(folder.path(), script));
    bench.listening(2).await;
    bench.stop().await;
}

#[tokio::test]
async fn a_child_does_not_see_the_daemons_environment() {
    let folder = tempfile::tempdir().unwrap();
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let script = "env > env; echo listening http://127.0.0.1:1; exec cat";
    let mut bench = start(shell(folder.path(), script));
    bench.listening(1).await;
    let env = std::fs::read_to_string(folder.path().join("env")).unwrap();
    assert!(env.contains("PATH="));
    assert!(!env.contains("CARGO_MANIFEST_DIR"), "{env}");
    bench.stop().await;
}

#[tokio::test]
async fn a_child_that_hangs_is_ended_and_started_anew() {
    let folder = tempfile::tempdir().unwrap();
    // It stops as by SIGSTOP: it does not hear that its input closed.
    let script = "if [ -e stopped ]; then echo listening http://127.0.0.1:2; exec cat; fi; \
         touch stopped; echo one >&2; echo two >&2; echo listening http://127.0.0.1:1; exec sleep 3600";
    let board = Board::new();
    let slot = board.slot(Component::LanguageModel, "embedded");
    let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
    let spec = shell(folder.path(), script).patience(HASTY);
    let mut url = Supervisor::start(spec, slot.clone(), &tracker, cancel.clone());
    let at = |url: &Option<Url>| url.as_ref().and_then(Url::port);
    url.wait_for(|url| at(url) == Some(1)).await.unwrap();
    let gate =
        griot::health::Gate::new(slot, griot::health::Limits::call(Duration::from_millis(20)));
    let silent =
        || -> griot::health::probes::Check { Box::new(|| Box::pin(std::future::pending())) };
    griot::health::Probe::new(gate, silent())
        .glance(silent())
        .supervised(url.clone())
        .start(Duration::from_secs(3600), &tracker, cancel.clone());
    url.wait_for(|url| at(url) == Some(2)).await.unwrap();
    let incident = &board.incidents().recent()[0];
    let texts: Vec<&str> = incident
        .events
        .iter()
        .map(|event| event.text.as_str())
        .collect();
    let wanted = ["gave no sign of life", "one", "two", "started again"];
    let mut rest = texts.iter();
    for text in wanted {
        assert!(
            rest.any(|found| found.contains(text)),
            "{text} is missing in {texts:?}"
        );
    }
    cancel.cancel();
    tracker.close();
    tracker.wait().await;
}

#[tokio::test]
async fn a_child_that_is_stopped_or_outgrows_its_memory_is_started_anew() {
    for (unfit, why) in [
        ("kill -STOP $$", "SIGSTOP"),
        ("exec cat", "bytes of memory"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let script = format!(
            "if [ -e was ]; then echo listening http://127.0.0.1:2; exec cat; fi; touch was; \
             echo listening http://127.0.0.1:1; {unfit}"
        );
        let mut spec = shell(folder.path(), &script).look_at_it(Duration::from_millis(1));
        if why.contains("memory") {
            spec = spec.memory(1);
        }
        let bench = start(spec);
        let mut changes = bench.board.changes();
        while bench.board.incidents().recent().is_empty() {
            changes.changed().await.unwrap();
        }
        let incidents = bench.board.incidents().recent();
        let cause = &incidents.last().unwrap().cause;
        assert!(
            cause.contains("sh was ended") && cause.contains(why),
            "{cause}"
        );
        bench.stop().await;
    }
}
