//! Submissions: trigger, execute, and executions of inline definitions.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::{NoQuery, REPLAYED, header, json};
use crate::actors::{Caller, Submission, What};
use crate::api::ask::{self, Body, Query, Wish, WorkflowPath};
use crate::api::calls;
use crate::api::docs::{problems, schema};
use crate::api::front::{Front, Who};
use crate::api::problem::Problem;
use crate::api::shape::{Detail, write_execution};
use crate::consensus::Record;

/// Starts an execution of a workflow.
///
/// The body may be left out. Answers as soon as the execution is durable.
#[utoipa::path(
    post, path = "/api/workflows/{id}/trigger", tag = "workflows", operation_id = "triggerWorkflow",
    params(schema::WorkflowPathParams, schema::IdempotencyHeader),
    request_body = Option<schema::WorkflowSubmission>,
    responses(schema::SubmittedResponses, problems::Writes)
)]
pub(super) async fn trigger(
    State(front): State<Front>,
    Who(caller): Who,
    WorkflowPath(id): WorkflowPath,
    _: NoQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let wish = ask::submission(body.fields()?, true)?;
    let what = What::Workflow { id, version: None };
    run(&front, &caller, &headers, what, wish, None).await
}

/// Starts an execution of a workflow and, with `wait`, answers its outcome.
///
/// Without `wait` it answers 201 as soon as the execution is durable. With it, 200 and the finished
/// execution, or 202 and the unfinished one when the time is up; the execution goes on all the same.
#[utoipa::path(
    post, path = "/api/workflows/{id}/execute", tag = "workflows", operation_id = "executeWorkflow",
    params(schema::WorkflowPathParams, schema::WaitParams, schema::IdempotencyHeader),
    request_body = Option<schema::WorkflowSubmission>,
    responses(schema::SubmittedResponses, problems::Writes)
)]
pub(super) async fn execute(
    State(front): State<Front>,
    Who(caller): Who,
    WorkflowPath(id): WorkflowPath,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let wait = wait(query.as_deref())?;
    let wish = ask::submission(body.fields()?, true)?;
    let what = What::Workflow { id, version: None };
    run(&front, &caller, &headers, what, wish, wait).await
}

/// Starts an execution of an inline definition, or of a workflow.
#[utoipa::path(
    post, path = "/api/executions", tag = "executions", operation_id = "submitExecution",
    params(schema::WaitParams, schema::IdempotencyHeader),
    request_body = schema::Submission,
    responses(schema::SubmittedResponses, problems::Writes)
)]
pub(super) async fn submit(
    State(front): State<Front>,
    Who(caller): Who,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let wait = wait(query.as_deref())?;
    let mut wish = ask::submission(body.fields()?, false)?;
    let what = wish.what.take().expect("a submission without a path names what to run");
    let inline = matches!(what, What::Inline { .. });
    let ran = run(&front, &caller, &headers, what, wish, wait).await;
    ran.map_err(|problem| match &*problem.code {
        "invalid_definition" if inline => problem.below("/definition"),
        _ => problem,
    })
}

fn wait(query: Option<&str>) -> Result<Option<Duration>, Problem> {
    let query = Query::parse(query, &["wait"])?;
    query.parsed("wait", "a duration up to 5m, such as 30s", ask::wait)
}

async fn run(
    front: &Front,
    caller: &Caller,
    headers: &HeaderMap,
    what: What,
    wish: Wish,
    wait: Option<Duration>,
) -> Result<Response, Problem> {
    let idempotency_key = ask::idempotency_key(headers)?;
    let submission = Submission { what, input: wish.input, labels: wish.labels, idempotency_key };
    let submitted = front.handle.submit(caller, submission).await?;
    let record = match wait {
        Some(wait) => calls::finished(&front.handle, caller, submitted.record, wait).await?,
        None => submitted.record,
    };
    let status = match wait {
        Some(_) if record.execution.status.is_finished() => StatusCode::OK,
        Some(_) => StatusCode::ACCEPTED,
        None if submitted.existing => StatusCode::OK,
        None => StatusCode::CREATED,
    };
    answer(front, &record, status, submitted.existing).await
}

async fn answer(
    front: &Front,
    record: &Arc<Record>,
    status: StatusCode,
    existing: bool,
) -> Result<Response, Problem> {
    let spec = front.handle.spec_of(record).await?;
    let mut out = Vec::with_capacity(1024);
    write_execution(&mut out, record, &spec, Detail::Submitted);
    let mut response = json(status, out);
    if status != StatusCode::OK {
        header(&mut response, LOCATION, &format!("/api/executions/{}", record.execution.id));
    }
    if existing {
        header(&mut response, REPLAYED, "true");
    }
    Ok(response)
}
