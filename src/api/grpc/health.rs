//! `grpc.health.v1`: read from the actors at each question, so it can never be stale.

use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, stream};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_server};

use crate::api::front::Front;
use crate::api::http::ready;

/// The services of this port; the empty name is the node as a whole.
const SERVICES: [&str; 4] =
    ["", "everstep.v1.WorkflowService", "everstep.v1.ExecutionService", "everstep.v1.ClusterService"];
/// How often a watcher's answer is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The service.
pub(super) struct Health(pub(super) Front);

fn serving(front: &Front) -> HealthCheckResponse {
    let ready = ready(front, &front.handle.health());
    let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl health_server::Health for Health {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        if !SERVICES.contains(&service.as_str()) {
            return Err(Status::not_found("this service is not served here"));
        }
        Ok(Response::new(serving(&self.0)))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let known = SERVICES.contains(&request.into_inner().service.as_str());
        let front = self.0.clone();
        let answers = stream::unfold((front, None), move |(front, last)| async move {
            loop {
                let now = if known {
                    serving(&front)
                } else {
                    HealthCheckResponse { status: ServingStatus::ServiceUnknown.into() }
                };
                if last.as_ref() != Some(&now) {
                    return Some((Ok(now), (front, Some(now))));
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }
}
