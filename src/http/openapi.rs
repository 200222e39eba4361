//! `/openapi.json`: the operations' own descriptions, and what holds for all of them: the problems that
//! guards and limits answer with, and the two ways to show a key.

use axum::extract::State as Shared;
use utoipa::{
    ToSchema,
    openapi::{
        Components, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref,
        RefOr, ResponseBuilder, Schema,
        path::{Operation, PathItem},
        security::{
            ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
        },
    },
};

use super::{
    State,
    problem::{Code, Written},
    rag,
};

/// The description before any operation is in it.
pub fn beginning() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Griot")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Answers from your documents, with the exact words each answer rests on. Byte ranges are \
             half-open, [start, end), into a document's stored UTF-8 text. Errors are problem details \
             (RFC 9457).",
        ))
        .license(Some(LicenseBuilder::new().name("MIT OR Apache-2.0").build()))
        .build();
    let mut components = Components::new();
    components.add_security_scheme(
        "bearer",
        SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()),
    );
    components.add_security_scheme(
        "key",
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key"))),
    );
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        // An empty requirement means: a key is needed only where the daemon has some configured.
        .security(Some([
            SecurityRequirement::default(),
            SecurityRequirement::new("bearer", [""; 0]),
            SecurityRequirement::new("key", [""; 0]),
        ]))
        .build()
}

/// Adds to every operation the problems that it may answer with, and the schemas only they name.
pub fn complete(mut api: OpenApi) -> OpenApi {
    for (path, item) in &mut api.paths.paths {
        for operation in operations(item) {
            for code in Code::ALL {
                if applies(*code, path, operation) {
                    add_problem(operation, *code);
                }
            }
        }
    }
    let components = api.components.get_or_insert_default();
    components.schemas.extend([
        named::<Written<'_>>(),
        named::<rag::EvidenceEvent>(),
        named::<rag::DeltaEvent>(),
    ]);
    api
}

fn named<T: ToSchema>() -> (String, RefOr<Schema>) {
    (T::name().into_owned(), T::schema())
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.post,
        &mut item.delete,
        &mut item.put,
    ]
    .into_iter()
    .flatten()
}

/// Whether an operation may answer with a problem.
fn applies(code: Code, path: &str, operation: &Operation) -> bool {
    let has_body = operation.request_body.is_some();
    let has_input = has_body || operation.parameters.is_some();
    let is_rag = path.starts_with("/api/rag/");
    let is_library = path.starts_with("/api/knowledge/");
    let is_reindex = path.starts_with("/api/reindex");
    let is_watch = path.starts_with("/api/watches");
    let is_voice = path.starts_with("/api/voice/");
    let takes_in = path.ends_with("/upload") || path.ends_with("/process");
    match code {
        Code::Malformed
        | Code::Unauthorized
        | Code::HostNotAllowed
        | Code::OriginNotAllowed
        | Code::RouteNotFound
        | Code::MethodNotAllowed
        | Code::UriTooLong
        | Code::Internal => true,
        Code::InvalidValue => has_input,
        Code::RequestTimedOut | Code::TooLarge | Code::UnsupportedMediaType => has_body,
        Code::PathNotAllowed => path.ends_with("/process") || (is_watch && has_body),
        Code::QueueFull => takes_in,
        Code::DocumentNotFound => is_library && has_input,
        Code::WatchNotFound => is_watch && path.ends_with('}'),
        Code::WatchConflict => is_watch && has_input,
        Code::ProfileNotFound => path.starts_with("/api/voice/profile/") && !has_body,
        Code::TextNotFound => path.ends_with("/text"),
        Code::IncidentNotFound => path.starts_with("/api/incidents/"),
        Code::TooManyQuestions => is_rag,
        Code::Busy => path == "/api/voice/transcribe",
        Code::TooManyUploads => path.ends_with("/upload"),
        Code::PartNotFound => path.starts_with("/api/health/breakers/"),
        // Of sockets only, which are not described here.
        Code::TooManyConversations => false,
        Code::Conflict => path == "/api/backup" || is_reindex,
        Code::NothingKept => path.starts_with("/api/reindex/"),
        Code::Unavailable | Code::StorageFull | Code::Stopping => {
            is_rag || is_library || is_watch || is_voice || is_reindex || path == "/api/backup"
        }
        Code::NotReady => path == "/readyz",
    }
}

fn add_problem(operation: &mut Operation, code: Code) {
    let status = code.status().as_str().to_owned();
    let line = format!("{} (`urn:griot:problem:{}`)", code.title(), code.name());
    let entry = operation.responses.responses.entry(status);
    let known = entry.or_insert_with(|| RefOr::T(ResponseBuilder::new().build()));
    if let RefOr::T(response) = known {
        // Compatible surfaces have a shape of their own for the same status; guards answer before them.
        response
            .content
            .entry("application/problem+json".to_owned())
            .or_insert_with(|| {
                RefOr::T(
                    ContentBuilder::new()
                        .schema(Some(Ref::from_schema_name("Problem")))
                        .build(),
                )
            });
        if !response.description.is_empty() {
            response.description.push_str("; ");
        }
        response.description.push_str(&line);
    }
}

/// The description of this API, OpenAPI 3.1.
#[utoipa::path(get, path = "/openapi.json", tag = "health",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub async fn openapi(Shared(state): Shared<State>) -> axum::Json<std::sync::Arc<OpenApi>> {
    axum::Json(state.openapi())
}
