//! Alerts at their targets: servers of the test's own, and a mail server out of a Python package.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, http::HeaderMap, http::StatusCode, routing::post};
use griot::{
    alerts::{
        self, Kind, Notice, Target, TargetError,
        signature::{self, DELIVERY, SIGNATURE, TIMESTAMP},
    },
    config::AlertsConfig,
    domain::Component,
    health::Board,
    tasks::Tasks,
};
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

type Received = (HeaderMap, Bytes);

/// A server that keeps what it gets, and answers with these statuses, the last one for ever.
async fn receiver(statuses: &'static [u16]) -> (String, Arc<Mutex<Vec<Received>>>) {
    let received: Arc<Mutex<Vec<Received>>> = Arc::default();
    let kept = Arc::clone(&received);
    let router = Router::new().route(
        "/hook",
        post(async move |headers: HeaderMap, body: Bytes| {
            let mut kept = kept.lock().unwrap();
            kept.push((headers, body));
            let at = (kept.len() - 1).min(statuses.len() - 1);
            StatusCode::from_u16(statuses[at]).unwrap()
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, received)
}

fn only(config: &AlertsConfig) -> Target {
    let mut targets = Target::all(config);
    assert_eq!(targets.len(), 1);
    targets.remove(0).unwrap()
}

fn webhook(url: String) -> AlertsConfig {
    AlertsConfig {
        webhook: Some(url),
        webhook_secret: Some("secret".to_owned()),
        ..AlertsConfig::default()
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers[name].to_str().unwrap()
}

#[tokio::test]
async fn a_webhook_is_signed_and_tried_again_while_its_server_is_unwell() {
    let (url, received) = receiver(&[503, 200]).await;
    let notice = Notice::test();
    only(&webhook(url)).deliver(&notice).await.unwrap();
    let received = received.lock().unwrap();
    assert_eq!(received.len(), 2);
    for (headers, body) in received.iter() {
        let timestamp: u64 = text(headers, TIMESTAMP).parse().unwrap();
        let signed = text(headers, SIGNATURE);
        let delivery = text(headers, DELIVERY);
        signature::verify("secret", timestamp, delivery, signed, body, timestamp).unwrap();
        let body: Value = serde_json::from_slice(body).unwrap();
        assert_eq!(body["kind"], "test");
        assert_eq!(body["summary"], notice.summary);
    }
    // Twice the same message, and it says so.
    assert_eq!(
        text(&received[0].0, DELIVERY),
        text(&received[1].0, DELIVERY)
    );
}

#[tokio::test]
async fn each_message_has_a_number_of_its_own() {
    let (url, received) = receiver(&[200]).await;
    let target = only(&webhook(url));
    for _ in 0..2 {
        target.deliver_once(&Notice::test()).await.unwrap();
    }
    let received = received.lock().unwrap();
    assert_ne!(
        text(&received[0].0, DELIVERY),
        text(&received[1].0, DELIVERY)
    );
}

#[tokio::test]
async fn what_is_refused_is_not_repeated() {
    let (url, received) = receiver(&[400]).await;
    let delivered = only(&webhook(url)).deliver(&Notice::test()).await;
    assert!(
        matches!(delivered, Err(TargetError::Refused { .. })),
        "{delivered:?}"
    );
    assert_eq!(received.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn slack_gets_one_line() {
    let (url, received) = receiver(&[200]).await;
    let config = AlertsConfig {
        slack: Some(url),
        ..AlertsConfig::default()
    };
    only(&config).deliver_once(&Notice::test()).await.unwrap();
    let body: Value = serde_json::from_slice(&received.lock().unwrap()[0].1).unwrap();
    assert_eq!(body.as_object().unwrap().len(), 1);
    assert!(body["text"].as_str().unwrap().contains("nothing is wrong"));
}

#[test]
fn targets_that_cannot_work_say_which_setting_is_to_blame() {
    let check = |change: fn(&mut AlertsConfig), expected: &str| {
        let mut config = AlertsConfig::default();
        change(&mut config);
        let error = Target::all(&config).remove(0).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    };
    check(
        |c| c.webhook = Some("http://127.0.0.1/".into()),
        "`alerts.webhook_secret`",
    );
    check(|c| c.slack = Some("hunter2".into()), "`alerts.slack`");
    check(|c| c.smtp = Some("smtp://h".into()), "`alerts.mail_from`");
    let mail = |c: &mut AlertsConfig| {
        c.smtp = Some("nonsense://a:hunter2@h".into());
        c.mail_from = Some("griot@example.org".into());
        c.mail_to = vec!["me@example.org".into()];
    };
    check(mail, "`alerts.smtp`");
    assert!(Target::all(&AlertsConfig::default()).is_empty());
}

#[tokio::test]
async fn a_loss_is_told_once_and_its_end_too() {
    let (url, received) = receiver(&[200]).await;
    let board = Board::new();
    let slot = board.slot(Component::Embedder, "part");
    let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
    slot.missing("it is gone");
    let config = AlertsConfig {
        down_s: 1,
        cpu_percent: 0,
        memory_percent: 0,
        disk_mib: 0,
        ..webhook(url)
    };
    let mut rules = alerts::Rules::new(&config);
    let target = only(&config);
    let observation = |down: bool| alerts::Observation {
        down: down
            .then(|| (Component::Embedder, Some("it is gone".to_owned())))
            .into_iter()
            .collect(),
        ..alerts::Observation::default()
    };
    let began = std::time::Instant::now();
    for second in 0..100 {
        let now = began + Duration::from_secs(second);
        for notice in rules.observe(now, &observation(second < 50)) {
            target.deliver(&notice).await.unwrap();
        }
    }
    let kinds: Vec<Value> = received
        .lock()
        .unwrap()
        .iter()
        .map(|(_, body)| serde_json::from_slice::<Value>(body).unwrap()["kind"].clone())
        .collect();
    assert_eq!(kinds, [Kind::Firing.as_str(), Kind::Resolved.as_str()]);
    // The task over the same rules ends with the daemon, whatever it is at.
    let (_sender, settings) = watch::channel(config);
    alerts::start(
        settings,
        board,
        std::env::temp_dir(),
        &Tasks::default(),
        &tracker,
        cancel.clone(),
    );
    cancel.cancel();
    tracker.close();
    tracker.wait().await;
}

/// Counts the alerts in the log.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<usize>>);

impl tracing::Subscriber for Told {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let is_alert = event.metadata().target() == "griot::alerts";
        *self.0.lock().unwrap() += usize::from(is_alert);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn the_rules_go_on_when_nobody_can_change_them_any_more() {
    let board = Board::new();
    let slot = board.slot(Component::Embedder, "part");
    let config = AlertsConfig {
        down_s: 60,
        cpu_percent: 0,
        memory_percent: 0,
        disk_mib: 0,
        ..AlertsConfig::default()
    };
    let (sender, settings) = watch::channel(config);
    drop(sender);
    let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
    let told = Told::default();
    let _heard = tracing::subscriber::set_default(told.clone());
    alerts::start(
        settings,
        board,
        std::env::temp_dir(),
        &Tasks::default(),
        &tracker,
        cancel.clone(),
    );
    slot.missing("it is gone");
    tokio::time::sleep(Duration::from_secs(90)).await;
    cancel.cancel();
    tracker.close();
    tracker.wait().await;
    assert_eq!(*told.0.lock().unwrap(), 1);
}

/// Prints its port, then each message it gets, until its input closes.
const MAIL_SERVER: &str = r"
import socket, sys
from aiosmtpd.controller import Controller
class Keep:
    async def handle_DATA(self, server, session, envelope):
        print(envelope.mail_from, ','.join(envelope.rcpt_tos), envelope.content.decode().replace('\r\n', '|'), flush=True)
        return '250 OK'
with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    port = free.getsockname()[1]
controller = Controller(Keep(), hostname='127.0.0.1', port=port)
controller.start()
print(port, flush=True)
sys.stdin.read()
controller.stop()
";

#[tokio::test]
async fn mail_arrives_at_a_real_server() {
    let folder = tempfile::tempdir().unwrap();
    let installed = Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--target",
        ])
        .arg(folder.path())
        .arg("aiosmtpd==1.4.6")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !installed.is_ok_and(|status| status.success()) {
        println!("skipped: pip gives no aiosmtpd here");
        return;
    }
    let mut server = Command::new("python3")
        .args(["-c", MAIL_SERVER])
        .env("PYTHONPATH", folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let port = lines.next().unwrap().unwrap();
    let config = AlertsConfig {
        smtp: Some(format!("smtp://127.0.0.1:{port}")),
        mail_from: Some("Griot <griot@example.org>".to_owned()),
        mail_to: vec!["me@example.org".to_owned(), "you@example.org".to_owned()],
        ..AlertsConfig::default()
    };
    only(&config).deliver_once(&Notice::test()).await.unwrap();
    let message = lines.next().unwrap().unwrap();
    assert!(
        message.starts_with("griot@example.org me@example.org,you@example.org "),
        "{message}"
    );
    assert!(
        message.contains("Subject: [griot] test: test|"),
        "{message}"
    );
    assert!(message.contains("nothing is wrong"), "{message}");
    drop(server.stdin.take());
    server.wait().unwrap();
}
