//! `POST /v1/audio/transcriptions` and `POST /api/voice/transcribe`: files of sound to text.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRequest, Multipart, Request, State as Shared, multipart::Field},
    http::header,
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};
use serde::Serialize;
use tokio::sync::mpsc;
use utoipa::ToSchema;

use super::{AudioEvent, ErrorBody, Refusal, captions};
use crate::{
    admission::Place,
    http::{Code, Problem, State},
    ports::{PortError, Segment},
    voice::recording::{
        self, Options, Sound, Written,
        child::{HearError, LARGEST},
    },
};

/// Bytes of the fields that are not files, each.
const MAX_FIELD: usize = 64 * 1024;
/// Fields of a form.
const MAX_FIELDS: usize = 64;

/// A recording and how its text is wanted.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form, which is read field by field")]
pub struct TranscriptionForm {
    /// WAV, MP3, FLAC, Ogg, M4A or WebM, told apart by what is in it.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// Any name: there is one model.
    model: Option<String>,
    /// ISO 639-1.
    language: Option<String>,
    prompt: Option<String>,
    /// `json`, `text`, `srt`, `verbose_json` or `vtt`.
    response_format: Option<String>,
}

#[derive(Debug, Serialize)]
struct Plain {
    text: String,
    usage: Usage,
}

#[derive(Debug, Serialize)]
struct Usage {
    #[serde(rename = "type")]
    kind: &'static str,
    seconds: u64,
}

impl Usage {
    fn of(sound: &Sound) -> Self {
        Self {
            kind: "duration",
            seconds: sound.seconds().ceil() as u64,
        }
    }
}

#[derive(Debug, Serialize)]
struct Verbose {
    task: &'static str,
    language: String,
    duration: f32,
    text: String,
    segments: Vec<VerboseSegment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<Vec<VerboseWord>>,
    usage: Usage,
}

#[derive(Debug, Serialize)]
struct VerboseSegment {
    id: usize,
    seek: u64,
    start: f32,
    end: f32,
    text: String,
    tokens: Vec<i32>,
    temperature: f32,
    avg_logprob: f32,
    compression_ratio: f32,
    no_speech_prob: f32,
}

#[derive(Debug, Serialize)]
struct VerboseWord {
    word: String,
    start: f32,
    end: f32,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type")]
enum Event {
    #[serde(rename = "transcript.text.delta")]
    Delta { delta: String },
    #[serde(rename = "transcript.text.done")]
    Done { text: String },
}

/// What came in the form.
#[derive(Debug, Default)]
struct Asked {
    file: Option<Vec<u8>>,
    options: Options,
    format: Shape,
    stream: bool,
}

/// How the text is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Shape {
    #[default]
    Json,
    Text,
    Srt,
    Vtt,
    Verbose,
}

/// Writes a recording down.
#[utoipa::path(post, path = "/v1/audio/transcriptions", tag = "audio",
    request_body(content = TranscriptionForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "What was said", content(
            (Object = "application/json"), (String = "text/plain"), (String = "text/vtt"),
            (AudioEvent = "text/event-stream"))),
        (status = 400, description = "It cannot be written down", body = ErrorBody),
        (status = 413, description = "The recording is too large", body = ErrorBody),
        (status = 500, description = "Something broke inside", body = ErrorBody),
        (status = 429, description = "As much is being done as can be", body = ErrorBody),
        (status = 503, description = "Nobody can listen now", body = ErrorBody)))]
pub async fn transcriptions(
    Shared(state): Shared<State>,
    request: Request,
) -> Result<Response, Refusal> {
    let place = place(&state)?;
    let asked = read(request).await?;
    let file = asked
        .file
        .ok_or_else(|| Refusal::bad("file", "the form has no field `file`"))?;
    let sound = Arc::new(
        state
            .decoder()
            .decode(&file)
            .await
            .map_err(|error| match error {
                HearError::Refused(reason) => Refusal::bad("file", reason),
                HearError::Broken(_) => Refusal::broken(error.to_string()),
            })?,
    );
    drop(file);
    if asked.stream {
        return Ok(streamed(state, sound, asked.options, place));
    }
    let wants_words = asked.options.words;
    let written = recording::write_down(state.engines(), &sound, &asked.options, |_| true).await?;
    Ok(match asked.format {
        Shape::Json => axum::Json(Plain {
            text: written.text(),
            usage: Usage::of(&sound),
        })
        .into_response(),
        Shape::Text => typed("text/plain; charset=utf-8", written.text() + "\n"),
        Shape::Srt => typed(
            "text/plain; charset=utf-8",
            captions::srt(&written.segments),
        ),
        Shape::Vtt => typed("text/vtt; charset=utf-8", captions::vtt(&written.segments)),
        Shape::Verbose => axum::Json(verbose(&written, &sound, wants_words)).into_response(),
    })
}

fn typed(kind: &'static str, text: String) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// A place among the recordings in work, before anything of this one is read.
fn place(state: &State) -> Result<Place, Refusal> {
    state.recordings().enter().ok_or_else(|| {
        Refusal::busy("as many recordings are being written down as can be; send it again shortly")
    })
}

/// The text as it comes, as server-sent events. Hanging up ends the work.
fn streamed(state: State, sound: Arc<Sound>, options: Options, place: Place) -> Response {
    let (sender, receiver) = mpsc::channel::<String>(64);
    let work = async move {
        let _place = place;
        let mut is_first = true;
        let result =
            recording::write_down(state.engines(), &sound, &options, |segment: &Segment| {
                let space = if is_first { "" } else { " " };
                is_first = false;
                let delta = format!("{space}{}", segment.text.trim());
                // A reader who is that slow gets all of it at the end.
                let _ = sender.try_send(line(&Event::Delta { delta }));
                !sender.is_closed()
            })
            .await;
        let last = match result {
            Ok(written) => line(&Event::Done {
                text: written.text(),
            }),
            Err(error) => {
                tracing::warn!(%error, "a recording was not written down to its end");
                let body = Refusal::from(error).body();
                format!(
                    "event: error\ndata: {}\n\n",
                    serde_json::to_string(&body).unwrap_or_default()
                )
            }
        };
        // A reader who has gone does not want it.
        let _ = sender.send(last).await;
    };
    // The work is done while its reader reads: dropping the body drops it.
    let deltas = stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|line| (line, receiver))
    });
    let end = stream::once(work).filter_map(|()| std::future::ready(None::<String>));
    let both = stream::select(deltas, end).map(Ok::<_, std::convert::Infallible>);
    (
        [(header::CONTENT_TYPE, "text/event-stream")],
        Body::from_stream(both),
    )
        .into_response()
}

fn line(event: &Event) -> String {
    let json = serde_json::to_string(event).expect("texts become JSON");
    format!("data: {json}\n\n")
}

fn verbose(written: &Written, sound: &Sound, wants_words: bool) -> Verbose {
    let words = || {
        (written.segments.iter())
            .flat_map(|segment| &segment.words)
            .map(|word| VerboseWord {
                word: word.text.clone(),
                start: word.start,
                end: word.end,
            })
            .collect()
    };
    Verbose {
        task: "transcribe",
        language: named(written.language.as_deref().unwrap_or("en")),
        duration: sound.seconds(),
        text: written.text(),
        segments: (written.segments.iter().enumerate())
            .map(|(id, segment)| VerboseSegment {
                id,
                seek: (segment.start * 100.0) as u64,
                start: segment.start,
                end: segment.end,
                text: segment.text.clone(),
                tokens: segment.tokens.clone(),
                temperature: 0.0,
                avg_logprob: segment.avg_logprob,
                compression_ratio: variety(&segment.text),
                no_speech_prob: segment.no_speech,
            })
            .collect(),
        words: wants_words.then(words),
        usage: Usage::of(sound),
    }
}

/// How much a text repeats itself: its pairs of letters, each counted, by those that differ. Near 1 for a
/// sentence, large for a loop, as a ratio of compression is.
fn variety(text: &str) -> f32 {
    let letters: Vec<char> = text.chars().collect();
    let pairs: Vec<&[char]> = letters.windows(2).collect();
    let differ: std::collections::BTreeSet<&[char]> = pairs.iter().copied().collect();
    if differ.is_empty() {
        1.0
    } else {
        pairs.len() as f32 / differ.len() as f32
    }
}

/// The name of a language in English, as OpenAI writes it.
fn named(code: &str) -> String {
    match code {
        "en" => "english",
        "de" => "german",
        "es" => "spanish",
        "fr" => "french",
        "it" => "italian",
        "pt" => "portuguese",
        "nl" => "dutch",
        other => other,
    }
    .to_owned()
}

async fn read(request: Request) -> Result<Asked, Refusal> {
    let unreadable = |error: axum::extract::multipart::MultipartError| Refusal {
        status: error.status(),
        ..Refusal::unreadable(error.body_text())
    };
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|rejection| Refusal::unreadable(rejection.body_text()))?;
    let mut asked = Asked::default();
    let mut fields = 0;
    while let Some(field) = form.next_field().await.map_err(unreadable)? {
        fields += 1;
        if fields > MAX_FIELDS {
            return Err(Refusal::unreadable(format!(
                "a form has at most {MAX_FIELDS} fields"
            )));
        }
        let name = field.name().unwrap_or_default().to_owned();
        let limit = if name == "file" { LARGEST } else { MAX_FIELD };
        let value = value(field, limit).await?;
        if name == "file" {
            asked.file = Some(value);
            continue;
        }
        let text = String::from_utf8(value)
            .map_err(|_| Refusal::unreadable(format!("the field {name:?} is no text")))?;
        take(&mut asked, &name, text)?;
    }
    Ok(asked)
}

fn take(asked: &mut Asked, name: &str, text: String) -> Result<(), Refusal> {
    match name {
        "language" if !text.is_empty() => asked.options.language = Some(text.to_ascii_lowercase()),
        "prompt" if !text.is_empty() => asked.options.prompt = Some(text),
        "timestamp_granularities" | "timestamp_granularities[]" => {
            asked.options.words |= text == "word";
        }
        "stream" => asked.stream = text == "true",
        "response_format" => {
            asked.format = match text.as_str() {
                "json" => Shape::Json,
                "text" => Shape::Text,
                "srt" => Shape::Srt,
                "vtt" => Shape::Vtt,
                "verbose_json" => Shape::Verbose,
                _ => {
                    return Err(Refusal::bad(
                        "response_format",
                        "`response_format` is json, text, srt, vtt or verbose_json",
                    ));
                }
            }
        }
        // What is not supported is ignored: model, temperature, include[], chunking_strategy and others.
        _ => {}
    }
    Ok(())
}

async fn value(mut field: Field<'_>, limit: usize) -> Result<Vec<u8>, Refusal> {
    let mut value = Vec::new();
    loop {
        let chunk = field.chunk().await.map_err(|error| Refusal {
            status: error.status(),
            ..Refusal::unreadable(error.body_text())
        })?;
        let Some(chunk) = chunk else {
            return Ok(value);
        };
        if value.len() + chunk.len() > limit {
            return Err(Refusal {
                status: axum::http::StatusCode::PAYLOAD_TOO_LARGE,
                ..Refusal::bad(
                    "file",
                    format!("a field has at most {limit} bytes; send a recording in parts"),
                )
            });
        }
        value.extend_from_slice(&chunk);
    }
}

/// A recording's text, with the times of its parts.
#[derive(Debug, Serialize, ToSchema)]
pub struct Recording {
    text: String,
    language: Option<String>,
    duration_s: f32,
    segments: Vec<RecordingSegment>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RecordingSegment {
    /// Seconds from the beginning.
    start: f32,
    end: f32,
    text: String,
}

/// Writes a recording down.
#[utoipa::path(post, path = "/api/voice/transcribe", tag = "voice",
    request_body(content = TranscriptionForm, content_type = "multipart/form-data"),
    responses((status = 200, description = "What was said", body = Recording)))]
pub async fn transcribe(
    Shared(state): Shared<State>,
    request: Request,
) -> Result<axum::Json<Recording>, Problem> {
    let _place = place(&state).map_err(Refusal::into_problem)?;
    let asked = read(request).await.map_err(Refusal::into_problem)?;
    let file = asked
        .file
        .ok_or_else(|| Problem::new(Code::InvalidValue, "the form has no field `file`"))?;
    let sound = state
        .decoder()
        .decode(&file)
        .await
        .map_err(|error| match error {
            HearError::Refused(reason) => Problem::new(Code::InvalidValue, reason),
            HearError::Broken(error) => Problem::internal(&error),
        })?;
    drop(file);
    let sound = Arc::new(sound);
    let written = recording::write_down(state.engines(), &sound, &asked.options, |_| true)
        .await
        .map_err(|error| match error {
            PortError::Refused { reason, .. } => Problem::new(Code::InvalidValue, reason),
            other => Problem::from(other),
        })?;
    Ok(axum::Json(Recording {
        text: written.text(),
        duration_s: sound.seconds(),
        segments: (written.segments.iter())
            .map(|segment| RecordingSegment {
                start: segment.start,
                end: segment.end,
                text: segment.text.trim().to_owned(),
            })
            .collect(),
        language: written.language,
    }))
}
