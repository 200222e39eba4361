//! A loaded model with its context: reading prompts into it, reusing what is there.

use std::{num::NonZeroU32, sync::Arc};

use llama_cpp_2::{
    DecodeError,
    context::{LlamaContext, params::LlamaContextParams},
    llama_backend::LlamaBackend,
    llama_batch::LlamaBatch,
    model::{LlamaModel, params::LlamaModelParams},
    token::LlamaToken,
    token_type::LlamaTokenAttr,
    vocab::LlamaVocab,
};

use super::{Cancel, Settings, job::Failure, slots::Slots, status::Status};
use crate::{
    prompt::{
        Token,
        control::{Control, ControlTokens, Piece},
        template::ChatTemplate,
    },
    shelf::Weights,
    wire::request::Prompt,
};

/// Tokens of prompt evaluated at once. A client that leaves is noticed in between; larger batches
/// are no faster on a CPU.
pub const BATCH: usize = 128;

/// More text than this for each token of the limit is refused before it is tokenized. A token of
/// English is four bytes, and the longest ones, runs of spaces, are rarely above a hundred.
const BYTES_PER_TOKEN: usize = 64;

/// Loads a model file. Blocks while the file is mapped.
pub fn load(backend: &LlamaBackend, weights: &Weights) -> Result<LlamaModel, Failure> {
    // llama.cpp asserts that the file is there.
    if let Err(error) = std::fs::metadata(&weights.path) {
        return Err(Failure::Load {
            reason: format!("{}: {error}", weights.path.display()),
        });
    }
    LlamaModel::load_from_file(
        backend,
        &weights.path,
        &LlamaModelParams::default().with_n_gpu_layers(0),
    )
    .map_err(|error| Failure::Load {
        reason: format!("{}: {error}", weights.path.display()),
    })
}

/// A model ready for requests.
pub struct Session<'m> {
    pub backend: &'m LlamaBackend,
    pub model: &'m LlamaModel,
    pub weights: Arc<Weights>,
    pub settings: Settings,
    status: &'m Status,
    context: LlamaContext<'m>,
    context_length: usize,
    slots: Slots,
    /// Whether a sequence can be cut back. Recurrent models hold one state, not one a token.
    cuts: bool,
    controls: ControlTokens,
    template: ChatTemplate,
}

/// A prompt that is in the cache, with the logits of its last token computed.
pub struct Read {
    pub slot: usize,
    /// Where the next token goes.
    pub position: usize,
    /// Tokens that were there already.
    pub cached: usize,
}

impl<'m> Session<'m> {
    pub fn new(
        backend: &'m LlamaBackend,
        model: &'m LlamaModel,
        weights: &Arc<Weights>,
        settings: &Settings,
        status: &'m Status,
    ) -> Result<Self, Failure> {
        let trained = usize::try_from(model.n_ctx_train()).unwrap_or(usize::MAX);
        let context_length = settings.context.min(trained).max(1);
        let cuts = !model.is_recurrent() && !model.is_hybrid();
        let slots = if cuts { settings.slots.max(1) } else { 1 };
        let context = model
            .new_context(
                backend,
                context_params(settings, context_length, BATCH)
                    .with_n_seq_max(slots as u32)
                    .with_kv_unified(true),
            )
            .map_err(|_| Failure::Context {
                context: context_length,
            })?;
        let vocabulary = model.vocab();
        let named = |token: LlamaToken| {
            if token.0 < 0 {
                String::new()
            } else {
                text_of(&vocabulary, token)
            }
        };
        let template = ChatTemplate::new(
            Some(weights.template.clone()).filter(|template| !template.is_empty()),
            named(vocabulary.bos()),
            named(vocabulary.eos()),
        )?;
        Ok(Self {
            backend,
            model,
            weights: Arc::clone(weights),
            settings: settings.clone(),
            status,
            context,
            context_length,
            slots: Slots::new(slots),
            cuts,
            controls: controls(&vocabulary),
            template,
        })
    }

    /// Tokens the context holds.
    pub fn context_length(&self) -> usize {
        self.context_length
    }

    /// The most tokens of prompt and reply under a request's `num_ctx`.
    pub fn limit(&self, num_ctx: Option<usize>) -> usize {
        num_ctx.unwrap_or(usize::MAX).min(self.context_length)
    }

    /// Turns a prompt into tokens, of which there is at least one and room for one more.
    pub fn tokenize(&self, prompt: &Prompt, limit: usize) -> Result<Vec<Token>, Failure> {
        let bytes = match prompt {
            Prompt::Messages(messages) => {
                messages.iter().map(|message| message.content.len()).sum()
            }
            Prompt::Raw(text) => text.len(),
        };
        if bytes > limit.saturating_mul(BYTES_PER_TOKEN) {
            return Err(Failure::HugePrompt { bytes, limit });
        }
        let vocabulary = self.model.vocab();
        let mut tokens = Vec::new();
        match prompt {
            // The caller writes control tokens out; that is what `raw` is for.
            Prompt::Raw(text) => push_text(&vocabulary, text, true, &mut tokens),
            Prompt::Messages(messages) => {
                for piece in self
                    .controls
                    .split(&self.template.render(messages, &self.controls)?)
                {
                    match piece {
                        Piece::Control(token) => tokens.push(token),
                        Piece::Text(text) => push_text(&vocabulary, &text, false, &mut tokens),
                    }
                }
            }
        }
        let bos = vocabulary.bos().0;
        if vocabulary.should_add_bos() && bos >= 0 && tokens.first() != Some(&bos) {
            tokens.insert(0, bos);
        }
        if tokens.is_empty() {
            return Err(Failure::EmptyPrompt);
        }
        if tokens.len() >= limit {
            return Err(Failure::LongPrompt {
                tokens: tokens.len(),
                limit,
                most: self.context_length,
            });
        }
        Ok(tokens)
    }

    /// Brings a prompt into the cache, evaluating only what is not there yet.
    pub fn read(&mut self, prompt: &[Token], cancel: &Cancel<'_>) -> Result<Read, Failure> {
        let plan = self.slots.plan(prompt);
        let keep = self.prepare(plan.slot, plan.copy_from, plan.keep)?;
        self.slots.begin(plan.slot, &prompt[..keep]);
        let mut batch = LlamaBatch::new(BATCH, 1);
        let mut position = keep;
        for part in prompt[keep..].chunks(BATCH) {
            cancel.check()?;
            batch.clear();
            for (token, at) in part.iter().zip(position..) {
                let last = at + 1 == prompt.len();
                add(&mut batch, *token, at, plan.slot, last)?;
            }
            self.decode(&mut batch, plan.slot)?;
            self.slots.extend(plan.slot, part);
            self.status.read(part.len());
            position += part.len();
        }
        Ok(Read {
            slot: plan.slot,
            position,
            cached: keep,
        })
    }

    /// Makes the slot hold the first `keep` tokens of the sequence it goes on from, and nothing
    /// else. Returns how many it does hold.
    fn prepare(
        &mut self,
        slot: usize,
        copy_from: Option<usize>,
        keep: usize,
    ) -> Result<usize, Failure> {
        let sequence = slot as u32;
        if let Some(source) = copy_from.filter(|_| self.cuts) {
            self.clear(slot)?;
            self.context
                .copy_kv_cache_seq(int(source), int(slot), Some(0), Some(keep as u32))
                .map_err(llama)?;
            return Ok(keep);
        }
        if self.cuts && keep > 0 {
            if self
                .context
                .clear_kv_cache_seq(Some(sequence), Some(keep as u32), None)
                .map_err(llama)?
            {
                return Ok(keep);
            }
            tracing::debug!("a sequence could not be cut back; the prompt is evaluated in full");
        }
        self.clear(slot)?;
        Ok(0)
    }

    fn clear(&mut self, slot: usize) -> Result<(), Failure> {
        self.slots.forget(slot);
        self.context
            .clear_kv_cache_seq(Some(slot as u32), None, None)
            .map_err(llama)?;
        Ok(())
    }

    /// Evaluates one token of the reply.
    pub fn write(&mut self, slot: usize, token: Token, position: usize) -> Result<(), Failure> {
        let mut batch = LlamaBatch::new(1, 1);
        add(&mut batch, token, position, slot, true)?;
        self.decode(&mut batch, slot)?;
        self.slots.extend(slot, &[token]);
        self.status.wrote_one();
        Ok(())
    }

    /// Evaluates a batch, giving up the oldest other sequences for as long as there is no room.
    fn decode(&mut self, batch: &mut LlamaBatch<'_>, slot: usize) -> Result<(), Failure> {
        loop {
            match self.context.decode(batch) {
                Ok(()) => return Ok(()),
                Err(DecodeError::NoKvCacheSlot) => match self.slots.victim(slot) {
                    Some(victim) => self.clear(victim)?,
                    None => return Err(llama(DecodeError::NoKvCacheSlot)),
                },
                Err(error) => return Err(llama(error)),
            }
        }
    }

    /// Logits for the token after the last one evaluated. `[vocabulary]`.
    pub fn logits(&self) -> &[f32] {
        self.context.get_logits_ith(-1)
    }
}

/// What contexts of this server have in common.
pub fn context_params(settings: &Settings, context: usize, batch: usize) -> LlamaContextParams {
    LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(context as u32))
        .with_n_batch(batch as u32)
        .with_n_ubatch(batch as u32)
        .with_n_threads(int(settings.threads))
        .with_n_threads_batch(int(settings.threads_batch))
}

/// A count as C has it. Positions, sequences and threads are far below the limit.
fn int(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// llama.cpp's own words.
pub fn llama(error: impl std::fmt::Display) -> Failure {
    Failure::Llama {
        reason: error.to_string(),
    }
}

/// Adds a token to a batch that has room for it.
pub fn add(
    batch: &mut LlamaBatch<'_>,
    token: Token,
    position: usize,
    slot: usize,
    logits: bool,
) -> Result<(), Failure> {
    batch
        .add(LlamaToken(token), int(position), &[int(slot)], logits)
        .map_err(llama)
}

/// Tokenizes plain text; with `controls` also the control tokens written out in it.
pub fn push_text(vocabulary: &LlamaVocab<'_>, text: &str, controls: bool, tokens: &mut Vec<Token>) {
    tokens.extend(
        vocabulary
            .tokenize(text.as_bytes(), false, controls)
            .into_iter()
            .map(|token| token.0),
    );
}

fn text_of(vocabulary: &LlamaVocab<'_>, token: LlamaToken) -> String {
    vocabulary
        .text(token)
        .map(|text| text.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The tokens that `parse_special` of llama.cpp recognises and plain text must not be: control and
/// unknown ones. (User-defined ones, such as `<tool_call>`, are read in plain text as well.)
fn controls(vocabulary: &LlamaVocab<'_>) -> ControlTokens {
    ControlTokens::new(
        (0..vocabulary.n_tokens())
            .map(LlamaToken)
            .filter_map(|token| {
                let attributes = vocabulary.attr(token);
                (attributes.contains(LlamaTokenAttr::Control)
                    || attributes.contains(LlamaTokenAttr::Unknown))
                .then(|| Control {
                    text: text_of(vocabulary, token),
                    token: token.0,
                    strips_left: attributes.contains(LlamaTokenAttr::LStrip),
                    strips_right: attributes.contains(LlamaTokenAttr::RStrip),
                })
            }),
    )
}
