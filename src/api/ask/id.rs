//! Ids in paths. What is no UUID, or for a node no number, is the id of nothing: 404, like every other unknown id.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use uuid::Uuid;

use super::whole;
use crate::api::problem::Problem;
use crate::engine::model::{ExecutionId, WorkflowId};

/// The `{id}` of a path below `/api/executions`.
pub(in crate::api) struct ExecutionPath(pub(in crate::api) ExecutionId);

/// The `{id}` of a path below `/api/workflows`.
pub(in crate::api) struct WorkflowPath(pub(in crate::api) WorkflowId);

/// The `{id}` of a path below `/api/cluster/nodes`.
pub(in crate::api) struct NodePath(pub(in crate::api) u64);

/// Parses the one form in which ids are given out: hyphenated, 36 characters.
pub(in crate::api) fn uuid(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::parse_str(text).ok()).flatten()
}

async fn id<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    what: &'static str,
    code: &'static str,
) -> Result<Uuid, Problem> {
    read(parts, state, what, code, uuid).await
}

/// The `{id}` of a path, read by `parse`.
async fn read<S: Send + Sync, T>(
    parts: &mut Parts,
    state: &S,
    what: &'static str,
    code: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, Problem> {
    let params = RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|_| Problem::no_such(what, code, "with an id that is not text"))?;
    let text = params.iter().find(|(name, _)| *name == "id").map_or("", |(_, value)| value);
    parse(text).ok_or_else(|| Problem::no_such(what, code, text))
}

impl<S: Send + Sync> FromRequestParts<S> for ExecutionPath {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let uuid = id(parts, state, "execution", "execution_not_found").await?;
        Ok(Self(ExecutionId::from_uuid(uuid)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for WorkflowPath {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let uuid = id(parts, state, "workflow", "workflow_not_found").await?;
        Ok(Self(WorkflowId::from_uuid(uuid)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NodePath {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self(read(parts, state, "node", "node_not_found", whole).await?))
    }
}
