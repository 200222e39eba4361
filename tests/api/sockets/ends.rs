//! How conversations end.

use std::time::Duration;

use griot::catalog::Catalog;

use super::*;

#[tokio::test]
async fn it_ends_when_the_caller_leaves_though_somebody_took_over() {
    let app = TestApp::start().await;
    let mut caller = Client::simple(&app, start()).await;
    let ready = caller.until("ready").await;
    let takeover = json!({
        "type": "takeover", "session_id": ready["session_id"], "token": ready["takeover_token"],
    });
    let mut operator = Client::simple(&app, takeover).await;
    operator.until("taken_over").await;
    drop(caller);
    // From here on time goes by only while nothing else happens.
    tokio::time::pause();
    let left = async { while operator.next().await.is_some() {} };
    let left = tokio::time::timeout(Duration::from_secs(600), left).await;
    left.expect("it is over within ten minutes of that time");
}

#[tokio::test]
async fn what_was_heard_last_is_kept_when_the_daemon_stops() {
    let mut app = with_lease(Settings::default()).await;
    let mut client = Client::simple(&app, start()).await;
    let ready = client.until("ready").await;
    client.say(json!({ "type": "text", "text": SAID })).await;
    client.until("turn_done").await;
    app.stopped().await;
    let catalog = Catalog::open(&app.home.path().join("catalog.sqlite")).unwrap();
    let conversation = ready["conversation_id"].as_str().unwrap().parse().unwrap();
    let turns = catalog.turns(conversation, 9).unwrap();
    let asked: Vec<&str> = turns.iter().map(|turn| turn.question.as_str()).collect();
    assert_eq!(asked, [SAID]);
    assert!(turns[0].answer.contains("first day"), "{}", turns[0].answer);
}
