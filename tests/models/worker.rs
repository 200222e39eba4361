//! The language model's worker under its supervisor: it answers, it is killed, it answers again.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use griot::{
    adapters::ollama::Ollama,
    domain::Component,
    health::{Board, ChildSpec, ComponentState, Gate, Guarded, Limits, Probe, Supervisor, probes},
    ports::{ChatEvent, ChatRequest, Finish, LanguageModel, Message, PortError, Role},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

fn ask(question: &str, max_tokens: u32) -> ChatRequest {
    ChatRequest {
        messages: vec![Message {
            role: Role::User,
            content: question.to_owned(),
        }],
        format: None,
        max_tokens,
        temperature: 0.0,
        seed: Some(1),
        stop: Vec::new(),
        logprobs: false,
    }
}

/// Text, log-probabilities and end of a reply.
async fn read(
    model: &dyn LanguageModel,
    request: ChatRequest,
) -> Result<(String, Vec<f32>, Finish), PortError> {
    let mut reply = model.chat(request).await?;
    let (mut text, mut probabilities) = (String::new(), Vec::new());
    while let Some(event) = reply.next().await {
        match event? {
            ChatEvent::Delta {
                text: delta,
                logprobs,
            } => {
                text += &delta;
                probabilities.extend(logprobs.iter().map(|token| token.logprob));
            }
            ChatEvent::Done {
                finish,
                prompt_tokens,
                ..
            } => {
                assert!(prompt_tokens > 0);
                return Ok((text, probabilities, finish));
            }
        }
    }
    panic!("the reply has no end");
}

/// The child of this process with that name and this in its command line: tests beside this one have children too.
pub fn child(name: &str, argument: &str) -> Option<String> {
    let own = format!(" {} ", std::process::id());
    std::fs::read_dir("/proc")
        .ok()?
        .flatten()
        .find_map(|entry| {
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            // `pid (name) state parent …`
            let (head, tail) = stat.rsplit_once(')')?;
            let parent = tail.get(2..)?;
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let is_it = head.ends_with(&format!("({name}"))
                && parent.starts_with(&own)
                && String::from_utf8_lossy(&line).contains(argument);
            is_it.then(|| entry.file_name().to_string_lossy().into_owned())
        })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_answers_dies_and_answers_again() {
    let Some(weights) = crate::weights(&[
        "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    ]) else {
        return;
    };
    let Some(program) = crate::program("griot-llm", "GRIOT_LLM_BIN") else {
        return;
    };
    let board = Board::new();
    let slot = board.slot(Component::LanguageModel, "embedded");
    let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
    let spec = ChildSpec::new("griot-llm", "GRIOT_LLM_BIN")
        .at(program)
        .args([
            "--model".to_owned(),
            format!("m={}", weights.display()),
            "--listen".to_owned(),
            "127.0.0.1:0".to_owned(),
            "--threads".to_owned(),
            "1".to_owned(),
            "--threads-batch".to_owned(),
            "2".to_owned(),
            "--context".to_owned(),
            "1024".to_owned(),
            "--stop-on-stdin-eof".to_owned(),
        ])
        .needs(&weights, "run `griot models pull`");
    let mut url = Supervisor::start(spec, slot.clone(), &tracker, cancel.clone());
    let limits = Limits::stream(Duration::from_secs(300), Duration::from_secs(120));
    let gate = Gate::new(slot, limits);
    let raw = Arc::new(Ollama::new(url.clone(), "m").unwrap().context(1024));
    let model = Guarded::new(raw.clone() as Arc<dyn LanguageModel>, gate.clone());
    let glance = raw.clone();
    Probe::new(gate, probes::one_token(raw))
        .glance(Box::new(move || {
            let model = glance.clone();
            Box::pin(async move { model.glance().await })
        }))
        .supervised(url.clone())
        .start(Duration::from_secs(10), &tracker, cancel.clone());
    url.wait_for(Option::is_some).await.unwrap();

    let (text, _, finish) = read(&model, ask("Count from 1 to 100.", 8)).await.unwrap();
    assert!(!text.is_empty());
    assert_eq!(finish, Finish::Length);

    let schema = r#"{"type":"object","properties":{"quote":{"type":"string","maxLength":40},"answer":{"type":"string","maxLength":10}},"required":["quote","answer"],"additionalProperties":false}"#;
    let held = ChatRequest {
        format: Some(serde_json::from_str(schema).unwrap()),
        logprobs: true,
        ..ask(
            "\"Rent is due on Monday.\" When is rent due? Reply in JSON.",
            100,
        )
    };
    let (text, probabilities, finish) = read(&model, held).await.unwrap();
    assert_eq!(finish, Finish::Stop);
    let reply: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    let keys: Vec<&String> = reply.keys().collect();
    assert_eq!(keys, ["quote", "answer"], "in the schema's order: {text}");
    assert!(!probabilities.is_empty() && probabilities.iter().all(|p| *p <= 0.0));

    // Killed in the middle of a reply.
    let mut reply = model.chat(ask("Count from 1 to 1000.", 900)).await.unwrap();
    assert!(matches!(
        reply.next().await,
        Some(Ok(ChatEvent::Delta { .. }))
    ));
    let pid = child("griot-llm", "").expect("the worker is a child of this process");
    let killed = tokio::process::Command::new("kill")
        .args(["-KILL", &pid])
        .status();
    assert!(killed.await.unwrap().success());
    let mut last = None;
    while let Some(event) = reply.next().await {
        last = Some(event);
    }
    assert!(
        matches!(last, Some(Err(PortError::Unavailable { .. }))),
        "{last:?}"
    );

    // Started again by nobody's hand, and asked as if nothing had been.
    let mut changes = board.changes();
    while board.report().components[0].restarts == 0
        || board.state(Component::LanguageModel) != Some(ComponentState::Ok)
    {
        changes.changed().await.unwrap();
    }
    let (text, _, _) = read(&model, ask("Say yes.", 4)).await.unwrap();
    assert!(!text.is_empty());
    let incidents = board.incidents().recent();
    assert_eq!(incidents.len(), 1);
    assert!(
        incidents[0].cause.contains("SIGKILL"),
        "{}",
        incidents[0].cause
    );
    assert_eq!(incidents[0].action, "restarted once");
    assert!(incidents[0].closed.is_some());

    cancel.cancel();
    tracker.close();
    tracker.wait().await;
    assert_eq!(child("griot-llm", ""), None, "it outlived its supervisor");
}
