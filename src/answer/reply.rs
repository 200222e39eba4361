//! What is asked of the model in a form, and what its replies say.

use std::ops::Range;

use futures::StreamExt;
use serde_json::json;

use super::{
    json_text::JsonText,
    quotation::quotation,
    quote::{locate, only_place, whole_sentences},
};
use crate::{
    domain::{Evidence, Usage},
    ports::{ChatEvent, ChatRequest, LanguageModel, PortError, TokenLogprob},
};

/// A reply read to its end.
pub(super) struct Reply {
    pub text: String,
    pub logprobs: Vec<TokenLogprob>,
}

/// The schema of an object with one string.
pub(super) fn object_of(name: &str) -> serde_json::Value {
    json!({
        "type": "object",
        "properties": { name: { "type": "string" } },
        "required": [name],
        "additionalProperties": false,
    })
}

/// Reads a reply to its end.
pub(super) async fn read(
    model: &dyn LanguageModel,
    request: ChatRequest,
    usage: &mut Usage,
) -> Result<Reply, PortError> {
    let mut events = model.chat(request).await?;
    let mut reply = Reply {
        text: String::new(),
        logprobs: Vec::new(),
    };
    while let Some(event) = events.next().await {
        match event? {
            ChatEvent::Delta { text, logprobs } => {
                reply.text.push_str(&text);
                reply.logprobs.extend(logprobs);
            }
            ChatEvent::Done {
                prompt_tokens,
                completion_tokens,
                ..
            } => {
                usage.prompt_tokens += prompt_tokens;
                usage.completion_tokens += completion_tokens;
            }
        }
    }
    Ok(reply)
}

/// Where the model points: an item of the evidence and the range of its text that it copied, grown to
/// whole sentences; `None` when what it copied stands nowhere.
///
/// The model is stopped as soon as it is plain which sentence it copies: the rest of it is read from the
/// evidence, at no cost. Such a call does not say how many tokens it read; those that it wrote are counted.
pub(super) async fn pointed_at<'e>(
    model: &dyn LanguageModel,
    request: ChatRequest,
    evidence: &'e [Evidence],
    usage: &mut Usage,
) -> Result<Option<(&'e Evidence, Range<usize>)>, PortError> {
    let mut events = model.chat(request).await?;
    let mut reply = String::new();
    let (mut decoded, mut copied) = (JsonText::of("quote"), String::new());
    let mut written = 0;
    while let Some(event) = events.next().await {
        match event? {
            ChatEvent::Delta { text, .. } => {
                written += 1;
                reply.push_str(&text);
                copied.push_str(&decoded.feed(&text));
                if let Some((index, range)) =
                    only_place(&copied, evidence.iter().map(|item| item.text.as_str()))
                    && let Some(whole) = whole_sentences(range, &evidence[index].text)
                {
                    usage.completion_tokens += written;
                    return Ok(Some((&evidence[index], whole)));
                }
            }
            ChatEvent::Done {
                prompt_tokens,
                completion_tokens,
                ..
            } => {
                usage.prompt_tokens += prompt_tokens;
                usage.completion_tokens += completion_tokens;
            }
        }
    }
    Ok(quotation(&reply).and_then(|quoted| {
        evidence.iter().find_map(|item| {
            let range = locate(&quoted, &item.text)?;
            let whole = whole_sentences(range.clone(), &item.text);
            Some((item, whole.unwrap_or(range)))
        })
    }))
}

/// The log-odds of "yes" against "no" as the verifier's one token gives them, cut to ±5; `None` when it
/// wrote neither word or the server gives no probabilities.
///
/// "Yes", "yes" and " yes" are different tokens that share what the model gives to the word, so the
/// alternatives are added up where the server names them.
pub(super) fn yes_log_odds(reply: &Reply) -> Option<f32> {
    let token = reply.logprobs.first()?;
    let sum = |word: &str| -> f32 {
        token
            .alternatives
            .iter()
            .filter(|other| other.token.trim().to_lowercase() == word)
            .map(|other| other.logprob.exp())
            .sum()
    };
    let (yes, no) = (sum("yes"), sum("no"));
    if yes + no > 0.0 {
        return Some((yes / no).ln().clamp(-5.0, 5.0));
    }
    let probability = token.logprob.exp().clamp(0.0, 1.0);
    match reply.text.trim().to_lowercase().as_str() {
        "yes" => Some(log_odds(probability)),
        "no" => Some(-log_odds(probability)),
        _ => None,
    }
}

fn log_odds(probability: f32) -> f32 {
    (probability / (1.0 - probability)).ln().clamp(-5.0, 5.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_verdict() {
        use crate::ports::Alternative;

        let reply = |text: &str, p: f32| Reply {
            text: text.to_owned(),
            logprobs: vec![TokenLogprob {
                token: text.to_owned(),
                logprob: p.ln(),
                alternatives: Vec::new(),
            }],
        };
        let nine = 9_f32.ln();
        assert!((yes_log_odds(&reply("Yes", 0.9)).unwrap() - nine).abs() < 1e-4);
        assert!((yes_log_odds(&reply(" no", 0.9)).unwrap() + nine).abs() < 1e-4);
        assert_eq!(yes_log_odds(&reply("yes", 1.0)), Some(5.0));
        // Four spellings share the word's probability: the written token alone would say no.
        let mut shared = reply("yes", 0.4);
        shared.logprobs[0].alternatives = [("yes", 0.4), ("Yes", 0.3), (" yes", 0.2), ("No", 0.1)]
            .map(|(token, p)| Alternative {
                token: token.to_owned(),
                logprob: f32::ln(p),
            })
            .into();
        assert!((yes_log_odds(&shared).unwrap() - nine).abs() < 1e-4);
        assert_eq!(yes_log_odds(&reply("maybe", 0.9)), None);
        assert_eq!(
            yes_log_odds(&Reply {
                text: "yes".into(),
                logprobs: vec![]
            }),
            None
        );
    }
}
