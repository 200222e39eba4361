//! Holding a reply to a format: llama.cpp's grammar, made from a JSON schema.
//!
//! llama.cpp aborts the process when its grammar is told that the reply ended before the grammar
//! did, and throws when told of a token it does not allow. Neither can happen here: a token is
//! accepted only after [`Grammar::retain`] has let it pass, and an end of the reply is never told.

use llama_cpp_2::{
    json_schema_to_grammar,
    model::LlamaModel,
    sampling::LlamaSampler,
    token::{LlamaToken, data::LlamaTokenData, data_array::LlamaTokenDataArray},
};

use super::{
    job::Failure,
    sample::{Candidate, Rule},
};
use crate::{prompt::Token, wire::request::Format};

/// Any JSON object, for `"format": "json"`.
const ANY_OBJECT: &str = r#"{"type":"object"}"#;

/// What the reply so far has to be continued with.
pub struct Grammar {
    /// `None`: anything.
    sampler: Option<LlamaSampler>,
}

impl Grammar {
    pub fn new(model: &LlamaModel, format: &Format) -> Result<Self, Failure> {
        let schema = match format {
            Format::Free => return Ok(Self { sampler: None }),
            Format::Json => ANY_OBJECT,
            Format::Schema(schema) => schema,
        };
        let grammar = json_schema_to_grammar(schema).map_err(|_| Failure::Schema {
            reason: "llama.cpp cannot turn it into a grammar; it may use a keyword, a pattern or a reference that is not supported",
        })?;
        let sampler =
            LlamaSampler::grammar(model, &grammar, "root").map_err(|_| Failure::Schema {
                reason: "its grammar is too large; lower its limits on repetitions and lengths",
            })?;
        Ok(Self {
            sampler: Some(sampler),
        })
    }

    /// The token is part of the reply now.
    pub fn accept(&mut self, token: Token) -> Result<(), Failure> {
        match &mut self.sampler {
            None => Ok(()),
            Some(sampler) => {
                sampler
                    .try_accept(LlamaToken(token))
                    .map_err(|error| Failure::Llama {
                        reason: format!("its grammar: {error}"),
                    })
            }
        }
    }
}

impl Rule for Grammar {
    fn retain(&mut self, candidates: &mut Vec<Candidate>) {
        let Some(sampler) = &mut self.sampler else {
            return;
        };
        let data = candidates
            .iter()
            .map(|candidate| LlamaTokenData::new(LlamaToken(candidate.token), candidate.logit, 0.0))
            .collect();
        let mut array = LlamaTokenDataArray::new(data, false);
        sampler.apply(&mut array);
        // What is not allowed has the logit minus infinity now; nothing else is changed.
        let mut allowed = array.data.iter().map(|data| data.logit().is_finite());
        candidates.retain(|_| allowed.next().unwrap_or(false));
    }
}
