//! Reading executions: list, get, logs, history, explain.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::{NoQuery, json, page};
use crate::api::ask::{self, Cursor, ExecutionPath, Query};
use crate::api::calls;
use crate::api::docs::{problems, schema};
use crate::api::front::{Front, Who};
use crate::api::problem::Problem;
use crate::api::settings::{HISTORY_PAGE_MAX, PAGE_MAX};
use crate::api::shape::{Detail, write_event, write_execution, write_explanation, write_line, write_list};

/// Lists executions, newest first.
///
/// All filters have to hold. A page may be short, even empty, and still have a `next_cursor`: the
/// search goes on there. Input and result are left out; they are on the execution itself.
#[utoipa::path(
    get, path = "/api/executions", tag = "executions", operation_id = "listExecutions",
    params(schema::ExecutionFilters),
    responses((status = 200, description = "A page.", body = schema::ExecutionPage), problems::Reads)
)]
pub(super) async fn list(
    State(front): State<Front>,
    Who(caller): Who,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), ask::EXECUTION_FILTERS)?;
    let found = front.handle.executions(&caller, ask::execution_list(&query, PAGE_MAX)?).await?;
    let mut items = Vec::with_capacity(found.items.len());
    for record in found.items {
        let spec = front.handle.spec_of(&record).await?;
        items.push((record, spec));
    }
    let next = found.next.map(|id| Cursor::Execution(id.uuid()));
    Ok(page(&items, next, |out, (record, spec)| write_execution(out, record, spec, Detail::Line)))
}

/// Answers one execution.
#[utoipa::path(
    get, path = "/api/executions/{id}", tag = "executions", operation_id = "getExecution",
    params(schema::ExecutionPathParams),
    responses((status = 200, description = "The execution.", body = schema::Execution), problems::Reads)
)]
pub(super) async fn get(
    State(front): State<Front>,
    Who(caller): Who,
    ExecutionPath(id): ExecutionPath,
    _: NoQuery,
) -> Result<Response, Problem> {
    let (record, spec) = calls::with_spec(&front.handle, &caller, id).await?;
    let mut out = Vec::with_capacity(1024);
    write_execution(&mut out, &record, &spec, Detail::Whole);
    Ok(json(StatusCode::OK, out))
}

/// Answers the log: one line per attempt, in the order in which they began.
#[utoipa::path(
    get, path = "/api/executions/{id}/logs", tag = "executions", operation_id = "getExecutionLogs",
    params(schema::ExecutionPathParams),
    responses((status = 200, description = "The lines.", body = Vec<schema::LogLine>), problems::Reads)
)]
pub(super) async fn logs(
    State(front): State<Front>,
    Who(caller): Who,
    ExecutionPath(id): ExecutionPath,
    _: NoQuery,
) -> Result<Response, Problem> {
    let (_, spec) = calls::with_spec(&front.handle, &caller, id).await?;
    let log = calls::log(&front.handle, &caller, id).await?;
    let mut out = Vec::with_capacity(1024);
    write_list(&mut out, log.lines(), |out, line| write_line(out, line, &spec));
    Ok(json(StatusCode::OK, out))
}

/// Answers a page of the history: every event, oldest first.
///
/// A page ends early when its payloads are large.
#[utoipa::path(
    get, path = "/api/executions/{id}/history", tag = "executions", operation_id = "getExecutionHistory",
    params(schema::ExecutionPathParams, schema::HistoryParams),
    responses((status = 200, description = "A page.", body = schema::EventPage), problems::Reads)
)]
pub(super) async fn history(
    State(front): State<Front>,
    Who(caller): Who,
    ExecutionPath(id): ExecutionPath,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["cursor", "limit"])?;
    let limit = query.limit(HISTORY_PAGE_MAX)?;
    let after = match query.one("cursor")?.map(Cursor::parse).transpose()? {
        None => 0,
        Some(Cursor::Event(version)) => version,
        Some(_) => return Err(Problem::parameter("cursor", "this is a cursor of another list")),
    };
    let (_, spec) = calls::with_spec(&front.handle, &caller, id).await?;
    let (events, more) = calls::history_page(&front.handle, &caller, id, after, limit).await?;
    let next = more.then(|| Cursor::Event(after + events.len() as u64));
    Ok(page((after + 1..).zip(&events), next, |out, (version, recorded)| {
        write_event(out, version, recorded, &spec);
    }))
}

/// Says why an execution is not further.
#[utoipa::path(
    get, path = "/api/executions/{id}/explain", tag = "executions", operation_id = "explainExecution",
    params(schema::ExecutionPathParams),
    responses((status = 200, description = "The reasons.", body = schema::Explanation), problems::Reads)
)]
pub(super) async fn explain(
    State(front): State<Front>,
    Who(caller): Who,
    ExecutionPath(id): ExecutionPath,
    _: NoQuery,
) -> Result<Response, Problem> {
    let record = front.handle.execution(&caller, id).await?;
    let reasons = front.handle.explain(&caller, id).await?;
    let mut out = Vec::with_capacity(512);
    write_explanation(&mut out, &record.execution, &reasons);
    Ok(json(StatusCode::OK, out))
}
