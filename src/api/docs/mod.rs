//! The contract as data: the OpenAPI document and the page that shows it.

pub(super) mod problems;
pub(super) mod schema;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use utoipa::OpenApi;
use utoipa_swagger_ui::Config;

use super::front::Front;
use super::problem::Problem;

/// What is said once, for the whole contract.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Everstep",
        description = "A durable orchestration cluster in one binary. Errors are RFC 9457 problem documents with a \
            stable `code`; lists are `{items, next_cursor}` and page by opaque cursor; `Idempotency-Key` works on \
            every POST that creates a workflow or an execution.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "workflows", description = "Versioned definitions."),
        (name = "executions", description = "Runs of workflow versions."),
        (name = "cluster", description = "The nodes, and who holds what."),
        (name = "operations", description = "Health and metrics.")
    ),
    components(schemas(problems::ProblemDocument))
)]
pub(super) struct Contract;

/// Serves the document at `/openapi.json` and Swagger UI at `/docs/`.
pub(super) fn pages(document: Bytes) -> Router<Front> {
    let config = Arc::new(Config::from("/openapi.json"));
    let index = Arc::clone(&config);
    Router::new()
        .route("/openapi.json", get(async move || json(document)))
        .route("/docs", get(to_index))
        .route("/docs/", get(async move || file("", index)))
        .route("/docs/{*file}", get(async move |Path(path): Path<String>| file(&path, config)))
}

fn json(document: Bytes) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], Body::from(document)).into_response()
}

async fn to_index() -> Response {
    (StatusCode::PERMANENT_REDIRECT, [(LOCATION, HeaderValue::from_static("/docs/"))]).into_response()
}

fn file(path: &str, config: Arc<Config<'static>>) -> Response {
    match utoipa_swagger_ui::serve(path, config) {
        Ok(Some(file)) => {
            let content_type = HeaderValue::from_str(&file.content_type)
                .unwrap_or(HeaderValue::from_static("application/octet-stream"));
            ([(CONTENT_TYPE, content_type)], Body::from(file.bytes.into_owned())).into_response()
        }
        Ok(None) => Problem::no_route("this path below /docs").into_response(),
        Err(_) => Problem::internal().into_response(),
    }
}
