//! `POST /v1/realtime/client_secrets`: keys for programs that cannot keep one, such as pages. Such a key opens
//! realtime sessions and nothing else, for a while, with the session's settings that it was made with. They live in
//! memory: a restart ends them.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::{
    body::Bytes,
    extract::{State as Shared, rejection::BytesRejection},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use super::settings::Settings;
use crate::http::{
    State,
    audio::{ErrorBody, Refusal, object},
};

/// What every such key begins with.
const PREFIX: &str = "ek_";
/// Keys at once.
const MOST: usize = 1000;
/// Seconds that one lives: at least, at most, and where nothing is said.
const LIVES: std::ops::RangeInclusive<i64> = 10..=7200;
const USUAL: i64 = 600;
/// Bytes of a session's settings.
const SESSION: usize = 64 << 10;

/// The keys that were given out. By their hashes, so that looking one up tells nothing about another.
#[derive(Debug, Default)]
pub struct Secrets {
    /// Held for a look or a change only.
    known: Mutex<HashMap<[u8; 32], Secret>>,
}

#[derive(Debug, Clone)]
struct Secret {
    /// Seconds since 1970.
    expires: i64,
    session: Value,
}

impl Secrets {
    /// A new key that lives until `expires`; `None` while there are too many.
    fn make(&self, session: Value, expires: i64, now: i64) -> Option<String> {
        let mut known = self.known();
        known.retain(|_, secret| secret.expires > now);
        if known.len() >= MOST {
            return None;
        }
        let key = format!(
            "{PREFIX}{}{}",
            Uuid::new_v4().simple(),
            Uuid::new_v4().simple()
        );
        known.insert(hash(&key), Secret { expires, session });
        Some(key)
    }

    /// The session's settings that a key was made with; `None` where it is no such key, or was.
    pub fn session(&self, key: &str, now: i64) -> Option<Value> {
        if !key.starts_with(PREFIX) {
            return None;
        }
        let known = self.known();
        let secret = known.get(&hash(key))?;
        (secret.expires > now).then(|| secret.session.clone())
    }

    fn known(&self) -> MutexGuard<'_, HashMap<[u8; 32], Secret>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// Now, in seconds since 1970.
pub fn now() -> i64 {
    Timestamp::now().as_second()
}

/// What a key is wanted for.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct SecretRequest {
    /// A session as in `session.update`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    session: Option<Value>,
    /// As a map: for a struct, serde would take a list, too.
    #[serde(default)]
    #[schema(value_type = Option<Lifetime>)]
    expires_after: Option<Map<String, Value>>,
}

#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what is read as a map")]
pub struct Lifetime {
    /// From its making on.
    #[schema(minimum = 10, maximum = 7200)]
    seconds: Option<i64>,
}

/// A key.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClientSecret {
    value: String,
    /// Seconds since 1970.
    expires_at: i64,
    /// The session that it opens.
    #[schema(value_type = Object)]
    session: Value,
}

/// Makes a key for realtime sessions only.
#[utoipa::path(post, path = "/v1/realtime/client_secrets", tag = "voice",
    request_body = Option<SecretRequest>,
    responses(
        (status = 200, description = "The key", body = ClientSecret),
        (status = 400, description = "No key can be made of it", body = ErrorBody),
        (status = 413, description = "The body is too long", body = ErrorBody),
        (status = 503, description = "Too many live at once", body = ErrorBody)))]
pub async fn make(
    Shared(state): Shared<State>,
    body: Result<Bytes, BytesRejection>,
) -> Result<axum::Json<ClientSecret>, Refusal> {
    let body = body.map_err(|rejection| {
        Refusal::unreadable(rejection.body_text()).with_status(rejection.status())
    })?;
    let request = if body.is_empty() {
        SecretRequest::default()
    } else {
        object(&body, "a request for a key")?
    };
    let after = request.expires_after.unwrap_or_default();
    let lives = match after.get("seconds") {
        None | Some(Value::Null) => Some(USUAL),
        Some(seconds) => seconds.as_i64().filter(|seconds| LIVES.contains(seconds)),
    };
    let Some(lives) = lives else {
        let (least, most) = (*LIVES.start(), *LIVES.end());
        let message = format!("`expires_after.seconds` is a number from {least} to {most}");
        return Err(Refusal::bad("expires_after.seconds", message));
    };
    let mut session = request.session.unwrap_or_else(|| json!({}));
    if !session.is_object() || session.to_string().len() > SESSION {
        let message = format!("`session` is an object of at most {SESSION} bytes");
        return Err(Refusal::bad("session", message));
    }
    if session.get("type").is_none() {
        session["type"] = json!("realtime");
    }
    let engine = state.voice();
    let model = session["model"].as_str().unwrap_or("griot");
    let voices = engine.voices();
    // It is refused here and not only where it is used: there nobody would know why.
    let settings = Settings::new(model, voices.first().cloned())
        .updated(&session, &voices, false)
        .and_then(|settings| settings.heard_by(engine))
        .map_err(|refused| Refusal::bad("session", refused.message))?;
    let now = now();
    let expires_at = now + lives;
    let value = state
        .secrets()
        .make(session, expires_at, now)
        .ok_or_else(|| {
            Refusal::busy("too many keys are alive; ask again when some have expired")
        })?;
    Ok(axum::Json(ClientSecret {
        value,
        expires_at,
        session: settings.written(&Uuid::new_v4().simple().to_string()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_lives_for_a_while() {
        let secrets = Secrets::default();
        let session = json!({ "type": "realtime", "instructions": "Be brief." });
        let key = secrets.make(session.clone(), 100, 40).unwrap();
        assert!(key.len() > 60);
        assert_eq!(secrets.session(&key, 99), Some(session));
        assert_eq!(secrets.session(&key, 100), None);
        assert_eq!(secrets.session("ek_0", 40), None);
        assert_eq!(secrets.session(&key[..key.len() - 1], 40), None);
        // A key of the settings is none of these.
        assert_eq!(secrets.session("griot_key", 40), None);
    }

    #[test]
    fn there_are_not_too_many() {
        let secrets = Secrets::default();
        for _ in 0..MOST {
            assert!(secrets.make(json!({}), 100, 0).is_some());
        }
        assert_eq!(secrets.make(json!({}), 100, 50), None);
        assert!(
            secrets.make(json!({}), 200, 100).is_some(),
            "they have expired"
        );
    }
}
