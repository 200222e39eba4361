//! Tools of a client: which one the user's words call for, and saying what a call has brought. None is run here.

use std::sync::Arc;

use async_stream::try_stream;
use futures::{Stream, StreamExt};
use serde_json::Value;
use tracing::debug;

use super::{
    AnswerError, AnswerEvent, Answerer,
    condense::points_back,
    generate::Course,
    prompt::defused,
    reply::{object_of, read},
    words::Vocabulary,
    write::{Written, held_to},
};
use crate::{
    catalog::Catalog,
    domain::{Call, Component, ConversationId, Offer, Outcome, Usage},
    ports::{ChatEvent, ChatRequest, LanguageModel, PortError},
};

/// Tokens of a decision at most: longer arguments are none.
const CALL_TOKENS: u32 = 256;
/// A tool is called when the model begins its name with this probability; a question with a word in common often
/// makes it begin one. Of 18 questions for documents and 11 for tools, as qwen2.5-coder-1.5b decides them, one and two
/// are taken wrongly at this bound, and seven and one without it. Servers that give no probabilities have no bound.
const SURE: f32 = 0.94;
/// Turns of the conversation whose words the decision sees ("turn it off again").
const TURNS: usize = 2;
/// Characters of what calls have brought that the model reads, all of them together.
const OUTPUT_CHARS: usize = 4000;
/// Characters of it that are said where there is no model.
const PLAIN_CHARS: usize = 300;

impl Answerer {
    /// Has the model read the tools before anybody speaks: that takes longer than a decision, and it keeps what
    /// it has read. Nothing depends on it.
    pub async fn prepare(&self, offer: &Offer) {
        let (Some(model), Ok(messages)) = (&self.parts.model, self.prompts.call(offer, &[], ""))
        else {
            return;
        };
        let request = ChatRequest {
            messages,
            format: None,
            max_tokens: 1,
            temperature: 0.0,
            seed: Some(0),
            stop: Vec::new(),
            logprobs: false,
        };
        if let Err(error) = read(model.as_ref(), request, &mut Usage::default()).await {
            debug!(%error, "the tools were not read");
        }
    }

    /// The call that somebody's words ask for; `None` where they ask for none, and where the model is missing or
    /// makes no sense: then they are answered as if there were no tools.
    pub async fn call(
        &self,
        offer: &Offer,
        words: &str,
        conversation: ConversationId,
    ) -> Option<Call> {
        let model = self.parts.model.as_ref()?;
        let decided = async {
            let catalog = &self.parts.catalog;
            // What stands alone is decided alone: other words beside it make the model less sure.
            let earlier = match points_back(words) {
                true => {
                    let turns = move |catalog: &Catalog| catalog.turns(conversation, TURNS);
                    catalog.call(turns).await?
                }
                false => Vec::new(),
            };
            let request = ChatRequest {
                messages: self.prompts.call(offer, &earlier, words)?,
                format: Some(offer.schema()),
                max_tokens: CALL_TOKENS,
                temperature: 0.0,
                seed: Some(0),
                stop: Vec::new(),
                logprobs: true,
            };
            let decision = decision(model.as_ref(), request, offer.must()).await?;
            Ok::<_, AnswerError>(decision.and_then(|decision| offer.call(&decision)))
        };
        match decided.await {
            Ok(call) => call,
            Err(error) => {
                debug!(%error, "no tool is chosen");
                None
            }
        }
    }
}

/// The model's decision; `None` as soon as it is plain that it is not sure of a tool, unless one `must` be chosen.
async fn decision(
    model: &dyn LanguageModel,
    request: ChatRequest,
    must: bool,
) -> Result<Option<String>, PortError> {
    let mut events = model.chat(request).await?;
    let (mut text, mut seen, mut named) = (String::new(), String::new(), must);
    while let Some(event) = events.next().await {
        let ChatEvent::Delta {
            text: piece,
            logprobs,
        } = event?
        else {
            continue;
        };
        text.push_str(&piece);
        for token in logprobs {
            seen.push_str(&token.token);
            if !named && names_one(&seen) {
                named = true;
                if token.logprob.exp() < SURE {
                    return Ok(None);
                }
            }
        }
    }
    Ok(Some(text))
}

/// Whether the beginning of a decision holds the beginning of a name.
fn names_one(beginning: &str) -> bool {
    let name = beginning
        .split_once("\"tool\"")
        .and_then(|(_, rest)| rest.trim_start().strip_prefix(':'))
        .and_then(|rest| rest.trim_start().strip_prefix('"'));
    name.is_some_and(|name| !name.is_empty())
}

/// What calls have brought, in the model's words as far as they keep to it, else in its own.
pub(super) fn relay(
    answerer: Arc<Answerer>,
    question: String,
    mut outcomes: Vec<Outcome>,
    conversation: ConversationId,
) -> impl Stream<Item = Result<AnswerEvent, AnswerError>> + Send {
    try_stream! {
        let mut course = Course::begin(Some(conversation));
        let share = OUTPUT_CHARS / outcomes.len().max(1);
        for outcome in &mut outcomes {
            for text in [&mut outcome.output, &mut outcome.call.arguments] {
                *text = text.chars().take(share).collect();
            }
        }
        let mut text = String::new();
        let mut end = Written::default();
        match &answerer.parts.model {
            Some(model) => {
                let request = ChatRequest {
                    messages: answerer.prompts.relay(&question, &outcomes)?,
                    format: Some(object_of("answer")),
                    max_tokens: answerer.parts.config.max_answer_tokens,
                    temperature: 0.0,
                    seed: Some(0),
                    stop: Vec::new(),
                    logprobs: false,
                };
                let known = outcomes
                    .iter()
                    .flat_map(|outcome| [outcome.output.as_str(), outcome.call.arguments.as_str()]);
                let allowed = Vocabulary::of(known.chain([question.as_str()]));
                let mut deltas = Box::pin(held_to(&allowed, model.as_ref(), request, &mut course, &mut end));
                while let Some(delta) = deltas.next().await {
                    text.push_str(&delta);
                    yield AnswerEvent::Delta(delta);
                }
            }
            None => {
                course.degraded.push(Component::LanguageModel);
            }
        }
        if !end.begun || end.strayed {
            let said: Vec<String> = outcomes.iter().map(|outcome| plainly(&outcome.output)).collect();
            let said = said.join(" ");
            let said = if end.begun { format!(" … The result: {said}") } else { said };
            text.push_str(&said);
            yield AnswerEvent::Delta(course.first(said));
        }
        let answer = course.finish(&question, text, false, Vec::new(), Vec::new());
        yield AnswerEvent::Done(Box::new(answer));
    }
}

/// A result as it can be said without a model: the values of JSON with their names, other text as it is.
fn plainly(output: &str) -> String {
    let mut said = match serde_json::from_str::<Value>(output) {
        Ok(value) => spoken(&value),
        Err(_) => output.trim().to_owned(),
    };
    if said.chars().count() > PLAIN_CHARS {
        said = said.chars().take(PLAIN_CHARS).collect::<String>() + " …";
    }
    let said = defused(said.trim());
    match said.chars().last() {
        None => "Done.".to_owned(),
        Some(last) if last.is_alphanumeric() => said + ".",
        Some(_) => said,
    }
}

fn spoken(value: &Value) -> String {
    let list = |items: Vec<String>| {
        let said: Vec<String> = items.into_iter().filter(|item| !item.is_empty()).collect();
        said.join(", ")
    };
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        Value::Array(items) => list(items.iter().map(spoken).collect()),
        Value::Object(fields) => {
            let named = |(name, value): (&String, &Value)| match spoken(value) {
                said if said.is_empty() => said,
                said => format!("{}: {said}", name.replace('_', " ")),
            };
            list(fields.iter().map(named).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_said_without_a_model() {
        let check = |output: &str, expected: &str| assert_eq!(plainly(output), expected);
        check("The lamp is on.", "The lamp is on.");
        check("The lamp is on", "The lamp is on.");
        check("\"Rain until noon\"", "Rain until noon.");
        check(
            r#"{"ok":true,"temperature_c":21.5,"note":null,"rooms":["hall","attic"]}"#,
            "ok: yes, temperature c: 21.5, rooms: hall, attic.",
        );
        for nothing in ["", " ", "null", "{}", "[]", "\"\""] {
            check(nothing, "Done.");
        }
        let long = plainly(&"rain ".repeat(200));
        assert!(long.ends_with(" …") && long.chars().count() < 310, "{long}");
    }
}
