//! Workflows: create, list, get, change, delete, versions, validate.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::header::{ETAG, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::{NoQuery, REPLAYED, header, json, page};
use crate::actors::PutWorkflow;
use crate::api::ask::{self, Body, Cursor, Query, WorkflowPath};
use crate::api::calls;
use crate::api::docs::{problems, schema};
use crate::api::front::{Front, Who};
use crate::api::problem::{Problem, write_finding};
use crate::api::settings::PAGE_MAX;
use crate::api::shape::{Object, write_version, write_workflow, write_workflow_line};
use crate::consensus::{Workflow, WorkflowVersion};
use crate::engine::model::{DefinitionStatus, WorkflowId};

/// Creates a workflow. The body is its definition, as JSON or YAML.
#[utoipa::path(
    post, path = "/api/workflows", tag = "workflows", operation_id = "createWorkflow",
    params(schema::IdempotencyHeader),
    request_body(content((schema::Definition = "application/json"), (String = "application/yaml"))),
    responses(
        (status = 201, description = "It was created.", body = schema::Workflow,
            headers(("Location" = String, description = "Its path."), ("ETag" = String, description = "Its version."))),
        (status = 200, description = "The idempotency key was used before; this is what it created.", body = schema::Workflow,
            headers(("Idempotent-Replayed" = String, description = "Always `true`."))),
        problems::Writes)
)]
pub(super) async fn create(
    State(front): State<Front>,
    Who(caller): Who,
    _: NoQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let idempotency_key = ask::idempotency_key(&headers)?;
    let text = body.definition()?.to_owned();
    let put = PutWorkflow { id: None, expected: None, text, idempotency_key };
    let (workflow, existing) = front.handle.put_workflow(&caller, put).await?;
    let status = if existing { StatusCode::OK } else { StatusCode::CREATED };
    let mut response = answer(status, &workflow, workflow.latest());
    header(&mut response, LOCATION, &format!("/api/workflows/{}", workflow.id));
    if existing {
        header(&mut response, REPLAYED, "true");
    }
    Ok(response)
}

/// Lists workflows, newest first, without their definitions.
#[utoipa::path(
    get, path = "/api/workflows", tag = "workflows", operation_id = "listWorkflows",
    params(schema::WorkflowFilters),
    responses((status = 200, description = "A page.", body = schema::WorkflowPage), problems::Reads)
)]
pub(super) async fn list(
    State(front): State<Front>,
    Who(caller): Who,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["status", "cursor", "limit"])?;
    let status = query.parsed("status", "draft, active or archived", DefinitionStatus::parse)?;
    let before = match query.one("cursor")?.map(Cursor::parse).transpose()? {
        None => None,
        Some(Cursor::Workflow(id)) => Some(WorkflowId::from_uuid(id)),
        Some(_) => return Err(Problem::parameter("cursor", "this is a cursor of another list")),
    };
    let found = front.handle.workflows(&caller, status, before, query.limit(PAGE_MAX)?).await?;
    let next = found.next.map(|id| Cursor::Workflow(id.uuid()));
    Ok(page(&found.items, next, |out, workflow| write_workflow_line(out, workflow)))
}

/// Answers a workflow with the definition of its latest version, or of the one asked for.
#[utoipa::path(
    get, path = "/api/workflows/{id}", tag = "workflows", operation_id = "getWorkflow",
    params(schema::WorkflowPathParams, schema::VersionParams),
    responses((status = 200, description = "The workflow.", body = schema::Workflow,
        headers(("ETag" = String, description = "Its version, for `If-Match`."))), problems::Reads)
)]
pub(super) async fn get(
    State(front): State<Front>,
    Who(caller): Who,
    WorkflowPath(id): WorkflowPath,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["version"])?;
    let positive = |text: &str| ask::whole(text).and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
    let wanted = query.parsed("version", "a whole number from 1 on", positive)?;
    let workflow = front.handle.workflow(&caller, id).await?;
    let version = calls::version_of(&workflow, wanted)?;
    Ok(answer(StatusCode::OK, &workflow, version))
}

/// Adds a version to a workflow. Executions that run keep the version they have.
#[utoipa::path(
    put, path = "/api/workflows/{id}", tag = "workflows", operation_id = "updateWorkflow",
    params(schema::WorkflowPathParams, schema::IfMatchHeader),
    request_body(content((schema::Definition = "application/json"), (String = "application/yaml"))),
    responses((status = 200, description = "The workflow with its new version.", body = schema::Workflow,
        headers(("ETag" = String, description = "Its version."))), problems::Writes)
)]
pub(super) async fn put(
    State(front): State<Front>,
    Who(caller): Who,
    WorkflowPath(id): WorkflowPath,
    _: NoQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let expected = ask::if_match(&headers)?;
    let text = body.definition()?.to_owned();
    let put = PutWorkflow { id: Some(id), expected, text, idempotency_key: None };
    let (workflow, _) = front.handle.put_workflow(&caller, put).await?;
    Ok(answer(StatusCode::OK, &workflow, workflow.latest()))
}

/// Deletes a workflow; archives it instead if executions of it are unfinished.
#[utoipa::path(
    delete, path = "/api/workflows/{id}", tag = "workflows", operation_id = "deleteWorkflow",
    params(schema::WorkflowPathParams),
    responses(
        (status = 204, description = "It is gone."),
        (status = 200, description = "Executions of it run, so it was archived.", body = schema::Workflow),
        problems::Reads)
)]
pub(super) async fn delete(
    State(front): State<Front>,
    Who(caller): Who,
    WorkflowPath(id): WorkflowPath,
    _: NoQuery,
) -> Result<Response, Problem> {
    if !front.handle.delete_workflow(&caller, id).await? {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let workflow = front.handle.workflow(&caller, id).await?;
    Ok(answer(StatusCode::OK, &workflow, workflow.latest()))
}

/// Lists the versions of a workflow, newest first.
#[utoipa::path(
    get, path = "/api/workflows/{id}/versions", tag = "workflows", operation_id = "listWorkflowVersions",
    params(schema::WorkflowPathParams, schema::PageParams),
    responses((status = 200, description = "A page.", body = schema::VersionPage), problems::Reads)
)]
pub(super) async fn versions(
    State(front): State<Front>,
    Who(caller): Who,
    WorkflowPath(id): WorkflowPath,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["cursor", "limit"])?;
    let limit = query.limit(PAGE_MAX)?;
    let before = match query.one("cursor")?.map(Cursor::parse).transpose()? {
        None => None,
        Some(Cursor::Version(version)) => Some(version),
        Some(_) => return Err(Problem::parameter("cursor", "this is a cursor of another list")),
    };
    let workflow = front.handle.workflow(&caller, id).await?;
    let (items, next) = calls::versions_page(&workflow, before, limit);
    Ok(page(items, next, write_version))
}

/// Checks a definition without keeping it. Every finding is answered at once.
#[utoipa::path(
    post, path = "/api/workflows/validate", tag = "workflows", operation_id = "validateWorkflow",
    request_body(content((schema::Definition = "application/json"), (String = "application/yaml"))),
    responses((status = 200, description = "What the check says.", body = schema::Validation), problems::Writes)
)]
pub(super) async fn validate(
    State(front): State<Front>,
    _: Who,
    _: NoQuery,
    body: Body,
) -> Result<Response, Problem> {
    let findings = front.handle.validate(body.definition()?).err().unwrap_or_default();
    let mut out = Vec::new();
    let mut object = Object::new(&mut out);
    object.truth("valid", findings.is_empty());
    object.list("errors", &findings, write_finding);
    object.end();
    Ok(json(StatusCode::OK, out))
}

fn answer(status: StatusCode, workflow: &Arc<Workflow>, version: &WorkflowVersion) -> Response {
    let mut out = Vec::with_capacity(512 + version.text.len());
    write_workflow(&mut out, workflow, version);
    let mut response = json(status, out);
    header(&mut response, ETAG, &ask::etag(version.version));
    response
}
