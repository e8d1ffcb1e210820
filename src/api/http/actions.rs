//! Actions on an execution: cancel, pause, resume, retry. Each answers once it is durable.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::{NoQuery, json};
use crate::actors::Caller;
use crate::api::ask::{self, Body, ExecutionPath};
use crate::api::docs::{problems, schema};
use crate::api::front::{Front, Who};
use crate::api::problem::Problem;
use crate::api::shape::{Detail, write_execution};
use crate::engine::model::{ExecutionId, Input};

/// Ends an execution.
///
/// Attempts in flight are stopped; none starts after the answer.
#[utoipa::path(
    post, path = "/api/executions/{id}/cancel", tag = "executions", operation_id = "cancelExecution",
    params(schema::ExecutionPathParams), request_body = Option<schema::ReasonBody>,
    responses((status = 200, description = "The execution as it stands now.", body = schema::Execution), problems::Writes)
)]
pub(super) async fn cancel(
    State(front): State<Front>,
    Who(caller): Who,
    ExecutionPath(id): ExecutionPath,
    _: NoQuery,
    body: Body,
) -> Result<Response, Problem> {
    let reason = ask::action_reason(body.fields()?)?;
    let by = caller.user.clone();
    act(&front, &caller, id, Input::Cancel { by, reason }).await
}

/// Holds an execution.
///
/// Attempts in flight end and are recorded; none starts until it is resumed.
#[utoipa::path(
    post, path = "/api/executions/{id}/pause", tag = "executions", operation_id = "pauseExecution",
    params(schema::ExecutionPathParams), request_body = Option<schema::ReasonBody>,
    responses((status = 200, description = "The execution as it stands now.", body = schema::Execution), problems::Writes)
)]
pub(super) async fn pause(
    State(front): State<Front>,
    Who(caller): Who,
    ExecutionPath(id): ExecutionPath,
    _: NoQuery,
    body: Body,
) -> Result<Response, Problem> {
    let reason = ask::action_reason(body.fields()?)?;
    let by = caller.user.clone();
    act(&front, &caller, id, Input::Pause { by, reason }).await
}

/// Lets a held execution go on.
#[utoipa::path(
    post, path = "/api/executions/{id}/resume", tag = "executions", operation_id = "resumeExecution",
    params(schema::ExecutionPathParams), request_body = Option<schema::EmptyBody>,
    responses((status = 200, description = "The execution as it stands now.", body = schema::Execution), problems::Writes)
)]
pub(super) async fn resume(
    State(front): State<Front>,
    Who(caller): Who,
    ExecutionPath(id): ExecutionPath,
    _: NoQuery,
    body: Body,
) -> Result<Response, Problem> {
    body.fields()?.known(&[])?;
    let by = caller.user.clone();
    act(&front, &caller, id, Input::Resume { by }).await
}

/// Runs an execution again, from the failed steps or from the start.
///
/// It stays the same execution: completed steps keep their outcome unless `from` is `start`.
#[utoipa::path(
    post, path = "/api/executions/{id}/retry", tag = "executions", operation_id = "retryExecution",
    params(schema::ExecutionPathParams), request_body = Option<schema::RetryBody>,
    responses((status = 200, description = "The execution as it stands now.", body = schema::Execution), problems::Writes)
)]
pub(super) async fn retry(
    State(front): State<Front>,
    Who(caller): Who,
    ExecutionPath(id): ExecutionPath,
    _: NoQuery,
    body: Body,
) -> Result<Response, Problem> {
    let from = ask::retry_from(body.fields()?)?;
    let by = caller.user.clone();
    act(&front, &caller, id, Input::Retry { by, from }).await
}

async fn act(front: &Front, caller: &Caller, id: ExecutionId, input: Input) -> Result<Response, Problem> {
    let record = front.handle.act(caller, id, input).await?;
    let spec = front.handle.spec_of(&record).await?;
    let mut out = Vec::with_capacity(1024);
    write_execution(&mut out, &record, &spec, Detail::Whole);
    Ok(json(StatusCode::OK, out))
}
