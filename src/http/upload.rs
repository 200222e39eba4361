//! Files in, as multipart, streamed to the library: whatever its size, a file is never in memory.
//!
//! `collection` and `metadata` may come after the files they belong to, so no file is finished (and
//! thereby acknowledged) before the last field was read. A client that leaves in between drops the
//! begun uploads, and with them their temporary files.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    body::{Body, Bytes},
    extract::{
        FromRequest, Multipart, Request, State as Shared,
        multipart::{Field, MultipartError},
    },
    http::StatusCode,
    response::{IntoResponse, Response},
};
use futures::{StreamExt, TryStreamExt};
use serde_json::{Map, Value};

use super::{
    State,
    extract::parsed,
    problem::{Code, Problem, body_failure},
    wire,
};
use crate::{
    domain::Collection,
    ingest::{Password, Upload, password::MAX_PASSWORD},
};

/// Bytes of the fields that are not files, each.
const MAX_FIELD: usize = 64 * 1024;

/// Files of one request. Each holds an open file until the request is done.
const MAX_FILES: usize = 64;

/// Bytes that may arrive between two parts: the headers of a part, and what is buffered behind them.
/// Without this bound a part header that never ends would be kept in memory up to the upload limit.
const MAX_BETWEEN_PARTS: u64 = 1024 * 1024;

/// Takes files in. `202` means: every original is on disk and its row is committed.
#[utoipa::path(post, path = "/api/knowledge/upload", tag = "knowledge",
    request_body(content = wire::Upload, content_type = "multipart/form-data"),
    responses((status = 202, description = "Stored durably; they are processed in their turn", body = wire::AcceptedList)))]
pub async fn upload(Shared(state): Shared<State>, request: Request) -> Result<Response, Problem> {
    let (mut form, between_parts) = bounded_form(request).await?;
    let Form {
        uploads,
        collection,
        metadata,
        unlock,
    } = take_form(&state, &mut form, &between_parts).await?;
    let mut documents = Vec::with_capacity(uploads.len());
    for mut upload in uploads {
        // When one fails the ones before it stay: sending all again is safe, the same bytes are one
        // document.
        upload.describe(collection.clone(), metadata.clone());
        upload.unlock_with(unlock.clone());
        let done = upload.finish().await?;
        metrics::counter!("griot_uploads_total", "duplicate" => if done.duplicate { "yes" } else { "no" })
            .increment(1);
        documents.push(wire::Accepted::from(done));
    }
    let list = wire::AcceptedList { documents };
    Ok((StatusCode::ACCEPTED, axum::Json(list)).into_response())
}

/// A form that was read to its end.
struct Form {
    uploads: Vec<Upload>,
    collection: Collection,
    metadata: Map<String, Value>,
    unlock: Option<Password>,
}

async fn take_form(
    state: &State,
    form: &mut Multipart,
    between_parts: &AtomicU64,
) -> Result<Form, Problem> {
    let mut collection: Option<Collection> = None;
    let mut metadata: Option<Map<String, Value>> = None;
    let mut unlock: Option<Password> = None;
    let mut uploads: Vec<Upload> = Vec::new();

    loop {
        between_parts.store(0, Ordering::Relaxed);
        let Some(field) = form
            .next_field()
            .await
            .map_err(|error| unreadable(&error))?
        else {
            break;
        };
        let name = field.name().unwrap_or_default().to_owned();
        match name.as_str() {
            "file" => {
                if uploads.len() == MAX_FILES {
                    return Err(Problem::new(
                        Code::TooLarge,
                        format!("a request carries at most {MAX_FILES} files; send several"),
                    ));
                }
                uploads.push(receive(state, field, between_parts).await?);
            }
            "collection" => {
                once(collection.is_some(), "collection")?;
                collection = Some(parsed(&small_text(field, "collection").await?)?);
            }
            "metadata" => {
                once(metadata.is_some(), "metadata")?;
                metadata = Some(object(&small_text(field, "metadata").await?)?);
            }
            "password" => {
                once(unlock.is_some(), "password")?;
                unlock = password(small_text(field, "password").await?)?;
            }
            other => {
                return Err(Problem::new(
                    Code::InvalidValue,
                    format!(
                        "the form has a field {other:?}; the fields are file, collection, metadata and password"
                    ),
                ));
            }
        }
    }
    if uploads.is_empty() {
        return Err(Problem::new(
            Code::InvalidValue,
            "the form has no field named `file`; give one for every document",
        ));
    }

    Ok(Form {
        uploads,
        collection: collection.unwrap_or_else(|| state.default_collection().clone()),
        metadata: metadata.unwrap_or_default(),
        unlock,
    })
}

/// The form, and the counter of bytes that arrived since it was last set to zero.
async fn bounded_form(request: Request) -> Result<(Multipart, Arc<AtomicU64>), Problem> {
    let is_form = request
        .headers()
        .get(axum::http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value
                .get(..19)
                .is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/form-data"))
        });
    if !is_form {
        return Err(Problem::new(
            Code::UnsupportedMediaType,
            "send the files as `multipart/form-data`, each in a field named `file`",
        ));
    }
    let counter = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&counter);
    let request = request.map(|body| {
        Body::from_stream(
            body.into_data_stream()
                .map_err(axum::BoxError::from)
                .and_then(move |bytes: Bytes| {
                    let before = counted.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                    std::future::ready(if before > MAX_BETWEEN_PARTS {
                        Err("the headers of a part are too long".into())
                    } else {
                        Ok(bytes)
                    })
                }),
        )
    });
    let form = Multipart::from_request(request, &())
        .await
        .map_err(|rejection| Problem::new(Code::Malformed, rejection.body_text()))?;
    Ok((form, counter))
}

/// Streams one file to the library.
async fn receive(
    state: &State,
    mut field: Field<'_>,
    between_parts: &AtomicU64,
) -> Result<Upload, Problem> {
    // A plain form value is a slip (curl's `file=x` for `file=@x`), which would become a document.
    if field.file_name().is_none() && field.content_type().is_none() {
        return Err(Problem::new(
            Code::InvalidValue,
            "the field `file` is a plain value, not a file; with curl, write -F file=@PATH",
        ));
    }
    let name = field.file_name().unwrap_or_default().to_owned();
    let mut upload = state
        .library()
        .begin_upload(&name, state.default_collection().clone(), Map::new())
        .await?;
    let mut size = 0;
    while let Some(bytes) = field.next().await {
        between_parts.store(0, Ordering::Relaxed);
        let bytes = bytes.map_err(|error| unreadable(&error))?;
        size += bytes.len() as u64;
        upload.write(&bytes).await?;
    }
    metrics::counter!("griot_upload_bytes_total").increment(size);
    Ok(upload)
}

async fn small_text(mut field: Field<'_>, name: &str) -> Result<String, Problem> {
    let mut text = Vec::new();
    while let Some(bytes) = field.chunk().await.map_err(|error| unreadable(&error))? {
        text.extend_from_slice(&bytes);
        if text.len() > MAX_FIELD {
            return Err(Problem::new(
                Code::TooLarge,
                format!("the field `{name}` is longer than {MAX_FIELD} bytes"),
            ));
        }
    }
    String::from_utf8(text).map_err(|_| {
        Problem::new(
            Code::InvalidValue,
            format!("the field `{name}` is not UTF-8 text"),
        )
    })
}

fn object(text: &str) -> Result<Map<String, Value>, Problem> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Problem::new(
            Code::InvalidValue,
            "`metadata` is JSON, but not an object like {\"author\":\"…\"}",
        )),
        Err(error) => Err(Problem::new(
            Code::InvalidValue,
            format!("`metadata` is not JSON: {error}"),
        )),
    }
}

/// What a client gave as a password. The empty one is tried anyway.
pub fn password(given: String) -> Result<Option<Password>, Problem> {
    let empty = given.is_empty();
    match Password::new(given) {
        None if !empty => Err(Problem::new(
            Code::InvalidValue,
            format!("a password has at most {MAX_PASSWORD} bytes"),
        )),
        password => Ok(password),
    }
}

fn once(seen: bool, name: &str) -> Result<(), Problem> {
    if seen {
        Err(Problem::new(
            Code::InvalidValue,
            format!("the field `{name}` is given twice"),
        ))
    } else {
        Ok(())
    }
}

fn unreadable(error: &MultipartError) -> Problem {
    body_failure(error, error.status())
}
