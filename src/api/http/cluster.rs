//! The nodes of the cluster, and who holds what.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::{NoQuery, json};
use crate::actors::Error;
use crate::api::ask::{Body, NodePath, Query};
use crate::api::docs::{problems, schema};
use crate::api::front::{Front, Who};
use crate::api::problem::Problem;
use crate::api::shape::{write_cluster, write_node};
use crate::consensus::NodeRecord;

/// Shows the cluster: its nodes, and which of them hold and lead which partition.
///
/// The node that is asked asks all the others. One that does not answer within 0.7 s is shown as out of reach;
/// what is said of a partition then comes from those that answered.
#[utoipa::path(
    get, path = "/api/cluster", tag = "cluster", operation_id = "getCluster",
    responses((status = 200, description = "The cluster as it stands now.", body = schema::Cluster), problems::Reads)
)]
pub(super) async fn status(State(front): State<Front>, _: Who, _: NoQuery) -> Response {
    let mut out = Vec::with_capacity(2048);
    write_cluster(&mut out, &front.handle.cluster().await);
    json(StatusCode::OK, out)
}

/// Keeps an id for a node that will come.
///
/// The id is never given to another node, so a certificate can be made for it before the node starts. Each call
/// keeps another id.
#[utoipa::path(
    post, path = "/api/cluster/nodes", tag = "cluster", operation_id = "reserveNode",
    request_body = Option<schema::EmptyBody>,
    responses((status = 201, description = "The node to come.", body = schema::Node), problems::Writes)
)]
pub(super) async fn reserve(
    State(front): State<Front>,
    _: Who,
    _: NoQuery,
    body: Body,
) -> Result<Response, Problem> {
    body.fields()?.known(&[])?;
    answer(StatusCode::CREATED, front.handle.reserve_node().await)
}

/// Moves everything off a node, partition by partition: its leadership first, then its vote.
///
/// Answers at once; `GET /api/cluster` shows how far it is. A node that neither leads nor votes can be stopped and
/// removed. A node that drains already goes on draining.
#[utoipa::path(
    post, path = "/api/cluster/nodes/{id}/drain", tag = "cluster", operation_id = "drainNode",
    params(schema::NodePathParams), request_body = Option<schema::EmptyBody>,
    responses((status = 200, description = "The node as it stands now.", body = schema::Node), problems::Writes)
)]
pub(super) async fn drain(
    State(front): State<Front>,
    _: Who,
    NodePath(id): NodePath,
    _: NoQuery,
    body: Body,
) -> Result<Response, Problem> {
    body.fields()?.known(&[])?;
    answer(StatusCode::OK, front.handle.drain_node(id).await)
}

/// Lets a node that drains, or has drained, hold partitions again.
#[utoipa::path(
    post, path = "/api/cluster/nodes/{id}/undrain", tag = "cluster", operation_id = "undrainNode",
    params(schema::NodePathParams), request_body = Option<schema::EmptyBody>,
    responses((status = 200, description = "The node as it stands now.", body = schema::Node), problems::Writes)
)]
pub(super) async fn undrain(
    State(front): State<Front>,
    _: Who,
    NodePath(id): NodePath,
    _: NoQuery,
    body: Body,
) -> Result<Response, Problem> {
    body.fields()?.known(&[])?;
    answer(StatusCode::OK, front.handle.undrain_node(id).await)
}

/// Removes a node for good. Its id is never used again.
///
/// A node that votes and answers is refused with 409 `node_still_votes`: drain it first. A node that does not
/// answer is removed at once, and what it held is held by the others alone.
#[utoipa::path(
    delete, path = "/api/cluster/nodes/{id}", tag = "cluster", operation_id = "removeNode",
    params(schema::NodePathParams, schema::ForceParams),
    responses((status = 200, description = "The node that was removed.", body = schema::Node), problems::Changes)
)]
pub(super) async fn remove(
    State(front): State<Front>,
    _: Who,
    NodePath(id): NodePath,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["force"])?;
    let force = query.parsed("force", "true or false", |text| text.parse::<bool>().ok())?;
    answer(StatusCode::OK, front.handle.remove_node(id, force.unwrap_or(false)).await)
}

fn answer(status: StatusCode, changed: Result<NodeRecord, Error>) -> Result<Response, Problem> {
    let mut out = Vec::with_capacity(256);
    write_node(&mut out, &changed?);
    Ok(json(status, out))
}
