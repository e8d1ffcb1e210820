//! Health, readiness, metrics, and what this node offers.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};

use super::json;
use crate::actors::{DiskRoom, PartitionHealth};
use crate::api::docs::{problems, schema};
use crate::api::front::{Front, Who};
use crate::api::shape::{Object, write_list, write_text};

/// Says that the process answers.
#[utoipa::path(
    get, path = "/health", tag = "operations", operation_id = "health",
    responses((status = 200, description = "The process answers.", body = schema::Health))
)]
pub(super) async fn health(State(front): State<Front>) -> Response {
    let mut out = Vec::new();
    let mut object = Object::new(&mut out);
    object.text("status", "ok");
    object.text("version", front.settings.version);
    object.end();
    json(StatusCode::OK, out)
}

/// Says whether the node takes work: 200 when it does, 503 when it does not yet or has no room on its disk.
#[utoipa::path(
    get, path = "/readyz", tag = "operations", operation_id = "readiness",
    responses(
        (status = 200, description = "It takes work.", body = schema::NodeHealth),
        (status = 503, description = "It does not.", body = schema::NodeHealth))
)]
pub(super) async fn readyz(State(front): State<Front>) -> Response {
    let partitions = front.handle.health();
    let status = if ready(&front, &partitions) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, node_health(&front, &partitions))
}

/// Shows where this node stands.
#[utoipa::path(
    get, path = "/api/health", tag = "operations", operation_id = "nodeHealth",
    responses((status = 200, description = "Where it stands.", body = schema::NodeHealth))
)]
pub(super) async fn api_health(State(front): State<Front>) -> Response {
    json(StatusCode::OK, node_health(&front, &front.handle.health()))
}

/// Shows the metrics as Prometheus text.
#[utoipa::path(
    get, path = "/metrics", tag = "operations", operation_id = "metrics",
    responses((status = 200, description = "Prometheus text.", body = String, content_type = "text/plain"))
)]
pub(super) async fn metrics(State(front): State<Front>) -> Response {
    let mut response = (front.metrics)().into_response();
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

/// Lists the providers a definition may name on this node.
#[utoipa::path(
    get, path = "/api/providers", tag = "workflows", operation_id = "listProviders",
    responses((status = 200, description = "Their names.", body = Vec<String>), problems::Reads)
)]
pub(super) async fn providers(State(front): State<Front>, _: Who) -> Response {
    let mut out = Vec::new();
    write_list(&mut out, front.handle.catalogue().runners.keys(), |out, name| write_text(out, name));
    json(StatusCode::OK, out)
}

/// Whether every partition takes work: it is led here and its actors run, or another node leads it; and whether the
/// disk has room for it.
pub(in crate::api) fn ready(front: &Front, partitions: &[PartitionHealth]) -> bool {
    front.handle.disk_room() != DiskRoom::Full && all_led(partitions)
}

fn all_led(partitions: &[PartitionHealth]) -> bool {
    !partitions.is_empty()
        && partitions.iter().all(|partition| partition.leading || partition.leader.is_some())
}

fn node_health(front: &Front, partitions: &[PartitionHealth]) -> Vec<u8> {
    let room = front.handle.disk_room();
    let status = match (room, all_led(partitions)) {
        (DiskRoom::Full, _) => "disk_full",
        (DiskRoom::Ample | DiskRoom::Scarce, true) => "ok",
        (DiskRoom::Ample | DiskRoom::Scarce, false) => "no_leader",
    };
    let mut out = Vec::new();
    let mut object = Object::new(&mut out);
    object.text("status", status);
    object.text("version", front.settings.version);
    object.number("node", front.handle.node());
    object.text("disk", room.as_str());
    object.list("unfit", &front.handle.unfit(), |out, why| write_text(out, why.as_str()));
    object.list("partitions", partitions, |out, partition| {
        let mut object = Object::new(out);
        object.number("partition", u64::from(partition.partition));
        object.truth("leading", partition.leading);
        match partition.leader {
            Some(leader) => object.number("leader", leader),
            None => object.null("leader"),
        }
        object.number("active", partition.active as u64);
        object.number("parked", partition.parked as u64);
        object.end();
    });
    object.end();
    out
}
