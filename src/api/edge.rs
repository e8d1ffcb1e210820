//! The outermost layer: what is true of every response, whoever wrote it.
//!
//! Each has a trace id and the security headers; each failure is a whole problem document; a panic
//! is a 500 that tells the caller nothing but the trace id; each request is counted, timed and
//! logged under the template of its route, never under its path, which callers choose.

use std::panic::AssertUnwindSafe;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL,
    CONTENT_TYPE, ORIGIN, RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tokio::time::Instant;

use super::front::Front;
use super::problem::Problem;

/// The header that carries the trace id.
pub(super) const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
/// The header, or the trailer, that carries the stable code of a failed gRPC call.
pub(super) const GRPC_CODE: &str = "everstep-code";
/// What pages of another origin may send.
const CORS_HEADERS: &str =
    "authorization, content-type, idempotency-key, if-match, last-event-id, traceparent";
/// What pages of another origin may read.
const CORS_EXPOSED: &str = "etag, idempotent-replayed, location, retry-after, x-trace-id";

/// Runs a request inside everything described above.
pub(super) async fn edge(State(front): State<Front>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let trace_id =
        trace_id(request.headers()).unwrap_or_else(|| format!("{:032x}", front.world.entropy.bits()));
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let origin = allowed_origin(&front, request.headers());
    let grpc = is_grpc(request.headers());
    if let Some(origin) = origin.clone().filter(|_| is_preflight(&request)) {
        return preflight(origin);
    }

    // A connection may have been refused before there was a request.
    let mut response = match request.extensions_mut().remove::<Problem>() {
        Some(refused) => refused.into_response(),
        None => AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!(trace_id, "a handler panicked");
            Problem::internal().into_response()
        }),
    };
    let problem = response.extensions_mut().remove::<Problem>();
    if let Some(problem) = &problem {
        response = if grpc { grpc_failure(problem) } else { fill(response, problem, &trace_id) };
    }
    if grpc {
        name_failure(response.headers_mut());
    }
    dress(response.headers_mut(), &trace_id, origin);
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let code = problem.as_ref().map(|problem| problem.code.as_ref());
    let outcome = grpc_outcome(&response).unwrap_or_else(|| Outcome::of_http(response.status()));
    account(&method, route, &outcome, code, begun.elapsed(), &trace_id);
    response
}

/// The trace id of a W3C `traceparent`, if there is a lawful one.
fn trace_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let mut parts = text.split('-');
    let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str, len: usize| {
        part.len() == len && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let lawful = hex(version, 2) && version != "ff" && hex(id, 32) && hex(parent, 16) && hex(flags, 2);
    (lawful && id.bytes().any(|b| b != b'0')).then(|| id.to_owned())
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

fn allowed_origin(front: &Front, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    front
        .settings
        .origins
        .iter()
        .any(|allowed| allowed.as_bytes() == origin.as_bytes())
        .then(|| origin.clone())
}

fn preflight(origin: HeaderValue) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PUT, DELETE"));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(CORS_HEADERS));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    headers.insert(VARY, HeaderValue::from_static("origin"));
    response
}

/// Puts the document of a problem into its response; headers such as `Allow` stay.
fn fill(response: Response, problem: &Problem, trace_id: &str) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(axum::http::header::CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    parts.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = problem.retry_after {
        parts.headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    Response::from_parts(parts, problem.document(trace_id).into())
}

/// A problem met before a gRPC method was reached: unknown method (12) or our own fault (13).
fn grpc_failure(problem: &Problem) -> Response {
    let code = if problem.status.is_server_error() { "13" } else { "12" };
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static(code));
    if let Ok(name) = HeaderValue::from_str(&problem.code) {
        headers.insert(GRPC_CODE, name);
    }
    response
}

/// Gives a call that the gRPC library refused by itself the stable code that all failures have.
fn name_failure(headers: &mut HeaderMap) {
    if headers.contains_key(GRPC_CODE) {
        return;
    }
    let message = headers.get("grpc-message").map(HeaderValue::as_bytes).unwrap_or_default();
    let name = match headers.get("grpc-status").map(HeaderValue::as_bytes) {
        // "decoded message length too large"
        Some(b"11") => "body_too_large",
        Some(b"12") => "unsupported",
        // "failed to decode Protobuf message", encoded, for which the library blames the server.
        Some(b"13") if message.starts_with(b"failed%20to%20decode") => {
            headers.insert("grpc-status", HeaderValue::from_static("3"));
            "invalid_message"
        }
        _ => return,
    };
    headers.insert(GRPC_CODE, HeaderValue::from_static(name));
}

fn dress(headers: &mut HeaderMap, trace_id: &str, origin: Option<HeaderValue>) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(TRACE_ID, HeaderValue::from_str(trace_id).expect("hexadecimal digits are lawful"));
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(CORS_EXPOSED));
        headers.append(VARY, HeaderValue::from_static("origin"));
    }
}

/// How a request ended, for the metrics and the log.
struct Outcome {
    /// `200`, or `grpc_5` for a gRPC call that failed at once.
    label: String,
    failed: bool,
    /// The fault is ours.
    ours: bool,
}

impl Outcome {
    fn of_http(status: StatusCode) -> Self {
        Self {
            label: status.as_str().to_owned(),
            failed: status.as_u16() >= 400,
            ours: status.is_server_error(),
        }
    }
}

/// How a gRPC call ended that has failed before its first message; its HTTP status is always 200.
fn grpc_outcome(response: &Response) -> Option<Outcome> {
    let code = response.headers().get("grpc-status")?.to_str().ok()?;
    // Unknown, internal, unavailable and data loss are the server's.
    let ours = matches!(code, "2" | "13" | "14" | "15");
    Some(Outcome { label: format!("grpc_{code}"), failed: code != "0", ours })
}

/// Counts, times and logs a request. Successes are logged at debug: a node answers ten thousand of
/// them a second.
fn account(
    method: &Method,
    route: &str,
    outcome: &Outcome,
    code: Option<&str>,
    took: std::time::Duration,
    trace_id: &str,
) {
    let method = method_word(method);
    let status = outcome.label.as_str();
    let labels = [("method", method.to_owned()), ("route", route.to_owned()), ("status", status.to_owned())];
    metrics::histogram!("api_request_latency_seconds", &labels).record(took.as_secs_f64());
    metrics::counter!("api_requests_total", &labels).increment(1);
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    if !outcome.failed {
        tracing::debug!(target: "everstep::access", method, route, status, took_us, trace_id);
        return;
    }
    metrics::counter!("api_errors_total", &labels).increment(1);
    let code = code.unwrap_or_default();
    if outcome.ours {
        tracing::warn!(target: "everstep::access", method, route, status, code, took_us, trace_id);
    } else {
        tracing::info!(target: "everstep::access", method, route, status, code, took_us, trace_id);
    }
}

/// A method as a label: callers may invent methods, and each label is a series.
const fn method_word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &'static str) -> Option<String> {
        let headers =
            HeaderMap::from_iter([(HeaderName::from_static("traceparent"), HeaderValue::from_static(text))]);
        trace_id(&headers)
    }

    #[test]
    fn a_lawful_traceparent_is_kept() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").as_deref(), Some(id));
        for bad in [
            "",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        ] {
            assert_eq!(of(bad), None, "{bad:?}");
        }
    }
}
