//! How conversations end.

use std::time::Duration;

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
