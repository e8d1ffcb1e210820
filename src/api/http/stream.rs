//! Server-sent events: a history as it grows.
//!
//! The id of each event is its version, so a reader that lost its connection goes on where it was.
//! The stream ends after the last event of a finished execution; a reader that comes back having
//! everything is told 204, which tells browsers to stop asking.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use tokio::time::timeout;

use crate::actors::Caller;
use crate::api::ask::{self, ExecutionPath, Query};
use crate::api::calls::{self, Follow};
use crate::api::docs::{problems, schema};
use crate::api::front::{Front, Who};
use crate::api::problem::Problem;
use crate::api::shape::write_event;
use crate::engine::definition::Spec;
use crate::engine::model::ExecutionId;

/// How often a silent stream says that it is alive: below the idle limits of common proxies.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Streams the history of an execution as server-sent events.
///
/// The data of each is an event as in the history, its id the event's version. `Last-Event-ID`, or
/// `last_event_id` where headers cannot be set, goes on after that version.
#[utoipa::path(
    get, path = "/api/executions/{id}/stream", tag = "executions", operation_id = "streamExecution",
    params(schema::ExecutionPathParams, schema::StreamParams),
    responses(
        (status = 200, description = "The events.", body = String, content_type = "text/event-stream"),
        (status = 204, description = "The execution has finished and the reader has every event."),
        problems::Reads)
)]
pub(super) async fn stream(
    State(front): State<Front>,
    Who(caller): Who,
    ExecutionPath(id): ExecutionPath,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["last_event_id"])?;
    let asked = query.parsed("last_event_id", "the id of an event, a whole number", ask::whole)?;
    let after = ask::last_event_id(&headers)?.or(asked).unwrap_or(0);
    let (record, spec) = calls::with_spec(&front.handle, &caller, id).await?;
    calls::check_after("last_event_id", &record, after)?;
    if record.execution.status.is_finished() && record.execution.version == after {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let mut response = Response::new(body(&front, caller, id, after, spec));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn body(front: &Front, caller: Caller, id: ExecutionId, after: u64, spec: Arc<Spec>) -> Body {
    let follow = Follow::new(front.handle.clone(), caller, id, after);
    let start = (follow, spec, VecDeque::from([Bytes::from_static(b": everstep\n\n")]));
    Body::from_stream(stream::unfold(start, |(mut follow, spec, mut ready)| async move {
        loop {
            if let Some(bytes) = ready.pop_front() {
                return Some((Ok::<Bytes, Infallible>(bytes), (follow, spec, ready)));
            }
            // What is dropped when the time is up is only a wait; no event is lost with it.
            match timeout(KEEP_ALIVE, follow.next()).await {
                Err(_) => ready.push_back(Bytes::from_static(b": alive\n\n")),
                Ok(Ok(Some(events))) => ready.push_back(frame(&events, &spec)),
                // A reader whose stream broke comes back with the id of its last event.
                Ok(Ok(None) | Err(_)) => return None,
            }
        }
    }))
}

fn frame(events: &[(u64, crate::engine::model::Recorded)], spec: &Spec) -> Bytes {
    let mut out = Vec::with_capacity(256 * events.len());
    for (version, recorded) in events {
        write!(out, "id: {version}\ndata: ").expect("a buffer takes everything");
        write_event(&mut out, *version, recorded, spec);
        out.extend_from_slice(b"\n\n");
    }
    Bytes::from(out)
}
