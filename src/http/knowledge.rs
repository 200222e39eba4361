//! The library over HTTP: documents in, how far they are, what they say, and gone again. Uploads have
//! a file of their own.

use axum::{
    body::Body,
    extract::State as Shared,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use tokio_util::io::ReaderStream;
use utoipa::{
    IntoParams,
    openapi::schema::{Object, ObjectBuilder, Type},
};

use super::{
    State,
    extract::{Json, Path, Query, parsed},
    problem::{Code, Problem},
    upload, wire,
};
use crate::{
    catalog::Listing,
    domain::{DocumentId, MediaType},
};

/// Documents on one page of a list, unless the request says otherwise, and at most.
const DEFAULT_PAGE: usize = 50;
const MAX_PAGE: usize = 500;

/// Bytes read from an original at once.
const ORIGINAL_CHUNK: usize = 64 * 1024;

/// Takes a file or folder of the daemon's own machine in, or processes a document again.
#[utoipa::path(post, path = "/api/knowledge/process", tag = "knowledge",
    request_body = wire::Process,
    responses((status = 202, description = "Taken in; the status route says how far it is", body = wire::Processed)))]
pub async fn process(
    Shared(state): Shared<State>,
    Json(request): Json<wire::Process>,
) -> Result<Response, Problem> {
    let collection = match &request.collection {
        Some(name) => parsed(name)?,
        None => state.default_collection().clone(),
    };
    let password = match request.password {
        Some(given) => upload::password(given.0)?,
        None => None,
    };
    let (accepted, skipped) = match (request.path, request.id) {
        (Some(path), None) => {
            if password.is_some() {
                return Err(Problem::new(
                    Code::InvalidValue,
                    "`password` goes with `id`: upload an encrypted file with its own",
                ));
            }
            if path.contains('\0') {
                return Err(Problem::new(
                    Code::InvalidValue,
                    "a path holds no NUL character",
                ));
            }
            let taken = state.library().take_path(path.as_ref(), collection).await?;
            (taken.accepted, taken.skipped)
        }
        (None, Some(id)) => {
            let again = state.library().process_with(parsed(&id)?, password).await?;
            (vec![again], Vec::new())
        }
        (Some(_), Some(_)) | (None, None) => {
            return Err(Problem::new(
                Code::InvalidValue,
                "give either `path` (a file or folder) or `id` (a document to process again)",
            ));
        }
    };
    let processed = wire::Processed {
        documents: accepted.into_iter().map(wire::Accepted::from).collect(),
        skipped: skipped.into_iter().map(wire::Skipped::from).collect(),
    };
    Ok((StatusCode::ACCEPTED, axum::Json(processed)).into_response())
}

/// How far a document has come.
#[utoipa::path(get, path = "/api/knowledge/status/{id}", tag = "knowledge",
    params(("id" = String, Path, description = "A document's id")),
    responses((status = 200, description = "The document", body = wire::Document)))]
pub async fn status(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
) -> Result<axum::Json<wire::Document>, Problem> {
    let document = state.library().document(parsed(&id)?).await?;
    Ok(axum::Json(document.into()))
}

/// What waits, what is in work, and how long all of it will take.
#[utoipa::path(get, path = "/api/knowledge/status", tag = "knowledge",
    responses((status = 200, description = "As of now", body = wire::Queue)))]
pub async fn queue(Shared(state): Shared<State>) -> Result<axum::Json<wire::Queue>, Problem> {
    let queue = state.library().queue().await?;
    Ok(axum::Json(queue.into()))
}

/// One document.
#[utoipa::path(get, path = "/api/knowledge/documents/{id}", tag = "knowledge",
    params(("id" = String, Path, description = "A document's id")),
    responses((status = 200, description = "The document", body = wire::Document)))]
pub async fn document(
    state: Shared<State>,
    id: Path<String>,
) -> Result<axum::Json<wire::Document>, Problem> {
    status(state, id).await
}

/// Which documents to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only those of this collection.
    collection: Option<String>,
    /// Documents on this page, 1 to 500; 50 unless given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The library, newest documents first.
#[utoipa::path(get, path = "/api/knowledge/documents", tag = "knowledge", params(ListQuery),
    responses((status = 200, description = "A page of documents", body = wire::DocumentList)))]
pub async fn documents(
    Shared(state): Shared<State>,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<wire::DocumentList>, Problem> {
    let limit = query.limit.unwrap_or(DEFAULT_PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(Problem::new(
            Code::InvalidValue,
            format!("`limit` is {limit}; use 1 to {MAX_PAGE} and `cursor` for what follows"),
        ));
    }
    let listing = Listing {
        collection: query.collection.as_deref().map(parsed).transpose()?,
        // One more than shown, to know whether another page follows.
        limit: limit + 1,
        after: query.cursor.as_deref().map(parsed).transpose()?,
    };
    let mut documents = state.library().documents(listing).await?;
    let more = documents.len() > limit;
    documents.truncate(limit);
    let next_cursor = documents.last().filter(|_| more).map(|last| last.id);
    Ok(axum::Json(wire::DocumentList {
        documents: documents.into_iter().map(wire::Document::from).collect(),
        next_cursor,
    }))
}

/// Removes a document: original, text, chunks, index, and the conversation turns that quoted it.
#[utoipa::path(delete, path = "/api/knowledge/documents/{id}", tag = "knowledge",
    params(("id" = String, Path, description = "A document's id")),
    responses((status = 200, description = "What was removed", body = wire::Receipt)))]
pub async fn delete(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
) -> Result<axum::Json<wire::Receipt>, Problem> {
    let receipt = state.library().delete(parsed(&id)?).await?;
    Ok(axum::Json(receipt.into()))
}

/// Bytes from the beginning: a number without the upper bound that `int64` would promise.
fn offset() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(0))
        .build()
}

/// Which bytes of a text.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TextQuery {
    /// First byte; 0 unless given.
    #[param(schema_with = offset, required = false)]
    start: Option<u64>,
    /// The byte after the last; the end of the text unless given. Beyond the end counts as the end.
    #[param(schema_with = offset, required = false)]
    end: Option<u64>,
}

/// The stored text, or a byte range of it: what citations point into.
#[utoipa::path(get, path = "/api/knowledge/documents/{id}/text", tag = "knowledge",
    params(("id" = String, Path, description = "A document's id"), TextQuery),
    responses((status = 200, description = "UTF-8 text", body = String, content_type = "text/plain")))]
pub async fn text(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    Query(range): Query<TextQuery>,
) -> Result<Response, Problem> {
    let id: DocumentId = parsed(&id)?;
    let start = range.start.unwrap_or(0);
    if range.end.is_some_and(|end| end < start) {
        return Err(Problem::new(
            Code::InvalidValue,
            format!(
                "the range begins at {start} and ends before it; `end` is not less than `start`"
            ),
        ));
    }
    let document = state.library().document(id).await?;
    if document.revision == 0 {
        return Err(Problem::new(
            Code::TextNotFound,
            format!(
                "{id} has no text yet: it is {}; GET /api/knowledge/status/{id} says more",
                document.status
            ),
        ));
    }
    let bytes = state.library().text(id, range.start, range.end).await?;
    let text = String::from_utf8(bytes).map_err(|_| {
        Problem::new(
            Code::InvalidValue,
            "the range begins or ends inside a character; ranges of citations never do",
        )
    })?;
    // `String` is sent as `text/plain; charset=utf-8`.
    Ok(text.into_response())
}

/// The original bytes, to be saved. Nothing that a browser would run is labelled as what it is.
#[utoipa::path(get, path = "/api/knowledge/documents/{id}/original", tag = "knowledge",
    params(("id" = String, Path, description = "A document's id")),
    responses((status = 200, description = "The bytes that were uploaded", content(
        (Vec<u8> = "application/octet-stream"), (Vec<u8> = "application/pdf"), (Vec<u8> = "text/plain")))))]
pub async fn original(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let original = state.library().original(parsed(&id)?).await?;
    let media_type = match original.media_type {
        Some(MediaType::Pdf) => "application/pdf",
        // Without a charset: the original is in whatever encoding it came in.
        Some(MediaType::Text) => "text/plain",
        Some(
            MediaType::Docx
            | MediaType::Pptx
            | MediaType::Xlsx
            | MediaType::Odt
            | MediaType::Rtf
            | MediaType::Epub
            | MediaType::Eml
            | MediaType::Markdown
            | MediaType::Html
            | MediaType::Csv
            | MediaType::Json,
        )
        | None => "application/octet-stream",
    };
    let body = Body::from_stream(ReaderStream::with_capacity(original.file, ORIGINAL_CHUNK));
    Ok((
        [
            (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
            (header::CONTENT_LENGTH, HeaderValue::from(original.bytes)),
            (header::CONTENT_DISPOSITION, attachment(&original.name)),
        ],
        body,
    )
        .into_response())
}

/// `attachment` with the name twice: in ASCII for old clients and percent-encoded UTF-8 (RFC 6266,
/// RFC 8187).
fn attachment(name: &str) -> HeaderValue {
    let plain: String = name
        .chars()
        .map(|c| match c {
            '"' | '\\' | '/' | '%' => '_',
            c if c.is_ascii_graphic() || c == ' ' => c,
            _ => '_',
        })
        .collect();
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        // `attr-char` of RFC 8187.
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            use std::fmt::Write;
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    HeaderValue::try_from(format!(
        "attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
    ))
    .expect("both names are graphic ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_attachments() {
        let check = |name: &str, expected: &str| {
            assert_eq!(attachment(name).to_str().unwrap(), expected);
        };
        check(
            "lease.pdf",
            "attachment; filename=\"lease.pdf\"; filename*=UTF-8''lease.pdf",
        );
        check(
            "Bücher \"1\".pdf",
            "attachment; filename=\"B_cher _1_.pdf\"; filename*=UTF-8''B%C3%BCcher%20%221%22.pdf",
        );
        check(
            "a\r\nset-cookie: x",
            "attachment; filename=\"a__set-cookie: x\"; filename*=UTF-8''a%0D%0Aset-cookie%3A%20x",
        );
    }
}
