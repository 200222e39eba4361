//! Voice profiles over HTTP. They are applied where a conversation or a request for speech names its user.

use axum::extract::State as Shared;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    domain::{Profile, UserId},
    http::{
        State,
        extract::{Json, Path, parsed},
        problem::{Code, Problem},
    },
};

/// A profile as it is told. What is `null` is as usual.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VoiceProfile)]
pub struct Told {
    user_id: String,
    voice: Option<String>,
    speed: Option<f64>,
    language: Option<String>,
    patience: Option<f64>,
    barge_in: Option<f64>,
}

/// A profile to be kept, in the place of what was kept.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileRequest {
    /// One of the daemon's voices.
    #[serde(default)]
    voice: Option<String>,
    /// 1 is the voice's own pace.
    #[serde(default)]
    #[schema(minimum = 0.25, maximum = 4)]
    speed: Option<f64>,
    /// What is spoken, ISO 639-1; found out where it is not said.
    #[serde(default)]
    #[schema(pattern = "^[a-z]{2}$")]
    language: Option<String>,
    /// How long a pause may be before a turn is over: 1 is usual, 2 twice as long.
    #[serde(default)]
    #[schema(minimum = 0.25, maximum = 4)]
    patience: Option<f64>,
    /// How easily speech silences an answer: 0 never, 0.5 as usual, 1 at once.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1)]
    barge_in: Option<f64>,
}

fn told(user: &UserId, profile: Profile) -> axum::Json<Told> {
    axum::Json(Told {
        user_id: user.to_string(),
        voice: profile.voice,
        speed: profile.speed,
        language: profile.language,
        patience: profile.patience,
        barge_in: profile.barge_in,
    })
}

fn none_of(user: &UserId) -> Problem {
    Problem::new(
        Code::ProfileNotFound,
        format!("{user} has no voice profile; everything is as usual for them"),
    )
}

/// The profile of a user; the usual one for who has none.
pub async fn of(state: &State, user: &str) -> Result<Profile, Problem> {
    let user: UserId = parsed(user)?;
    let profile = state.catalog().call(move |c| c.profile(&user)).await?;
    let mut profile = profile.unwrap_or_default();
    // It was known when the profile was kept; with another model it may not be.
    let wanted = profile.language.take();
    profile.language = wanted.and_then(|language| state.voice().language(&language).ok());
    Ok(profile)
}

/// A user's voice profile.
#[utoipa::path(get, path = "/api/voice/profile/{userId}", tag = "voice",
    params(("userId" = String, Path, description = "The name that conversations give as `user_id`")),
    responses((status = 200, description = "As it is kept", body = Told)))]
pub async fn get(
    Shared(state): Shared<State>,
    Path(user): Path<String>,
) -> Result<axum::Json<Told>, Problem> {
    let user: UserId = parsed(&user)?;
    let asked = user.clone();
    let profile = state.catalog().call(move |c| c.profile(&asked)).await?;
    profile
        .map(|profile| told(&user, profile))
        .ok_or_else(|| none_of(&user))
}

/// Keeps a user's voice profile. Conversations that are going on stay as they are.
#[utoipa::path(put, path = "/api/voice/profile/{userId}", tag = "voice", request_body = ProfileRequest,
    params(("userId" = String, Path, description = "Any name: 1 to 128 of a-z A-Z 0-9 . _ @ + -")),
    responses((status = 200, description = "It is kept", body = Told)))]
pub async fn put(
    Shared(state): Shared<State>,
    Path(user): Path<String>,
    Json(request): Json<ProfileRequest>,
) -> Result<axum::Json<Told>, Problem> {
    let user: UserId = parsed(&user)?;
    let profile = Profile {
        voice: request.voice,
        speed: request.speed,
        language: request.language,
        patience: request.patience,
        barge_in: request.barge_in,
    }
    .checked()
    .map_err(|error| Problem::new(Code::InvalidValue, error.to_string()))?;
    if let Some(voice) = &profile.voice {
        let voices = state.voice().voices();
        if !voices.contains(voice) {
            let voice: String = voice.chars().take(60).collect();
            return Err(Problem::new(
                Code::InvalidValue,
                format!(
                    "there is no voice {voice:?}; there are: {}",
                    voices.join(", ")
                ),
            ));
        }
    }
    if let Some(language) = &profile.language {
        let known = state.voice().language(language);
        known.map_err(|error| Problem::new(Code::InvalidValue, error.to_string()))?;
    }
    let (kept, of) = (profile.clone(), user.clone());
    state
        .catalog()
        .call(move |c| c.set_profile(&of, &kept))
        .await?;
    Ok(told(&user, profile))
}

/// Forgets a user's voice profile.
#[utoipa::path(delete, path = "/api/voice/profile/{userId}", tag = "voice",
    params(("userId" = String, Path, description = "The name that conversations give as `user_id`")),
    responses((status = 200, description = "It is forgotten; as it was", body = Told)))]
pub async fn delete(
    Shared(state): Shared<State>,
    Path(user): Path<String>,
) -> Result<axum::Json<Told>, Problem> {
    let user: UserId = parsed(&user)?;
    let of = user.clone();
    let was = state.catalog().call(move |c| c.remove_profile(&of)).await?;
    was.map(|profile| told(&user, profile))
        .ok_or_else(|| none_of(&user))
}
