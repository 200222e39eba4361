//! One reply: read the prompt, then draw, show and evaluate token after token.

use std::{
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use llama_cpp_2::token::LlamaToken;

use super::{
    Cancel,
    grammar::Grammar,
    job::{Event, Failure, Generate, Job},
    logprob,
    outgoing::{Outgoing, Sendable},
    sample::Sampler,
    session::{Read, Session},
};
use crate::{
    prompt::Token,
    wire::reply::{Counts, DoneReason, TokenLogprob, TopLogprob},
};

/// Answers a job with pieces and `Done`.
pub fn run(
    session: &mut Session<'_>,
    work: &Generate,
    job: &Job,
    load: Duration,
    cancel: &Cancel<'_>,
) -> Result<(), Failure> {
    let limit = session.limit(work.options.num_ctx);
    let prompt = session.tokenize(&work.prompt, limit)?;
    let mut reply = Reply {
        grammar: Grammar::new(session.model, &work.format)?,
        sampler: Sampler::new(&work.options, RandomState::new().hash_one(Instant::now())),
        outgoing: Outgoing::new(&work.options.stop),
        logprobs: work.logprobs,
        most: work.options.num_predict.unwrap_or(usize::MAX),
        limit,
        job,
    };
    job.send(Event::Started);

    let began = Instant::now();
    let read = session.read(&prompt, cancel)?;
    for token in &prompt {
        reply.sampler.observe(*token);
    }
    let mut counts = Counts {
        load,
        prompt_tokens: prompt.len(),
        cached_tokens: read.cached,
        prompt_eval: began.elapsed(),
        ..Counts::default()
    };

    let began = Instant::now();
    let (reason, tokens) = reply.write(session, &read, cancel)?;
    counts.tokens = tokens;
    counts.eval = began.elapsed();
    job.send(Event::Done { reason, counts });
    Ok(())
}

/// A reply being written.
struct Reply<'a> {
    grammar: Grammar,
    sampler: Sampler,
    outgoing: Outgoing,
    logprobs: Option<usize>,
    /// Tokens to write at most.
    most: usize,
    /// Tokens of prompt and reply together at most.
    limit: usize,
    job: &'a Job,
}

impl Reply<'_> {
    /// Writes until the end. Returns why it ended and how many tokens were written.
    fn write(
        &mut self,
        session: &mut Session<'_>,
        read: &Read,
        cancel: &Cancel<'_>,
    ) -> Result<(DoneReason, usize), Failure> {
        let mut position = read.position;
        let mut written = 0;
        let reason = loop {
            cancel.check()?;
            let token = self
                .sampler
                .choose(session.logits(), &mut self.grammar)
                .ok_or(Failure::NoToken)?;
            if session.model.vocab().is_eog(LlamaToken(token)) {
                break DoneReason::Stop;
            }
            self.grammar.accept(token)?;
            self.sampler.observe(token);
            written += 1;
            let bytes = bytes_of(session, token);
            let logprob = self.logprobs.map(|top| report(session, token, &bytes, top));
            let (piece, stopped) = self.outgoing.push(&bytes, logprob);
            self.send(piece);
            if stopped {
                return Ok((DoneReason::Stop, written));
            }
            if written >= self.most || position + 1 >= self.limit {
                break DoneReason::Length;
            }
            session.write(read.slot, token, position)?;
            position += 1;
        };
        let rest = self.outgoing.finish();
        self.send(rest);
        Ok((reason, written))
    }

    /// A client that does not listen any more is noticed by `cancel`.
    fn send(&self, piece: Sendable) {
        if !piece.is_empty() {
            self.job.send(Event::Piece {
                text: piece.text,
                logprobs: piece.logprobs,
            });
        }
    }
}

/// A token's bytes as text. Control tokens that do not end the reply show as nothing.
fn bytes_of(session: &Session<'_>, token: Token) -> Vec<u8> {
    session
        .model
        .vocab()
        .token_to_piece(LlamaToken(token), false, None)
}

fn report(session: &Session<'_>, token: Token, bytes: &[u8], top: usize) -> TokenLogprob {
    let (logprob, top) = logprob::of(session.logits(), token, top);
    TokenLogprob {
        token: String::from_utf8_lossy(bytes).into_owned(),
        logprob,
        bytes: bytes.to_vec(),
        top_logprobs: top
            .into_iter()
            .map(|candidate| {
                let bytes = bytes_of(session, candidate.token);
                TopLogprob {
                    token: String::from_utf8_lossy(&bytes).into_owned(),
                    logprob: candidate.logit,
                    bytes,
                }
            })
            .collect(),
    }
}
