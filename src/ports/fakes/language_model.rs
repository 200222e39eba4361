//! A language model that says what it is told.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures::StreamExt as _;
use tokio::sync::watch;

use super::{
    Gate,
    trouble::{self, Mood, Trouble},
};
use crate::{
    domain::Component,
    ports::{ChatEvent, ChatRequest, ChatStream, Finish, LanguageModel, PortError, TokenLogprob},
};

/// One reply, step by step. It ends with `Done` by itself unless it fails or hangs first.
#[derive(Debug, Clone, Default)]
pub struct Script {
    steps: VecDeque<Step>,
    /// The error of `chat` itself, before any stream.
    refusal: Option<Trouble>,
}

#[derive(Debug, Clone)]
enum Step {
    Delta(String, Vec<TokenLogprob>),
    Wait(Gate),
    Fail(Trouble),
    Hang,
}

impl Script {
    /// An empty reply; add steps.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The whole text, one delta a word (with the space before it).
    #[must_use]
    pub fn text(text: &str) -> Self {
        let mut script = Self::new();
        let mut rest = text;
        while !rest.is_empty() {
            let word = rest.len() - rest.trim_start().len();
            let end = rest[word..]
                .find(char::is_whitespace)
                .map_or(rest.len(), |at| word + at);
            script = script.delta(&rest[..end]);
            rest = &rest[end..];
        }
        script
    }

    /// `chat` itself fails: no stream begins.
    #[must_use]
    pub fn refuse(trouble: Trouble) -> Self {
        Self {
            steps: VecDeque::new(),
            refusal: Some(trouble),
        }
    }

    /// Says this next. It counts as one token.
    #[must_use]
    pub fn delta(self, text: &str) -> Self {
        self.step(Step::Delta(text.to_owned(), Vec::new()))
    }

    /// Says this next, as one token of the given log-probability (shown when the request asks for it).
    #[must_use]
    pub fn token(self, text: &str, logprob: f32) -> Self {
        let token = TokenLogprob {
            token: text.to_owned(),
            logprob,
            alternatives: Vec::new(),
        };
        self.step(Step::Delta(text.to_owned(), vec![token]))
    }

    /// Waits here until the gate is released.
    #[must_use]
    pub fn wait(self, gate: &Gate) -> Self {
        self.step(Step::Wait(gate.clone()))
    }

    /// The stream ends here with an error.
    #[must_use]
    pub fn fail(self, trouble: Trouble) -> Self {
        self.step(Step::Fail(trouble))
    }

    /// The stream says nothing more and does not end.
    #[must_use]
    pub fn hang(self) -> Self {
        self.step(Step::Hang)
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push_back(step);
        self
    }
}

type Responder = dyn Fn(&ChatRequest) -> Script + Send + Sync;

/// A [`LanguageModel`] that plays one [`Script`] a request: those pushed, in order, and after them
/// whatever the responder makes of the request. Without either it refuses.
///
/// It writes `max_tokens` deltas at most; `format`, `stop` and `temperature` are left to the script.
pub struct ScriptedModel {
    name: String,
    mood: Mood,
    responder: Option<Box<Responder>>,
    /// Held for a push, a pop or a clone only.
    state: Mutex<State>,
    /// Streams dropped before their end. Each stream holds a clone.
    cancelled: Arc<watch::Sender<usize>>,
}

#[derive(Default)]
struct State {
    scripts: VecDeque<Script>,
    requests: Vec<ChatRequest>,
}

impl Default for ScriptedModel {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ScriptedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedModel")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl ScriptedModel {
    /// A model named `scripted`, without scripts.
    #[must_use]
    pub fn new() -> Self {
        Self {
            name: "scripted".to_owned(),
            mood: Mood::good(Component::LanguageModel),
            responder: None,
            state: Mutex::default(),
            cancelled: Arc::new(watch::Sender::new(0)),
        }
    }

    /// A model that makes up a script for each request (after those pushed are used up).
    #[must_use]
    pub fn answering(respond: impl Fn(&ChatRequest) -> Script + Send + Sync + 'static) -> Self {
        Self {
            responder: Some(Box::new(respond)),
            ..Self::new()
        }
    }

    /// Adds the script for one more request.
    pub fn push(&self, script: Script) {
        self.state().scripts.push_back(script);
    }

    /// Every request so far, refused ones included.
    #[must_use]
    pub fn requests(&self) -> Vec<ChatRequest> {
        self.state().requests.clone()
    }

    /// Streams that were dropped before their end.
    #[must_use]
    pub fn cancelled(&self) -> usize {
        *self.cancelled.borrow()
    }

    /// Returns when at least `count` streams have been dropped before their end.
    pub async fn until_cancelled(&self, count: usize) {
        self.cancelled
            .subscribe()
            .wait_for(|cancelled| *cancelled >= count)
            .await
            .expect("the sender lives as long as the model borrowed here");
    }

    /// From now on `chat` meets this (streams already begun go on).
    pub fn trouble(&self, trouble: Trouble) {
        self.mood.set(Some(trouble));
    }

    /// Ends the trouble; hanging calls go on.
    pub fn recover(&self) {
        self.mood.set(None);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

#[async_trait]
impl LanguageModel for ScriptedModel {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, PortError> {
        self.state().requests.push(request.clone());
        self.mood.check().await?;
        let script = self.state().scripts.pop_front();
        let script = match (script, &self.responder) {
            (Some(script), _) => script,
            (None, Some(respond)) => respond(&request),
            (None, None) => Script::refuse(Trouble::Refused(
                "the scripted model has no script left for this request".to_owned(),
            )),
        };
        if let Some(refusal) = script.refusal {
            return Err(trouble::error(Component::LanguageModel, &refusal));
        }
        let reply = Reply {
            steps: script.steps,
            prompt_tokens: request
                .messages
                .iter()
                .map(|message| message.content.split_whitespace().count() as u64)
                .sum(),
            written: 0,
            max_tokens: request.max_tokens,
            logprobs: request.logprobs,
            ended: false,
            cancelled: Arc::clone(&self.cancelled),
        };
        Ok(futures::stream::unfold(reply, Reply::next).boxed())
    }
}

/// A reply being played.
struct Reply {
    steps: VecDeque<Step>,
    prompt_tokens: u64,
    written: u32,
    max_tokens: u32,
    logprobs: bool,
    ended: bool,
    cancelled: Arc<watch::Sender<usize>>,
}

impl Reply {
    async fn next(mut self) -> Option<(Result<ChatEvent, PortError>, Self)> {
        while !self.ended {
            if self.written == self.max_tokens
                && matches!(self.steps.front(), Some(Step::Delta(..)))
            {
                return Some((Ok(self.done(Finish::Length)), self));
            }
            match self.steps.pop_front() {
                Some(Step::Delta(text, mut logprobs)) => {
                    self.written += 1;
                    if !self.logprobs {
                        logprobs.clear();
                    }
                    return Some((Ok(ChatEvent::Delta { text, logprobs }), self));
                }
                Some(Step::Wait(gate)) => gate.pass().await,
                Some(Step::Hang) => futures::future::pending().await,
                Some(Step::Fail(trouble)) => {
                    self.ended = true;
                    let error = trouble::error(Component::LanguageModel, &trouble);
                    return Some((Err(error), self));
                }
                None => return Some((Ok(self.done(Finish::Stop)), self)),
            }
        }
        None
    }

    fn done(&mut self, finish: Finish) -> ChatEvent {
        self.ended = true;
        ChatEvent::Done {
            finish,
            prompt_tokens: self.prompt_tokens,
            completion_tokens: u64::from(self.written),
            prompt_eval: Duration::ZERO,
            eval: Duration::ZERO,
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if !self.ended {
            self.cancelled.send_modify(|count| *count += 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> ChatRequest {
        ChatRequest {
            messages: Vec::new(),
            format: None,
            max_tokens: 10,
            temperature: 0.0,
            seed: None,
            stop: Vec::new(),
            logprobs: false,
        }
    }

    async fn play(model: &ScriptedModel, request: ChatRequest) -> (String, Option<Finish>) {
        let mut stream = model.chat(request).await.unwrap();
        let (mut text, mut end) = (String::new(), None);
        while let Some(event) = stream.next().await {
            match event.unwrap() {
                ChatEvent::Delta { text: delta, .. } => text.push_str(&delta),
                ChatEvent::Done { finish, .. } => end = Some(finish),
            }
        }
        (text, end)
    }

    #[tokio::test]
    async fn scripts_are_played_in_order_and_then_the_responder() {
        let model = ScriptedModel::answering(|_| Script::text("made up"));
        model.push(Script::text(" one  two\n"));
        assert_eq!(
            play(&model, request()).await,
            (" one  two\n".to_owned(), Some(Finish::Stop))
        );
        assert_eq!(play(&model, request()).await.0, "made up");
        assert_eq!(model.requests().len(), 2);
        assert_eq!(model.cancelled(), 0, "both streams came to their end");
    }

    #[tokio::test]
    async fn length_is_kept() {
        let model = ScriptedModel::answering(|_| Script::text("a b c"));
        let two = ChatRequest {
            max_tokens: 2,
            ..request()
        };
        assert_eq!(
            play(&model, two).await,
            ("a b".to_owned(), Some(Finish::Length))
        );
    }

    #[tokio::test]
    async fn a_dropped_stream_is_noticed() {
        let model = ScriptedModel::new();
        let gate = Gate::new();
        model.push(Script::new().delta("a").wait(&gate).delta("b"));
        let mut stream = model.chat(request()).await.unwrap();
        assert!(stream.next().await.is_some());
        assert!(futures::poll!(stream.next()).is_pending());
        gate.reached().await;
        drop(stream);
        model.until_cancelled(1).await;
    }

    #[tokio::test]
    async fn trouble_before_and_in_the_middle() {
        let model = ScriptedModel::new();
        assert!(matches!(
            model.chat(request()).await.map(|_| ()),
            Err(PortError::Refused { .. })
        ));
        model.trouble(Trouble::Unavailable);
        assert!(model.chat(request()).await.is_err_and(|e| e.is_fault()));
        model.recover();
        model.push(Script::new().delta("a").fail(Trouble::Unavailable));
        let events: Vec<_> = model.chat(request()).await.unwrap().collect().await;
        assert_eq!(events.len(), 2);
        assert!(events[1].as_ref().is_err_and(PortError::is_fault));
    }
}
