//! The model. One utterance at a time, given up as soon as its caller has gone.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use whisper_rs::{
    FullParams, SamplingStrategy, WhisperContext, WhisperContextParameters, WhisperState,
    get_lang_id, get_lang_str,
};

use crate::{
    crew::Ticket,
    guard,
    pace::Pace,
    queue::{Job, Queue},
    wire::{Header, RATE, Reply, Segment, Transcript, Word},
};

/// Positions of the encoder for the 30 seconds that the model was trained with.
const WHOLE: usize = 1500;
/// Sound shorter than this is filled up with silence: whisper.cpp refuses less than a tenth of a second.
const SHORTEST: usize = RATE / 5;

/// A loaded model.
pub struct Engine {
    context: WhisperContext,
    pace: Mutex<Pace>,
    /// Buffers of no utterance, kept for the next ones.
    states: Mutex<Vec<WhisperState>>,
}

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the model {path} cannot be loaded: {reason}")]
    Load { path: String, reason: String },
}

/// One run of the model.
struct Run {
    segments: Vec<Segment>,
    tokens: Vec<i32>,
    language: Option<String>,
}

impl Engine {
    /// Reads the model: 44 MB and about a tenth of a second for the smallest.
    pub fn load(path: &Path, pace: Pace) -> Result<Self, EngineError> {
        let context = WhisperContext::new_with_params(path, WhisperContextParameters::default())
            .map_err(|error| EngineError::Load {
                path: path.display().to_string(),
                reason: error.to_string(),
            })?;
        Ok(Self {
            context,
            pace: Mutex::new(pace),
            states: Mutex::default(),
        })
    }

    /// Works until the process ends, or the thread has lost its place.
    pub fn serve(&self, queue: &Queue) {
        loop {
            let job = queue.pop();
            job.ticket.begin();
            let reply = self.answer(&job);
            // Nobody waits for the reply of a cancelled one, and its room may be taken.
            let _ = job.reply.try_send(reply);
            if job.ticket.end() {
                return;
            }
        }
    }

    fn answer(&self, job: &Job) -> Reply {
        // Left between the queue and here, before its thread could be told.
        if job.is_cancelled() {
            return Reply::Failed("cancelled".to_owned());
        }
        if job.samples.is_empty() {
            return Reply::Refused("there is no sound".to_owned());
        }
        if let Some(language) = &job.header.language {
            let known = if self.context.is_multilingual() {
                // A zero in a name would end the thread.
                language.bytes().all(|byte| byte.is_ascii_lowercase())
                    && get_lang_id(language).is_some()
            } else {
                language == "en"
            };
            if !known {
                return Reply::Refused(format!(
                    "the model does not know the language {language:?}"
                ));
            }
        }
        let began = cpu_ms();
        let kept = self.states().pop();
        let mut state = match kept.map_or_else(|| self.context.create_state(), Ok) {
            Ok(state) => state,
            Err(error) => return Reply::Failed(error.to_string()),
        };
        let result = self.transcribe(&mut state, job);
        self.states().push(state);
        match result {
            Ok(mut transcript) => {
                transcript.cpu_ms = cpu_ms().saturating_sub(began);
                Reply::Done(transcript)
            }
            Err(reason) => Reply::Failed(reason),
        }
    }

    /// Hears no more than there is, which costs a quarter; where that makes the model repeat itself, and the
    /// result counts, hears the silence after it too.
    fn transcribe(&self, state: &mut WhisperState, job: &Job) -> Result<Transcript, String> {
        let short = if job.header.full_context {
            WHOLE
        } else {
            context_for(job.samples.len())
        };
        let mut run = self.run(state, job, short)?;
        if !job.header.partial && short < WHOLE && self.cut_copy(&mut run) {
            return Ok(Transcript {
                segments: run.segments,
                language: run.language,
                ..Transcript::default()
            });
        }
        let again =
            guard::repetition(&run.tokens).is_some() && !job.header.partial && short < WHOLE;
        if again {
            run = self.run(state, job, WHOLE)?;
        }
        let mut transcript = Transcript {
            segments: run.segments,
            language: run.language,
            looped: false,
            retried: again,
            cpu_ms: 0,
        };
        let end = if job.header.partial {
            guard::repetition(&run.tokens)
        } else {
            guard::looping(&run.tokens)
        };
        if let Some(end) = end {
            transcript.looped = true;
            self.cut(&mut transcript.segments, end);
        }
        Ok(transcript)
    }

    /// Leaves out the copies of a whole sentence that small models go on with. Whether there were any: then it
    /// need not be heard once more with all the silence after it, which takes seconds.
    fn cut_copy(&self, run: &mut Run) -> bool {
        let Some(at) = guard::said_again(&run.tokens) else {
            return false;
        };
        let mut kept = run.segments.clone();
        self.cut(&mut kept, at);
        let is_whole = kept
            .last()
            .is_some_and(|segment| segment.text.trim_end().ends_with(['.', '?', '!']));
        if is_whole {
            run.segments = kept;
            run.tokens.truncate(at);
        }
        is_whole
    }

    fn run(&self, state: &mut WhisperState, job: &Job, context: usize) -> Result<Run, String> {
        let Header {
            language,
            prompt,
            max_tokens,
            words,
            ..
        } = &job.header;
        let seconds = job.samples.len() as f32 / RATE as f32;
        let mut params = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
        let threads = self.pace().threads(job.header.partial);
        params.set_n_threads(threads as i32);
        params.set_audio_ctx(context as i32);
        params.set_single_segment(true);
        params.set_no_context(true);
        params.set_no_timestamps(!words);
        params.set_token_timestamps(*words);
        params.set_temperature(0.0);
        // No second thoughts at a higher temperature: they cost a whole run each.
        params.set_temperature_inc(0.0);
        params.set_suppress_blank(true);
        params.set_suppress_nst(true);
        params.set_print_special(false);
        params.set_print_progress(false);
        params.set_print_realtime(false);
        params.set_print_timestamps(false);
        let most = max_tokens.unwrap_or(8 + (6.0 * seconds).ceil() as u32);
        params.set_max_tokens(most.clamp(1, 220) as i32);
        params.set_language(Some(language.as_deref().unwrap_or_else(|| {
            if self.context.is_multilingual() {
                "auto"
            } else {
                "en"
            }
        })));
        // A zero in it would end the program.
        let prompt = prompt.as_deref().map(|prompt| prompt.replace('\0', " "));
        if let Some(prompt) = &prompt {
            params.set_initial_prompt(prompt);
        }
        params.set_abort_callback_safe::<_, Abort>(abort_when(Arc::clone(&job.ticket)));
        let (began, cpu) = (Instant::now(), cpu_ms());
        let result = if job.samples.len() < SHORTEST {
            let mut samples = job.samples.clone();
            samples.resize(SHORTEST, 0.0);
            state.full(params, &samples)
        } else {
            state.full(params, &job.samples)
        };
        if !job.header.partial {
            let cpu = Duration::from_millis(cpu_ms().saturating_sub(cpu));
            self.pace().ran(threads, began.elapsed(), cpu);
        }
        if job.is_cancelled() {
            return Err("cancelled".to_owned());
        }
        result.map_err(|error| error.to_string())?;
        Ok(self.collect(state, seconds, *words))
    }

    fn states(&self) -> MutexGuard<'_, Vec<WhisperState>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn collect(&self, state: &WhisperState, seconds: f32, words: bool) -> Run {
        let mut run = Run {
            segments: Vec::new(),
            tokens: Vec::new(),
            language: get_lang_str(state.full_lang_id_from_state()).map(str::to_owned),
        };
        let end_of_text = self.context.token_eot();
        for segment in state.as_iter() {
            let mut tokens = Vec::new();
            let mut pieces: Vec<(f32, f32, Vec<u8>)> = Vec::new();
            let mut sum = 0.0;
            for n in 0..segment.n_tokens() {
                let Some(token) = segment.get_token(n) else {
                    continue;
                };
                let data = token.token_data();
                // Signs of the model itself are not said by anybody.
                if data.id >= end_of_text {
                    continue;
                }
                sum += data.plog;
                tokens.push(data.id);
                if let Ok(bytes) = token.to_bytes() {
                    let time =
                        |centiseconds: i64| (centiseconds as f32 / 100.0).clamp(0.0, seconds);
                    pieces.push((time(data.t0), time(data.t1), bytes.to_vec()));
                }
            }
            let text = (segment.to_str_lossy())
                .map_or_else(|_| String::new(), std::borrow::Cow::into_owned);
            run.tokens.extend(&tokens);
            let time = |centiseconds: i64| centiseconds as f32 / 100.0;
            let (start, end) = if words {
                (
                    time(segment.start_timestamp()),
                    time(segment.end_timestamp()),
                )
            } else {
                (0.0, seconds)
            };
            run.segments.push(Segment {
                start: start.clamp(0.0, seconds),
                end: end.clamp(0.0, seconds),
                avg_logprob: if tokens.is_empty() {
                    0.0
                } else {
                    sum / tokens.len() as f32
                },
                text,
                tokens,
                no_speech: segment.no_speech_probability(),
                words: if words { join(pieces) } else { Vec::new() },
            });
        }
        run
    }

    /// Leaves out what comes after the first `keep` tokens.
    fn cut(&self, segments: &mut Vec<Segment>, mut keep: usize) {
        for segment in &mut *segments {
            if segment.tokens.len() > keep {
                segment.tokens.truncate(keep);
                let bytes: Vec<u8> = segment
                    .tokens
                    .iter()
                    .filter_map(|token| self.context.token_to_bytes(*token).ok())
                    .flatten()
                    .copied()
                    .collect();
                segment.text = String::from_utf8_lossy(&bytes).into_owned();
                let words = segment.text.split_whitespace().count();
                segment.words.truncate(words);
            }
            keep -= segment.tokens.len();
        }
        segments.retain(|segment| !segment.tokens.is_empty());
    }
}

/// Positions for so many samples: those of the sound, and 256 more, without which small models repeat
/// themselves (measured on 27 recordings: none did with 256, 4 did with 128).
fn context_for(samples: usize) -> usize {
    (samples * 50 / RATE + 256).min(WHOLE)
}

/// What whisper-rs 0.16 is given as a callback. It keeps whatever it is given as a boxed `dyn FnMut`, and
/// calls it as what it was given: the two are the same only if that is what it was. It also never frees it,
/// some fifty bytes for each run.
type Abort = Box<dyn FnMut() -> bool>;

fn abort_when(ticket: Arc<Ticket>) -> Abort {
    Box::new(move || ticket.is_gone())
}

/// Words out of pieces of words: a word begins with a space.
fn join(pieces: Vec<(f32, f32, Vec<u8>)>) -> Vec<Word> {
    let mut words: Vec<(f32, f32, Vec<u8>)> = Vec::new();
    for (start, end, bytes) in pieces {
        match words.last_mut() {
            Some(word) if !bytes.starts_with(b" ") => {
                word.1 = word.1.max(end);
                word.2.extend(bytes);
            }
            _ => words.push((start, end, bytes)),
        }
    }
    words
        .into_iter()
        .map(|(start, end, bytes)| Word {
            start,
            end: end.max(start),
            text: String::from_utf8_lossy(&bytes).trim().to_owned(),
        })
        .filter(|word| !word.text.is_empty())
        .collect()
}

/// Processor time that this process has taken.
fn cpu_ms() -> u64 {
    // User and system time in ticks of a hundredth of a second, the 14th and 15th word; the second one may
    // hold spaces, and ends with the last bracket.
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else {
        return 0;
    };
    let after = stat.rsplit(')').next().unwrap_or("");
    let ticks: u64 = after
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|word| word.parse::<u64>().ok())
        .sum();
    ticks * 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_grows_with_the_sound() {
        assert_eq!(context_for(0), 256);
        assert_eq!(context_for(4 * RATE), 456);
        assert_eq!(context_for(30 * RATE), WHOLE);
    }

    #[test]
    fn words_are_joined() {
        let piece = |start, end, text: &str| (start, end, text.as_bytes().to_vec());
        let words = join(vec![
            piece(0.0, 0.2, " Fell"),
            piece(0.2, 0.5, "ow"),
            piece(0.5, 0.9, " men"),
            piece(0.9, 0.9, "."),
        ]);
        let seen: Vec<(&str, f32, f32)> = words
            .iter()
            .map(|word| (word.text.as_str(), word.start, word.end))
            .collect();
        assert_eq!(seen, [("Fellow", 0.0, 0.5), ("men.", 0.5, 0.9)]);
    }
}
