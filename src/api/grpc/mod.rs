//! The gRPC front end: the services of `proto/everstep/v1`, health and reflection.

mod cluster;
mod convert;
mod executions;
mod health;
mod read;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod rubbish;
mod status;
mod workflows;

use axum::Router;
use everstep_proto::v1;
use everstep_proto::v1::cluster_service_server::ClusterServiceServer;
use everstep_proto::v1::execution_service_server::ExecutionServiceServer;
use everstep_proto::v1::workflow_service_server::WorkflowServiceServer;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use tonic_reflection::server::Builder;

use super::front::Front;

/// A message may be a little larger than the largest document in it.
const ENVELOPE_BYTES: usize = 64 << 10;

/// The gRPC services as routes of the public port.
pub(super) fn services(front: &Front) -> Router {
    let bytes_max = front.settings.body_bytes_max + ENVELOPE_BYTES;
    let workflows = WorkflowServiceServer::new(workflows::Workflows(front.clone()));
    let executions = ExecutionServiceServer::new(executions::Executions(front.clone()));
    let cluster = ClusterServiceServer::new(cluster::Cluster(front.clone()));
    let routes = Routes::new(workflows.max_decoding_message_size(bytes_max))
        .add_service(executions.max_decoding_message_size(bytes_max))
        .add_service(cluster.max_decoding_message_size(bytes_max))
        .add_service(HealthServer::new(health::Health(front.clone())))
        .add_service(reflection().build_v1().expect("the descriptors are compiled in"))
        .add_service(reflection().build_v1alpha().expect("the descriptors are compiled in"));
    routes.into_axum_router().reset_fallback()
}

fn reflection() -> Builder<'static> {
    Builder::configure()
        .register_encoded_file_descriptor_set(v1::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}
