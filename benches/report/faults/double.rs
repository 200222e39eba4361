//! A language model's server that answers what the daemon asks, without a model.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Semaphore};

/// Replies written at once; more wait, as at a real one.
const AT_ONCE: usize = 4;

const QUOTE: &str = "Rent is payable on the first day of each calendar month";

/// A running one. It ends with the runtime.
pub struct Double {
    pub address: SocketAddr,
    delay_ms: Arc<AtomicU64>,
}

impl Double {
    /// Listens on a free port.
    pub async fn serve() -> Self {
        let delay_ms = Arc::new(AtomicU64::new(0));
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let delay = Arc::clone(&delay_ms);
        let chat = post(async move |Json(body): Json<Value>| {
            let _place = places.acquire().await;
            tokio::time::sleep(Duration::from_millis(delay.load(Ordering::Relaxed))).await;
            reply(&body)
        });
        let tags = json!({ "models": [{ "name": "m", "modified_at": "2026-01-01T00:00:00Z", "size": 1 }] });
        let router = Router::new()
            .route("/api/chat", chat)
            .route("/api/tags", get(async move || Json(tags.clone())));
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("loopback has free ports");
        let address = listener.local_addr().expect("it listens");
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, delay_ms }
    }

    /// Takes so long for each reply from now on.
    pub fn slow(&self, delay: Duration) {
        self.delay_ms
            .store(delay.as_millis() as u64, Ordering::Relaxed);
    }
}

fn reply(body: &Value) -> String {
    let properties = &body["format"]["properties"];
    let (text, logprobs) = if properties.get("quote").is_some() {
        (json!({ "quote": QUOTE }).to_string(), Value::Null)
    } else if properties.is_object() {
        let name = properties
            .as_object()
            .and_then(|all| all.keys().next().cloned())
            .unwrap_or_default();
        let text = "Rent is payable on the first day of each month.";
        (json!({ name: text }).to_string(), Value::Null)
    } else {
        let yes = json!([{ "token": "yes", "logprob": -0.01, "bytes": null, "top_logprobs": [] }]);
        ("yes".to_owned(), yes)
    };
    let mut said = json!({ "model": "m", "created_at": "2026-01-01T00:00:00Z", "done": false,
        "message": { "role": "assistant", "content": text } });
    if !logprobs.is_null() {
        said["logprobs"] = logprobs;
    }
    let done = json!({ "model": "m", "created_at": "2026-01-01T00:00:00Z", "done": true, "done_reason": "stop",
        "message": { "role": "assistant", "content": "" }, "total_duration": 1, "load_duration": 1,
        "prompt_eval_count": 1, "prompt_eval_duration": 1, "eval_count": 1, "eval_duration": 1 });
    format!("{said}\n{done}\n")
}
