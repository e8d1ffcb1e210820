//! `ClusterService`.

use everstep_proto::v1;
use everstep_proto::v1::cluster_service_server::ClusterService;
use tonic::{Request, Response, Status};

use crate::actors::{Error, NodeView, Unfit};
use crate::api::front::Front;
use crate::consensus::{GroupView, Membership, NodeRecord};

use super::convert;
use super::status::failed;

/// The service.
pub(super) struct Cluster(pub(super) Front);

#[tonic::async_trait]
impl ClusterService for Cluster {
    async fn status(
        &self,
        _: Request<v1::ClusterStatusRequest>,
    ) -> Result<Response<v1::ClusterStatusResponse>, Status> {
        let view = self.0.handle.cluster().await;
        Ok(Response::new(v1::ClusterStatusResponse {
            name: view.name,
            node: view.node,
            replicas: count(view.replicas),
            nodes: view.nodes.into_iter().map(standing).collect(),
            partitions: view.partitions.into_iter().map(partition).collect(),
        }))
    }

    async fn reserve_node(
        &self,
        _: Request<v1::ReserveNodeRequest>,
    ) -> Result<Response<v1::ReserveNodeResponse>, Status> {
        let node = changed(self.0.handle.reserve_node().await)?;
        Ok(Response::new(v1::ReserveNodeResponse { node }))
    }

    async fn drain_node(
        &self,
        request: Request<v1::DrainNodeRequest>,
    ) -> Result<Response<v1::DrainNodeResponse>, Status> {
        let node = changed(self.0.handle.drain_node(request.into_inner().id).await)?;
        Ok(Response::new(v1::DrainNodeResponse { node }))
    }

    async fn undrain_node(
        &self,
        request: Request<v1::UndrainNodeRequest>,
    ) -> Result<Response<v1::UndrainNodeResponse>, Status> {
        let node = changed(self.0.handle.undrain_node(request.into_inner().id).await)?;
        Ok(Response::new(v1::UndrainNodeResponse { node }))
    }

    async fn remove_node(
        &self,
        request: Request<v1::RemoveNodeRequest>,
    ) -> Result<Response<v1::RemoveNodeResponse>, Status> {
        let v1::RemoveNodeRequest { id, force } = request.into_inner();
        let node = changed(self.0.handle.remove_node(id, force).await)?;
        Ok(Response::new(v1::RemoveNodeResponse { node }))
    }
}

fn changed(answer: Result<NodeRecord, Error>) -> Result<Option<v1::Node>, Status> {
    answer.map(|record| Some(node(record))).map_err(failed)
}

fn node(record: NodeRecord) -> v1::Node {
    v1::Node {
        id: record.id,
        peer: record.peer,
        public: record.public,
        status: status(record.membership).into(),
        added_at: Some(convert::time(record.added_at)),
        starts: record.mark.start,
    }
}

const fn status(membership: Membership) -> v1::NodeStatus {
    match membership {
        Membership::Reserved => v1::NodeStatus::Reserved,
        Membership::Active => v1::NodeStatus::Active,
        Membership::Draining => v1::NodeStatus::Draining,
        Membership::Removed => v1::NodeStatus::Removed,
    }
}

const fn unfit(why: Unfit) -> v1::UnfitReason {
    match why {
        Unfit::DiskFull => v1::UnfitReason::DiskFull,
        Unfit::DiskSlow => v1::UnfitReason::DiskSlow,
        Unfit::ClockOff => v1::UnfitReason::ClockOff,
        Unfit::CutOff => v1::UnfitReason::CutOff,
        Unfit::DiskScarce => v1::UnfitReason::DiskScarce,
    }
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn standing(view: NodeView) -> v1::ClusterNode {
    v1::ClusterNode {
        node: Some(node(view.record)),
        reachable: view.reachable,
        unreachable_reason: view.unreachable_reason.unwrap_or_default(),
        leads: count(view.leads),
        votes: count(view.votes),
        unfit: view.unfit.into_iter().map(|why| unfit(why).into()).collect(),
        clock_ahead_ms: view.clock_ahead_ms,
    }
}

fn partition(group: GroupView) -> v1::ClusterPartition {
    v1::ClusterPartition {
        partition: group.partition.into(),
        leader: group.leader,
        epoch: group.epoch,
        voters: group.voters.into_iter().collect(),
        learners: group.learners.into_iter().collect(),
        changing: group.changing,
        last: group.last,
        applied: group.applied,
        behind: group.behind.into_iter().collect(),
    }
}
