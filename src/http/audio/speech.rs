//! `POST /v1/audio/speech`: text to sound, sent clause by clause as it is spoken. Hanging up ends the work.

use axum::{
    body::{Body, Bytes},
    extract::{State as Shared, rejection::BytesRejection},
    http::header,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    AudioEvent, ErrorBody, Refusal,
    encode::{Encoder, Format},
    object,
};
use crate::{
    domain::{Pcm, Profile, UserId, ids::InvalidName, resample::resampled},
    http::State,
    ports::{Clause, Engines},
    voice::{clauses::breaths, engine::voice_of, speakable::speakable},
};

/// Characters of a text.
const LONGEST: usize = 4096;
/// How fast a voice can be made.
const SPEEDS: std::ops::RangeInclusive<f32> = 0.25..=4.0;

/// What is to be spoken. Other fields are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SpeechRequest {
    /// Any name: there is one model.
    #[serde(default)]
    model: Option<String>,
    #[schema(min_length = 1, max_length = 4096)]
    input: String,
    /// One of the voices, or the usual one for a name that OpenAI's own voices have.
    #[serde(default)]
    voice: Option<Named>,
    /// `wav` where it is not given. `mp3` and `aac` are not written here.
    #[serde(default)]
    #[schema(pattern = "^(wav|pcm|flac|opus)$")]
    response_format: Option<String>,
    /// 0.25 to 4; 1 is the voice's own pace.
    #[serde(default)]
    speed: Option<f32>,
    /// Whose voice profile applies, where nothing else is said here.
    #[serde(default)]
    x_user: Option<String>,
    /// `audio`, or `sse` for server-sent events.
    #[serde(default)]
    #[schema(pattern = "^(audio|sse)$")]
    stream_format: Option<String>,
}

/// A voice by its name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Named {
    Name(String),
    Object { id: String },
}

/// Names that clients send because they must send one.
const OPENAI_VOICES: [&str; 13] = [
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage",
    "shimmer", "verse",
];

/// An event of a reply as server-sent events.
#[derive(Debug, Serialize)]
#[serde(tag = "type")]
enum Event {
    #[serde(rename = "speech.audio.delta")]
    Delta { audio: String },
    #[serde(rename = "speech.audio.done")]
    Done { usage: Usage },
}

#[derive(Debug, Serialize)]
struct Usage {
    input_tokens: usize,
    output_tokens: usize,
    total_tokens: usize,
}

/// Speaks a text.
#[utoipa::path(post, path = "/v1/audio/speech", tag = "audio",
    request_body = SpeechRequest,
    responses(
        (status = 200, description = "The sound, as it is spoken", content(
            (String = "audio/wav"), (String = "audio/pcm"), (String = "audio/flac"), (String = "audio/ogg"),
            (AudioEvent = "text/event-stream"))),
        (status = 400, description = "It cannot be spoken", body = ErrorBody),
        (status = 413, description = "The body is too long", body = ErrorBody),
        (status = 500, description = "Something broke inside", body = ErrorBody),
        (status = 429, description = "As much is being done as can be", body = ErrorBody),
        (status = 503, description = "No voice now", body = ErrorBody)))]
pub async fn speech(
    Shared(state): Shared<State>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let body = body.map_err(|rejection| Refusal {
        status: rejection.status(),
        ..Refusal::unreadable(rejection.body_text())
    })?;
    let request: SpeechRequest = object(&body, "a request for speech")?;
    let profile = match &request.x_user {
        Some(user) => profile_of(&state, user).await?,
        None => Profile::default(),
    };
    let (clauses, format) = clauses_of(&request, &profile, state.engines())?;
    let is_sse = match request.stream_format.as_deref() {
        None | Some("audio") => false,
        Some("sse") => true,
        Some(_) => {
            return Err(Refusal::bad(
                "stream_format",
                "`stream_format` is `audio` or `sse`",
            ));
        }
    };
    // The first clause decides whether this is an error or a reply.
    let mut speaking = Speaking::begin(state.engines().clone(), clauses, format).await?;
    let first = speaking.first.take().unwrap_or_default();
    let characters = request.input.chars().count();
    let rest = stream::unfold(speaking, Speaking::next);
    let bytes = stream::once(async move { Ok(first) }).chain(rest);
    if is_sse {
        let events = events(bytes, characters);
        let headers = [(header::CONTENT_TYPE, "text/event-stream")];
        return Ok((headers, Body::from_stream(events)).into_response());
    }
    let headers = [(header::CONTENT_TYPE, format.media_type())];
    Ok((headers, Body::from_stream(bytes)).into_response())
}

async fn profile_of(state: &State, user: &str) -> Result<Profile, Refusal> {
    let user: UserId = user
        .parse()
        .map_err(|error: InvalidName| Refusal::bad("x_user", error.to_string()))?;
    let profile = state.catalog().call(move |c| c.profile(&user)).await;
    profile
        .map(Option::unwrap_or_default)
        .map_err(|error| Refusal::broken(error.to_string()))
}

/// What is said, clause by clause, and how it is written.
fn clauses_of(
    request: &SpeechRequest,
    profile: &Profile,
    engines: &Engines,
) -> Result<(Vec<Clause>, Format), Refusal> {
    let _ = &request.model;
    let characters = request.input.chars().count();
    if characters == 0 || characters > LONGEST {
        return Err(Refusal::bad(
            "input",
            format!("`input` has 1 to {LONGEST} characters, not {characters}"),
        ));
    }
    let format = match request.response_format.as_deref() {
        None => Format::Wav,
        Some(name) => Format::named(name).ok_or_else(|| {
            let name: String = name.chars().take(40).collect();
            Refusal::bad(
                "response_format",
                format!("{name:?} is not written here; ask for wav, pcm, flac or opus"),
            )
        })?,
    };
    let kept = profile.speed.map(|speed| speed as f32);
    let speed = request.speed.or(kept).unwrap_or(1.0);
    if !SPEEDS.contains(&speed) {
        return Err(Refusal::bad("speed", "`speed` is a number from 0.25 to 4"));
    }
    let voice = request.voice.as_ref().map(|voice| match voice {
        Named::Name(name) | Named::Object { id: name } => name.as_str(),
    });
    let voices = engines.synthesizer.voices();
    let known = voice.and_then(|name| voices.iter().find(|voice| voice.name == name));
    if let Some(name) = voice
        && known.is_none()
        && !OPENAI_VOICES.contains(&name)
    {
        let name: String = name.chars().take(60).collect();
        let some: Vec<&str> = voices
            .iter()
            .take(12)
            .map(|voice| voice.name.as_str())
            .collect();
        return Err(Refusal::bad(
            "voice",
            format!("there is no voice {name:?}; there are {}", some.join(", ")),
        ));
    }
    let wanted = voice_of(profile, &voices);
    let wanted = wanted.and_then(|name| voices.iter().find(|voice| voice.name == name));
    let known = known.or(wanted);
    let language = known
        .or(voices.first())
        .map_or("en", |voice| voice.language.as_str());
    let clauses = breaths(&speakable(&request.input, language))
        .into_iter()
        .map(|text| Clause {
            text,
            voice: known.map(|voice| voice.name.clone()),
            language: None,
            speed,
        })
        .collect();
    Ok((clauses, format))
}

/// A text on its way to be heard.
struct Speaking {
    engines: Engines,
    clauses: std::vec::IntoIter<Clause>,
    format: Format,
    encoder: Encoder,
    rate: u32,
    /// What is written of the first clause.
    first: Option<Vec<u8>>,
    ended: bool,
}

impl Speaking {
    async fn begin(
        engines: Engines,
        clauses: Vec<Clause>,
        format: Format,
    ) -> Result<Self, Refusal> {
        let mut clauses = clauses.into_iter();
        let sound = match clauses.next() {
            Some(clause) => engines.synthesizer.speak(clause).await?,
            // Nothing of it can be heard, which is no mistake.
            None => Pcm {
                samples: Vec::new(),
                rate: 24_000,
            },
        };
        let rate = format.rate(sound.rate);
        let mut encoder =
            Encoder::new(format, rate).map_err(|error| Refusal::broken(error.to_string()))?;
        let first = encoder
            .push(&at_rate(sound, rate))
            .map_err(|error| Refusal::broken(error.to_string()))?;
        Ok(Self {
            engines,
            clauses,
            format,
            encoder,
            rate,
            first: Some(first),
            ended: false,
        })
    }

    async fn next(mut self) -> Option<(Result<Vec<u8>, axum::BoxError>, Self)> {
        if self.ended {
            return None;
        }
        let bytes = match self.clauses.next() {
            Some(clause) => match self.engines.synthesizer.speak(clause).await {
                Ok(sound) => self
                    .encoder
                    .push(&at_rate(sound, self.rate))
                    .map_err(Into::into),
                Err(error) => Err(error.into()),
            },
            None => {
                self.ended = true;
                self.encoder.finish().map_err(Into::into)
            }
        };
        if let Err(error) = &bytes {
            // The connection is cut, which is how a client learns of it.
            let error: &axum::BoxError = error;
            tracing::warn!(%error, format = ?self.format, "a text was not spoken to its end");
            self.ended = true;
        }
        Some((bytes, self))
    }
}

fn at_rate(sound: Pcm, rate: u32) -> Vec<f32> {
    if sound.rate == rate || sound.rate == 0 {
        sound.samples
    } else {
        resampled(&sound.samples, sound.rate, rate)
    }
}

/// The same bytes as server-sent events.
fn events(
    bytes: impl Stream<Item = Result<Vec<u8>, axum::BoxError>>,
    characters: usize,
) -> impl Stream<Item = Result<String, axum::BoxError>> {
    let line = |event: &Event| {
        let json = serde_json::to_string(event).expect("texts and numbers become JSON");
        format!("data: {json}\n\n")
    };
    let deltas = bytes.filter_map(move |part| async move {
        match part {
            Ok(part) if part.is_empty() => None,
            Ok(part) => Some(Ok(line(&Event::Delta {
                audio: STANDARD.encode(part),
            }))),
            Err(error) => Some(Err(error)),
        }
    });
    let done = line(&Event::Done {
        usage: Usage {
            input_tokens: characters,
            output_tokens: 0,
            total_tokens: characters,
        },
    });
    deltas.chain(stream::once(async move { Ok(done) }))
}
