//! What the board shows, and when it opens and closes incidents.

use std::{sync::Arc, time::Duration};

use griot::{
    domain::Component,
    health::{Board, ComponentState, Gate, Limits, Overall, Slot},
    ports::PortError,
};

fn limits() -> Limits {
    Limits::call(Duration::from_secs(5))
}

async fn fault(gate: &Arc<Gate>) {
    let component = gate.component();
    let result = gate
        .call(limits().first, async {
            Err::<(), _>(PortError::unavailable(component, "connection refused"))
        })
        .await;
    assert!(result.is_err());
}

async fn work(gate: &Arc<Gate>) {
    gate.call(limits().first, async { Ok(()) }).await.unwrap();
}

fn board_with(components: &[Component]) -> (Arc<Board>, Vec<Slot>) {
    let board = Board::new();
    let slots = components
        .iter()
        .map(|component| board.slot(*component, "part"))
        .collect();
    (board, slots)
}

#[tokio::test(start_paused = true)]
async fn the_report_is_the_promised_json() {
    let (board, slots) = board_with(&[Component::VectorStore, Component::Catalog]);
    board.off(Component::Transcriber);
    let gate = Gate::new(slots[0].clone(), limits());
    gate.call(limits().first, async {
        tokio::time::sleep(Duration::from_millis(7)).await;
        Ok(())
    })
    .await
    .unwrap();
    let mut json = serde_json::to_value(board.report()).unwrap();
    for component in json["components"].as_array_mut().unwrap() {
        let since = component["since"].take();
        let since: jiff::Timestamp = since.as_str().unwrap().parse().unwrap();
        assert!(since <= jiff::Timestamp::now());
    }
    assert_eq!(
        json,
        serde_json::json!({
            "status": "ok",
            "components": [
                {"name": "catalog", "state": "ok", "breaker": "closed", "held": false, "since": null,
                 "latency_ms": null, "last_error": null, "restarts": 0},
                {"name": "vector_store", "state": "ok", "breaker": "closed", "held": false, "since": null,
                 "latency_ms": 7, "last_error": null, "restarts": 0},
                {"name": "transcriber", "state": "off", "breaker": "closed", "held": false, "since": null,
                 "latency_ms": null, "last_error": null, "restarts": 0},
            ],
            "incidents_open": 0,
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_s": 0,
        })
    );
}

#[tokio::test(start_paused = true)]
async fn only_a_lost_catalog_takes_the_whole_down() {
    for (component, status, ready) in [
        (Component::VectorStore, Overall::Degraded, Ok(())),
        (Component::Embedder, Overall::Degraded, Ok(())),
        (Component::LanguageModel, Overall::Degraded, Ok(())),
        (
            Component::Catalog,
            Overall::Down,
            Err(vec![Component::Catalog]),
        ),
    ] {
        let (board, slots) = board_with(&[component]);
        let gate = Gate::new(slots[0].clone(), limits());
        for _ in 0..3 {
            fault(&gate).await;
        }
        assert_eq!(board.state(component), Some(ComponentState::Down));
        assert_eq!(board.report().status, status, "{component}");
        assert_eq!(board.ready(), ready);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_shows_until_it_works_again() {
    let (board, slots) = board_with(&[Component::Embedder]);
    let gate = Gate::new(slots[0].clone(), limits());
    fault(&gate).await;
    let report = board.report();
    assert_eq!(report.status, Overall::Degraded);
    assert_eq!(
        report.components[0].last_error.as_deref(),
        Some("embedder is unavailable: connection refused")
    );
    assert_eq!(report.incidents_open, 0, "one fault is no incident");
    work(&gate).await;
    work(&gate).await;
    let report = board.report();
    assert_eq!(report.status, Overall::Ok);
    assert_eq!(report.components[0].last_error, None);
}

#[tokio::test(start_paused = true)]
async fn an_incident_lasts_from_the_opening_of_the_breaker_to_its_closing() {
    let (board, slots) = board_with(&[Component::VectorStore, Component::Embedder]);
    let gate = Gate::new(slots[0].clone(), limits());
    for _ in 0..3 {
        fault(&gate).await;
    }
    board.answered_without(&[Component::VectorStore]);
    board.answered_without(&[Component::VectorStore, Component::Embedder]);
    board.answered_without(&[]);
    tokio::time::advance(Duration::from_secs(3)).await;
    fault(&gate).await;
    let open = &board.incidents().recent()[0];
    assert_eq!(board.report().incidents_open, 1);
    assert_eq!(open.closed, None);
    assert_eq!(open.component, Component::VectorStore);
    assert_eq!(
        open.cause,
        "vector_store is unavailable: connection refused"
    );
    assert_eq!(open.degraded_answers, 2);
    assert_eq!(open.action, "given a rest 2 times and probed after it");

    tokio::time::advance(Duration::from_secs(6)).await;
    work(&gate).await;
    let incidents = board.incidents().recent();
    assert_eq!(incidents.len(), 1, "one loss is one incident");
    assert!(incidents[0].lasted().is_some());
    assert_eq!(board.report().incidents_open, 0);
    assert_eq!(board.report().status, Overall::Ok);
}

#[tokio::test(start_paused = true)]
async fn a_part_without_its_files_is_down_and_says_what_to_do() {
    let (board, slots) = board_with(&[Component::Embedder]);
    slots[0].missing("the weights are not there; run `griot models pull`");
    let report = board.report();
    assert_eq!(report.status, Overall::Degraded);
    assert_eq!(report.components[0].state, ComponentState::Down);
    assert_eq!(
        report.components[0].last_error.as_deref(),
        Some("the weights are not there; run `griot models pull`")
    );
    assert_eq!(report.incidents_open, 0, "nothing was lost");
    assert_eq!(board.ready(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_second_part_stands_in_for_the_first() {
    let (board, slots) = board_with(&[Component::LanguageModel, Component::LanguageModel]);
    let first = Gate::new(slots[0].clone(), limits());
    let second = Gate::new(slots[1].clone(), limits());
    work(&first).await;
    work(&second).await;
    assert_eq!(board.report().status, Overall::Ok);
    for _ in 0..3 {
        fault(&first).await;
    }
    let report = board.report();
    assert_eq!(report.components.len(), 1);
    assert_eq!(report.components[0].state, ComponentState::Degraded);
    assert_eq!(
        report.components[0].last_error.as_deref(),
        Some("part: language_model is unavailable: connection refused")
    );
    for _ in 0..3 {
        fault(&second).await;
    }
    assert_eq!(board.report().components[0].state, ComponentState::Down);
}

#[tokio::test(start_paused = true)]
async fn a_server_without_the_model_is_down_though_it_answers() {
    let (board, slots) = board_with(&[Component::LanguageModel]);
    let gate = Gate::new(slots[0].clone(), limits());
    let refusal = gate
        .glance(async {
            Err(PortError::Refused {
                component: Component::LanguageModel,
                reason: "the model m is not on the server; run `ollama pull m` there".to_owned(),
            })
        })
        .await;
    assert!(refusal.is_err());
    let component = &board.report().components[0];
    assert_eq!(component.state, ComponentState::Down);
    assert_eq!(
        component.last_error.as_deref(),
        Some("the model m is not on the server; run `ollama pull m` there")
    );
    gate.glance(async { Ok(()) }).await.unwrap();
    assert_eq!(
        board.state(Component::LanguageModel),
        Some(ComponentState::Ok)
    );
}
