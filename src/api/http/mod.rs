//! The HTTP front end: one file per group of endpoints, JSON in and out.

mod actions;
mod cluster;
mod executions;
mod operations;
mod stream;
mod submit;
mod workflows;

pub(super) use operations::ready;

use axum::body::Body;
use axum::extract::{FromRequestParts, Request};
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::request::Parts;
use axum::http::{HeaderName, Method, StatusCode};
use axum::response::Response;
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ask::Query;
use super::front::Front;
use super::problem::Problem;

/// Marks the answer to a repeated request.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Every HTTP endpoint with its part of the OpenAPI document.
pub(super) fn endpoints() -> OpenApiRouter<Front> {
    let runs = || get(executions::list).post(submit::submit);
    let run = || get(executions::get);
    OpenApiRouter::new()
        .routes(routes!(workflows::list, workflows::create))
        .routes(routes!(workflows::validate))
        .routes(routes!(workflows::get, workflows::put, workflows::delete))
        .routes(routes!(workflows::versions))
        .routes(routes!(submit::trigger))
        .routes(routes!(submit::execute))
        .routes(routes!(executions::list, submit::submit))
        .routes(routes!(executions::get))
        .routes(routes!(executions::logs))
        .routes(routes!(executions::history))
        .routes(routes!(executions::explain))
        .routes(routes!(stream::stream))
        .routes(routes!(actions::cancel))
        .routes(routes!(actions::pause))
        .routes(routes!(actions::resume))
        .routes(routes!(actions::retry))
        .routes(routes!(cluster::status))
        .routes(routes!(cluster::reserve))
        .routes(routes!(cluster::remove))
        .routes(routes!(cluster::drain))
        .routes(routes!(cluster::undrain))
        .routes(routes!(operations::providers))
        .routes(routes!(operations::health))
        .routes(routes!(operations::readyz))
        .routes(routes!(operations::api_health))
        .routes(routes!(operations::metrics))
        .route("/runs", runs())
        .route("/runs/{id}", run())
        .route("/api/runs", runs())
        .route("/api/runs/{id}", run())
}

/// Answers what no route answers.
pub(super) async fn no_route(request: Request) -> Problem {
    Problem::no_route(request.uri().path())
}

/// Answers a method that its path does not have.
pub(super) async fn no_method(method: Method) -> Problem {
    Problem::method(method.as_str())
}

/// A path that takes no query parameters.
struct NoQuery;

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Query::parse(parts.uri.query(), &[]).map(|_| Self)
    }
}

/// A response of JSON text.
fn json(status: StatusCode, text: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A header whose value we made ourselves.
fn header(response: &mut Response, name: HeaderName, value: &str) {
    let value = HeaderValue::from_str(value).expect("what we write is visible ASCII");
    response.headers_mut().insert(name, value);
}

/// A page of a list.
fn page<T>(
    items: impl IntoIterator<Item = T>,
    next: Option<super::ask::Cursor>,
    write: impl FnMut(&mut Vec<u8>, T),
) -> Response {
    let mut out = Vec::with_capacity(1024);
    let mut object = super::shape::Object::new(&mut out);
    object.list("items", items, write);
    match next {
        Some(cursor) => object.shown("next_cursor", cursor),
        None => object.null("next_cursor"),
    }
    object.end();
    json(StatusCode::OK, out)
}
