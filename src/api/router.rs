//! One router for everything on the public port.

use axum::Router;
use axum::middleware;
use bytes::Bytes;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

use super::docs::{self, Contract};
use super::edge::edge;
use super::front::Front;
use super::grpc;
use super::http;
use super::settings::ApiSettings;
use crate::actors::Handle;
use crate::world::World;

/// Everything that is served on the public port. `metrics` writes the metrics of the process as
/// Prometheus text.
pub fn router(
    handle: Handle,
    settings: ApiSettings,
    world: World,
    metrics: impl Fn() -> String + Send + Sync + 'static,
) -> Router {
    let front = Front::new(handle, settings, world, Box::new(metrics));
    let (endpoints, contract) = contract();
    endpoints
        .merge(grpc::services(&front).with_state(()))
        .merge(docs::pages(Bytes::from(text(&contract))))
        .fallback(http::no_route)
        .method_not_allowed_fallback(http::no_method)
        .layer(middleware::from_fn_with_state(front.clone(), edge))
        .with_state(front)
}

/// The OpenAPI document of this version, as indented JSON text.
#[must_use]
pub fn openapi() -> String {
    text(&contract().1)
}

fn contract() -> (Router<Front>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(Contract::openapi()).merge(http::endpoints()).split_for_parts()
}

fn text(contract: &utoipa::openapi::OpenApi) -> String {
    let mut text = contract.to_pretty_json().expect("the contract is made of texts and numbers");
    text.push('\n');
    text
}
